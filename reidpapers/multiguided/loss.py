"""What each kind of run learns (eq. 1–5), as the terms that training weighs and logs."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from reidlib import losses
from reidpapers.multiguided.config import MultiGuidedConfig
from reidpapers.multiguided.network import Classifier, Extractor
from reidpapers.multiguided.segmentation import Segmenter
from reidpapers.multiguided.segmentation import losses as losses_of_masks
from reidpapers.run.training import Batch

COLUMNS = {"identity": 0, "color": 1, "type": 2}  # of a batch's labels


def extraction(network: Extractor, batch: Batch, config: MultiGuidedConfig) -> dict[str, Tensor]:
    """L_ID on f_bn (eq. 1), triplet on f (eq. 3), centre on f or f_bn (eq. 2); of AGN also type and colour (eq. 5)."""
    identities = batch.labels[:, COLUMNS["identity"]]
    f, f_bn = network.features(batch.images)
    logits = network.logits(f_bn)
    pulled = f if config.center_on == "f" else f_bn
    terms = {
        "identity": F.cross_entropy(logits.pop("identity").float(), identities),
        "triplet": losses.batch_hard_triplet(f, identities, config.margin),
        "center": losses.center_loss(pulled, identities, network.centers.values),
    }
    if network.training:
        network.centers.follow(pulled, identities)
    return terms | {
        name: losses.cross_entropy(values, batch.labels[:, COLUMNS[name]]) for name, values in logits.items()
    }


def classification(network: Classifier, batch: Batch, attribute: str) -> dict[str, Tensor]:
    """Softmax cross-entropy on colours or types."""
    return {attribute: losses.cross_entropy(network(batch.images), batch.labels[:, COLUMNS[attribute]])}


def segmentation(network: Segmenter, batch: Batch) -> dict[str, Tensor]:
    """The PSPNet's terms on masks that moved with their pictures."""
    return losses_of_masks(network.maps(batch.images), batch.side_inputs["mask"])


def term_weights(config: MultiGuidedConfig) -> dict[str, float]:
    """Factor of each term in the total (eq. 4, 5); 0 for those that are logged and not learnt."""
    if config.learning == "segmenter":
        return {"bce": 1.0, "dice": 1.0}
    if config.learning != "extractor":
        return {config.learning.removeprefix("classifier_"): 1.0}
    weights = {"identity": 1.0, "triplet": config.triplet_weight, "center": config.center_weight}
    return weights | (dict.fromkeys(("color", "type"), config.attribute_weight) if config.extractor == "agn" else {})
