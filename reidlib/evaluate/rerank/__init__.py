"""Re-ranking: distances made from distances, or from features, that the evaluator takes like plain ones.

Each function here returns a :data:`~reidlib.evaluate.metrics.Distances`, a function of a slice of queries, so that
plain and re-ranked distances are scored by one evaluator and no Q × G table is ever held. Those that take a
``Distances`` can be put one into the other; what they are given is never overwritten. The multi-guided system's whole
post-processing is

    query = group_means(query, threshold=θ)
    near = rooted(metrics.euclidean(query, gallery))
    distances = attribute_constraint(near, types, colors)
    distances = insert_tracks(distances, tracks, threshold=θ, near=near)

* :func:`attribute_constraint`: penalties where the predicted type or colour differ (multi-guided learning, eq. 6);
* :func:`group_means`, :func:`insert_tracks`: group re-ranking over queries and tracks (multi-guided learning, §3.3);
* :func:`spatio_temporal`: farther in time and space, farther in distance (PROVID);
* :func:`k_reciprocal`: k-reciprocal encoding (Zhong et al., CVPR 2017), the yardstick that the field uses;
* :func:`rooted`, :func:`mean_distance`: the unit in which penalties and thresholds are said.
"""

from reidlib.evaluate.rerank.attributes import attribute_constraint
from reidlib.evaluate.rerank.groups import group_means, insert_tracks, query_groups
from reidlib.evaluate.rerank.reciprocal import k_reciprocal
from reidlib.evaluate.rerank.spacetime import spatio_temporal
from reidlib.evaluate.rerank.units import mean_distance, rooted

__all__ = [
    "attribute_constraint", "group_means", "insert_tracks", "k_reciprocal", "mean_distance", "query_groups", "rooted",
    "spatio_temporal",
]  # fmt: skip
