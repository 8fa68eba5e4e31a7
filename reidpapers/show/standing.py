"""Where features stand in a world, read: what is reached there by who has learnt nothing, or knows labels by heart.

:mod:`reidpapers.standing` computes the rows; a run is held against those of its own world.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from reidpapers.run.provenance import CHECKOUT
from reidpapers.run.records import Record

FOLDER = CHECKOUT / "results" / "worlds"
START, KIND = "ImageNet features", "model and colour"  # rows that gates look at
HISTOGRAM = "colour histogram"


def path_of(preset: str, world: int) -> Path:
    """Where a world's rows are."""
    return FOLDER / f"{preset}-{world}.json"


def of(record: Record) -> Mapping[str, float]:
    """The rows of a record's world by name, mAP in points by VeRi-776's rule; empty where it was not looked over."""
    return _rows().get(record.data["digest"], {})


def means(records: Sequence[Record]) -> dict[str, float]:
    """The rows of some records' worlds, in the mean over those that were looked over."""
    found = [rows for rows in map(of, {record.data["digest"]: record for record in records}.values()) if rows]
    return {name: sum(rows[name] for rows in found) / len(found) for name in (found[0] if found else ())}


@cache
def _rows() -> dict[str, dict[str, float]]:
    """By the digest of the data."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        world = json.loads(path.read_text(encoding="utf-8"))
        found[world["digest"]] = {name: 100 * scores["mAP"] for name, scores in world["rows"].items()}
    return found
