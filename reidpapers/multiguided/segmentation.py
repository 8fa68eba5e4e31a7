"""Where the vehicle is: a PSPNet (Zhao et al., CVPR 2017) learnt from masks, for background substitution.

The network is that of segmentation-models-pytorch, always from random weights: nothing is downloaded.
"""

from __future__ import annotations

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.augment import normalise
from reidlib.data.images import ImageStore

STRIDE = 8  # pixels a side for one place of the pyramid's map; an image's side must be a multiple of it
LIGHT = "tu-test_resnet"  # timm's smallest ResNet: a third of ResNet-18's time
UNUSED = {3: ("layer3", "layer4"), 4: ("layer4",), 5: ()}  # stages of a ResNet that an encoder so deep never runs


class Segmenter(nn.Module):
    """PSPNet of one class: ``[N, 3, S, S]`` → a logit for each pixel, above 0 where the vehicle is.

    With its defaults a light one for CPUs: the first stages of timm's smallest ResNet, of 32 to 48 channels.
    ``Segmenter("resnet50", depth=5, channels=512)`` is the paper's: all of ResNet-50, its last two stages dilated, so
    that the map keeps an eighth of the image's side.

    Args:
        encoder: a ResNet by name, such as ``resnet18`` or ``resnet50``; one of timm's with ``tu-`` before its name.
        depth: how many of its five halvings are run; from the fourth on convolutions are dilated instead.
        channels: of the map that the pyramid is joined into.
        dropout: of whole channels of that map.

    Raises:
        ValueError: an encoder that is no ResNet, or a depth outside 3 to 5.
    """

    def __init__(self, encoder: str = LIGHT, *, depth: int = 3, channels: int = 64, dropout: float = 0.1) -> None:
        import segmentation_models_pytorch as smp

        super().__init__()
        if "resnet" not in encoder or depth not in UNUSED:
            raise ValueError(
                f"encoder = {encoder!r}, depth = {depth}: allowed are ResNets, such as resnet18, and 3 to 5"
            )
        model = smp.PSPNet(
            encoder, encoder_weights=None, encoder_depth=depth, psp_out_channels=channels, psp_dropout=dropout,
            upsampling=STRIDE, output_stride=STRIDE,
        )  # fmt: skip
        for stage in () if encoder.startswith("tu-") else UNUSED[depth]:
            setattr(model.encoder, stage, nn.Identity())
        self.encoder, self.decoder, self.head = model.encoder, model.decoder, model.segmentation_head
        self.to(memory_format=torch.channels_last)

    def maps(self, images: Tensor) -> Tensor:
        """Logits ``[N, S, S]``."""
        if images.shape[-1] % STRIDE:
            raise ValueError(f"images of {images.shape[-1]} pixels a side: allowed are multiples of {STRIDE}")
        return self.head(self.decoder(self.encoder(images))).squeeze(1)

    def forward(self, images: Tensor) -> Tensor:
        """The same logits line by line, ``[N, S²]``, as features are."""
        return self.maps(images).flatten(1)


def losses(logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Binary cross-entropy a pixel, and one minus the soft Dice coefficient, the mean over images.

    Args:
        logits: ``[N, S, S]``.
        masks: uint8 ``[N, S, S]``, 255 on the vehicle and 0 elsewhere.

    Returns:
        ``bce`` ≥ 0 and ``dice`` in 0..1.
    """
    wanted = (masks >= 128).to(logits.dtype)
    shown = logits.sigmoid()
    both, either = (shown * wanted).sum((1, 2)), shown.sum((1, 2)) + wanted.sum((1, 2))
    # One pixel more in each sum: an image without a vehicle has a loss, too.
    return {
        "bce": F.binary_cross_entropy_with_logits(logits, wanted),
        "dice": (1 - (2 * both + 1) / (either + 1)).mean(),
    }


def iou(predicted: Tensor, masks: Tensor) -> Tensor:
    """Intersection over union of the vehicle's pixels, image by image: ``[N]`` in 0..1; 1 where both are empty.

    Args:
        predicted: logits, or masks as :func:`predict` gives them, ``[N, S, S]``.
        masks: uint8 ``[N, S, S]``, 255 on the vehicle and 0 elsewhere.
    """
    found, wanted = predicted > (127 if predicted.dtype == torch.uint8 else 0), masks > 127
    both, either = (found & wanted).sum((1, 2)), (found | wanted).sum((1, 2))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


@torch.inference_mode()
def predict(
    network: Segmenter, store: ImageStore, rows: pd.DataFrame, *, device: torch.device | str = "cpu", batch: int = 256
) -> Tensor:
    """Predicted masks of the images of rows, uint8 ``[N, S, S]``: 255 on the vehicle and 0 elsewhere, on the CPU.

    Args:
        network: on the device; it is put in evaluation mode.
        store: the images.
        rows: of a manifest.
        device: where the network is.
        batch: images a forward pass.
    """
    network.eval()
    source = store.resident(device)
    parts = store.places(rows).split(batch)
    return torch.cat([(network.maps(normalise(source(part))) > 0).byte().mul_(255).cpu() for part in parts])
