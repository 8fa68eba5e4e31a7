"""AGNet: what is run. One training serves several tests: by attribute embedding, category embedding, or both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib import sampler
from reidlib.data.manifest import Dataset, Manifest, Test, codes
from reidlib.evaluate.protocols import Distance
from reidlib.train import Schedule
from reidpapers.agnet import evaluation, pairs
from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.evaluation import kinds
from reidpapers.agnet.loss import pair_losses, term_weights, terms
from reidpapers.agnet.network import AGNet
from reidpapers.run import datasets, evaluate_run, probe
from reidpapers.run.base import Need, Paper
from reidpapers.run.config import ConfigError
from reidpapers.run.evaluate_run import Trained
from reidpapers.run.levels import entropy
from reidpapers.run.training import Batch

# The paper's four test sizes, and VehicleID's lists of so many vehicles; other datasets call their lists by the words.
SIZES = {"small": "800", "medium": "1600", "large": "2400", "largest": "3200"}
SIZED = frozenset({"vehicleid", "veriwild", "vehicle1m"})  # rules that come with test lists of several sizes


class AGNetPaper(Paper):
    """Wang et al., 2020."""

    Config = AGNetConfig
    short = "AGNet-ASL"
    title = "Attribute-guided Feature Learning Network for Vehicle Re-identification"
    citation = "Wang et al., 2020"
    summary = (
        "One trunk, two branches: the attribute branch learns colour and type from a masked map, and its mask guides "
        "the category branch, which learns identity. A verification network looks at the squared difference of two "
        "images' category embeddings and says whether they show one vehicle; its loss weighs pairs by what they share "
        "(ALS). Matching uses both embeddings."
    )
    place = 4
    toy_labels = tuple((i // 2, i // 4, (0, 0, 1, -1)[i // 2]) for i in range(probe.TOY_IMAGES))

    # --- data

    def labels(self, rows: pd.DataFrame) -> Tensor:
        """Codes ``[N, 3]`` of identity, colour and type; where no type is known at all, the model stands for it."""
        return torch.as_tensor(np.stack([codes(rows["vehicle_id"]), codes(rows["color"]), codes(kinds(rows))], 1))

    def usable(self, config: AGNetConfig, rows: pd.DataFrame) -> pd.DataFrame:
        """The training images "with full annotations" (section IV-A), less those held out for tuning.

        The identity branch alone, too, learns from labelled images where there are some: all variants see the same.
        """
        if config.held_out:
            rows = Manifest("training images", rows, "").holdout(config.held_out).rows("train")
        labelled = rows["color"].notna() & kinds(rows).notna()
        drop = config.unlabelled == "drop" and labelled.any()
        return rows[labelled].reset_index(drop=True) if drop else rows

    def needs(self, config: AGNetConfig) -> list[Need]:
        """Colours for whatever learns from attributes; times and cameras of all test images for the re-ranking."""
        needs = [Need("color", *_attributes(config))] if config.needs_attributes() else []
        if config.canonical().str_weight:
            where = {"splits": ("query", "gallery"), "everywhere": True}
            needs += [Need(column, *_reranking(config), **where) for column in ("time", "camera_id")]
        return needs

    def check(self, config: AGNetConfig) -> None:
        """Refuse also data without types and models, without distances between cameras, or without pairs to draw.

        Raises:
            ConfigError: what is missing, what needs it, and what does without it.
        """
        super().check(config)
        dataset = datasets.load(config.source)
        name, rows = dataset.manifest.name, dataset.manifest.rows("train")
        if config.needs_attributes() and kinds(rows).isna().all():
            why, instead = _attributes(config)
            raise ConfigError(f"{why} is refused: {name} lacks 'type' and 'model' in its training images; {instead}")
        if config.canonical().str_weight and dataset.camera_distances is None:
            why, instead = _reranking(config)
            raise ConfigError(f"{why} is refused: {name} lacks the distances between its cameras; {instead}")
        try:
            self.draw(config, self.labels(self.usable(config, rows)))
        except ValueError as error:
            raise ConfigError(f"{name} is refused: {error}") from error

    def classes(self, config: AGNetConfig) -> dict[str, int]:
        """Numbers of vehicles, colours and types among the usable training images."""
        rows = self.usable(config, datasets.load(config.source).manifest.rows("train"))
        counts = (self.labels(rows).max(0).values + 1).tolist()
        return dict(zip(("identities", "colors", "types"), counts, strict=True))

    # --- what is run

    def steps(self, config: AGNetConfig) -> int:
        """Training steps; none for another test feature, or for re-ranking, of a trained network."""
        return 0 if self.starts_from(config) else self.length(config, "iterations")

    def starts_from(self, config: AGNetConfig) -> tuple[AGNetConfig, ...]:
        """The trained run whose features a run compares in another way."""
        config = config.canonical()
        return () if config == config.trained() else (config.trained(),)

    def batch_size(self, config: AGNetConfig) -> int:
        """Images a step."""
        return 2 * config.pairs

    def distinct(self, config: AGNetConfig) -> int:
        """Positive and negative pairs share anchors, as far as there are as many of both."""
        return config.pairs + max(config.positives(), config.pairs - config.positives())

    def tiny(self, config: AGNetConfig) -> AGNetConfig:
        """The same with eight images a step."""
        return config.but(pairs=4, positive=min(max(config.positive, 0.25), 0.75))

    # --- training

    def network(self, config: AGNetConfig, data: Mapping[str, Any]) -> AGNet:
        """Trunk, mask, branches and verification for the data's training labels."""
        return AGNet(config, data["identities"], data["colors"], data["types"])

    def draw(self, config: AGNetConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """Pairs of images, the same for every variant."""
        return pairs.HardPairSampler(labels, config.pairs, config.positives(), config.hard)

    def objective(self, config: AGNetConfig, network: AGNet, batch: Batch) -> dict[str, Tensor]:
        """The terms of eq. 8."""
        return terms(network, batch, config)

    def term_weights(self, config: AGNetConfig) -> dict[str, float]:
        """Factor of each term in the total (eq. 8)."""
        return term_weights(config)

    def optimizer(self, config: AGNetConfig) -> dict[str, Any]:
        """SGD, as in section IV-B, or what trains a trunk from scratch."""
        return {"optimizer": config.optimizer, "weight_decay": config.weight_decay}

    def schedule(self, config: AGNetConfig, images: int) -> Schedule:
        """Learning rate: the initial one in 50 epochs of 75, then a tenth of it (section IV-B)."""
        del images
        count = self.steps(config)
        if config.schedule == "cosine":
            return Schedule(count, config.rate, warmup=max(1, count // 20), cosine=True)
        return Schedule(count, config.rate, drops=(count * 2 // 3,) if count else ())

    # --- evaluation

    def tests(self, config: AGNetConfig, dataset: Dataset) -> tuple[Test, ...]:
        """The dataset's own test (Table III) and small, medium and large ones by VehicleID's rule (Table IV).

        A dataset with test lists of several sizes has these alone, the largest first. Tuning tests nothing: see
        :meth:`measures`.
        """
        if config.held_out:
            return ()
        if not any(test.name for test in dataset.tests):
            return (*dataset.tests, *evaluate_run.tests_by_size(dataset, {"": "vehicleid"}))
        sized = {size: test for size, name in SIZES.items() for test in dataset.tests if test.name in (size, name)}
        return tuple(replace(test, name=size) for size, test in reversed(sized.items())) or dataset.tests

    def protocols(self, config: AGNetConfig) -> tuple[str, ...]:
        """The dataset's own and, where that has no test lists of several sizes, VehicleID's."""
        own = datasets.PROTOCOLS[config.dataset]
        return (own,) if own in SIZED else (own, "vehicleid")

    def distance(self, config: AGNetConfig, trained: Trained) -> Distance:
        """Plain, or re-ranked by time and place (STR)."""
        if config.str_weight:
            return evaluation.spatio_temporal(trained, config.str_weight)
        return super().distance(config, trained)

    def measures(self, config: AGNetConfig, trained: Trained) -> dict[str, dict[str, float]]:
        """Purity of neighbourhoods by attribute, what the mask does, and how many of the pairs ALS is about.

        For tuning the scores of held-out vehicles instead.
        """
        if config.held_out:
            return evaluation.tuned(trained, config.held_out)
        test = self.tests(config, trained.dataset)[0]
        measures = evaluation.purity(trained, test)
        if config.masks() and self.steps(config):
            measures |= evaluation.mask(trained, test)
        if config.verifies() and self.steps(config):
            rows = trained.dataset.manifest.rows("train")
            measures |= {"pairs": {"alike": self.hard_share(config, rows)}}
        return measures

    def hard_share(self, config: AGNetConfig, rows: pd.DataFrame) -> float:
        """Share of the pairs which show two vehicles alike, of all that a run draws from training rows."""
        labels = self.labels(self.usable(config, rows))
        draw, steps = self.draw(config, labels), range(min(self.steps(config), pairs.COUNTED))
        drawn = (draw(step, sampler.generator(config.seed, self.stream(config), step)) for step in steps)
        return round(pairs.hard_share((labels[batch] for batch in drawn), config.alike == "both"), 6)

    def classifiers(self, config: AGNetConfig) -> dict[str, int]:
        """Identity; colour and type where there is a branch for them."""
        return {"identity": 0, **({"color": 1, "type": 2} if config.branches == "full" else {})}

    def logits(self, config: AGNetConfig, network: AGNet, images: Tensor) -> dict[str, Tensor]:
        """Of identities from the category embedding, of colours and types from the attribute embedding."""
        category, attribute = network.embeddings(images)
        values = {"identity": network.identity(category)}
        if config.branches == "full":
            values |= {"color": network.color(attribute), "type": network.kind(attribute)}
        return values

    def levels(self, config: AGNetConfig, labels: Tensor) -> dict[str, float]:
        """Guesses that follow the labels' shares; of pairs, that either answer is as likely."""
        values = {name: entropy(labels[:, column]) for name, column in self.classifiers(config).items()}
        if config.verifies():
            drawn = labels[self.draw(config, labels)(0, sampler.generator(config.seed)).flatten()]
            values["verification"] = float(pair_losses(torch.zeros(config.pairs, 2), drawn, config).mean())
        return values

    def exhibits(self, config: AGNetConfig) -> dict[str, Callable[[Trained], Any]]:
        """Fig. 7 and 8 for AGNet-ASL-All; and pictures of its mask for every run that trains one."""
        if config.held_out or not self.steps(config):
            return {}

        def tests(trained: Trained) -> tuple[Test, ...]:
            return self.tests(config, trained.dataset)

        makers: dict[str, Callable[[Trained], Any]] = {}
        if config.whole():
            makers["tsne"] = lambda trained: evaluation.embedding_map(trained, tests(trained)[0])
            makers["fig8"] = lambda trained: evaluation.retrieved(trained, tests(trained))
        if config.masks():
            makers["masks"] = lambda trained: evaluation.pictures(trained, tests(trained)[0])
        return makers

    def extra_probe(self, config: AGNetConfig) -> dict[str, list[float]]:
        """Every kind of pair in the loss, which pairs are drawn, features of a run without training, and re-ranking."""
        values = {}
        if config.hard and self.steps(config):
            draw = self.draw(config.but(pairs=16, positive=0.5), torch.tensor(self.toy_labels * 3))
            values["draw"] = draw(0, sampler.generator(config.seed)).flatten().tolist()
        if config.verifies():
            labels = torch.tensor([(0, 0, 0)] * 3 + [(0, 0, 0), (1, 0, 0), (1, 0, 1)])
            for logit in (-1.0, 0.0, 3.0):
                values[f"pairs {logit:g}"] = pair_losses(torch.tensor([[0.0, logit]] * 3), labels, config).tolist()
        if not self.steps(config):
            network = self.build(config, {"identities": 4, "colors": 3, "types": 3})
            pixels = probe.toy_images(probe.TOY_IMAGES, config.image_size)
            values["feature"] = probe.toy_features(network, pixels)
        if config.str_weight:
            values["str"] = evaluation.toy_reranking(config)
        return values


def _attributes(config: AGNetConfig) -> tuple[str, str]:
    """What needs attributes, and what does without."""
    why = f"branches = {config.branches!r} with verification = {config.verification!r}"
    return why, "branches = 'only_id' needs neither colour nor type"


def _reranking(config: AGNetConfig) -> tuple[str, str]:
    """What needs times, cameras and their distances, and what does without."""
    return f"str_weight = {config.str_weight:g}", "allowed is 0"


PAPER = AGNetPaper()
