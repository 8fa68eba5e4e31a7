"""One scene of the street to one picture: project, look up, light, and what a cheap camera makes of it.

As in :mod:`reidpapers.vehicles.render.image`, the arithmetic is element by element throughout, so that a scene has one
picture, byte for byte, whatever the processor or the number of threads.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from reidpapers.vehicles.render.backdrop import occlude
from reidpapers.vehicles.render.image import SAMPLES, Scene, _mask, _normals, axes, project
from reidpapers.vehicles.render.mesh import Part
from reidpapers.vehicles.render.raster import rasterise
from reidpapers.vehicles.render.street.body import Skin, build
from reidpapers.vehicles.render.street.chart import LAMP, LIGHT
from reidpapers.vehicles.render.street.scenery import around, backdrop, column, shade
from reidpapers.vehicles.render.street.skin import SINGLE, atlas
from reidpapers.vehicles.render.street.vehicles import StreetVehicle
from reidpapers.vehicles.render.street.weather import StreetCamera

# By material: share mirrored when looked at straight (paint, dull, glass, chrome, lamp, light).
MIRRORED = np.array((0.045, 0.0, 0.08, 0.45, 0.12, 0.08), np.float32)
GRAZING = np.array((0.75, 0.04, 0.8, 0.3, 0.4, 0.5), np.float32)
GLINT = np.array((1.2, 0.0, 1.6, 0.8, 0.8, 0.5), np.float32)
LUMA = np.array((0.3, 0.59, 0.11), np.float32)


@dataclass(frozen=True)
class StreetScene(Scene):
    """A scene with others on the road: ``neighbours`` are (vehicle, place)."""

    neighbours: tuple[tuple[StreetVehicle, tuple[float, float, float, float]], ...] = ()


def mesh_of(vehicle: StreetVehicle) -> Skin:
    """The triangles of a vehicle with what it carries."""
    return build(vehicle.spec, vehicle.carried, vehicle.wing)


def bent(right: np.ndarray, down: np.ndarray, camera: StreetCamera) -> tuple[np.ndarray, np.ndarray]:
    """Points of the image plane as the camera's lens displaces them."""
    factor = 1 + camera.bend * np.minimum(right * right + down * down, 1)
    return right * factor, down * factor


def placed(points: np.ndarray, camera: StreetCamera, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of a vehicle on the image plane behind the lens; as ``project`` of the plain renderer."""
    right, down, inverse = project(points, camera, place)
    return (*bent(right, down, camera), inverse)


@dataclass
class _Seen:
    """What the samples of a picture see of one vehicle: sample numbers, rays, points, and texels."""

    vehicle: StreetVehicle
    place: tuple[float, float, float, float]
    where: np.ndarray
    ray: np.ndarray
    points: np.ndarray
    normal: np.ndarray
    texel: np.ndarray


def draw(scene: StreetScene) -> tuple[np.ndarray, np.ndarray]:
    """The picture and the vehicle's mask, as :func:`reidpapers.vehicles.render.image.draw`."""
    return _draw(scene)[:2]


def pixels_seen(scene: StreetScene) -> tuple[np.ndarray, np.ndarray]:
    """How many pixels of a picture show what of its vehicle, whatever stands in the way left out.

    Returns:
        ``[32]``: mark k + 1 at k + 1, fittings at :data:`FITTING`, all else at 0; and ``[5]``: each chart (left, right,
        top, front, rear).
    """
    return _draw(scene, develop=False)[2:]


def _draw(scene: StreetScene, develop: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Picture, mask, and the pixels of marks and charts; the picture is empty unless it is developed."""
    coarse = min(scene.camera.coarse, 1.0)
    h, w = (max(12, round(side * coarse)) * SAMPLES for side in scene.size)
    zoom = scene.window[2] * h / (scene.size[0] * SAMPLES)
    rng = None if scene.chance is None else np.random.default_rng(scene.chance)
    rays = _rays(scene, h, w, zoom)
    owner, seen = _trace(scene, h, w, zoom, rays)
    color = _colors(scene, owner, seen, rays).reshape(3, h, w) if develop else np.empty((3, h, w), np.float32)
    shown = (owner == 0).reshape(h, w)
    if rng is not None and rng.random() < scene.camera.occlusion:
        shown &= ~occlude(rng, np.moveaxis(color, 0, 2), scene.camera)
    mask = Image.fromarray(_mask(shown)).resize(scene.size[::-1], Image.Resampling.BILINEAR)
    own = seen[0].texel[shown.reshape(-1)[seen[0].where]]
    pixels = [np.bincount(values, minlength=size) * (np.prod(scene.size) / (h * w)) for values, size in (
        (atlas(scene.vehicle).mark[own], 32), (np.searchsorted(_ends(scene.vehicle), own, side="right"), 6))]  # fmt: skip
    picture = _develop(color, scene, rng) if develop else np.empty(0, np.uint8)
    return picture, np.where(np.asarray(mask) > 127, 255, 0).astype(np.uint8), pixels[0], pixels[1][:5]


def _ends(vehicle: StreetVehicle) -> np.ndarray:
    """The first texel behind each of a vehicle's five charts."""
    return atlas(vehicle).place[1:6, 8]


def _colors(scene: StreetScene, owner: np.ndarray, seen: list[_Seen], rays: np.ndarray) -> np.ndarray:
    """Linear colours of all samples, ``[3, h · w]``."""
    color = np.empty((3, len(owner)), np.float32)
    free = np.flatnonzero(owner < 0)
    cast = [(scene.vehicle, scene.place), *scene.neighbours]
    color[:, free] = backdrop(scene.camera, np.array(scene.camera.position), rays[:, free], cast)
    for part in seen:
        color[:, part.where] = _lit(scene.camera, part)
    return color


def _rays(scene: StreetScene, h: int, w: int, zoom: float) -> np.ndarray:
    """Directions of the samples' rays in the road's frame, of depth one: float32 ``[3, h · w]``."""
    left, top, _ = scene.window
    right = (left + (np.arange(w) + 0.5) / (zoom * SAMPLES)).astype(np.float32)[None, :]
    down = (top + (np.arange(h) + 0.5) / (zoom * SAMPLES)).astype(np.float32)[:, None]
    bend = np.float32(scene.camera.bend)
    far = right * right + down * down
    factor = 1 + bend * np.minimum(far, 1)
    factor = 1 + bend * np.minimum(far / (factor * factor), 1)  # the lens undone, by two steps
    forward, across, below = axes(scene.camera).astype(np.float32)
    right, down = right / factor, down / factor
    return np.stack([forward[i] + across[i] * right + below[i] * down for i in range(3)]).reshape(3, h * w)


def _trace(scene: StreetScene, h: int, w: int, zoom: float, rays: np.ndarray) -> tuple[np.ndarray, list[_Seen]]:
    """Who is seen by each sample (0 the vehicle, 1 and on its neighbours, −1 none), and what of whom."""
    left, top, _ = scene.window
    cast = [(scene.vehicle, scene.place), *scene.neighbours]
    meshes, xys, inverses = [], [], []
    for vehicle, place in cast:
        mesh = mesh_of(vehicle)
        right, down, inverse = placed(mesh.corners, scene.camera, np.array(place))
        meshes.append(mesh)
        xys.append(np.stack([(right - left) * (zoom * SAMPLES), (down - top) * (zoom * SAMPLES)], axis=-1))
        inverses.append(inverse)
    starts = np.cumsum([0, *(len(mesh.part) for mesh in meshes)])
    face, depth = rasterise(np.concatenate(xys), np.concatenate(inverses), h, w)
    owner = np.searchsorted(starts, face, side="right") - 1
    owner[face < 0] = -1
    seen = []
    for number, (vehicle, place) in enumerate(cast):
        where = np.flatnonzero(owner == number)
        own = face[where] - starts[number]
        seen.append(_look(scene.camera, vehicle, place, meshes[number], xys[number], inverses[number], where, own,
                          depth[where], rays[:, where], w))  # fmt: skip
    return owner, seen


def _look(camera, vehicle, place, mesh, xy, inverse, where, face, depth, rays, w) -> _Seen:
    """The points, normals and texels of samples that see a vehicle, in its own frame."""
    px, py, c, s = (np.float32(v) for v in place)
    eye = [np.float32(v) for v in camera.position]
    dx, dy, dz = c * rays[0] + s * rays[1], c * rays[1] - s * rays[0], rays[2]
    reach = (1 / depth).astype(np.float32)
    ex, ey = c * (eye[0] - px) + s * (eye[1] - py), c * (eye[1] - py) - s * (eye[0] - px)
    points = np.stack([ex + reach * dx, ey + reach * dy, eye[2] + reach * dz])
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    ray = np.stack([dx / length, dy / length, dz / length])
    normal = _normals(mesh, xy, inverse, face, where % w, where // w) if len(where) else np.empty((3, 0), np.float32)
    texel = atlas(vehicle).texel(_charts(mesh)[face], points)
    return _Seen(vehicle, place, where, ray, points, normal, texel)


def _charts(mesh: Skin) -> np.ndarray:
    """Where each face's texels lie: the chart that it is painted on, or the part's single texel."""
    single = np.full(len(Part), -1)
    for part, place in SINGLE.items():
        single[part] = place
    own = single[mesh.part]
    return np.where(own < 0, mesh.chart, own)


def _lit(camera: StreetCamera, seen: _Seen) -> np.ndarray:
    """Linear colours ``[3, N]`` of what is seen of a vehicle: sun, sky, mirrored surroundings, glints, its own lamps."""
    page = atlas(seen.vehicle)
    albedo, kind = page.rgb.take(seen.texel, 1), page.kind[seen.texel]
    (dx, dy, dz), (nx, ny, nz), (x, y, z) = seen.ray, seen.normal, seen.points
    px, py, c, s = (np.float32(v) for v in seen.place)
    sun = [np.float32(v) for v in camera.sun]
    sx, sy, sz = c * sun[0] + s * sun[1], c * sun[1] - s * sun[0], sun[2]
    facing = np.minimum(dx * nx + dy * ny + dz * nz, 0)
    direct = np.maximum(nx * sx + ny * sy + nz * sz, 0)
    if camera.leafy:
        direct = direct * shade(camera, px + c * x - s * y, py + s * x + c * y, z)
    open_ = np.clip(np.float32(0.42) + z * np.float32(0.6), 0.3, 1) * (np.float32(0.55) + np.float32(0.40) * nz)
    sunlight, skylight = column(camera.sunlight), column(camera.skylight)
    color = albedo * (open_ * skylight + direct * sunlight)
    rx, ry, rz = dx - 2 * facing * nx, dy - 2 * facing * ny, dz - 2 * facing * nz
    graze = 1 + facing
    graze2 = graze * graze
    mirror = MIRRORED[kind] + GRAZING[kind] * graze2 * graze2 * graze
    mirrored = around(camera, c * rx - s * ry, s * rx + c * ry, rz)
    color += mirror * mirrored
    if camera.sunlight[1] > 0.3:
        glint = np.clip(rx * sx + ry * sy + rz * sz, 0, 1)
        for _ in range(6):
            glint = glint * glint
        color += (glint * GLINT[kind] * (direct > 0)) * sunlight
    if camera.lit:
        shine = ((kind == LAMP) * np.float32(1.0) + (kind == LIGHT) * np.float32(0.8)) * np.float32(camera.lit)
        color += shine * (albedo + np.float32(0.08))
    return color


def _develop(color: np.ndarray, scene: StreetScene, rng: np.random.Generator | None) -> np.ndarray:
    """Linear samples to a uint8 picture: smear, exposure, tone, colour, blur, noise, scaling, compression."""
    camera = scene.camera
    for axis, steps in ((2, camera.smear[0]), (1, camera.smear[1])):
        if steps and rng is not None:
            color = _smeared(color, steps, axis)
    gain = camera.gain * (1.0 if rng is None else 0.9 + 0.2 * float(rng.random()))
    rows = color[:, 0::2] + color[:, 1::2]
    mean = rows[..., 0::2] + rows[..., 1::2]
    mean *= (column((camera.balance[0], 1.0, camera.balance[1])) * np.float32(gain / 4))[..., None]
    mean = np.where(mean > 0.6, 1 - np.float32(0.16) / (np.maximum(mean, np.float32(0.6)) - np.float32(0.2)), mean)
    shown = np.sqrt(np.clip(mean, 0, 1))
    grey = shown[0] * LUMA[0] + shown[1] * LUMA[1] + shown[2] * LUMA[2]
    shown = grey + np.float32(camera.saturation) * (shown - grey)
    shown = np.float32(0.45) + np.float32(camera.contrast) * (shown - np.float32(0.45))
    if camera.blur > 0:
        shown = _blurred(_blurred(shown, camera.blur, 1), camera.blur, 2)
    levels = shown * np.float32(255)
    if rng is not None:
        grains = rng.integers(0, 256, (2, *levels.shape), dtype=np.uint8).astype(np.float32)
        levels = levels + (grains[0] + grains[1] - np.float32(255)) * np.float32(camera.noise / 104)
    levels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(levels, 0, 2)))
    if rng is not None and camera.quality < 90:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=camera.quality)
        picture = Image.open(stream)
    if picture.size != scene.size[::-1]:
        picture = picture.resize(scene.size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _smeared(color: np.ndarray, steps: int, axis: int) -> np.ndarray:
    """The mean of a picture and itself moved by up to ``steps`` samples; edges repeat."""
    total, last = color.copy(), color
    for _ in range(steps):
        last = np.concatenate([last.take([0], axis), last[:, :-1] if axis == 1 else last[..., :-1]], axis)
        total += last
    return total * np.float32(1 / (steps + 1))


def _blurred(picture: np.ndarray, weight: float, axis: int) -> np.ndarray:
    """Each pixel mixed with its two neighbours along an axis; edges repeat."""
    padded = np.concatenate([picture.take([0], axis), picture, picture.take([-1], axis)], axis)
    before, after = (padded[:, :-2], padded[:, 2:]) if axis == 1 else (padded[..., :-2], padded[..., 2:])
    return np.float32(1 - 2 * weight) * picture + np.float32(weight) * (before + after)
