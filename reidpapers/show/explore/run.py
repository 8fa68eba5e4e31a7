"""A run at hand: its record, and, where its weights are in the user's cache, its network and the features it gives.

A record keeps scores and a dozen retrieval lists, which any machine can show. Whatever else an explorer asks needs the
trained network. Weights lie in the user's cache, where the run was computed, and are never made up: where there are
none, an explorer shows what the record keeps and offers to train this very run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.images import ImageStore
from reidlib.data.manifest import Test
from reidlib.evaluate import protocols
from reidpapers.run import datasets, runs, training
from reidpapers.run.base import Paper
from reidpapers.run.config import Config
from reidpapers.run.evaluate_run import Trained
from reidpapers.run.records import Record

RATE = {"cpu": 2e10, "cuda": 2e12}  # FLOPs a second of a forward pass, for an estimate


@dataclass(frozen=True)
class Tested:
    """What the principal test of a run compares.

    Attributes:
        test: which.
        table: the manifest rows that it needs, queries and gallery.
        features: theirs, ``[N, D]``.
        distance: how they are compared.
    """

    test: Test
    table: pd.DataFrame
    features: Tensor
    distance: protocols.Distance


class Run:
    """One configuration and seed as explorers use it; nothing is loaded or embedded before it is asked for.

    Args:
        paper: whose run.
        config: the run's, but for its seed, which is the record's.
        record: the run's.
        store: images of its dataset.
    """

    def __init__(self, paper: Paper, config: Config, record: Record, store: ImageStore) -> None:
        self.paper = paper
        self.config = config.but(seed=record.seed).canonical()
        self.record, self.store = record, store
        self.waiting: list[Callable[[], None]] = []  # what is told when the weights have come

    @property
    def weights(self) -> Path | None:
        """The file of its trained weights; None where it was not computed here, or by other code."""
        return runs.kept_weights(self.config, self.paper)

    @property
    def seconds(self) -> float:
        """How long training took where the record was made, with the runs that must be there before it."""
        missing = [one for one in self._before(self.config) if not runs.kept_weights(one, self.paper)]
        found = [runs.lookup(one, self.paper) for one in missing]
        return sum(float(one.cost["seconds"]) for one in (self.record, *found) if one)

    @property
    def wait(self) -> float:
        """About how many seconds the features of the principal test take."""
        rows = datasets.load(self.config.source).manifest.rows("query", "gallery")
        return len(rows) * float(self.record.cost["flops"]) / RATE[self.config.device]

    @property
    def steps(self) -> int:
        """Training steps of the run itself."""
        return self.paper.steps(self.config)

    def train(self, workers: int = 1, progress: Callable[[int], None] = lambda steps: None) -> None:
        """Compute the run where its weights are missing; stopped in the middle, it goes on from there the next time."""
        for each in (*self._before(self.config), self.config):
            self.paper.prepare(each, workers, False)
        runs.weights(self.config, self.paper, progress=progress)
        for told in list(self.waiting):
            told()

    @cached_property
    def trained(self) -> Trained:
        """The trained network and its data.

        Raises:
            FileNotFoundError: the weights are not in the user's cache.
        """
        if self.weights is None:
            raise FileNotFoundError("the weights of this run are not in the user's cache: train it first")
        return training.restored(self.paper, self.config, self.weights)

    @cached_property
    def tests(self) -> tuple[Test, ...]:
        """Its tests, the principal one first; none of a network that matches nothing."""
        return self.paper.tests(self.config, datasets.load(self.config.source))

    @property
    def test(self) -> Test | None:
        """The principal test; None where the run has none, or one of pairs, which retrieves nothing."""
        return self.tests[0] if self.tests and protocols.PROTOCOLS[self.tests[0].protocol].tasks else None

    @cached_property
    def tested(self) -> Tested:
        """Features of the principal test's images, embedded once."""
        test, manifest = self.test, self.trained.dataset.manifest
        table = manifest.rows(*protocols.needs(test))
        table = table[protocols.needed(test, table)].reset_index(drop=True)
        distance = self.paper.distance(self.config, self.trained)
        return Tested(test, table, self.trained.embed(table).features, distance)

    @cached_property
    def seen(self) -> tuple[pd.DataFrame, Tensor]:
        """Rows of the test images, each picture once whatever files hold it, and their features."""
        if self.test is None:
            rows = self.trained.dataset.manifest.rows("gallery", "query")
            rows = rows[self._once(rows)]
            return rows.reset_index(drop=True), self.trained.embed(rows).features
        once = self._once(self.tested.table)
        return self.tested.table[once].reset_index(drop=True), self.tested.features[torch.as_tensor(once)]

    def _once(self, rows: pd.DataFrame) -> np.ndarray:
        """Which rows show a picture for the first time, ``[N]``: a query may have a copy in the gallery."""
        return ~pd.Index(self.store.same_pictures(rows)).duplicated()

    @cached_property
    def learnt(self) -> tuple[pd.DataFrame, Tensor]:
        """Rows of the training images of the data that it is tested on, and their features."""
        rows = self.trained.dataset.manifest.rows("train")
        rows = self.paper.usable(self.config, rows).reset_index(drop=True)
        return rows, self.trained.embed(rows).features

    def _before(self, config: Any) -> tuple[Any, ...]:
        """The runs that a run starts from, with those that they start from, first things first; each once."""
        found = [one for start in self.paper.starts_from(config) for one in (*self._before(start), start)]
        return tuple(dict.fromkeys(found))


def known(rows: pd.DataFrame, *columns: str) -> list[str]:
    """Which label columns the rows have at all."""
    return [column for column in columns if column in rows and rows[column].notna().any()]


def described(row: pd.Series) -> str:
    """An image in words: vehicle, camera, colour and type, as far as they are known."""
    parts = [f"vehicle {row['vehicle_id']}"]
    parts += [str(row["camera_id"])] if pd.notna(row["camera_id"]) else []
    looks = " ".join(str(row[name]) for name in ("color", "type") if pd.notna(row[name]))
    return ", ".join([*parts, looks] if looks else parts)


def percent(value: float) -> str:
    """A fraction in percent, one decimal; "–" where there is none."""
    return "–" if value is None or np.isnan(value) else f"{100 * value:.1f}%"
