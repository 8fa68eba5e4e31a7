"""One scene to one picture: project, find what each sample sees, paint, light, blur, noise.

The arithmetic is element by element throughout (no matrix product, no power, no trigonometry), so that one scene has
one picture, byte for byte, whatever the processor or the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reidpapers.vehicles.render.backdrop import backdrop, occlude
from reidpapers.vehicles.render.cameras import Camera
from reidpapers.vehicles.render.geometry import build
from reidpapers.vehicles.render.mesh import Mesh, cross, unit
from reidpapers.vehicles.render.paint import paint
from reidpapers.vehicles.render.raster import barycentric, rasterise
from reidpapers.vehicles.render.vehicles import Vehicle

SAMPLES = 2
EXPOSURE = 1.12
# Mirrored surroundings: the sky's brightness at the horizon and overhead, and the ground's.
HORIZON, ZENITH, GROUND = 0.95, 0.50, 0.16
GLINT = 0.9


@dataclass(frozen=True)
class Scene:
    """Everything that fixes one picture.

    Attributes:
        vehicle: what passes.
        camera: what sees it.
        place: (x, y, cosine, sine): where it is on the camera's road and where it heads.
        window: (left, top, pixels a unit): the picture's place on the camera's image plane at distance one.
        size: (height, width) in pixels.
        chance: seed of the picture's own noise, exposure and occluder; None leaves them out.
    """

    vehicle: Vehicle
    camera: Camera
    place: tuple[float, float, float, float]
    window: tuple[float, float, float]
    size: tuple[int, int]
    chance: tuple[int, ...] | None = None


def mesh_of(vehicle: Vehicle) -> Mesh:
    """The triangles of a vehicle with its fittings."""
    return build(vehicle.model, vehicle.marks.roof, vehicle.marks.wing)


def axes(camera: Camera) -> np.ndarray:
    """Rows: the camera's forward, right and down directions in the road's frame, ``[3, 3]`` float64."""
    forward = unit(np.array(camera.target) - np.array(camera.position))
    right = unit(cross(forward, np.array((0.0, 0.0, 1.0))))
    return np.stack([forward, right, cross(forward, right)])


def project(points: np.ndarray, camera: Camera, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of a vehicle on the camera's image plane.

    Args:
        points: ``[..., 3]`` in the vehicle's frame, metres.
        camera: the camera.
        place: ``[..., 4]`` (x, y, cosine, sine), broadcast against the points.

    Returns:
        right and down at distance one, and one over the depth.
    """
    px, py, c, s = np.moveaxis(np.asarray(place), -1, 0)
    x, y, z = np.moveaxis(points, -1, 0)
    dx = px + c * x - s * y - camera.position[0]
    dy = py + s * x + c * y - camera.position[1]
    dz = z - camera.position[2]
    depth, right, down = (a[0] * dx + a[1] * dy + a[2] * dz for a in axes(camera))
    return right / depth, down / depth, 1 / depth


def draw(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The picture and the vehicle's mask.

    Returns:
        uint8 ``[H, W, 3]`` and uint8 ``[H, W]``, 255 where at least half of a pixel shows the vehicle.
    """
    h, w = scene.size[0] * SAMPLES, scene.size[1] * SAMPLES
    rng = None if scene.chance is None else np.random.default_rng(scene.chance)
    mesh = mesh_of(scene.vehicle)
    left, top, scale = scene.window
    right, down, inverse = project(mesh.corners, scene.camera, np.array(scene.place))
    xy = np.stack([(right - left) * (scale * SAMPLES), (down - top) * (scale * SAMPLES)], axis=-1)
    face, depth = rasterise(xy, inverse, h, w)
    rays = _rays(scene, h, w)
    color = np.empty((h * w, 3), np.float32)
    hit, free = np.flatnonzero(face >= 0), np.flatnonzero(face < 0)
    eye = np.array(scene.camera.position)
    color[free] = backdrop(scene.camera, eye, rays[:, free], scene.vehicle, scene.place)
    color[hit] = _body(scene, mesh, xy, inverse, face[hit], depth[hit], hit % w, hit // w, rays[:, hit])
    color, shown = color.reshape(h, w, 3), (face >= 0).reshape(h, w)
    if rng is not None and rng.random() < scene.camera.occlusion:
        shown &= ~occlude(rng, color, scene.camera)
    return _develop(color, scene.camera, rng), _mask(shown)


def _rays(scene: Scene, h: int, w: int) -> np.ndarray:
    """Directions of the samples' rays in the road's frame, of depth one: float32 ``[3, h · w]``."""
    left, top, scale = scene.window
    right = (left + (np.arange(w) + 0.5) / (scale * SAMPLES)).astype(np.float32)
    down = (top + (np.arange(h) + 0.5) / (scale * SAMPLES)).astype(np.float32)
    forward, across, below = axes(scene.camera).astype(np.float32)
    grid = [forward[i] + across[i] * right[None, :] + below[i] * down[:, None] for i in range(3)]
    return np.stack(grid).reshape(3, h * w)


def _body(scene, mesh, xy, inverse, face, depth, column, row, rays) -> np.ndarray:
    """Linear colours of the samples that see the vehicle, ``[N, 3]``, worked out in the vehicle's frame."""
    px, py, c, s = (np.float32(v) for v in scene.place)
    eye = [np.float32(v) for v in scene.camera.position]
    dx, dy, dz = c * rays[0] + s * rays[1], c * rays[1] - s * rays[0], rays[2]
    reach = (1 / depth).astype(np.float32)
    ex, ey = c * (eye[0] - px) + s * (eye[1] - py), c * (eye[1] - py) - s * (eye[0] - px)
    points = np.stack([ex + reach * dx, ey + reach * dy, eye[2] + reach * dz])
    albedo, gloss = paint(scene.vehicle, mesh.part[face], mesh.side[face], points)
    normal = _normals(mesh, xy, inverse, face, column, row)
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    sun = scene.camera.sun
    toward = (
        c * np.float32(sun[0]) + s * np.float32(sun[1]),
        c * np.float32(sun[1]) - s * np.float32(sun[0]),
        np.float32(sun[2]),
    )
    return _light(scene.camera, albedo, gloss, normal, (dx / length, dy / length, dz / length), toward, points[2])


def _normals(
    mesh: Mesh, xy: np.ndarray, inverse: np.ndarray, face: np.ndarray, column: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """Smooth unit normals at samples, float32 ``[3, N]``."""
    used, index = np.unique(face, return_inverse=True)
    planes = barycentric(xy[used], inverse[used])
    corner = mesh.normals[used]
    mixed = [sum(corner[:, k, i, None] * planes[:, k] for k in range(3)) for i in range(3)]
    x, y = (column + 0.5).astype(np.float32), (row + 0.5).astype(np.float32)
    found = []
    for plane in mixed:
        a, b, base = plane.astype(np.float32).T
        found.append(a[index] * x + b[index] * y + base[index])
    nx, ny, nz = found
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    return np.stack(found) / np.where(length > 0, length, 1)


def _light(camera: Camera, albedo, gloss, normal, ray, sun, height) -> np.ndarray:
    """Sun, sky, mirrored surroundings and glint on a surface: linear ``[N, 3]``."""
    nx, ny, nz = normal
    dx, dy, dz = ray
    facing = np.minimum(dx * nx + dy * ny + dz * nz, 0)
    direct = np.maximum(nx * sun[0] + ny * sun[1] + nz * sun[2], 0)
    near_ground = np.clip(np.float32(0.55) + height * np.float32(0.55), 0.55, 1)
    sky = (np.float32(0.50) + np.float32(0.40) * nz) * near_ground
    light = sky[:, None] * np.array(camera.skylight, np.float32) + direct[:, None] * np.array(
        camera.sunlight, np.float32
    )
    rx, ry, rz = dx - 2 * facing * nx, dy - 2 * facing * ny, dz - 2 * facing * nz
    overhead = np.clip(rz, 0, 1)
    around = np.where(rz > 0, HORIZON + (ZENITH - HORIZON) * overhead, GROUND).astype(np.float32)
    graze = 1 + facing
    graze2 = graze * graze
    mirror = gloss + (gloss > 0.01) * (np.float32(0.6) - gloss) * (graze2 * graze2 * graze)
    glint = np.clip(rx * sun[0] + ry * sun[1] + rz * sun[2], 0, 1)
    for _ in range(5):
        glint = glint * glint
    shine = mirror * around
    color = albedo * albedo * light * np.float32(0.95)
    color += shine[:, None] * (
        np.array(camera.skylight, np.float32) + np.float32(0.35) * np.array(camera.sunlight, np.float32)
    )
    color += (glint * (gloss > 0.01) * np.float32(GLINT))[:, None] * np.array(camera.sunlight, np.float32)
    return color


def _develop(color: np.ndarray, camera: Camera, rng: np.random.Generator | None) -> np.ndarray:
    """Linear samples to a uint8 picture: exposure, mean of the samples, blur, tone, noise."""
    gain = EXPOSURE if rng is None else EXPOSURE * (0.88 + 0.24 * float(rng.random()))
    mean = (color[0::2, 0::2] + color[1::2, 0::2] + color[0::2, 1::2] + color[1::2, 1::2]) * np.float32(gain / 4)
    # A soft shoulder keeps white paint from burning out; the square root is the display's curve.
    mean = np.where(mean > 0.7, 1 - np.float32(0.09) / (mean - np.float32(0.4)), mean)
    shown = np.sqrt(np.clip(mean, 0, 1))
    if camera.blur > 0:
        shown = _blur(_blur(shown, camera.blur, 0), camera.blur, 1)
    levels = shown * np.float32(255)
    if rng is not None:
        grains = rng.integers(0, 256, (2, *levels.shape), dtype=np.uint8).astype(np.float32)
        levels = levels + (grains[0] + grains[1] - np.float32(255)) * np.float32(camera.noise / 104)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def _blur(picture: np.ndarray, weight: float, axis: int) -> np.ndarray:
    """Each pixel mixed with its two neighbours along an axis; edges repeat."""
    padded = np.concatenate([picture.take([0], axis), picture, picture.take([-1], axis)], axis)
    before, after = (padded[:-2], padded[2:]) if axis == 0 else (padded[:, :-2], padded[:, 2:])
    return np.float32(1 - 2 * weight) * picture + np.float32(weight) * (before + after)


def _mask(shown: np.ndarray) -> np.ndarray:
    """255 where at least two of a pixel's four samples show the vehicle."""
    count = shown[0::2, 0::2].astype(np.uint8) + shown[1::2, 0::2] + shown[0::2, 1::2] + shown[1::2, 1::2]
    return np.where(count >= 2, 255, 0).astype(np.uint8)
