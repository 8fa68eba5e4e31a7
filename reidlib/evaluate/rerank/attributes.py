"""Attribute constraint: a query and a gallery image of another predicted type or colour are farther apart.

Multi-guided learning (AI City Challenge 2020, team 44), §3.3, eq. 6.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from reidlib.evaluate.metrics import Distances
from reidlib.evaluate.rerank.units import at_least_zero, check_size, mean_distance

Codes = tuple[np.ndarray, np.ndarray]
"""Integer codes of an attribute: the queries', ``[Q]``, and the gallery's, ``[G]``; −1 where it is not known."""


def attribute_constraint(
    distances: Distances,
    types: Codes,
    colors: Codes,
    *,
    type_penalty: float = 0.1,
    color_penalty: float = 0.1,
    literal: bool = False,
) -> Distances:
    """Distances with a penalty for each attribute in which a query and a gallery image differ.

    With T, C the predicted types and colours, and the penalties relative to the mean distance d̄ of all pairs of a
    query and a gallery image (the paper states neither values nor a unit), δ_t = ``type_penalty`` · d̄ and
    δ_c = ``color_penalty`` · d̄::

        d(i, j) = d_old(i, j) + δ_t [T_i ≠ T_j] + δ_c [C_i ≠ C_j]

    The paper prints its third row as δ_c + δ_t where T_i = T_j *and* C_i = C_j, which punishes the pairs that agree
    and spares those that agree in nothing. ``literal=True`` computes that::

        d(i, j) = d_old(i, j) + δ_t        T_i ≠ T_j and C_i = C_j
                  d_old(i, j) + δ_c        T_i = T_j and C_i ≠ C_j
                  d_old(i, j) + δ_c + δ_t  T_i = T_j and C_i = C_j
                  d_old(i, j)              otherwise

    An attribute that is not known on either side never brings a penalty; read literally, a pair of which one attribute
    is not known is of the last row.

    Args:
        distances: Euclidean in the paper (:func:`~reidlib.evaluate.rerank.rooted`); read once here, for their mean.
        types, colors: codes of queries and gallery, negative where not known.
        type_penalty, color_penalty: δ_t / d̄ and δ_c / d̄, at least 0; an attribute whose penalty is 0 need not be known.
        literal: eq. 6 as printed.

    Raises:
        ValueError: a negative penalty; codes of types, of colours and distances of different number; an attribute that
            is to be punished is not known of any query or of any gallery image.
    """
    at_least_zero(type_penalty=type_penalty, color_penalty=color_penalty)
    types, colors = _codes("type", types, type_penalty), _codes("color", colors, color_penalty)  # type: ignore[assignment]
    if [len(side) for side in types] != [len(side) for side in colors]:
        raise ValueError(
            f"types of {len(types[0])} queries and {len(types[1])} gallery images, "
            f"but colors of {len(colors[0])} and {len(colors[1])}: each image needs both (-1 where not known)"
        )
    mean = mean_distance(distances, len(types[0]))
    type_punish, color_punish = type_penalty * mean, color_penalty * mean

    def constrained(rows: slice) -> Tensor:
        old = distances(rows)
        check_size(old, "attribute codes", rows, len(types[0]), len(types[1]))
        type_known, type_same = _compared(types, rows, old)  # type: ignore[arg-type]
        color_known, color_same = _compared(colors, rows, old)  # type: ignore[arg-type]
        type_punished = type_known & (color_same if literal else ~type_same)
        color_punished = color_known & (type_same if literal else ~color_same)
        return old.add(type_punished, alpha=type_punish).add_(color_punished, alpha=color_punish)

    return constrained


def _codes(name: str, codes: Codes, penalty: float) -> tuple[Tensor, Tensor]:
    """The codes as tensors; refuses an attribute that cannot be compared."""
    sides = tuple(torch.tensor(np.asarray(side, dtype=np.int64)) for side in codes)
    for side, values in zip(("query", "gallery"), sides, strict=True):
        if values.ndim != 1 or not len(values):
            raise ValueError(f"{side} {name} codes have shape {tuple(values.shape)}: needed is [N] with N > 0")
        if penalty > 0 and not (values >= 0).any():
            raise ValueError(
                f"the attribute constraint needs '{name}', which is not known of any {side} image: "
                f"predict it, or set {name}_penalty to 0"
            )
    return sides  # type: ignore[return-value]


def _compared(codes: tuple[Tensor, Tensor], rows: slice, like: Tensor) -> tuple[Tensor, Tensor]:
    """Whether both labels are there, and whether they are and agree; ``[q, G]`` each."""
    query, gallery = codes[0][rows, None].to(like.device), codes[1].to(like.device)
    both = (query >= 0) & (gallery >= 0)
    return both, both & (query == gallery)
