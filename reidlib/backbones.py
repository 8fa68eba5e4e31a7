"""Trunks: an image batch becomes one feature vector an image, by global average pooling of the last map.

Every trunk is a module with ``dim``, the width of its features, and maps ``[N, 3, S, S]`` to ``[N, dim]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from torch import Tensor, nn


class Trunk(nn.Module):
    """Convolutions, then the mean over the map: ``[N, 3, S, S]`` → ``[N, dim]``."""

    def __init__(self, layers: nn.Module, dim: int) -> None:
        super().__init__()
        self.layers, self.dim = layers, dim

    def forward(self, images: Tensor) -> Tensor:
        maps = self.layers(images)  # [N, dim, s, s]
        return maps.mean((2, 3))


def small() -> Trunk:
    """The small trunk for CPUs: eight 3×3 convolutions of 16 to 128 channels, each with batch normalisation."""
    widths, strides = (16, 32, 32, 64, 64, 96, 96, 128), (2, 2, 1, 2, 1, 2, 1, 1)
    layers = []
    for before, after, stride in zip((3, *widths), widths, strides, strict=False):
        layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return Trunk(nn.Sequential(*layers), widths[-1])


def digits(*, reduction: str = "stride") -> Trunk:
    """MLSL's tiny network for MNIST: four 3×3 layers of 128, 128, 128 and 2 filters (section V-A2, Table 4).

    Args:
        reduction: how the map shrinks, which the paper leaves open: ``stride`` 2 in the first three layers, or
            ``pool``: 2×2 max pooling after them.

    Raises:
        ValueError: another reduction.
    """
    if reduction not in ("stride", "pool"):
        raise ValueError(f"reduction = {reduction!r} is refused: allowed are stride, pool")
    layers: list[nn.Module] = []
    for before in (3, 128, 128):
        layers += [nn.Conv2d(before, 128, 3, 2 if reduction == "stride" else 1, 1, bias=False)]
        layers += [nn.BatchNorm2d(128), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)] if reduction == "pool" else []
    return Trunk(nn.Sequential(*layers, nn.Conv2d(128, 2, 3, 1, 1)), 2)


class MobileNetV1(nn.Module):
    """MobileNet v1 (Howard et al. 2017) without its classifier: ``[N, 3, S, S]`` → ``[N, 1024]`` (MLSL III-A)."""

    dim = 1024

    def __init__(self, *, pretrained: bool, weights: str | None) -> None:
        super().__init__()
        overlay = {"file": weights} if weights else None
        self.model = timm.create_model(
            "mobilenetv1_100", pretrained=pretrained or bool(weights), num_classes=0, pretrained_cfg_overlay=overlay
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


def build(name: str, *, pretrained: bool = False, weights: str | None = None, reduction: str = "stride") -> nn.Module:
    """A trunk by name, channels last in memory (fastest on CPUs and GPUs alike).

    Args:
        name: ``small``, ``digits`` or ``mobilenet_v1``.
        pretrained: start from ImageNet weights, which timm downloads.
        weights: a local file of timm weights, used instead of a download.
        reduction: of ``digits`` alone.

    Raises:
        ValueError: unknown name, or ImageNet weights asked for a trunk that has none.
        FileNotFoundError: ``weights`` is no file.
    """
    if weights and not Path(weights).is_file():
        raise FileNotFoundError(f"weights = {weights!r}: no such file")
    if (pretrained or weights) and name != "mobilenet_v1":
        raise ValueError(f"backbone {name} has no ImageNet weights; allowed with weights: mobilenet_v1")
    builders = {
        "small": small,
        "digits": lambda: digits(reduction=reduction),
        "mobilenet_v1": lambda: MobileNetV1(pretrained=pretrained, weights=weights),
    }
    if name not in builders:
        raise ValueError(f"backbone = {name!r} is refused: allowed are {', '.join(builders)}")
    return builders[name]().to(memory_format=torch.channels_last)


def flops(network: nn.Module, shape: Sequence[int]) -> int:
    """Floating-point operations of one forward pass (two a multiply-add), counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode

    training = network.training
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(*shape, device=device))
    network.train(training)
    return counter.get_total_flops()
