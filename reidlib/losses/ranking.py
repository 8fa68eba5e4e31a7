"""C2F-Rank's ranking terms, with exact mining over a whole batch.

Guo et al., "Learning Coarse-to-Fine Structured Feature Embedding for Vehicle Re-Identification", AAAI 2018. The fourth
term of its loss, the classification of models (eq. 2), is plain cross-entropy on features before normalisation.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from reidlib.losses.hinge import hinge, squared_distances

NORMALISATIONS = ("all", "active")


class Relations(NamedTuple):
    """How any two images of a batch are related: masks ``[N, N]`` that share no pair (C2F-Rank, before eq. 1)."""

    same_vehicle: Tensor  # P, without an image's pair with itself
    same_model: Tensor  # N_v: other vehicle, same model
    other_model: Tensor  # N_m


def relations(vehicles: Tensor, models: Tensor) -> Relations:
    """Sort a batch's pairs of images into P, N_v and N_m.

    Args:
        vehicles, models: codes ``[N]``, none missing: the paper drops images without a model.

    Raises:
        ValueError: a code is missing (below 0), or a vehicle appears under two models.
    """
    for name, codes in (("vehicle", vehicles), ("model", models)):
        if missing := int((codes < 0).sum()):
            raise ValueError(f"{missing} of {len(codes)} images have no {name}: leave them out of the batch")
    vehicle = vehicles[:, None] == vehicles
    model = models[:, None] == models
    if (vehicle & ~model).any():
        mixed = int(vehicles[(vehicle & ~model).any(1)][0])
        raise ValueError(f"vehicle {mixed} appears under two models: a vehicle has one")
    itself = torch.eye(len(vehicles), dtype=torch.bool, device=vehicles.device)
    return Relations(vehicle & ~itself, model & ~vehicle, ~model)


def nearest(distances: Tensor, among: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Each image's k nearest among the images it may take; at equal distance, the one that comes first in the batch.

    Args:
        distances: ``[N, N]``.
        among: mask ``[N, N]`` of what each row may take.
        k: ≥ 1; where fewer are there, all of them are taken.

    Returns:
        Image indices ``[N, min(k, N)]``, nearest first, and a mask of the same shape that is False where a row has
        no more images to take.

    Raises:
        ValueError: ``k`` is below 1.
    """
    if k < 1:
        raise ValueError(f"k = {k} nearest images is refused: allowed are integers >= 1")
    order = distances.detach().masked_fill(~among, torch.inf).sort(dim=1, stable=True).indices[:, :k]
    return order, among.gather(1, order)


def ranking(
    distances: Tensor, near: Tensor, far: Tensor, margin: float, k: int, *, normalisation: str = "all"
) -> Tensor:
    """Every pair of ``near`` must be nearer, by a margin, than its first image's k nearest of ``far``.

    (1/Z) Σ_i Σ_{j ∈ near(i)} Σ_{k nearest ∈ far(i)} [D(i, j) − D(i, k) + M]₊: eq. 3 with near = N_v and far = N_m,
    eq. 4 with near = P and far = N_v. Which images are the nearest is a constant to the gradient.

    Args:
        distances: D, ``[N, N]``.
        near, far: masks ``[N, N]``.
        margin: M >= 0, in units of D.
        k: ≥ 1; where an image has fewer of ``far``, all of them are taken.
        normalisation: Z, which the paper leaves open: the number of ``all`` tuples that the sums run over, or of the
            ``active`` ones, whose hinge is above 0.

    Returns:
        A scalar ≥ 0; 0, with a gradient of 0, where there is no tuple.

    Raises:
        ValueError: a negative margin, ``k`` below 1, or an unknown normalisation.
    """
    if normalisation not in NORMALISATIONS:
        raise ValueError(f"normalisation = {normalisation!r} is refused: allowed are {', '.join(NORMALISATIONS)}")
    index, there = nearest(distances, far, k)
    tuples = near[:, :, None] & there[:, None]  # [N, N, K]
    values = hinge(distances[:, :, None], distances.gather(1, index)[:, None], margin).where(tuples, 0)
    counted = tuples if normalisation == "all" else values > 0
    return values.sum() / counted.count_nonzero().clamp_min(1)


def coarse_to_fine(
    features: Tensor,
    vehicles: Tensor,
    models: Tensor,
    *,
    coarse_margin: float,
    fine_margin: float,
    coarse_nearest: int,
    fine_nearest: int,
    normalisation: str = "all",
) -> dict[str, Tensor]:
    """The ranking terms R_c and R_f and the pair term P of a batch (C2F-Rank eq. 3–5), unweighted.

    With D(i, j) = ‖f(x_i) − f(x_j)‖²:

    * ``coarse``: R_c = (1/Z_c) Σ over i, j ∈ N_v(i) and k, the K₁ nearest of N_m(i), of [D(i, j) − D(i, k) + M_c]₊
    * ``fine``: R_f = (1/Z_f) Σ over i, l ∈ P(i) and j, the K₂ nearest of N_v(i), of [D(i, l) − D(i, j) + M_f]₊
    * ``pair``: P = (1/Z_p) Σ over i, l ∈ P(i) of D(i, l), with Z_p the number of these pairs

    Args:
        features: ``[N, D]``, of unit length, which is what gives the margins their scale.
        vehicles, models: codes ``[N]``, none missing.
        coarse_margin, fine_margin: M_c, M_f ≥ 0.
        coarse_nearest, fine_nearest: K₁, K₂ ≥ 1; where there are fewer images, all of them are taken.
        normalisation: Z_c and Z_f, as in :func:`ranking`.

    Returns:
        Scalars ``coarse``, ``fine`` and ``pair``; 0, with a gradient of 0, where a term has no tuple.

    Raises:
        ValueError: labels that :func:`relations` refuses, or numbers that :func:`ranking` refuses.

    Images i and l of one vehicle, j of another of its model, k of another model, on the unit circle:

    >>> f = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
    >>> terms = coarse_to_fine(f, torch.tensor([0, 0, 1, 2]), torch.tensor([0, 0, 0, 1]), coarse_margin=0.2,
    ...                        fine_margin=0.2, coarse_nearest=10, fine_nearest=3)

    D(i, l) = 0.4, D(i, j) = 0.8, D(l, j) = 0.08, D(i, k) = 2, D(l, k) = 0.8, D(j, k) = 0.4. Of the four tuples of
    R_c, (i, j, k), (l, j, k), (j, i, k) and (j, l, k), only the third is active: 0.8 − 0.4 + 0.2. Of the two of R_f,
    (i, l, j) and (l, i, j), only the second: 0.4 − 0.08 + 0.2.

    >>> print({term: round(float(value), 4) for term, value in terms.items()})
    {'coarse': 0.15, 'fine': 0.26, 'pair': 0.4}
    """
    distances = squared_distances(features, features)
    same_vehicle, same_model, other_model = relations(vehicles, models)
    return {
        "coarse": ranking(
            distances, same_model, other_model, coarse_margin, coarse_nearest, normalisation=normalisation
        ),
        "fine": ranking(distances, same_vehicle, same_model, fine_margin, fine_nearest, normalisation=normalisation),
        "pair": distances.where(same_vehicle, 0).sum() / same_vehicle.count_nonzero().clamp_min(1),
    }
