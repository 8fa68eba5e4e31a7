"""The embedded vehicles as a dataset: labels at once, pixels on first use, JPEG files in the user's cache.

A file in the cache lies in a folder named after everything that fixes its pixels, so a stale one is never read.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from reidlib.data.manifest import COLUMNS, Dataset, Manifest, Test
from reidlib.places import cache_dir, draft_of, write_atomically
from reidpapers.digest import code_digest
from reidpapers.vehicles.render import Plan, Preset, Share, camera_metres, draw, plan
from reidpapers.vehicles.render.preset import STYLES
from reidpapers.vehicles.render.sheet import pixel_digest

QUALITY = 92
FPS = 25
PIXEL_DIGESTS = Path(__file__).resolve().parents[2] / "results" / "rendered_pixels.json"
_STUDY = Preset(
    "study", Share(600, 14400, 4800, 12, even=True), Share(200, 3200, 1600, 12, even=True), sizes=(48, 96), twins=1.3,
    models=300, style="street",
)  # fmt: skip
PRESETS = {
    "smoke": Preset("smoke", Share(24, 144, 60, 4, even=True), Share(12, 72, 30, 4, even=True), sizes=(32, 40)),
    "small": Preset("small", Share(200, 2400, 800, 8, even=True), Share(100, 1200, 400, 8, even=True), sizes=(48, 64)),
    "study": _STUDY,
    "study_few": replace(_STUDY, name="study_few", train=Share(150, 3600, 1200, 12, even=True)),
    "study_twins": replace(_STUDY, name="study_twins", twins=2.5, models=150),
    "study_plain": replace(_STUDY, name="study_plain", twins=2.5, models=27, style="plain"),
    "study_smoke": Preset("study_smoke", Share(24, 144, 60, 4, even=True), Share(12, 72, 30, 4, even=True),
                          sizes=(32, 40), twins=1.3, models=18, style="street"),
    "veri": Preset("veri", Share(576, 37778, 4900, 20), Share(200, 11579, 1678, 19), sizes=(80, 128)),
}  # fmt: skip
RENDERED = "Rendered vehicles, preset {name}, seed {seed}: procedural pictures, no photographs."


@dataclass(frozen=True)
class World:
    """One rendered benchmark: vehicles, cameras, tracks and pictures, all settled by three values.

    Attributes:
        preset: its size.
        seed: settles everything that is drawn by lot.
        paint_jitter: above 0, each vehicle's paint is a shade of its own, by up to this share in each channel;
            at 0 vehicles of one model and colour differ in their marks alone.
    """

    preset: Preset
    seed: int
    paint_jitter: float = 0.0

    def __reduce__(self) -> tuple:
        return world, (self.preset, self.seed, self.paint_jitter)  # a process that is handed one plans it anew

    @cached_property
    def plan(self) -> Plan:
        """Who passes which camera when, and what each picture shows."""
        return plan(self.preset, self.seed, self.paint_jitter)

    @cached_property
    def names(self) -> pd.Series:
        """``vehicle_camera_frame_number.jpg`` as in VeRi-776, in the plan's order; the number makes each unique."""
        frame = np.rint(self.plan.time * FPS).astype(np.int64)
        parts = zip(self.plan.vehicle + 1, self.plan.camera + 1, frame, np.arange(len(frame)), strict=True)
        return pd.Series([f"{v:04d}_c{c:03d}_{f:08d}_{n:05d}.jpg" for v, c, f, n in parts])

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of each image in the plan, by name."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def table(self) -> pd.DataFrame:
        """The manifest's rows: training images, gallery, and one query of each test vehicle and camera."""
        p = self.plan
        vehicles = [p.vehicles[v] for v in p.vehicle]
        table = pd.DataFrame({
            "image": self.names,
            "split": np.where(p.vehicle < p.trained, "train", "gallery"),
            "vehicle_id": [f"{v + 1:04d}" for v in p.vehicle],
            "camera_id": [p.cameras[c].name for c in p.camera],
            "color": [v.color for v in vehicles],
            "type": [v.type for v in vehicles],
            "model": [v.model for v in vehicles],
            "track_id": [f"{v + 1:04d}_c{c + 1:03d}" for v, c in zip(p.vehicle, p.camera, strict=True)],
            "time": p.time,
            "bbox": list(map(tuple, p.box.tolist())),
            "mask": self.names.str.replace(".jpg", ".png"),
        })  # fmt: skip
        gallery = table[table["split"] == "gallery"]
        # The middle image of a pass, where the vehicle is fully in view.
        size = gallery.groupby("track_id")["image"].transform("size")
        middle = gallery.groupby("track_id").cumcount() == size // 2
        return pd.concat([table, gallery[middle].assign(split="query")], ignore_index=True)[list(COLUMNS)]

    @cached_property
    def camera_distances(self) -> pd.DataFrame:
        """Shortest ways by road between the cameras, in metres; rows and columns are camera names."""
        names = [f"c{number + 1:03d}" for number in range(self.preset.cameras)]
        return pd.DataFrame(camera_metres(self.preset, self.seed), index=names, columns=names)

    @cached_property
    def key(self) -> str:
        """A short hash of all that fixes the pixels."""
        fields = {k: v for k, v in asdict(self.preset).items() if k != "style"}  # the pixels' digest is the style's
        text = f"{sorted(fields.items())} {self.seed} {self.paint_jitter} {QUALITY} {_pixels(self.preset.style)}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def family(self) -> str:
        """A hash of all but the seed: what the worlds have in common in which a run and its replicates are made."""
        fields = (self.preset, self.preset.style, self.paint_jitter, QUALITY, _pixels(self.preset.style))
        return hashlib.sha256("\n".join(map(str, fields)).encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """Its pictures in the user's cache."""
        return cache_dir() / "rendered" / f"{self.preset.name}-{self.seed}-{self.key}"

    def jpeg(self, image: str) -> bytes:
        """The encoded picture of one image: the same bytes for every reader and export.

        Raises:
            KeyError: no image of that name.
        """
        return self._file(image, "image").read_bytes()

    def mask(self, image: str) -> bytes:
        """The encoded mask (PNG) of one image, by the image's name.

        Raises:
            KeyError: no image of that name.
        """
        return self._file(image, "mask").read_bytes()

    def read(self, image: str) -> np.ndarray:
        """The decoded JPEG, uint8 ``[H, W, 3]``."""
        return self._decoded(image, "image")

    def read_mask(self, image: str) -> np.ndarray:
        """Where the vehicle is seen, uint8 ``[H, W]``, 0 or 255; by the image's or the mask's name."""
        return self._decoded(image.removesuffix(".png").removesuffix(".jpg") + ".jpg", "mask")

    def read_size(self, image: str) -> tuple[int, int]:
        """A picture's width and height, known before it is drawn."""
        height, width = self.plan.size[self._number(image)]
        return int(width), int(height)

    def _number(self, image: str) -> int:
        """One image's number in the plan."""
        if (number := self.numbers.get(image)) is None:
            raise KeyError(f"no image {image!r} in rendered preset {self.preset.name} with seed {self.seed}")
        return number

    def _decoded(self, image: str, kind: str) -> np.ndarray:
        """A cached picture, drawn anew if its file is missing or damaged."""
        try:
            return _decode(self._file(image, kind))
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
            self._draw(image)
            return _decode(self._file(image, kind))

    def _file(self, image: str, kind: str) -> Path:
        """The cached JPEG or mask of an image, rendered on first use."""
        path = self.folder / kind / (image if kind == "image" else image.replace(".jpg", ".png"))
        if not path.exists():
            self._draw(image)
        return path

    def _draw(self, image: str) -> None:
        """Draw one image and put its JPEG and mask into the cache."""
        picture, mask = draw(self.plan.scene(self._number(image)))
        files = {f"image/{image}": encode(picture, "JPEG", quality=QUALITY),
                 f"mask/{image.replace('.jpg', '.png')}": encode(mask, "PNG")}  # fmt: skip
        for name, content in files.items():
            with draft_of(self.folder / name, sync=False) as draft:  # what a power cut takes is drawn again
                draft.write_bytes(content)


@lru_cache(maxsize=4)
def world(preset: str | Preset = "small", seed: int = 0, paint_jitter: float = 0.0) -> World:
    """The world of a preset and a seed, made once a process.

    Raises:
        ValueError: an unknown preset.
    """
    if isinstance(preset, str) and preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}: allowed are {', '.join(PRESETS)}")
    return World(PRESETS[preset] if isinstance(preset, str) else preset, seed, float(paint_jitter))


def load(preset: str | Preset = "small", seed: int = 0, paint_jitter: float = 0.0) -> Dataset:
    """The rendered benchmark: labels only; pictures are drawn when they are read.

    Args:
        preset: a name in :data:`PRESETS`, or a preset of your own.
        seed: settles vehicles, cameras, tracks and every picture.
        paint_jitter: see :class:`World`.

    Raises:
        ValueError: an unknown preset, a negative seed, or a jitter outside 0..0.5.
    """
    drawn = world(preset, seed, paint_jitter)
    table = drawn.table
    origin = f"{drawn.preset}\nseed {seed}\npaint_jitter {drawn.paint_jitter}\nquality {QUALITY}\n"
    origin += f"pixels {_pixels(drawn.preset.style)}"
    return Dataset(
        Manifest(f"rendered {drawn.preset.name}", table, origin),
        drawn.read,
        (Test("", "veri"),),
        RENDERED.format(name=drawn.preset.name, seed=seed),
        drawn.read_mask,
        drawn.camera_distances,
        drawn.read_size,
    )


def encode(picture: np.ndarray, form: str, **options: int) -> bytes:
    """A picture as a file's bytes."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, form, **options)
    return out.getvalue()


def _decode(path: Path) -> np.ndarray:
    """A file's pixels; a truncated file raises."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def _pixels(style: str = "plain") -> str:
    """A style's pixel digest, drawn once for each state of the renderer's source and kept in the cache.

    For the source that the suite comes with the digest is known beforehand: another processor may round one pixel in a
    million differently, which makes no other benchmark.
    """
    key = _code(style)
    if digest := _published().get(key):
        return digest
    path = cache_dir() / "rendered" / "pixels" / key
    if path.exists() and len(digest := path.read_text(encoding="utf-8")) == 64:
        return digest
    digest = pixel_digest(style)
    write_atomically(path, digest)
    return digest


def _code(style: str) -> str:
    """The digest of the renderer's source, under the style's name unless it is the first there was."""
    code = code_digest("reidpapers.vehicles.render")
    return code if style == "plain" else f"{code}-{style}"


def _published() -> dict[str, str]:
    """Pixel digests by the digest of the renderer's source, as :func:`publish_pixels` wrote them."""
    return json.loads(PIXEL_DIGESTS.read_text(encoding="utf-8")) if PIXEL_DIGESTS.exists() else {}


def publish_pixels() -> None:
    """Write the pixel digests of today's renderer beside the committed records, which were computed on its pictures."""
    digests = {_code(style): _pixels(style) for style in STYLES}
    write_atomically(PIXEL_DIGESTS, f"{json.dumps(digests, indent=1)}\n")
