"""How many distances of a row lie at or below each of a few thresholds: what the evaluator spends its own time on.

Three ways, by what was fastest: plain comparison in tiles that stay in a core's cache (CPU, a few matches a query, as
in every vehicle benchmark), plain comparison of whole blocks (CUDA), and values put in ascending order, without the
indices that make a ranking slow (many matches, as among digits).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

TILE = 2**19  # distances compared at once by one thread: 2 MiB in float32; smaller ones make more calls than they save
MANY = 192  # thresholds from which on ordering a row costs less than comparing it with each of them
WORDS = 255  # bytes of 0 or 1, added eight at a time as 64-bit words, cannot overflow within this many additions


def count(block: Tensor, thresholds: Tensor, number: Tensor) -> Tensor:
    """How many distances of each row are at or below each of the row's ascending thresholds.

    Args:
        block: distances ``[q, G]``.
        thresholds: ``[q, m]``.
        number: how many thresholds of each row are needed, ``[q]``; what is returned for the others means nothing.

    Returns:
        int64 ``[q, m]``.

    Example:
        >>> count(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[1.0, 2.5]]), torch.tensor([2]))
        tensor([[1, 2]])
    """
    if thresholds.shape[1] >= MANY:
        return torch.searchsorted(_ascending(block), thresholds, right=True)
    if block.device.type == "cpu":
        return _in_tiles(block.numpy(), thresholds.numpy(), number.numpy())
    return _in_blocks(block, thresholds)


def _in_blocks(block: Tensor, thresholds: Tensor) -> Tensor:
    """:func:`count` by one comparison of the whole block for each threshold."""
    return torch.stack([(block <= threshold[:, None]).sum(1) for threshold in thresholds.unbind(1)], 1)


def _in_tiles(values: np.ndarray, thresholds: np.ndarray, number: np.ndarray) -> Tensor:
    """:func:`count` on the CPU, where NumPy compares and adds at the speed of the cache.

    A comparison yields one byte of 0 or 1 a distance. Read as 64-bit words, eight of them are added at once; the bytes
    of a sum of :data:`WORDS` words hold eight partial counts.
    """
    queries, gallery = values.shape
    rows = max(1, TILE // gallery)
    groups = -(-gallery // (8 * WORDS))
    counts = np.zeros(thresholds.shape, dtype=np.int64)
    order = np.argsort(number)  # rows with equally many thresholds share a tile, so that no comparison is in vain

    def work(starts: range) -> None:
        bits = np.zeros((rows, groups * 8 * WORDS), dtype=bool)  # what lies beyond the gallery stays 0
        words = bits.view(np.uint64).reshape(rows, groups, WORDS)
        for start in starts:
            chosen = order[start : start + rows]
            tile, size, width = values[chosen], len(chosen), number[chosen].max()
            limits = np.ascontiguousarray(thresholds[chosen, :width].T)[:, :, None]  # [width, size, 1]
            partial = np.empty((width, size, groups), dtype=np.uint64)
            for slot in range(width):
                np.less_equal(tile, limits[slot], out=bits[:size, :gallery])
                np.add.reduce(words[:size], axis=2, out=partial[slot])
            counts[chosen, :width] = partial.view(np.uint8).sum(2, dtype=np.int64).T

    _in_threads(work, range(0, queries, rows))
    return torch.from_numpy(counts)


def _ascending(block: Tensor) -> Tensor:
    """Each row's distances in ascending order, ``[q, G]``."""
    if block.device.type != "cpu":
        return block.sort(1).values
    values, rows = block.numpy().copy(), max(1, TILE // block.shape[1])

    def work(starts: range) -> None:
        for start in starts:
            values[start : start + rows].sort(1)

    _in_threads(work, range(0, len(values), rows))
    return torch.from_numpy(values)


def _in_threads(work: Callable[[range], None], starts: range) -> None:
    """``work`` on interleaved shares of ``starts``, one for each thread that torch may use.

    Threads are enough: NumPy lets others run while it compares, adds and sorts.
    """
    threads = min(torch.get_num_threads(), len(starts))
    if threads == 1:
        work(starts)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, (starts[i::threads] for i in range(threads))))
