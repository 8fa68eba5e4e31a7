"""Scores of features under a protocol of queries and a gallery, and what single queries find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from torch import Tensor

from reidlib.evaluate import metrics
from reidlib.evaluate.metrics import Distances, Scores
from reidlib.evaluate.protocols.benchmarks import Rule, named
from reidlib.evaluate.protocols.rules import Task

DISTANCES = {"euclidean": metrics.euclidean, "cosine": metrics.cosine}


@dataclass(frozen=True)
class Reranking:
    """A distance that needs to know more of the images than their features.

    Attributes:
        distances: ``(query [Q, D], gallery [G, D], query rows, gallery rows) → Distances``; the rows are those of the
            table that is scored, in the features' order, with whatever columns were added to it.
    """

    distances: Callable[[Tensor, Tensor, pd.DataFrame, pd.DataFrame], Distances]


Distance = str | Callable[[Tensor, Tensor], Distances] | Reranking
"""How features are compared: a name in :data:`DISTANCES`, ``(query, gallery) → Distances``, as a learnt one is, or a
:class:`Reranking`."""


def evaluate(
    protocol: str,
    features: Tensor,
    table: pd.DataFrame,
    *,
    distance: Distance = "euclidean",
    ties: str = "pessimistic",
    rows: np.ndarray | None = None,
) -> Scores:
    """Scores of embedded images under a protocol.

    Args:
        protocol: a name in :data:`PROTOCOLS`, but for verification, which scores pairs.
        features: float32 or float64 ``[N, D]``, on any device.
        table: the manifest rows of these features, in the same order; splits the protocol does not use are left out.
        distance: ``"euclidean"``, ``"cosine"``, what gives the :data:`~reidlib.evaluate.metrics.Distances` of queries
            ``[Q, D]`` and a gallery ``[G, D]``, or a :class:`Reranking`, which is given their rows too.
        ties: ``"pessimistic"`` or ``"sklearn"``, see :mod:`reidlib.evaluate.metrics`.
        rows: which of the rows take part, ``[N]`` booleans as of ``Test.rows``; None: all.

    Returns:
        The scores; under a protocol of several draws their means, with the per-query results of the first and each
        draw's own scores in ``draws``.

    Raises:
        ValueError: an unknown name; features and rows of different number; no query or gallery rows; a label is missing
            that the rule needs; features not finite; no query has a match.
    """
    rule = named(protocol)

    def scored(tasks: Rule | None) -> list[Scores]:
        return [
            metrics.score(
                _distances(task, features, table, distance),
                task.relevance,
                ties=ties,
                depth=task.depth,
                divisor=task.divisor,
            )
            for task in _tasks(protocol, tasks, features, table, rows)
        ]

    results = scored(rule.tasks)
    if rule.cmc_tasks:
        results = [replace(own, cmc=other.cmc) for own, other in zip(results, scored(rule.cmc_tasks), strict=True)]
    return Scores.averaged(results)


def splits(protocol: str) -> tuple[str, ...]:
    """The splits whose rows must be embedded for a protocol.

    Example:
        >>> splits("veri")
        ('query', 'gallery')
    """
    return named(protocol).splits


def retrieval(
    protocol: str,
    features: Tensor,
    table: pd.DataFrame,
    queries: np.ndarray,
    *,
    distance: Distance = "euclidean",
    k: int = 10,
    rows: np.ndarray | None = None,
) -> list[dict]:
    """What a few queries find, in the form that records keep: the first task's nearest items, junk left out.

    Args:
        protocol: a name in :data:`PROTOCOLS`.
        features: see :func:`evaluate`.
        table: see :func:`evaluate`.
        queries: which queries, counted among the query rows as in ``Scores.ap``.
        distance: see :func:`evaluate`; Euclidean distances are given with their root.
        k: items a query.
        rows: see :func:`evaluate`.

    Returns:
        For each query ``{"query": {"image", "vehicle", "camera"}, "top": [{…, "match", "distance"}, …]}``.
    """
    task = _tasks(protocol, named(protocol).tasks, features, table, rows)[0]
    index, values, match = metrics.ranked(_distances(task, features, table, distance), task.relevance, queries, k)
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


def _tasks(
    protocol: str, rule: Rule | None, features: Tensor, table: pd.DataFrame, rows: np.ndarray | None
) -> list[Task]:
    """The rule's tasks on rows that fit the features; positions count all of the table's rows."""
    if rule is None:
        raise ValueError(f"protocol {protocol!r} scores pairs of images: they have no query and no gallery")
    if len(features) != len(table):
        raise ValueError(f"{len(features)} features for {len(table)} rows: protocol {protocol!r} needs one for each")
    if rows is None or rows.all():
        return rule(table)
    place = np.flatnonzero(rows)
    return [replace(task, query=place[task.query], gallery=place[task.gallery]) for task in rule(table.iloc[place])]


def _distances(task: Task, features: Tensor, table: pd.DataFrame, distance: Distance) -> Distances:
    query, gallery = _take(features, task.query), _take(features, task.gallery)
    if isinstance(distance, Reranking):
        rows = (table.iloc[side].reset_index(drop=True) for side in (task.query, task.gallery))
        return distance.distances(query, gallery, *rows)
    if callable(distance):
        return distance(query, gallery)
    if distance not in DISTANCES:
        raise ValueError(f"unknown distance {distance!r}: allowed are {', '.join(DISTANCES)}")
    return DISTANCES[distance](query, gallery, reuse=True)


def _take(features: Tensor, rows: np.ndarray) -> Tensor:
    """Some rows of the features; a view, not a copy, where they stand together as a manifest's splits do."""
    if len(rows) == rows[-1] - rows[0] + 1 and (np.diff(rows) == 1).all():
        return features[int(rows[0]) : int(rows[-1]) + 1]
    return features[np.ascontiguousarray(rows)]
