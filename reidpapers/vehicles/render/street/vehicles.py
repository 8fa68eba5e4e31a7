"""A vehicle of the street: its shape, factory paint, load and fittings, marks on every side, and wear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reidpapers.vehicles.render.catalogue import PAINTS
from reidpapers.vehicles.render.street.body import FRONT, LEFT, REAR, RIGHT, TOP
from reidpapers.vehicles.render.street.shapes import Shape
from reidpapers.vehicles.render.vehicles import PLATES, VIVID, Color

# How often a colour is met in a city's traffic; the rest of PAINTS shares what is left.
TRAFFIC = {"white": 0.27, "black": 0.17, "gray": 0.22, "red": 0.08, "blue": 0.09}
KINDS = ("text", "sticker", "panel", "scratch", "rust", "dent", "stripe", "poster")
WEIGHTS = (0.26, 0.24, 0.12, 0.10, 0.08, 0.06, 0.10, 0.04)
LOADS: tuple[Color, ...] = ((0.88, 0.88, 0.86), (0.62, 0.64, 0.66), (0.35, 0.37, 0.38), (0.15, 0.3, 0.55), (0.6, 0.2, 0.15),
                            (0.2, 0.42, 0.28), (0.75, 0.5, 0.2))  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """One thing that tells a vehicle from its twins.

    Attributes:
        kind: one of :data:`KINDS`.
        panels: the charts that carry it; a livery is one mark on several.
        u, v: its place on a panel, 0..1.
        size: half its height in metres.
        color, second: its colours.
        seed: of its letters or outline.
    """

    kind: str
    panels: tuple[int, ...]
    u: float
    v: float
    size: float
    color: Color
    second: Color
    seed: int


@dataclass(frozen=True)
class StreetVehicle:
    """What the street's renderer needs to know of a vehicle.

    Attributes:
        spec: its shape.
        color: a name in :data:`~reidpapers.vehicles.render.catalogue.PAINTS`.
        paint: the factory's shade of it, the same for all of this model and colour.
        fade: how far sun and years have taken the paint towards dull grey, 0..1; ``dirt`` on it, 0..1.
        lower: another colour below the crease, or None.
        load: colour of what a truck carries.
        carried, wing: see :func:`~reidpapers.vehicles.render.street.body.build`; ``fitting`` their colour.
        plate: colour and cells of the number plate; ``tint``: brightness of the glass; ``rim``: of the wheels.
        marks: mark number k + 1 is ``marks[k]``; the fittings are number :data:`FITTING`.
        seed: of dirt and of what lies behind the windows.
    """

    spec: Shape
    color: str
    paint: Color
    fade: float = 0.0
    dirt: float = 0.0
    lower: Color | None = None
    load: Color = LOADS[0]
    carried: str = "none"
    wing: bool = False
    fitting: Color = (0.2, 0.2, 0.2)
    plate: tuple[Color, tuple[bool, ...]] = (PLATES[2], (True,) * 6)
    tint: float = 0.1
    rim: float = 0.6
    marks: tuple[Mark, ...] = ()
    seed: int = 0

    @property
    def type(self) -> str:
        """One of :data:`~reidpapers.vehicles.render.catalogue.TYPES`."""
        return self.spec.type

    @property
    def model(self) -> str:
        """The shape's name."""
        return self.spec.name


FITTING = 31  # the number of what stands on the roof or the tail


def factory_paint(rng: np.random.Generator, color: str) -> Color:
    """A maker's shade of a colour: some lighter or darker, a little to another hue."""
    spread = 0.22 if color in ("gray", "blue", "red", "green", "brown", "golden") else 0.06
    level = 1 + spread * float(rng.uniform(-1, 1))
    return tuple(float(np.clip(c * level + 0.03 * rng.uniform(-1, 1), 0.03, 0.97)) for c in PAINTS[color])


def sample_vehicle(rng: np.random.Generator, shape: Shape, color: str, paint: Color, amount: float) -> StreetVehicle:
    """A vehicle of a model and colour, by lot.

    Args:
        rng: the only source of chance.
        shape: the model.
        color, paint: the colour's name and the maker's shade of it.
        amount: how many and how large marks are, 1 being usual.
    """
    chance = lambda share: bool(rng.random() < share * amount)  # noqa: E731
    big = shape.type in ("bus", "truck")
    light = _vivid(rng, paint)
    carried = _carried(rng, shape) if chance(0.3) else "none"
    return StreetVehicle(
        shape, color, paint,
        fade=float(rng.random()) ** 2 * 0.4 * min(amount, 1.5), dirt=float(rng.random()) ** 2 * min(amount, 1.5),
        lower=light if chance(0.35 if shape.type == "bus" else 0.06) else None,
        load=paint if rng.random() < 0.5 else LOADS[int(rng.integers(len(LOADS)))],
        carried=carried, wing=chance(0.15), fitting=(0.12, 0.12, 0.13) if rng.random() < 0.5 else _vivid(rng, paint),
        plate=(PLATES[(2, 2, 1, 0)[int(rng.integers(4))]], tuple(bool(b) for b in rng.integers(0, 2, 6))),
        tint=float(rng.uniform(0.03, 0.2)), rim=float(rng.choice((0.75, 0.6, 0.45, 0.2))),
        marks=tuple(_marks(rng, paint, amount, 1.5 if big else 1.0)), seed=int(rng.integers(2**31)),
    )  # fmt: skip


def _carried(rng: np.random.Generator, shape: Shape) -> str:
    """Something that a roof of this type may carry."""
    allowed = {"bus": ("box",), "truck": ("bar",), "van": ("rack", "ladder", "bar"), "pickup": ("rack", "bar", "box"),
               "sedan": ("sign", "sign", "rack", "box", "bar")}.get(shape.type, ("rack", "box", "sign", "rack"))  # fmt: skip
    return allowed[int(rng.integers(len(allowed)))]


def _vivid(rng: np.random.Generator, paint: Color) -> Color:
    """A colour that stands out from the paint."""
    apart = [c for c in VIVID if max(abs(a - b) for a, b in zip(c, paint, strict=True)) > 0.35]
    return apart[int(rng.integers(len(apart)))]


def _marks(rng: np.random.Generator, paint: Color, amount: float, scale: float) -> list[Mark]:
    """One or two marks on every side, and perhaps one that goes round."""
    panels = [(side,) for side in (LEFT, RIGHT, FRONT, REAR, TOP) if rng.random() < 0.85 * amount]
    panels += [(side,) for side in (LEFT, RIGHT, FRONT, REAR) if rng.random() < 0.35 * amount]
    if rng.random() < 0.3 * amount:
        panels.append((LEFT, RIGHT, REAR))
    marks = []
    for sides in panels[:30]:
        kind = KINDS[int(np.searchsorted(np.cumsum(WEIGHTS), rng.random() * 0.999))]
        kind = ("text", "stripe")[int(rng.integers(2))] if len(sides) > 1 else kind
        size = scale * float(rng.uniform(0.07, 0.19)) * min(1.5, 0.6 + 0.4 * amount)
        marks.append(Mark(kind, sides, float(rng.random()), float(rng.random()), size, _vivid(rng, paint), _vivid(rng, paint),
                          int(rng.integers(2**31))))  # fmt: skip
    return marks
