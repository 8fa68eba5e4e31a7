"""What is painted on a vehicle's front and rear: bumpers, grille, lamps, windows, plate, doors of a load."""

from __future__ import annotations

import numpy as np

from reidpapers.vehicles.render.street.chart import CHROME, GLASS, LAMP, LIGHT, MATTE, PAINT, Chart
from reidpapers.vehicles.render.street.look import AMBER, BLACK, LENS, PLASTIC, STEEL, TAIL, glass
from reidpapers.vehicles.render.street.vehicles import StreetVehicle


def front(c: Chart, v: StreetVehicle) -> None:
    """Bumper, grille, lamps, windscreen, plate."""
    s = v.spec
    w = s.width / 2
    if v.lower:
        c.rect(-9, 9, 0, s.clearance + s.crease * (s.belt - s.clearance), v.lower, PAINT)
    _bumper(c, v, s.grille[1])
    y, low, high = s.grille
    _grille(c, s.grille_form, 0.9 * y * s.width / 2 + 0.1, low, high)
    a, b, z0, z1 = s.lamp
    _lamps(c, s.lamp_form, a * w * 0.96, b * w, z0, z1)
    c.level(max(z1, high) + 0.05, -0.8 * w, 0.8 * w, 0.6)
    _windscreen(c, v)
    c.rect(-s.badge, s.badge, (low + high) / 2 - s.badge, (low + high) / 2 + s.badge, (0.75,) * 3, CHROME)
    plate(c, v, max(s.clearance + 0.14, low - 0.2))


def _bumper(c: Chart, v: StreetVehicle, top: float) -> None:
    """Bumper with an opening; dark, half dark, or as the body."""
    s, w = v.spec, v.spec.width / 2
    high = {"body": s.clearance + 0.08, "half": s.clearance + 0.26, "dark": max(top - 0.05, s.clearance + 0.34)}[
        s.bumper
    ]
    c.rect(-9, 9, 0, high + s.cladding / 2, PLASTIC)
    c.rect(-0.62 * w, 0.62 * w, s.clearance + 0.05, s.clearance + 0.2, (0.05,) * 3)
    c.shade(c.window(-9, 9, 0, s.clearance + 0.04), 0.4)
    c.level(high + 0.3 * (top - high), -w, w, 0.72)
    if s.lamp_form % 2:
        c.both(0.66 * w, 0.8 * w, s.clearance + 0.1, s.clearance + 0.2, LENS, LAMP)


def _grille(c: Chart, form: int, half: float, low: float, high: float) -> None:
    """An opening with bars, a mesh, a frame, two halves, or nothing but a slit."""
    if form == 4:
        low = high - 0.07
    c.rect(-half, half, low, high, (0.05, 0.05, 0.055))
    if form in (0, 3):
        for level in np.linspace(low, high, 5)[1:-1]:
            c.rect(-half, half, level - 0.012, level + 0.012, STEEL, CHROME)
    elif form == 1:
        for y in np.linspace(-half, half, 12):
            c.rect(y - 0.012, y + 0.012, low, high, (0.3,) * 3)
    elif form == 2:
        c.rect(-0.05, 0.05, low, high, (0.5,) * 3, CHROME)
    if form in (1, 5):
        for b0, b1 in ((low - 0.03, low + 0.01), (high - 0.01, high + 0.03)):
            c.rect(-half, half, b0, b1, STEEL, CHROME)


def _lamps(c: Chart, form: int, a: float, b: float, low: float, high: float) -> None:
    """Headlamps: block, round, slim, slanting, or twin; each in a dark housing."""
    if form == 2:
        low = high - 0.45 * (high - low)
    c.both(a - 0.015, b + 0.1, low - 0.02, high + 0.02, (0.16, 0.17, 0.18), CHROME)
    if form == 1:
        r = 0.52 * (high - low)
        for sign in (1, -1):
            c.put(c.ellipse(sign * min(a + 1.3 * r, b - r), (low + high) / 2, r, r) < 1, LENS, LAMP)
    elif form == 3:
        slant = np.float32((high - low) / max(b - a, 0.1))
        edge = np.float32(low) + slant * np.float32(0.6) * (np.abs(c.a) - np.float32(a))
        c.put((np.abs(c.a) > a) & (np.abs(c.a) < b + 0.1) & (c.b > edge) & (c.b < high), LENS, LAMP)
    elif form == 4:
        c.both(a, (a + b) / 2 - 0.02, low, high, LENS, LAMP)
        c.both((a + b) / 2 + 0.02, b, low, high, LENS, LAMP)
    else:
        c.both(a, b + 0.1, low, high, LENS, LAMP)
    c.both(b - 0.1, b + 0.1, low, low + 0.3 * (high - low), AMBER, LAMP)


def _windscreen(c: Chart, v: StreetVehicle) -> None:
    """Glass between black edges, wipers, a mirror, a bus's sign above."""
    s = v.spec
    low, high = s.cowl + 0.03, s.height - s.swell - 0.07
    if s.type == "bus":
        low, high = min(s.cowl, s.belt) + 0.02, s.height - 0.16
    up = (c.b - np.float32(low)) / np.float32(high - low)
    half = np.float32(s.width * 0.475 - 0.05) - np.float32(s.tumble) * up
    inside = (np.abs(c.a) < half) & (up > -0.03) & (up < 1)
    c.put(inside, BLACK, MATTE)
    pane = (np.abs(c.a) < half - 0.05) & (up > 0.03) & (up < 0.94)
    c.put(pane, (glass(c, v.tint * 0.7 + 0.03, v.seed))[np.broadcast_to(pane, c.shape)], GLASS)
    for y in (-0.1, 0.35):
        where = np.abs(c.b - np.float32(low + 0.02) - np.float32(0.35) * (c.a - np.float32(y - 0.3))) < 0.02
        c.put(where & (c.a > y - 0.35) & (c.a < y + 0.1) & inside, BLACK, MATTE)
    if s.type == "bus":
        c.rect(-0.6 * s.width / 2, 0.6 * s.width / 2, high - 0.32, high - 0.08, (0.08, 0.06, 0.03))
        for k, cell in enumerate(v.plate[1] * 2):
            if cell:
                c.rect(-0.6 + 0.1 * k, -0.54 + 0.1 * k, high - 0.28, high - 0.12, (0.95, 0.6, 0.1), LAMP)


def rear(c: Chart, v: StreetVehicle) -> None:
    """Rear window, lights, bumper, plate; doors of vans and loads."""
    s = v.spec
    w = s.width / 2
    if v.lower:
        c.rect(-9, 9, 0, s.clearance + s.crease * (s.belt - s.clearance), v.lower, PAINT)
    if s.cargo not in ("", "bed"):
        _load_doors(c, v)
        return
    low, high = s.tail + 0.05, s.height - s.swell - 0.1
    _bumper(c, v, s.clearance + 0.5)
    if s.cargo == "bed":
        c.level(s.tail - 0.06, -w, w, 0.6)
    up = (c.b - np.float32(low)) / np.float32(max(high - low, 0.1))
    half = np.float32(w * 0.93 - 0.1) - np.float32(s.tumble) * up
    pane = (np.abs(c.a) < half) & (up > 0) & (up < (0.85 if s.type != "bus" else 0.8))
    if s.type == "van":
        pane &= np.abs(c.a) > 0.06
    frame = (np.abs(c.a) < half + 0.05) & (up > -0.06) & (up < 0.9)
    c.put(frame, BLACK if s.dark_posts else tuple(0.6 * k for k in v.paint), MATTE)
    c.put(pane, (glass(c, v.tint * 0.8, v.seed + 3))[np.broadcast_to(pane, c.shape)], GLASS)
    if s.wiper:
        c.rect(-0.28, 0.1, low + 0.05, low + 0.08, BLACK)
    _lights(c, v)
    _hatch(c, v)
    plate(c, v, (s.light[2] if s.plate_high else s.clearance + 0.16))
    c.rect(-s.badge, s.badge, s.tail - 0.16 - s.badge, s.tail - 0.16 + s.badge, (0.75,) * 3, CHROME)


def _hatch(c: Chart, v: StreetVehicle) -> None:
    """Gaps of the boot or of rear doors, a strip, reflectors, a spare wheel."""
    s, w = v.spec, v.spec.width / 2
    foot = s.clearance + 0.42
    if s.type == "bus":
        for level in np.arange(s.clearance + 0.4, s.tail - 0.3, 0.09):
            c.rect(-0.5 * w, 0.5 * w, level, level + 0.04, (0.1, 0.1, 0.1))
    elif s.type == "van":
        c.line(0.0, foot, s.height - 0.15, 0.3, 0.025)
        c.both(0.05, 0.16, s.belt - 0.2, s.belt - 0.15, BLACK)
    else:
        for side in (1, -1):
            c.line(side * 0.8 * w, foot, s.tail, 0.6)
        c.level(foot, -0.8 * w, 0.8 * w, 0.5)
    if s.grille_form in (1, 4):
        c.rect(-0.5 * w, 0.5 * w, s.light[2] + 0.17, s.light[2] + 0.22, STEEL, CHROME)
    c.both(0.7 * w, 0.9 * w, s.clearance + 0.2, s.clearance + 0.25, TAIL, LIGHT)
    if s.spokes > 6:
        c.both(0.45 * w, 0.58 * w, s.clearance + 0.02, s.clearance + 0.1, STEEL, CHROME)
    if s.spare:
        c.put(c.ellipse(0, s.tail * 0.9, 0.34, 0.34) < 1, (0.1, 0.1, 0.1), MATTE)
        c.put(c.ellipse(0, s.tail * 0.9, 0.27, 0.27) < 1, v.paint if s.spokes % 2 else STEEL, PAINT)


def _lights(c: Chart, v: StreetVehicle) -> None:
    """Rear lights: block, wrapped, upright, split, a band right across, or two rounds."""
    s, w = v.spec, v.spec.width / 2
    a, b, low, high = s.light
    a, b = a * w, b * w
    form = s.light_form
    if form == 4:
        c.rect(-b, b, high - 0.09, high, TAIL, LIGHT)
        a = max(a, 0.66 * w)
    if form == 2 and s.type not in ("truck", "bus"):
        a, high = max(a, 0.84 * w), s.belt + 0.35
    if form == 5:
        for level in (low + 0.25 * (high - low), low + 0.75 * (high - low)):
            for sign in (1, -1):
                r = 0.24 * (high - low) + 0.03
                c.put(c.ellipse(sign * (b - r - 0.03), level, r, r) < 1, TAIL, LIGHT)
        return
    c.both(a, b + 0.1, low, high, TAIL, LIGHT)
    if form in (0, 3):
        c.both(a, b + 0.1, low + 0.35 * (high - low), low + 0.55 * (high - low), (0.8, 0.78, 0.78), LIGHT)
    if form in (1, 3):
        c.both(max(a, 0.85 * w), b + 0.1, high - 0.3 * (high - low), high, AMBER, LIGHT)


def _load_doors(c: Chart, v: StreetVehicle) -> None:
    """The rear of a load and of its chassis: doors with bars, frame, lights, plate, mudflaps."""
    s, w = v.spec, v.spec.width / 2
    c.rect(-9, 9, 0, 1.02, PLASTIC)
    color = (0.45, 0.36, 0.26) if s.cargo == "flat" else v.load
    c.rect(-9, 9, 1.02, 9, color, PAINT)
    if s.cargo in ("box", "container"):
        c.line(0.0, 1.05, s.deck - 0.05, 0.35, 0.025)
        for y in (0.22, 0.62) if s.cargo == "container" or s.light_form % 2 else (0.5,):
            for sign in (1, -1):
                c.line(sign * y * w, 1.06, s.deck - 0.08, 1.25 if sum(v.load) < 1.5 else 0.55, 0.025)
        for b in np.linspace(1.2, s.deck - 0.2, 4):
            c.both(0.86 * w, 0.96 * w, b, b + 0.07, (0.3,) * 3)
        for level in (1.06, s.deck - 0.05):
            c.level(level, -w, w, 0.6, 0.05)
        for sign in (1, -1):
            c.line(sign * 0.97 * w, 1.0, s.deck, 0.6, 0.04)
    elif s.cargo == "tipper":
        for y in np.linspace(-0.8, 0.8, 5):
            c.line(y * w, 1.05, s.deck, 0.7, 0.04)
    elif s.cargo == "tank":
        c.put((c.ellipse(0, (s.deck + 1) / 2, 0.3, 0.3) < 1), tuple(0.7 * k for k in v.load), PAINT)
    for sign in (1, -1):
        c.rect(*sorted((sign * 0.45 * w, sign * 0.8 * w)), 0.2, 0.75, (0.06,) * 3)
    c.rect(-0.9 * w, 0.9 * w, 0.5, 0.62, (0.75, 0.2, 0.15) if s.lamp_form % 2 else (0.3,) * 3)
    c.both(0.68 * w, 0.95 * w, 0.72, 0.9, TAIL, LIGHT)
    c.both(0.6 * w, 0.68 * w, 0.74, 0.88, AMBER, LIGHT)
    plate(c, v, 0.72)


def plate(c: Chart, v: StreetVehicle, low: float) -> None:
    """A number plate of six cells; large ones are half as high again."""
    color, cells = v.plate
    c.rect(-0.25, 0.25, low, low + 0.14, color, PAINT)
    ink = (0.95,) * 3 if color[2] > 0.7 > color[0] else (0.1,) * 3
    for number, dark in enumerate(cells):
        if dark:
            c.rect(-0.21 + 0.072 * number, -0.16 + 0.072 * number, low + 0.035, low + 0.105, ink, PAINT)
