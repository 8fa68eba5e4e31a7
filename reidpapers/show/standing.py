"""Where features stand in a world, read: what is reached there by who has learnt nothing, or knows labels by heart.

:mod:`reidpapers.standing` computes the rows; a run is held against those of its own world.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from reidpapers.run import datasets
from reidpapers.run.datasets import DataSource
from reidpapers.run.provenance import CHECKOUT
from reidpapers.run.records import Record
from reidpapers.show.claims import score
from reidpapers.vehicles.simulated import SUFFIX

FOLDER = CHECKOUT / "results" / "worlds"
START, KIND = "ImageNet features", "model and colour"  # rows that gates look at
HISTOGRAM = "colour histogram"
NAMES: Mapping[str, str] = {
    HISTOGRAM: "Colour histogram", START: "ImageNet features as they are",
    "colour and type": "Knowing colour and type", KIND: "Knowing model and colour, ties by chance",
    "ideal observer": "The ideal observer, who knows all marks that are seen",
}  # fmt: skip
ROUNDING = 1e-3  # points, by which two scores of one rule may differ in a record


def path_of(preset: str, world: int) -> Path:
    """Where a world's rows are."""
    return FOLDER / f"{preset}-{world}.json"


def of(record: Record) -> dict[str, float]:
    """The rows of a record's world by name, mAP in points by VeRi-776's rule; empty where it was not looked over."""
    return {name: scores["mAP"] for name, scores in _scores(record).items()}


def means(records: Sequence[Record]) -> dict[str, float]:
    """The rows of some records' worlds, in the mean over those that were looked over."""
    return {name: scores["mAP"] for name, scores in _means(records).items()}


@dataclass(frozen=True)
class Reference:
    """A row that stands above a table's own, since nothing of it is learnt there.

    Attributes:
        name: what it is.
        cells: its score in each column of the table, as text.
        words: its scores in words, where none of the table's columns is by its rule.
        worlds: over how many.
    """

    name: str
    cells: tuple[str, ...]
    words: str
    worlds: int


def references(records: Sequence[Record], columns: Sequence[str]) -> list[Reference]:
    """What a table's rows are to be held against: one row for each of :data:`NAMES`; none where no world is known.

    A column is by VeRi-776's rule, as these scores are, where a record's score in it is what its fit says of that rule.

    Args:
        records: of all the table's rows.
        columns: its metrics.
    """
    records = [record for record in records if "worlds" in record.data]
    found, alike = _means(records), [_by_this_rule(records, column) for column in columns]
    worlds = len({record.data["digest"] for record in records if _scores(record)})
    rows = []
    for name in filter(found.__contains__, NAMES):
        cells = tuple(f"{found[name][measure]:.1f}" if measure else "–" for measure in alike)
        words = "mAP {mAP:.1f}, Top-1 {top1:.1f}, by VeRi-776's rule".format(**found[name])
        rows.append(Reference(NAMES[name], cells, "" if any(alike) else words, worlds))
    return rows


def _by_this_rule(records: Sequence[Record], column: str) -> str:
    """The measure that a column shows of all test images by VeRi-776's rule; empty where it shows something else."""
    measure = column.rpartition(" ")[2]
    if measure not in ("mAP", "top1"):
        return ""
    pairs = [(score(record, column), record.fit["whole"][measure]) for record in records
             if measure in record.fit.get("whole", {}) and measure in _part(record, column)]  # fmt: skip
    return measure if any(abs(own - 100 * whole) < ROUNDING for own, whole in pairs) else ""


def _part(record: Record, column: str) -> Mapping[str, Any]:
    """The scores of the test that a column is of."""
    test = column.rpartition(" ")[0]
    return record.tests.get(test, {}) if test else record.scores


def _means(records: Sequence[Record]) -> dict[str, dict[str, float]]:
    found = [rows for rows in map(_scores, {record.data["digest"]: record for record in records}.values()) if rows]
    return {name: {measure: fmean(rows[name][measure] for rows in found) for measure in ("mAP", "top1")}
            for name in (found[0] if found else ())}  # fmt: skip


def _scores(record: Record) -> Mapping[str, Mapping[str, float]]:
    """The rows of a record's world by name, ``mAP`` and ``top1`` in points."""
    rows = _rows(FOLDER)
    street, simulated, _ = str(record.config.get("preset", "")).partition(SUFFIX)
    if simulated and path_of(street, seed := record.config["data_seed"]).is_file():
        return rows.get(_street(street, seed), {})
    return rows.get(record.data["digest"], {})


@cache
def _street(preset: str, seed: int) -> str:
    """The digest of a world without the simulated vehicles, which join in training and are never tested."""
    return datasets.load(DataSource("rendered", preset=preset, seed=seed)).digest


@cache
def _rows(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """By the digest of the data."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        world = json.loads(path.read_text(encoding="utf-8"))
        found[world["digest"]] = {name: {measure: 100 * scores[measure] for measure in ("mAP", "top1")}
                                  for name, scores in world["rows"].items()}  # fmt: skip
    return found
