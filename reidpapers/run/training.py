"""How the runs of every paper are carried out: decode, draw, augment, train, test."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, nn

from reidlib import parallel, sampler
from reidlib.data.images import ImageStore
from reidlib.data.manifest import Dataset
from reidlib.train import Checkpoint, History, Schedule, train
from reidpapers.run import datasets, evaluate_run, fit
from reidpapers.run.config import Config
from reidpapers.run.evaluate_run import Trained

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

Augmentation = Callable[[Tensor, Mapping[str, Tensor], torch.Generator], Tensor | tuple[Tensor, Mapping[str, Tensor]]]
"""``(images uint8 [N, S, S, 3], their side inputs, generator of the draws) → float32 [N, 3, S, S]``; or that and the
side inputs of the augmented images, where they have moved with them (masks)."""


@dataclass(frozen=True)
class Batch:
    """Augmented images and their labels.

    Attributes:
        images: float32 ``[N, 3, S, S]``.
        labels: codes ``[N, L]``, one column a label of the paper; −1 where missing.
        side_inputs: what else the paper uses of these images, ``[N, …]`` by name; see :meth:`Paper.side_inputs`.
    """

    images: Tensor
    labels: Tensor
    side_inputs: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """What a run learns from.

    Attributes:
        dataset: which.
        rows: its usable training rows.
        store: its images.
        starts: weights of the runs it starts from.
    """

    dataset: Dataset
    rows: pd.DataFrame
    store: ImageStore
    starts: tuple[Path, ...]


def _silent(steps: int) -> None:
    """No progress shown; a function with a name, so that a workspace can be sent to other processes."""


@dataclass(frozen=True)
class Workspace:
    """What a computation is handed beside its configuration.

    Attributes:
        starts: weights of the runs it starts from, in their order.
        checkpoint: where it saves and resumes.
        progress: called with the number of training steps done since the last call.
    """

    starts: tuple[Path, ...] = ()
    checkpoint: Checkpoint | None = None
    progress: Callable[[int], None] = _silent


Source = Callable[[Tensor], Tensor]
"""Images uint8 ``[n, S, S, 3]`` by their places in a store."""


def prepare(paper: Paper, config: Config, workers: int = 1, progress: bool = False) -> None:
    """Decode the images that a run learns from and those that it is tested on, if they are not in the cache."""
    for data in (paper.learns_from(config), config):
        evaluate_run.prepare(data, workers, progress)


def build(
    network: Callable[[], nn.Module], config: Config, starts: Sequence[Path], parts: Collection[str] | None = None
) -> nn.Module:
    """A network with the seed's initial weights, or, part by part, those of the runs that it starts from.

    Args:
        network: makes it.
        config: its seed and device.
        starts: weights that :func:`compute` kept; parts of the network that are not among them stay as they are.
        parts: the only parts to take over from there; None: all.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(config.seed)
        built = network()
    for start in starts:
        fill(built, start, parts)
    return built.to(config.device)


def fill(network: nn.Module, weights: Path, parts: Collection[str] | None = None) -> None:
    """Put kept weights into those parts of a network that they have, or into the named ones alone."""
    state = torch.load(weights, map_location="cpu", weights_only=True)["state"]
    for name, part in network.named_children():
        if name in state and (parts is None or name in parts):
            part.load_state_dict(state[name])


def batches(
    paper: Paper,
    config: Config,
    source: Source,
    places: Tensor,
    labels: Tensor,
    side_inputs: Mapping[str, Tensor] | None = None,
) -> Callable[[int], Batch]:
    """Batch number ``step`` of a run: what the sampler draws, augmented, with its labels.

    Args:
        paper: whose sampler.
        config: its augmentation and seed.
        source: images by their places.
        places: of the training images, ``[N]``.
        labels: their codes, ``[N, L]``.
        side_inputs: of the training images, ``[N, …]`` each.
    """
    draw, augment = paper.draw(config, labels), paper.augment(config)

    def batch(step: int) -> Batch:
        generator = sampler.generator(config.seed, paper.stream(config), step)
        chosen = draw(step, generator).flatten()
        pixels = source(places[chosen])
        beside = {name: values[chosen].to(pixels.device) for name, values in (side_inputs or {}).items()}
        images = augment(pixels, beside, generator)
        images, beside = images if isinstance(images, tuple) else (images, beside)
        return Batch(images, labels[chosen].to(pixels.device), beside)

    return batch


def compute(paper: Paper, config: Config, space: Workspace) -> tuple[dict[str, Any], Any]:
    """Train and test one configuration: parts of its record, and the weights.

    What a record only shows (:meth:`Paper.exhibits`) is made by :func:`complete`, once the record is written.
    Of several processes that train together only the main one tests; the others return nothing.
    """
    config = config.canonical()
    dataset, store = datasets.load(config.source), evaluate_run.prepare(config)
    network = paper.build(config, paper.data(paper.learns_from(config)), space.starts)
    schedule, history, seconds = _learn(paper, config, network, space)
    if not parallel.is_main():
        return {}, None
    trained = Trained(config, network, dataset, store)
    images = (schedule.iterations - history.resumed) * paper.batch_size(config)  # of this sitting, as the seconds are
    parts = evaluate_run.assess(trained, paper.tests(config, dataset), paper.distance(config, trained))
    measures = paper.measures(config, trained)
    parts = {
        **parts,
        "tests": {**parts["tests"], **measures},
        "fit": fit.describe(paper, config, trained) | (fit.among_alike(trained) if parts["scores"] else {}),
        "history": evaluate_run.history(history, schedule),
        "cost": evaluate_run.cost(network, config, images, seconds, schedule.iterations),
        "device": evaluate_run.device_fields(config.device),
    }
    return parts, {name: child.state_dict() for name, child in network.named_children()}


def complete(paper: Paper, config: Config, weights: Path, exhibits: Sequence[str]) -> dict[str, Any]:
    """Exhibits by name, made from a run's kept weights, without training."""
    trained = restored(paper, config, weights)
    makers = paper.exhibits(trained.config)
    return {name: makers[name](trained) for name in exhibits}


def restored(paper: Paper, config: Config, weights: Path) -> Trained:
    """A trained network from its kept weights, with its data."""
    config = config.canonical()
    network = paper.build(config, paper.data(paper.learns_from(config)))
    fill(network, weights)
    return Trained(config, network.eval(), datasets.load(config.source), evaluate_run.prepare(config))


def _learn(paper: Paper, config: Config, network: nn.Module, space: Workspace) -> tuple[Schedule, History, float]:
    """Train a network in place; its schedule, what happened, and seconds."""
    data = paper.learns_from(config)
    dataset, store = datasets.load(data.source), evaluate_run.prepare(data)
    rows = paper.usable(config, dataset.manifest.rows("train"))
    schedule = paper.schedule(config, len(rows))
    side_inputs = {}
    if schedule.iterations:
        side_inputs = paper.side_inputs(config, Training(dataset, rows, store, space.starts))
    source, places = store.resident(config.device), store.places(rows)
    feed = batches(paper, config, source, places, paper.labels(rows), side_inputs)
    start = time.perf_counter()
    with parallel.spread(network):
        history = train(
            network, partial(paper.objective, config), paper.term_weights(config), feed, schedule,
            **paper.optimizer(config), seed=config.seed, precision=config.precision, checkpoint=space.checkpoint,
            progress=space.progress, watch=parallel.average if parallel.processes() > 1 else None,
        )  # fmt: skip
    return schedule, history, time.perf_counter() - start
