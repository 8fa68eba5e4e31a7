"""Trunks: an image batch becomes one feature vector an image.

Every trunk is a module with ``dim``, the width of its features, and maps ``[N, 3, S, S]`` to ``[N, dim]``. Those whose
feature is the mean over a last map give the map too, ``maps``: ``[N, dim, s, s]``. Images come
as :mod:`reidlib.augment` leaves them: RGB, less ImageNet's mean, divided by its deviation.

timm and torchvision take seconds to load, so the trunks that are built from them import them themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from reidlib.backbones import check_trunk
from reidlib.models.neck import BNNeck
from reidlib.models.published import (
    IBN,
    densenet161,
    efficientnet_lite0,
    googlenet,
    hrnet_w18,
    mobilenet_v1,
    mobilenet_v2,
    resnet50,
    resnet50_ibn,
    squeezenet1_1,
)
from reidlib.models.stand_ins import small_dense, small_hr, small_ibn
from reidlib.models.trunks import SYMMETRIC, Trunk, digits, small
from reidlib.models.vgg import VGGCNNM1024
from reidlib.models.weights import Weights, fill_trunk, load_weights, starting_weights

__all__ = ["IBN", "BNNeck", "Trunk", "VGGCNNM1024", "build", "digits", "flops", "load_weights", "small"]


def build(
    name: str,
    *,
    pretrained: bool = False,
    weights: str | None = None,
    reduction: str = "stride",
    image_size: int = 224,
) -> nn.Module:
    """A trunk by name, channels last in memory (fastest on CPUs and GPUs alike).

    Args:
        name: one of :data:`reidlib.backbones.BACKBONES`.
        pretrained: start from ImageNet weights: those on this machine, else the published ones, which are downloaded.
        weights: a local file of weights instead, with the names of those that are published; the classifier may be
            there and is left out.
        reduction: of ``digits`` alone.
        image_size: side of the images in pixels, which settles the size of ``vgg_cnn_m_1024``; the others take any that
            :func:`reidlib.backbones.check_trunk` lets pass.

    Raises:
        ValueError: unknown name, weights asked for a trunk that has none, weights that do not fit or cannot be had, or
            images of a size that the trunk cannot take.
        FileNotFoundError: ``weights`` is no file.
        OSError: a download failed.
    """
    builders: dict[str, Callable[[], nn.Module]] = {
        "small": small,
        "mobilenet_v1": lambda: _mobilenet_v1(start),
        "digits": lambda: digits(reduction=reduction),
        "vgg_cnn_m_1024": lambda: VGGCNNM1024(image_size),
        "googlenet": googlenet,
        "resnet50": resnet50,
        "resnet50_ibn": resnet50_ibn,
        "densenet161": densenet161,
        "hrnet_w18": hrnet_w18,
        "small_ibn": small_ibn,
        "small_dense": small_dense,
        "small_hr": small_hr,
        "mobilenet_v2": mobilenet_v2,
        "efficientnet_lite0": efficientnet_lite0,
        "squeezenet1_1": squeezenet1_1,
    }
    if name not in builders:
        raise ValueError(f"backbone = {name!r} is refused: allowed are {', '.join(builders)}")
    check_trunk(name, pretrained=pretrained, weights=weights, image_size=image_size)
    start = starting_weights(name, pretrained=pretrained, weights=weights)
    trunk = builders[name]()
    if start:
        fill_trunk(trunk, name, start)
    return trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _mobilenet_v1(start: Weights | None) -> Trunk:
    """As its weights want it: TensorFlow's say so themselves, others are taken for timm's; all want −1 to 1."""
    if start is None:
        return mobilenet_v1()
    padding, epsilon = start.notes.get("padding", ""), float(start.notes.get("epsilon", 1e-5))
    return mobilenet_v1(padding=padding, epsilon=epsilon, pixels=SYMMETRIC)


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
