"""The query, gallery and junk rules of each benchmark: from features and manifest rows to scores.

A protocol turns a table of manifest rows into tasks: which rows query which, and which answers count. Most have one
task; those that draw at random have ten, from the seeds 0 to 9, and their scores are averaged. The rules stand in
:mod:`~reidlib.evaluate.protocols.rules`, their names and sources in :mod:`~reidlib.evaluate.protocols.benchmarks`.
A dataset's :class:`~reidlib.data.manifest.Test` is scored by :func:`assess`, but for tests of pairs, which have neither
query nor gallery, and whose rule is a paper's own.
"""

from reidlib.evaluate.protocols.assessment import assess, needed, needs
from reidlib.evaluate.protocols.benchmarks import PROTOCOLS, Protocol
from reidlib.evaluate.protocols.query_gallery import DISTANCES, Distance, Reranking, evaluate, retrieval, splits
from reidlib.evaluate.protocols.rules import SEEDS, Task

__all__ = [
    "DISTANCES", "PROTOCOLS", "SEEDS", "Distance", "Protocol", "Reranking", "Task", "assess", "evaluate", "needed",
    "needs", "retrieval", "splits",
]  # fmt: skip
