"""What a finished run says of itself beside its scores: what it has learnt, and whether it tells like vehicles apart.

A verdict between two methods means something only where both have learnt, see :mod:`reidpapers.show.alive`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.manifest import Dataset
from reidlib.evaluate import protocols
from reidlib.evaluate.metrics import Distances, Scores
from reidlib.evaluate.protocols import DISTANCES, Reranking
from reidpapers.run import datasets, evaluate_run
from reidpapers.run.evaluate_run import Trained

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

IMAGES = 1000  # of either side at most, on which a classifier's accuracy is counted
KIND = ["model", "color"]  # what like vehicles share
FAR = 1e6  # added to the distance of a vehicle of another kind


def describe(paper: Paper, config: Any, trained: Trained) -> dict[str, Any]:
    """Accuracies of a run's classifiers, and the value of each loss term for a network that tells nothing apart.

    Returns:
        ``accuracy``: shares by ``<classifier> train`` and, where test images have the same labels, ``<classifier>
        test``; ``levels``: by loss term. Empty for a run that trains nothing.
    """
    if not paper.steps(config):
        return {}
    data = paper.learns_from(config)
    dataset = datasets.load(data.source)
    labels = paper.labels(paper.usable(config, dataset.manifest.rows("train")))
    levels = {name: round(float(value), 6) for name, value in paper.levels(config, labels).items()}
    return {"accuracy": _accuracies(paper, config, trained, dataset), "levels": levels}


def _accuracies(paper: Paper, config: Any, trained: Trained, dataset: Dataset) -> dict[str, float]:
    """Of each classifier, on images that it has learnt from, as they are, and on test images with labels it knows."""
    columns = paper.classifiers(config)
    if not columns:
        return {}
    store = evaluate_run.prepare(paper.learns_from(config))
    train = paper.usable(config, dataset.manifest.rows("train"))
    test = dataset.manifest.rows("gallery")
    known, joint = paper.labels(train), paper.labels(pd.concat([train, test], ignore_index=True))
    network = trained.network.eval()
    own = Trained(trained.config, network, dataset, store)

    def predicted(images: Tensor) -> Tensor:
        logits = paper.logits(config, network, images)
        return torch.stack([logits[name].argmax(1) for name in columns], 1).float()

    found: dict[str, float] = {}
    for side, rows, first in (("train", train, 0), ("test", test, len(train))):
        chosen = _thinned(len(rows))
        guesses = own.embed(rows.iloc[chosen].reset_index(drop=True), predicted).features.long()
        for guess, (name, column) in zip(guesses.T, columns.items(), strict=True):
            truth = _as_trained(joint[first + chosen, column], known[:, column], joint[: len(train), column])
            if (there := truth >= 0).any():
                found[f"{name} {side}"] = round(float((guess == truth)[there].float().mean()), 4)
    return found


def _thinned(count: int) -> np.ndarray:
    """At most :data:`IMAGES` places of so many, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(IMAGES, count)).round().astype(int))


def _as_trained(codes: Tensor, trained: Tensor, joint: Tensor) -> Tensor:
    """Codes among training and test rows as those among training rows alone; −1 for labels that training lacks."""
    table = torch.full((int(max(codes.max(), joint.max())) + 2,), -1)
    table[joint[trained >= 0]] = trained[trained >= 0]
    return table[codes]  # −1, an unknown label, finds the last place, which stays −1


def among_alike(trained: Trained) -> dict[str, dict[str, Any]]:
    """Scores by VeRi-776's rule: of all test images, and among like vehicles, those of a query's model and colour.

    Of the latter only queries count that have another such vehicle before them. Empty where data lack the labels.
    """
    table = trained.dataset.manifest.rows("query", "gallery")
    if table.empty or table[["vehicle_id", "camera_id", *KIND]].isna().any(axis=None):
        return {}
    plain = DISTANCES.get(trained.config.test_distance, DISTANCES["euclidean"])
    features = trained.embed(table).features
    found = {"whole": protocols.evaluate("veri", features, table, distance=plain)}
    kind = table[KIND].agg("/".join, axis=1)
    query = (table["split"] == "query").to_numpy()
    vehicles = table[~query].groupby(kind[~query])["vehicle_id"].nunique()
    rows = ~query | (kind.map(vehicles) > 1).to_numpy()
    if (rows & query).any():
        alike = Reranking(partial(_alike_first, plain))
        found["alike"] = protocols.evaluate("veri", features, table.assign(kind=kind), distance=alike, rows=rows)
    return {name: _short(scores) for name, scores in found.items()}


def _alike_first(plain: Any, queries: Tensor, gallery: Tensor, own: pd.DataFrame, others: pd.DataFrame) -> Distances:
    """A distance that puts all vehicles of another kind behind those of the query's."""
    near = plain(queries, gallery)
    other = torch.from_numpy(own["kind"].to_numpy(object)[:, None] != others["kind"].to_numpy(object)[None])
    return lambda part: near(part) + FAR * other[part].to(queries)


def _short(scores: Scores) -> dict[str, Any]:
    return {"mAP": round(scores.mAP, 6), "top1": round(scores.top(1), 6), "queries": len(scores.ap)}
