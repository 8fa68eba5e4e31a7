"""The benchmarks' protocols by name, each with the source of its rule and the decisions where the source is silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from reidlib.evaluate.protocols import rules
from reidlib.evaluate.protocols.rules import Task

Rule = Callable[[pd.DataFrame], list[Task]]


@dataclass(frozen=True)
class Protocol:
    """How a benchmark's authors score it.

    Attributes:
        name: its key in :data:`PROTOCOLS`.
        title: for tables and axes.
        source: where the rule comes from.
        splits: the manifest's splits whose rows must be embedded.
        metrics: what its tables report: ``mAP``, ``top<k>`` or ``accuracy``.
        tasks: from the rows' table to the tasks; None for verification, whose pairs
            have no query and no gallery.
        cmc_tasks: where CMC has a rule of its own, its tasks, as many as ``tasks``; None where one rule serves both.
    """

    name: str
    title: str
    source: str
    splits: tuple[str, ...]
    metrics: tuple[str, ...]
    tasks: Rule | None
    cmc_tasks: Rule | None = None


def named(name: str) -> Protocol:
    """A protocol by name.

    Raises:
        ValueError: an unknown name.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}: allowed are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


_DRDL = "H. Liu et al.: Deep Relative Distance Learning: Tell the Difference Between Similar Vehicles, CVPR 2016"
_C2F = "H. Guo et al.: Learning Coarse-to-Fine Structured Feature Embedding for Vehicle Re-Identification, AAAI 2018"

# AI City: the challenge scores the lists as they are handed in, and leaves nothing out. Nor is there anything to leave
# out: 798 test tracks and 1,052 queries together are about the 1,897 tracks that equally many training vehicles have,
# so a query comes from a track that the test set lacks. (The labels are closed; this is inferred from the counts.) Of
# training vehicles held out in their place the gallery holds every track, the query's own image among them. Leaving
# out the query's vehicle at the query's camera makes the two alike.
# The denominator: the challenge calls its figure the area under the precision-recall curve, and recall is a share of
# all matches; a public re-implementation of the scorer divides by them too
# (github.com/Paulamde/VPULab-CityFlow-ReID-Evaluation-Framework). "_found" is the other reading.
_AICITY = (
    "AI City Challenge 2020, track 2; M. Naphade et al.: The 4th AI City Challenge, CVPR Workshops 2020: mean average "
    "precision over the first 100 results"
)

PROTOCOLS: dict[str, Protocol] = {
    "veri": Protocol(
        name="veri",
        title="VeRi-776",
        source="X. Liu, W. Liu, T. Mei, H. Ma: A Deep Learning-Based Approach to Progressive Vehicle Re-identification "
        "for Urban Surveillance, ECCV 2016; the dataset's gt_index.txt and jk_index.txt",
        splits=("query", "gallery"),
        metrics=("mAP", "top1", "top5"),
        tasks=partial(rules.other_cameras, protocol="veri"),
    ),
    "leave_one_out": Protocol(
        name="leave_one_out",
        title="each test image against the rest of the test set",
        source="a decision: Alfasly et al., Multi-Label-Based Similarity Learning for Vehicle Re-Identification, IEEE "
        "Access 7, 2019, Table 4 does not say what the gallery is",
        splits=("query", "gallery"),
        metrics=("top1", "top2"),
        tasks=partial(rules.leave_one_out, protocol="leave_one_out"),
    ),
    "test_to_train": Protocol(
        name="test_to_train",
        title="each test image against the training set",
        source="the other way to read the same table",
        splits=("train", "query"),
        metrics=("top1", "top2"),
        tasks=partial(rules.test_to_train, protocol="test_to_train"),
    ),
    "veriwild": Protocol(
        name="veriwild",
        title="VERI-Wild",
        source="Y. Lou, Y. Bai, J. Liu, S. Wang, L. Duan: VERI-Wild: A Large Dataset and a New Method for Vehicle "
        "Re-Identification in the Wild, CVPR 2019; its authors say (github.com/PKU-IMRE/VERI-Wild, issue 7) that "
        "the same vehicle at the same camera is left out, as their test code does not do",
        splits=("query", "gallery"),
        metrics=("mAP", "top1", "top5"),
        tasks=partial(rules.other_cameras, protocol="veriwild"),
    ),
    "vehicleid": Protocol(
        name="vehicleid",
        title="VehicleID",
        source=f"{_DRDL}, section 5.3 and Table 5",
        splits=("gallery",),
        metrics=("top1", "top5"),
        tasks=partial(rules.one_in_gallery, protocol="vehicleid"),
    ),
    "vehicle1m": Protocol(
        name="vehicle1m",
        title="Vehicle-1M",
        source=f"{_C2F}, Evaluation Protocol: CMC by the rule of vehicle1m_cmc, mAP by that of vehicle1m_map; "
        "per-query results are those of the mAP form",
        splits=("gallery",),
        metrics=("mAP", "top1", "top5"),
        tasks=partial(rules.one_probe, protocol="vehicle1m"),
        cmc_tasks=partial(rules.one_in_gallery, protocol="vehicle1m"),
    ),
    "vehicle1m_cmc": Protocol(
        name="vehicle1m_cmc",
        title="Vehicle-1M, one gallery image a vehicle",
        source=f"{_C2F}, Evaluation Protocol",
        splits=("gallery",),
        metrics=("top1", "top5"),
        tasks=partial(rules.one_in_gallery, protocol="vehicle1m_cmc"),
    ),
    "vehicle1m_map": Protocol(
        name="vehicle1m_map",
        title="Vehicle-1M, one probe a vehicle",
        source=f"{_C2F}, Evaluation Protocol",
        splits=("gallery",),
        metrics=("mAP",),
        tasks=partial(rules.one_probe, protocol="vehicle1m_map"),
    ),
    "drdl_retrieval": Protocol(
        name="drdl_retrieval",
        title="vehicle retrieval",
        source=f"{_DRDL}, section 5.2 and Table 4, with two decisions: min for the printed max, which leaves one probe "
        "a group, and vehicles for its vehicle models; ten draws as in section 5.3, since this one names no number",
        splits=("gallery",),
        metrics=("mAP",),
        tasks=partial(rules.some_in_gallery, protocol="drdl_retrieval"),
    ),
    "drdl_retrieval_literal": Protocol(
        name="drdl_retrieval_literal",
        title="vehicle retrieval, gallery as printed",
        source=f"{_DRDL}, section 5.2 as printed: max{{6, N − 1}} of the N images of a vehicle model, and all N where "
        "that exceeds them; images without a model are left out; a match is the same vehicle; ten draws",
        splits=("gallery",),
        metrics=("mAP",),
        tasks=partial(rules.most_in_gallery, protocol="drdl_retrieval_literal"),
    ),
    "aicity2020": Protocol(
        name="aicity2020",
        title="AI City 2020",
        source=f"{_AICITY}; divided by the number of all matches",
        splits=("query", "gallery"),
        metrics=("mAP", "top1"),
        tasks=partial(rules.other_cameras, protocol="aicity2020", depth=100),
    ),
    "aicity2020_found": Protocol(
        name="aicity2020_found",
        title="AI City 2020, divided by matches found",
        source=f"{_AICITY}; divided by the number of matches among them",
        splits=("query", "gallery"),
        metrics=("mAP", "top1"),
        tasks=partial(rules.other_cameras, protocol="aicity2020_found", depth=100, divisor="found"),
    ),
    "verification": Protocol(
        name="verification",
        title="vehicle model verification",
        source=f"{_DRDL}, section 5.1 and Table 3; L. Yang, P. Luo, C. C. Loy, X. Tang: A Large-Scale Car Dataset for "
        "Fine-Grained Categorization and Verification, CVPR 2015 (CompCars)",
        splits=("train", "query", "gallery"),
        metrics=("accuracy",),
        tasks=None,
    ),
}
