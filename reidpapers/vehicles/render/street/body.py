"""From a shape to triangles: one skin lofted along the vehicle, wheels, load and what stands on the roof."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from reidpapers.vehicles.render.geometry import CIRCLE, along, cargo, mirrors, on_roof, spoiler, wheels
from reidpapers.vehicles.render.mesh import CREASE, Mesh, Part, box, join, loft, unit
from reidpapers.vehicles.render.street.shapes import Shape

# What a roof may carry: the catalogue's fittings, and a taxi's sign, a ladder, a flashing bar.
CARRIED = ("none", "rack", "box", "sign", "ladder", "bar")
# Charts onto which the skin is painted, each straight along one axis.
LEFT, RIGHT, TOP, FRONT, REAR = range(5)


@dataclass(frozen=True)
class Skin(Mesh):
    """A mesh whose normals are smoothed corner by corner, some hundred faces in a millisecond."""

    @cached_property
    def places(self) -> np.ndarray:
        """A number for each corner's place to the millimetre, ``[3 T]``."""
        keys = np.rint(self.corners.reshape(-1, 3) * 1000).astype(np.int64) + 2**20
        return (keys[:, 0] << 42) + (keys[:, 1] << 21) + keys[:, 2]

    @cached_property
    def points(self) -> np.ndarray:
        """The distinct vertices, ``[P, 3]``."""
        return self.corners.reshape(-1, 3)[np.unique(self.places, return_index=True)[1]]

    @cached_property
    def normals(self) -> np.ndarray:
        """Normals at the corners, ``[T, 3, 3]``: the mean over faces of one part there, or the face's own where it is far off."""
        order = np.unique(self.places, return_inverse=True)[1]
        code = order * len(Part) + np.repeat(self.part, 3)
        group = np.unique(code, return_inverse=True)[1]
        flat = np.repeat(self.flat, 3, axis=0)
        mean = unit(np.stack([np.bincount(group, flat[:, axis]) for axis in range(3)], axis=1))[group]
        x, y, z = (mean * flat).T
        return np.where((x + y + z > CREASE)[:, None], mean, flat).reshape(-1, 3, 3)

    @cached_property
    def chart(self) -> np.ndarray:
        """The chart that each face is painted on, ``[T]``: by where it looks."""
        x, y, z = self.flat.T
        side = (np.abs(y) > 0.62) & (np.abs(y) > np.abs(x))
        steep = np.abs(x) > 0.28
        return np.where(side, np.where(y > 0, LEFT, RIGHT), np.where(steep, np.where(x > 0, FRONT, REAR), TOP))


@lru_cache(maxsize=512)
def build(shape: Shape, carried: str = "none", wing: bool = False) -> Skin:
    """The triangles of a shape with what it carries.

    Args:
        shape: what is built.
        carried: one of :data:`CARRIED`.
        wing: spoiler; sun visor on buses and trucks, roll bar on pickups.
    """
    parts = [shell(shape), *wheels(shape), *mirrors(shape), *load(shape), *fittings(shape, carried)]
    if wing:
        parts.append(spoiler(shape))
    mesh = join(*parts)
    return Skin(mesh.corners, mesh.part)


def shell(shape: Shape) -> Mesh:
    """Bonnet, flanks, windows and roof: sections along x, each from one sill over the top to the other."""
    x = _stations(shape)
    return loft(np.stack([_section(shape, float(at), *row) for at, row in zip(x, _outline(shape, x), strict=True)]),
                Part.BODY, closed=False)  # fmt: skip


def end_of(shape: Shape) -> float:
    """x of the shell's rear end: of the cab, where a truck carries its load behind it."""
    return along(shape, shape.cab)


def _knots(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """The top's outline as (x falling, z): bonnet, windscreen, roof, rear window, tail."""
    at = lambda f: along(shape, f)  # noqa: E731
    front, rear, r = at(0), end_of(shape), shape.round
    top = shape.height - shape.swell
    knots = [
        (front, shape.nose - 0.10 - 0.12 * r),
        (front - 0.35 * r - 0.03, shape.nose),
        (at(shape.base_f), shape.cowl),
    ]
    knots += [(at(shape.roof_f), top - 0.02), (at(0.6 * shape.roof_f + 0.4 * shape.roof_r), top)]
    knots += [(at(shape.roof_r), top - 0.04), (max(at(shape.base_r), rear + 0.02), shape.tail)]
    if shape.base_r < 0.9 * shape.cab:
        knots += [(rear + 0.3 * r + 0.03, shape.tail - 0.03)]
    knots += [(rear, shape.tail - 0.10 - 0.1 * r)]
    x, z = np.array(knots).T
    return np.minimum.accumulate(x - 1e-3 * np.arange(len(x))), z


def _stations(shape: Shape) -> np.ndarray:
    """Places of the sections, front to rear: closer together where the outline bends."""
    knots, _ = _knots(shape)
    more = [np.linspace(a, b, 4)[1:-1] for a, b in zip(knots[1:-2], knots[2:-1], strict=True)]
    ends = [knots[0] - np.array([0.04, 0.14, 0.34]) * (0.4 + 2 * shape.round), knots[-1] + np.array([0.04, 0.14, 0.3])]
    x = np.sort(np.concatenate([knots, *more, *ends]))[::-1]
    x = x[(x <= knots[0]) & (x >= knots[-1])]
    return x[np.concatenate([[True], -np.diff(x) > 0.012])]


def _outline(shape: Shape, x: np.ndarray) -> np.ndarray:
    """Sill, top and share of the width at each station, ``[S, 3]``; corners of the outline are rounded off."""
    knots, height = _knots(shape)
    soft = shape.soften
    top = sum(np.interp(-(x + d * soft), -knots, height) for d in (-1.0, -0.4, 0.4, 1.0)) / 4
    ahead, behind = knots[0] - x, x - knots[-1]
    r = shape.round
    lift = 0.12 * np.maximum(1 - ahead / 0.5, 0) ** 2 + 0.14 * np.maximum(1 - behind / 0.5, 0) ** 2
    narrow = 0.5 * r * np.maximum(1 - ahead / (1.2 * r + 0.2), 0) ** 2
    narrow += (0.4 * r if shape.cab == 1 else 0.03) * np.maximum(1 - behind / (1.0 * r + 0.2), 0) ** 2
    return np.stack([shape.clearance + lift, top, 1 - narrow], axis=1)


def _section(shape: Shape, x: float, sill: float, top: float, share: float) -> np.ndarray:
    """One ring of 17 points from the left sill to the right one."""
    half = shape.width / 2 * share
    belt = min(shape.belt + shape.rise * 0.5, top - 0.05)
    rise = (top - belt) / max(shape.height - shape.belt, 0.2)
    edge = half * 0.95 - shape.tumble * rise - 0.03
    round_ = min(0.12, 0.35 * (top - belt))
    left = [
        (half * 0.90, sill), (half * 0.965, sill + 0.12 * (belt - sill)), (half, sill + 0.45 * (belt - sill)),
        (half * 0.985, sill + 0.88 * (belt - sill)), (half * 0.955, belt), (edge, top - round_),
        (edge - 0.35 * round_ - 0.02, top - 0.25 * round_), (edge * 0.55, top + 0.7 * shape.swell),
    ]  # fmt: skip
    return np.array([(x, y, z) for y, z in [*left, (0.0, top + shape.swell)]] + [(x, -y, z) for y, z in left[::-1]])


def load(shape: Shape) -> list[Mesh]:
    """What a truck carries on its chassis."""
    if shape.cargo in ("", "bed"):
        return []
    if shape.cargo in ("box", "container", "tipper", "tank"):
        known = "box" if shape.cargo == "container" else shape.cargo
        return cargo(replace(shape, cargo=known))
    chassis = cargo(replace(shape, cargo="box"))[:2]
    front, rear, w = along(shape, shape.cab) - 0.12, -shape.length / 2, shape.width / 2
    if shape.cargo == "flat":
        bed = box((rear, -w, 1.0), (front, w, shape.deck), Part.CARGO)
        wall = box((front - 0.1, -w, 1.0), (front, w, shape.deck + 0.9), Part.CARGO)
        many = 1 + int(shape.length * 7) % 3
        step = (front - rear - 0.6) / many
        pile = [box((rear + 0.2 + i * step, -w * 0.8, shape.deck), (rear + 0.1 + (i + 0.8) * step, w * 0.8,
                    shape.deck + 0.5 + 0.3 * ((i + many) % 3)), Part.BED, 0.05) for i in range(many)]  # fmt: skip
        return [*chassis, bed, wall, *pile]
    return [*chassis, _drum(front, rear, w, shape.deck)]


def _drum(front: float, rear: float, w: float, deck: float) -> Mesh:
    """A mixer's drum: thick in the middle, its mouth up at the rear."""
    line = ((0.05, 0.45, 0.0), (0.2, 0.9, 0.0), (0.45, 1.0, 0.1), (0.75, 0.8, 0.35), (0.95, 0.4, 0.6))
    centre, radius = (1.1 + deck) / 2, min(w * 0.95, (deck - 1.1) / 2)
    turned = np.concatenate([CIRCLE[3:], CIRCLE[:3]])
    turned = (turned + np.roll(turned, -1, axis=0)) / 1.931852
    rings = [[(front + (rear - front) * at, radius * share * c, centre + up * 0.6 + radius * share * s) for c, s in turned]
             for at, share, up in line]  # fmt: skip
    return loft(np.array(rings), Part.CARGO)


def fittings(shape: Shape, carried: str) -> list[Mesh]:
    """Rails and aerial of the shape, and what its owner put on the roof."""
    front, rear = along(shape, shape.roof_f) - 0.2, along(shape, shape.roof_r) + 0.15
    half, z = shape.width * 0.475 - shape.tumble - 0.1, shape.height - shape.swell
    parts = list(on_roof(shape, carried)) if carried in ("rack", "box") else []
    if shape.rails:
        parts += [box((rear, s * half - 0.03, z), (front, s * half + 0.03, z + 0.08), Part.DARK) for s in (1, -1)]
    if shape.fin and shape.cargo == "":
        parts.append(box((rear, -0.03, z), (rear + 0.22, 0.03, z + 0.12), Part.MIRROR, 0.02))
    middle = (front + rear) / 2
    if carried == "sign":
        parts.append(box((middle - 0.1, -0.26, z + 0.02), (middle + 0.14, 0.26, z + 0.24), Part.EXTRA, 0.05))
    if carried == "bar":
        parts.append(
            box((middle - 0.12, -half * 0.85, z + 0.02), (middle + 0.12, half * 0.85, z + 0.17), Part.EXTRA, 0.03)
        )
    if carried == "ladder":
        long = min(front - rear, 3.0)
        parts += [box((front - long, y - 0.04, z + 0.08), (front, y + 0.04, z + 0.16), Part.EXTRA) for y in (-0.4, 0.1)]
        parts += [box((front - long * k / 6 - 0.04, -0.4, z + 0.08), (front - long * k / 6 + 0.04, 0.1, z + 0.14), Part.EXTRA)
                  for k in range(1, 6)]  # fmt: skip
    if shape.spare:
        at, r = -shape.length / 2, 0.34
        ring = CIRCLE * r
        disc = np.array([[(at - d, y, shape.tail * 0.9 + q) for y, q in ring] for d in (0.0, 0.2)])
        parts.append(loft(disc[:, [3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 5, 4]], Part.TYRE))
    return parts
