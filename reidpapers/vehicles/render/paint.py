"""The colour of each sample of a vehicle, from where on the vehicle it lies: windows, lamps, plates, marks.

Nothing here knows about cameras or light. Colours are as displayed (0..1); the light works on their squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reidpapers.vehicles.render.catalogue import Model
from reidpapers.vehicles.render.geometry import along
from reidpapers.vehicles.render.mesh import Part, Side
from reidpapers.vehicles.render.vehicles import Marks, Sticker, Vehicle

GLASS = (0.13, 0.15, 0.18)
RUBBER = (0.08, 0.08, 0.085)
PLASTIC = (0.16, 0.16, 0.17)
LAMP = (0.90, 0.92, 0.95)
TAIL_LIGHT = (0.70, 0.05, 0.06)
CHROME = (0.62, 0.63, 0.65)
# How much of the surroundings a surface mirrors when looked at straight.
GLOSS = {"paint": 0.035, "glass": 0.08, "dull": 0.004, "lamp": 0.08}


@dataclass
class Surface:
    """Samples of one vehicle: where they lie, what they belong to, and (filled in) how they look.

    Attributes:
        part, side: ``[N]`` of :class:`Part` and :class:`Side`.
        x, y, z: ``[N]`` float32 metres in the vehicle's frame.
        color: ``[N, 3]`` float32 as displayed.
        gloss: ``[N]`` float32, share mirrored at normal incidence.
    """

    part: np.ndarray
    side: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    color: np.ndarray
    gloss: np.ndarray

    def put(self, where: np.ndarray, color: tuple[float, float, float], gloss: str = "dull") -> None:
        """Give some samples a colour and a gloss."""
        self.color[where] = color
        self.gloss[where] = GLOSS[gloss]

    def take(self, where: np.ndarray) -> Surface:
        """A part of the samples, as copies."""
        return Surface(*(getattr(self, name)[where] for name in ("part", "side", "x", "y", "z", "color", "gloss")))

    def give(self, where: np.ndarray, part: Surface) -> None:
        """Take the looks of some samples back."""
        self.color[where] = part.color
        self.gloss[where] = part.gloss


def paint(vehicle: Vehicle, part: np.ndarray, side: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour ``[N, 3]`` and gloss ``[N]`` of samples at ``points`` (``[3, N]``, metres, vehicle's frame)."""
    x, y, z = points
    count = len(x)
    color = np.empty((count, 3), np.float32)
    color[:] = vehicle.paint
    surface = Surface(part, side, x, y, z, color, np.full(count, GLOSS["paint"], np.float32))
    spec, marks = vehicle.spec, vehicle.marks
    for wanted, work in _WORK:
        where = np.flatnonzero(np.isin(part, wanted) if len(wanted) > 1 else part == wanted[0])
        if len(where):
            piece = surface.take(where)
            work(piece, spec, marks)
            surface.give(where, piece)
    return surface.color, surface.gloss


def _skin(s: Surface, spec: Model, marks: Marks) -> None:
    """Painted metal: stripes and stickers first, so that lamps, gaps and arches lie over them."""
    shell = s.part == Part.BODY
    _stripe(s, spec, marks)
    for sticker in marks.stickers:
        _sticker(s, spec, sticker)
    if shell.any():
        _gaps(s, spec, shell & (s.side == Side.SIDE))
        _ends(s, spec, marks, shell)
        _arches(s, spec, shell & ((s.side == Side.SIDE) | (s.side == Side.CORNER)))
    ribs = s.part == Part.CARGO
    if ribs.any():
        _ribs(s, spec, marks, ribs)


def _gaps(s: Surface, spec: Model, flank: np.ndarray) -> None:
    """Door gaps, handles, and the dark sill."""
    high = flank & (s.z > spec.clearance + 0.1)
    for door in spec.doors:
        line = high & (np.abs(s.x - along(spec, door)) < 0.018)
        s.color[line] *= np.float32(0.45)
    for door in spec.doors[1:]:
        grip = flank & (np.abs(s.x - along(spec, door) - 0.14) < 0.09) & (np.abs(s.z - spec.belt + 0.16) < 0.022)
        s.put(grip, PLASTIC)
    s.put(flank & (s.z < spec.clearance + 0.07 + spec.cladding), PLASTIC)


def _ends(s: Surface, spec: Model, marks: Marks, shell: np.ndarray) -> None:
    """Lamps, grille, bumpers and plates."""
    half, width = spec.length / 2, spec.width / 2
    across = np.abs(s.y) / np.float32(width)
    front = shell & (s.x > half - max(0.42, 1.1 * spec.round)) & ((s.side != Side.SIDE) | (s.x > half - 0.38))
    rear_end = along(spec, spec.cab)
    rear = shell & (s.x < rear_end + 0.34) & (spec.cab == 1.0)
    bumper = spec.clearance + 0.16 + spec.cladding / 2
    for end in (front, rear):
        s.put(end & (s.z < bumper), PLASTIC)
    y0, z0, z1 = spec.grille
    grille = front & (across < y0) & (s.z > z0) & (s.z < z1)
    s.put(grille, RUBBER)
    s.put(grille & (np.abs(s.z - (z0 + z1) / 2) < 0.16 * (z1 - z0)), CHROME, "lamp")
    for end, (a, b, low, high), shade in ((front, spec.lamp, LAMP), (rear, spec.light, TAIL_LIGHT)):
        lamp = end & (across > a * (0.985 - 0.0)) & (across < b + 0.02) & (s.z > low) & (s.z < high)
        s.put(lamp, shade, "lamp")
    top = min(spec.grille[1], spec.lamp[2]) - 0.02
    _plate(s, spec, marks, front & (s.side == Side.FRONT), max(bumper - 0.05, top - 0.16))
    _plate(s, spec, marks, rear & (s.side == Side.REAR), 0.5 * (spec.light[2] + spec.clearance) + 0.05)


def _plate(s: Surface, spec: Model, marks: Marks, end: np.ndarray, low: float) -> None:
    """A number plate of six cells."""
    wide, tall = 0.24, 0.13
    plate = np.flatnonzero(end & (np.abs(s.y) < wide) & (s.z > low) & (s.z < low + tall))
    if not len(plate):
        return
    color, cells = marks.plate
    s.put(plate, color)
    cell = np.clip(((s.y[plate] + wide) * (6 / (2 * wide))).astype(np.int64), 0, 5)
    inked = np.array(cells)[cell] & (np.abs(s.z[plate] - low - tall / 2) < 0.04)
    s.put(plate[inked], (0.95, 0.95, 0.95) if color[2] > 0.7 > color[0] else (0.1, 0.1, 0.1))


def _arches(s: Surface, spec: Model, flank: np.ndarray) -> None:
    """Dark wheel housings around each wheel."""
    reach = np.float32((1.2 * spec.wheel) ** 2)
    for axle in spec.axles:
        dx, dz = s.x - np.float32(along(spec, axle)), s.z - np.float32(spec.wheel)
        s.put(flank & (dx * dx + dz * dz < reach), RUBBER)


def _ribs(s: Surface, spec: Model, marks: Marks, ribs: np.ndarray) -> None:
    """Posts and seams of a truck's body; its doors and lights at the rear."""
    pitch = 1.5 if spec.cargo == "tank" else 0.75
    phase = s.x / np.float32(pitch)
    seam = ribs & (s.side != Side.TOP) & (np.abs(phase - np.floor(phase) - 0.5) < 0.035)
    s.color[seam & (s.side != Side.REAR)] *= np.float32(0.62)
    back = ribs & (s.side == Side.REAR)
    s.color[back & (np.abs(s.y) < 0.025)] *= np.float32(0.4)
    s.color[ribs & (s.z < 1.08)] *= np.float32(0.4)


def _chassis(s: Surface, spec: Model, marks: Marks) -> None:
    """Underbody and rear bumper of a truck, with lights and plate."""
    s.put(np.ones(len(s.x), bool), PLASTIC)
    back = (s.side == Side.REAR) & (s.x < -spec.length / 2 + 0.2)
    across = np.abs(s.y) / np.float32(spec.width / 2)
    a, b, low, high = spec.light
    s.put(back & (across > a) & (across < b) & (s.z > low) & (s.z < high), TAIL_LIGHT, "lamp")
    _plate(s, spec, marks, back, low)


def _house(s: Surface, spec: Model, marks: Marks) -> None:
    """Windscreen, side windows and rear window between painted posts."""
    belt = min(spec.belt, spec.cowl, spec.tail) - 0.02
    up = (s.z - np.float32(belt)) / np.float32(spec.height - 0.07 - belt)
    half = np.float32(spec.width * 0.475 - 0.11) - np.float32(spec.tumble) * up
    _side_windows(s, spec, up)
    tall = 0.93 if spec.type != "bus" else 0.80
    screen = (s.side == Side.FRONT) & (np.abs(s.y) < half - 0.02) & (up > 0.06) & (up < tall)
    s.put(screen, GLASS, "glass")
    for across, height, size, color in marks.screen:
        thing = screen & (np.abs(s.y - np.float32(across) * half) < size) & (np.abs(up - height) < size * 1.2)
        s.put(thing, color, "glass")
    hatch = spec.base_r > 0.9
    low, high = (0.16, 0.86) if hatch else (0.10, 0.9)
    if spec.type in ("van", "bus"):
        low, high = 0.3 if spec.type == "bus" else 0.12, 0.72
    rear = (s.side == Side.REAR) & (np.abs(s.y) < half - 0.05) & (up > low) & (up < high)
    if spec.type == "van":
        rear &= np.abs(s.y) > 0.05
    s.put(rear, GLASS, "glass")
    for sticker in marks.stickers:
        if sticker.panel == "rear" and sticker.v > 0.5:
            _stamp(s, rear, s.y - (sticker.u - 0.5) * spec.width * 0.8, up - sticker.v, sticker, 1.3)


def _side_windows(s: Surface, spec: Model, up: np.ndarray) -> None:
    """Glass between the slanting ends of the glasshouse, less the posts."""
    head, foot = along(spec, spec.roof_f), along(spec, spec.base_f)
    front = np.float32(foot) + np.float32(head - foot) * up
    head, foot = along(spec, spec.roof_r), along(spec, spec.base_r)
    rear = np.float32(foot) + np.float32(head - foot) * up
    place = (front - s.x) / (front - rear)
    flank = s.side == Side.SIDE
    low, high = spec.window
    first, last = spec.glazed
    length = (spec.base_r - spec.base_f) * spec.length
    margin = 0.11 / length
    glass = flank & (up > low) & (up < high) & (place > first + margin) & (place < last - margin)
    for pillar in spec.pillars:
        glass &= np.abs(place - pillar) > 0.045 / length
    s.put(glass, GLASS, "glass")


def _roof(s: Surface, spec: Model, marks: Marks) -> None:
    """The roof takes stripes and stickers."""
    _stripe(s, spec, marks)
    for sticker in marks.stickers:
        _sticker(s, spec, sticker)


def _stripe(s: Surface, spec: Model, marks: Marks) -> None:
    """A stripe along the flank, over bonnet and roof, or a wedge on the flank."""
    top = spec.deck if spec.cab < 1 else spec.belt
    low = spec.clearance + 0.25
    height = low + (top - low - 0.1) * marks.stripe_at
    width = marks.stripe_width * min(2.0, spec.height / 1.5)
    flank = s.side == Side.SIDE
    if marks.stripe == "side":
        s.put(flank & (np.abs(s.z - height) < width), marks.stripe_color, "paint")
    elif marks.stripe == "wedge":
        rising = np.abs(s.z - height - (s.x - 0.3) * 0.35) < width * 1.3
        s.put(flank & rising, marks.stripe_color, "paint")
    elif marks.stripe == "bonnet":
        offset = np.abs(s.y - (marks.stripe_at - 0.5) * 0.4 * spec.width)
        s.put((s.side != Side.SIDE) & (offset < width * 1.2), marks.stripe_color, "paint")


def _sticker(s: Surface, spec: Model, sticker: Sticker) -> None:
    """One sticker on its panel."""
    top = spec.deck - 0.2 if spec.cab < 1 and spec.cargo != "tank" else spec.belt - 0.08
    low = (1.2 if spec.cab < 1 else spec.clearance + 0.22) + sticker.size
    up = s.z - (low + (top - low - sticker.size) * sticker.v)
    if sticker.panel in ("left", "right"):
        sign = 1 if sticker.panel == "left" else -1
        centre = (sticker.u - 0.5) * 0.62 * spec.length - (0.12 * spec.length if spec.cab < 1 else 0)
        _stamp(s, (s.side == Side.SIDE) & (s.y * sign > 0), s.x - centre, up, sticker, 1.0)
    elif sticker.panel == "rear" and sticker.v <= 0.5:
        _stamp(s, s.side == Side.REAR, s.y - (sticker.u - 0.5) * 0.6 * spec.width, up, sticker, 0.8)
    elif sticker.panel == "hood":
        x = (along(spec, spec.base_f) + spec.length / 2) / 2
        _stamp(
            s,
            (s.side == Side.TOP) & (s.x > along(spec, spec.base_f)),
            s.x - x,
            s.y - (sticker.u - 0.5) * spec.width,
            sticker,
            1.0,
        )
    elif sticker.panel == "roof":
        x = along(spec, spec.roof_f + (spec.roof_r - spec.roof_f) * (0.3 + 0.4 * sticker.v))
        _stamp(s, s.part == Part.ROOF, s.x - x, s.y - (sticker.u - 0.5) * 0.5 * spec.width, sticker, 1.5)


def _stamp(s: Surface, panel: np.ndarray, u: np.ndarray, v: np.ndarray, sticker: Sticker, scale: float) -> None:
    """Colour the samples of a panel that lie inside the sticker's shape around (u, v) = 0."""
    u, v = u / np.float32(sticker.size * scale), v / np.float32(sticker.size * scale)
    shape = sticker.shape
    if shape == "diamond":
        inside = np.abs(u) + np.abs(v) < 1.2
    elif shape == "square":
        inside = (np.abs(u) < 0.9) & (np.abs(v) < 0.9)
    elif shape == "bar":
        inside = (np.abs(u) < 1.9) & (np.abs(v) < 0.42)
    else:
        r = u * u + v * v
        inside = (r < 1.0) & (r > 0.25) if shape == "ring" else r < 1.0
    s.put(panel & inside, sticker.color, "paint")


def _wheel(s: Surface, spec: Model, marks: Marks) -> None:
    """Tyre, rim and hub on the disc of a wheel."""
    s.put(np.ones(len(s.x), bool), RUBBER)
    nearest = np.full(len(s.x), np.float32(9.0))
    for axle in spec.axles:
        dx, dz = s.x - np.float32(along(spec, axle)), s.z - np.float32(spec.wheel)
        nearest = np.minimum(nearest, dx * dx + dz * dz)
    scale = np.float32(spec.wheel**2)
    s.put(nearest < 0.44 * scale, (marks.rim,) * 3)
    s.put(nearest < 0.20 * scale, (marks.rim * 0.72,) * 3)
    s.put(nearest < 0.03 * scale, (0.2, 0.2, 0.2))


def _plain(color: tuple[float, float, float]):
    """Work that gives every sample one colour."""
    return lambda s, spec, marks: s.put(np.ones(len(s.x), bool), color)


def _extra(s: Surface, spec: Model, marks: Marks) -> None:
    """Rack or box on the roof."""
    s.put(np.ones(len(s.x), bool), marks.roof_color, "paint")


def _wing(s: Surface, spec: Model, marks: Marks) -> None:
    """Spoiler, visor or roll bar: its own colour or the body's."""
    if marks.wing_color is not None:
        s.put(np.ones(len(s.x), bool), marks.wing_color, "paint")


_WORK = (
    ((Part.BODY, Part.CARGO), _skin),
    ((Part.HOUSE,), _house),
    ((Part.ROOF,), _roof),
    ((Part.DARK,), _chassis),
    ((Part.WHEEL,), _wheel),
    ((Part.TYRE,), _plain(RUBBER)),
    ((Part.EXTRA,), _extra),
    ((Part.WING,), _wing),
    ((Part.BED,), _plain((0.2, 0.2, 0.2))),
)
