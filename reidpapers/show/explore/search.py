"""What a query finds, before and after re-ranking: the retrieval explorer without its controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.manifest import codes
from reidlib.evaluate import metrics, protocols, rerank
from reidlib.evaluate.metrics import Distances, Scores
from reidpapers.show.explore.run import Tested

SMALL = 4_000_000  # pairs of a query and a gallery image up to which all distances are held, and all queries scored


@dataclass(frozen=True)
class Settings:
    """Which re-ranking; as it stands, none.

    Attributes:
        type_penalty, color_penalty: of the attribute constraint, as a share of the mean distance.
        group: threshold of groups of queries and of tracks, as a share of the mean distance.
        reciprocal: whether distances are made by k-reciprocal encoding, with the authors' k₁ = 20, k₂ = 6, λ = 0.3.
    """

    type_penalty: float = 0.0
    color_penalty: float = 0.0
    group: float = 0.0
    reciprocal: bool = False


PLAIN = Settings()


@dataclass(frozen=True)
class Answer:
    """A query's answer.

    Attributes:
        order: rows of the gallery, nearest first, without junk.
        match: which of these are of the query's vehicle.
        distance: their plain distances, whatever they were ranked by.
        ap, first: average precision (NaN without a match) and rank of the first match (0 without one).
    """

    order: np.ndarray
    match: np.ndarray
    distance: np.ndarray
    ap: float
    first: int


class Search:
    """The queries and the gallery of a test, and the distances between them under any settings.

    Of a protocol with several draws, the first.

    Args:
        tested: features and rows.
        attributes: ``color`` and ``type`` of each of these rows, names or codes; missing or negative: not known.
        before: what re-ranking is compared with, and begins from.
    """

    def __init__(self, tested: Tested, attributes: pd.DataFrame, before: protocols.Distance | None = None) -> None:
        rows = tested.test.rows(tested.table)
        table, place = tested.table[rows].reset_index(drop=True), torch.as_tensor(rows)
        task = protocols.PROTOCOLS[tested.test.protocol].tasks(table)[0]
        features, attributes = tested.features[place], attributes[rows].reset_index(drop=True)
        self.task = task
        self.queries, self.gallery = (table.iloc[side].reset_index(drop=True) for side in (task.query, task.gallery))
        self.sides = features[torch.as_tensor(task.query.copy())], features[torch.as_tensor(task.gallery.copy())]
        self.distance = tested.distance if before is None else before
        self.attributes = {name: _codes(attributes[name], task) for name in ("type", "color")}
        self.tracks = codes(self.gallery["track_id"])
        self.small = len(self.queries) * len(self.gallery) <= SMALL
        self.ranking = lru_cache(maxsize=8)(self._ranking)
        self.scores = lru_cache(maxsize=64)(self._scores)

    @property
    def scaled(self) -> bool:
        """Whether distances are lengths, so that shares of their mean mean something."""
        return isinstance(self.distance, str)

    def possible(self, name: str) -> bool:
        """Whether a setting can be used with these data and this distance."""
        if name == "reciprocal":
            return True
        if name == "group":
            return self.scaled
        side = self.attributes[name.removesuffix("_penalty")]
        return self.scaled and all((codes >= 0).any() for codes in side)

    def answer(self, query: int, settings: Settings = PLAIN, k: int = 10) -> Answer:
        """What one query finds."""
        distances = self.ranking(settings)
        index, _, match = metrics.ranked(distances, self.task.relevance, np.array([query]), k)
        order, match = index[0][index[0] >= 0], match[0][index[0] >= 0]
        scores = self._one(query, distances)
        return Answer(order, match, self._plain_row(query)[order], float(scores.ap[0]), int(scores.first[0]))

    def junk(self, query: int, k: int = 10) -> np.ndarray:
        """The nearest of the gallery images that do not count for a query: its own vehicle seen by its own camera."""
        relevance = self.task.relevance
        code = relevance.query_junk[query]
        rows = np.flatnonzero((relevance.gallery_junk == code) & (code >= 0))
        return rows[np.argsort(self._plain_row(query)[rows], kind="stable")][:k]

    def plain(self, query: int, rows: np.ndarray) -> np.ndarray:
        """Plain distances of a query to some rows of the gallery."""
        return self._plain_row(query)[rows]

    @cached_property
    def ap(self) -> np.ndarray:
        """Each query's average precision by the plain distances, ``[Q]``; NaN without a match."""
        return self._whole(self.ranking(PLAIN)).ap

    def _scores(self, settings: Settings = PLAIN) -> float | None:
        """mAP of all queries; None where these are too many to score while someone waits."""
        return float(np.nanmean(self._whole(self.ranking(settings)).ap)) if self.small else None

    def _whole(self, distances: Distances) -> Scores:
        return metrics.score(distances, self.task.relevance, depth=self.task.depth, divisor=self.task.divisor)

    def _one(self, query: int, distances: Distances) -> Scores:
        """Scores of one query alone; AP is NaN and the rank 0 where it has no match."""
        every = self.task.relevance
        own = slice(query, query + 1)
        relevance = replace(every, query=every.query[own], query_junk=every.query_junk[own])
        try:
            return metrics.score(
                lambda rows: distances(own), relevance, depth=self.task.depth, divisor=self.task.divisor
            )
        except ValueError:
            return Scores(float("nan"), np.zeros(0), np.array([np.nan]), np.array([0]), 1)

    def _plain_row(self, query: int) -> np.ndarray:
        values = self.ranking(PLAIN)(slice(query, query + 1))[0].double().cpu().numpy()
        return np.maximum(values, 0.0) if self.distance == "euclidean" else values  # rounded to just below 0

    def _ranking(self, settings: Settings) -> Distances:
        """Distances under some settings, in the order of the multi-guided system's post-processing."""
        query, gallery = self.sides
        if settings.group and self.scaled:
            query = rerank.group_means(query, settings.group * self._length)
        ranked = rerank.k_reciprocal(query, gallery) if settings.reciprocal else self._compared(query, gallery)
        if settings.type_penalty or settings.color_penalty:
            penalties = {"type_penalty": settings.type_penalty, "color_penalty": settings.color_penalty}
            ranked = rerank.attribute_constraint(ranked, self.attributes["type"], self.attributes["color"], **penalties)
        if settings.group and (self.tracks >= 0).any():
            ranked = rerank.insert_tracks(ranked, self.tracks, settings.group * _mean(ranked, len(query)))
        return self._held(ranked)

    def _compared(self, query: Tensor, gallery: Tensor) -> Distances:
        """Distances by the run's own measure; Euclidean ones as lengths."""
        if isinstance(self.distance, protocols.Reranking):
            return self.distance.distances(query, gallery, self.queries, self.gallery)
        if callable(self.distance):
            return self.distance(query, gallery)
        ranked = protocols.DISTANCES[self.distance](query, gallery)
        return rerank.rooted(ranked) if self.distance == "euclidean" else ranked

    @cached_property
    def _length(self) -> float:
        """The mean Euclidean distance of a query and a gallery image, the unit of the groups' threshold."""
        query, gallery = self.sides
        return _mean(rerank.rooted(metrics.euclidean(query, gallery)), len(query))

    def _held(self, distances: Distances) -> Distances:
        """The same, computed once where they are few enough to be held."""
        if not self.small:
            return distances
        block = distances(slice(0, len(self.queries))).clone()
        return lambda rows: block[rows]


def _mean(distances: Distances, queries: int) -> float:
    """The mean distance; 0 of features that lie so close together that rounding turns it negative."""
    return max(0.0, rerank.mean_distance(distances, queries))


def _codes(values: pd.Series, task: protocols.Task) -> tuple[np.ndarray, np.ndarray]:
    """Codes of queries and gallery; −1 where not known."""
    every = values.to_numpy(np.int64) if pd.api.types.is_integer_dtype(values.dtype) else codes(values)
    return every[task.query], every[task.gallery]


Attributes = Callable[..., pd.DataFrame]
"""``(Trained, rows) → frame`` with the columns ``color`` and ``type``, as a network sees them: a line a row, or a line
an image in a frame whose index is named so."""
