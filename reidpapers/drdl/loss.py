"""DRDL's loss: distances within set pairs (eq. 3–6), joined by a softmax over models (section 3.4)."""

from __future__ import annotations

from torch import Tensor

from reidlib import losses
from reidpapers.drdl.config import DRDLConfig
from reidpapers.drdl.network import DRDL
from reidpapers.run.training import Batch


def relative(features: Tensor, config: DRDLConfig) -> Tensor:
    """The loss of distances, a mean over a batch's set pairs: triplets (eq. 3) or coupled clusters (eq. 4–6).

    Args:
        features: of length 1, ``[sets · 2 · size, D]``: each pair's positive set, then its negative set.
        config: which loss, its margin and its sets.
    """
    positives, negatives = features.unflatten(0, (config.sets, 2, config.set_size)).unbind(1)  # [B, size, D] each
    if config.loss == "triplet":
        return losses.set_triplets(positives, negatives, config.margin, reduction=config.reduction).mean()
    return losses.coupled_clusters(positives, negatives, config.margin, center=config.center).mean()


def terms(network: DRDL, batch: Batch, config: DRDLConfig) -> dict[str, Tensor]:
    """The loss term by term, unweighted (Fig. 6): softmax on fc7_1, the loss of distances on fc7_2 and on fc8."""
    outputs, values = network.branches(batch.images), {}
    if "logits" in outputs:
        # Half of VehicleID's images have no model.
        values["model"] = losses.cross_entropy(outputs["logits"], batch.labels[:, config.coarse()])
    return values | {name: relative(outputs[name], config) for name in ("lower", "mixed") if name in outputs}


def term_weights(config: DRDLConfig) -> dict[str, float]:
    """Factor of each term in the total (section 3.4); a branch alone has one term."""
    if config.network == "mixed":
        return {"model": config.weight_model, "lower": config.weight_lower, "mixed": config.weight_mixed}
    return {"lower" if config.network == "single" else "model": 1.0}
