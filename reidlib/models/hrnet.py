"""HRNet-W18-C, a trunk of the multi-guided system (section 3.1)."""

from __future__ import annotations

from reidlib.models.trunks import Trunk
from reidlib.models.weights import load_weights

DIM = 2048  # channels of the last map
HEAD = "classifier."  # in a file of weights


def hrnet_w18(*, pretrained: bool = False, weights: str | None = None) -> Trunk:
    """HRNet-W18-C (Wang et al. 2019) without its classifier: 2048 channels at 1/32 of the side, 10×10 at 320 pixels.

    timm's network: four branches of 18, 36, 72 and 144 channels at 1/4 to 1/32 of the side run side by side and are
    fused again and again; the head (the C for classification) widens each and adds them up from fine to coarse. All
    of its normalisation is batch normalisation, as the paper says.

    Args:
        pretrained: start from the authors' own ImageNet weights (timm's tag ``ms_in1k``), which timm downloads.
        weights: a local file with timm's names, which are the authors'; its classifier may be there and is left out.

    Raises:
        ValueError: weights that do not fit.
        FileNotFoundError: ``weights`` is no file.
    """
    import timm

    download = pretrained and not weights
    model = timm.create_model("hrnet_w18.ms_in1k", pretrained=download, num_classes=0, global_pool="")
    if weights:
        load_weights(model, weights, ignored=(HEAD,))
    return Trunk(model, DIM)
