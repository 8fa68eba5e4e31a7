"""Everything in a picture that is not the vehicle: road, verge, wall, sky, shadow, and what stands in the way."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from reidpapers.vehicles.render.cameras import Camera
from reidpapers.vehicles.render.vehicles import Vehicle

# Texture cells per metre, and how many cells before the ground repeats.
CELLS = 5.0
TILE = 256
LINE = 0.09
DASH = 6.0
KERB = 0.22
# Heights, as shares of the vehicle's, at which the sun's ray is tested against its outline.
LAYERS = (0.12, 0.4, 0.65, 0.9)


@lru_cache(maxsize=64)
def _texture(grain: int) -> np.ndarray:
    """Brightness of the ground's cells in −1..1, ``[TILE, TILE]``: fine grain on broad patches."""
    rng = np.random.default_rng(grain)
    fine = rng.integers(-127, 128, (TILE, TILE)).astype(np.float32) / np.float32(127)
    broad = rng.integers(-127, 128, (TILE // 16, TILE // 16)).astype(np.float32) / np.float32(127)
    return 0.55 * fine + 0.45 * np.repeat(np.repeat(broad, 16, axis=0), 16, axis=1)


def backdrop(
    camera: Camera, eye: np.ndarray, rays: np.ndarray, vehicle: Vehicle, place: tuple[float, ...]
) -> np.ndarray:
    """Linear colours of what rays see beside the vehicle.

    Args:
        camera: whose surroundings.
        eye: ``[3]`` where the rays start, in the road's frame.
        rays: ``[3, N]`` float32 directions in the road's frame.
        vehicle: what throws the shadow.
        place: (x, y, cos, sin): the vehicle's place and heading in the road's frame.

    Returns:
        float32 ``[N, 3]``.
    """
    dx, dy, dz = rays
    light = np.array(camera.skylight, np.float32) + np.float32(camera.sun[2]) * np.array(camera.sunlight, np.float32)
    color = np.empty((len(dx), 3), np.float32)
    color[:] = np.array(camera.sky, np.float32) ** 2 * np.float32(0.9) * light
    ground = np.flatnonzero(dz < -1e-3)
    reach = np.float32(-eye[2]) / dz[ground]
    x, y = np.float32(eye[0]) + reach * dx[ground], np.float32(eye[1]) + reach * dy[ground]
    shade = _shadow(camera, vehicle, place, x, y)
    sun, sky = np.array(camera.sunlight, np.float32) * np.float32(camera.sun[2]), np.array(camera.skylight, np.float32)
    color[ground] = _ground(camera, x, y) * (sky * shade[1][:, None] + sun * shade[0][:, None])
    if camera.wall is not None:
        _wall(camera, eye, rays, color, light)
    return color


def _ground(camera: Camera, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Linear colour of the ground: asphalt, lines, kerb, verge."""
    grain = _texture(camera.grain)
    cell = (
        np.floor(x * np.float32(CELLS)).astype(np.int32) % TILE,
        np.floor(y * np.float32(CELLS)).astype(np.int32) % TILE,
    )
    rough = grain[cell]
    tone = np.float32(camera.road) * (1 + np.float32(0.13) * rough)
    beside, edge = np.abs(y), np.float32(2 * camera.lane * camera.lanes)
    for lane in range(camera.lanes):
        near = np.abs(beside - np.float32(2 * camera.lane * lane)) < LINE
        phase = x / np.float32(DASH)
        tone[near & ((phase - np.floor(phase) < 0.5) | (lane == 0))] = 0.82
    tone[np.abs(beside - edge + 0.25) < LINE] = 0.80
    tone[(beside > edge) & (beside < edge + KERB)] = 0.70
    color = np.repeat(tone[:, None], 3, axis=1)
    verge = beside >= edge + KERB
    shade, rough_verge = camera.verge
    color[verge] = np.array(shade, np.float32) * (1 + np.float32(rough_verge) * rough[verge])[:, None]
    return color * color


def _wall(camera: Camera, eye: np.ndarray, rays: np.ndarray, color: np.ndarray, light: np.ndarray) -> None:
    """A wall or hedge beyond the verge, on the side that the rays run to."""
    dx, dy, dz = rays
    away, height, shade = camera.wall
    across = np.where(np.abs(dy) > 1e-4, dy, np.float32(1e-4))
    reach = (np.copysign(np.float32(away), across) - np.float32(eye[1])) / across
    x, z = np.float32(eye[0]) + reach * dx, np.float32(eye[2]) + reach * dz
    hit = np.flatnonzero((reach > 0) & (z > 0) & (z < height) & (np.abs(x) < 120))
    cell = (
        np.floor(x[hit] * np.float32(2.5)).astype(np.int32) % TILE,
        np.floor(z[hit] * np.float32(5)).astype(np.int32) % TILE,
    )
    tone = np.array(shade, np.float32) * (1 + np.float32(0.16) * _texture(camera.grain)[cell])[:, None]
    color[hit] = tone * tone * np.float32(0.6) * light


def _shadow(
    camera: Camera, vehicle: Vehicle, place: tuple[float, ...], x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How much sun (first) and sky (second) reaches points of the ground, 0..1."""
    spec = vehicle.spec
    px, py, c, s = (np.float32(value) for value in place)
    ox, oy = c * (x - px) + s * (y - py), c * (y - py) - s * (x - px)
    sx = c * np.float32(camera.sun[0]) + s * np.float32(camera.sun[1])
    sy = c * np.float32(camera.sun[1]) - s * np.float32(camera.sun[0])
    half, width = np.float32(spec.length / 2), np.float32(spec.width / 2)
    sun = np.ones(len(x), np.float32)
    for layer in LAYERS:
        run = np.float32(layer * spec.height / camera.sun[2])
        inset = np.float32(0.0 if layer < 0.5 or spec.base_f < 0.15 else 0.16 * spec.length)
        sun = np.minimum(sun, _outside(ox + run * sx, oy + run * sy, half - inset, width, np.float32(0.12)))
    sky = np.float32(0.12) + np.float32(0.88) * _outside(
        ox, oy, half - np.float32(0.1), width - np.float32(0.1), np.float32(0.55)
    )
    return sun, sky


def _outside(x: np.ndarray, y: np.ndarray, half: np.float32, width: np.float32, soft: np.float32) -> np.ndarray:
    """0 inside a rectangle around the origin, rising to 1 over ``soft`` metres beyond it."""
    dx, dy = np.maximum(np.abs(x) - half, 0), np.maximum(np.abs(y) - width, 0)
    return np.minimum(np.sqrt(dx * dx + dy * dy) / soft, np.float32(1))


def occlude(rng: np.random.Generator, color: np.ndarray, camera: Camera) -> np.ndarray:
    """Draw a pole, leaves or the edge of another vehicle over a picture.

    Args:
        rng: the picture's own.
        color: float32 ``[h, w, 3]`` linear; changed in place.
        camera: whose light.

    Returns:
        bool ``[h, w]``: what is covered; at most about a third.
    """
    h, w = color.shape[:2]
    v, u = np.mgrid[0:h, 0:w].astype(np.float32)
    u, v = (u + np.float32(0.5)) / np.float32(w), (v + np.float32(0.5)) / np.float32(h)
    light = np.array(camera.skylight, np.float32) + np.float32(0.6) * np.array(camera.sunlight, np.float32)
    kind, place, size, tone = int(rng.integers(3)), float(rng.random()), float(rng.random()), float(rng.random())
    if kind == 0:
        half, middle = 0.02 + 0.03 * size, 0.15 + 0.7 * place
        covered = np.abs(u - np.float32(middle)) < half
        round_ = 1 - np.abs(u - np.float32(middle)) / np.float32(half)
        shade = (np.float32(0.25 + 0.3 * tone) * (np.float32(0.5) + np.float32(0.5) * round_))[..., None] * np.ones(
            3, np.float32
        )
    elif kind == 1:
        covered, shade = _leaves(rng, u, v, place, size)
    else:
        covered, shade = _passer(rng, u, v, place, size)
    color[covered] = (shade * shade * light)[covered]
    return covered


def _leaves(
    rng: np.random.Generator, u: np.ndarray, v: np.ndarray, place: float, size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Twigs hanging in from a corner or the top."""
    cells = rng.integers(0, 256, (16, 16)).astype(np.float32) / np.float32(255)
    coarse = cells[(v * 7).astype(np.int32), (u * 7).astype(np.int32)]
    fine = cells[15 - (v * 15.99).astype(np.int32), (u * 15.99).astype(np.int32)]
    reach = np.float32(0.25 + 0.25 * size) - v - np.abs(u - np.float32(place)) * np.float32(0.5)
    covered = reach + np.float32(0.30) * (coarse - np.float32(0.5)) + np.float32(0.25) * (fine - np.float32(0.5)) > 0
    green = np.array((0.20, 0.33, 0.12), np.float32)
    return covered, green * (np.float32(0.6) + np.float32(0.8) * fine)[..., None]


def _passer(
    rng: np.random.Generator, u: np.ndarray, v: np.ndarray, place: float, size: float
) -> tuple[np.ndarray, np.ndarray]:
    """The edge of another vehicle at the left, the right or below."""
    body = rng.integers(20, 230, 3).astype(np.float32) / np.float32(255)
    deep = np.float32(0.10 + 0.14 * size)
    into = (u, 1 - u, 1 - v)[min(2, int(place * 3))]
    covered = into < deep if place >= 2 / 3 else (into < deep) & (v > np.float32(0.15 + 0.3 * (place * 3 % 1)))
    shade = body * np.ones((*u.shape, 1), np.float32)
    dark = covered & (into > deep * np.float32(0.75))
    shade[dark] *= np.float32(0.55)
    return covered, shade
