"""From a model and its fittings to triangles: lower body, glasshouse, wheels, cargo, roof things."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from reidpapers.vehicles.render.catalogue import BY_NAME, Model
from reidpapers.vehicles.render.mesh import Mesh, Part, box, join, loft, outward, quads

ROOFS = ("none", "rack", "box")
# Twelve points of a circle, rounded so that no machine's cosine matters.
CIRCLE = np.array([
    (1.0, 0.0), (0.866025, 0.5), (0.5, 0.866025), (0.0, 1.0), (-0.5, 0.866025), (-0.866025, 0.5),
    (-1.0, 0.0), (-0.866025, -0.5), (-0.5, -0.866025), (0.0, -1.0), (0.5, -0.866025), (0.866025, -0.5),
])  # fmt: skip
# A body's half section from sill to middle: share of the half width, share of the height from sill to top.
SECTION = ((0.90, 0.0), (0.97, 0.12), (1.0, 0.50), (0.965, 0.90), (0.90, 1.0))
CROWN = 0.035
TREAD = 0.24


@lru_cache(maxsize=256)
def build(model: str, roof: str = "none", wing: bool = False) -> Mesh:
    """The triangles of a model with what it carries on its roof and tail.

    Args:
        model: a name in :data:`~reidpapers.vehicles.render.catalogue.BY_NAME`.
        roof: one of :data:`ROOFS`.
        wing: spoiler; sun visor on buses and trucks, roll bar on pickups.
    """
    spec = BY_NAME[model]
    meshes = [body(spec), glasshouse(spec), *wheels(spec), *mirrors(spec), *cargo(spec), *on_roof(spec, roof)]
    if wing:
        meshes.append(spoiler(spec))
    return join(*meshes)


def along(spec: Model, fraction: float) -> float:
    """x of a point at a fraction of the length from the front."""
    return spec.length / 2 - fraction * spec.length


def body(spec: Model) -> Mesh:
    """Everything below the belt line, lofted along x; a pickup's bed is sunk into it."""
    rings = [_section(spec, *station) for station in _stations(spec)]
    mesh = loft(np.array(rings), Part.BODY, closed=False)
    if spec.cargo != "bed":
        return mesh
    inside = mesh.corners.reshape(-1, 9)[:, 2::3].max(axis=1) <= spec.deck + 0.02
    inside &= np.abs(mesh.corners[:, :, 1]).max(axis=1) < 0.46 * spec.width
    inside &= mesh.corners[:, :, 0].max(axis=1) < along(spec, spec.base_r) + 0.01
    inside &= mesh.corners[:, :, 2].min(axis=1) > spec.deck - 0.02
    return Mesh(mesh.corners, np.where(inside, int(Part.BED), mesh.part))


def _stations(spec: Model) -> list[tuple[float, float, float, float, float]]:
    """(x, sill, top, share of the width, height of the middle of the top) from front to rear."""
    sill, r, x = spec.clearance, spec.round, lambda f: along(spec, f)
    end = along(spec, spec.cab)
    crown = lambda z: z + CROWN  # noqa: E731
    front = [
        (x(0), sill + 0.10, spec.nose - 0.10 * (r > 0.15), 1 - 0.55 * r, spec.nose - 0.06),
        (x(0) - 0.3 * r, sill + 0.03, spec.nose, 1 - 0.22 * r, crown(spec.nose)),
        (
            x(0) - 1.2 * r,
            sill,
            spec.nose + 0.3 * (spec.cowl - spec.nose),
            1.0,
            crown(spec.nose + 0.3 * (spec.cowl - spec.nose)),
        ),
    ]
    base = min(x(spec.base_f), x(0) - 1.2 * r - 0.02)
    middle = [(base, sill, spec.cowl, 1.0, crown(spec.cowl)), (x(spec.roof_f), sill, spec.belt, 1.0, crown(spec.belt))]
    if spec.cargo == "bed":
        start = x(spec.base_r)
        rear = [(start, sill, spec.belt, 1.0, crown(spec.belt)), (start - 0.01, sill, spec.tail, 1.0, spec.deck),
                (end + 0.08, sill + 0.02, spec.tail, 1.0, spec.deck), (end + 0.07, sill + 0.02, spec.tail, 1.0, crown(spec.tail) - 0.03),
                (end, sill + 0.08, spec.tail - 0.02, 0.97, spec.tail - 0.02)]  # fmt: skip
        return front + middle + rear
    foot = max(x(spec.base_r), end + r)
    rear = [
        (foot, sill, spec.tail, 1.0, crown(spec.tail)),
        (end + 0.3 * r, sill + 0.03, spec.tail - 0.02, 1 - 0.18 * r, crown(spec.tail) - 0.02),
        (end, sill + 0.10, spec.tail - 0.08 * (r > 0.25), 1 - 0.45 * r, spec.tail - 0.05 * (r > 0.25)),
    ]
    return front + middle + rear


def _section(spec: Model, x: float, sill: float, top: float, share: float, centre: float) -> np.ndarray:
    """One open ring from the left sill over the top to the right sill, ``[13, 3]``."""
    half = spec.width / 2 * share
    left = [(x, half * w, sill + (top - sill) * h) for w, h in SECTION]
    rim = [(x, half * 0.88, centre if centre < top - 0.1 else top)]
    return np.array([*left, *rim, (x, 0.0, centre), *[(x, -y, z) for _, y, z in (left + rim)[::-1]]])


def glasshouse(spec: Model) -> Mesh:
    """Windows, posts and roof: octagons from the belt up to the roof."""
    x, w = lambda f: along(spec, f), spec.width / 2
    belt = min(spec.belt, spec.cowl, spec.tail) - 0.02
    edge, top = spec.height - 0.07, spec.height
    corner = 0.16 if spec.base_f < 0.02 else 0.24
    foot = _octagon(x(spec.base_f), x(spec.base_r), w * 0.95, corner, belt)
    head = _octagon(x(spec.roof_f), x(spec.roof_r), w * 0.95 - spec.tumble, corner, edge)
    crown = _octagon(x(spec.roof_f) - 0.18, x(spec.roof_r) + 0.14, w * 0.95 - spec.tumble - 0.14, corner, top)
    walls = loft(np.array([foot, head]), Part.HOUSE, caps=(False, False))
    return join(walls, loft(np.array([head, crown]), Part.ROOF, caps=(False, True)))


def _octagon(front: float, rear: float, half: float, corner: float, z: float) -> np.ndarray:
    """Eight points around a level section, mirrored in pairs: the first with the last, and so on."""
    c, wide = min(corner, (front - rear) / 3), 0.45 * corner
    left = [(front, half - wide), (front - c, half), (rear + c * 0.6, half), (rear, half - wide)]
    return np.array([(x, y, z) for x, y in left] + [(x, -y, z) for x, y in left[::-1]])


def wheels(spec: Model) -> list[Mesh]:
    """A disc and a tread a wheel, flush with the body's widest point."""
    meshes = []
    for axle in spec.axles:
        for sign in (1, -1):
            hub = np.array([along(spec, axle), sign * (spec.width / 2 + 0.012), spec.wheel])
            rim = hub + np.stack([CIRCLE[:, 0], np.zeros(12), CIRCLE[:, 1]], 1) * spec.wheel
            inner = rim - np.array([0, sign * TREAD, 0])
            ahead = np.roll(rim, -1, axis=0)
            disc = np.stack([np.broadcast_to(hub, rim.shape), rim, ahead], axis=1)
            disc = disc if sign < 0 else disc[:, ::-1]
            tread = quads(rim, inner, np.roll(inner, -1, axis=0), ahead)
            meshes += [
                Mesh(_facing(disc, np.array([0, sign, 0])), np.full(12, int(Part.WHEEL))),
                outward(tread, Part.TYRE),
            ]
    return meshes


def _facing(corners: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Flat faces wound so that their normals point along a direction."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        1,
    )
    along_it = normal[:, 0] * direction[0] + normal[:, 1] * direction[1] + normal[:, 2] * direction[2]
    return np.where((along_it < 0)[:, None, None], corners[:, ::-1], corners)


def mirrors(spec: Model) -> list[Mesh]:
    """One on each side below the windscreen's foot."""
    x = along(spec, spec.base_f + 0.35 * (spec.roof_f - spec.base_f)) - (0.0 if spec.base_f < 0.02 else 0.12)
    z, w = spec.belt + (0.45 if spec.base_f < 0.02 else 0.04), spec.width / 2
    size = 0.32 if spec.base_f < 0.02 else 0.15
    return [box((x - 0.1, *sorted_pair(s * (w - 0.06), s * (w + 0.15))[:1], z), (x + 0.08, max(s * (w - 0.06), s * (w + 0.15)), z + size),
                Part.MIRROR, 0.02) for s in (1, -1)]  # fmt: skip


def sorted_pair(a: float, b: float) -> tuple[float, float]:
    """The smaller first."""
    return (a, b) if a < b else (b, a)


def cargo(spec: Model) -> list[Mesh]:
    """What a truck carries behind its cab, and the chassis below it."""
    if spec.cargo in ("", "bed"):
        return []
    front, rear, w = along(spec, spec.cab) - 0.12, -spec.length / 2, spec.width / 2
    chassis = box((rear + 0.05, -w * 0.72, spec.clearance + 0.12), (front + 0.6, w * 0.72, 1.02), Part.DARK)
    bumper = box((rear, -w * 0.92, spec.clearance), (rear + 0.12, w * 0.92, spec.clearance + 0.42), Part.DARK)
    if spec.cargo == "box":
        return [chassis, bumper, box((rear, -w, 1.0), (front, w, spec.deck), Part.CARGO, 0.03)]
    if spec.cargo == "tank":
        z, r = (spec.deck + 1.0) / 2, (spec.deck - 1.0) / 2
        rings = [
            _ellipse(x, w * s, r * s, z)
            for x, s in ((front, 0.72), (front - 0.25, 1.0), (rear + 0.3, 1.0), (rear + 0.05, 0.72))
        ]
        return [chassis, bumper, loft(np.array(rings), Part.CARGO)]
    return [chassis, bumper, *_tipper(spec, front, rear, w)]


def _ellipse(x: float, half: float, radius: float, z: float) -> np.ndarray:
    """Twelve points around the x axis, mirrored in pairs."""
    order = [3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 5, 4]
    turned = CIRCLE[order]
    # Half a step further, so that the first and the last point are each other's mirror image.
    nearer = (turned + np.roll(turned, 1, axis=0)) / 1.931852
    nearer = np.roll(nearer, -1, axis=0)
    return np.array([(x, half * c, z + radius * s) for c, s in nearer])


def _tipper(spec: Model, front: float, rear: float, w: float) -> list[Mesh]:
    """An open body: walls with a dark floor between them, and a shield over the cab."""
    z0, z1, wall = 1.0, spec.deck, 0.08
    outer = [(-w, z0), (-w, z1), (-w + wall, z1), (-w + wall, z1 - 0.75), (0, z1 - 0.7)]
    ring = outer[::-1] + [(-y, z) for y, z in outer[:-1]]
    ring = [*outer, *[(-y, z) for y, z in outer[-2::-1]]]
    rings = np.array([[(x, y, z) for y, z in ring] for x in (front, rear)])
    walls = loft(rings, Part.CARGO, closed=False, caps=(False, False))
    floor = np.abs(walls.corners[:, :, 1]).max(axis=1) < w - wall / 2
    ends = [
        box((rear, -w, z0), (rear + wall, w, z1), Part.CARGO),
        box((front - wall, -w, z0), (front, w, z1 + 0.25), Part.CARGO),
    ]
    shield = box((front - wall, -w * 0.9, z1 + 0.1), (front + 0.7, w * 0.9, z1 + 0.25), Part.CARGO)
    return [
        Mesh(walls.corners, np.where(floor, int(Part.BED), walls.part)),
        *ends,
        *([shield] if z1 + 0.1 > spec.height else []),
    ]


def on_roof(spec: Model, roof: str) -> list[Mesh]:
    """A rack or a box, sized to the roof; buses carry the box as an air conditioner."""
    if roof == "none":
        return []
    front, rear = along(spec, spec.roof_f) - 0.25, along(spec, spec.roof_r) + 0.2
    half, z = spec.width * 0.475 - spec.tumble - 0.16, spec.height
    rear = max(rear, front - (2.2 if roof == "rack" else 1.7))
    if roof == "box":
        rear = min(rear, front - 0.6)
        return [box((rear, -half * 0.72, z - 0.02), (front, half * 0.5, z + 0.3), Part.EXTRA, 0.07)]
    rails = [box((rear, s * half - 0.035, z - 0.02), (front, s * half + 0.035, z + 0.11), Part.EXTRA) for s in (1, -1)]
    bars = [
        box((x - 0.04, -half, z + 0.07), (x + 0.04, half, z + 0.13), Part.EXTRA)
        for x in (rear + 0.1, (rear + front) / 2, front - 0.1)
    ]
    return [*rails, *bars]


def spoiler(spec: Model) -> Mesh:
    """A wing at the tail; a visor over the windscreen of buses and trucks; a roll bar on pickups."""
    half = spec.width * 0.475 - spec.tumble
    if spec.type in ("bus", "truck"):
        x = along(spec, spec.roof_f)
        return box((x - 0.1, -half * 0.9, spec.height - 0.3), (x + 0.32, half * 0.9, spec.height - 0.16), Part.WING)
    if spec.cargo == "bed":
        x, z = along(spec, spec.base_r) - 0.35, spec.height - 0.12
        posts = [
            box((x - 0.05, s * half - 0.05, spec.deck), (x + 0.05, s * half + 0.05, z), Part.WING) for s in (1, -1)
        ]
        return join(*posts, box((x - 0.06, -half - 0.05, z), (x + 0.06, half + 0.05, z + 0.09), Part.WING))
    if spec.base_r < 0.9:
        x, z = -spec.length / 2, spec.tail
        return join(box((x + 0.1, -half * 1.15, z + 0.16), (x + 0.4, half * 1.15, z + 0.22), Part.WING),
                    *[box((x + 0.18, s * half * 0.8 - 0.05, z), (x + 0.3, s * half * 0.8 + 0.05, z + 0.17), Part.WING) for s in (1, -1)])  # fmt: skip
    x = along(spec, spec.roof_r)
    return box((x - 0.26, -half * 0.92, spec.height - 0.1), (x + 0.2, half * 0.92, spec.height), Part.WING)
