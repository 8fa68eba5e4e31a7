"""A dataset's test sets, scored: which images each needs, and its result under its protocol."""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import Tensor

from reidlib.data.manifest import Test
from reidlib.evaluate.metrics import Scores
from reidlib.evaluate.protocols.query_gallery import Distance, evaluate, splits


def assess(
    test: Test, features: Tensor, table: pd.DataFrame, *, distance: Distance = "euclidean", ties: str = "pessimistic"
) -> Scores:
    """Scores of features on a test.

    Args:
        test: one of a dataset's tests.
        features: float32 or float64 ``[N, D]``, on any device.
        table: the manifest rows of these features, in the same order; rows that the test does not use are left out, so
            that one embedding of the union serves all tests of a dataset.
        distance: see :func:`reidlib.evaluate.protocols.evaluate`.
        ties: see :mod:`reidlib.evaluate.metrics`.

    Raises:
        ValueError: the test names images that the table lacks, or what :func:`reidlib.evaluate.protocols.evaluate`
            refuses, such as a test of pairs.
    """
    for split, names in (("query", test.query), ("gallery", test.gallery)):
        absent = [] if names is None else names[~names.isin(table["image"][table["split"] == split])]
        if len(absent):
            raise ValueError(
                f"test {test.name!r}: {len(absent)} {split} images have no row in the table: {', '.join(absent[:10])}"
            )
    return evaluate(test.protocol, features, table, distance=distance, ties=ties, rows=test.rows(table))


def needs(test: Test) -> tuple[str, ...]:
    """The splits that hold the images a test needs; for verification its training images are among them.

    Example:
        >>> needs(Test("small", "vehicleid"))
        ('gallery',)
    """
    return splits(test.protocol)


def needed(test: Test, table: pd.DataFrame) -> np.ndarray:
    """Which rows of a manifest's table a test needs embedded, ``[N]`` booleans: for verification the pairs' alone."""
    if test.protocol == "verification":
        frames = [frame for frame in (test.pairs, test.threshold_pairs) if frame is not None]
        names = [name for frame in frames for side in ("first", "second") for name in frame[side]]
        return table["image"].isin(names).to_numpy(bool)
    return test.rows(table) & table["split"].isin(needs(test)).to_numpy(bool)
