"""The multi-guided system's augmentation (AI City 2020, team 44, sections 3.1 and 4.2), batched.

In the paper's order: another background, "before training"; random shrink, before the picture gets its input size;
padding and a random crop; random erasing (Zhong et al. 2020). All of it on bytes; normalisation comes last.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from reidlib.augment.values import MEAN, normalise
from reidpapers.multiguided import augment_parts as parts

PAD = 10 / 320  # of the side: 10 pixels at the paper's 320
FACTORS = (0.4, 0.6)  # of random shrink
AREA, RATIO = (0.02, 0.4), (0.3, 1 / 0.3)  # of random erasing: share of the picture, height over width
ATTEMPTS = 4  # boxes drawn a sample, of which the first that fits erases; 4 % of boxes do not fit


class Guided:
    """Background substitution, random shrink, padded crop, mirror and random erasing of a batch.

    Every sample has draws of its own, as many whatever is switched on: to switch one ingredient off changes nothing
    about the others.

    Args:
        pad: share of a side that is added, black, on each border before a crop of the input's size.
        shrink: probability that a picture that is larger than ``target`` is shrunk.
        target: side in pixels; a picture is larger if its original width times height exceeds its square.
            None: the input's side. See :func:`median_side` for data whose pictures are all smaller than that.
        factors: smallest and largest factor by which the original is scaled down.
        substitute: probability that the background comes from another picture of the batch.
        erase: probability that a box is filled with the mean.
        flip: mirror half of the pictures left to right.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self, *, pad: float = PAD, shrink: float = 0.5, target: float | None = None,
        factors: tuple[float, float] = FACTORS, substitute: float = 0.0, erase: float = 0.5, flip: bool = False,
    ) -> None:  # fmt: skip
        for name, chance in (("shrink", shrink), ("substitute", substitute), ("erase", erase)):
            if not 0 <= chance <= 1:
                raise ValueError(f"{name} = {chance} is refused: allowed is a probability from 0 to 1")
        if not (0 <= pad < 1 and 0 < factors[0] <= factors[1] <= 1 and (target is None or target >= 0)):
            raise ValueError(f"pad = {pad}, factors = {factors}, target = {target}: allowed are pad >= 0 and < 1, "
                             "factors that rise within 0 to 1, and target >= 0")  # fmt: skip
        self.pad, self.target, self.factors = pad, target, factors
        self.shrink, self.substitute, self.erase, self.flip = shrink, substitute, erase, flip
        self._buffers: dict[str, Tensor] = {}

    def __call__(self, images: Tensor, beside: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """Augmented, normalised images.

        Args:
            images: uint8 ``[N, S, S, 3]``.
            beside: ``size`` ``[N, 2]``, the originals' width and height in pixels, for random shrink; ``mask`` uint8
                ``[N, S, S]``, 255 on the vehicle and 0 elsewhere, for background substitution.
            generator: CPU generator of the draws.

        Returns:
            float32 ``[N, 3, S, S]``, channels last in memory.

        Raises:
            ValueError: ``beside`` lacks what is needed.
        """
        return self._augmented(images, beside, generator, masked=False)[0]

    def with_masks(
        self, images: Tensor, beside: Mapping[str, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The same images, and their side inputs with ``mask`` cropped and mirrored as they are.

        An erased box is no part of it: the vehicle is where it was.
        """
        augmented, masks = self._augmented(images, beside, generator, masked=True)
        return augmented, {**beside, "mask": masks}

    def _augmented(
        self, images: Tensor, beside: Mapping[str, Tensor], generator: torch.Generator, masked: bool
    ) -> tuple[Tensor, Tensor | None]:
        count, size, device = len(images), images.shape[1], images.device
        draws = torch.rand((8 + 4 * ATTEMPTS, count), generator=generator)
        masks = _side_input(beside, "mask") if masked or self.substitute else None
        if self.substitute and count > 1:
            chosen = (draws[0] < self.substitute).nonzero().squeeze(1)
            donors = (chosen + 1 + (draws[1][chosen] * (count - 1)).long()) % count  # any but itself
            images = parts.substitute(images, masks, chosen.to(device), donors.to(device))
        if self.shrink:
            chosen, sides = self._shrunk(_side_input(beside, "size").cpu(), draws[2], draws[3], size)
            if len(chosen):
                images = parts.shrink(images, chosen.to(device), sides.to(device))
        images = self._moved("images", images, draws[4:7])
        masks = self._moved("masks", masks, draws[4:7]) if masked else None
        if self.erase:
            boxes = erased_boxes(draws[8:].view(4, ATTEMPTS, count), size) * (draws[7] < self.erase)[:, None]
            images = parts.erase(images, boxes.to(device), torch.tensor(MEAN, device=device).round().byte())
        return normalise(images), masks

    def _shrunk(self, sizes: Tensor, chance: Tensor, place: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Which pictures are shrunk, ``[M]``, and to what width and height, ``[M, 2]``."""
        target = size if self.target is None else self.target
        large = sizes.double().prod(1) > target**2
        chosen = (large & (chance < self.shrink)).nonzero().squeeze(1)
        least, most = self.factors
        factor = least + (most - least) * place[chosen]
        return chosen, (sizes[chosen] * factor[:, None]).round().clamp(min=1)

    def _moved(self, name: str, batch: Tensor, draws: Tensor) -> Tensor:
        """Pictures or masks, padded, cropped and mirrored; ``draws`` ``[3, N]`` in [0, 1)."""
        size = batch.shape[1]
        border = round(self.pad * size)
        if border:
            x, y = (draws[:2] * (2 * border + 1)).long().to(batch.device)
            batch = parts.shift(self._padded(name, batch, border), size, x, y)
        if self.flip:
            batch = parts.mirror(batch, (draws[2] < 0.5).nonzero().squeeze(1).to(batch.device))
        return batch

    def _padded(self, name: str, batch: Tensor, border: int) -> Tensor:
        """The batch in a buffer with black borders, which nothing ever overwrites."""
        side = batch.shape[1] + 2 * border
        shape = (len(batch), side, side, *batch.shape[3:])
        key = f"{name} {shape} {border} {batch.device}"
        if key not in self._buffers:
            self._buffers[key] = torch.zeros(shape, dtype=batch.dtype, device=batch.device)
        self._buffers[key][:, border:-border, border:-border] = batch
        return self._buffers[key]


def erased_boxes(draws: Tensor, size: int) -> Tensor:
    """Boxes to erase, ``[N, 4]`` (left, top, width, height in pixels), as Zhong et al. draw them (algorithm 1).

    Of each sample's attempts the first whose box fits into the picture is taken; if none does, its last, cut to fit.

    Args:
        draws: ``[4, attempts, N]`` in [0, 1): area, ratio of the sides, place in x and y.
        size: side of the picture.
    """
    area = size**2 * (AREA[0] + (AREA[1] - AREA[0]) * draws[0])
    ratio = RATIO[0] + (RATIO[1] - RATIO[0]) * draws[1]
    sides = torch.stack([(area / ratio).sqrt(), (area * ratio).sqrt()]).round()  # [2, attempts, N]
    fits = (sides < size).all(0)
    fits[-1] = True
    first = fits.int().argmax(0)
    sides = _of(sides, first).clamp(1, size)  # [2, N]
    corner = (_of(draws[2:], first) * (size - sides + 1)).floor()
    return torch.cat([corner, sides]).long().T


def _of(values: Tensor, attempt: Tensor) -> Tensor:
    """``[2, attempts, N]`` at each sample's attempt ``[N]``: ``[2, N]``."""
    return values.gather(1, attempt.expand(2, 1, -1)).squeeze(1)


def median_side(sizes: Tensor) -> float:
    """The median side of pictures ``[N, 2]``, where a picture's side is the root of its width times its height."""
    return float(sizes.double().prod(1).sqrt().median())


def _side_input(beside: Mapping[str, Tensor], name: str) -> Tensor:
    """What accompanies the images under a name: their masks, or the originals' sizes."""
    if name not in beside:
        raise ValueError(
            f"augmentation needs {name!r} of each image; beside the images are {', '.join(beside) or 'none'}"
        )
    return beside[name]
