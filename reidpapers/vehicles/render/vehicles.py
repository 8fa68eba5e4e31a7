"""One vehicle: model, colour and the marks that tell it from its twins, and how marks are drawn by lot."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reidpapers.vehicles.render.catalogue import BY_NAME, PAINTS, Model

Color = tuple[float, float, float]
# Colours of stickers, stripes and things on the roof, as displayed.
VIVID: tuple[Color, ...] = (
    (0.93, 0.93, 0.92), (0.08, 0.08, 0.09), (0.86, 0.10, 0.12), (0.96, 0.83, 0.12), (0.10, 0.32, 0.80),
    (0.10, 0.62, 0.28), (0.95, 0.50, 0.08), (0.62, 0.20, 0.62), (0.15, 0.70, 0.75),
)  # fmt: skip
PLATES: tuple[Color, ...] = ((0.10, 0.25, 0.75), (0.95, 0.80, 0.15), (0.92, 0.92, 0.92))
RIMS = (0.78, 0.45, 0.16)
PANELS = ("left", "right", "hood", "rear", "roof", "glass")
STRIPES = ("none", "side", "bonnet", "wedge")
SHAPES = ("disc", "square", "diamond", "bar", "ring")


@dataclass(frozen=True)
class Sticker:
    """A sticker on one panel: place as fractions of the panel, half size in metres, shape and colour."""

    panel: str
    u: float
    v: float
    size: float
    shape: str
    color: Color


@dataclass(frozen=True)
class Marks:
    """What tells a vehicle from others of its model and colour.

    Attributes:
        roof: what lies on the roof: one of :data:`~reidpapers.vehicles.render.geometry.ROOFS`.
        roof_color: its colour.
        wing: whether it has a spoiler (see :func:`~reidpapers.vehicles.render.geometry.spoiler`).
        wing_color: its colour; None paints it as the body.
        stripe: one of :data:`STRIPES`; ``stripe_at`` (0..1) and ``stripe_width`` (metres) place it.
        stickers: any number.
        plate: number plate: colour and six cells, dark or not.
        rim: brightness of the wheels.
        screen: things behind the windscreen: (across −1..1, up 0..1, half size in metres, colour).
        tint: brightness of the side glass.
    """

    roof: str = "none"
    roof_color: Color = (0.2, 0.2, 0.2)
    wing: bool = False
    wing_color: Color | None = None
    stripe: str = "none"
    stripe_color: Color = (0.9, 0.9, 0.9)
    stripe_at: float = 0.5
    stripe_width: float = 0.1
    stickers: tuple[Sticker, ...] = ()
    plate: tuple[Color, tuple[bool, ...]] = (PLATES[0], (True, False, True, True, False, True))
    rim: float = RIMS[0]
    screen: tuple[tuple[float, float, float, Color], ...] = ()
    tint: float = 0.16


@dataclass(frozen=True)
class Vehicle:
    """A vehicle: what :func:`reidpapers.vehicles.render.draw` needs to know of it.

    Attributes:
        model: a name in :data:`~reidpapers.vehicles.render.catalogue.BY_NAME`.
        color: a name in :data:`~reidpapers.vehicles.render.catalogue.PAINTS`.
        marks: its identity.
        shade: factors on the paint's red, green, blue; (1, 1, 1) unless paint itself is to tell identities apart.
    """

    model: str
    color: str
    marks: Marks = field(default_factory=Marks)
    shade: Color = (1.0, 1.0, 1.0)

    @property
    def spec(self) -> Model:
        """The shape."""
        return BY_NAME[self.model]

    @property
    def type(self) -> str:
        """One of :data:`~reidpapers.vehicles.render.catalogue.TYPES`."""
        return self.spec.type

    @property
    def paint(self) -> Color:
        """The body's colour as displayed, red, green, blue in 0..1."""
        return tuple(min(1.0, c * s) for c, s in zip(PAINTS[self.color], self.shade, strict=True))


def sample_marks(rng: np.random.Generator, spec: Model, color: str, amount: float) -> Marks:
    """Marks drawn by lot.

    Args:
        rng: the only source of chance.
        spec: the model they go on.
        color: the body's colour, which no stripe or sticker repeats.
        amount: how many and how large, 1 being usual; 0 leaves only plate and rims.
    """
    vivid = [c for c in VIVID if _apart(c, PAINTS[color]) > 0.35]
    draw = lambda: vivid[rng.integers(len(vivid))]  # noqa: E731
    chance = lambda p: bool(rng.random() < p * amount)  # noqa: E731
    roof = ("rack", "box")[rng.integers(2)] if chance(0.4) else "none"
    stripe = STRIPES[1 + rng.integers(3)] if chance(0.3) else "none"
    return Marks(
        roof=roof,
        roof_color=VIVID[rng.integers(5)] if rng.random() < 0.6 else (0.2, 0.2, 0.21),
        wing=chance(0.3),
        wing_color=draw() if rng.random() < 0.5 else None,
        stripe=stripe,
        stripe_color=draw(),
        stripe_at=round(float(rng.random()), 3),
        stripe_width=round(0.05 + 0.09 * float(rng.random()), 3),
        stickers=_stickers(rng, spec, amount, draw),
        plate=(PLATES[rng.integers(3)], tuple(bool(b) for b in rng.integers(0, 2, 6))),
        rim=RIMS[rng.integers(3)],
        screen=_screen(rng, amount),
        tint=(0.16, 0.07, 0.24)[rng.integers(3)],
    )


def _apart(a: Color, b: Color) -> float:
    """The largest difference in a channel."""
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


def _stickers(rng: np.random.Generator, spec: Model, amount: float, draw) -> tuple[Sticker, ...]:
    """Up to four panels with a sticker; a side sticker is as often as not on both sides."""
    scale = amount * min(2.0, spec.height / 1.5)
    found = []
    for _ in range(int(rng.integers(0, 4) * min(amount, 1.5) + 0.5)):
        panel = PANELS[rng.integers(5)]
        u, v, size = (round(float(r), 3) for r in rng.random(3))
        sticker = Sticker(panel, u, v, round(scale * (0.10 + 0.14 * size), 3), SHAPES[rng.integers(5)], draw())
        found.append(sticker)
        if panel in ("left", "right") and rng.random() < 0.5:
            other = "right" if panel == "left" else "left"
            found.append(Sticker(other, u, v, sticker.size, sticker.shape, sticker.color))
    return tuple(found)


def _screen(rng: np.random.Generator, amount: float) -> tuple[tuple[float, float, float, Color], ...]:
    """Papers, boxes and pendants behind the windscreen."""
    things = []
    for _ in range(int(rng.integers(0, 3) * min(amount, 1.5) + 0.5)):
        across, up, size = (float(r) for r in rng.random(3))
        up = 0.12 + 0.12 * up if rng.random() < 0.6 else 0.7 + 0.2 * up
        things.append(
            (round(1.6 * across - 0.8, 3), round(up, 3), round(0.05 + 0.06 * size, 3), VIVID[rng.integers(len(VIVID))])
        )
    return tuple(things)
