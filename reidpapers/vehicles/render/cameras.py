"""Fixed cameras along a small road network: pose, light, surroundings, picture quality, distances between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Color = tuple[float, float, float]
Point = tuple[float, float, float]
KINDS = ("front", "rear-left", "side", "rear", "front-left", "front", "rear", "side-far", "front-right", "rear-right")
# Ground beside the road: colour, and how much its brightness varies.
VERGES = (
    ((0.34, 0.42, 0.22), 0.30),
    ((0.62, 0.60, 0.57), 0.10),
    ((0.50, 0.45, 0.36), 0.22),
    ((0.46, 0.47, 0.48), 0.14),
)
WALLS = ((0.55, 0.42, 0.36), (0.66, 0.66, 0.64), (0.25, 0.34, 0.19), (0.44, 0.46, 0.50))
# Streets cross every so many metres.
BLOCK = (140.0, 260.0)


@dataclass(frozen=True)
class Camera:
    """A fixed camera beside a straight road along x, y to the left of it, the ground at z = 0.

    Attributes:
        name: as in the labels.
        kind: one of :data:`KINDS`: how passing vehicles mostly look.
        position, target: where it stands and looks, metres.
        toward: +1 if most vehicles drive along x, −1 if against it; ``share`` of them do.
        lane: distance of the nearer lane's middle from the middle of the road, metres; ``lanes`` each way.
        span: stretch of x over which vehicles are recorded, metres.
        sun: unit vector to the sun; ``sunlight`` and ``skylight`` its strength and the sky's, by channel, linear.
        road: asphalt as displayed; ``verge`` the ground beside it and how it varies; ``wall``: distance from the
            middle of the road, height and colour, or None; ``sky`` as displayed.
        grain: seed of the ground's texture.
        size: longer side of its pictures in pixels.
        blur: weight of each neighbour in the 3 × 3 blur; ``noise`` in grey levels.
        occlusion: share of pictures with something in front of the vehicle.
    """

    name: str
    kind: str
    position: Point
    target: Point
    toward: int
    share: float
    lane: float
    lanes: int
    span: tuple[float, float]
    sun: Point
    sunlight: Color
    skylight: Color
    road: float
    verge: tuple[Color, float]
    wall: tuple[float, float, Color] | None
    sky: Color
    grain: int
    size: int
    blur: float
    noise: float
    occlusion: float


def sample_camera(rng: np.random.Generator, number: int, sizes: tuple[int, int], occlusion: float) -> Camera:
    """One camera drawn by lot; ``number`` (from 0) settles its kind, so that every kind of view is there."""
    between = lambda a, b: round(float(rng.uniform(a, b)), 3)  # noqa: E731
    kind = KINDS[number % len(KINDS)]
    toward = -1 if kind.startswith("front") or (kind.startswith("side") and number % 4 < 2) else 1
    position, target = _pose(kind, between)
    sunny = rng.random() < 0.55
    warm = between(-0.06, 0.08)
    sun, sky = (between(0.65, 0.95), between(0.42, 0.58)) if sunny else (between(0.05, 0.2), between(0.75, 1.0))
    dim = between(0.62, 1.08)
    lanes = int(rng.integers(1, 3))
    edge = 3.6 * lanes
    walled = rng.random() < 0.5
    return Camera(
        name=f"c{number + 1:03d}",
        kind=kind,
        position=position,
        target=target,
        toward=toward,
        share=between(0.8, 0.95),
        lane=1.8,
        lanes=lanes,
        span=(-between(2.5, 4.5), between(2.5, 4.5)),
        sun=_sun(between),
        sunlight=(dim * sun * (1 + warm), dim * sun, dim * sun * (1 - warm)),
        skylight=(dim * sky * (1 - warm / 3), dim * sky, dim * sky * (1 + warm / 2)),
        road=between(0.34, 0.52),
        verge=VERGES[rng.integers(len(VERGES))],
        wall=(edge + between(2.5, 7.0), between(1.0, 4.0), WALLS[rng.integers(len(WALLS))]) if walled else None,
        sky=(0.72, 0.80, 0.90) if sunny else (0.80, 0.82, 0.84),
        grain=int(rng.integers(2**31)),
        size=int(rng.integers(sizes[0] // 4, sizes[1] // 4 + 1)) * 4,
        blur=between(0.0, 0.13),
        noise=between(1.5, 6.0),
        occlusion=round(occlusion * between(0.4, 1.6), 3),
    )


def _pose(kind: str, between) -> tuple[Point, Point]:
    """Where a camera of a kind stands and the point on the road it looks at."""
    if kind in ("front", "rear"):
        return (0.0, between(-4.0, 2.0), between(4.2, 6.8)), (between(12.0, 17.0), 0.0, 0.8)
    if kind.startswith("side"):
        far = 3.0 if kind == "side-far" else 0.0
        return (0.0, -between(9.0, 11.0) - far, between(2.6, 4.2) + far / 2), (between(-2.5, 3.5), 0.0, 0.8)
    sign = 1 if kind.endswith("left") else -1
    return (0.0, sign * between(6.0, 8.5), between(3.2, 5.2)), (between(8.0, 12.0), 0.0, 0.8)


def _sun(between) -> Point:
    """A unit vector well above the horizon."""
    x, y, z = between(-0.9, 0.9), between(-0.9, 0.9), between(0.7, 1.2)
    length = (x * x + y * y + z * z) ** 0.5
    return (round(x / length, 5), round(y / length, 5), round(z / length, 5))


def distances(rng: np.random.Generator, count: int) -> np.ndarray:
    """Shortest ways by road between cameras placed by lot on a grid of streets, ``[count, count]`` in metres.

    Each camera stands on its own street segment while there are enough; ways follow the streets (Floyd–Warshall).
    """
    side = 2
    while 2 * side * (side + 1) < count:
        side += 1
    nodes = (side + 1) ** 2
    edges = [(r * (side + 1) + c, r * (side + 1) + c + 1) for r in range(side + 1) for c in range(side)]
    edges += [(r * (side + 1) + c, (r + 1) * (side + 1) + c) for r in range(side) for c in range(side + 1)]
    chosen = [edges[i] for i in rng.permutation(len(edges))[:count]]
    length = {edge: float(rng.uniform(*BLOCK)) for edge in edges}
    ways = np.full((nodes + count, nodes + count), np.inf)
    np.fill_diagonal(ways, 0.0)
    for (a, b), metres in length.items():
        ways[a, b] = ways[b, a] = metres
    for camera, (a, b) in enumerate(chosen):
        near = length[a, b] * float(rng.uniform(0.2, 0.8))
        for node, metres in ((a, near), (b, length[a, b] - near)):
            ways[nodes + camera, node] = ways[node, nodes + camera] = metres
    for k in range(nodes + count):
        ways = np.minimum(ways, ways[:, k, None] + ways[None, k, :])
    return np.round(ways[nodes:, nodes:], 1)
