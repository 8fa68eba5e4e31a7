"""DenseNet-161, a trunk of the multi-guided system (section 3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from reidlib.models.trunks import Trunk
from reidlib.models.weights import fill, read_weights

DIM = 2208  # channels of the last map
HEAD = "classifier."  # in a file of weights
# Until 2017 a layer's parts were called norm.1, conv.2, …; so they still are in torchvision's file of weights.
OLD = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def densenet161(*, pretrained: bool = False, weights: str | None = None) -> Trunk:
    """DenseNet-161 (Huang et al. 2017) up to its last map: 2208 channels at 1/32 of the side, 10×10 at 320 pixels.

    It keeps its last down-sampling, as the paper says. Its last map is normalised and rectified, as before the
    published network's mean.

    Args:
        pretrained: start from torchvision's ImageNet weights, which it downloads.
        weights: a local file with torchvision's names, old or new; its classifier may be there and is left out.

    Raises:
        ValueError: weights that do not fit.
        FileNotFoundError: ``weights`` is no file.
    """
    import torchvision

    model = torchvision.models.densenet161()
    model.classifier = nn.Identity()
    if weights:
        _fill(model, read_weights(weights), f"weights = {weights!r}")
    elif pretrained:
        source = torchvision.models.DenseNet161_Weights.IMAGENET1K_V1
        _fill(model, source.get_state_dict(check_hash=True), str(source))
    return Trunk(nn.Sequential(model.features, nn.ReLU(inplace=True)), DIM)


def _fill(model: nn.Module, found: Mapping[str, Tensor], source: str) -> None:
    renamed = {OLD.sub(r"\1\2", name): value for name, value in found.items()}
    fill(model, renamed, source=source, ignored=(HEAD,))
