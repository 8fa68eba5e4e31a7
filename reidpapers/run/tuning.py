"""Tuning alike: each method's learning rate, and what its paper leaves open, chosen in worlds that no verdict uses.

Every arm of a paper gets as many trials as any other, over a grid that its ``tables.py`` names, in the worlds
:data:`WORLDS` of profile ``study``; :mod:`reidpapers.tune` runs them and writes ``trials.csv`` beside the paper's code,
all of them, whichever lost. The setting with the best mean mAP by VeRi-776's rule is what the row has from then on
wherever profile ``study`` leaves it open. A constant that the paper prints is never tuned.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from statistics import fmean
from typing import TYPE_CHECKING, Any

from reidpapers.run.papers import FOLDER, load

if TYPE_CHECKING:
    from reidpapers.run.config import Config

WORLDS = (100, 101)  # data seeds; replicates have small ones
PROFILE = "study"
COLUMNS = ("row", "setting", "world", "mAP", "record")


@dataclass(frozen=True)
class Arm:
    """A row whose options are tuned.

    Attributes:
        row: its name.
        grid: the values that each option is tried with; all combinations are.
        rows: the rows that take its best setting over; itself alone, if there are none.
        shared: whether it is what the other arms start from, and so no rival of theirs.
    """

    row: str
    grid: Mapping[str, Sequence[Any]]
    rows: tuple[str, ...] = ()
    shared: bool = False

    def settings(self) -> list[dict[str, Any]]:
        """Every combination."""
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]

    def has(self, trial: Trial) -> bool:
        """Whether a trial is of this grid: one made before the grid was moved stays published and counts no more."""
        return trial.row == self.row and trial.setting in self.settings()


@dataclass(frozen=True)
class Trial:
    """One run of an arm.

    Attributes:
        row: the arm's.
        setting: its options.
        world: where it was tried.
        score: mAP by VeRi-776's rule, in points.
        record: the run's name.
    """

    row: str
    setting: Mapping[str, Any]
    world: int
    score: float
    record: str


def tuned(paper: str, row: str) -> dict[str, Any]:
    """What a row of a paper was tuned to: empty where it was not."""
    return dict(chosen(paper).get(row, {}))


@cache
def trials(paper: str) -> tuple[Trial, ...]:
    """All trials of a paper's arms, as its ``trials.csv`` has them."""
    path = FOLDER / paper / "trials.csv"
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            Trial(line["row"], json.loads(line["setting"]), int(line["world"]), float(line["mAP"]), line["record"])
            for line in csv.DictReader(file)
        )


def best(found: Sequence[Trial]) -> dict[str, Any]:
    """The setting with the highest mean score over worlds, of those that were tried in all of them."""
    scores: dict[str, list[float]] = defaultdict(list)
    for trial in found:
        scores[json.dumps(trial.setting, sort_keys=True)].append(trial.score)
    most = max(map(len, scores.values()))
    whole = {setting: fmean(values) for setting, values in scores.items() if len(values) == most}
    return json.loads(max(whole, key=lambda setting: whole[setting]))


@cache
def chosen(paper: str) -> dict[str, dict[str, Any]]:
    """The best setting of each row that takes one over; of a row that two arms name, those of both."""
    rows: dict[str, dict[str, Any]] = defaultdict(dict)
    for arm in getattr(load(paper).tables, "ARMS", ()):
        found = [trial for trial in trials(paper) if arm.has(trial)]
        if len(found) == len(arm.settings()) * len(WORLDS):
            for row in arm.rows or (arm.row,):
                rows[row] |= best(found)
    return dict(rows)


def applied(base: Config, row: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A row's changes to a base configuration, with what it was tuned to where caller and row leave that open."""
    if base.profile != PROFILE:
        return dict(changes)
    given = base.given()
    tuned_to = tuned(type(base).__module__.split(".")[-2], row)
    return {**{name: value for name, value in tuned_to.items() if name not in given}, **changes}
