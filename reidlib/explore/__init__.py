"""The interactive half of the notebooks: to see why a method fails, and not only that it does.

Each explorer shows controls and one picture (:mod:`reidlib.explore.live`). What needs a trained network is given a
:class:`Run`; what is read from records, or computed from a loss alone, needs none.
"""

from reidlib.explore.ablations import ablations
from reidlib.explore.clusters import clusters
from reidlib.explore.embedding import embedding
from reidlib.explore.judging import Judge, Pair, Term, agnet_pair, mlsl_pair
from reidlib.explore.pairs import pairs
from reidlib.explore.ranking import ranking
from reidlib.explore.retrieval import retrieval
from reidlib.explore.run import Run

__all__ = [
    "Judge", "Pair", "Run", "Term", "ablations", "agnet_pair", "clusters", "embedding", "mlsl_pair", "pairs", "ranking",
    "retrieval",
]  # fmt: skip
