"""A paper as a class: what it is called, and what its runs are made of.

A paper's ``paper.py`` derives a class from :class:`Paper`, overrides the hooks in which it differs, and ends with
``PAPER = <its class>()``. How a run is then carried out, probed and recorded is the same for all:
:mod:`reidpapers.run.training`, :mod:`reidpapers.run.probe`, :mod:`reidpapers.run.runs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pandas as pd
import torch
from torch import Tensor, nn

from reidlib.augment import Augment
from reidlib.data.manifest import Dataset, Test
from reidlib.evaluate.protocols import Distance
from reidlib.train import Schedule
from reidpapers.run import datasets, evaluate_run, probe, training
from reidpapers.run.config import Config, ConfigError
from reidpapers.run.evaluate_run import Trained
from reidpapers.run.scorable import unscorable
from reidpapers.run.training import Augmentation, Batch, Training, Workspace


@dataclass(frozen=True)
class Need:
    """Labels without which a run means nothing.

    Attributes:
        column: of the manifest.
        why: what needs it, as an option that the reader can change: ``branches = 'all'``.
        instead: what does without it.
        splits: where it must be known.
        values: at least so many different ones.
        everywhere: for every row of the splits, not only for some.
    """

    column: str
    why: str
    instead: str
    splits: tuple[str, ...] = ("train",)
    values: int = 1
    everywhere: bool = False

    def unmet(self, dataset: Dataset) -> bool:
        """Whether a dataset lacks it."""
        labels = dataset.manifest.rows(*self.splits)[self.column]
        return labels.nunique() < self.values or (self.everywhere and bool(labels.isna().any()))


class Paper:
    """One paper's runs; every hook takes a configuration first, unless its labels alone matter.

    Attributes:
        Config: its configuration class.
        short, title: what it is called, and the publication's title.
        citation: authors, place and year; empty for what is no publication.
        summary: what it is about, a paragraph.
        place: where it stands among the papers on the site.
        toy_labels: a row of label codes for each of a probe's :data:`reidpapers.run.probe.TOY_IMAGES` images.
    """

    Config: ClassVar[type[Config]]
    short: ClassVar[str]
    title: ClassVar[str]
    citation: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    place: ClassVar[int] = 99
    toy_labels: ClassVar[tuple[tuple[int, ...], ...]]

    def __reduce__(self) -> tuple:
        return _of_module, (type(self).__module__,)  # a process is handed the paper's name, not its code

    @property
    def name(self) -> str:
        """The name of its folder, by which commands call it."""
        return type(self).__module__.split(".")[-2]

    @cached_property
    def tables(self) -> ModuleType:
        """What it prints and claims, see ``tables.py`` in its folder; no part of what makes its records."""
        return import_module(type(self).__module__.rpartition(".")[0] + ".tables")

    # --- data

    def labels(self, rows: pd.DataFrame) -> Tensor:
        """Codes ``[N, L]`` of manifest rows, −1 where missing."""
        raise NotImplementedError

    def identity(self, config: Any) -> int:
        """Which column of the labels matching is about."""
        del config
        return 0

    def learns_from(self, config: Any) -> Config:
        """A configuration whose data's training rows a run learns from."""
        return config

    def usable(self, config: Any, rows: pd.DataFrame) -> pd.DataFrame:
        """The training rows that can be learnt from."""
        del config
        return rows

    def needs(self, config: Any) -> Sequence[Need]:
        """Labels that the data must have."""
        del config
        return ()

    def classes(self, config: Any) -> Mapping[str, Any]:
        """What the network is built for beside the data's numbers of vehicles and models."""
        del config
        return {}

    def data(self, config: Any) -> dict[str, Any]:
        """What a run and its record know of the data without reading pixels: name, digest, counts, classes.

        Raises:
            ConfigError: the data cannot give what the configuration asks for.
        """
        asked = (config, self.learns_from(config)) if isinstance(config, self.Config) else (config,)  # or data alone
        state = {datasets.load(one.source).digest for one in asked}
        return dict(_data(self, config.model_copy(update={"seed": 0}), frozenset(state)))

    def check(self, config: Any) -> None:
        """Refuse data that lack what a run needs, before anything is computed.

        Raises:
            ConfigError: the first label that is missing, what needs it, and what does without it.
        """
        dataset = datasets.load(config.source)
        for need in self.needs(config):
            if need.unmet(dataset):
                some = "lacks" if need.values < 2 else f"has fewer than {need.values} values of"
                rows = " and ".join({"train": "training"}.get(split, split) for split in need.splits)
                raise ConfigError(
                    f"{need.why} is refused: {dataset.manifest.name} {some} {need.column!r} "
                    f"{'for some of' if need.everywhere else 'in'} its {rows} images; {need.instead}"
                )

    def check_batches(self, config: Any) -> None:
        """Refuse a batch that cannot be drawn from the training images, such as one larger than their number.

        Raises:
            ConfigError: which run, and what its sampler says of what is allowed.
        """
        manifest = datasets.load(self.learns_from(config).source).manifest
        rows = self.usable(config, manifest.rows("train"))
        try:
            self.draw(config, self.labels(rows))
        except ValueError as error:
            raise ConfigError(f"{self.stage(config)} on {manifest.name} is refused: {error}") from error

    # --- what is run

    def starts_from(self, config: Any) -> tuple[Any, ...]:
        """The runs whose weights a run begins with: none, one, or the members of an ensemble."""
        del config
        return ()

    def stage(self, config: Any) -> str:
        """A word for the kind of a run, by which its probe calls it."""
        del config
        return "training"

    def stream(self, config: Any) -> Any:
        """What the draws of batches depend on beside seed and step: variants that share a stream see equal batches."""
        del config

    def steps(self, config: Any) -> int:
        """Training steps of a run; 0 for one that only evaluates what it starts from."""
        raise NotImplementedError

    def length(self, config: Any, steps: str) -> int:
        """Steps that a field counts; or as many as its epochs take, each as many different images as there are."""
        if not (epochs := getattr(config, config.EPOCHS[steps])):
            return getattr(config, steps)
        images = _training_images(self, config.model_copy(update={"seed": 0}))
        return max(1, round(epochs * images / self.distinct(config)))

    def batch_size(self, config: Any) -> int:
        """Images a step."""
        raise NotImplementedError

    def distinct(self, config: Any) -> int:
        """Different images a step, as far as its sampler shows some twice: what epochs and budgets count."""
        return self.batch_size(config)

    def tiny(self, config: Any) -> Any:
        """The same run with at most eight images a step, for probes."""
        raise NotImplementedError

    # --- training

    def network(self, config: Any, data: Mapping[str, Any]) -> nn.Module:
        """A new network for the classes that :meth:`data` counts."""
        raise NotImplementedError

    def build(self, config: Any, data: Mapping[str, Any], starts: Sequence[Path] = ()) -> nn.Module:
        """The network with the seed's initial weights or, part by part, those of the runs that it starts from."""
        return training.build(lambda: self.network(config, data), config, starts)

    def draw(self, config: Any, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """Which images meet in a batch: ``(step, generator) → indices``, see :mod:`reidlib.sampler`."""
        raise NotImplementedError

    def augment(self, config: Any) -> Augmentation:
        """Crop, rotation, brightness and mirror, as every configuration has them."""
        augment = Augment(crop=config.crop, rotation=config.rotation, brightness=config.brightness, flip=config.flip)
        return lambda images, side_inputs, generator: augment(images, generator)

    def side_inputs(self, config: Any, training: Training) -> Mapping[str, Tensor]:
        """What augmentation and objective use of each training row beside pixels and labels: CPU, ``[N, …]`` each."""
        del config, training
        return {}

    def toy_side_inputs(self, config: Any) -> Mapping[str, Tensor]:
        """The same for a probe's images."""
        del config
        return {}

    def objective(self, config: Any, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss term by term, unweighted."""
        raise NotImplementedError

    def term_weights(self, config: Any) -> Mapping[str, float]:
        """Factor of each term in the total."""
        raise NotImplementedError

    def optimizer(self, config: Any) -> Mapping[str, Any]:
        """Arguments of :func:`reidlib.train.train` that choose it."""
        raise NotImplementedError

    def schedule(self, config: Any, images: int) -> Schedule:
        """Length and learning rate of a run on so many training images."""
        raise NotImplementedError

    # --- evaluation

    def tests(self, config: Any, dataset: Dataset) -> tuple[Test, ...]:
        """The tests of a trained network, the principal one first; none for a network that matches nothing."""
        del config
        return dataset.tests

    def tests_by_labels(self, config: Any, dataset: Dataset) -> tuple[Test, ...]:
        """Those of the tests that labels alone tell: they are looked at before anything is computed."""
        return self.tests(config, dataset)

    def protocols(self, config: Any) -> tuple[str, ...]:
        """The protocols of these tests, known without the data."""
        return (datasets.PROTOCOLS[config.dataset],)

    def distance(self, config: Any, trained: Trained) -> Distance:
        """How test features are compared: as ``config.test_distance`` says, unless a paper has a way of its own."""
        column = self.identity(config)
        usable = partial(self.usable, config)
        return evaluate_run.distance(trained, usable, lambda rows: self.labels(rows)[:, column])

    def measures(self, config: Any, trained: Trained) -> Mapping[str, Mapping[str, float]]:
        """Scores beside those of the tests' protocols: ``{test: {score: value}}``."""
        del config, trained
        return {}

    def classifiers(self, config: Any) -> Mapping[str, int]:
        """The classifiers that a run trains, by name, each with the column of the labels that it tells."""
        del config
        return {}

    def logits(self, config: Any, network: Any, images: Tensor) -> Mapping[str, Tensor]:
        """What they say of images: ``[N, 3, S, S]`` → ``[N, C]`` each."""
        raise NotImplementedError

    def levels(self, config: Any, labels: Tensor) -> Mapping[str, float]:
        """The value of loss terms, unweighted, where a network tells nothing apart: all features or guesses are one.

        Args:
            config: which run.
            labels: of its training rows, ``[N, L]``.
        """
        del config, labels
        return {}

    def exhibits(self, config: Any) -> Mapping[str, Callable[[Trained], Any]]:
        """What a record shows beside its retrieval lists: makers by name; what a record lacks is made later."""
        del config
        return {}

    def extra_probe(self, config: Any) -> Mapping[str, list[float]]:
        """Further parts of a probe: what three steps on eight images may not reach."""
        del config
        return {}

    # --- how a run is carried out; only what runs other papers' methods overrides these

    def prepare(self, config: Any, workers: int = 1, progress: bool = False) -> None:
        """Decode the images that a run learns from and is tested on, where they are not in the user's cache."""
        training.prepare(self, config, workers, progress)

    def compute(self, config: Any, space: Workspace) -> tuple[dict[str, Any], Any]:
        """Train and test: parts of the record, and the weights."""
        return training.compute(self, config, space)

    def complete(self, config: Any, weights: Path, exhibits: Sequence[str]) -> dict[str, Any]:
        """Exhibits by name, made from a run's kept weights, without training."""
        return training.complete(self, config, weights, exhibits)

    def probe(self, config: Any, data: Mapping[str, Any], nudge: int = 0) -> dict[str, list[float]]:
        """A fingerprint of what the code does with a configuration: seconds; see :mod:`reidpapers.run.probe`."""
        return probe.probe(self, config, data, nudge)


def _of_module(module: str) -> Paper:
    """The paper that a module defines."""
    return import_module(module).PAPER


@lru_cache(maxsize=1024)
def _training_images(paper: Paper, config: Config) -> int:
    """Images that a run learns from."""
    rows = datasets.load(paper.learns_from(config).source).manifest.rows("train")
    return len(paper.usable(config, rows))


@lru_cache(maxsize=1024)  # a grid asks again and again
def _data(paper: Paper, config: Config, digests: frozenset[str]) -> dict[str, Any]:
    """What :meth:`Paper.data` gives, looked at once a process, and again when the data are others."""
    del digests
    paper.check(config)
    _refuse_unscorable(paper, config)
    return evaluate_run.data(config) | paper.classes(config)


_unscorable: dict[str, list[str]] = {}  # by the digest of data and tests


def _refuse_unscorable(paper: Paper, config: Config) -> None:
    """Stop where tests have no score whatever is learnt, as their labels tell."""
    dataset = datasets.load(config.source)
    tested = replace(dataset, tests=paper.tests_by_labels(config, dataset))
    if tested.digest not in _unscorable:
        _unscorable[tested.digest] = unscorable(tested)
    if problems := _unscorable[tested.digest]:
        raise ConfigError(f"{dataset.manifest.name} is refused, as it cannot be scored: {'; '.join(problems)}")
