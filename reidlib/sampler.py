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
    any image of any other vehicle. So every image may meet any other. A positive pair is as likely as the same pair
    the other way round. A negative pair is so only between vehicles of equally many images: its second image is drawn
    from all that are not of the anchor's vehicle, of which an anchor of a vehicle with many images has fewer, so that
    such an anchor meets each of them more often; and an image without a partner is never an anchor.

    Args:
        vehicles: vehicle code of each image, ``[N]`` integers.
        pairs: pairs a batch; even, since half are positive, unless ``positive`` says how many.
        positive: so many of them are positive; then there are images of as many anchors as the more numerous kind has.

    Raises:
        ValueError: ``pairs`` is odd or not positive, ``positive`` leaves no pair of one kind, no vehicle has two
            images, or there is one vehicle only.
    """

    def __init__(self, vehicles: np.ndarray, pairs: int, positive: int | None = None) -> None:
        if positive is None and (pairs < 2 or pairs % 2):
            raise ValueError(f"pairs = {pairs} is refused: allowed is an even number >= 2 (half of them are positive)")
        if positive is not None and not 0 < positive < pairs:
            raise ValueError(f"positive = {positive} of {pairs} pairs is refused: both kinds need one pair or more")
        self.order, start, count = map(torch.from_numpy, _blocks(vehicles))
        self.size = count.repeat_interleave(count)  # [N] images of this place's vehicle
        self.start = start.repeat_interleave(count)  # [N] where its block begins
        self.anchors = torch.nonzero(self.size > 1).squeeze(1)
        if len(count) < 2 or not len(self.anchors):
            raise ValueError(f"{len(count)} vehicles, {len(self.anchors)} images with a partner: no pairs to draw")
        self.positive = pairs // 2 if positive is None else positive
        self.negative = pairs - self.positive

    def __call__(self, step: int, generator: torch.Generator) -> Tensor:
        """Image indices ``[2, pairs]``: first images above, second below; positive pairs first, negative after."""
        most = max(self.positive, self.negative)
        draws = torch.rand((3, most), generator=generator, dtype=torch.float64)  # in [0, 1)
        anchor = self.anchors[(draws[0] * len(self.anchors)).long()]
        start, size = self.start[anchor], self.size[anchor]
        # A step of 1 … size−1 round the block never comes back to the anchor itself.
        positive = start + (anchor - start + 1 + (draws[1] * (size - 1)).long()) % size
        other = (draws[2] * (len(self.order) - size)).long()
        negative = other + size * (other >= start)  # skip the anchor's block
        first = torch.cat([anchor[: self.positive], anchor[: self.negative]])
        second = torch.cat([positive[: self.positive], negative[: self.negative]])
        return self.order[torch.stack([first, second])]


class SetSampler:
    """Positive and negative sets for the coupled clusters loss of DRDL (sections 3.2 and 3.4).

    A positive set holds different images of one vehicle, its negative set different images of *any* other vehicles:
    "images of other different identities" is all the paper asks, and no more of them share its model than chance has
    it. All vehicles with enough images are equally likely, none comes twice in a batch while others have not come. All
    its images are equally likely, and so are all images of the other vehicles.

    Args:
        identities: identity code of each image, ``[N]`` integers: vehicles, or models where models are verified.
        sets: set pairs a batch.
        size: images a set.

    Raises:
        ValueError: no sets, sets of fewer than two images (the mean of one image is that image), fewer than two
            identities, no identity with ``size`` images, or one that leaves fewer than ``size`` images of others.
    """

    def __init__(self, identities: np.ndarray, *, sets: int = 15, size: int = 5) -> None:
        _at_least(1, sets=sets)
        _at_least(2, size=size)
        self.order, self.start, self.count = _blocks(identities)
        if len(self.count) < 2:
            raise ValueError(f"{len(self.count)} identities: a negative set needs images of another, so 2 or more")
        most, total = int(self.count.max()), len(self.order)
        if size > most:
            raise ValueError(
                f"size = {size} is refused: no identity has more than {most} images; allowed are 2 to {most}"
            )
        if size > total - most:
            raise ValueError(
                f"size = {size} is refused: beside one identity's {most} images there are {total - most} of others"
            )
        self.able = np.flatnonzero(self.count >= size)  # identities that can fill a positive set
        self.sets, self.size = sets, size

    def __call__(self, step: int, generator: torch.Generator) -> Tensor:
        """Image indices ``[sets, 2, size]``: the positive set of each pair first, its negative set second."""
        shuffled = torch.randperm(len(self.able), generator=generator).numpy()
        chosen = self.able[shuffled[np.arange(self.sets) % len(shuffled)]]
        start, count = self.start[chosen, None], self.count[chosen]
        drawn = _distinct(np.concatenate([count, len(self.order) - count]), self.size, generator)
        positive, negative = start + drawn[: self.sets], drawn[self.sets :]
        negative += count[:, None] * (negative >= start)  # skip the positive identity's block
        return torch.from_numpy(self.order[np.stack([positive, negative], 1)])


class ModelSampler:
    """P × K batches by vehicle model for C2F-Rank: some vehicles of each of some models, some images of each.

    So each image meets all that the loss compares (eq. 1): another image of its vehicle (P), another vehicle of its
    model (N_v) and another model (N_m). Only vehicles with two images take part, and models with two such vehicles;
    images without a model are left out, as in the paper.

    A batch always has models × vehicles × images places. Where there are too few models, or a model has too few
    vehicles, the places are dealt out evenly to those there are: more images of each vehicle are taken, and an image
    comes twice only where its vehicle has no further one.

    The paper leaves the make-up of a batch open. Here every vehicle comes about as often: models with at most
    ``vehicles`` of them are equally likely, larger ones in proportion to their vehicles.

    Args:
        vehicles: vehicle code of each image, ``[N]`` integers.
        models: model code of each image, ``[N]`` integers; negative where it is not known.
        count: models, vehicles a model and images a vehicle in one batch, each at least 2.

    Raises:
        ValueError: a count below two, labels of different number, a vehicle of two models, or fewer than two models
            that have two vehicles with two images each.
    """

    def __init__(self, vehicles: np.ndarray, models: np.ndarray, *, count: tuple[int, int, int] = (5, 6, 5)) -> None:
        self.models, self.vehicles, self.images = count
        _at_least(2, models=self.models, vehicles=self.vehicles, images=self.images)
        vehicles, models = np.asarray(vehicles), np.asarray(models)
        if len(vehicles) != len(models):
            raise ValueError(
                f"{len(vehicles)} vehicle codes and {len(models)} model codes: allowed is one each an image"
            )
        labelled = np.flatnonzero(models >= 0)
        order, start, size = _blocks(vehicles[labelled])
        self.order = labelled[order]  # [N] images with a model, those of one vehicle side by side
        model = models[self.order[start]]  # [V] of each vehicle's first image
        mixed = self.order[models[self.order] != model.repeat(size)]
        if len(mixed):
            raise ValueError(f"vehicle {vehicles[mixed[0]]} has images of more than one model: allowed is one")
        paired = np.flatnonzero(size > 1)
        by_model, self.first, self.members = _blocks(model[paired])  # [M] each model's first vehicle and their number
        self.start, self.size = start[paired[by_model]], size[paired[by_model]]  # [V'] vehicles, by model
        self.able = np.flatnonzero(self.members > 1)
        if len(self.able) < 2:
            raise ValueError(
                f"{len(self.able)} models have two vehicles with two images each: a batch needs two such models"
            )
        self.weight = np.maximum(self.members[self.able] / self.vehicles, 1)

    def __call__(self, step: int, generator: torch.Generator) -> Tensor:
        """Image indices ``[models × vehicles × images]``: those of a model and of a vehicle side by side."""
        models = min(self.models, len(self.able))
        # The least of independent exponential draws, each divided by its weight: a weighted draw of different models.
        waits = -np.log1p(-_uniform(len(self.able), generator)) / self.weight
        chosen = self.able[np.argsort(waits)[:models]]
        there = np.minimum(self.members[chosen], self.vehicles)  # [models] vehicles to take of each
        pool, begin = _shuffled(self.first[chosen], self.members[chosen], generator)
        column = np.arange(self.vehicles)
        taken = pool[begin[:, None] + np.minimum(column, there[:, None] - 1)]  # [models, vehicles]
        size = np.where(column < there[:, None], self.size[taken], 0).ravel()
        pool, begin = _shuffled(self.start[taken].ravel(), size, generator)
        # Deal the places out in turn: to the models, in a model to its vehicles, in a vehicle to its images.
        turn, model = np.divmod(np.arange(self.models * self.vehicles * self.images), models)
        again, vehicle = np.divmod(turn, there[model])
        vehicle += model * self.vehicles
        image = pool[begin[vehicle] + again % size[vehicle]]
        return torch.from_numpy(self.order[image[np.argsort(vehicle, kind="stable")]])


class IdentitySampler:
    """P × K batches (multi-guided section 4.2): some images of each of some vehicles, so that each meets its own.

    Vehicles of a batch differ, and all are equally likely. A vehicle with fewer images than K gives all of them, and
    some again, none of them twice more than another. A repeated image is its own positive; augmentation, drawn for
    each place, tells the two apart.

    Args:
        vehicles: vehicle code of each image, ``[N]`` integers.
        identities: P, vehicles a batch, at least 2: the paper's 64, or 24 for its largest trunk.
        images: K, images a vehicle, at least 2.

    Raises:
        ValueError: a count below two, or fewer than P vehicles.
    """

    def __init__(self, vehicles: np.ndarray, *, identities: int = 64, images: int = 4) -> None:
        _at_least(2, identities=identities, images=images)
        self.order, self.start, self.size = _blocks(vehicles)
        if identities > len(self.size):
            raise ValueError(f"identities = {identities} is refused: allowed are 2 to {len(self.size)}, the vehicles")
        self.identities, self.images = identities, images

    def __call__(self, step: int, generator: torch.Generator) -> Tensor:
        """Image indices ``[identities × images]``: those of a vehicle side by side."""
        chosen = torch.randperm(len(self.size), generator=generator)[: self.identities].numpy()
        size = self.size[chosen, None]
        pool, begin = _shuffled(self.start[chosen], self.size[chosen], generator)
        places = pool[begin[:, None] + np.arange(self.images) % size]  # [identities, images]
        return torch.from_numpy(self.order[places.ravel()])


def _at_least(least: int, **counts: int) -> None:
    for name, count in counts.items():
        if count < least:
            raise ValueError(f"{name} = {count} is refused: allowed is a whole number >= {least}")


def _uniform(shape: int | tuple[int, ...], generator: torch.Generator) -> np.ndarray:
    """Draws in [0, 1). numpy goes on with them: on a batch's few hundred indices its calls cost a fifth of torch's."""
    return torch.rand(shape, generator=generator, dtype=torch.float64).numpy()


def _blocks(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An order ``[N]`` that puts equal codes side by side, and where each block starts and its size, ``[B]`` each."""
    order = np.argsort(codes, kind="stable")
    _, start, size = np.unique(np.asarray(codes)[order], return_index=True, return_counts=True)
    return order, start, size


def _distinct(count: np.ndarray, size: int, generator: torch.Generator) -> np.ndarray:
    """For each of ``[R]`` counts, ``size`` different whole numbers below it: ``[R, size]``, each subset as likely.

    Floyd's algorithm (Bentley and Floyd, CACM 30(9), 1987): draw number i is one of the lowest count − size + i + 1;
    one that is taken makes way for the highest of these, which none before could be.
    """
    highest = count[:, None] - size + np.arange(size)
    drawn = (_uniform(highest.shape, generator) * (highest + 1)).astype(np.int64)
    for i in range(1, size):
        taken = (drawn[:, :i] == drawn[:, i, None]).any(1)
        drawn[taken, i] = highest[taken, i]
    return drawn


def _shuffled(start: np.ndarray, size: np.ndarray, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The places of blocks ``[B]``, one block after the other, each in random order; and where each now begins."""
    begin = np.cumsum(size) - size
    block = np.arange(len(size)).repeat(size)
    places = np.arange(len(block)) + (start - begin)[block]
    return places[np.argsort(block + _uniform(len(block), generator))], begin
