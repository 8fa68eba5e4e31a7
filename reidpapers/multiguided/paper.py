"""The multi-guided system: what is run. Extractors, classifiers and a PSPNet learn apart; an ensemble joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from reidlib import sampler
from reidlib.data.manifest import Dataset, Test
from reidlib.evaluate.protocols import Distance
from reidlib.train import Schedule
from reidpapers.multiguided import data, evaluation, postprocessing
from reidpapers.multiguided.augment import Guided
from reidpapers.multiguided.config import DENSE, MultiGuidedConfig, starts_from
from reidpapers.multiguided.loss import COLUMNS, classification, extraction, segmentation, term_weights
from reidpapers.multiguided.needs import PartNeed, needs, refusal
from reidpapers.multiguided.network import Classifier, Ensemble, extractor, segmenter
from reidpapers.multiguided.segmentation import predict
from reidpapers.multiguided.side_inputs import masks, original_sizes
from reidpapers.run import datasets
from reidpapers.run.base import Paper
from reidpapers.run.config import ConfigError
from reidpapers.run.evaluate_run import Trained
from reidpapers.run.levels import entropy
from reidpapers.run.probe import TOY_IMAGES
from reidpapers.run.training import Augmentation, Batch, Training, fill

WARMUP, DROPS = 1 / 12, (4 / 12, 7 / 12)  # of a training's length: 10, 40 and 70 of 120 epochs


@dataclass(frozen=True)
class Warmed(Schedule):
    """A schedule whose warm-up begins at a tenth of the rate, as the paper's 3.5e-5 → 3.5e-4, instead of at 0."""

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.rate * (0.1 + 0.9 * step / self.warmup)
        return super().__call__(step)


class MultiGuidedPaper(Paper):
    """AI City 2020, track 2, team 44."""

    Config = MultiGuidedConfig
    short = "Multi-guided"
    title = "Attribute-Guided Feature Extraction and Augmentation Robust Learning"
    citation = "AI City 2020, track 2, team 44"
    summary = (
        "Five extractors learn apart, guided by attributes, by simulated images and by augmentation against size and "
        "background; their features are joined, and an attribute constraint and group re-ranking refine what they find."
    )
    place = 5
    toy_labels = tuple((i // 2, i // 4, i // 2 % 2) for i in range(TOY_IMAGES))

    # --- data

    def labels(self, rows: pd.DataFrame) -> Tensor:
        """Codes ``[N, 3]`` of vehicle, colour and type."""
        return data.label_codes(rows)

    def usable(self, config: MultiGuidedConfig, rows: pd.DataFrame) -> pd.DataFrame:
        """Real and simulated images, those with the label that a classifier or the PSPNet learns."""
        return data.usable(config, rows)

    def needs(self, config: MultiGuidedConfig) -> list[PartNeed]:
        """What the run needs, and those that it starts from."""
        return needs(config)

    def check(self, config: MultiGuidedConfig) -> None:
        """Refuse data that lack what any part of a run needs, before anything is computed.

        Raises:
            ConfigError: all that is lacking, for what, and the options with which the rest runs.
        """
        dataset = datasets.load(config.source)
        if unmet := [need for need in self.needs(config) if need.unmet(dataset)]:
            raise ConfigError(refusal(dataset.manifest.name, unmet))
        if self.steps(config):
            self.check_batches(config)

    def classes(self, config: MultiGuidedConfig) -> dict[str, Any]:
        """Vehicles, colours and types to tell apart; without simulated ones where they are not learnt from."""
        return data.classes(config)

    # --- what is run

    def starts_from(self, config: MultiGuidedConfig) -> tuple[MultiGuidedConfig, ...]:
        """An ensemble's members and its classifiers of colour and type; the PSPNet of Dense161BS."""
        return starts_from(config)

    def stage(self, config: MultiGuidedConfig) -> str:
        """Which extractor, or which other part of the system."""
        return config.extractor if config.learning == "extractor" else config.learning

    def stream(self, config: MultiGuidedConfig) -> str:
        """All extractors share one stream of batches."""
        return config.learning

    def steps(self, config: MultiGuidedConfig) -> int:
        """DenseNets take as many images as other extractors, in smaller batches; an ensemble learns nothing."""
        if config.learning == "extractor":
            steps = self.length(config, "iterations")
            return steps if config.epochs else max(1, round(steps * config.identities / _identities(config)))
        kind = config.learning.partition("_")[0]
        return {"classifier": config.iterations_classifier, "segmenter": config.iterations_segmenter}.get(kind, 0)

    def batch_size(self, config: MultiGuidedConfig) -> int:
        """Images a step."""
        return _identities(config) * config.images

    def tiny(self, config: MultiGuidedConfig) -> MultiGuidedConfig:
        """The same with eight images a step."""
        return config.but(identities=4, identities_dense=4, images=2)

    # --- training

    def network(self, config: MultiGuidedConfig, data: Mapping[str, Any]) -> nn.Module:
        """The part that learns, or the whole system, for the data's vehicles, colours and types."""
        if config.learning == "segmenter":
            return segmenter(config)
        return {"ensemble": Ensemble, "extractor": extractor}.get(config.learning, Classifier)(config, data)

    def build(self, config: MultiGuidedConfig, data: Mapping[str, Any], starts: Sequence[Path] = ()) -> nn.Module:
        """A network with the seed's initial weights; an ensemble's are those of its members and classifiers.

        What Dense161BS starts from gives it masks, no weights.
        """
        network = super().build(config, data)
        if config.learning == "ensemble" and starts:
            parts = (*network.members.values(), *network.classifiers.values())
            for part, weights in zip(parts, starts, strict=True):
                fill(part, weights)
        return network

    def draw(self, config: MultiGuidedConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """Some images of each of some identities or, where none are told apart, any."""
        if config.learning == "extractor":
            return sampler.IdentitySampler(labels[:, 0].numpy(), identities=_identities(config), images=config.images)
        return sampler.ShuffledSampler(len(labels), self.batch_size(config), seed=config.seed)

    def augment(self, config: MultiGuidedConfig) -> Augmentation:
        """Padded crops for all; extractors also see shrunk and erased images and, one of them, other backgrounds."""
        if config.learning != "extractor":
            plain = Guided(pad=config.pad, shrink=0.0, erase=0.0, flip=config.flip)
            return plain.with_masks if config.learning == "segmenter" else plain
        return Guided(
            pad=config.pad, shrink=config.shrink, target=config.shrink_above, erase=config.erase, flip=config.flip,
            substitute=config.substitute if config.extractor == "dense161bs" else 0.0,
        )  # fmt: skip

    def side_inputs(self, config: MultiGuidedConfig, training: Training) -> dict[str, Tensor]:
        """Original sizes for random shrink; masks for the PSPNet, and its own for background substitution."""
        inputs = {}
        if config.learning == "extractor" and config.shrink:
            inputs["size"] = original_sizes(training.dataset, training.rows)
        if config.learning == "segmenter" or (config.extractor, config.masks) == ("dense161bs", "given"):
            inputs["mask"] = masks(training.dataset, training.rows, config.image_size)
        elif config.learning == "extractor" and config.extractor == "dense161bs":
            inputs["mask"] = self._predicted_masks(config, training)
        return inputs

    def _predicted_masks(self, config: MultiGuidedConfig, training: Training) -> Tensor:
        """The masks of the PSPNet that a run starts from, for its training images: uint8 ``[N, S, S]``."""
        (start,), (weights,) = starts_from(config), training.starts
        network = self.build(start, {})
        fill(network, weights)
        return predict(network, training.store, training.rows, device=config.device)

    def toy_side_inputs(self, config: MultiGuidedConfig) -> dict[str, Tensor]:
        """Half of the pictures are large, and a vehicle is a square in their middle."""
        side, above = config.image_size, config.shrink_above
        squares = torch.zeros(TOY_IMAGES, side, side, dtype=torch.uint8)
        squares[:, side // 4 : -side // 4, side // 4 : -side // 4] = 255
        large = torch.arange(TOY_IMAGES)[:, None] % 2
        return {"size": (above + 4) * large.expand(-1, 2) + above // 2 * (1 - large), "mask": squares}

    def objective(self, config: MultiGuidedConfig, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss terms of the part that learns (eq. 1–5)."""
        if config.learning == "extractor":
            return extraction(network, batch, config)
        if config.learning == "segmenter":
            return segmentation(network, batch)
        return classification(network, batch, config.learning.removeprefix("classifier_"))

    def term_weights(self, config: MultiGuidedConfig) -> dict[str, float]:
        """Factor of each term in the total (eq. 4, 5)."""
        return term_weights(config)

    def optimizer(self, config: MultiGuidedConfig) -> dict[str, Any]:
        """Adam, as in section 4.2."""
        return {"optimizer": "adam", "weight_decay": config.weight_decay}

    def schedule(self, config: MultiGuidedConfig, images: int) -> Schedule:
        """A warm-up, then drops or a cosine, as shares of the length (section 4.2)."""
        del images
        count, kind = self.steps(config), config.learning.partition("_")[0]
        rate = {"classifier": config.rate_classifier, "segmenter": config.rate_segmenter}.get(kind, config.rate)
        warmup = max(1, round(count * WARMUP)) if count else 0
        if config.schedule == "cosine":
            return Warmed(count, rate, warmup=warmup, cosine=True)
        return Warmed(count, rate, drops=tuple(round(count * share) for share in DROPS), warmup=warmup)

    # --- evaluation

    def tests(self, config: MultiGuidedConfig, dataset: Dataset) -> tuple[Test, ...]:
        """The challenge's mAP and the one over all results; of one extractor also of small and of large objects."""
        return evaluation.tests(config, dataset)

    def tests_by_labels(self, config: MultiGuidedConfig, dataset: Dataset) -> tuple[Test, ...]:
        """Without those of small and large objects, which pixels tell apart."""
        del dataset
        return evaluation.whole_tests(config)

    def protocols(self, config: MultiGuidedConfig) -> tuple[str, ...]:
        """Their protocols, whatever the dataset."""
        return tuple(evaluation.PROTOCOLS.values())

    def distance(self, config: MultiGuidedConfig, trained: Trained) -> Distance:
        """An ensemble's post-processing (section 3.3)."""
        return evaluation.distance(config, trained) or super().distance(config, trained)

    def measures(self, config: MultiGuidedConfig, trained: Trained) -> dict[str, dict[str, float]]:
        """Masks, attributes, other backgrounds, and an ensemble's scores without post-processing."""
        return evaluation.measures(config, trained)

    def classifiers(self, config: MultiGuidedConfig) -> dict[str, int]:
        """An extractor's of identities, with those of AGN; or the one attribute that a classifier tells."""
        if config.learning == "extractor":
            return COLUMNS if config.extractor == "agn" else {"identity": 0}
        name = config.learning.removeprefix("classifier_")
        return {name: COLUMNS[name]} if name in COLUMNS else {}

    def logits(self, config: MultiGuidedConfig, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """Of these."""
        if config.learning == "extractor":
            return network.logits(network.features(images)[1])
        return {config.learning.removeprefix("classifier_"): network(images)}

    def levels(self, config: MultiGuidedConfig, labels: Tensor) -> dict[str, float]:
        """Guesses that follow the labels' shares; the triplet loss at its margin, where all features are one."""
        values = {name: entropy(labels[:, column]) for name, column in self.classifiers(config).items()}
        triplet = {"triplet": config.margin} if config.learning == "extractor" and config.triplet_weight else {}
        return {**values, **triplet}

    def exhibits(self, config: MultiGuidedConfig) -> dict[str, Callable[[Trained], Any]]:
        """The PSPNet's masks; of the whole system, rankings before and after post-processing, and mAP against θ."""
        return evaluation.exhibits(config)

    def extra_probe(self, config: MultiGuidedConfig) -> dict[str, list[float]]:
        """An ensemble's post-processing, of synthetic features."""
        return postprocessing.synthetic(config)


def _identities(config: MultiGuidedConfig) -> int:
    """Identities a batch of a run."""
    dense = config.learning == "extractor" and config.extractor in DENSE
    return config.identities_dense if dense else config.identities


PAPER = MultiGuidedPaper()
