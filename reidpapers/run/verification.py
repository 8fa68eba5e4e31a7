"""Verification: do two images show the same vehicle model? The answer is yes up to a distance that training pairs set.

DRDL (section 5.1, Table 3) and CompCars give accuracies and are silent on the threshold; taking the best one of the
test pairs would look at their labels, so it is the best one of *training* pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import normalize

from reidlib.data.manifest import Test
from reidlib.evaluate import protocols
from reidlib.evaluate.metrics import Scores
from reidlib.evaluate.protocols import Distance, Reranking

PAIR_COLUMNS = ("first", "second", "same")
CHUNK = 2**22  # numbers of features compared at once, 32 MiB
BLOCK = 256  # pairs at once where a distance gives all of the first images to all of the second


@dataclass(frozen=True)
class Verification:
    """What verification found.

    Attributes:
        accuracy: share of the test pairs that are called right, 0 to 1.
        threshold: pairs at this distance or nearer are called the same.
        threshold_accuracy: share of the training pairs that this threshold calls right, the largest possible.
        auc: area under the test pairs' ROC curve: the share of (same, different) couples of them of which the same one
            is strictly nearer. Ties count against the model; scikit-learn counts them half.
        right: whether each test pair is called right, ``[P]``.
    """

    accuracy: float
    threshold: float
    threshold_accuracy: float
    auc: float
    right: np.ndarray


def assess(
    test: Test, features: Tensor, table: pd.DataFrame, *, distance: Distance = "euclidean"
) -> Scores | Verification:
    """What a test finds: scores (:func:`reidlib.evaluate.protocols.assess`), or for pairs what :func:`verify` finds."""
    if test.protocol == "verification":
        return verify(features, table, test, distance)
    return protocols.assess(test, features, table, distance=distance)


def verify(features: Tensor, table: pd.DataFrame, test: Test, distance: Distance = "euclidean") -> Verification:
    """Accuracy on a test's pairs with the threshold that is best on its training pairs.

    The threshold is one of the training pairs' distances, or the next number below them all. A pair at the threshold is
    called the same, whatever it is; of thresholds that serve the training pairs equally well the smallest is taken. So
    no order among ties can flatter: a collapsed model, all of whose distances are equal, is right on all the different
    pairs or on all the same ones, and on no more.

    Args:
        features: float32 or float64 ``[N, D]``, on any device; an image's are those of its first row.
        table: the manifest rows of these features, in the same order.
        test: its ``pairs`` and ``threshold_pairs`` name images of the table.
        distance: ``"euclidean"`` (with its root), ``"cosine"``, or a function as
            :func:`reidlib.evaluate.protocols.evaluate` takes it, here of float64 features.

    Raises:
        ValueError: pairs are missing, lack a column or a value, hold one kind only, or name an image that the table
            lacks; features and rows of different number; features not finite; an unknown distance.
    """
    if len(features) != len(table):
        raise ValueError(f"{len(features)} features for {len(table)} rows: verification needs one for each")
    place = pd.Series(np.arange(len(table)), index=table["image"].astype(str))
    place = place[~place.index.duplicated()]
    tested, training = (
        (_same(pairs, role), _distances(features, _places(pairs, place, role), distance))
        for pairs, role in ((test.pairs, "pairs"), (test.threshold_pairs, "threshold_pairs"))
    )
    threshold, best = _best_threshold(*training)
    same, apart = tested
    right = (apart <= threshold) == same
    return Verification(float(right.mean()), threshold, best, _area(same, apart), right)


def _same(pairs: pd.DataFrame | None, role: str) -> np.ndarray:
    """The pairs' labels as booleans, both kinds among them; refuses pairs that are not whole."""
    if pairs is None:
        raise ValueError(f"protocol 'verification' needs the test's {role}: there are none")
    if lacking := [column for column in PAIR_COLUMNS if column not in pairs or pairs[column].isna().any()]:
        raise ValueError(f"{role}: column {lacking} missing or with missing values; needed are {PAIR_COLUMNS}")
    if not pairs["same"].isin((False, True)).all():
        raise ValueError(f"{role}: column 'same' holds {pairs['same'].unique()[:5].tolist()}: allowed are True, False")
    same = pairs["same"].to_numpy(bool)
    if same.all() or not same.any():
        raise ValueError(f"{role}: {int(same.sum())} of {len(same)} pairs are the same: both kinds are needed")
    return same


def _places(pairs: pd.DataFrame, place: pd.Series, role: str) -> np.ndarray:
    """Rows of both images of each pair, ``[2, P]``; refuses images without a row."""
    names = np.stack([pairs[column].astype(str).to_numpy() for column in PAIR_COLUMNS[:2]])
    row = place.index.get_indexer(names.ravel())
    if absent := sorted(set(names.ravel()[row < 0])):
        raise ValueError(f"{role} name {len(absent)} images that have no row in the table: {', '.join(absent[:10])}")
    return place.to_numpy()[row].reshape(names.shape)


def _distances(features: Tensor, places: np.ndarray, distance: Distance) -> np.ndarray:
    """Each pair's distance in float64, ``[P]``. Equal features are at distance 0 exactly, Euclidean ones."""
    if isinstance(distance, Reranking):
        raise ValueError("pairs cannot be re-ranked: a test of verification has no gallery")
    if not callable(distance) and distance not in ("euclidean", "cosine"):
        raise ValueError(f"unknown distance {distance!r}: allowed are euclidean, cosine")
    parts = []
    size = BLOCK if callable(distance) else max(1, CHUNK // features.shape[1])
    for rows in torch.from_numpy(places).to(features.device).split(size, dim=1):
        first, second = (features.detach()[side].double() for side in rows)
        if callable(distance):
            parts.append(distance(first, second)(slice(0, len(first))).diagonal().double())
        elif distance == "euclidean":
            parts.append((first - second).square().sum(1).sqrt())
        else:
            parts.append(1 - (normalize(first, dim=1) * normalize(second, dim=1)).sum(1))
    values = torch.cat(parts).cpu().numpy()
    if bad := int((~np.isfinite(values)).sum()):
        raise ValueError(f"features are not finite in {bad} of {len(values)} pairs")
    return values


def _best_threshold(same: np.ndarray, distances: np.ndarray) -> tuple[float, float]:
    """The smallest of the thresholds that call most pairs right, and the share that it does.

    Only the pairs' own distances and something below all of them need a look: between two, nothing changes.
    """
    levels, level = np.unique(distances, return_inverse=True)
    gain = np.bincount(level, weights=np.where(same, 1, -1), minlength=len(levels))  # right ones more, each level in
    right = (~same).sum() + np.concatenate([[0], np.cumsum(gain)])
    best = int(right.argmax())
    threshold = levels[best - 1] if best else np.nextafter(levels[0], -np.inf)
    return float(threshold), float(right[best] / len(same))


def _area(same: np.ndarray, distances: np.ndarray) -> float:
    """Share of (same, different) couples whose same pair is strictly nearer than its different one."""
    near, far = np.sort(distances[same]), distances[~same]
    return float(np.searchsorted(near, far, side="left").mean() / len(near))
