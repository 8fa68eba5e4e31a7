"""GoogLeNet, the trunk of C2F-Rank ("Parameter Setting")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reidlib.models.weights import fill, he_normal, load_weights

# Mean and deviation that the images were normalised with, for pixels in [0, 1].
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HEADS = ("fc.", "aux1.", "aux2.")  # classifiers in torchvision's weights


class GoogLeNet(nn.Module):
    """GoogLeNet (Szegedy et al. 2015) up to ``pool5``: ``[N, 3, S, S]`` → ``[N, 1024]``.

    torchvision's form, with batch normalisation after every convolution. That makes the two auxiliary classifiers
    needless, which carried the gradient in the original; they are left out, as is the dropout before the classifier.

    Args:
        pretrained: start from torchvision's ImageNet weights, which it downloads.
        weights: a local file with torchvision's names; its classifiers may be there and are left out.

    Raises:
        ValueError: weights that do not fit.
        FileNotFoundError: ``weights`` is no file.
    """

    dim = 1024

    def __init__(self, *, pretrained: bool = False, weights: str | None = None) -> None:
        import torchvision

        super().__init__()
        self.model = torchvision.models.GoogLeNet(num_classes=1, aux_logits=False, init_weights=False)
        self.model.dropout, self.model.fc = nn.Identity(), nn.Identity()
        # torchvision's weights expect pixels scaled to [−1, 1]. All weights here do, so that a file means one thing.
        mean, deviation = (torch.tensor(value).view(1, 3, 1, 1) for value in (MEAN, DEVIATION))
        self.register_buffer("scale", 2 * deviation, persistent=False)
        self.register_buffer("shift", 2 * mean - 1, persistent=False)
        if weights:
            load_weights(self.model, weights, ignored=HEADS)
        elif pretrained:
            source = torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1
            fill(self.model, source.get_state_dict(check_hash=True), source=str(source), ignored=HEADS)
        else:
            he_normal(self.model)  # torchvision's own start draws from a truncated normal, which takes far longer

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images * self.scale + self.shift)
