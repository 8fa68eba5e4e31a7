"""AGNet's pairs: as many hard ones, of two vehicles that look alike, as its loss needs to act on (section III-D).

The paper counts two vehicles of one colour and type as "hard training sets" and is silent on how its pairs are drawn.
At random they are as rare as two vehicles of one colour and type among all: about one negative pair in sixty.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from reidlib import losses, sampler

COUNTED = 1000  # steps at most, of whose pairs a record says how many are hard


class HardPairSampler:
    """Pairs as :class:`reidlib.sampler.PairSampler` draws them, with a share of the negative ones hard.

    In the first of the negative pairs, all images of other vehicles that share all of the anchor's attributes are
    equally likely to be its second image. Where there is none, or an attribute of the anchor is not known, the pair
    stays as it came.

    Args:
        labels: codes ``[N, 1 + M]`` of vehicle and attributes, −1 where an attribute is not known.
        pairs: pairs a batch.
        positive: so many of them show one vehicle.
        hard: share of the others that is drawn so; 0 leaves all as they come.

    Raises:
        ValueError: see :class:`reidlib.sampler.PairSampler`.
    """

    def __init__(self, labels: Tensor, pairs: int, positive: int, hard: float) -> None:
        self.plain = sampler.PairSampler(labels[:, 0].numpy(), pairs, positive)
        self.places = slice(positive, positive + round(hard * (pairs - positive)))
        vehicle, *attributes = labels.numpy().T
        looks = np.unique(np.stack(attributes, 1), axis=0, return_inverse=True)[1].ravel()
        self.order = torch.from_numpy(np.lexsort((vehicle, looks)))  # images of one look, and within it of one vehicle
        self.like, self.own = (_blocks(codes) for codes in (looks[:, None], np.stack([looks, vehicle], 1)))
        self.known = torch.from_numpy((np.stack(attributes, 1) >= 0).all(1))

    def __call__(self, step: int, generator: torch.Generator) -> Tensor:
        """Image indices ``[2, pairs]``: first images above, second below; positive pairs first, then hard ones."""
        drawn = self.plain(step, generator)
        first, second = drawn[:, self.places]
        (start, size), (begin, own) = (block[:, first] for block in (self.like, self.own))
        draws = torch.rand(len(first), generator=generator, dtype=torch.float64)  # in [0, 1)
        other = start + (draws * (size - own)).long()
        other += own * (other >= begin)  # skip the anchor's vehicle
        alike = self.known[first] & (size > own)  # else there is none, and ``other`` means nothing
        drawn[1, self.places] = torch.where(alike, self.order[other.clamp(max=len(self.order) - 1)], second)
        return drawn


def _blocks(codes: np.ndarray) -> Tensor:
    """Where the block of each image's codes ``[N, K]`` starts in their order, and its size: ``[2, N]``."""
    _, block, size = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    return torch.from_numpy(np.stack([np.cumsum(size) - size, size])[:, block.ravel()])


def hard_share(batches: Iterable[Tensor], every: bool) -> float:
    """Share of all pairs that show two vehicles alike, which are those that ALS adds weight to.

    Args:
        batches: labels of the pairs' images, ``[2, P, 1 + M]`` each: vehicle and attributes.
        every: whether all attributes are equal, or one of them.
    """
    shares = []
    for first, second in batches:
        alike = losses.share_attributes(first[:, 1:], second[:, 1:], every=every)
        shares.append((alike & (first[:, 0] != second[:, 0])).double().mean())
    return float(torch.stack(shares).mean())
