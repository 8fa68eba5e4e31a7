"""Exact CMC and mAP, chunked over queries, without ranking the gallery.

A query's average precision depends on its gallery only through one number for each true match: how many other items are
at least as near. So each chunk of queries takes one matrix product (:mod:`~reidlib.evaluate.metrics.distances`), reads
the matches' distances from that same product as thresholds (computed apart, they would differ in the last bit and break
ties), counts the gallery items at or below each (:mod:`~reidlib.evaluate.metrics.counting`) and takes matches and junk
out of the count (:mod:`~reidlib.evaluate.metrics.evaluator`). What is left are the non-matches that rank before the
match.

With thresholds t_1 ≤ … ≤ t_m of a query's matches, n_k non-matches at or below t_k and m_k matches at or below t_k:

* ``ties="pessimistic"`` (default): a non-match tied with a match ranks before it, and tied matches follow one another,
  so AP = (1/m) Σ_k k / (k + n_k). This is the lowest AP of any order that respects the distances: the gallery's order
  never matters, and a collapsed model, all of whose distances are equal, scores low.
* ``ties="sklearn"``: items tied at one distance share one threshold, AP = (1/m) Σ_k m_k / (m_k + n_k), which is
  ``sklearn.metrics.average_precision_score`` on scores = −distance (non-interpolated).

Where only the first results count (``depth``), the sum runs over the matches whose rank k + n_k (or m_k + n_k, at which
all items of a tied group are counted) is within that depth, and is divided by m or by the number of its terms.

The inverse negative penalty (Ye et al., "Deep Learning for Person Re-Identification: A Survey and Outlook", TPAMI 2021)
asks how far down the hardest match lies: INP = m / (m + n_m), where m + n_m is the last match's rank.

The first match's rank, and with it CMC, is 1 + n_1 under both rules (scikit-learn defines no rank).

*Exact* means: with respect to the distances as computed in floating point. Equal gallery features always have equal
distances, so their ties are seen as ties.
"""

from reidlib.evaluate.metrics.distances import Distances, cosine, euclidean, quadratic
from reidlib.evaluate.metrics.evaluator import DIVISORS, TIES, Relevance, ranked, score
from reidlib.evaluate.metrics.scores import DEPTH, RANKS, Scores

__all__ = [
    "DEPTH", "DIVISORS", "RANKS", "TIES", "Distances", "Relevance", "Scores", "cosine", "euclidean", "quadratic",
    "ranked", "score",
]  # fmt: skip
