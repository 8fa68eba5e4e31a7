"""What is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from reidlib import sampler
from reidlib.data.manifest import codes
from reidlib.train import Schedule
from reidpapers.run.base import Paper
from reidpapers.run.probe import TOY_IMAGES
from reidpapers.run.training import Batch
from sixth.config import SixthConfig
from sixth.loss import terms
from sixth.network import Network


class SixthPaper(Paper):
    """Identity and triplets."""

    Config = SixthConfig
    short = "Sixth"
    title = "A Strong Baseline of Identity and Triplets"
    citation = "Somebody et al., 2031"
    summary = "Softmax on vehicles, and triplets of the hardest images of a batch."
    toy_labels = tuple((place // 2,) for place in range(TOY_IMAGES))

    def labels(self, rows: pd.DataFrame) -> Tensor:
        return torch.as_tensor(codes(rows["vehicle_id"]))[:, None]

    def steps(self, config: SixthConfig) -> int:
        return config.iterations

    def batch_size(self, config: SixthConfig) -> int:
        return 16

    def tiny(self, config: SixthConfig) -> SixthConfig:
        return config

    def network(self, config: SixthConfig, data: Mapping[str, Any]) -> Network:
        return Network(config, data["identities"])

    def draw(self, config: SixthConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        vehicles = labels[:, 0].numpy()
        return sampler.IdentitySampler(vehicles, identities=min(8, len(set(vehicles))), images=2)

    def objective(self, config: SixthConfig, network: Network, batch: Batch) -> dict[str, Tensor]:
        return terms(config, network, batch)

    def term_weights(self, config: SixthConfig) -> Mapping[str, float]:
        return {"identity": 1.0, "triplet": config.triplet}

    def optimizer(self, config: SixthConfig) -> Mapping[str, Any]:
        return {"optimizer": "adam"}

    def schedule(self, config: SixthConfig, images: int) -> Schedule:
        return Schedule(config.iterations, 1e-3, warmup=1, cosine=True)


PAPER = SixthPaper()
