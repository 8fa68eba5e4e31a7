"""DRDL's losses of triplets and of coupled clusters, from pairs of a positive and a negative set.

Liu et al., "Deep Relative Distance Learning: Tell the Difference Between Similar Vehicles", CVPR 2016. Features are
L2-normalised by the caller, which is what gives the margin its scale; a cluster's centre is not normalised.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reidlib.losses.hinge import hinge, squared_distances

CENTERS = ("detach", "full")
REDUCTIONS = ("mean", "sum")


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Triplet loss of each triplet (DRDL eq. 3, one summand).

    max(0, ‖f(x_a) − f(x_p)‖² + α − ‖f(x_a) − f(x_n)‖²)

    Args:
        anchor, positive, negative: features ``[T, D]``; anchor and positive share a vehicle.
        margin: α >= 0, on squared distances.

    Returns:
        ``[T]``, ≥ 0.

    Raises:
        ValueError: the shapes differ, or the margin is negative.

    >>> triplet(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]]), torch.tensor([[0.0, 1.0]]), margin=1.5)
    tensor([0.3000])
    """
    if not anchor.shape == positive.shape == negative.shape:
        shapes = ", ".join(str(tuple(part.shape)) for part in (anchor, positive, negative))
        raise ValueError(f"a triplet's features differ in shape: {shapes}")
    return hinge((anchor - positive).square().sum(-1), (anchor - negative).square().sum(-1), margin)


def set_triplets(positives: Tensor, negatives: Tensor, margin: float, *, reduction: str = "mean") -> Tensor:
    """Triplet loss of each set pair: every ordered pair of its positives with each of its negatives (DRDL eq. 3).

    Eq. 3 sums over triplets. A set pair of 5 and 5 images has 5·4·5 = 100 of them, which at the paper's learning rate
    of 0.01 means steps some 30 times as long as those of eq. 6 (random features that share a direction, before
    training). So the default is the mean over a set pair's triplets, whose steps are about a third as long as those
    of eq. 6. The printed sum is ``set_triplets(..., reduction="sum").sum()``. A batch's loss is the mean over its set
    pairs, for triplets as for coupled clusters.

    Args:
        positives: features ``[B, P, D]`` of one vehicle a set.
        negatives: features ``[B, N, D]`` of other vehicles.
        margin: α >= 0, on squared distances.
        reduction: ``mean`` or ``sum`` over a set pair's P (P − 1) N triplets; both 0 where P is 1.

    Returns:
        ``[B]``, ≥ 0.

    Raises:
        ValueError: shapes that are no set pairs, a negative margin, or an unknown reduction.
    """
    _check_sets(positives, negatives)
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction = {reduction!r} is refused: allowed are {', '.join(REDUCTIONS)}")
    near = squared_distances(positives, positives).unsqueeze(3)  # [B, P, P, 1]: anchor, positive
    far = squared_distances(positives, negatives).unsqueeze(2)  # [B, P, 1, N]: anchor, negative
    size = positives.shape[1]
    apart = ~torch.eye(size, dtype=torch.bool, device=positives.device)  # an anchor is not its own positive
    total = (hinge(near, far, margin) * apart[:, :, None]).sum((1, 2, 3))
    return total / max(1, size * (size - 1) * negatives.shape[1]) if reduction == "mean" else total


def coupled_clusters(positives: Tensor, negatives: Tensor, margin: float, *, center: str = "detach") -> Tensor:
    """Coupled clusters loss of each set pair (DRDL eq. 4–6).

    c = (1/P) Σ_i f(x_i^p),  x_* = the negative nearest to c,
    L = Σ_i ½ max(0, ‖f(x_i^p) − c‖² + α − ‖f(x_*^n) − c‖²)

    The paper's gradients (eq. 7, 8) take c for a constant: f(x_i^p) − c for an active positive, and for x_* in all the
    number of active positives times c − f(x_*^n). That is ``center="detach"``. The loss's true gradient, ``full``,
    also goes through c, and moves all positives together, away from x_*.

    Args:
        positives: features ``[B, P, D]`` of one vehicle a set.
        negatives: features ``[B, N, D]`` of other vehicles.
        margin: α >= 0, on squared distances.
        center: ``detach`` or ``full``; the value is the same.

    Returns:
        ``[B]``, ≥ 0: sums over positives, as printed.

    Raises:
        ValueError: shapes that are no set pairs, a negative margin, or an unknown centre mode.

    Two positives around c = (0.5, 0), 0.25 from it; the nearest of two negatives is 0.5 from it. With a margin of 0.5
    each positive adds ½ (0.25 + 0.5 − 0.5):

    >>> positives = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    >>> negatives = torch.tensor([[[0.0, 0.5], [0.5, 2.0]]])
    >>> coupled_clusters(positives, negatives, margin=0.5)
    tensor([0.2500])
    """
    _check_sets(positives, negatives)
    if center not in CENTERS:
        raise ValueError(f"center = {center!r} is refused: allowed are {', '.join(CENTERS)}")
    c = positives.mean(1, keepdim=True)  # [B, 1, D], eq. 4
    c = c.detach() if center == "detach" else c
    near = (positives - c).square().sum(2)  # [B, P]
    far = (negatives - c).square().sum(2).min(1, keepdim=True).values  # [B, 1]; the slope is one negative's alone
    return 0.5 * hinge(near, far, margin).sum(1)


def center_gradients(
    positives: Tensor, negatives: Tensor, margin: float, *, center: str = "detach"
) -> tuple[Tensor, Tensor]:
    """Gradients of :func:`coupled_clusters` to its features, by autograd: ``[B, P, D]`` and ``[B, N, D]``.

    Arguments and errors are those of :func:`coupled_clusters`.
    """
    with torch.enable_grad():
        leaves = positives.detach().requires_grad_(), negatives.detach().requires_grad_()
        return torch.autograd.grad(coupled_clusters(*leaves, margin, center=center).sum(), leaves)  # type: ignore[return-value]


def gradient_angle(positives: Tensor, negatives: Tensor, margin: float) -> Tensor:
    """Angle between the paper's gradient (centre detached) and the true one, over all features of a set pair.

    Arguments and errors are those of :func:`coupled_clusters`.

    Returns:
        ``[B]`` in degrees, 0 to 180; not a number where no positive is active and there is no gradient.
    """
    detached, full = (
        torch.cat(center_gradients(positives, negatives, margin, center=center), 1).flatten(1) for center in CENTERS
    )
    lengths = torch.linalg.vector_norm(detached, dim=1) * torch.linalg.vector_norm(full, dim=1)
    return torch.rad2deg(((detached * full).sum(1) / lengths).clamp(-1, 1).acos())


def _check_sets(positives: Tensor, negatives: Tensor) -> None:
    shapes = tuple(positives.shape), tuple(negatives.shape)
    agree = positives.ndim == negatives.ndim == 3 and shapes[0][::2] == shapes[1][::2]
    if not agree or not positives.shape[1] or not negatives.shape[1]:
        raise ValueError(
            f"sets of shape {shapes[0]} and {shapes[1]} are no set pairs: needed are positives [B, P, D] and negatives"
            " [B, N, D] with P and N > 0"
        )
