"""Marks and wear, stamped onto charts: lettering, stickers, mended panels, scratches, rust, dents, stripes, posters."""

from __future__ import annotations

import numpy as np

from reidpapers.vehicles.render.geometry import along
from reidpapers.vehicles.render.street.body import FRONT, LEFT, REAR, RIGHT, end_of
from reidpapers.vehicles.render.street.chart import MATTE, PAINT, Chart
from reidpapers.vehicles.render.street.vehicles import Mark, StreetVehicle


def noise(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Blotches and streaks in −1..1, ``[V, U]`` float32: two grids of chance, one finer."""
    rng = np.random.default_rng(seed)
    total = np.zeros(shape, np.float32)
    for cells, weight in ((4, 0.5), (14, 0.5)):
        grid = rng.random((cells + 1, 2 * cells + 1), dtype=np.float32)
        total += np.float32(weight) * _between(_between(grid, shape[0]).T, shape[1]).T
    return 2 * total - 1


def _between(grid: np.ndarray, count: int) -> np.ndarray:
    """Rows of a grid drawn out to ``count``, straight from one to the next."""
    at = np.arange(count, dtype=np.float32) * np.float32((len(grid) - 1) / count)
    low = at.astype(np.int32)
    part = (at - low)[:, None]
    return grid[low] * (1 - part) + grid[low + 1] * part


def field(v: StreetVehicle, panel: int) -> tuple[float, float, float, float]:
    """Where a panel takes marks: a0, a1, b0, b1 in metres."""
    s = v.spec
    loaded = s.cargo not in ("", "bed")
    if panel in (LEFT, RIGHT):
        if loaded:
            return -s.length / 2 + 0.3, end_of(s) - 0.3, 1.2, max(s.deck - 0.15, 1.5)
        return -s.length / 2 + 0.35, s.length / 2 - 0.8, s.clearance + 0.25, s.belt - 0.04
    if panel == FRONT:
        return -0.36 * s.width, 0.36 * s.width, s.clearance + 0.2, s.cowl + 0.25
    if panel == REAR:
        if loaded:
            return -0.4 * s.width, 0.4 * s.width, 1.2, max(s.deck - 0.15, 1.5)
        return -0.38 * s.width, 0.38 * s.width, s.clearance + 0.2, s.tail + 0.25
    if loaded:
        return -s.length / 2 + 0.3, end_of(s) - 0.3, -0.4 * s.width, 0.4 * s.width
    front = s.length / 2 - 0.3 if s.base_f > 0.2 else along(s, s.roof_f)
    return along(s, s.roof_r) + 0.1, front, -0.34 * s.width, 0.34 * s.width


def stamp(c: Chart, v: StreetVehicle, panel: int, mark: Mark, number: int) -> None:
    """Put one mark on one panel."""
    a0, a1, b0, b1 = field(v, panel)
    a, b = a0 + (a1 - a0) * mark.u, b0 + (b1 - b0) * mark.v
    _STAMPS[mark.kind](c, v, a, b, mark, number)


def _text(c: Chart, v: StreetVehicle, a: float, b: float, mark: Mark, number: int) -> None:
    """A word of made-up letters, five cells high; a second line below it, smaller, as often as not."""
    rng = np.random.default_rng(mark.seed)
    for line in range(1 + int(rng.integers(2))):
        cells = rng.random((5, 4 * int(rng.integers(3, 9)))) < 0.62
        cells[:, 3::4] = False
        high = 2 * mark.size * (1.0, 0.55)[line]
        pitch = high / 5
        u = np.floor((c.a - np.float32(a)) / np.float32(pitch) + cells.shape[1] / 2).astype(np.int32)
        w = np.floor((np.float32(b + mark.size - line * 2.3 * mark.size) - c.b) / np.float32(pitch)).astype(np.int32)
        where = (u >= 0) & (u < cells.shape[1]) & (w >= 0) & (w < 5)
        inked = cells[np.clip(w, 0, 4), np.clip(u, 0, cells.shape[1] - 1)]
        c.put(where & inked, (mark.color, mark.second)[line], PAINT, number)


def _sticker(c: Chart, v: StreetVehicle, a: float, b: float, mark: Mark, number: int) -> None:
    """A disc, a square, a diamond, a bar or a ring, often of two colours."""
    form, size = mark.seed % 5, mark.size
    u, w = np.abs(c.a - np.float32(a)) / np.float32(size), np.abs(c.b - np.float32(b)) / np.float32(size)
    inside = {0: u * u + w * w < 1, 1: (u < 1) & (w < 1), 2: u + w < 1.2, 3: (u < 2) & (w < 0.6), 4: u * u + w * w < 1}[
        form
    ]
    c.put(inside, mark.color, PAINT, number)
    if mark.seed // 5 % 2:
        c.put(inside & (u * u + w * w < 0.3), mark.second, PAINT, number)


def _panel(c: Chart, v: StreetVehicle, a: float, b: float, mark: Mark, number: int) -> None:
    """A mended panel: bare primer, or a shade that does not quite fit."""
    wide = 0.25 + 2.0 * mark.size
    where = c.window(a - wide, a + wide, b - 1.6 * mark.size, b + 1.6 * mark.size)
    shade = 0.62 if mark.seed % 2 else 1.35
    painted = c.kind[where] == PAINT
    tone = c.rgb[where] * np.float32(shade)
    tone = tone + np.float32(0.5) * (np.float32(0.42) - tone) if mark.seed // 2 % 2 else tone
    c.rgb[where] = np.where(painted[..., None], tone, c.rgb[where])
    c.mark[where] = np.where(painted, number, c.mark[where])


def _scratch(c: Chart, v: StreetVehicle, a: float, b: float, mark: Mark, number: int) -> None:
    """A long scratch that climbs or falls, bare metal or primer."""
    slope = (mark.seed % 200 - 100) / 250
    off = np.abs(c.b - np.float32(b) - np.float32(slope) * (c.a - np.float32(a)))
    light = (0.82, 0.82, 0.8) if sum(v.paint) < 1.8 else (0.25, 0.22, 0.2)
    c.put((off < max(0.02, 0.8 / c.pitch)) & (np.abs(c.a - np.float32(a)) < 4 * mark.size), light, MATTE, number)


def _rust(c: Chart, v: StreetVehicle, a: float, b: float, mark: Mark, number: int) -> None:
    """A ragged patch of rust."""
    ragged = c.ellipse(a, b, 1.6 * mark.size, 1.1 * mark.size) + np.float32(0.9) * noise(c.shape, mark.seed)
    c.put((ragged < 0.75) & (c.kind == PAINT), (0.36, 0.2, 0.1), MATTE, number)


def _dent(c: Chart, v: StreetVehicle, a: float, b: float, mark: Mark, number: int) -> None:
    """A dent: dark above, light below."""
    inside = (c.ellipse(a, b, 1.5 * mark.size, mark.size) < 1) & (c.kind == PAINT)
    upper = inside & (c.b > np.float32(b))
    c.rgb[upper] *= np.float32(0.5)
    lower = inside & ~upper
    c.rgb[lower] = c.rgb[lower] * np.float32(0.75) + np.float32(0.3)
    c.mark[inside] = number


def _stripe(c: Chart, v: StreetVehicle, a: float, b: float, mark: Mark, number: int) -> None:
    """A band right across, a double line, or a slanting wedge."""
    lean = (0.0, 0.0, 0.5)[mark.seed % 3]
    off = np.abs(c.b - np.float32(b) - np.float32(lean) * (c.a - np.float32(a)))
    band = off < 0.5 * mark.size
    if mark.seed // 3 % 2:
        band &= off > 0.2 * mark.size
    c.put(band & (c.kind == PAINT), mark.color, PAINT, number)


def _poster(c: Chart, v: StreetVehicle, a: float, b: float, mark: Mark, number: int) -> None:
    """A printed picture: blotches of two colours in a frame."""
    wide = 2.2 * mark.size
    inside = (np.abs(c.a - np.float32(a)) < wide) & (np.abs(c.b - np.float32(b)) < 1.6 * mark.size)
    c.put(inside, mark.color, PAINT, number)
    c.put(inside & (noise(c.shape, mark.seed) > 0.0), mark.second, PAINT, number)


_STAMPS = {"text": _text, "sticker": _sticker, "panel": _panel, "scratch": _scratch, "rust": _rust, "dent": _dent,
           "stripe": _stripe, "poster": _poster}  # fmt: skip
