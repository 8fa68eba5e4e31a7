"""The query, gallery and junk rules of each benchmark: from features and manifest rows to scores.

A protocol turns a table of manifest rows into tasks: which rows query which, and which answers count. Most have one
task; those that draw a random gallery several times have as many as they draw, and their scores are averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from reidlib import metrics
from reidlib.metrics import Relevance, Scores

DISTANCES = {"euclidean": metrics.euclidean, "cosine": metrics.cosine}


@dataclass(frozen=True)
class Task:
    """One evaluation: positions of the query and gallery rows in the table, and what is relevant to what."""

    query: np.ndarray
    gallery: np.ndarray
    relevance: Relevance


@dataclass(frozen=True)
class Protocol:
    """How a benchmark's authors score it.

    Attributes:
        name: its key in :data:`PROTOCOLS`.
        title: for tables and axes.
        source: where the rule comes from.
        splits: the manifest's splits whose rows must be embedded.
        metrics: what its tables report: ``mAP`` or ``top<k>``.
        tasks: from the rows' table to the tasks.
    """

    name: str
    title: str
    source: str
    splits: tuple[str, ...]
    metrics: tuple[str, ...]
    tasks: Callable[[pd.DataFrame], list[Task]]


def evaluate(
    protocol: str, features: Tensor, table: pd.DataFrame, *, distance: str = "euclidean", ties: str = "pessimistic"
) -> Scores:
    """Scores of embedded images under a protocol.

    Args:
        protocol: a name in :data:`PROTOCOLS`.
        features: float32 or float64 ``[N, D]``, on any device.
        table: the manifest rows of these features, in the same order; splits the protocol does not use are left out.
        distance: ``"euclidean"`` or ``"cosine"``.
        ties: ``"pessimistic"`` or ``"sklearn"``, see :mod:`reidlib.metrics`.

    Returns:
        The scores; under a protocol of several draws their means, with the per-query results of the first.

    Raises:
        ValueError: an unknown name; features and rows of different number; no query or gallery rows; a label is missing
            that the rule needs; features not finite; no query has a match.
    """
    tasks = _tasks(protocol, features, table)
    results = [metrics.score(_distances(task, features, distance), task.relevance, ties=ties) for task in tasks]
    if len(results) == 1:
        return results[0]
    mean_ap, cmc = np.mean([scores.mAP for scores in results]), np.mean([scores.cmc for scores in results], axis=0)
    return Scores(float(mean_ap), cmc, results[0].ap, results[0].first, results[0].unmatched)


def splits(protocol: str) -> tuple[str, ...]:
    """The splits whose rows must be embedded for a protocol.

    Example:
        >>> splits("veri")
        ('query', 'gallery')
    """
    return _protocol(protocol).splits


def retrieval(
    protocol: str,
    features: Tensor,
    table: pd.DataFrame,
    queries: np.ndarray,
    *,
    distance: str = "euclidean",
    k: int = 10,
) -> list[dict]:
    """What a few queries find, in the form that records keep: the first task's nearest items, junk left out.

    Args:
        protocol: a name in :data:`PROTOCOLS`.
        features: see :func:`evaluate`.
        table: see :func:`evaluate`.
        queries: which queries, counted among the query rows as in ``Scores.ap``.
        distance: see :func:`evaluate`; Euclidean distances are given with their root.
        k: items a query.

    Returns:
        For each query ``{"query": {"image", "vehicle", "camera"}, "top": [{…, "match", "distance"}, …]}``.
    """
    task = _tasks(protocol, features, table)[0]
    index, values, match = metrics.ranked(_distances(task, features, distance), task.relevance, queries, k)
    values = np.sqrt(np.maximum(values, 0.0)) if distance == "euclidean" else values

    def describe(position: int) -> dict:
        row = table.iloc[position]
        camera = None if pd.isna(row["camera_id"]) else str(row["camera_id"])
        return {"image": str(row["image"]), "vehicle": str(row["vehicle_id"]), "camera": camera}

    return [
        {
            "query": describe(task.query[query]),
            "top": [
                describe(task.gallery[i]) | {"match": bool(m), "distance": round(float(v), 6)}
                for i, v, m in zip(index[n], values[n], match[n], strict=True)
                if i >= 0
            ],
        }
        for n, query in enumerate(queries)
    ]


def _tasks(protocol: str, features: Tensor, table: pd.DataFrame) -> list[Task]:
    """The protocol's tasks on rows that fit the features."""
    rule = _protocol(protocol)
    if len(features) != len(table):
        raise ValueError(f"{len(features)} features for {len(table)} rows: protocol {protocol!r} needs one for each")
    return rule.tasks(table)


def _protocol(name: str) -> Protocol:
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}: allowed are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _distances(task: Task, features: Tensor, distance: str) -> metrics.Distances:
    if distance not in DISTANCES:
        raise ValueError(f"unknown distance {distance!r}: allowed are {', '.join(DISTANCES)}")
    return DISTANCES[distance](_take(features, task.query), _take(features, task.gallery), reuse=True)


def _take(features: Tensor, rows: np.ndarray) -> Tensor:
    """Some rows of the features; a view, not a copy, where they stand together as a manifest's splits do."""
    if len(rows) == rows[-1] - rows[0] + 1 and (np.diff(rows) == 1).all():
        return features[int(rows[0]) : int(rows[-1]) + 1]
    return features[np.ascontiguousarray(rows)]


def _sides(table: pd.DataFrame, protocol: str, gallery: str = "gallery") -> tuple[np.ndarray, np.ndarray]:
    """Positions of the query rows and of the rows that they search."""
    sides = [np.flatnonzero(table["split"].to_numpy() == split) for split in ("query", gallery)]
    for split, rows in zip(("query", gallery), sides, strict=True):
        if not len(rows):
            raise ValueError(f"protocol {protocol!r} needs rows of split {split!r}: there are none")
    return sides[0], sides[1]


def _codes(table: pd.DataFrame, columns: list[str], protocol: str, *sides: np.ndarray) -> list[np.ndarray]:
    """One integer code for each combination of labels, shared by all sides; refuses missing labels."""
    rows = table.iloc[np.concatenate(sides)][columns]
    if missing := [f"{column} of {int(rows[column].isna().sum())}" for column in columns if rows[column].isna().any()]:
        raise ValueError(
            f"protocol {protocol!r} needs {' and '.join(columns)}, but of {len(rows)} rows lack {', '.join(missing)}"
        )
    codes = rows.groupby(columns, sort=False).ngroup().to_numpy()
    return np.split(codes, np.cumsum([len(side) for side in sides])[:-1])


def _veri(table: pd.DataFrame) -> list[Task]:
    """Matches: same vehicle seen by another camera. Junk: same vehicle, same camera (the query's own image too)."""
    query, gallery = _sides(table, "veri")
    identity = _codes(table, ["vehicle_id"], "veri", query, gallery)
    junk = _codes(table, ["vehicle_id", "camera_id"], "veri", query, gallery)
    return [Task(query, gallery, Relevance(*identity, *junk))]


def _leave_one_out(table: pd.DataFrame) -> list[Task]:
    """Matches: same label. Junk: the query's own image, which must be in the gallery once."""
    query, gallery = _sides(table, "leave_one_out")
    own, images = _codes(table, ["image"], "leave_one_out", query, gallery)
    if absent := int((~np.isin(own, images)).sum()):
        raise ValueError(f"protocol 'leave_one_out': {absent} of {len(query)} query images are not in the gallery")
    identity = _codes(table, ["vehicle_id"], "leave_one_out", query, gallery)
    return [Task(query, gallery, Relevance(*identity, own, images))]


def _test_to_train(table: pd.DataFrame) -> list[Task]:
    """Matches: training images of the same label. No junk."""
    query, train = _sides(table, "test_to_train", gallery="train")
    return [Task(query, train, Relevance(*_codes(table, ["vehicle_id"], "test_to_train", query, train)))]


PROTOCOLS: dict[str, Protocol] = {
    "veri": Protocol(
        name="veri",
        title="VeRi-776",
        source="X. Liu, W. Liu, T. Mei, H. Ma: A Deep Learning-Based Approach to Progressive Vehicle Re-identification "
        "for Urban Surveillance, ECCV 2016; the dataset's gt_index.txt and jk_index.txt",
        splits=("query", "gallery"),
        metrics=("mAP", "top1", "top5"),
        tasks=_veri,
    ),
    "leave_one_out": Protocol(
        name="leave_one_out",
        title="each test image against the rest of the test set",
        source="a decision: Alfasly et al., Multi-Label-Based Similarity Learning for Vehicle Re-Identification, IEEE "
        "Access 7, 2019, Table 4 does not say what the gallery is",
        splits=("query", "gallery"),
        metrics=("top1", "top2"),
        tasks=_leave_one_out,
    ),
    "test_to_train": Protocol(
        name="test_to_train",
        title="each test image against the training set",
        source="the other way to read the same table",
        splits=("train", "query"),
        metrics=("top1", "top2"),
        tasks=_test_to_train,
    ),
}


def assess(test, features: Tensor, table: pd.DataFrame, *, distance: str = "euclidean") -> Scores:
    rows = test.rows(table)
    return evaluate(test.protocol, features[rows], table[rows].reset_index(drop=True), distance=distance)
