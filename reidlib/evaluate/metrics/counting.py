"""How many distances of a row lie at or below each of a few thresholds: what the evaluator spends its own time on.

Only what lies at or below a row's *farthest* threshold can matter, of a good model a small part of the gallery. On the
CPU this part is gathered, in tiles that stay in a core's cache, and put in ascending order, without the indices that
make a ranking slow. On a GPU whole blocks are compared, or sorted where there are many thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

TILE = 2**18  # distances that one thread works on at once: 1 MiB in float32
DENSE = 0.3  # share of a tile from which on gathering costs more than it saves
MANY = 192  # thresholds from which on a GPU sorts


def count(block: Tensor, thresholds: Tensor, number: Tensor) -> tuple[Tensor, bool]:
    """How many distances of each row are at or below each of the row's ascending thresholds.

    Args:
        block: distances ``[q, G]``.
        thresholds: ``[q, m]``.
        number: how many thresholds of each row are needed, ``[q]``; what is returned for the others means nothing.

    Returns:
        int64 ``[q, m]``, and whether all distances are finite: with NaN no comparison means anything.

    Example:
        >>> count(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[1.0, 2.5]]), torch.tensor([2]))
        (tensor([[1, 2]]), True)
    """
    if block.device.type == "cpu":
        return _in_tiles(block.numpy(), thresholds.numpy(), number.numpy())
    return _in_blocks(block, thresholds), all(bool(bound.isfinite()) for bound in block.aminmax())


def _in_blocks(block: Tensor, thresholds: Tensor) -> Tensor:
    """The counts on a GPU, all rows at once."""
    if thresholds.shape[1] >= MANY:
        return torch.searchsorted(block.sort(1).values, thresholds, right=True)
    return torch.stack([(block <= threshold[:, None]).sum(1) for threshold in thresholds.unbind(1)], 1)


def _in_tiles(values: np.ndarray, thresholds: np.ndarray, number: np.ndarray) -> tuple[Tensor, bool]:
    """:func:`count` on the CPU: some rows at a time, shared out among threads."""
    rows = max(1, TILE // values.shape[1])
    counts, finite = np.zeros(thresholds.shape, dtype=np.int64), []
    last = np.maximum(number, 1)[:, None] - 1
    farthest = np.where(number[:, None] > 0, np.take_along_axis(thresholds, last, 1), -np.inf)

    def work(starts: range) -> None:
        for start in starts:
            tile = values[start : start + rows]
            finite.append(np.isfinite([tile.min(), tile.max()]).all())
            near = _near(tile, farthest[start : start + rows])
            near.sort(1)
            for row, ordered in enumerate(near, start):
                counts[row] = ordered.searchsorted(thresholds[row], "right")

    _in_threads(work, range(0, len(values), rows))
    return torch.from_numpy(counts), all(finite)


def _near(tile: np.ndarray, farthest: np.ndarray) -> np.ndarray:
    """Each row's distances up to its farthest threshold ``[rows, 1]``, filled up with infinity to one width."""
    rows, gallery = tile.shape
    places = np.flatnonzero(tile <= farthest)
    if len(places) > DENSE * tile.size:
        return tile.copy()
    starts = places.searchsorted(np.arange(rows + 1) * gallery)
    number = np.diff(starts)
    near = np.full((rows, max(1, number.max())), np.inf, tile.dtype)
    shift = np.arange(rows) * near.shape[1] - starts[:-1]
    near.ravel()[np.arange(len(places)) + np.repeat(shift, number)] = tile.ravel()[places]
    return near


def _in_threads(work: Callable[[range], None], starts: range) -> None:
    """``work`` on interleaved shares of ``starts``, one for each thread that torch may use.

    Threads are enough: NumPy lets others run while it compares and sorts.
    """
    threads = min(torch.get_num_threads(), len(starts))
    if threads == 1:
        work(starts)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, (starts[i::threads] for i in range(threads))))
