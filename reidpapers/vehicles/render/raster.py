"""Which triangle each sample of an image sees: a z-buffer without a loop over triangles.

Every step is element by element, so the bits do not depend on threads, processes or the machine's vector units.
"""

from __future__ import annotations

import numpy as np

NEAR = 0.05


def rasterise(xy: np.ndarray, inverse: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest front face at each sample.

    Args:
        xy: ``[T, 3, 2]`` float64 positions of the corners in samples, y down.
        inverse: ``[T, 3]`` float64 one over the depth of each corner; faces with a corner nearer than
            :data:`NEAR` metres or behind the camera are left out.
        height, width: samples.

    Returns:
        ``face``: int32 ``[height · width]``, the row in ``xy`` or −1; ``inverse``: float64, same shape.
    """
    x, y = xy[:, :, 0], xy[:, :, 1]
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    # y points down in an image, so what is wound outward has a negative area when it faces the camera.
    seen = np.flatnonzero((area < -1e-9) & (inverse.min(axis=1) > 0) & (inverse.max(axis=1) < 1 / NEAR))
    x, y, depth, area = x[seen], y[seen], inverse[seen], area[seen]
    row_face, row = _rows(y, height)
    start, count = _spans(x, y, row_face, row, width)
    span = np.repeat(np.arange(len(count)), count)
    column = start[span] + _within(count)
    slope_x, slope_y, base = _plane(x, y, depth, area)
    at_row = base[row_face] + slope_y[row_face] * (row + 0.5) + slope_x[row_face] * 0.5
    value = at_row[span] + slope_x[row_face][span] * column
    place = row[span] * width + column
    best = np.zeros(height * width)
    np.maximum.at(best, place, value)
    won = value == best[place]
    face = np.full(height * width, -1, np.int32)
    face[place[won]] = seen[row_face[span[won]]]
    return face, best


def barycentric(xy: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Coefficients of each corner's perspective weight as a plane over the image.

    Returns:
        ``[T, 3, 3]``: face, corner, (slope in x, slope in y, base); the weights at a sample need not sum to one.
    """
    x, y = xy[:, :, 0], xy[:, :, 1]
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    planes = [_plane(x, y, inverse * (np.arange(3) == corner), area) for corner in range(3)]
    return np.stack([np.stack(plane, axis=1) for plane in planes], axis=1)


def _plane(
    x: np.ndarray, y: np.ndarray, value: np.ndarray, area: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes and base of the plane through three values over a triangle, ``[T]`` each."""
    first, second = value[:, 1] - value[:, 0], value[:, 2] - value[:, 0]
    slope_x = (first * (y[:, 2] - y[:, 0]) - second * (y[:, 1] - y[:, 0])) / area
    slope_y = (second * (x[:, 1] - x[:, 0]) - first * (x[:, 2] - x[:, 0])) / area
    return slope_x, slope_y, value[:, 0] - slope_x * x[:, 0] - slope_y * y[:, 0]


def _rows(y: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Every (face, image row) that a face may touch."""
    first = np.clip(np.ceil(y.min(axis=1) - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.floor(y.max(axis=1) - 0.5), -1, height - 1).astype(np.int64)
    count = np.maximum(last - first + 1, 0)
    face = np.repeat(np.arange(len(count)), count)
    return face, first[face] + _within(count)


def _spans(
    x: np.ndarray, y: np.ndarray, face: np.ndarray, row: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """First sample and number of samples of each row of each face."""
    low, high = np.full(len(row), -1.0), np.full(len(row), width + 1.0)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        fall = y[:, b] - y[:, a]
        steep = np.where(fall != 0, fall, 1)
        lean = (x[:, b] - x[:, a]) / steep
        cut = (x[:, a] - y[:, a] * lean)[face] + (row + 0.5) * lean[face]
        down = fall[face]
        low = np.where(down > 0, np.maximum(low, cut), low)
        high = np.where(down < 0, np.minimum(high, cut), high)
    start = np.clip(np.ceil(low - 0.5), 0, width).astype(np.int64)
    stop = np.clip(np.floor(high - 0.5), -1, width - 1).astype(np.int64)
    return start, np.maximum(stop - start + 1, 0)


def _within(count: np.ndarray) -> np.ndarray:
    """0, 1, … within each of consecutive groups of these sizes."""
    return np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
