"""Which images meet in a batch: samplers of indices, each a pure function of its inputs and an explicit generator.

A training step's randomness comes from :func:`generator` alone, made anew from (seed, stage, step). So batch number
``step`` is the same in an undisturbed run, after a resume, and on any number of processes, and nothing needs saving.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor


def generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded by a hash of the parts, such as (seed, "stage 2", step)."""
    text = "/".join(map(str, parts))
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big"))


class ShuffledSampler:
    """Every image once an epoch, in an order drawn anew for each epoch.

    Args:
        count: number of images.
        batch: images a batch, 1 to ``count``. Epochs follow each other without a break, so every batch is full.

    Raises:
        ValueError: ``batch`` is out of range.
    """

    def __init__(self, count: int, batch: int, *, seed: int) -> None:
        if not 0 < batch <= count:
            raise ValueError(f"batch of {batch} images: allowed are 1 to {count}, the images there are")
        self.count, self.batch, self.seed = count, batch, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __call__(self, step: int, generator: torch.Generator) -> Tensor:
        """Image indices of batch number ``step``, ``[batch]``."""
        del generator  # an epoch's order outlives a step: it is drawn from the epoch's own generator
        first = step * self.batch
        epoch, start = divmod(first, self.count)
        head = self._permutation(epoch)[start : start + self.batch]
        missing = self.batch - len(head)
        return torch.cat([head, self._permutation(epoch + 1)[:missing]]) if missing else head

    def _permutation(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            self._order = torch.randperm(self.count, generator=generator(self.seed, "epoch", epoch))
            self._epoch = epoch
        return self._order


class PairSampler:
    """The online pair sampler of MLSL (section IV-C): three images give a positive and a negative pair.

    The anchor is any image whose vehicle has another image, its partner any other image of that vehicle, the third
    any image of any other vehicle. So every image may meet any other, and each pair of one kind is as likely as the
    pair the other way round.

    Args:
        vehicles: vehicle code of each image, ``[N]`` integers.
        pairs: pairs a batch; even, since half are positive.

    Raises:
        ValueError: ``pairs`` is odd or not positive, no vehicle has two images, or there is one vehicle only.
    """

    def __init__(self, vehicles: np.ndarray, pairs: int) -> None:
        if pairs < 2 or pairs % 2:
            raise ValueError(f"pairs = {pairs} is refused: allowed is an even number >= 2 (half of them are positive)")
        vehicles = torch.as_tensor(np.asarray(vehicles), dtype=torch.long)
        self.order = torch.argsort(vehicles, stable=True)  # images of one vehicle lie side by side
        _, block, counts = torch.unique_consecutive(vehicles[self.order], return_inverse=True, return_counts=True)
        self.size = counts[block]  # [N] images of this place's vehicle
        self.start = (torch.cumsum(counts, 0) - counts)[block]  # [N] where its block begins
        self.anchors = torch.nonzero(self.size > 1).squeeze(1)
        if len(counts) < 2 or not len(self.anchors):
            raise ValueError(f"{len(counts)} vehicles, {len(self.anchors)} images with a partner: no pairs to draw")
        self.pairs = pairs

    def __call__(self, step: int, generator: torch.Generator) -> Tensor:
        """Image indices ``[2, pairs]``: first images above, second below; positive pairs first, negative after."""
        half = self.pairs // 2
        draws = torch.rand((3, half), generator=generator, dtype=torch.float64)  # in [0, 1)
        anchor = self.anchors[(draws[0] * len(self.anchors)).long()]
        start, size = self.start[anchor], self.size[anchor]
        # A step of 1 … size−1 round the block never comes back to the anchor itself.
        positive = start + (anchor - start + 1 + (draws[1] * (size - 1)).long()) % size
        other = (draws[2] * (len(self.order) - size)).long()
        negative = other + size * (other >= start)  # skip the anchor's block
        return self.order[torch.stack([anchor.repeat(2), torch.cat([positive, negative])])]
