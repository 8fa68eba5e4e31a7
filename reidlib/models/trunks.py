"""Trunks whose feature is the mean over the last map: the small one for CPUs, the digits' and MobileNet v1."""

from __future__ import annotations

from torch import Tensor, nn


class Trunk(nn.Module):
    """Convolutions, then the mean over the map: ``[N, 3, S, S]`` → ``[N, dim]``; ``maps`` gives ``[N, dim, s, s]``."""

    def __init__(self, layers: nn.Module, dim: int) -> None:
        super().__init__()
        self.layers, self.dim = layers, dim

    def maps(self, images: Tensor) -> Tensor:
        """The last map, ``[N, dim, s, s]``."""
        return self.layers(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.maps(images).mean((2, 3))


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
        import timm

        super().__init__()
        overlay = {"file": weights} if weights else None
        self.model = timm.create_model(
            "mobilenetv1_100", pretrained=pretrained or bool(weights), num_classes=0, pretrained_cfg_overlay=overlay
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)
