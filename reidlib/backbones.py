"""The trunks by name, and what each allows: known without torch, so that a wrong wish is refused at once."""

from __future__ import annotations

BACKBONES = (
    "small", "mobilenet_v1", "digits", "vgg_cnn_m_1024", "googlenet", "resnet50", "resnet50_ibn", "densenet161",
    "hrnet_w18", "small_ibn", "small_dense", "small_hr",
)  # fmt: skip
# Trunks whose ImageNet weights timm or torchvision downloads.
DOWNLOADS = ("mobilenet_v1", "googlenet", "resnet50", "densenet161", "hrnet_w18")
LOADS = (*DOWNLOADS, "vgg_cnn_m_1024", "resnet50_ibn")  # trunks that read a local file of weights
# Pixels a side below which a trunk's last map would be empty, or of one pixel where it is normalised by instance.
SMALLEST = {"vgg_cnn_m_1024": 41, "resnet50_ibn": 17, "densenet161": 29}
MULTIPLES = {"hrnet_w18": 32}  # the side must be so divisible for a trunk's branches to fit each other


def check_trunk(backbone: str, *, pretrained: bool, weights: str | None, image_size: int) -> None:
    """Refuse, with a ValueError, weights for a trunk that has none and images of a size that it cannot take."""
    for name, asked, able in (("pretrained", pretrained, DOWNLOADS), ("weights", weights, LOADS)):
        if asked and backbone not in able:
            raise ValueError(
                f"backbone = {backbone!r} has no ImageNet weights for {name} = {asked!r}; allowed are {', '.join(able)}"
            )
    if image_size < SMALLEST.get(backbone, 1):
        raise ValueError(f"image_size = {image_size} is refused: {backbone} needs a number >= {SMALLEST[backbone]}")
    if image_size % MULTIPLES.get(backbone, 1):
        raise ValueError(f"image_size = {image_size} is refused: {backbone} needs a multiple of {MULTIPLES[backbone]}")
