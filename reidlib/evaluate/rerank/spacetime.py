"""Spatio-temporal re-ranking: images taken long after one another and far from one another are farther apart.

PROVID (Liu et al., "PROVID: Progressive and multimodal vehicle reidentification for large-scale urban surveillance",
IEEE Transactions on Multimedia 20, 2018) and before it FACT+STR; AGNet-ASL's "+STR" refers to it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.evaluate.metrics import Distances
from reidlib.evaluate.rerank.units import at_least_zero, check_size


def spatio_temporal(
    distances: Distances,
    query: pd.DataFrame,
    gallery: pd.DataFrame,
    camera_distances: pd.DataFrame | None,
    *,
    weight: float,
) -> Distances:
    """Distances plus the spatio-temporal one.

    With T an image's time, C its camera, δ the distance between cameras, T_max the longest time between a query and a
    gallery image and D_max the largest distance in the frame::

        s(i, j) = |T_i − T_j| / T_max · δ(C_i, C_j) / D_max        in [0, 1]
        D'(i, j) = D(i, j) + ω s(i, j)

    Two images of one camera have s = 0 whatever the time between them, as PROVID has it. Where T_max or D_max is 0, so
    is s.

    Args:
        distances: D.
        query, gallery: manifest rows in the order of the distances, with ``camera_id`` and ``time`` in seconds.
        camera_distances: δ, a square frame by camera name as ``Dataset.camera_distances``, in metres (any unit will do,
            as only δ / D_max counts); None where the dataset has none, which is refused.
        weight: ω in the unit of D, at least 0.

    Raises:
        ValueError: a negative weight; ``time`` or ``camera_id`` is missing, altogether or in some rows; no camera
            distances, or ones that are not a symmetric table of finite numbers from 0 over the cameras needed.
    """
    at_least_zero(weight=weight)
    sides = {"query": query, "gallery": gallery}
    (query_time, gallery_time) = (_column(rows, side, "time").to_numpy(float) for side, rows in sides.items())
    cameras = [_column(rows, side, "camera_id").astype(str) for side, rows in sides.items()]
    apart = _checked(camera_distances, cameras)
    query_camera, gallery_camera = (apart.index.get_indexer(names) for names in cameras)
    longest = max(query_time.max() - gallery_time.min(), gallery_time.max() - query_time.min())
    table = apart.to_numpy(float)
    # The factors are divided one by one, so that two maxima can neither overflow nor vanish in a product.
    table = torch.from_numpy(table / (table.max() or 1.0))
    times = [torch.from_numpy(side / (longest or 1.0)) for side in (query_time, gallery_time)]
    to_query, to_gallery = torch.from_numpy(query_camera), torch.from_numpy(gallery_camera)

    def farther(rows: slice) -> Tensor:
        old = distances(rows)
        check_size(old, "manifest rows", rows, len(query), len(gallery))
        space = table[to_query[rows]].to(old.device)[:, to_gallery.to(old.device)]
        time = (times[0][rows, None].to(old.device) - times[1].to(old.device)).abs_()
        return old + time.mul_(space).mul_(weight).to(old.dtype)

    return farther


def _column(rows: pd.DataFrame, side: str, column: str) -> pd.Series:
    """A column that every row must have."""
    missing = rows[column].isna().to_numpy(bool) if column in rows else np.ones(len(rows), bool)
    if missing.all():
        raise ValueError(f"spatio-temporal re-ranking needs '{column}', which the dataset lacks in its {side} rows")
    if missing.any():
        first = ", ".join(map(str, np.flatnonzero(missing)[:10]))
        raise ValueError(
            f"spatio-temporal re-ranking needs '{column}' in every row: it is missing in {int(missing.sum())} of "
            f"{len(rows)} {side} rows (first in rows {first})"
        )
    if column == "time" and not np.isfinite(rows[column].to_numpy(float)).all():
        raise ValueError(f"'{column}' of the {side} rows is not finite everywhere: needed are seconds")
    return rows[column]


def _checked(apart: pd.DataFrame | None, cameras: list[pd.Series]) -> pd.DataFrame:
    """The camera distances, their columns in the order of their rows."""
    if apart is None:
        raise ValueError("spatio-temporal re-ranking needs camera distances, which the dataset lacks")
    apart = apart.set_axis(apart.index.astype(str), axis=0).set_axis(apart.columns.astype(str), axis=1)
    if not apart.index.is_unique or not apart.columns.is_unique or set(apart.index) != set(apart.columns):
        raise ValueError(
            f"camera distances {apart.shape}: needed is a square frame, a row and a column for each camera"
        )
    if absent := sorted(set().union(*cameras) - set(apart.index)):
        raise ValueError(f"camera distances lack the cameras {', '.join(absent[:10])} ({len(absent)} in all)")
    apart = apart[list(apart.index)]
    values = apart.to_numpy(float)
    if not (np.isfinite(values).all() and (values >= 0).all() and np.allclose(values, values.T)):
        raise ValueError("camera distances must be finite, at least 0 and the same both ways")
    return apart
