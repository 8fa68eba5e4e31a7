"""Five charts of a vehicle, each straight along one axis: painted once, looked up by every picture of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PAINT, MATTE, GLASS, CHROME, LAMP, LIGHT = range(6)


class Chart:
    """Texels over two axes in metres: what colour, which material, which mark.

    Args:
        low, high: (along, up) in metres of the first and last texel's outer edges.
        pitch: texels a metre.
        color: what all are painted with at first.

    Attributes:
        a, b: float32 ``[1, U]`` and ``[V, 1]``: the texels' places.
        rgb: float32 ``[V, U, 3]`` as displayed; ``kind`` and ``mark``: uint8 ``[V, U]``.
    """

    def __init__(self, low: tuple[float, float], high: tuple[float, float], pitch: float, color) -> None:
        count = [max(2, int((h - l) * pitch)) for l, h in zip(low, high, strict=True)]  # noqa: E741
        self.low, self.pitch, self.shape = low, pitch, (count[1], count[0])
        self.a = (np.float32(low[0]) + (np.arange(count[0], dtype=np.float32) + np.float32(0.5)) / np.float32(pitch))[
            None
        ]
        self.b = (np.float32(low[1]) + (np.arange(count[1], dtype=np.float32) + np.float32(0.5)) / np.float32(pitch))[
            :, None
        ]
        self.rgb = np.empty((*self.shape, 3), np.float32)
        self.rgb[:] = color
        self.kind, self.mark = np.full(self.shape, PAINT, np.uint8), np.zeros(self.shape, np.uint8)

    def window(self, a0: float, a1: float, b0: float, b1: float) -> tuple[slice, slice]:
        """The texels of a rectangle."""
        cut = lambda at, axis: min(max(int((at - self.low[axis]) * self.pitch + 0.5), 0), self.shape[1 - axis])  # noqa: E731
        return slice(cut(b0, 1), cut(b1, 1)), slice(cut(a0, 0), cut(a1, 0))

    def rect(self, a0: float, a1: float, b0: float, b1: float, color, kind: int = MATTE) -> None:
        """Paint a rectangle."""
        where = self.window(a0, a1, b0, b1)
        self.rgb[where], self.kind[where] = color, kind

    def both(self, a0: float, a1: float, b0: float, b1: float, color, kind: int = MATTE) -> None:
        """Paint a rectangle and its mirror image about the middle."""
        self.rect(a0, a1, b0, b1, color, kind)
        self.rect(-a1, -a0, b0, b1, color, kind)

    def put(self, where: np.ndarray, color, kind: int = MATTE, mark: int = 0) -> None:
        """Paint the texels that a mask names."""
        where = np.flatnonzero(np.broadcast_to(where, self.shape))
        self.rgb.reshape(-1, 3)[where] = color
        self.kind.reshape(-1)[where] = kind
        if mark:
            self.mark.reshape(-1)[where] = mark

    def shade(self, where: tuple[slice, slice], factor: float) -> None:
        """Darken or lighten a rectangle."""
        self.rgb[where] *= np.float32(factor)

    def line(self, a: float, b0: float, b1: float, factor: float = 0.45, width: float = 0.022) -> None:
        """A gap or a seam upright at ``a``, one texel wide at least."""
        self.shade(self.window(a - max(width, 0.55 / self.pitch), a + max(width, 0.55 / self.pitch), b0, b1), factor)

    def level(self, b: float, a0: float, a1: float, factor: float = 0.5, width: float = 0.018) -> None:
        """A gap or a seam level at ``b``."""
        self.shade(self.window(a0, a1, b - max(width, 0.55 / self.pitch), b + max(width, 0.55 / self.pitch)), factor)

    def ellipse(self, a: float, b: float, ra: float, rb: float) -> np.ndarray:
        """Distance from a centre in units of the radii, squared, ``[V, U]``."""
        return ((self.a - np.float32(a)) / np.float32(ra)) ** 2 + ((self.b - np.float32(b)) / np.float32(rb)) ** 2


@dataclass(frozen=True)
class Atlas:
    """All texels of a vehicle in a row, and where each chart lies among them.

    Attributes:
        rgb: float32 ``[3, T]`` linear light; ``kind`` and ``mark``: uint8 ``[T]``.
        place: float32 ``[C, 8]``: for each chart the factors of x, y, z and the offset of its column, its columns, rows,
            first texel, and the pitch of its rows; charts beyond the five are single texels.
    """

    rgb: np.ndarray
    kind: np.ndarray
    mark: np.ndarray
    place: np.ndarray

    def texel(self, chart: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The texel at points ``[3, N]`` (metres, vehicle's frame) of charts ``[N]``."""
        ax, ay, au, by, bz, bv, wide, tall, first = self.place[chart].T
        u = np.clip(points[0] * ax + points[1] * ay + au, 0, wide - 1)
        v = np.clip(points[1] * by + points[2] * bz + bv, 0, tall - 1)
        return first.astype(np.int32) + v.astype(np.int32) * wide.astype(np.int32) + u.astype(np.int32)


def pack(charts: list[Chart], single: list[tuple]) -> Atlas:
    """One atlas of five charts (left, right, top, front, rear) and of single texels (colour, kind, mark)."""
    rgb = np.concatenate([*(c.rgb.reshape(-1, 3) for c in charts), np.array([s[0] for s in single], np.float32)])
    kind = np.concatenate([*(c.kind.reshape(-1) for c in charts), np.array([s[1] for s in single], np.uint8)])
    mark = np.concatenate([*(c.mark.reshape(-1) for c in charts), np.array([s[2] for s in single], np.uint8)])
    rows, first = [], 0
    for number, chart in enumerate(charts):
        p, (a0, b0), (tall, wide) = chart.pitch, chart.low, chart.shape
        along = (p, 0.0) if number < 3 else (0.0, p)
        up = (p, 0.0) if number == 2 else (0.0, p)
        rows.append((*along, -a0 * p, *up, -b0 * p, wide, tall, first))
        first += tall * wide
    rows += [(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1, 1, first + k) for k in range(len(single))]
    rgb = np.ascontiguousarray(np.clip(rgb, 0, 1).T)
    return Atlas(rgb * rgb, kind, mark, np.array(rows, np.float32))
