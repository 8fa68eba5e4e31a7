"""MLSL: what is run. Stage 1 classifies vehicles, stage 2 goes on with pairs of images; each variant is a stage 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib import losses, sampler
from reidlib.data.manifest import Dataset, Test, codes
from reidlib.train import Schedule
from reidpapers.mlsl import sharing
from reidpapers.mlsl.config import ATTRIBUTES, MLSLConfig
from reidpapers.mlsl.loss import classification, margin, pairwise, term_weights
from reidpapers.mlsl.network import MLSL
from reidpapers.run.base import Paper
from reidpapers.run.evaluate_run import Trained
from reidpapers.run.levels import entropy, unlike
from reidpapers.run.probe import TOY_IMAGES
from reidpapers.run.training import Batch


class MLSLPaper(Paper):
    """Alfasly et al., IEEE Access 7, 2019."""

    Config = MLSLConfig
    short = "MLSL"
    title = "Multi-Label-Based Similarity Learning for Vehicle Re-Identification"
    citation = "Alfasly et al., IEEE Access 7, 2019"
    summary = (
        "Stage 1 teaches a trunk to tell training vehicles apart. Stage 2 goes on with pairs of images: three "
        "*sigmoidal units* look at |x_a − x_b| and say whether a pair differs in identity, colour and type, and a "
        "contrastive loss on what they say joins the classification. Matching uses the trunk's features x alone."
    )
    place = 1
    toy_labels = tuple((i // 2, i // 4, i % 3 - 1) for i in range(TOY_IMAGES))

    def labels(self, rows: pd.DataFrame) -> Tensor:
        """Codes ``[N, 3]`` of identity, colour and type; where no type is known at all, the model stands for it."""
        kind = rows["type"] if rows["type"].notna().any() else rows["model"]
        return torch.as_tensor(np.stack([codes(rows["vehicle_id"]), codes(rows["color"]), codes(kind)], 1))

    def check(self, config: MLSLConfig) -> None:
        """Refuse data of which no batch can be drawn."""
        super().check(config)
        self.check_batches(config)

    def starts_from(self, config: MLSLConfig) -> tuple[MLSLConfig, ...]:
        """Stage 1 of the same seed, which every variant of stage 2 shares."""
        if config.learning == "feature" or config.init == "scratch":
            return ()
        return (config.but(learning="feature").canonical(),)

    def stage(self, config: MLSLConfig) -> str:
        """What is learnt."""
        return config.learning

    def stream(self, config: MLSLConfig) -> bool:
        """Stage 1 has its own stream of batches; all variants of stage 2 share another."""
        return config.learning == "feature"

    def steps(self, config: MLSLConfig) -> int:
        """Those of stage 1, of stage 2, or of both where stage 2 starts from scratch."""
        if config.learning == "feature":
            return self.length(config, "iterations1")
        first = self.length(config.but(learning="feature"), "iterations1") if config.init == "scratch" else 0
        return self.length(config, "iterations2") + first

    def batch_size(self, config: MLSLConfig) -> int:
        """Images a step."""
        return config.batch if config.learning == "feature" else 2 * config.pairs

    def distinct(self, config: MLSLConfig) -> int:
        """Three images give two pairs (section IV-C)."""
        return config.batch if config.learning == "feature" else 3 * config.pairs // 2

    def tiny(self, config: MLSLConfig) -> MLSLConfig:
        """The same with eight images a step."""
        return config.but(batch=8, pairs=4)

    def network(self, config: MLSLConfig, data: Mapping[str, Any]) -> MLSL:
        """Trunk, classifier and units for the data's training vehicles."""
        return MLSL(config, data["identities"])

    def draw(self, config: MLSLConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """Every image once an epoch in stage 1, pairs in stage 2 (section IV-C)."""
        if config.learning == "feature":
            return sampler.ShuffledSampler(len(labels), config.batch, seed=config.seed)
        return sampler.PairSampler(labels[:, 0].numpy(), config.pairs)

    def objective(self, config: MLSLConfig, network: MLSL, batch: Batch) -> dict[str, Tensor]:
        """The loss terms of the stage."""
        return classification(network, batch) if config.learning == "feature" else pairwise(network, batch, config)

    def term_weights(self, config: MLSLConfig) -> dict[str, float]:
        """Factor of each term in the total (eq. 7)."""
        return term_weights(config)

    def optimizer(self, config: MLSLConfig) -> dict[str, str]:
        """Adam, as in section IV-B."""
        return {"optimizer": config.optimizer}

    def schedule(self, config: MLSLConfig, images: int) -> Schedule:
        """Learning rate of a run on ``images`` training images (sections IV-B and V-A)."""
        first, count = config.learning == "feature", self.steps(config)
        kind, rate = (config.schedule1, config.rate1) if first else (config.schedule2, config.rate2)
        if kind == "cosine":
            return Schedule(count, rate, warmup=max(1, count // 20), cosine=True)
        if kind == "steps":
            return Schedule(count, rate, drops=(count // 2, count * 3 // 4))
        every = (100 if first else 50) * images / self.distinct(config)
        drops = (max(place, round(place * every)) for place in range(1, int(count / every) + 1))
        return Schedule(count, rate, drops=tuple(drop for drop in drops if drop < count))

    def tests(self, config: MLSLConfig, dataset: Dataset) -> tuple[Test, ...]:
        """The dataset's own tests; for digits, whose gallery the paper leaves open, the one that was chosen."""
        return (Test("", config.digits_protocol),) if config.dataset == "digits" else dataset.tests

    def protocols(self, config: MLSLConfig) -> tuple[str, ...]:
        """Their protocols."""
        return (config.digits_protocol,) if config.dataset == "digits" else super().protocols(config)

    def classifiers(self, config: MLSLConfig) -> dict[str, int]:
        """Identity, where it is learnt by a softmax."""
        return {} if config.learning == "similarity" else {"identity": 0}

    def logits(self, config: MLSLConfig, network: MLSL, images: Tensor) -> dict[str, Tensor]:
        """Of identities."""
        return {"identity": network.identity(network(images))}

    def levels(self, config: MLSLConfig, labels: Tensor) -> dict[str, float]:
        """Guesses that follow the labels' shares; a unit that says one distance of every pair, the best that there is.

        Half of the pairs share the vehicle; of the others as many share a colour or a type as chance brings together.
        """
        values = {"identity": entropy(labels[:, 0]) * (1 if config.learning == "feature" else 2)}
        for name in config.attributes():
            differ = 0.5 * (1 if name == "id" else unlike(labels[:, ATTRIBUTES.index(name)]))
            values[name] = 0.5 * differ * (1 - differ) * margin(config) ** 2
        return {name: values[name] for name in term_weights(config)}

    def exhibits(self, config: MLSLConfig) -> dict[str, Callable[[Trained], Any]]:
        """How far apart test images lie by what they share (Fig. 1); digits have neither colour nor type."""
        return {} if config.dataset == "digits" else {"sharing": lambda trained: sharing.measure(trained, self.labels)}

    def extra_probe(self, config: MLSLConfig) -> dict[str, list[float]]:
        """Both branches of the contrastive loss, which a probe's eight images may not reach."""
        if config.learning not in ("similarity", "joint"):
            return {}
        far = margin(config)
        output, differs = far * torch.linspace(0, 1.5, 7)[:, None], torch.tensor([[0.0, 1.0]])
        return {"contrastive": losses.contrastive(output, differs, far).flatten().tolist()}


PAPER = MLSLPaper()
