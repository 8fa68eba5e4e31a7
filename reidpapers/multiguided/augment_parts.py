"""What the multi-guided augmentation is made of: functions of a whole batch and of what was drawn for it.

A batch of pictures is uint8 ``[N, S, S, 3]``, its masks uint8 ``[N, S, S]``: 255 on the vehicle, 0 elsewhere. No
argument is changed.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHOWN = 128  # a mask's value from which a pixel shows the vehicle
LEAST_VEHICLE = 0.05  # of the pixels: a picture whose mask has fewer keeps its background, or nothing would be left


def substitute(images: Tensor, masks: Tensor, chosen: Tensor, donors: Tensor) -> Tensor:
    """Some pictures' backgrounds taken from others (section 3.1, background substitution).

    Where the donor shows its own vehicle there is no background to take: the mean colour of its background stands
    there, so that no second vehicle gets into the picture.

    Args:
        images: pictures.
        masks: where they show their vehicles.
        chosen: numbers ``[M]`` of the pictures that get another background.
        donors: numbers ``[M]`` of the pictures that give it.
    """
    own, seen = _shown(masks.index_select(0, chosen)), _shown(masks.index_select(0, donors))
    own |= (own.count_nonzero((1, 2)) < LEAST_VEHICLE * own[0].numel()).byte()[:, None, None] * 255
    others = images.index_select(0, donors)
    scenery = _over(_background(others, seen), others, seen)
    return _replaced(images, chosen, _over(images.index_select(0, chosen), scenery, own))


def _shown(masks: Tensor) -> Tensor:
    """255 where the vehicle is shown, 0 elsewhere."""
    return (masks >= SHOWN).byte().mul_(255)


def _over(front: Tensor, back: Tensor, masks: Tensor) -> Tensor:
    """The front picture where the mask is 255, the back one where it is 0; bitwise, which is fastest by far."""
    masks = torch.stack([masks] * 3, -1)
    return (front & masks) | (back & ~masks)


def _background(images: Tensor, seen: Tensor) -> Tensor:
    """The mean colour of each picture's background as a line, ``[M, 1, S, 3]``; black where there is none."""
    weight = (seen == 0).float().flatten(1).unsqueeze(1)
    total = weight @ images.float().flatten(1, 2)  # [M, 1, 3]
    mean = (total / weight.sum(2, keepdim=True).clamp(min=1)).round_().byte()
    return mean.unsqueeze(1).expand(-1, -1, images.shape[2], -1).contiguous()


def _replaced(batch: Tensor, chosen: Tensor, new: Tensor) -> Tensor:
    """The batch with ``new`` ``[M, …]`` in the places ``chosen``: sample by sample copied, never element by element."""
    order = torch.arange(len(batch), device=batch.device)
    order[chosen] = torch.arange(len(batch), len(batch) + len(new), device=batch.device)
    return torch.cat([batch, new]).index_select(0, order)


def shrink(images: Tensor, chosen: Tensor, sides: Tensor) -> Tensor:
    """Some pictures scaled down and back up, which leaves them the detail of a small one (section 3.1, random shrink).

    Down by the mean over the area that a small pixel covers, up by linear interpolation; as both take rows and columns
    apart, each is one matrix a picture and axis. A side that is no smaller than ``S`` stays as it is.

    Args:
        images: pictures.
        chosen: numbers ``[M]`` of those to shrink.
        sides: whole numbers ``[M, 2]``, width and height in between, in pixels.
    """
    size = images.shape[1]
    across, down = _down_and_up(sides, size).unbind(1)  # [M, S, S] each
    taken = images.index_select(0, chosen).float()
    taken = (down @ taken.flatten(2)).view_as(taken)  # each column of a picture
    taken = (across @ taken.transpose(1, 2).flatten(2)).view_as(taken).transpose(1, 2)
    return _replaced(images, chosen, taken.round_().clamp_(0, 255).byte())


def _down_and_up(sides: Tensor, size: int) -> Tensor:
    """``[M, 2, S, S]``: the matrix that takes a line of ``S`` pixels down to ``sides`` ``[M, 2]`` pixels and back."""
    sides = sides.clamp(1, size)
    place = torch.arange(size, device=sides.device, dtype=torch.float32)
    small = place[: int(sides.max()), None]  # [R, 1] numbers of small pixels; a line of fewer leaves the last unused
    width = (size / sides)[..., None, None]  # [M, 2, 1, 1] of a small pixel
    shared = torch.minimum((small + 1) * width, place + 1) - torch.maximum(small * width, place)
    down = shared.clamp(min=0) / width  # [M, 2, R, S]
    centre = (place + 0.5) / width[..., 0] - 0.5
    centre = torch.minimum(centre.clamp(min=0), sides[..., None] - 1)  # [M, 2, S] where a pixel lies among small ones
    up = (1 - (centre[..., None] - small[:, 0]).abs()).clamp(min=0)  # [M, 2, S, R]
    return up @ down


def shift(padded: Tensor, size: int, x: Tensor, y: Tensor) -> Tensor:
    """Each sample's own square of a padded batch.

    Args:
        padded: ``[N, P, P, …]``, pictures or masks.
        size: side of the squares.
        x, y: ``[N]`` left and upper edges, 0 to ``P − size``.

    Returns:
        ``[N, size, size, …]``.
    """
    windows = padded.unfold(1, size, 1).unfold(2, size, 1)  # a view: [N, P − S + 1, P − S + 1, …, S, S]
    windows = windows.movedim((-2, -1), (3, 4))
    return windows[torch.arange(len(padded), device=padded.device), y, x]


def mirror(images: Tensor, chosen: Tensor) -> Tensor:
    """Some pictures or masks turned left to right; ``chosen`` ``[M]`` are their numbers."""
    return _replaced(images, chosen, images.index_select(0, chosen).flip(2))


def erase(images: Tensor, boxes: Tensor, fill: Tensor) -> Tensor:
    """One box a picture filled with a colour (random erasing).

    Args:
        images: pictures.
        boxes: left, top, width and height, ``[N, 4]``, in pixels; a box of no width erases nothing.
        fill: the colour, uint8 ``[3]``.
    """
    count, size = images.shape[:2]
    place = torch.arange(size, device=boxes.device)
    left, top, width, height = boxes.unsqueeze(2).unbind(1)  # [N, 1]
    columns = ((place >= left) & (place < left + width)).byte().mul_(255).repeat_interleave(3, 1)
    rows = ((place >= top) & (place < top + height)).byte().mul_(255)
    box = rows.unsqueeze(2) & columns.unsqueeze(1)  # [N, S, 3 S]: lines of pixels times channels
    lines = (images.reshape(count, size, -1) & ~box) | (fill.repeat(size) & box)
    return lines.view(images.shape)
