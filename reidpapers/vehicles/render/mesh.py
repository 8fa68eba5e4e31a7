"""Triangles with parts and smooth normals, and the few solids that a vehicle is put together from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

# Faces of one part that meet at less than this cosine keep a sharp edge between them.
CREASE = 0.72
# A face counts as lying flat where the upward share of its normal is above this.
FLAT = 0.7


class Part(IntEnum):
    """What a face belongs to; the paint depends on it."""

    BODY = 0
    HOUSE = 1
    ROOF = 2
    CARGO = 3
    DARK = 4
    WHEEL = 5
    TYRE = 6
    EXTRA = 7
    WING = 8
    MIRROR = 9
    BED = 10


class Side(IntEnum):
    """Where a face looks, in the vehicle's frame."""

    SIDE = 0
    TOP = 1
    FRONT = 2
    REAR = 3
    CORNER = 4


@dataclass(frozen=True)
class Mesh:
    """Triangles wound so that their normals point outward.

    Attributes:
        corners: ``[T, 3, 3]`` metres: triangle, corner, (x, y, z).
        part: ``[T]`` values of :class:`Part`.
    """

    corners: np.ndarray
    part: np.ndarray

    @cached_property
    def points(self) -> np.ndarray:
        """The distinct vertices, ``[P, 3]``."""
        return np.unique(self.corners.reshape(-1, 3), axis=0)

    @cached_property
    def flat(self) -> np.ndarray:
        """Unit normal of each face, ``[T, 3]``."""
        a, b, c = self.corners[:, 0], self.corners[:, 1], self.corners[:, 2]
        return unit(cross(b - a, c - a))

    @cached_property
    def side(self) -> np.ndarray:
        """Where each face looks, ``[T]`` values of :class:`Side`."""
        x, y, z = np.abs(self.flat).T
        side = np.full(len(x), Side.CORNER)
        side[y > 1.5 * x] = Side.SIDE
        side[x > 1.5 * y] = Side.FRONT
        side[(x > 1.5 * y) & (self.flat[:, 0] < 0)] = Side.REAR
        # A windscreen may lie flatter than a bonnet stands: the glasshouse has no top, the roof nothing else.
        side[(z > FLAT) & (self.part != Part.HOUSE)] = Side.TOP
        return side

    @cached_property
    def normals(self) -> np.ndarray:
        """Normals at the corners, smoothed over faces of one part that meet gently: ``[T, 3, 3]``."""
        count = len(self.corners)
        keys = np.unique(np.rint(self.corners.reshape(-1, 3) * 1000).astype(np.int64), axis=0, return_inverse=True)[1]
        keys = keys.reshape(-1)
        flat = np.repeat(self.flat, 3, axis=0)
        part = np.repeat(self.part, 3)
        x, y, z = flat.T
        cosine = x[:, None] * x + y[:, None] * y + z[:, None] * z
        joined = (keys[:, None] == keys) & (part[:, None] == part) & (cosine > CREASE)
        into, source = np.nonzero(joined)
        smooth = np.zeros_like(flat)
        np.add.at(smooth, into, flat[source])
        return unit(smooth).reshape(count, 3, 3)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product over the last axis, term by term: the same bits on every machine."""
    ax, ay, az = np.moveaxis(a, -1, 0)
    bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to length one over the last axis; zero stays zero."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    length = np.sqrt(x * x + y * y + z * z)
    return vectors / np.where(length > 0, length, 1)[..., None]


def join(*meshes: Mesh) -> Mesh:
    """One mesh of several."""
    return Mesh(np.concatenate([m.corners for m in meshes]), np.concatenate([m.part for m in meshes]))


def quads(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Two triangles for each quad a-b-c-d, ``[..., 3]`` each → ``[2n, 3, 3]``; triangles without area are dropped."""
    corners = np.concatenate([np.stack([a, b, c], -2).reshape(-1, 3, 3), np.stack([a, c, d], -2).reshape(-1, 3, 3)])
    normal = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return corners[np.abs(normal).max(axis=1) > 1e-9]


def loft(rings: np.ndarray, part: int, closed: bool = True, caps: tuple[bool, bool] = (True, True)) -> Mesh:
    """A skin over cross-sections, wound outward.

    Args:
        rings: ``[S, K, 3]``: S sections of K points each.
        part: the part all faces belong to.
        closed: whether the last point of a section joins the first.
        caps: whether the first and the last section are filled; their points must come in mirrored pairs, the
            first with the last, the second with the last but one, and so on.
    """
    ahead = np.roll(rings, -1, axis=1) if closed else rings[:, 1:]
    here = rings if closed else rings[:, :-1]
    corners = [quads(here[:-1], here[1:], ahead[1:], ahead[:-1])]
    half = rings.shape[1] // 2
    for wanted, ring, flip in ((caps[0], rings[0], False), (caps[1], rings[-1], True)):
        if wanted:
            left, right = ring[:half], ring[::-1][:half]
            cap = quads(left[:-1], left[1:], right[1:], right[:-1])
            if rings.shape[1] % 2:
                tip = np.stack([left[-1], ring[half], right[-1]])[None]
                cap = np.concatenate([cap, tip])
            corners.append(cap[:, ::-1] if flip else cap)
    return outward(np.concatenate(corners), part)


def outward(corners: np.ndarray, part: int) -> Mesh:
    """A mesh of consistently wound triangles, turned inside out if it encloses a negative volume."""
    centred = corners - (corners.min(axis=(0, 1)) + corners.max(axis=(0, 1))) / 2
    volume = (centred[:, 0] * cross(centred[:, 1], centred[:, 2])).sum()
    return Mesh(corners[:, ::-1].copy() if volume < 0 else corners, np.full(len(corners), int(part)))


def box(low: tuple[float, float, float], high: tuple[float, float, float], part: int, taper: float = 0.0) -> Mesh:
    """A box between two corners; its top is smaller by ``taper`` metres on each side."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    t = taper
    bottom = [(x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0)]
    top = [(x0 + t, y0 + t, z1), (x1 - t, y0 + t, z1), (x1 - t, y1 - t, z1), (x0 + t, y1 - t, z1)]
    return loft(np.array([bottom, top]), part)
