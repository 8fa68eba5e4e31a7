"""k-reciprocal encoding: images are near whose neighbours are the same and have them as neighbours.

Zhong, Zheng, Cao, Li, "Re-ranking person re-identification with k-reciprocal encoding", CVPR 2017. All sets are
sparse matrices over the N = Q + G images, all distances are taken a block of rows at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from reidlib.evaluate import metrics
from reidlib.evaluate.metrics import Distances
from reidlib.evaluate.rerank.units import ROWS

PAIRS = 2**20  # common neighbours of queries and gallery images summed at once
SPARE = 8  # equals at the last place that are told apart without looking at the whole row
GATHERED = 2**18  # feature values compared at once; few, so that they stay in the processor's cache


def k_reciprocal(
    query: Tensor, gallery: Tensor, *, k1: int = 20, k2: int = 6, weight: float = 0.3, literal: bool = False
) -> Distances:
    """Distances from k-reciprocal encoding of queries and gallery together.

    With d the squared Euclidean distance divided by the row's largest, N(p, k) an image and its k nearest others::

        R(p, k)  = {g ∈ N(p, k) : p ∈ N(g, k)}                                                          (eq. 2, 3)
        R*(p, k) = R(p, k) ∪ {R(q, k/2) : q ∈ R(p, k), |R(p, k) ∩ R(q, k/2)| > ⅔ |R(q, k/2)|}            (eq. 5)
        V_p,g    = exp(−d(p, g)) if g ∈ R*(p, k1) else 0, divided by its row's sum                      (eq. 7)
        V_p      ← mean of V_g over the k2 images nearest to p, itself among them                      (eq. 11)
        d_J(p, g) = 1 − Σ_j min(V_p,j, V_g,j) / Σ_j max(V_p,j, V_g,j)                                   (eq. 10)
        d*(p, g) = (1 − λ) d_J(p, g) + λ d(p, g)                                                        (eq. 12)

    These are the sums that the authors' published code computes and with it the field; the paper leaves d's scale open.
    ``literal=True`` computes eq. 5 and 7 as printed: ≥ ⅔, and no division by the row's sum. Among images equally near
    the first in order (queries, then gallery) counts as nearer.

    Args:
        query: float32 or float64 ``[Q, D]``.
        gallery: of the same type and device, ``[G, D]``.
        k1: neighbours of the encoding, at least 1; k1 / 2 is rounded to the even side, as the authors' code does.
        k2: images whose encodings are averaged, at least 1; 1: no averaging.
        weight: λ in [0, 1]: how much of the plain distance stays.
        literal: see above.

    Returns:
        The distances, on the features' device. Making them takes the N × N product, a block of rows at a time; each
        call takes its rows' product with the gallery.

    Raises:
        ValueError: k1, k2 or the weight out of range; features that no distance can be computed from.
    """
    for name, k in {"k1": k1, "k2": k2}.items():
        if k < 1:
            raise ValueError(f"{name} = {k} is refused: allowed are whole numbers from 1")
    if not 0 <= weight <= 1:
        raise ValueError(f"weight = {weight!r} is refused: allowed are numbers from 0 to 1")
    plain = metrics.euclidean(query, gallery, reuse=True)
    encoded, farthest = _encoded(torch.cat([query.detach(), gallery.detach()]), k1, k2, literal)
    shared = _Shared.of(encoded, len(query))
    sums = torch.from_numpy(encoded.sum(1))
    farthest = farthest[: len(query), None]

    def reranked(rows: slice) -> Tensor:
        common = shared(rows)
        union = sums[: len(query)][rows, None] + sums[len(query) :] - common
        jaccard = common.div_(union).neg_().add_(1).to(query.device)
        return torch.add(jaccard.mul_(1 - weight), plain(rows) / farthest[rows], alpha=weight)

    return reranked


def _encoded(features: Tensor, k1: int, k2: int, literal: bool) -> tuple[csr_array, Tensor]:
    """V after averaging, ``[N, N]`` sparse, and each image's largest squared distance, ``[N]`` (1 where it is 0)."""
    nearest, farthest = _neighbours(features, max(k1 + 1, k2))
    members = _expanded(nearest, k1, literal)
    rows = np.repeat(np.arange(len(features)), np.diff(members.indptr))
    weights = np.exp(-_squares(features.cpu().numpy(), rows, members.indices) / farthest.cpu().numpy()[rows])
    encoding = csr_array((weights, members.indices, members.indptr), shape=members.shape)
    if not literal:
        encoding.data /= encoding.sum(1)[rows]
    averaged = _lists(nearest[:, :k2], encoding.dtype) @ encoding
    averaged.data /= min(k2, len(features))
    averaged.sort_indices()
    return averaged, farthest


def _neighbours(features: Tensor, count: int) -> tuple[np.ndarray, Tensor]:
    """Each image and its nearest others, nearest first, ``[N, min(count, N)]``; and each image's largest distance."""
    squares = metrics.euclidean(features, features, reuse=True)
    nearest, farthest = [], []
    for rows in torch.arange(len(features), device=features.device).split(ROWS):
        block = squares(slice(int(rows[0]), int(rows[-1]) + 1))
        farthest.append(block.amax(1))
        block[rows - rows[0], rows] = -torch.inf  # an image comes before its equals
        nearest.append(_nearest(block, min(count, len(features))))
    largest = torch.cat(farthest)
    return torch.cat(nearest).cpu().numpy(), torch.where(largest > 0, largest, 1.0)


def _nearest(block: Tensor, count: int) -> Tensor:
    """Columns of the least values of each row by (value, column), ``[q, count]``; topk leaves open which of equals."""
    width = min(count + SPARE, block.shape[1])
    columns = block.topk(width, largest=False).indices.sort(1).values
    values = block.gather(1, columns)
    order = values.argsort(dim=1, stable=True)
    columns, values = columns.gather(1, order), values.gather(1, order)
    limit = values[:, count - 1]
    if width < block.shape[1] and (many := limit == values[:, -1]).any():  # more equals than there is room to spare
        below, equal = block[many] < limit[many, None], block[many] == limit[many, None]
        room = count - below.sum(1, keepdim=True)
        least = (below | (equal & (equal.cumsum(1) <= room))).nonzero()[:, 1].view(-1, count)
        columns[many, :count] = least.gather(1, block[many].gather(1, least).argsort(dim=1, stable=True))
    return columns[:, :count]


def _expanded(nearest: np.ndarray, k1: int, literal: bool) -> csr_array:
    """Which images R*(p, k1) holds: the pattern of a sparse ``[N, N]``."""
    whole, half = _reciprocal(nearest[:, : k1 + 1]), _reciprocal(nearest[:, : round(k1 / 2) + 1])
    size = np.diff(half.indptr)
    common = csr_array((whole @ half) * whole)  # |R(p, k1) ∩ R(q, k1/2)| where q ∈ R(p, k1); half is symmetric
    wanted = 2 * size[common.indices]
    common.data = (3 * common.data >= wanted if literal else 3 * common.data > wanted).astype(np.int32)
    common.eliminate_zeros()
    members = whole + common @ half
    members.sort_indices()
    return members


def _reciprocal(nearest: np.ndarray) -> csr_array:
    """1 where two images have one another among their nearest, sparse ``[N, N]`` and symmetric."""
    forward = _lists(nearest, np.int32)
    return csr_array(forward * forward.T)


def _lists(columns: np.ndarray, dtype: type) -> csr_array:
    """A sparse ``[N, N]`` with ones in the columns that each row lists, ``[N, k]``."""
    number, k = columns.shape
    starts = np.arange(0, number * k + 1, k)
    return csr_array((np.ones(number * k, dtype), columns.ravel(), starts), shape=(number, number))


def _squares(features: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Squared distances of pairs of images, ``[pairs]``; in numpy, which starts no threads for so small blocks."""
    result, step = np.empty(len(rows), features.dtype), max(1, GATHERED // features.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        difference = features[rows[part]] - features[columns[part]]
        np.einsum("ij,ij->i", difference, difference, out=result[part])
    return result


@dataclass(frozen=True)
class _Shared:
    """Σ_j min(V_p,j, V_g,j) of queries p and gallery images g, through the columns j of the gallery's encodings.

    Attributes:
        query: the queries' encodings, by row, ``[Q, N]``.
        starts, items, weights: the gallery's by column: column j has the images ``items[starts[j] : starts[j + 1]]``.
        gallery: the number of gallery images.
    """

    query: csr_array
    starts: np.ndarray
    items: Tensor
    weights: Tensor
    gallery: int

    @classmethod
    def of(cls, encoded: csr_array, queries: int) -> _Shared:
        columns = encoded[queries:].tocsc()
        items, weights = torch.from_numpy(columns.indices), torch.from_numpy(columns.data)
        return cls(encoded[:queries], columns.indptr, items, weights, columns.shape[0])

    def __call__(self, rows: slice) -> Tensor:
        """The sums of a slice of queries, ``[q, G]``."""
        part = self.query[rows]
        length = np.diff(self.starts)[part.indices]  # gallery images that have each of the queries' neighbours
        row = torch.from_numpy(np.repeat(np.arange(part.shape[0]), np.diff(part.indptr)))
        start, weight = torch.from_numpy(self.starts[part.indices]), torch.from_numpy(part.data)
        sums = weight.new_zeros(part.shape[0] * self.gallery)
        ends = np.cumsum(length, dtype=np.int64)
        cuts = np.searchsorted(ends, np.arange(PAIRS, ends[-1], PAIRS), side="right")
        for taken in np.split(np.arange(len(length)), cuts):
            count = torch.from_numpy(length[taken])
            offset = torch.arange(int(count.sum())) - (count.cumsum(0) - count).repeat_interleave(count)
            place = start[taken].repeat_interleave(count) + offset
            common = torch.minimum(weight[taken].repeat_interleave(count), self.weights[place])
            # One after the other in the order of the columns, so that a sum does not depend on the slice.
            sums.index_add_(0, row[taken].repeat_interleave(count) * self.gallery + self.items[place], common)
        return sums.view(part.shape[0], self.gallery)
