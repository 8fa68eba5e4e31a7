"""What surrounds a vehicle: a panorama that paint and glass mirror, the road, its edges, walls, shade and shadows."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from reidpapers.vehicles.render.backdrop import LAYERS, _outside
from reidpapers.vehicles.render.street.weather import StreetCamera

TILE = 256
ROWS, COLUMNS = 64, 256
SKIES = {"overcast": ((0.95, 0.95, 0.95), (0.80, 0.81, 0.83)), "sun": ((0.85, 0.90, 0.96), (0.35, 0.52, 0.85)),
         "low": ((1.0, 0.82, 0.62), (0.45, 0.55, 0.75)), "backlight": ((1.3, 1.2, 1.05), (0.55, 0.62, 0.75)),
         "dusk": ((0.75, 0.62, 0.66), (0.32, 0.36, 0.52)), "night": ((0.10, 0.09, 0.10), (0.03, 0.03, 0.05))}  # fmt: skip


@lru_cache(maxsize=64)
def tile(grain: int) -> np.ndarray:
    """Chance in −1..1 over a tile that repeats, ``[TILE, TILE]``: fine grain on patches on broad ones, smoothed."""
    rng = np.random.default_rng(grain)
    total = np.zeros((TILE, TILE), np.float32)
    for cells, weight in ((256, 0.34), (64, 0.33), (16, 0.33)):
        grid = rng.integers(-127, 128, (cells, cells)).astype(np.float32) / np.float32(127)
        grid = np.repeat(np.repeat(grid, TILE // cells, 0), TILE // cells, 1)
        for axis in (0, 1):
            step = TILE // cells // 2
            grid = (grid + np.roll(grid, step, axis)) * np.float32(0.5) if step else grid
        total += np.float32(weight) * grid
    return total


@lru_cache(maxsize=128)
def panorama(grain: int, light: str) -> np.ndarray:
    """Linear brightness around a camera's road relative to its sky, ``[3, ROWS · COLUMNS]``: ground, skyline, sky."""
    rng = np.random.default_rng([grain, 5])
    up = (np.arange(ROWS, dtype=np.float32) + np.float32(0.5)) / np.float32(ROWS / 2) - 1  # −1 below .. 1 overhead
    horizon, zenith = (np.array(c, np.float32) for c in SKIES[light])
    high = np.clip(up, 0, 1)[:, None]
    sky = horizon + (zenith - horizon) * np.minimum(2 * high, 1)
    picture = np.repeat(sky[:, None], COLUMNS, 1)
    if light == "overcast" or rng.random() < 0.5:
        clouds = tile(grain)[:ROWS, :COLUMNS]
        picture *= 1 + np.float32(0.25) * clouds[..., None]
    tall = np.zeros(COLUMNS, np.float32)
    tone = np.zeros((COLUMNS, 3), np.float32)
    start = 0
    while start < COLUMNS:
        wide = int(rng.integers(4, 26))
        tall[start : start + wide] = rng.uniform(0.0, 0.42) if rng.random() < 0.75 else 0
        tone[start : start + wide] = np.array(((0.5, 0.48, 0.45), (0.2, 0.28, 0.14), (0.35, 0.3, 0.28), (0.6, 0.6, 0.6))[
            int(rng.integers(4))], np.float32) * np.float32(rng.uniform(0.4, 1.0))  # fmt: skip
        start += wide
    block = (up[:, None] < tall) & (up[:, None] > 0)
    panes = (np.arange(ROWS)[:, None] % 3 == 1) & (np.arange(COLUMNS) % 4 < 2)
    faces = (tone * tone)[None] * np.where(panes, np.float32(0.6), np.float32(1))[..., None]
    picture = np.where(block[..., None], faces * np.float32(0.7), picture)
    ground = np.float32(0.16) + np.float32(0.06) * tile(grain)[:ROWS, :COLUMNS]
    picture = np.where((up < 0)[:, None, None], ground[..., None], picture)
    return np.ascontiguousarray(picture.reshape(-1, 3).T.astype(np.float32))


def around(camera: StreetCamera, dx: np.ndarray, dy: np.ndarray, dz: np.ndarray) -> np.ndarray:
    """What is seen far away along directions (road's frame, any length), linear ``[3, N]``."""
    flat = np.abs(dx) + np.abs(dy) + np.float32(1e-6)
    turn = dx / flat
    turn = np.where(dy >= 0, 1 - turn, 3 + turn) * np.float32(COLUMNS / 4)
    rise = (dz / (flat + np.abs(dz)) + 1) * np.float32(ROWS / 2)
    cell = np.clip(rise.astype(np.int32), 0, ROWS - 1) * COLUMNS + turn.astype(np.int32) % COLUMNS
    sky = column(camera.skylight) + np.float32(0.3) * column(camera.sunlight)
    return panorama(camera.grain, camera.light).take(cell, 1) * sky


def column(color) -> np.ndarray:
    """A colour as float32 ``[3, 1]``."""
    return np.array(color, np.float32)[:, None]


def shade(camera: StreetCamera, x: np.ndarray, y: np.ndarray, z: np.ndarray | float = 0.0) -> np.ndarray:
    """Share of the sun that leaves and houses let through to points of the road's frame, 0.15 or 1."""
    sx, sy, sz = camera.sun
    u, v = x - z * np.float32(sx / sz), y - z * np.float32(sy / sz)
    cell = (np.floor(u * 6).astype(np.int32) % TILE, np.floor(v * 6).astype(np.int32) % TILE)
    return np.where(tile(camera.grain + 1)[cell] < np.float32(camera.leafy - 0.42), np.float32(0.15), np.float32(1))


def backdrop(camera: StreetCamera, eye, rays: np.ndarray, shadows: list) -> np.ndarray:
    """Linear colours ``[3, N]`` of what rays ``[3, N]`` see beside vehicles; ``shadows``: (vehicle, place) of what throws them."""
    dx, dy, dz = rays
    color = np.empty((3, len(dx)), np.float32)
    down = dz < np.float32(-0.02)
    ground, rest = np.flatnonzero(down), np.flatnonzero(~down)
    if len(rest):
        color[:, rest] = around(camera, dx[rest], dy[rest], dz[rest])
    gx, gy, gz = dx[ground], dy[ground], dz[ground]
    reach = np.float32(-eye[2]) / gz
    x, y = np.float32(eye[0]) + reach * gx, np.float32(eye[1]) + reach * gy
    sun, sky = column(camera.sunlight) * np.float32(camera.sun[2]), column(camera.skylight)
    bright, open_ = np.ones(len(x), np.float32), np.ones(len(x), np.float32)
    for vehicle, place in shadows:
        one, two = _shadow(camera, vehicle.spec, place, x, y)
        bright, open_ = np.minimum(bright, one), open_ * two
    if camera.leafy:
        bright = bright * shade(camera, x, y)
    lit = _ground(camera, x, y) * (sky * open_ + sun * bright)
    if camera.wet:
        long = np.sqrt(gx * gx + gy * gy + gz * gz)
        graze = 1 + gz / long
        mirror = np.float32(camera.wet) * (np.float32(0.03) + np.float32(0.6) * graze * graze * graze) * open_
        lit += mirror * around(camera, gx, gy, -gz)
    color[:, ground] = lit
    if camera.wall is not None:
        _wall(camera, eye, rays, color)
    if camera.haze:
        color += np.float32(camera.haze) * (sky * np.float32(0.4) - color)
    return color


def _ground(camera: StreetCamera, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Linear colour of the ground: worn asphalt with tracks and mended patches, lines, kerb, verge."""
    rough = tile(camera.grain)[np.floor(x * 7).astype(np.int32) % TILE, np.floor(y * 7).astype(np.int32) % TILE]
    broad = tile(camera.grain)[
        np.floor(x * np.float32(0.6)).astype(np.int32) % TILE, np.floor(y * 2).astype(np.int32) % TILE
    ]
    tone = np.float32(camera.road) * (1 + np.float32(0.10) * rough + np.float32(0.10) * broad)
    tone = np.where(broad > 0.45, tone * np.float32(0.86), tone)
    beside, edge, lane = np.abs(y), np.float32(2 * camera.lane * camera.lanes), np.float32(2 * camera.lane)
    within = beside / lane
    within = np.abs(within - np.floor(within) - np.float32(0.5))
    tone = np.where(np.abs(within - np.float32(0.22)) < 0.07, tone * np.float32(0.93), tone)
    style = camera.grain % 4
    worn = np.float32(0.12) * rough + np.float32(0.74)
    dash = x / np.float32((6.0, 9.0, 12.0, 4.5)[style])
    dashed = dash - np.floor(dash) < (0.5, 0.35, 0.3, 0.6)[style]
    line = (within > np.float32(0.5 - 0.075 / float(lane))) & (beside < edge - 1) & (dashed | (beside < 1))
    line |= np.abs(beside - edge + np.float32(0.3)) < 0.08
    tone = np.where(line, worn, tone)
    tone = np.where((beside > edge) & (beside < edge + 0.25), np.float32(0.62) + np.float32(0.08) * rough, tone)
    tone = tone * np.float32(1 - 0.22 * camera.wet)
    color = np.repeat(tone[None], 3, axis=0)
    if style == 1:
        color[2, line & (beside < 1)] *= np.float32(0.4)
    verge = np.flatnonzero(beside >= edge + np.float32(0.25))
    tint, varied = camera.verge
    color[:, verge] = column(tint) * (1 + np.float32(1.5 * varied) * (rough + broad)[verge])
    return color * color


def _wall(camera: StreetCamera, eye, rays: np.ndarray, color: np.ndarray) -> None:
    """A barrier, hedge or house front along the road, on the side that the rays run to."""
    dx, dy, dz = rays
    away, height, tone = camera.wall
    across = np.where(np.abs(dy) > 1e-4, dy, np.float32(1e-4))
    reach = (np.copysign(np.float32(away), across) - np.float32(eye[1])) / across
    x, z = np.float32(eye[0]) + reach * dx, np.float32(eye[2]) + reach * dz
    hit = np.flatnonzero((reach > 0) & (z > 0) & (z < height) & (np.abs(x) < 150))
    x, z = x[hit], z[hit]
    rough = tile(camera.grain)[np.floor(x * 5).astype(np.int32) % TILE, np.floor(z * 9).astype(np.int32) % TILE]
    level = 1 + np.float32(0.25) * rough
    if height > 2 and tone[1] < 0.6:
        px, pz = x / np.float32(2.4), z / np.float32(3.0)
        pane = (px - np.floor(px) < 0.55) & (np.abs(pz - np.floor(pz) - np.float32(0.55)) < 0.25)
        level = np.where(pane, level * np.float32(0.45), level)
    elif height <= 2:
        px = x / np.float32(3.0)
        level = np.where(px - np.floor(px) < 0.03, level * np.float32(0.6), level) * (
            np.float32(0.7) + np.float32(0.4) * (z > 0.3 * height)
        )
    shown = column(tone) * level
    color[:, hit] = (
        shown * shown * (np.float32(0.6) * column(camera.skylight) + np.float32(0.35) * column(camera.sunlight))
    )


def _shadow(camera: StreetCamera, spec, place, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much sun (first) and sky (second) a vehicle leaves to points of the ground, 0..1."""
    px, py, c, s = (np.float32(value) for value in place)
    ox, oy = c * (x - px) + s * (y - py), c * (y - py) - s * (x - px)
    sx = c * np.float32(camera.sun[0]) + s * np.float32(camera.sun[1])
    sy = c * np.float32(camera.sun[1]) - s * np.float32(camera.sun[0])
    half, width = np.float32(spec.length / 2), np.float32(spec.width / 2)
    sun = np.ones(len(x), np.float32)
    for layer in LAYERS if camera.sunlight[1] > 0.15 else ():
        run = np.float32(layer * max(spec.height, spec.deck) / camera.sun[2])
        inset = np.float32(0.0 if layer < 0.5 or spec.base_f < 0.15 else 0.16 * spec.length)
        sun = np.minimum(sun, _outside(ox + run * sx, oy + run * sy, half - inset, width, np.float32(0.15)))
    near = _outside(ox, oy, half - np.float32(0.15), width - np.float32(0.15), np.float32(0.9))
    return sun, np.float32(0.10) + np.float32(0.90) * np.sqrt(near)
