"""Cameras of the street, and the light, the weather and the picture quality of one pass."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reidpapers.vehicles.render.cameras import KINDS, VERGES, WALLS, Camera, Point

LIGHTS = ("overcast", "sun", "low", "backlight", "dusk", "night")
SHARES = (0.34, 0.28, 0.14, 0.08, 0.09, 0.07)
NORMAL_GREY = 0.25  # what a grey card's linear brightness becomes


@dataclass(frozen=True)
class StreetCamera(Camera):
    """A camera of the street; see :class:`~reidpapers.vehicles.render.cameras.Camera` for what it shares with others.

    Attributes:
        bend: radial distortion of its lens, share of the squared distance from the axis.
        quality: of the compression of its stream, as JPEG knows it.
        coarse: share of the pixels that its stream really has; the rest is scaled up.
        balance: factors of red and blue; ``saturation`` and ``contrast`` of its picture, 1 being neutral.
        light: one of :data:`LIGHTS`; ``wet``: how wet the road is, 0..1; ``leafy``: share of the sun taken by shade.
        gain: exposure.
        smear: (x, y) motion blur in samples.
        lit: how strongly vehicles' lamps shine; ``haze`` over far things.
    """

    bend: float = 0.0
    quality: int = 90
    coarse: float = 1.0
    balance: tuple[float, float] = (1.0, 1.0)
    saturation: float = 1.0
    contrast: float = 1.0
    light: str = "overcast"
    wet: float = 0.0
    leafy: float = 0.0
    gain: float = 1.0
    smear: tuple[int, int] = (0, 0)
    lit: float = 0.0
    haze: float = 0.0


def sample_camera(rng: np.random.Generator, number: int, sizes: tuple[int, int], occlusion: float) -> StreetCamera:
    """One camera by lot, 4 to 12 m above its road; ``number`` settles from where it looks."""
    between = lambda a, b: round(float(rng.uniform(a, b)), 3)  # noqa: E731
    kind = KINDS[number % len(KINDS)]
    toward = -1 if kind.startswith("front") or (kind.startswith("side") and number % 4 < 2) else 1
    lanes = int(rng.integers(1, 4))
    edge = 3.6 * lanes
    position, target = _pose(kind, edge, between)
    low_wall = rng.random() < 0.4
    wall = (edge + between(0.4, 1.5), between(0.6, 1.1), (0.6, 0.59, 0.56)) if low_wall else (
        edge + between(2.5, 9.0), between(1.5, 9.0), WALLS[rng.integers(len(WALLS))])  # fmt: skip
    span = between(2.5, 6.0)
    return StreetCamera(
        name=f"c{number + 1:03d}", kind=kind, position=position, target=target, toward=toward, share=between(0.85, 0.97),
        lane=1.8, lanes=lanes, span=(-span, span), sun=(0.0, 0.0, 1.0), sunlight=(0.0,) * 3, skylight=(1.0,) * 3,
        road=between(0.36, 0.60), verge=VERGES[rng.integers(len(VERGES))], wall=wall if rng.random() < 0.75 else None,
        sky=(0.75, 0.8, 0.86), grain=int(rng.integers(2**31)), size=int(rng.integers(sizes[0] // 4, sizes[1] // 4 + 1)) * 4,
        blur=between(0.0, 0.12), noise=between(0.5, 5.0), occlusion=round(occlusion * between(0.4, 1.6), 3),
        bend=between(-0.12, 0.02), quality=int(rng.integers(35, 96)), coarse=between(0.85, 1.5),
        balance=(between(0.9, 1.1), between(0.88, 1.12)), saturation=between(0.7, 1.15), contrast=between(0.85, 1.15),
    )  # fmt: skip


def _pose(kind: str, edge: float, between) -> tuple[Point, Point]:
    """Where a camera of a kind stands and the point on the road it looks at; one at the side stands clear of the road."""
    height, fall = between(4.0, 12.0), between(0.22, 0.62)
    away = round(height / fall, 2)
    if kind in ("front", "rear"):
        return (0.0, between(-7.0, 7.0), height), (away, 0.0, 0.8)
    if kind.startswith("side"):
        return (0.0, -round(edge + 4.0 + away * 0.4, 2), height), (between(-6.0, 6.0), 0.0, 0.8)
    sign = 1 if kind.endswith("left") else -1
    return (0.0, sign * (4.0 + 0.45 * away), height), (round(0.8 * away, 2), 0.0, 0.8)


def passing(camera: StreetCamera, rng: np.random.Generator) -> StreetCamera:
    """The camera as it is while one vehicle passes: light, weather, exposure, stream."""
    between = lambda a, b: float(rng.uniform(a, b))  # noqa: E731
    light = LIGHTS[int(np.searchsorted(np.cumsum(SHARES), rng.random() * 0.999))]
    sun, sky, tint = {
        "overcast": (between(0.0, 0.25), between(0.8, 1.1), 0.0), "sun": (between(0.9, 1.6), between(0.35, 0.6), 0.04),
        "low": (between(0.8, 1.5), between(0.3, 0.5), 0.16), "backlight": (between(0.9, 1.5), between(0.25, 0.4), 0.08),
        "dusk": (between(0.0, 0.2), between(0.25, 0.4), -0.10), "night": (between(0.10, 0.2), between(0.03, 0.07), 0.22),
    }[light]  # fmt: skip
    tint += between(-0.04, 0.04)
    direction = _sun(light, camera, between)
    grey = 0.17 * (sky * 0.75 + sun * direction[2])
    gain = NORMAL_GREY / grey * between(0.7, 1.25) * {"backlight": 0.8, "night": 0.5, "dusk": 0.75}.get(light, 1.0)
    fast = int(rng.integers(0, 5)) if rng.random() < 0.3 else 0
    dim = light in ("dusk", "night")
    return replace(
        camera, light=light, sun=direction, gain=gain, wet=between(0.3, 1.0) if rng.random() < 0.2 else 0.0,
        sunlight=(sun * (1 + tint), sun, sun * (1 - 1.3 * tint)), skylight=(sky * (1 - tint / 3), sky, sky * (1 + tint / 2)),
        leafy=between(0.3, 0.6) if rng.random() < 0.2 else 0.0, smear=(fast, int(rng.integers(0, 2))),
        lit=(between(1.5, 4.0) if dim else between(0.2, 1.0) if rng.random() < 0.25 else 0.0) * 0.35 / gain,
        haze=between(0.0, 0.25) ** 2 * 4, noise=camera.noise * (1.8 if dim else 1.0),
        quality=int(np.clip(camera.quality + rng.integers(-10, 11), 20, 95)), coarse=camera.coarse * between(0.85, 1.1),
    )  # fmt: skip


def _sun(light: str, camera: StreetCamera, between) -> Point:
    """A unit vector to the sun, or to the street lamp at night."""
    x, y, z = between(-0.9, 0.9), between(-0.9, 0.9), between(0.6, 1.3)
    if light == "low":
        z = between(0.25, 0.45)
    elif light == "backlight":
        x, y, z = camera.target[0] - camera.position[0], camera.target[1] - camera.position[1], 0.0
        long = max((x * x + y * y) ** 0.5, 1e-3)
        x, y, z = x / long, y / long, between(0.3, 0.5)
    elif light == "night":
        z = between(1.0, 3.0)
    length = (x * x + y * y + z * z) ** 0.5
    return (round(x / length, 5), round(y / length, 5), round(z / length, 5))
