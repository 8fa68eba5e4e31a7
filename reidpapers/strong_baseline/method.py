"""The strong baseline: what is run. One stage on P × K batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from reidlib import sampler
from reidlib.data.manifest import codes
from reidlib.train import Schedule
from reidpapers.multiguided.augment import Guided
from reidpapers.multiguided.paper import DROPS, WARMUP, Warmed
from reidpapers.run.base import Paper
from reidpapers.run.probe import TOY_IMAGES
from reidpapers.run.training import Augmentation, Batch
from reidpapers.strong_baseline.config import StrongConfig
from reidpapers.strong_baseline.loss import term_weights, terms, untaught
from reidpapers.strong_baseline.network import Strong


class StrongBaseline(Paper):
    """Luo et al., CVPR workshops 2019; its method alone, on vehicles, which its paper has none of."""

    Config = StrongConfig
    short = "Strong baseline"
    title = "Bag of Tricks and a Strong Baseline for Deep Person Re-identification"
    citation = "Luo et al., CVPR workshops 2019"
    toy_labels = tuple((i // 2,) for i in range(TOY_IMAGES))

    def labels(self, rows: pd.DataFrame) -> Tensor:
        """Codes ``[N, 1]`` of vehicles."""
        return torch.as_tensor(codes(rows["vehicle_id"]))[:, None]

    def check(self, config: StrongConfig) -> None:
        """Refuse also data of which no batch can be drawn."""
        super().check(config)
        self.check_batches(config)

    def steps(self, config: StrongConfig) -> int:
        """Training steps."""
        return self.length(config, "iterations")

    def batch_size(self, config: StrongConfig) -> int:
        """Images a step: 64."""
        return config.identities * config.images

    def tiny(self, config: StrongConfig) -> StrongConfig:
        """The same with eight images a step."""
        return config.but(identities=4, images=2)

    def network(self, config: StrongConfig, data: Mapping[str, Any]) -> Strong:
        """The network for the data's training vehicles."""
        return Strong(config, data)

    def draw(self, config: StrongConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """Some images of each of some vehicles."""
        return sampler.IdentitySampler(labels[:, 0].numpy(), identities=config.identities, images=config.images)

    def augment(self, config: StrongConfig) -> Augmentation:
        """Padded crop, mirror and random erasing (sections 2 and 3.2)."""
        return Guided(pad=config.pad, shrink=0.0, erase=config.erase, flip=config.flip)

    def objective(self, config: StrongConfig, network: Strong, batch: Batch) -> dict[str, Tensor]:
        """The three terms."""
        return terms(network, batch, config)

    def term_weights(self, config: StrongConfig) -> dict[str, float]:
        """Factor of each term in the total (section 3.6)."""
        return term_weights(config)

    def optimizer(self, config: StrongConfig) -> dict[str, Any]:
        """Adam (section 2)."""
        return {"optimizer": "adam", "weight_decay": config.weight_decay}

    def schedule(self, config: StrongConfig, images: int) -> Schedule:
        """Ten epochs of 120 of warm-up from a tenth of the rate, x 0.1 after 40 and 70 (section 3.1), as shares."""
        del images
        count = self.steps(config)
        drops = tuple(round(count * share) for share in DROPS)
        return Warmed(count, config.rate, drops=drops, warmup=max(1, round(count * WARMUP)))

    def classifiers(self, config: StrongConfig) -> dict[str, int]:
        """Identity."""
        del config
        return {"identity": 0}

    def logits(self, config: StrongConfig, network: Strong, images: Tensor) -> dict[str, Tensor]:
        """Of identities."""
        del config
        return {"identity": network.identity(network(images))}

    def levels(self, config: StrongConfig, labels: Tensor) -> dict[str, float]:
        """Guesses that follow the labels' shares; the triplet loss at its margin, where all features are one."""
        values = {"identity": untaught(labels[:, 0], config.smoothing)}
        return values | ({"triplet": config.margin} if config.triplet_weight else {})


PAPER = StrongBaseline()
