"""A batch's shares: each process runs the trunk on its own, and sees what came of all.

What one image's features owe to the rest of its batch, inside the trunk, are dropout's draws and batch normalisation's
statistics. Both are those of the whole batch. Other draws inside a trunk, such as stochastic depth, would be each
process's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.overrides import TorchFunctionMode

DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)


def processes() -> int:
    """How many processes share a batch: 1 outside a group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this process is the one that tests and writes."""
    return processes() == 1 or dist.get_rank() == 0


@contextmanager
def spread(network: nn.Module) -> Iterator[None]:
    """While it lasts, ``network.trunk`` takes whole batches and embeds only this process's share of them itself.

    What comes out, by ``forward`` or ``maps``, are the features of the whole batch, the same in every process. Shares
    differ by at most one image. On GPUs the trunk's batch normalisation becomes torch's synchronised one.

    A network without a trunk is computed whole by each process. So is what follows the trunk.
    """
    if processes() == 1 or not isinstance(getattr(network, "trunk", None), nn.Module):
        yield
        return
    if next(network.parameters()).is_cuda:
        from timm.layers import convert_sync_batchnorm

        network.trunk = convert_sync_batchnorm(network.trunk)
    trunk, inside = network.trunk, threading.Event()
    names = [name for name in ("forward", "maps") if hasattr(trunk, name)]
    for name in names:
        setattr(trunk, name, partial(_shared, getattr(trunk, name), inside))
    try:
        yield
    finally:
        for name in names:
            delattr(trunk, name)


def _shared(method: Callable[[Tensor], Tensor], inside: threading.Event, images: Tensor) -> Tensor:
    """A trunk's method on this process's share of the images; ``inside`` it, a trunk's own calls are left alone."""
    if inside.is_set():
        return method(images)
    sizes = [len(part) for part in torch.arange(len(images)).tensor_split(processes())]
    if not min(sizes):
        raise ValueError(f"a batch of {len(images)} images is refused: {len(sizes)} processes need one each")
    first = sum(sizes[: dist.get_rank()])
    part = slice(first, first + sizes[dist.get_rank()])
    inside.set()
    try:
        with _OfWholeBatch(len(images), part):
            features = method(images[part])
    finally:
        inside.clear()
    return _Gather.apply(features, sizes, part)


class _Gather(torch.autograd.Function):
    """Features of all shares, one after the other: ``[n, …]`` here, ``[N, …]`` everywhere.

    Every process computes the loss of the whole batch, so each has the whole gradient and keeps its share of it. Times
    the number of processes, because :func:`average` divides by it.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, sizes: list[int], part: slice) -> Tensor:
        ctx.part = part
        padded = features.new_zeros((max(sizes), *features.shape[1:]))
        padded[: len(features)] = features
        shares = padded.new_empty((len(sizes), *padded.shape))
        dist.all_gather_into_tensor(shares.flatten(0, 1), padded)
        return torch.cat([share[:size] for share, size in zip(shares, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[ctx.part] * processes(), None, None


class _OfWholeBatch(TorchFunctionMode):
    """Inside a trunk, what one image's features owe to the other images of the batch, or to their place in it.

    Args:
        rows: images of the whole batch.
        part: the place of this process's share in it.
    """

    def __init__(self, rows: int, part: slice) -> None:
        super().__init__()
        self.rows, self.part = rows, part

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in DROPOUTS:
            return self.dropout(func, *args, **kwargs)
        if func is F.batch_norm:
            return self.batch_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def dropout(
        self, func: Any, features: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        """Draw for the whole batch, as one process would, and use this share's draws."""
        if not training:
            return func(features, p, training, inplace)
        mask = features.new_ones((self.rows, *features.shape[1:]))
        if features.ndim == 4 and features.is_contiguous(memory_format=torch.channels_last):
            mask = mask.contiguous(memory_format=torch.channels_last)
        return features * func(mask, p, True)[self.part]

    def batch_norm(
        self, features: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
        bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
    ) -> Tensor:  # fmt: skip
        """Batch normalisation by the whole batch's mean and variance, which torch's own knows on GPUs alone."""
        if not training:
            return F.batch_norm(features, running_mean, running_var, weight, bias, training, momentum, eps)
        axes, shape = (0, *range(2, features.ndim)), (1, -1, *[1] * (features.ndim - 2))
        x = features.to(torch.promote_types(features.dtype, torch.float32))
        count = x.numel() // x.shape[1] // len(x) * self.rows
        mean = all_reduce(x.sum(axes)) / count
        centred = x - mean.view(shape)
        variance = all_reduce(centred.square().sum(axes)) / count
        with torch.no_grad():
            if running_mean is not None and running_var is not None:
                running_mean.lerp_(mean, momentum)
                running_var.lerp_(variance * (count / max(1, count - 1)), momentum)
        output = centred * (variance + eps).rsqrt().view(shape)
        output = output if weight is None else output * weight.view(shape)
        output = output if bias is None else output + bias.view(shape)
        return output.to(features.dtype)


def average(step: int, network: nn.Module) -> None:
    """Replace each gradient by its mean over the processes; for :func:`reidlib.train.train` to ``watch`` with."""
    del step
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= processes()
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view(gradient.shape))
