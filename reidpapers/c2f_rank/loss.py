"""C2F-Rank's loss (eq. 1–5): classification of models, coarse and fine ranking, and the pull within a vehicle."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from reidlib import losses
from reidpapers.c2f_rank.config import C2FConfig
from reidpapers.c2f_rank.network import C2F
from reidpapers.run.training import Batch


def classification(network: C2F, batch: Batch) -> dict[str, Tensor]:
    """The initial model: softmax cross-entropy on vehicle models (eq. 2)."""
    return {"classification": F.cross_entropy(network.model(network.trunk(batch.images)), batch.labels[:, 1])}


def ranking(network: C2F, batch: Batch, config: C2FConfig) -> dict[str, Tensor]:
    """C, R_c, R_f and P (eq. 2–5), unweighted; all but C are always there, to be logged.

    C sees the feature before normalisation, so that its softmax may be as sure as it likes; the others see f(x) on the
    unit sphere, which gives their margins a scale.
    """
    raw = network.trunk(batch.images)  # [N, D]
    vehicles, models = batch.labels.T
    terms = {}
    if "classification" in config.terms:
        terms["classification"] = F.cross_entropy(network.model(raw), models)
    return terms | losses.coarse_to_fine(
        F.normalize(raw.float()), vehicles, models, coarse_margin=config.margin_coarse, fine_margin=config.margin_fine,
        coarse_nearest=config.k1, fine_nearest=config.k2, normalisation=config.normalisation,
    )  # fmt: skip


def term_weights(config: C2FConfig) -> dict[str, float]:
    """Factor of each term in the total (eq. 1); 0 for those that are logged and not learnt."""
    if config.learning == "initial":
        return {"classification": 1.0}
    weights = {"coarse": config.alpha, "fine": config.beta, "pair": config.gamma}
    weights = {term: weight if term in config.terms else 0.0 for term, weight in weights.items()}
    return {"classification": 1.0, **weights} if "classification" in config.terms else weights
