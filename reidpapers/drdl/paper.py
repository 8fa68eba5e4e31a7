"""DRDL: what is run. One stage on pairs of image sets; re-identification of vehicles, or verification of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib import sampler
from reidlib.data.manifest import Dataset, Test, codes
from reidlib.train import Schedule
from reidpapers.drdl.config import GRADES, DRDLConfig
from reidpapers.drdl.loss import relative, term_weights, terms
from reidpapers.drdl.network import DRDL, unit
from reidpapers.drdl.verification_pairs import learnt_models, toy_pairs, verification_tests
from reidpapers.run import datasets, evaluate_run
from reidpapers.run.base import Need, Paper
from reidpapers.run.config import ConfigError
from reidpapers.run.levels import entropy
from reidpapers.run.training import Batch


class DRDLPaper(Paper):
    """Liu et al., CVPR 2016."""

    Config = DRDLConfig
    short = "DRDL"
    title = "Deep Relative Distance Learning: Tell the Difference Between Similar Vehicles"
    citation = "Liu et al., CVPR 2016"
    summary = (
        "A network learns features whose distances tell vehicles apart. Two ideas: the *coupled clusters loss* "
        "compares a set of images of one vehicle with a set of others by their distances to the cluster's centre, "
        "where a triplet compares single images; and in the *mixed difference network* one branch learns the vehicle "
        "model and another what is left."
    )
    place = 2
    toy_labels = ((0, 0, 0), (0, 0, 0), (1, 0, 0), (1, 0, 0), (2, 1, 1), (2, 1, 1), (3, -1, 1), (3, -1, 1))

    def labels(self, rows: pd.DataFrame) -> Tensor:
        """Codes ``[N, 3]`` of vehicle, model and make, −1 where missing.

        Where no model is known at all the type stands for it. The make is the part of the model's name before a slash,
        as CompCars' names have one; the embedded vehicles' models belong to a type, which stands for their make.
        """
        model = rows["model"] if rows["model"].notna().any() else rows["type"]
        named = rows["model"].str.contains("/", regex=False, na=False)
        make = rows["model"].str.partition("/")[0].where(named, rows["type"])
        return torch.as_tensor(np.stack([codes(rows["vehicle_id"]), codes(model), codes(make)], 1))

    def usable(self, config: DRDLConfig, rows: pd.DataFrame) -> pd.DataFrame:
        """All training images, but for those of models that are kept to be verified (section 5.1)."""
        if not config.keeps_models():
            return rows
        models = learnt_models(datasets.load(config.source).manifest)
        return rows[rows["model"].isin(models)].reset_index(drop=True)

    def identity(self, config: DRDLConfig) -> int:
        """The vehicle, or the model where models are verified."""
        return config.identity()

    def needs(self, config: DRDLConfig) -> Sequence[Need]:
        """What grades pairs of models; models for a gallery that is drawn by them."""
        if config.task == "reid":
            literal = Need("model", "literal = True", "allowed is False", splits=("gallery",))
            return (literal,) if config.literal else ()
        graded = () if config.own_pairs() else sorted(GRADES)
        return tuple(
            Need(column, "task = 'verification'", "allowed is reid", ("train", "gallery")) for column in graded
        )

    def classes(self, config: DRDLConfig) -> dict[str, int]:
        """Models, or makes, that the upper branch tells apart."""
        labels = self.labels(self.usable(config, datasets.load(config.source).manifest.rows("train")))
        return {"classes": int(labels[:, config.coarse()].max()) + 1}

    def check(self, config: DRDLConfig) -> None:
        """Refuse data of which no batch or test can be drawn, or whose models or makes are unknown."""
        super().check(config)
        dataset = datasets.load(config.source)
        name, labels = dataset.manifest.name, self.labels(self.usable(config, dataset.manifest.rows("train")))
        try:
            self.draw(config, labels)
        except ValueError as error:
            raise ConfigError(f"set_size = {config.set_size} does not fit {name}: {error}") from error
        try:
            self.tests(config, dataset)
        except ValueError as error:
            hint = "; verified = 'all' asks for less" if config.keeps_models() else ""
            raise ConfigError(f"task = {config.task!r} does not fit {name}: {error}{hint}") from error
        if config.network != "single" and not self.classes(config)["classes"]:
            lacks = "make" if config.task == "verification" else "model or type"
            raise ConfigError(f"network = {config.network!r} is refused: {name} has no {lacks}; allowed is single")

    def starts_from(self, config: DRDLConfig) -> tuple[DRDLConfig, ...]:
        """Joint Bayesian (Fig. 10) is fitted to the features of a run that matches by their distances."""
        return (config.but(test_distance="euclidean"),) if config.test_distance == evaluate_run.LEARNT else ()

    def stage(self, config: DRDLConfig) -> str:
        """Which network learns."""
        return config.network

    def steps(self, config: DRDLConfig) -> int:
        """None where there is a run whose features are taken as they are."""
        return 0 if self.starts_from(config) else config.iterations

    def batch_size(self, config: DRDLConfig) -> int:
        """Images a step: 150 at the paper's sizes."""
        return 2 * config.sets * config.set_size

    def tiny(self, config: DRDLConfig) -> DRDLConfig:
        """The same with eight images a step."""
        return config.but(sets=2, set_size=2)

    def network(self, config: DRDLConfig, data: Mapping[str, Any]) -> DRDL:
        """The network for the data's models or makes."""
        return DRDL(config, data["classes"])

    def draw(self, config: DRDLConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """Pairs of a positive and a negative set (section 3.4)."""
        return sampler.SetSampler(labels[:, config.identity()].numpy(), sets=config.sets, size=config.set_size)

    def objective(self, config: DRDLConfig, network: DRDL, batch: Batch) -> dict[str, Tensor]:
        """The loss terms of the branches there are."""
        return terms(network, batch, config)

    def term_weights(self, config: DRDLConfig) -> dict[str, float]:
        """Factor of each term in the total (section 3.4)."""
        return term_weights(config)

    def optimizer(self, config: DRDLConfig) -> dict[str, Any]:
        """SGD with momentum 0.9 (section 3.4)."""
        return {"optimizer": "sgd", "weight_decay": config.weight_decay}

    def schedule(self, config: DRDLConfig, images: int) -> Schedule:
        """Learning rate η · decay^⌊i / decay_every⌋ (section 3.4)."""
        del images
        steps = self.steps(config)
        drops = tuple(range(config.decay_every, steps, config.decay_every))
        return Schedule(steps, config.rate, drops=drops, factor=config.decay)

    def classifiers(self, config: DRDLConfig) -> dict[str, int]:
        """The upper branch's, of models or makes."""
        return {} if config.network == "single" else {"model": config.coarse()}

    def logits(self, config: DRDLConfig, network: DRDL, images: Tensor) -> dict[str, Tensor]:
        """Of the upper branch."""
        return {"model": network.branches(images)["logits"]}

    def levels(self, config: DRDLConfig, labels: Tensor) -> dict[str, float]:
        """Guesses that follow the models' shares; distances where all features are one."""
        one = torch.ones(2 * config.sets * config.set_size, 1)
        values = {"model": entropy(labels[:, config.coarse()])}
        if config.network != "upper":
            values |= dict.fromkeys(("lower", "mixed"), float(relative(one, config)))
        return {name: values[name] for name in term_weights(config)}

    def tests(self, config: DRDLConfig, dataset: Dataset) -> tuple[Test, ...]:
        """``large``, ``large retrieval``, … ``small retrieval``; or the ``easy``, ``medium`` and ``hard`` pairs."""
        if config.task == "reid":
            kinds = dict(zip(("", "retrieval"), self.protocols(config), strict=True))
            return evaluate_run.tests_by_size(dataset, kinds)
        if config.own_pairs():
            return dataset.tests
        unseen = config.keeps_models()
        return verification_tests(dataset.manifest, config.pairs, levels=config.levels, unseen=unseen)

    def protocols(self, config: DRDLConfig) -> tuple[str, ...]:
        """Those of sections 5.3 and 5.2, or of 5.1."""
        if config.task == "verification":
            return ("verification",)
        return ("vehicleid", "drdl_retrieval_literal" if config.literal else "drdl_retrieval")

    def extra_probe(self, config: DRDLConfig) -> dict[str, list[float]]:
        """The loss of distances on sets that move apart, until no hinge is active, as three steps may not reach.

        Where models are verified also which images make the pairs.
        """
        pairs = {}
        if config.task == "verification" and not config.own_pairs():
            pairs["pairs"] = toy_pairs(config.keeps_models())
        if config.network == "upper":
            return pairs
        sets = torch.randn(4, 2, 3, 5, generator=torch.Generator().manual_seed(0))
        sets[:, 1] += torch.linspace(0, 3, 4)[:, None, None]
        sets = unit(sets.flatten(0, 2)).requires_grad_()
        value = relative(sets, config.but(sets=4, set_size=3))
        (slope,) = torch.autograd.grad(value, sets)
        return {"distances": [value.item(), *slope.norm(dim=1).tolist()], **pairs}


PAPER = DRDLPaper()
