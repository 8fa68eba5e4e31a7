"""A method as its parts, and the one way in which the runs of every paper are carried out and probed.

A paper's file defines the parts as plain functions and puts them into a :class:`Method`; :func:`experiment` makes of
it what :mod:`reidpapers.run.runs` carries out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from reidlib import parallel, sampler
from reidlib.augment import Augment
from reidlib.data.images import ImageStore
from reidlib.data.manifest import Dataset, Test
from reidlib.evaluate.protocols import Distance
from reidlib.train import History, Objective, Schedule, train
from reidpapers.run import datasets, evaluate_run, runs
from reidpapers.run.config import Config
from reidpapers.run.evaluate_run import Source, Trained
from reidpapers.run.runs import Experiment, Workspace

TOY_IMAGES = 8  # of a probe


@dataclass(frozen=True)
class Batch:
    """Augmented images and their labels.

    Attributes:
        images: float32 ``[N, 3, S, S]``.
        labels: codes ``[N, L]``, one column a label of the method; −1 where missing.
        beside: what else the method knows of these images, each ``[N, …]``, by name; see ``Method.beside``.
    """

    images: Tensor
    labels: Tensor
    beside: Mapping[str, Tensor] = field(default_factory=dict)


Augmentation = Callable[[Tensor, Mapping[str, Tensor], torch.Generator], Tensor | tuple[Tensor, Mapping[str, Tensor]]]
"""``(images uint8 [N, S, S, 3], what is known beside them, generator of the draws) → float32 [N, 3, S, S]``; or that
and what is known beside the augmented images, where they have moved and it with them (masks)."""


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


def _itself(given: Any) -> Any:
    return given


def _nothing(*given: Any) -> None:
    del given


def _none(*given: Any) -> tuple[()]:
    del given
    return ()


def _all(config: Any, rows: pd.DataFrame) -> pd.DataFrame:
    del config
    return rows


def _first(given: Any) -> int:
    del given
    return 0


def plain_augmentation(config: Config) -> Augmentation:
    """Crop, rotation, brightness and mirror, as every configuration has them."""
    augment = Augment(crop=config.crop, rotation=config.rotation, brightness=config.brightness, flip=config.flip)
    return lambda images, beside, generator: augment(images, generator)


@dataclass(frozen=True)
class Method:
    """What a paper's runs are made of; a configuration goes first in every function.

    Attributes:
        paper: its name, as in ``reidpapers.<name>``.
        labels: ``rows → [N, L]`` codes of the training rows, the vehicle first.
        build: ``(config, data, starts)``: the network with the seed's initial weights, or those in the files
            ``starts``, one a run that it starts from.
        draw: ``(config, labels) → (step, generator) → indices``: which images meet in a batch, see
            :mod:`reidlib.sampler`.
        batch_size: images a step.
        objective: ``config → (network, batch) → {term: value}``.
        weights: ``config → {term: factor in the total}``.
        optimizer: ``config →`` arguments of :func:`reidlib.train.train` that choose it.
        schedule: ``(config, images)``: length and learning rate of a run on so many training images.
        steps: ``config →`` training steps of a run; 0 for one that only evaluates what it starts from.
        tests: ``(config, dataset) →`` the tests of a trained network, the principal one first.
        protocols: ``config →`` names of those tests' protocols, known without the data.
        stage: ``config →`` a word for the run's kind, for probes.
        tiny: ``config →`` the same with batches of at most :data:`TOY_IMAGES` images.
        toy_labels: a row of codes for each of the probe's images.
        starts_from: ``config →`` the runs whose weights it begins with.
        learns_from: ``config →`` a configuration whose data's training rows it learns from.
        identity: ``config →`` which column of the labels matching is about, for a distance that is learnt.
        usable: which training rows can be learnt from, ``(config, rows) → rows``.
        augment: ``config → `` :data:`Augmentation`.
        beside: ``(config, training) → {name: [N, …]}``: what augmentation and objective must know of each training
            row beside its pixels and labels, such as masks; on the CPU, looked up with the images.
        toy_beside: ``config →`` the same for a probe's images.
        distance: ``(config, trained) →`` how test features are compared; None: by ``config.test_distance``.
        measures: ``(config, trained) → {test: {score: value}}`` beside what the tests' protocols score.
        exhibits: ``(config, trained) →`` what a record shows beside its retrieval lists.
        stream: ``config →`` what the draws of batches depend on beside seed and step.
        extra: ``config →`` further parts of a probe, by name.
        data: what is known of a configuration's data without reading pixels; refuses what they cannot give.
    """

    paper: str
    labels: Callable[[pd.DataFrame], Tensor]
    build: Callable[[Any, Mapping[str, Any], Sequence[Path]], nn.Module]
    draw: Callable[[Any, Tensor], Callable[[int, torch.Generator], Tensor]]
    batch_size: Callable[[Any], int]
    objective: Callable[[Any], Objective]
    weights: Callable[[Any], Mapping[str, float]]
    optimizer: Callable[[Any], Mapping[str, Any]]
    schedule: Callable[[Any, int], Schedule]
    steps: Callable[[Any], int]
    tests: Callable[[Any, Dataset], tuple[Test, ...]]
    protocols: Callable[[Any], tuple[str, ...]]
    stage: Callable[[Any], str]
    tiny: Callable[[Any], Any]
    toy_labels: tuple[tuple[int, ...], ...]
    starts_from: Callable[[Any], tuple[Any, ...]] = _none
    learns_from: Callable[[Any], Any] = _itself
    identity: Callable[[Any], int] = _first
    usable: Callable[[Any, pd.DataFrame], pd.DataFrame] = _all
    augment: Callable[[Any], Augmentation] = plain_augmentation
    beside: Callable[[Any, Training], Mapping[str, Tensor] | None] = _nothing
    toy_beside: Callable[[Any], Mapping[str, Tensor] | None] = _nothing
    distance: Callable[[Any, Trained], Distance | None] = _nothing
    measures: Callable[[Any, Trained], Mapping[str, Mapping[str, float]] | None] = _nothing
    exhibits: Callable[[Any, Trained], Mapping[str, Any] | None] = _nothing
    stream: Callable[[Any], Any] = _nothing
    extra: Callable[[Any], Mapping[str, list[float]] | None] = _nothing
    data: Callable[[Any], dict[str, Any]] = evaluate_run.data


def experiment(method: Method) -> Experiment:
    """A method as :mod:`reidpapers.run.runs` carries it out."""
    return Experiment(
        paper=method.paper,
        compute=partial(compute, method),
        starts_from=method.starts_from,
        steps=method.steps,
        data=method.data,
        prepare=partial(prepare, method),
        probe=partial(probe, method),
    )


def prepare(method: Method, config: Config, workers: int = 1, progress: bool = False) -> None:
    """Decode the images that a run learns from and those that it is tested on, if they are not in the cache."""
    for each in (method.learns_from(config), config):
        evaluate_run.prepare(each, workers, progress)


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
        made = network()
    for start in starts:
        state = torch.load(start, map_location="cpu", weights_only=True)
        for name, part in made.named_children():
            if name in state and (parts is None or name in parts):
                part.load_state_dict(state[name])
    return made.to(config.device)


def batches(
    method: Method,
    config: Config,
    source: Source,
    places: Tensor,
    labels: Tensor,
    beside: Mapping[str, Tensor] | None = None,
) -> Callable[[int], Batch]:
    """Batch number ``step`` of a run: what the sampler draws, augmented, with its labels.

    Args:
        method: whose sampler.
        config: its augmentation and seed.
        source: images ``[n, S, S, 3]`` by their places in a store.
        places: of the training images, ``[N]``.
        labels: their codes, ``[N, L]``.
        beside: what else is known of them, each ``[N, …]``.
    """
    draw, augment = method.draw(config, labels), method.augment(config)

    def batch(step: int) -> Batch:
        generator = sampler.generator(config.seed, method.stream(config), step)
        chosen = draw(step, generator).flatten()
        pixels = source(places[chosen])
        known = {name: values[chosen].to(pixels.device) for name, values in (beside or {}).items()}
        images = augment(pixels, known, generator)
        images, known = images if isinstance(images, tuple) else (images, known)
        return Batch(images, labels[chosen].to(pixels.device), known)

    return batch


def compute(method: Method, config: Config, space: Workspace) -> tuple[dict[str, Any], Any]:
    """Train and test one configuration: parts of its record, and the weights.

    Of several processes that train together only the main one tests; the others return nothing.
    """
    config = config.canonical()
    dataset, store = datasets.load(config.source), evaluate_run.prepare(config)
    network = method.build(config, method.data(method.learns_from(config)), space.starts)
    plan, log, seconds = _learn(method, config, network, space)
    if not parallel.is_main():
        return {}, None
    trained = Trained(config, network, dataset, store)
    images = (plan.iterations - log.resumed) * method.batch_size(config)  # of this sitting, as the seconds are
    column = method.identity(config)
    distance = method.distance(config, trained)
    if distance is None:
        distance = evaluate_run.distance(trained, lambda rows: method.labels(rows)[:, column])
    parts = evaluate_run.assess(trained, method.tests(config, dataset), distance)
    measured, shown = method.measures(config, trained) or {}, method.exhibits(config, trained) or {}
    parts = {
        **parts,
        "tests": {**parts["tests"], **measured},
        "exhibits": {**parts["exhibits"], **shown},
        "history": evaluate_run.history(log, plan),
        "cost": evaluate_run.cost(network, config, images, seconds, plan.iterations),
        "device": evaluate_run.device_fields(config.device),
    }
    return parts, {name: child.state_dict() for name, child in network.named_children()}


def _learn(method: Method, config: Config, network: nn.Module, space: Workspace) -> tuple[Schedule, History, float]:
    """Train a network in place; its schedule, what happened, and seconds."""
    learnt = method.learns_from(config)
    dataset, store = datasets.load(learnt.source), evaluate_run.prepare(learnt)
    rows = method.usable(config, dataset.manifest.rows("train"))
    plan = method.schedule(config, len(rows))
    beside = method.beside(config, Training(dataset, rows, store, space.starts)) if plan.iterations else None
    source, places = store.resident(config.device), store.places(rows)
    feed = batches(method, config, source, places, method.labels(rows), beside)
    begun = time.perf_counter()
    with parallel.spread(network):
        log = train(
            network, method.objective(config), method.weights(config), feed, plan, **method.optimizer(config),
            seed=config.seed, precision=config.precision, checkpoint=space.checkpoint, progress=space.progress,
            watch=parallel.average if parallel.processes() > 1 else None,
        )  # fmt: skip
    return plan, log, time.perf_counter() - begun


def probe(method: Method, config: Config, data: Mapping[str, Any]) -> dict[str, list[float]]:
    """What the code does with a configuration, in seconds: three steps of each stage on eight synthetic images."""
    config = config.canonical().but(device="cpu", precision="float32", pretrained=False, weights=None)
    found = {"scores": evaluate_run.toy_scores(method.protocols(config)[0], config.test_distance)}
    for protocol in method.protocols(config)[1:]:
        found[f"scores {protocol}"] = evaluate_run.toy_scores(protocol, config.test_distance)
    pixels, labels = evaluate_run.toy_images(TOY_IMAGES, config.image_size), torch.tensor(method.toy_labels)
    for stage in (*method.starts_from(config), config):
        if not method.steps(stage):
            continue  # it trains nothing
        kind, tiny = method.stage(stage), method.tiny(stage)
        plan = method.schedule(stage, 10_000)
        found[f"{kind} rate"] = [plan(step * plan.iterations // 20) for step in range(20)]
        network, norms = method.build(tiny, data, ()), evaluate_run.GradientNorms()
        places, beside = torch.arange(TOY_IMAGES), method.toy_beside(tiny)
        feed = batches(method, tiny, lambda places: pixels[places], places, labels, beside)
        log = train(
            network, method.objective(tiny), method.weights(tiny), feed, replace(plan, iterations=runs.STEPS),
            **method.optimizer(stage), seed=stage.seed, watch=norms,
        )  # fmt: skip
        found[f"{kind} loss"] = log.table().flatten().tolist()
        found[f"{kind} gradient"] = norms.values
        found[f"{kind} features"] = evaluate_run.toy_features(method.build(tiny, data, ()), pixels)
    return found | dict(method.extra(config) or {})
