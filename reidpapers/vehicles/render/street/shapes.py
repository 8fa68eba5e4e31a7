"""Models from continuous shape parameters: blends of the catalogue's, each with lamps, grille, rims and trim of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from reidpapers.vehicles.render.catalogue import MODELS, TYPES, Model

# How often a type is met among a city's models, in the order of TYPES.
FREQUENCY = (0.19, 0.20, 0.12, 0.14, 0.11, 0.05, 0.07, 0.08, 0.04)
CARGOES = ("box", "box", "container", "tipper", "tank", "flat", "mixer")
# Fields that count or name something, or that follow from others: not blended.
NAMES = ("type", "name", "cargo")
BLENDED = tuple(f.name for f in fields(Model) if f.name not in NAMES)


@dataclass(frozen=True)
class Shape(Model):
    """A model of the street: the catalogue's measures, and what its designer chose beside them.

    Attributes:
        lamp_form, light_form, grille_form: which of several forms the lamps, rear lights and grille have.
        spokes: of the rim; 0 is a disc. ``rim`` its share of the wheel's radius.
        bumper: "body", "dark" or "half": what the bumpers are painted as.
        trim: brightness of the windows' frame; ``dark_posts``: whether posts between windows are black.
        rise: how far the window line climbs to the rear, metres.
        crease: height of a pressed line along the flank, as a share from sill to belt.
        dark_roof: a black roof; ``rails``: rails on it; ``fin``: an aerial; ``sunroof``.
        spare: a wheel on the tailgate; ``wiper`` at the rear; ``plate_high``: the plate is on the tailgate.
        swell: how far the roof is arched, metres; ``soften``: length over which the outline's corners are rounded.
        badge: place and size of the maker's badge.
    """

    lamp_form: int = 0
    light_form: int = 0
    grille_form: int = 0
    spokes: int = 5
    rim: float = 0.68
    bumper: str = "body"
    trim: float = 0.15
    dark_posts: bool = True
    rise: float = 0.04
    crease: float = 0.6
    dark_roof: bool = False
    rails: bool = False
    fin: bool = False
    sunroof: bool = False
    spare: bool = False
    wiper: bool = True
    plate_high: bool = True
    swell: float = 0.04
    soften: float = 0.1
    badge: float = 0.06


def sample_shapes(rng: np.random.Generator, count: int) -> tuple[Shape, ...]:
    """Models by lot: every type once, then as often as :data:`FREQUENCY` says; names are unique."""
    share = np.cumsum(FREQUENCY) / sum(FREQUENCY)
    shapes = []
    for number in range(count):
        kind = TYPES[number if number < len(TYPES) else int(np.searchsorted(share, rng.random()))]
        shapes.append(sample_shape(rng, kind, f"{kind}-{number:03d}"))
    return tuple(shapes)


def sample_shape(rng: np.random.Generator, kind: str, name: str) -> Shape:
    """One model of a type: two of the catalogue's blended, each measure a little off, with forms of its own."""
    family = [model for model in MODELS if model.type == kind]
    first, second = (family[int(rng.integers(len(family)))] for _ in range(2))
    mix = float(rng.random())
    values = {name: _blend(rng, getattr(first, name), getattr(second, name), mix, name) for name in BLENDED}
    truck = kind == "truck"
    cargo = CARGOES[int(rng.integers(len(CARGOES)))] if truck else first.cargo
    if truck:
        values |= _load(rng, cargo)
    values["doors"] = first.doors
    ridged = values["base_r"] > 0.9
    chance = lambda share: bool(rng.random() < share)  # noqa: E731
    return Shape(
        **values, type=kind, name=name, cargo=cargo,
        lamp_form=int(rng.integers(5)), light_form=int(rng.integers(6)), grille_form=int(rng.integers(6)),
        spokes=(0, 5, 5, 6, 7, 10, 10)[int(rng.integers(7))], rim=float(rng.uniform(0.56, 0.76)),
        bumper=("body", "body", "half", "dark")[int(rng.integers(4))], trim=(0.08, 0.15, 0.7)[int(rng.integers(3))],
        dark_posts=chance(0.7), rise=float(rng.uniform(-0.02, 0.12)) if kind not in ("bus", "truck", "van") else 0.0,
        crease=float(rng.uniform(0.3, 0.85)), dark_roof=chance(0.12) and not truck,
        rails=kind in ("suv", "estate", "mpv") and chance(0.5), fin=chance(0.4), sunroof=chance(0.25),
        spare=kind == "suv" and chance(0.2), wiper=ridged and chance(0.75), plate_high=chance(0.7 if ridged else 0.4),
        swell=float(rng.uniform(0.01, 0.07)), soften=float(rng.uniform(0.05, 0.24)) if kind != "bus" else 0.05,
        badge=float(rng.uniform(0.035, 0.09)),
    )  # fmt: skip


def _blend(rng: np.random.Generator, a, b, mix: float, name: str):
    """Between two measures, then up to 3 % off; what differs in number comes from the first."""
    off = lambda: 1 + 0.03 * float(rng.uniform(-1, 1))  # noqa: E731
    if isinstance(a, Sequence):
        if name in ("pillars", "glazed", "doors", "axles", "window") or len(a) != len(b):
            return a
        return tuple((u + (v - u) * mix) * off() for u, v in zip(a, b, strict=True))
    value = a + (b - a) * mix
    return value * off() if name in ("length", "width", "height", "wheel", "nose", "tail", "round", "tumble") else value


def _load(rng: np.random.Generator, cargo: str) -> dict[str, object]:
    """A truck's length, deck and axles, which follow from what it carries; some are long."""
    long = cargo in ("container", "box", "tank", "flat") and rng.random() < 0.4
    length = float(rng.uniform(10.5, 14.0) if long else rng.uniform(5.6, 8.6))
    deck = {"box": (2.7, 3.5), "container": (3.3, 3.9), "tipper": (2.0, 2.7), "tank": (2.6, 3.2), "flat": (1.2, 1.3),
            "mixer": (3.2, 3.6)}[cargo]  # fmt: skip
    cab = float(rng.uniform(1.7, 2.3)) / length
    axles = (1.25 / length, *((0.72, 0.8, 0.88) if long else (0.70, 0.84) if rng.random() < 0.4 else (0.77,)))
    return {"length": length, "deck": float(rng.uniform(*deck)), "cab": cab, "axles": axles, "base_f": 0.012,
            "roof_f": float(rng.uniform(0.2, 0.5)) / length, "roof_r": cab - 0.15 / length, "base_r": cab - 0.05 / length,
            "height": float(rng.uniform(2.3, 2.95))}  # fmt: skip
