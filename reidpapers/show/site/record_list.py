"""A paper's records to read: each row's runs with scores, configuration, curves and provenance, a file to download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reidpapers.run.records import Record
from reidpapers.show import ran
from reidpapers.show.claims import metric_name
from reidpapers.show.site.gather import Paper

POINTS = 40  # of a curve
WIDE, HIGH = 240, 44  # its picture, in its own units
SHOWN = ("mAP", "top1", "top5", "accuracy", "purity")


def cards(paper: Paper) -> list[dict[str, Any]]:
    """What is shown of the runs of each row, one a seed; rows that are the same runs share a card."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for row, records in paper.found.items():
        rows.setdefault(tuple(record.key for record in records), []).append(row)
    by_key, shown = {record.key: record for record in paper.records}, set[str]()
    for keys in sorted(filter(None, rows), key=len, reverse=True):  # a row of fewer seeds may be part of another
        if not shown.issuperset(keys):
            shown |= set(keys)
        else:
            whole = next(other for other in rows if len(other) > len(keys) and set(other) & set(keys))
            rows[whole] += rows.pop(keys)
    return [_card([by_key[key] for key in keys], names, paper.usual) for keys, names in rows.items() if keys]


def _card(records: Sequence[Record], rows: Sequence[str], usual: Mapping[str, Any]) -> dict[str, Any]:
    first = records[0]
    configuration = {name: value for name, value in first.config.items() if name != "seed"}
    changed = {name: value for name, value in configuration.items() if name in usual and usual[name] != value}
    scores = [dict(_scores(record)) for record in records]
    return {
        "records": [(record, list(values.values())) for record, values in zip(records, scores, strict=True)],
        "rows": [ran.named(row, records) for row in rows], "first": first, "scores": list(scores[0]),
        "changed": changed,
        "unchanged": {name: value for name, value in configuration.items() if name not in changed},
        "curves": [(term, *_curve(first.history[term])) for term in first.history if term not in ("iteration", "rate")],
        "versions": ", ".join(f"{name} {number}" for name, number in first.versions.items()),
    }  # fmt: skip


def _scores(record: Record) -> Iterator[tuple[str, str]]:
    """Each score's name and value in percent; of every test where there are several."""
    for test, scores in (record.tests or {"": record.scores}).items():
        for name in (name for name in SHOWN if name in scores):
            yield metric_name(f"{test} {name}".strip()), f"{100 * scores[name]:.1f}"


def _curve(values: Sequence[float]) -> tuple[str, str, str]:
    """A loss term over the steps: the points of its line, and its first and last value as text."""
    values = np.asarray(values, dtype=float)
    if not len(values) or not np.isfinite(values).all():
        return "", "–", "–"
    chosen = np.unique(np.linspace(0, len(values) - 1, POINTS).astype(int))
    low, span = values.min(), np.ptp(values) or 1.0
    across, down = chosen / max(1, len(values) - 1) * WIDE, (1 - (values[chosen] - low) / span) * (HIGH - 4) + 2
    points = " ".join(f"{x:.0f},{y:.0f}" for x, y in zip(across, down, strict=True))
    return points, f"{values[0]:.3g}", f"{values[-1]:.3g}"
