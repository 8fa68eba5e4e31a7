"""The 27 models, three of each type, and VeRi's ten colours: numbers only.

Lengths are in metres in the vehicle's frame: x forward, y left, z up, the origin on the ground below its middle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

TYPES = ("sedan", "suv", "van", "hatchback", "mpv", "pickup", "bus", "truck", "estate")
# Paint as displayed, red, green, blue in 0..1: a function of the colour label alone.
PAINTS = {
    "yellow": (0.97, 0.82, 0.10),
    "orange": (0.96, 0.45, 0.06),
    "green": (0.10, 0.50, 0.22),
    "gray": (0.47, 0.48, 0.50),
    "red": (0.78, 0.06, 0.08),
    "blue": (0.10, 0.24, 0.70),
    "white": (0.94, 0.94, 0.93),
    "golden": (0.74, 0.63, 0.40),
    "brown": (0.37, 0.21, 0.12),
    "black": (0.07, 0.07, 0.08),
}
COLORS = tuple(PAINTS)


@dataclass(frozen=True)
class Model:
    """The shape of one model.

    Attributes:
        type: one of :data:`TYPES`.
        name: the model's name, unique.
        length, width, height: overall size in metres.
        wheel: wheel radius in metres.
        clearance: height of the sill above the road.
        axles: distance of each axle from the front, as a fraction of the length.
        nose, cowl, belt, tail: height of the body at the bumper, below the windscreen, below the side windows and at
            the rear, in metres.
        base_f, roof_f, roof_r, base_r: foot and head of the windscreen, head and foot of the rear window, as fractions
            of the length from the front.
        tumble: how far the roof's edge stands inside the belt line, in metres.
        pillars: posts between the side windows, as fractions from windscreen to rear window.
        glazed: which part of the side carries glass, same fractions.
        window: lower and upper edge of the side glass, fractions from belt to roof.
        lamp: headlamps: inner and outer edge as fractions of the half width, lower and upper edge in metres.
        light: rear lights, in the same way.
        grille: half width (fraction of the half width), lower and upper edge in metres.
        cladding: height of dark plastic above the sill, in metres.
        round: how far the nose and tail are rounded off, in metres.
        cargo: "" or what the chassis carries behind the cab: "bed", "box", "tipper", "tank".
        cab: fraction of the length that the body itself takes; 1 without a chassis.
        deck: top of the cargo above the road in metres (bed: its floor).
        doors: door gaps on the side, as fractions of the length from the front.
    """

    type: str
    name: str
    length: float
    width: float
    height: float
    wheel: float = 0.32
    clearance: float = 0.2
    axles: tuple[float, ...] = (0.18, 0.79)
    nose: float = 0.72
    cowl: float = 0.95
    belt: float = 0.93
    tail: float = 0.98
    base_f: float = 0.29
    roof_f: float = 0.42
    roof_r: float = 0.71
    base_r: float = 0.85
    tumble: float = 0.2
    pillars: tuple[float, ...] = (0.45,)
    glazed: tuple[float, float] = (0.0, 1.0)
    window: tuple[float, float] = (0.06, 0.86)
    lamp: tuple[float, float, float, float] = (0.58, 1.0, 0.58, 0.72)
    light: tuple[float, float, float, float] = (0.62, 1.0, 0.72, 0.9)
    grille: tuple[float, float, float] = (0.45, 0.5, 0.66)
    cladding: float = 0.0
    round: float = 0.3
    cargo: str = ""
    cab: float = 1.0
    deck: float = 0.0
    doors: tuple[float, ...] = (0.3, 0.5, 0.7)


_SEDAN = Model("sedan", "sedan-a", 4.6, 1.80, 1.44)
_HATCH = Model(
    "hatchback", "hatchback-a", 3.95, 1.72, 1.50, axles=(0.19, 0.83), base_f=0.25, roof_f=0.40, roof_r=0.86, base_r=0.965,
    tail=0.92, light=(0.72, 1.0, 0.75, 1.0), doors=(0.3, 0.56, 0.75), round=0.22,
)  # fmt: skip
_ESTATE = Model(
    "estate", "estate-a", 4.8, 1.80, 1.46, base_f=0.28, roof_f=0.41, roof_r=0.91, base_r=0.975, tail=0.95,
    pillars=(0.36, 0.66), light=(0.78, 1.0, 0.7, 1.0), tumble=0.17, round=0.22,
)  # fmt: skip
_SUV = Model(
    "suv", "suv-a", 4.6, 1.90, 1.78, wheel=0.38, clearance=0.30, nose=0.98, cowl=1.14, belt=1.12, tail=1.1, base_f=0.27,
    roof_f=0.38, roof_r=0.91, base_r=0.975, cladding=0.2, lamp=(0.55, 1.0, 0.78, 0.94), light=(0.75, 1.0, 0.85, 1.1),
    grille=(0.5, 0.62, 0.92), pillars=(0.36, 0.7), axles=(0.19, 0.81), round=0.24, tumble=0.2,
)  # fmt: skip
_MPV = Model(
    "mpv", "mpv-a", 4.6, 1.84, 1.74, nose=0.82, cowl=1.06, belt=1.0, tail=1.0, base_f=0.14, roof_f=0.34, roof_r=0.90,
    base_r=0.985, pillars=(0.2, 0.5, 0.78), lamp=(0.5, 1.0, 0.64, 0.84), light=(0.78, 1.0, 0.8, 1.25), tumble=0.18,
    axles=(0.17, 0.80), doors=(0.28, 0.5, 0.72), grille=(0.4, 0.5, 0.6),
)  # fmt: skip
_VAN = Model(
    "van", "van-a", 5.2, 1.96, 2.3, wheel=0.35, nose=1.0, cowl=1.25, belt=1.2, tail=1.2, base_f=0.10, roof_f=0.23,
    roof_r=0.985, base_r=0.995, pillars=(0.06,), glazed=(0.0, 0.3), tumble=0.1, lamp=(0.62, 1.0, 0.72, 0.98),
    light=(0.86, 1.0, 0.8, 1.4), grille=(0.55, 0.6, 0.85), axles=(0.16, 0.80), doors=(0.16, 0.34, 0.62), round=0.16,
    window=(0.08, 0.66),
)  # fmt: skip
_PICKUP = Model(
    "pickup", "pickup-a", 5.3, 1.90, 1.80, wheel=0.39, clearance=0.34, nose=1.0, cowl=1.14, belt=1.12, tail=1.1,
    base_f=0.25, roof_f=0.345, roof_r=0.555, base_r=0.60, cladding=0.12, lamp=(0.55, 1.0, 0.78, 0.96), cargo="bed",
    light=(0.84, 1.0, 0.75, 1.05), grille=(0.5, 0.62, 0.92), pillars=(0.5,), deck=0.72, axles=(0.17, 0.78), round=0.18,
    doors=(0.26, 0.43, 0.6),
)  # fmt: skip
_BUS = Model(
    "bus", "bus-a", 10.6, 2.5, 3.0, wheel=0.48, clearance=0.3, axles=(0.24, 0.72), nose=1.12, cowl=1.12, belt=1.2,
    tail=1.4, base_f=0.012, roof_f=0.03, roof_r=0.985, base_r=0.992, tumble=0.1, round=0.12,
    pillars=(0.09, 0.24, 0.39, 0.54, 0.69, 0.84), window=(0.02, 0.72), lamp=(0.66, 0.98, 0.55, 0.78), doors=(0.04, 0.14, 0.5, 0.62),
    light=(0.86, 1.0, 0.7, 1.2), grille=(0.4, 0.45, 0.6),
)  # fmt: skip
_TRUCK = Model(
    "truck", "truck-a", 7.4, 2.3, 2.45, wheel=0.46, clearance=0.42, axles=(0.17, 0.77), nose=1.3, cowl=1.35, belt=1.4,
    tail=1.4, base_f=0.012, roof_f=0.055, roof_r=0.24, base_r=0.25, tumble=0.1, round=0.1, pillars=(), glazed=(0.0, 0.85),
    window=(0.06, 0.8), lamp=(0.62, 0.98, 0.6, 0.84), light=(0.72, 0.98, 0.62, 0.8), grille=(0.52, 0.65, 1.15),
    cargo="box", cab=0.255, deck=3.25, doors=(0.05, 0.19),
)  # fmt: skip

MODELS = (
    _SEDAN,
    replace(_SEDAN, name="sedan-b", length=4.95, width=1.88, height=1.48, base_f=0.31, roof_f=0.43, roof_r=0.68, base_r=0.80,
            grille=(0.34, 0.42, 0.74), lamp=(0.5, 0.96, 0.62, 0.75), light=(0.1, 1.0, 0.8, 0.9), pillars=(0.4, 0.8)),
    replace(_SEDAN, name="sedan-c", length=4.25, width=1.72, height=1.46, base_f=0.25, roof_f=0.40, roof_r=0.74, base_r=0.88,
            nose=0.68, lamp=(0.66, 1.0, 0.55, 0.76), light=(0.7, 1.0, 0.6, 0.92), grille=(0.6, 0.4, 0.52), round=0.42),
    _SUV,
    replace(_SUV, name="suv-b", length=4.85, width=1.98, height=1.92, belt=1.2, cowl=1.22, nose=1.1, roof_f=0.35, roof_r=0.955,
            base_r=0.985, cladding=0.0, lamp=(0.66, 0.95, 0.82, 1.05), light=(0.84, 1.0, 0.7, 1.4), tumble=0.12, round=0.12,
            grille=(0.6, 0.7, 1.02)),
    replace(_SUV, name="suv-c", length=4.3, width=1.82, height=1.64, belt=1.06, cowl=1.05, nose=0.9, roof_f=0.42, roof_r=0.82,
            base_r=0.965, wheel=0.35, lamp=(0.5, 1.0, 0.76, 0.86), light=(0.3, 1.0, 0.9, 1.0), pillars=(0.4,),
            grille=(0.35, 0.5, 0.7), round=0.36),
    _VAN,
    replace(_VAN, name="van-b", length=4.9, height=2.02, width=1.9, belt=1.12, cowl=1.12, nose=0.95, roof_f=0.26, base_f=0.12,
            glazed=(0.0, 0.97), pillars=(0.06, 0.3, 0.64), window=(0.08, 0.8), light=(0.84, 1.0, 0.9, 1.5), grille=(0.5, 0.62, 0.72)),
    replace(_VAN, name="van-c", length=5.9, height=2.62, base_f=0.13, roof_f=0.205, nose=1.1, cowl=1.3, belt=1.3, tail=1.3,
            glazed=(0.0, 0.24), pillars=(), light=(0.82, 1.0, 1.0, 1.25), window=(0.05, 0.5), lamp=(0.7, 1.0, 0.8, 1.1),
            grille=(0.6, 0.55, 1.0), cladding=0.18),
    _HATCH,
    replace(_HATCH, name="hatchback-b", length=3.6, width=1.64, height=1.54, base_f=0.21, roof_f=0.38, roof_r=0.93, base_r=0.98,
            lamp=(0.55, 0.98, 0.56, 0.78), light=(0.8, 1.0, 0.6, 1.1), grille=(0.3, 0.4, 0.5), tumble=0.15),
    replace(_HATCH, name="hatchback-c", length=4.3, width=1.8, height=1.46, base_f=0.29, roof_f=0.43, roof_r=0.78, base_r=0.955,
            lamp=(0.52, 1.0, 0.62, 0.72), light=(0.55, 1.0, 0.8, 0.95), grille=(0.62, 0.36, 0.58), pillars=(0.42, 0.74)),
    _MPV,
    replace(_MPV, name="mpv-b", length=5.1, width=1.94, height=1.8, base_f=0.17, roof_f=0.34, roof_r=0.955, base_r=0.985,
            lamp=(0.48, 0.98, 0.74, 0.86), light=(0.15, 1.0, 0.98, 1.08), grille=(0.55, 0.45, 0.74), pillars=(0.16, 0.46, 0.74)),
    replace(_MPV, name="mpv-c", length=4.2, width=1.76, height=1.68, base_f=0.15, roof_f=0.36, roof_r=0.85, base_r=0.975,
            lamp=(0.6, 1.0, 0.6, 0.9), light=(0.76, 1.0, 0.6, 0.95), grille=(0.3, 0.46, 0.56), pillars=(0.24, 0.58)),
    _PICKUP,
    replace(_PICKUP, name="pickup-b", length=5.7, width=2.0, height=1.88, roof_r=0.46, base_r=0.49, roof_f=0.33, pillars=(),
            lamp=(0.6, 0.95, 0.75, 1.02), grille=(0.56, 0.55, 1.0), cladding=0.0, doors=(0.25, 0.47)),
    replace(_PICKUP, name="pickup-c", length=4.8, width=1.76, height=1.7, nose=0.9, cowl=1.05, belt=1.02, tail=0.98, wheel=0.34,
            clearance=0.26, deck=0.6, lamp=(0.5, 1.0, 0.7, 0.82), light=(0.8, 1.0, 0.6, 0.85), base_f=0.2, roof_f=0.31,
            roof_r=0.5, base_r=0.535, grille=(0.4, 0.52, 0.72)),
    _BUS,
    replace(_BUS, name="bus-b", length=11.8, width=2.55, height=3.45, belt=1.75, tail=1.8, cowl=1.35, nose=1.35, roof_f=0.06,
            window=(0.04, 0.86), pillars=(0.12, 0.3, 0.48, 0.66, 0.84), grille=(0.5, 0.5, 0.7), light=(0.8, 0.98, 0.8, 1.4)),
    replace(_BUS, name="bus-c", length=7.2, width=2.15, height=2.7, wheel=0.4, belt=1.15, tail=1.15, base_f=0.05, roof_f=0.12, nose=1.0,
            cowl=1.12, pillars=(0.14, 0.36, 0.58, 0.8), axles=(0.17, 0.76), round=0.2, lamp=(0.6, 1.0, 0.66, 0.92)),
    _TRUCK,
    replace(_TRUCK, name="truck-b", length=7.0, cargo="tipper", deck=2.3, axles=(0.17, 0.66, 0.84), lamp=(0.55, 0.98, 0.66, 0.8),
            height=2.75, grille=(0.6, 0.6, 1.3)),
    replace(_TRUCK, name="truck-c", length=8.2, cargo="tank", deck=2.9, cab=0.24, roof_r=0.225, base_r=0.235, height=2.6,
            axles=(0.15, 0.7, 0.85), lamp=(0.66, 0.98, 0.55, 0.8), grille=(0.4, 0.6, 1.0)),
    _ESTATE,
    replace(_ESTATE, name="estate-b", length=4.6, width=1.76, height=1.52, roof_r=0.945, base_r=0.98, tumble=0.12, round=0.14,
            lamp=(0.6, 0.96, 0.58, 0.76), light=(0.84, 1.0, 0.6, 1.25), grille=(0.5, 0.46, 0.7), pillars=(0.33, 0.62)),
    replace(_ESTATE, name="estate-c", length=5.0, width=1.88, height=1.44, roof_r=0.85, base_r=0.96, base_f=0.31, roof_f=0.45,
            lamp=(0.48, 1.0, 0.6, 0.7), light=(0.2, 1.0, 0.82, 0.92), grille=(0.4, 0.36, 0.64), pillars=(0.38, 0.7)),
)  # fmt: skip
BY_NAME = {model.name: model for model in MODELS}
