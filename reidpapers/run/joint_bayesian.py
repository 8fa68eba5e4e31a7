"""Joint Bayesian: how likely two features are of one vehicle rather than of two (Chen et al., ECCV 2012).

D. Chen, X. Cao, L. Wang, F. Wen, J. Sun, *Bayesian Face Revisited: A Joint Formulation*. A feature less the mean is
x = μ + ε: what an identity is, μ ~ N(0, S_μ), and how its image differs, ε ~ N(0, S_ε). Then the features of two images
are jointly Gaussian under either hypothesis, and the logarithm of the ratio of the two densities is, but for a constant
and a factor of ½,

    r(x, y) = xᵀAx + yᵀAy − 2 xᵀGy,   A = (S_μ + S_ε)⁻¹ − (F + G),   F = S_ε⁻¹,   G = −(2 S_μ + S_ε)⁻¹ S_μ S_ε⁻¹.

S_μ and S_ε are estimated by expectation and maximisation. Both steps are taken in the basis T in which S_ε is the unit
matrix and S_μ is diagonal, λ: there the posterior of an identity with m images of mean z is N(mλ / (1 + mλ) · z,
λ / (1 + mλ)) in each coordinate, so that identities of any number of images are computed at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from reidlib.evaluate import metrics
from reidlib.evaluate.metrics import Distances

ITERATIONS = 50
RIDGE = 1e-3


@dataclass(frozen=True)
class JointBayesian:
    """A fitted model; all in float64.

    Attributes:
        mean: of the features it was fitted to, ``[D]``; to be taken off before anything else.
        between: S_μ, ``[D, D]``.
        within: S_ε, ``[D, D]``, positive definite.
        objective: what the fit raises, before each iteration and after the last, ``[iterations + 1]``.
        a: A, ``[D, D]``, symmetric.
        g: G, ``[D, D]``, symmetric.
    """

    mean: np.ndarray
    between: np.ndarray
    within: np.ndarray
    objective: np.ndarray
    a: np.ndarray
    g: np.ndarray

    def distances(self, query: Tensor, gallery: Tensor) -> Distances:
        """−r of queries and gallery items, one matrix product a slice; the smaller, the likelier one vehicle.

        Args:
            query: float32 or float64 ``[Q, D]``, on any device; computed in float64.
            gallery: the same of the gallery, ``[G, D]``.

        Raises:
            ValueError: another width than the model's, no rows, or features that are not finite.
        """
        for side, features in (("query", query), ("gallery", gallery)):
            if features.ndim != 2 or features.shape[1] != len(self.mean):
                raise ValueError(
                    f"{side} features are {tuple(features.shape)}: fitted were features of {len(self.mean)} columns"
                )
        mean, a, g = (torch.as_tensor(part, device=query.device) for part in (self.mean, self.a, self.g))
        return metrics.quadratic(query.detach().double() - mean, gallery.detach().double() - mean, -a, g)


def fit(
    features: Tensor | np.ndarray,
    labels: Tensor | np.ndarray,
    *,
    iterations: int = ITERATIONS,
    ridge: float = RIDGE,
) -> JointBayesian:
    """Estimate S_μ and S_ε from labelled features, of any number of images an identity.

    The maximisation is exact: it adds the posterior's covariances to those of the expectations. The paper prints the
    covariances of the expectations alone, under which the likelihood may fall. S_ε is kept from becoming singular by
    ``ridge`` times the mean variance τ of a column on its diagonal, which is the exact step for the likelihood less
    ½ · N · ridge · τ · tr(S_ε⁻¹): so that each iteration raises this objective.

    Args:
        features: ``[N, D]``.
        labels: codes of their identities, ``[N]``; images with a negative one, the missing label, are left out.
        iterations: how many; always as many, so that a fit does not depend on when rounding lets it stop.
        ridge: see above, > 0.

    Raises:
        ValueError: not one label for each row of features; features not finite, or all equal; fewer than two
            identities; no identity with two images; no positive ridge.
    """
    x, identity, count = _checked(features, labels, ridge)
    mean = x.mean(0)
    x = x - mean
    floor = ridge * np.square(x).mean()  # ridge · τ
    if not floor > 0:
        raise ValueError(f"all {len(x)} features are equal: there is nothing to tell identities apart by")
    starts = np.concatenate([[0], count.cumsum()[:-1]]).astype(int)
    centres = np.add.reduceat(x[np.argsort(identity, kind="stable")], starts) / count[:, None]  # [n, D]
    scatter = _square(x - centres[identity]) + len(x) * floor * np.eye(x.shape[1])  # within, and the ridge
    between, within = _square(centres) / len(centres), scatter / len(x)
    values = []
    for _ in range(iterations):
        between, within, value = _step(between, within, centres, scatter, count)
        values.append(value)
    values.append(_step(between, within, centres, scatter, count)[2])
    return JointBayesian(mean, between, within, np.array(values), *_forms(between, within))


def _checked(
    features: Tensor | np.ndarray, labels: Tensor | np.ndarray, ridge: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labelled features in float64, each one's identity among the n there are, and each identity's images."""
    x, labels = (np.asarray(torch.as_tensor(values).detach().cpu()) for values in (features, labels))
    if x.ndim != 2 or labels.shape != x.shape[:1]:
        raise ValueError(f"features {x.shape} and labels {labels.shape}: needed are [N, D] and [N]")
    if not 0 < ridge < np.inf:
        raise ValueError(f"ridge = {ridge} is refused: allowed is a number > 0")
    x, labels = x[labels >= 0].astype(np.float64), labels[labels >= 0]
    if bad := int((~np.isfinite(x).all(1)).sum()):
        raise ValueError(f"features are not finite in {bad} of {len(x)} rows")
    identities, identity, count = np.unique(labels, return_inverse=True, return_counts=True)
    if len(identities) < 2:
        raise ValueError(f"Joint Bayesian needs images of two identities and more, not of {len(identities)}")
    if count.max() < 2:
        raise ValueError(
            f"none of {len(identities)} identities has two images: how images of one differ cannot be learnt"
        )
    return x, identity, count.astype(np.float64)


def _square(rows: np.ndarray) -> np.ndarray:
    """Σ x xᵀ over rows ``[N, D]``."""
    return rows.T @ rows


def _step(
    between: np.ndarray, within: np.ndarray, centres: np.ndarray, scatter: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """S_μ and S_ε after one iteration, and the objective before it.

    Args:
        between: S_μ, ``[D, D]``.
        within: S_ε, ``[D, D]``.
        centres: mean feature of each identity, ``[n, D]``.
        scatter: of the images about their identities' centres, the ridge with it, ``[D, D]``.
        count: images of each identity, ``[n]``.
    """
    share, basis = eigh(between, within)  # Tᵀ S_ε T = I, Tᵀ S_μ T = diag λ
    share, images = share.clip(0), count.sum()
    z, spread = centres @ basis, 1 + count[:, None] * share  # [n, D]: means, and 1 + mλ
    inside = basis.T @ scatter @ basis
    expected, covariance = count[:, None] * share / spread * z, share / spread
    new = (
        (_square(expected) + np.diag(covariance.sum(0))) / len(count),
        (inside + _square(np.sqrt(count)[:, None] * (z - expected)) + np.diag(count @ covariance)) / images,
    )
    back = within @ basis  # T⁻ᵀ
    value = images * (np.linalg.slogdet(within)[1] + len(within) * np.log(2 * np.pi)) + np.log(spread).sum()
    value += np.trace(inside) + (count[:, None] * np.square(z) / spread).sum()
    between, within = (_symmetric(back @ matrix @ back.T) for matrix in new)
    return between, within, -float(value) / 2


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    """Without what rounding made unequal."""
    return (matrix + matrix.T) / 2


def _forms(between: np.ndarray, within: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A and G, ``[D, D]``, by the equations at the module's head, each a function of λ in the basis T."""
    share, basis = eigh(between, within)
    share = share.clip(0)
    a = -np.square(share) / ((1 + share) * (1 + 2 * share))  # 1 / (1 + λ) − (1 + λ) / (1 + 2λ)
    g = -share / (1 + 2 * share)
    return tuple(_symmetric((basis * form) @ basis.T) for form in (a, g))
