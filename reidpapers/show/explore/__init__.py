"""The interactive half of the notebooks: to see why a method fails, and not only that it does.

Each explorer shows controls and one picture (:mod:`reidpapers.show.explore.panel`). What needs a trained network
takes a :class:`Run`; what is read from records needs none. What explores one paper's loss lies with that paper,
``explore.py``.
"""

from reidpapers.show.explore.ablation_browser import ablations
from reidpapers.show.explore.embedding_map import embedding
from reidpapers.show.explore.pair_inspector import pairs
from reidpapers.show.explore.pair_terms import Judge, Pair, Term
from reidpapers.show.explore.retrieval_browser import retrieval
from reidpapers.show.explore.run import Run

__all__ = ["Judge", "Pair", "Run", "Term", "ablations", "embedding", "pairs", "retrieval"]
