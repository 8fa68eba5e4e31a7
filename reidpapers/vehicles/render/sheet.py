"""Pictures of vehicles outside any benchmark: portraits, contact sheets, and the fixed samples behind the digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reidpapers.vehicles.render.cameras import Camera
from reidpapers.vehicles.render.image import Scene, mesh_of, project
from reidpapers.vehicles.render.plan import plan
from reidpapers.vehicles.render.preset import Preset, Share
from reidpapers.vehicles.render.street.image import StreetScene
from reidpapers.vehicles.render.styles import draw
from reidpapers.vehicles.render.vehicles import Marks, Vehicle

# Where the portrait camera stands, in vehicle's lengths along and across and metres up; the vehicle heads along x.
VIEWS = {
    "front-left": (1.35, 0.95, 3.0),
    "front": (1.9, 0.05, 3.2),
    "side": (0.0, 1.8, 2.4),
    "rear-left": (-1.35, 0.95, 3.0),
    "rear-right": (-1.35, -0.95, 3.4),
    "rear": (-1.9, 0.05, 3.4),
}
# Twice 48 passes, of which every second is drawn: each model at least once, each colour, every mark and occluder.
GALLERY = Preset("samples", Share(46, 92, 92, 12), Share(2, 4, 4, 12), sizes=(48, 64), twins=1.0, occlusion=0.4)
GALLERY_SEED = 7


def studio(position: tuple[float, float, float], size: int) -> Camera:
    """A camera in soft daylight that looks at the origin, without noise, blur or occluders."""
    return Camera(
        name="studio", kind="studio", position=position, target=(0.0, 0.0, 0.8), toward=1, share=1.0, lane=1.8, lanes=2,
        span=(0.0, 0.0), sun=(0.36, 0.48, 0.8), sunlight=(0.62, 0.62, 0.60), skylight=(0.55, 0.55, 0.57), road=0.5,
        verge=((0.62, 0.62, 0.6), 0.06), wall=None, sky=(0.8, 0.84, 0.88), grain=1, size=size, blur=0.0, noise=0.0, occlusion=0.0,
    )  # fmt: skip


def portrait(
    model: str, color: str, marks: Marks | None = None, *, view: str = "front-left", size: int = 96
) -> np.ndarray:
    """One vehicle from one side, ``[size, size, 3]`` uint8.

    Args:
        model, color: names in the catalogue.
        marks: its marks; by default none.
        view: a key of :data:`VIEWS`.
        size: side of the picture in pixels.

    Raises:
        KeyError: an unknown model, colour or view.
    """
    vehicle = Vehicle(model, color, marks or Marks())
    reach, across, up = VIEWS[view]
    span = max(vehicle.spec.length, 2.4 * vehicle.spec.height)
    camera = studio((reach * span, across * span, up * max(1.0, vehicle.spec.height / 1.8)), size)
    place = (0.0, 0.0, 1.0, 0.0)
    right, down, _ = project(mesh_of(vehicle).points, camera, np.array(place))
    width = 1.08 * max(right.max() - right.min(), down.max() - down.min())
    left, top = (right.max() + right.min() - width) / 2, (down.max() + down.min() - width) / 2
    return draw(Scene(vehicle, camera, place, (float(left), float(top), float(size / width)), (size, size)))[0]


def sheet(pictures: Sequence[np.ndarray], columns: int, gap: int = 2) -> np.ndarray:
    """Pictures in rows on white, each in the middle of a cell as large as the largest: uint8 ``[H, W, 3]``."""
    tall, wide = (max(p.shape[axis] for p in pictures) + gap for axis in (0, 1))
    rows = -(-len(pictures) // columns)
    page = np.full((rows * tall + gap, columns * wide + gap, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        y = number // columns * tall + gap + (tall - gap - picture.shape[0]) // 2
        x = number % columns * wide + gap + (wide - gap - picture.shape[1]) // 2
        page[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return page


def samples(style: str = "plain") -> list[Scene]:
    """48 scenes that use every model, colour, mark and occluder: what they look like tells renderers apart."""
    gallery = plan(replace(GALLERY, style=style), GALLERY_SEED)
    return [gallery.scene(number) for number in range(0, len(gallery.vehicle), 2)]


def pixel_digest(style: str = "plain") -> str:
    """SHA-256 over the samples' pixels, masks and labels: equal digests mean an equal renderer."""
    gallery = plan(replace(GALLERY, style=style), GALLERY_SEED)
    digest = hashlib.sha256()
    for scene in samples(style):
        for array in draw(scene):
            digest.update(repr(array.shape).encode() + array.tobytes())
    for array in (gallery.vehicle, gallery.camera, gallery.box, np.round(gallery.time, 3), gallery.size):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()


def without_chance(scene: Scene) -> Scene:
    """The same scene without noise, exposure, occluder and others on the road."""
    return replace(scene, chance=None, **({"neighbours": ()} if isinstance(scene, StreetScene) else {}))
