"""The embedded vehicles as a dataset: labels at once, pixels on first use, JPEG files in the user's cache.

A file in the cache lies in a folder named after everything that fixes its pixels, so a stale one is never read.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from reidlib import config, provenance
from reidlib.manifest import COLUMNS, Dataset, Manifest, Test
from reidlib.render import Plan, Preset, Share, camera_metres, draw, plan
from reidlib.render.sheet import pixel_digest

QUALITY = 92
FPS = 25
KNOWN = provenance.PACKAGE.parent / "results" / "rendered_pixels.json"
PRESETS = {
    "smoke": Preset("smoke", Share(24, 144, 60, 4, even=True), Share(12, 72, 30, 4, even=True), sizes=(32, 40)),
    "small": Preset("small", Share(200, 2400, 800, 8, even=True), Share(100, 1200, 400, 8, even=True), sizes=(48, 64)),
    "veri": Preset("veri", Share(576, 37778, 4900, 20), Share(200, 11579, 1678, 19), sizes=(80, 128)),
}
RENDERED = "Rendered vehicles, preset {name}, seed {seed}: procedural pictures, no photographs."


def load(preset: str | Preset = "small", seed: int = 0, paint_jitter: float = 0.0) -> Dataset:
    """The rendered benchmark: labels only; pictures are drawn when they are read.

    Args:
        preset: a name in :data:`PRESETS`, or a preset of your own.
        seed: settles vehicles, cameras, tracks and every picture.
        paint_jitter: above 0, each vehicle's paint is a shade of its own, by up to this share in each channel;
            at 0 vehicles of one model and colour differ in their marks alone.

    Raises:
        ValueError: an unknown preset, a negative seed, or a jitter outside 0..0.5.
    """
    chosen = _preset(preset)
    table = _table(chosen, seed, float(paint_jitter))
    origin = f"{chosen}\nseed {seed}\npaint_jitter {float(paint_jitter)}\nquality {QUALITY}\npixels {_pixels()}"
    manifest = Manifest(f"rendered {chosen.name}", table, origin)
    source = partial(_read, chosen, seed, float(paint_jitter))
    masks = partial(_read_mask, chosen, seed, float(paint_jitter))
    note = RENDERED.format(name=chosen.name, seed=seed)
    size = partial(_read_size, chosen, seed, float(paint_jitter))
    return Dataset(manifest, source, (Test("", "veri"),), note, masks, camera_distances(chosen, seed), size)


def camera_distances(preset: str | Preset = "small", seed: int = 0) -> pd.DataFrame:
    """Shortest ways by road between the cameras, in metres; rows and columns are camera names."""
    chosen = _preset(preset)
    names = [f"c{number + 1:03d}" for number in range(chosen.cameras)]
    return pd.DataFrame(camera_metres(chosen, seed), index=names, columns=names)


def jpeg(preset: str | Preset, seed: int, image: str, paint_jitter: float = 0.0) -> bytes:
    """The encoded picture of one image: the same bytes for every reader and export.

    Raises:
        KeyError: no image of that name.
    """
    return _file(_preset(preset), seed, float(paint_jitter), image, "image").read_bytes()


def mask(preset: str | Preset, seed: int, image: str, paint_jitter: float = 0.0) -> bytes:
    """The encoded mask (PNG) of one image, by the image's name.

    Raises:
        KeyError: no image of that name.
    """
    return _file(_preset(preset), seed, float(paint_jitter), image, "mask").read_bytes()


def _preset(preset: str | Preset) -> Preset:
    """A preset by name."""
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}: allowed are {', '.join(PRESETS)}")
    return PRESETS[preset]


@lru_cache(maxsize=4)
def _table(preset: Preset, seed: int, paint_jitter: float) -> pd.DataFrame:
    """The manifest's rows: training images, gallery, and one query of each test vehicle and camera."""
    p = plan(preset, seed, paint_jitter)
    names = _names(p)
    vehicles = [p.vehicles[v] for v in p.vehicle]
    table = pd.DataFrame({
        "image": names,
        "split": np.where(p.vehicle < p.trained, "train", "gallery"),
        "vehicle_id": [f"{v + 1:04d}" for v in p.vehicle],
        "camera_id": [p.cameras[c].name for c in p.camera],
        "color": [v.color for v in vehicles],
        "type": [v.type for v in vehicles],
        "model": [v.model for v in vehicles],
        "track_id": [f"{v + 1:04d}_c{c + 1:03d}" for v, c in zip(p.vehicle, p.camera, strict=True)],
        "time": p.time,
        "bbox": list(map(tuple, p.box.tolist())),
        "mask": names.str.replace(".jpg", ".png"),
    })  # fmt: skip
    gallery = table[table["split"] == "gallery"]
    # The middle image of a pass, where the vehicle is fully in view.
    size = gallery.groupby("track_id")["image"].transform("size")
    middle = gallery.groupby("track_id").cumcount() == size // 2
    return pd.concat([table, gallery[middle].assign(split="query")], ignore_index=True)[list(COLUMNS)]


def _names(p: Plan) -> pd.Series:
    """``vehicle_camera_frame_number.jpg`` as in VeRi-776; the number makes each unique."""
    frame = np.rint(p.time * FPS).astype(np.int64)
    parts = zip(p.vehicle + 1, p.camera + 1, frame, np.arange(len(frame)), strict=True)
    return pd.Series([f"{v:04d}_c{c:03d}_{f:08d}_{n:05d}.jpg" for v, c, f, n in parts])


@lru_cache(maxsize=4)
def _numbers(preset: Preset, seed: int, paint_jitter: float) -> dict[str, int]:
    """Number of each image in the plan, by name."""
    return {name: number for number, name in enumerate(_names(plan(preset, seed, paint_jitter)))}


def _number(preset: Preset, seed: int, paint_jitter: float, image: str) -> int:
    """One image's number in the plan."""
    if (number := _numbers(preset, seed, paint_jitter).get(image)) is None:
        raise KeyError(f"no image {image!r} in rendered preset {preset.name} with seed {seed}")
    return number


def _read(preset: Preset, seed: int, paint_jitter: float, image: str) -> np.ndarray:
    """The decoded JPEG, uint8 ``[H, W, 3]``."""
    return _decoded(preset, seed, paint_jitter, image, "image")


def _read_mask(preset: Preset, seed: int, paint_jitter: float, image: str) -> np.ndarray:
    """Where the vehicle is seen, uint8 ``[H, W]``, 0 or 255; by the image's or the mask's name."""
    return _decoded(preset, seed, paint_jitter, image.removesuffix(".png").removesuffix(".jpg") + ".jpg", "mask")


def _read_size(preset: Preset, seed: int, paint_jitter: float, image: str) -> tuple[int, int]:
    """A picture's width and height, known before it is drawn."""
    height, width = plan(preset, seed, paint_jitter).size[_number(preset, seed, paint_jitter, image)]
    return int(width), int(height)


def _decoded(preset: Preset, seed: int, paint_jitter: float, image: str, kind: str) -> np.ndarray:
    """A cached picture, drawn anew if its file is missing or damaged."""
    try:
        return _decode(_file(preset, seed, paint_jitter, image, kind))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        _render(preset, seed, paint_jitter, image)
        return _decode(_file(preset, seed, paint_jitter, image, kind))


def _decode(path: Path) -> np.ndarray:
    """A file's pixels; a truncated file raises."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def _file(preset: Preset, seed: int, paint_jitter: float, image: str, kind: str) -> Path:
    """The cached JPEG or mask of an image, rendered on first use."""
    name = image if kind == "image" else image.replace(".jpg", ".png")
    path = _folder(preset, seed, paint_jitter) / kind / name
    if not path.exists():
        _render(preset, seed, paint_jitter, image)
    return path


def _render(preset: Preset, seed: int, paint_jitter: float, image: str) -> None:
    """Draw one image and put its JPEG and mask into the cache."""
    picture, mask = draw(plan(preset, seed, paint_jitter).scene(_number(preset, seed, paint_jitter, image)))
    folder = _folder(preset, seed, paint_jitter)
    _write(folder / "image" / image, encode(picture, "JPEG", quality=QUALITY))
    _write(folder / "mask" / image.replace(".jpg", ".png"), encode(mask, "PNG"))


def encode(picture: np.ndarray, form: str, **options: int) -> bytes:
    """A picture as a file's bytes."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, form, **options)
    return out.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@lru_cache(maxsize=16)
def _folder(preset: Preset, seed: int, paint_jitter: float) -> Path:
    """The cache folder of one benchmark, named after all that fixes its pixels."""
    text = f"{sorted(asdict(preset).items())} {seed} {paint_jitter} {QUALITY} {_pixels()}"
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    return config.cache_dir() / "rendered" / f"{preset.name}-{seed}-{key}"


def _pixels() -> str:
    """The renderer's pixel digest, drawn once for each state of its source and kept in the cache.

    For the source that the suite comes with the digest is known beforehand: another processor may round one pixel in a
    million differently, which makes no other benchmark.
    """
    code = provenance.code_digest("reidlib.render")
    if digest := _known().get(code):
        return digest
    path = config.cache_dir() / "rendered" / "pixels" / code
    if path.exists() and len(digest := path.read_text()) == 64:
        return digest
    digest = pixel_digest()
    _write(path, digest.encode())
    return digest


def _known() -> dict[str, str]:
    """Pixel digests by the digest of the renderer's source, as :func:`publish_pixels` wrote them."""
    return json.loads(KNOWN.read_text()) if KNOWN.exists() else {}


def publish_pixels() -> None:
    """Write the pixel digest of today's renderer beside the committed records, which were computed on its pictures."""
    known = {provenance.code_digest("reidlib.render"): _pixels()}
    _write(KNOWN, f"{json.dumps(known, indent=1)}\n".encode())
