"""What is painted on a vehicle's flanks and top, and the whole put together."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from reidpapers.vehicles.render.geometry import along
from reidpapers.vehicles.render.mesh import Part
from reidpapers.vehicles.render.street.body import LEFT, end_of
from reidpapers.vehicles.render.street.chart import CHROME, GLASS, LAMP, LIGHT, MATTE, PAINT, Atlas, Chart, pack
from reidpapers.vehicles.render.street.ends import front, rear
from reidpapers.vehicles.render.street.look import BLACK, LENS, PLASTIC, RUBBER, TAIL, glass
from reidpapers.vehicles.render.street.marks import noise, stamp
from reidpapers.vehicles.render.street.vehicles import FITTING, StreetVehicle

# Texels along the longest side of the flanks and across the ends.
FLANK, END = 160, 84
EARTH = (0.45, 0.41, 0.35)
# Parts of one colour: their texels follow those of the five charts.
SINGLE = {Part.DARK: 5, Part.TYRE: 6, Part.EXTRA: 7, Part.WING: 8, Part.MIRROR: 9, Part.BED: 10}


@lru_cache(maxsize=128)
def atlas(vehicle: StreetVehicle) -> Atlas:
    """All that is painted on a vehicle."""
    s, paint = vehicle.spec, vehicle.paint
    half, width, tall = s.length / 2 + 0.1, s.width / 2 + 0.05, max(s.height, s.deck) + 0.4
    pitch, fine = FLANK / s.length, END / s.width
    charts = [Chart((-half, 0.0), (half, tall), pitch, paint) for _ in range(2)]
    charts.append(Chart((-half, -width), (half, width), pitch, paint))
    charts += [Chart((-width, 0.0), (width, tall), fine, paint) for _ in range(2)]
    for number in (0, 1):
        flank(charts[number], vehicle, number == LEFT)
    top(charts[2], vehicle)
    front(charts[3], vehicle)
    rear(charts[4], vehicle)
    for number, mark in enumerate(vehicle.marks[: FITTING - 1]):
        for panel in mark.panels:
            stamp(charts[panel], vehicle, panel, mark, number + 1)
    for chart in charts[:2]:
        wheels(chart, vehicle)
    age(charts, vehicle)
    mirror = BLACK if s.dark_posts and s.bumper != "body" else paint
    fitting = (vehicle.fitting, PAINT, FITTING)
    single = [(PLASTIC, MATTE, 0), (RUBBER, MATTE, 0), fitting, fitting, (mirror, PAINT, 0), (vehicle.load, MATTE, 0)]
    return pack(charts, single)


def flank(c: Chart, v: StreetVehicle, left: bool) -> None:
    """One side: panels, gaps, windows, and the lamps that reach round the corners."""
    s = v.spec
    fore, aft, sill = s.length / 2, end_of(s), s.clearance
    if v.lower:
        c.rect(-9, 9, 0, sill + s.crease * (s.belt - sill), v.lower, PAINT)
    crease = sill + s.crease * (s.belt - sill)
    c.level(crease, aft, fore, 0.86, 0.03)
    c.level(crease + 0.07, aft, fore, 1.07, 0.03)
    c.rect(-9, 9, 0, sill + 0.08 + s.cladding, PLASTIC)
    c.shade(c.window(-9, 9, 0, sill + 0.02), 0.5)
    if s.bumper != "body":
        low, high = (s.clearance, s.clearance + 0.30) if s.bumper == "half" else (0, 0.62 * s.nose)
        for a0, a1 in ((fore - 0.32, 9), (-9, aft + 0.26)):
            c.rect(a0, a1, low, high, PLASTIC)
    _doors(c, s, left)
    windows(c, v)
    a, b, low, high = s.lamp
    c.rect(fore - 0.12 - 0.3 * (s.lamp_form % 3 == 0) - s.round * 0.3, 9, low + 0.02, high, LENS, LAMP)
    if s.cab == 1:
        a, b, low, high = s.light
        reach = 0.1 + (0.22 if s.light_form in (1, 4) else 0.02)
        c.rect(-9, aft + reach, low, high, TAIL, LIGHT)
    if s.cargo not in ("", "bed"):
        _load(c, v)


def _doors(c: Chart, s, left: bool) -> None:
    """Gaps between doors, handles, a moulding, the lid of the tank."""
    low = s.clearance + 0.12
    for number, door in enumerate(s.doors):
        c.line(along(s, door), low, s.belt + 0.02, 0.5)
        if number and s.type != "bus":
            c.rect(
                along(s, door) + 0.05,
                along(s, door) + 0.2,
                s.belt - 0.16,
                s.belt - 0.12,
                BLACK if s.trim < 0.1 else (0.6,) * 3,
            )
    if s.type == "bus" and not left:
        for door in s.doors[:3:2]:
            c.rect(along(s, door) - 1.0, along(s, door), s.clearance + 0.15, s.height - 0.5, (0.13, 0.14, 0.16), GLASS)
            c.line(along(s, door) - 0.5, s.clearance, s.height - 0.5, 1.8, 0.03)
    if s.grille_form % 2:
        c.rect(along(s, s.doors[-1]), along(s, s.doors[0]), s.clearance + 0.3, s.clearance + 0.36, PLASTIC)
    if left and s.cargo == "":
        c.level(s.belt - 0.2, end_of(s) + 0.55, end_of(s) + 0.72, 0.8, 0.08)


def windows(c: Chart, v: StreetVehicle) -> None:
    """Side glass between slanting ends, its frame, and the posts."""
    s = v.spec
    foot, head, tail, end = (along(s, f) for f in (s.base_f, s.roof_f, s.roof_r, s.base_r))
    place = (np.float32(foot) - c.a) / np.float32(max(foot - end, 0.3))
    low = np.float32(s.belt) + np.float32(s.rise) * place
    span = np.float32(s.height - s.swell - s.belt)
    up = (c.b - low) / span
    ahead = np.float32(foot) + np.float32(head - foot) * up - c.a
    behind = c.a - np.float32(end) - np.float32(tail - end) * up
    first, last = s.glazed
    inner = (place > first) & (place < last)
    w0, w1 = s.window
    top = min(w1, 0.88)
    gap = 0.10 if s.base_f > 0.05 else 0.04
    frame = (up > w0 - 0.05) & (up < top + 0.05) & (ahead > gap - 0.04) & (behind > 0.05) & inner
    c.put(frame, (s.trim,) * 3, CHROME if s.trim > 0.5 else MATTE)
    pane = (up > w0) & (up < top) & (ahead > gap) & (behind > 0.10) & inner
    shown = glass(c, v.tint, v.seed + 1)
    c.put(pane, shown[np.broadcast_to(pane, c.shape)], GLASS)
    post = BLACK if s.dark_posts else v.paint
    for pillar in s.pillars:
        c.put(frame & (np.abs(place - np.float32(pillar)) < 0.035 / max(foot - end, 0.5) + 0.004), post, MATTE)


def wheels(c: Chart, v: StreetVehicle) -> None:
    """Dark arches, tyres, rims with spokes, hubs."""
    s = v.spec
    for axle in s.axles:
        x, r = along(s, axle), s.wheel
        side = c.window(x - 1.4 * r, x + 1.4 * r, 0, 2.5 * r)
        a, b = c.a[:, side[1]] - np.float32(x), c.b[side[0]] - np.float32(r)
        far = a * a + b * b
        rgb, kind, mark = c.rgb[side], c.kind[side], c.mark[side]
        if s.cladding:
            rgb[far < (1.36 * r) ** 2] = PLASTIC
        arch = far < (1.2 * r) ** 2
        rgb[arch], kind[arch], mark[arch] = (0.03, 0.03, 0.03), MATTE, 0
        rgb[far < r * r] = RUBBER
        rim = far < (s.rim * r) ** 2
        kind[rim] = CHROME
        rgb[rim] = v.rim
        if s.spokes:
            beam = np.abs(_spoke(a, b, s.spokes))
            rgb[rim & (far > (0.2 * r) ** 2) & (far < (0.9 * s.rim * r) ** 2) & (beam > 0.5)] = v.rim * 0.22
        else:
            rgb[rim & (far < (0.45 * r) ** 2)] = v.rim * 0.7
        rgb[far < (0.13 * r) ** 2] = v.rim * 0.5


def _spoke(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """A wave around a centre with ``count`` crests, by multiplying angles: no machine's arctangent matters."""
    length = np.sqrt(a * a + b * b) + np.float32(1e-6)
    c, s = a / length, b / length
    x, y = c, s
    for _ in range(count - 1):
        x, y = x * c - y * s, x * s + y * c
    return np.float32(0.5) - np.float32(0.5) * x


def _load(c: Chart, v: StreetVehicle) -> None:
    """The side of what a truck carries, and the chassis below it."""
    s = v.spec
    front_end, rear_end = end_of(s) - 0.12, -s.length / 2
    c.rect(-9, front_end, 0, 1.02, PLASTIC)
    for at in np.arange(rear_end + 0.4, front_end - 0.4, 1.3):
        c.rect(at, at + 0.7, 0.55, 0.9, (0.24, 0.24, 0.25) if int(at * 10) % 2 else (0.1, 0.1, 0.1))
    color = (0.45, 0.36, 0.26) if s.cargo == "flat" else v.load
    c.rect(-9, front_end, 1.02, 9, color, CHROME if s.cargo == "tank" and v.load[0] > 0.5 else PAINT)
    step = {"box": 0.62, "container": 0.28, "tipper": 0.75, "tank": 1.5, "flat": 1.2, "mixer": 0.8}[s.cargo]
    lean = 0.5 if s.cargo == "mixer" else 0.0
    phase = (c.a + np.float32(lean) * c.b) / np.float32(step)
    phase = np.broadcast_to(phase - np.floor(phase), c.shape)
    area = c.window(-9, front_end, 1.06, 9)
    c.rgb[area] *= np.where(phase < (0.5 if s.cargo == "container" else 0.1), np.float32(0.78), np.float32(1))[area][
        ..., None
    ]
    if s.cargo in ("box", "container"):
        for level in (1.06, s.deck - 0.06):
            c.level(level, rear_end, front_end, 0.7, 0.05)
        for at in (rear_end + 0.05, front_end - 0.05):
            c.line(at, 1.0, s.deck, 0.7, 0.04)
    c.rect(-9, rear_end + 0.1, 0.7, 0.9, TAIL, LIGHT)


def top(c: Chart, v: StreetVehicle) -> None:
    """Bonnet and roof from above: seams, sunroof, a dark roof, a pickup's bed, the top of a load."""
    s = v.spec
    w, head, tail = s.width / 2, along(s, s.roof_f), along(s, s.roof_r)
    for side in (1, -1):
        c.shade(c.window(along(s, s.base_f), s.length / 2 - 0.15, side * w * 0.45 - 0.03, side * w * 0.45 + 0.03), 0.9)
    c.line(along(s, s.base_f) + 0.06, -w, w, 0.5, 0.04)
    c.line(s.length / 2 - 0.3 * s.round - 0.06, -w, w, 0.55)
    if s.dark_roof:
        c.rect(tail - 0.2, head + 0.1, -w, w, BLACK, PAINT)
    if s.sunroof and s.cargo == "":
        c.rect((head + tail) / 2, head - 0.25, -0.36, 0.36, (0.05, 0.05, 0.06), GLASS)
    if s.type in ("van", "bus", "mpv"):
        for at in np.arange(tail + 0.3, head - 0.2, 0.5):
            c.line(float(at), -0.8 * w, 0.8 * w, 0.88, 0.05)
    if s.cargo == "bed":
        c.rect(-9, along(s, s.base_r) - 0.05, -w * 0.86, w * 0.86, (0.1, 0.1, 0.1))
    elif s.cargo:
        c.rect(-9, end_of(s) - 0.1, -9, 9, tuple(0.9 * k for k in v.load), MATTE)
        for at in np.arange(-s.length / 2, end_of(s) - 0.2, 0.9):
            c.line(float(at), -9, 9, 0.85, 0.04)


def age(charts: list[Chart], v: StreetVehicle) -> None:
    """Dull paint, dust from below, blotches: everywhere, the same for every picture."""
    dull, earth = np.float32(0.5 * v.fade), np.array(EARTH, np.float32)
    for number, c in enumerate(charts):
        grain = noise(c.shape, v.seed + number)
        low = np.clip(1.0 - c.b / np.float32(v.spec.height * 0.8), 0.06, 1) if number != 2 else np.float32(0.35)
        dust = np.clip(np.float32(v.dirt) * np.float32(0.75) * low * (1 + np.float32(0.9) * grain), 0, 0.8)
        keep = (1 - dust) * (1 + np.float32(0.04 + 0.1 * v.fade) * grain)
        faded = dull * (c.kind == PAINT)
        grey = np.float32(0.2) * (c.rgb[..., 0] + c.rgb[..., 1] + c.rgb[..., 2]) + np.float32(0.22)
        for channel in range(3):
            level = c.rgb[..., channel]
            c.rgb[..., channel] = (level + faded * (grey - level)) * keep + dust * earth[channel]
