"""C2F-Rank: what is run. An initial model classifies vehicle models; every variant of the ranking starts from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib import losses, sampler
from reidlib.data import DataSource
from reidlib.data.manifest import Dataset, Test, codes
from reidlib.train import Schedule
from reidpapers.c2f_rank.config import C2FConfig
from reidpapers.c2f_rank.loss import classification, ranking, term_weights
from reidpapers.c2f_rank.network import C2F
from reidpapers.run import datasets, evaluate_run, training
from reidpapers.run.base import Need, Paper
from reidpapers.run.config import Config, ConfigError
from reidpapers.run.levels import entropy
from reidpapers.run.probe import TOY_IMAGES
from reidpapers.run.training import Batch


class C2FPaper(Paper):
    """Guo et al., AAAI 2018."""

    Config = C2FConfig
    short = "C2F-Rank"
    title = "Learning Coarse-to-Fine Structured Feature Embedding for Vehicle Re-Identification"
    citation = "Guo et al., AAAI 2018"
    summary = (
        "A network that can tell vehicle *models* apart learns to tell vehicles apart. Its loss has four terms: "
        "classification of models, a coarse ranking (vehicles of one model nearer than other models), a fine ranking "
        "(images of one vehicle nearer than other vehicles of its model) and the pull of images of one vehicle. Every "
        "variant starts from the same initial model, which knows models only."
    )
    place = 3
    toy_labels = tuple((i // 2, i // 4) for i in range(TOY_IMAGES))

    def labels(self, rows: pd.DataFrame) -> Tensor:
        """Codes ``[N, 2]`` of vehicle and model."""
        return torch.as_tensor(np.stack([codes(rows["vehicle_id"]), codes(rows["model"])], 1))

    def learns_from(self, config: C2FConfig) -> Config:
        """The initial model learns from other vehicles, where there are any; the ranking from the configuration's."""
        config = config.canonical()
        if config.learning == "ranking" or config.pretrain == "own":
            return config
        if config.dataset == "rendered":
            other = {"preset": config.preset, "data_seed": config.data_seed + config.pretrain_seed}
        else:
            other = {"dataset": "compcars", "data_root": config.pretrain_root}
        return Config(**other, image_size=config.image_size)

    def usable(self, config: Config, rows: pd.DataFrame) -> pd.DataFrame:
        """The images that have a model: the paper drops the others (half of VehicleID)."""
        del config
        return rows[rows["model"].notna()].reset_index(drop=True)

    def needs(self, config: Config) -> Sequence[Need]:
        """Models to classify and to compare."""
        del config
        return (Need("model", "the loss of C2F-Rank", "allowed are data of two models or more", values=2),)

    def check(self, config: Config) -> None:
        """Refuse data without models, or of which no batch can be drawn: the run's own and the initial model's."""
        stages = (*self.starts_from(config), config) if isinstance(config, C2FConfig) else ()
        for stage in stages:  # the initial model's data alone are no run's configuration
            data = self.learns_from(stage)
            super().check(data)
            if stage.learning == "ranking":
                _check_batches(data.source, datasets.load(data.source).digest)
            else:
                self.check_batches(stage)

    def starts_from(self, config: C2FConfig) -> tuple[C2FConfig, ...]:
        """The initial model of the same seed, which every variant shares."""
        if config.learning == "initial" or config.init == "scratch":
            return ()
        return (config.but(learning="initial").canonical(),)

    def stage(self, config: C2FConfig) -> str:
        """What is learnt."""
        return config.learning

    def stream(self, config: C2FConfig) -> bool:
        """The initial model has its own stream of batches; all variants of the ranking share another."""
        return config.learning == "initial"

    def steps(self, config: C2FConfig) -> int:
        """Those of the initial model, or of the ranking."""
        return config.iterations1 if config.learning == "initial" else config.iterations2

    def batch_size(self, config: C2FConfig) -> int:
        """Images a step."""
        return config.batch if config.learning == "initial" else config.models * config.vehicles * config.images

    def tiny(self, config: C2FConfig) -> C2FConfig:
        """The same with eight images a step."""
        return config.but(batch=8, models=2, vehicles=2, images=2, k1=min(config.k1, 4), k2=min(config.k2, 2))

    def network(self, config: C2FConfig, data: Mapping[str, Any]) -> C2F:
        """The network for the data's models."""
        return C2F(config, data["models"])

    def build(self, config: C2FConfig, data: Mapping[str, Any], starts: Sequence[Path] = ()) -> C2F:
        """The network with the seed's initial weights, or with the trunk of the run that it starts from.

        The classifier starts anew: the initial model's models are others (CompCars has none of VehicleID's classes).
        """
        return training.build(lambda: self.network(config, data), config, starts, parts=("trunk",))

    def draw(self, config: C2FConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """Every image once an epoch at first, then some images of some vehicles of some models."""
        if config.learning == "initial":
            return sampler.ShuffledSampler(len(labels), config.batch, seed=config.seed)
        vehicles, models = labels.T.numpy()
        return sampler.ModelSampler(vehicles, models, count=(config.models, config.vehicles, config.images))

    def objective(self, config: C2FConfig, network: C2F, batch: Batch) -> dict[str, Tensor]:
        """The loss terms of the stage."""
        return classification(network, batch) if config.learning == "initial" else ranking(network, batch, config)

    def term_weights(self, config: C2FConfig) -> dict[str, float]:
        """Factor of each term in the total (eq. 1)."""
        return term_weights(config)

    def optimizer(self, config: C2FConfig) -> dict[str, Any]:
        """Mini-batch SGD, as in "Parameter Setting", or another."""
        return {"optimizer": config.optimizer, "weight_decay": config.weight_decay}

    def schedule(self, config: C2FConfig, images: int) -> Schedule:
        """The paper names no learning rate. Classification alone, also as a control, has a rate of its own."""
        del images
        alone = config.learning == "initial" or config.terms == ("classification",)
        count, rate = self.steps(config), config.rate1 if alone else config.rate2
        if config.schedule == "cosine":
            return Schedule(count, rate, warmup=max(1, count // 20), cosine=True)
        return Schedule(count, rate, drops=(count // 2, count * 3 // 4))

    def classifiers(self, config: C2FConfig) -> dict[str, int]:
        """Models, where they are classified."""
        return {"model": 1} if config.learning == "initial" or "classification" in config.terms else {}

    def logits(self, config: C2FConfig, network: C2F, images: Tensor) -> dict[str, Tensor]:
        """Of models."""
        return {"model": network.model(network.trunk(images))}

    def levels(self, config: C2FConfig, labels: Tensor) -> dict[str, float]:
        """Guesses that follow the models' shares; hinges at their margins, where all features are one."""
        values = {"classification": entropy(labels[:, 1]), "coarse": config.margin_coarse, "fine": config.margin_fine}
        return {name: values[name] for name, weight in term_weights(config).items() if weight and name in values}

    def tests(self, config: C2FConfig, dataset: Dataset) -> tuple[Test, ...]:
        """Small, medium and large test sets (Tables 2–5), the large one's match rates first."""
        return evaluate_run.tests_by_size(dataset, dict(zip(("", "retrieval"), self.protocols(config), strict=True)))

    def protocols(self, config: C2FConfig) -> tuple[str, ...]:
        """Rules of match rates and of MAP: on VehicleID, and all other data, DRDL's; on Vehicle-1M its own."""
        if datasets.PROTOCOLS[config.dataset] == "vehicle1m":
            return ("vehicle1m_cmc", "vehicle1m_map")
        return ("vehicleid", "drdl_retrieval")

    def extra_probe(self, config: C2FConfig) -> dict[str, list[float]]:
        """The terms of a batch large enough for K1 and K2 to choose from, which a probe's eight images are not."""
        if config.learning == "initial":
            return {}
        place = torch.arange(60)
        features = torch.randn(60, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        terms = losses.coarse_to_fine(
            F.normalize(features), place // 3, place // 15, coarse_margin=config.margin_coarse,
            fine_margin=config.margin_fine, coarse_nearest=config.k1, fine_nearest=config.k2,
            normalisation=config.normalisation,
        )  # fmt: skip
        return {"mining": [float(value) for value in terms.values()]}


PAPER = C2FPaper()


@cache  # looked at once for the same data, as sampling from a million images takes seconds to prepare
def _check_batches(source: DataSource, digest: str) -> None:
    """Refuse data of whose training images no batch of the ranking can be drawn."""
    del digest
    manifest = datasets.load(source).manifest
    rows = PAPER.usable(C2FConfig(), manifest.rows("train"))
    try:
        sampler.ModelSampler(*PAPER.labels(rows).T.numpy())
    except ValueError as error:
        raise ConfigError(f"{manifest.name} is refused: {error}") from error
