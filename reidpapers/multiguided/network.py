"""The networks: an extractor, AGN (Fig. 2), a classifier of one attribute, and an ensemble (sections 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib import models
from reidpapers.multiguided.config import ATTRIBUTES, MultiGuidedConfig
from reidpapers.multiguided.segmentation import Segmenter

BRANCHES = ("f_id", "f_color", "f_type")  # of AGN
# Stages of the encoder that are run, and channels of the map, by encoder.
PSPNETS = {"tu-test_resnet": (3, 64), "resnet18": (3, 64), "resnet50": (5, 512)}
CENTER_RATE = 0.5  # of the centres' own updates (Wen et al. 2016)


class Centers(nn.Module):
    """A centre for each identity that follows the features of its images (Wen et al., ECCV 2016, eq. 4).

    The paper does not say how its centres move. These do as in the work that the centre loss is from, with no gradient:

        c_y ← c_y − ½ Σ_j (c_y − f_j) / (1 + n), the sum over the n images of y in the batch

    Args:
        identities: how many centres.
        width: of the features.
    """

    def __init__(self, identities: int, width: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(identities, width))

    @torch.no_grad()
    def follow(self, features: Tensor, labels: Tensor) -> None:
        """Move the centres of a batch's identities: features ``[N, D]``, codes ``[N]``."""
        count = labels.bincount(minlength=len(self.values))[:, None]
        sums = torch.zeros_like(self.values).index_add_(0, labels, features.float())
        self.values -= CENTER_RATE * (count * self.values - sums) / (1 + count)


def trunk(config: MultiGuidedConfig, name: str) -> nn.Module:
    """A trunk by name, from ImageNet weights where the configuration asks for them."""
    begins = config.imagenet()
    return models.build(name, pretrained=name in begins, weights=begins.get(name), image_size=config.image_size)


class Extractor(nn.Module):
    """Trunk → fully connected layer → f → BNNeck → f_bn → identities (Fig. 1).

    Args:
        config: which trunk, how wide f is.
        data: ``identities``, the number of vehicles to tell apart.
    """

    def __init__(self, config: MultiGuidedConfig, data: Mapping[str, Any]) -> None:
        super().__init__()
        self.trunk = trunk(config, *config.trunk_names())
        self.embedding = nn.Linear(self.trunk.dim, config.width)
        self.neck = models.BNNeck(config.width)
        self.identity = nn.Linear(config.width, data["identities"], bias=False)
        self.centers = Centers(data["identities"], config.width)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """f, which triplet and centre loss see, and f_bn, which the classifier sees: ``[N, 3, S, S]`` → ``[N, D]``."""
        f = self.embedding(self.trunk(images))
        return f, self.neck(f)

    def logits(self, normalised: Tensor) -> dict[str, Tensor]:
        """f_bn ``[N, D]`` → logits of identities ``[N, C]``; AGN also gives those of colours and types."""
        return {"identity": self.identity(normalised)}

    def signature(self, images: Tensor, feature: str = "f_id") -> Tensor:
        """What matching uses: f_bn at unit length, ``[N, D]``."""
        del feature  # there is but one
        return F.normalize(self.features(images)[1].float())

    def forward(self, images: Tensor) -> Tensor:
        """The signature: ``[N, 3, S, S]`` → ``[N, D]``."""
        return self.signature(images)


class AttributeGuided(Extractor):
    """AGN: after the BNNeck three fully connected layers, f_id, f_type and f_color, and a classifier on each (Fig. 2).

    Args:
        config: see :class:`Extractor`.
        data: ``identities``, and the names of the ``colors`` and ``types``.
    """

    def __init__(self, config: MultiGuidedConfig, data: Mapping[str, Any]) -> None:
        super().__init__(config, data)
        self.branches = nn.ModuleDict({name: nn.Linear(config.width, config.width) for name in BRANCHES})
        self.colors = nn.Linear(config.width, len(data["colors"]), bias=False)
        self.types = nn.Linear(config.width, len(data["types"]), bias=False)

    def logits(self, normalised: Tensor) -> dict[str, Tensor]:
        """f_bn ``[N, D]`` → logits of identities, colours and types."""
        f_id, f_color, f_type = (self.branches[name](normalised) for name in BRANCHES)
        return {"identity": self.identity(f_id), "color": self.colors(f_color), "type": self.types(f_type)}

    def signature(self, images: Tensor, feature: str = "f_id") -> Tensor:
        """f_id at unit length, ``[N, D]``; or f_c, the three branches side by side, each at unit length."""
        normalised = self.features(images)[1]
        names = BRANCHES[:1] if feature == "f_id" else BRANCHES
        return F.normalize(torch.cat([F.normalize(self.branches[name](normalised).float()) for name in names], 1))

    def predicted(self, images: Tensor) -> Tensor:
        """Codes of the likeliest colour and type, ``[N, 2]``."""
        logits = self.logits(self.features(images)[1])
        return torch.stack([logits[name].argmax(1) for name in ATTRIBUTES], 1)


class Classifier(nn.Module):
    """Trunk and a linear classifier of one attribute: ``[N, 3, S, S]`` → logits ``[N, C]``.

    Args:
        config: which trunk, and by ``learning`` which attribute.
        data: the names of its ``colors`` and ``types``.
    """

    def __init__(self, config: MultiGuidedConfig, data: Mapping[str, Any]) -> None:
        super().__init__()
        self.trunk = trunk(config, *config.trunk_names())
        self.head = nn.Linear(self.trunk.dim, len(data[f"{config.learning.removeprefix('classifier_')}s"]))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.trunk(images))


class Ensemble(nn.Module):
    """Extractors side by side, and the classifiers of the attribute constraint if it is theirs.

    Args:
        config: its members and their shares.
        data: see :class:`AttributeGuided`.
    """

    def __init__(self, config: MultiGuidedConfig, data: Mapping[str, Any]) -> None:
        super().__init__()
        self.feature = config.agn_feature
        self.shares = F.normalize(torch.tensor(config.shares or (1.0,) * len(config.members)), dim=0).tolist()
        self.members = nn.ModuleDict({name: extractor(config.member(name), data) for name in config.members})
        self.classifiers = nn.ModuleDict()
        if config.predictor() == "classifiers":
            kinds = [f"classifier_{name}" for name in ATTRIBUTES]
            self.classifiers.update({kind: Classifier(config.but(learning=kind), data) for kind in kinds})

    def forward(self, images: Tensor) -> Tensor:
        """The members' signatures side by side, each times its share; of unit length, ``[N, ΣD]``."""
        parts = [member.signature(images, self.feature) for member in self.members.values()]
        return torch.cat([share * part for share, part in zip(self.shares, parts, strict=True)], 1)

    def predicted(self, images: Tensor) -> Tensor:
        """Codes of the likeliest colour and type by the classifiers, or by AGN where there are none: ``[N, 2]``."""
        if not self.classifiers:
            return self.members["agn"].predicted(images)
        return torch.stack([part(images).argmax(1) for part in self.classifiers.values()], 1)


def segmenter(config: MultiGuidedConfig) -> Segmenter:
    """The PSPNet."""
    depth, channels = PSPNETS[config.encoder]
    return Segmenter(config.encoder, depth=depth, channels=channels)


def extractor(config: MultiGuidedConfig, data: Mapping[str, Any]) -> Extractor:
    """The network of one extractor."""
    return (AttributeGuided if config.extractor == "agn" else Extractor)(config, data)
