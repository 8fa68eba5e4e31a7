"""The interactive half of the notebooks: to see why a method fails, and not only that it does.

Each explorer shows controls and one picture (:mod:`reidpapers.show.explore.live`). What needs a trained network
is given a :class:`Run`; what is read from records, or computed from a loss alone, needs none.
"""

from reidpapers.show.explore.ablations import ablations
from reidpapers.show.explore.clusters import clusters
from reidpapers.show.explore.embedding import embedding
from reidpapers.show.explore.judging import Judge, Pair, Term, agnet_pair, mlsl_pair
from reidpapers.show.explore.pairs import pairs
from reidpapers.show.explore.ranking import ranking
from reidpapers.show.explore.retrieval import retrieval
from reidpapers.show.explore.run import Run

__all__ = [
    "Judge", "Pair", "Run", "Term", "ablations", "agnet_pair", "clusters", "embedding", "mlsl_pair", "pairs", "ranking",
    "retrieval",
]  # fmt: skip
