"""What lies near what in a space of features: how pure neighbourhoods are, and a picture of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

ROWS = 256  # images at once


def purity(features: Tensor, vehicles: np.ndarray, attributes: Mapping[str, np.ndarray], k: int = 5) -> dict:
    """How often an image's nearest neighbours share its identity and, among *other* vehicles, its attributes.

    Images of one vehicle share every attribute, so that they would make any good feature look as if it knew colours;
    they are left out where attributes are counted. Images without the label are left out too.

    Args:
        features: ``[N, D]``, compared by Euclidean distance.
        vehicles: a code for each image, ``[N]``.
        attributes: codes by attribute, ``[N]`` each, −1 where one is missing.
        k: neighbours of an image; fewer where there are not as many.

    Returns:
        ``{"identity" or attribute: {"purity": share of the k nearest, "chance": the same share of all}}``, means over
        images, in [0, 1]; without those attributes that no two vehicles' images have.

    >>> line = torch.tensor([[0.0], [1.0], [5.0], [6.1]])
    >>> purity(line, np.array([0, 0, 1, 2]), {}, k=1)["identity"]["purity"]
    0.5
    """
    features = features.double()
    everyone = np.ones(len(vehicles), bool)
    shares = {"identity": _shares(features, vehicles, vehicles, everyone, k, others=False)}
    for name, codes in attributes.items():
        shares[name] = _shares(features, codes, vehicles, codes >= 0, k, others=True)
    return {name: share for name, share in shares.items() if share}


def _shares(
    features: Tensor, labels: np.ndarray, vehicles: np.ndarray, labelled: np.ndarray, k: int, *, others: bool
) -> dict[str, float] | None:
    """Purity and chance of one label, among images of other vehicles or among all others; None without neighbours."""
    place = torch.as_tensor(np.flatnonzero(labelled))
    points, label, vehicle = features[place], torch.as_tensor(labels)[place], torch.as_tensor(vehicles)[place]
    near, everywhere = [], []
    for rows in torch.arange(len(points)).split(ROWS):
        apart = torch.cdist(points[rows], points)
        barred = vehicle[rows, None] == vehicle if others else rows[:, None] == torch.arange(len(points))
        same = (label[rows, None] == label) & ~barred
        allowed = (~barred).sum(1)
        order = apart.masked_fill(barred, torch.inf).topk(min(k, len(points)), largest=False).indices
        counted = torch.clamp(allowed, max=k)
        real = torch.arange(order.shape[1]) < counted[:, None]
        some = allowed > 0
        near.append(((same.gather(1, order) & real).sum(1) / counted)[some])
        everywhere.append((same.sum(1) / allowed)[some])
    shares = [torch.cat(parts).double() if parts else torch.empty(0) for parts in (near, everywhere)]
    if not len(shares[0]):
        return None
    return {name: float(share.mean()) for name, share in zip(("purity", "chance"), shares, strict=True)}


def tsne(features: Tensor, seed: int = 0) -> np.ndarray:
    """A map of features in the plane by t-SNE (van der Maaten and Hinton, JMLR 9, 2008), from their principal axes.

    Args:
        features: ``[N, D]``, at least four images, not all at one point.
        seed: of its draws.

    Returns:
        ``[N, 2]``.
    """
    from sklearn.manifold import TSNE

    points = features.double().numpy()
    return TSNE(perplexity=min(30, (len(points) - 1) / 3), init="pca", random_state=seed).fit_transform(points)
