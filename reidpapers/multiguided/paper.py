"""How each kind of run is carried out: batches, augmentation, schedule, weights; and the method as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidlib import sampler
from reidlib.augment import Guided
from reidlib.data.side_inputs import masks, original_sizes
from reidlib.models.segmentation import predict
from reidlib.train import Schedule
from reidpapers.multiguided import evaluation
from reidpapers.multiguided.config import DENSE, MultiGuidedConfig, starts_from
from reidpapers.multiguided.data import data, label_codes, usable
from reidpapers.multiguided.loss import classification, extraction, segmentation, term_weights
from reidpapers.multiguided.network import Classifier, Ensemble, extractor, segmenter
from reidpapers.run import base
from reidpapers.run.base import Augmentation, Batch, Method, Training

WARMUP, DROPS = 1 / 12, (4 / 12, 7 / 12)  # of a training's length: 10, 40 and 70 of 120 epochs


@dataclass(frozen=True)
class Warmed(Schedule):
    """A schedule whose warm-up begins at a tenth of the rate, as the paper's 3.5e-5 → 3.5e-4, instead of at 0."""

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.rate * (0.1 + 0.9 * step / self.warmup)
        return super().__call__(step)


def steps(config: MultiGuidedConfig) -> int:
    """Training steps of a run; DenseNets take as many images in smaller batches, an ensemble learns nothing."""
    if config.learning == "extractor":
        return max(1, round(config.iterations * config.identities / identities(config)))
    kind = config.learning.partition("_")[0]
    return {"classifier": config.iterations_classifier, "segmenter": config.iterations_segmenter}.get(kind, 0)


def identities(config: MultiGuidedConfig) -> int:
    """Identities a batch of a run."""
    dense = config.learning == "extractor" and config.extractor in DENSE
    return config.identities_dense if dense else config.identities


def batch_size(config: MultiGuidedConfig) -> int:
    """Images a step."""
    return identities(config) * config.images


def schedule(config: MultiGuidedConfig, images: int) -> Schedule:
    """Learning rate of a run (section 4.2)."""
    del images
    count, kind = steps(config), config.learning.partition("_")[0]
    rate = {"classifier": config.rate_classifier, "segmenter": config.rate_segmenter}.get(kind, config.rate)
    warmup = max(1, round(count * WARMUP)) if count else 0
    if config.schedule == "cosine":
        return Warmed(count, rate, warmup=warmup, cosine=True)
    return Warmed(count, rate, drops=tuple(round(count * share) for share in DROPS), warmup=warmup)


def optimizer(config: MultiGuidedConfig) -> dict[str, Any]:
    """What trains it."""
    return {"optimizer": "adam", "weight_decay": config.weight_decay}


def draw(config: MultiGuidedConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
    """Which images meet in a batch: some of each of some identities, or, where none are told apart, any."""
    if config.learning == "extractor":
        return sampler.IdentitySampler(labels[:, 0].numpy(), identities=identities(config), images=config.images)
    return sampler.ShuffledSampler(len(labels), min(batch_size(config), len(labels)), seed=config.seed)


def augment(config: MultiGuidedConfig) -> Augmentation:
    """Padded crops for all; shrinking, erasing and other backgrounds for extractors; masks that move for the PSPNet."""
    if config.learning != "extractor":
        plain = Guided(pad=config.pad, shrink=0.0, erase=0.0, flip=config.flip)
        return plain.with_masks if config.learning == "segmenter" else plain
    return Guided(
        pad=config.pad, shrink=config.shrink, target=config.shrink_above, erase=config.erase, flip=config.flip,
        substitute=config.substitute if config.extractor == "dense161bs" else 0.0,
    )  # fmt: skip


def beside(config: MultiGuidedConfig, training: Training) -> dict[str, Tensor]:
    """Original sizes for random shrink; masks for the PSPNet, and its own for background substitution."""
    found = {}
    if config.learning == "extractor" and config.shrink:
        found["size"] = original_sizes(training.dataset, training.rows)
    if config.learning == "segmenter" or (config.extractor, config.masks) == ("dense161bs", "given"):
        found["mask"] = masks(training.dataset, training.rows, config.image_size)
    elif config.learning == "extractor" and config.extractor == "dense161bs":
        found["mask"] = _predicted_masks(config, training)
    return found


def _predicted_masks(config: MultiGuidedConfig, training: Training) -> Tensor:
    """The masks of the PSPNet that a run starts from, for its training images: uint8 ``[N, S, S]``."""
    (start,) = starts_from(config)
    psp = build(start, {})
    state = torch.load(training.starts[0], map_location=config.device, weights_only=True)
    for name, child in psp.named_children():
        child.load_state_dict(state[name])
    return predict(psp, training.store, training.rows, device=config.device)


def toy_beside(config: MultiGuidedConfig) -> dict[str, Tensor]:
    """The same for a probe: half of the pictures are large, and a vehicle is a square in their middle."""
    side, above = config.image_size, config.shrink_above
    masks = torch.zeros(base.TOY_IMAGES, side, side, dtype=torch.uint8)
    masks[:, side // 4 : -side // 4, side // 4 : -side // 4] = 255
    large = torch.arange(base.TOY_IMAGES)[:, None] % 2
    return {"size": (above + 4) * large.expand(-1, 2) + above // 2 * (1 - large), "mask": masks}


def objective(config: MultiGuidedConfig) -> Callable[[nn.Module, Batch], dict[str, Tensor]]:
    """The loss terms of a run."""
    if config.learning == "extractor":
        return partial(extraction, config=config)
    if config.learning == "segmenter":
        return segmentation
    return partial(classification, attribute=config.learning.removeprefix("classifier_"))


def network(config: MultiGuidedConfig, found: Mapping[str, Any]) -> nn.Module:
    """The network of a run for the data's identities, colours and types."""
    if config.learning == "segmenter":
        return segmenter(config)
    makers = {"ensemble": Ensemble, "extractor": extractor}
    return makers.get(config.learning, Classifier)(config, found)


def build(config: MultiGuidedConfig, found: Mapping[str, Any], starts: Sequence[Path] = ()) -> nn.Module:
    """A network with the seed's initial weights; an ensemble's are those of its members and classifiers.

    What Dense161BS starts from gives it masks, no weights.
    """
    made = base.build(partial(network, config, found), config, ())
    if config.learning == "ensemble" and starts:
        for part, start in zip((*made.members.values(), *made.classifiers.values()), starts, strict=True):
            state = torch.load(start, map_location=config.device, weights_only=True)
            for name, child in part.named_children():
                child.load_state_dict(state[name])
    return made


def stage(config: MultiGuidedConfig) -> str:
    """What kind of run it is."""
    return config.extractor if config.learning == "extractor" else config.learning


def stream(config: MultiGuidedConfig) -> str:
    """Which stream of batches a run draws: all extractors share one."""
    return config.learning


def tiny(config: MultiGuidedConfig) -> MultiGuidedConfig:
    """The same with eight images a step, for probes."""
    return config.but(identities=4, identities_dense=4, images=2)


METHOD = Method(
    paper="multiguided",
    labels=label_codes,
    build=build,
    draw=draw,
    batch_size=batch_size,
    objective=objective,
    weights=term_weights,
    optimizer=optimizer,
    schedule=schedule,
    steps=steps,
    tests=evaluation.tests,
    protocols=evaluation.protocols_of,
    stage=stage,
    tiny=tiny,
    toy_labels=tuple((i // 2, i // 4, i // 2 % 2) for i in range(base.TOY_IMAGES)),
    starts_from=starts_from,
    usable=usable,
    augment=augment,
    beside=beside,
    toy_beside=toy_beside,
    distance=evaluation.distance,
    measures=evaluation.measures,
    exhibits=evaluation.exhibits,
    stream=stream,
    extra=evaluation.synthetic,
    data=data,
)
EXPERIMENT = base.experiment(METHOD)
