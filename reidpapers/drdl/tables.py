"""What the DRDL paper prints and claims: its tables as rows of runs, its claims as comparisons of rows.

Where its words and its tables disagree, the claim says so: each is tested as it stands in the source that is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reidpapers.run.tuning import Arm
from reidpapers.show import layout
from reidpapers.show.claims import Claim
from reidpapers.show.convergence import Convergence, half_way, remaining, roughness
from reidpapers.show.layout import Row, Table

SIZES, LEVELS = ("small", "medium", "large"), ("easy", "medium", "hard")
REID, VERIFIED = ("vehicle_id",), ("model", "type")  # labels that data need for either task
MARGINS = (0.0, 0.1, 0.2, 0.4, 0.8)
RANKS = (1, 5, 10, 20)  # of Fig. 10, which goes on to 50: too many where the gallery holds a few dozen vehicles

# A row fixes what its table is about, and leaves the rest to the given configuration.
TRIPLET = {"network": "single", "loss": "triplet"}
CLUSTERS = {"network": "single", "loss": "ccl", "center": "detach"}
WHOLE = {"network": "mixed", "loss": "ccl", "center": "detach"}
TRUE_CLUSTERS = {**CLUSTERS, "center": "full"}  # by the loss's own gradient, not the printed one
CLASSIFIER = {"network": "upper"}
LEARNT = {"test_distance": "joint_bayesian"}


def of(task: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A row's changes with the task they are about; features are compared by their distance if nothing else is said."""
    return {"task": task, "test_distance": "euclidean", **changes}


GIVEN = Row("given configuration")
CONTROL = Row("given, VGG + triplet", TRIPLET, own=True)

VGG_TRIPLET = Row("VGG + triplet", of("reid", TRIPLET))
VGG_CCL = Row("VGG + CCL", of("reid", CLUSTERS))
MIXED_CCL = Row("Mixed + CCL", of("reid", WHOLE))
VARIANTS = (VGG_TRIPLET, VGG_CCL, MIXED_CCL)
UPPER = Row("upper branch alone", of("reid", CLASSIFIER), own=True)
UPPER_BAYESIAN = Row("upper branch alone, Joint Bayesian", of("reid", {**CLASSIFIER, **LEARNT}), own=True)
TRIPLET_BAYESIAN = Row("VGG + triplet, Joint Bayesian", of("reid", {**TRIPLET, **LEARNT}), own=True)
CURVES = (*VARIANTS, UPPER_BAYESIAN, TRIPLET_BAYESIAN)  # of Fig. 10
GAPS = (
    Row("Mixed + CCL minus VGG + triplet", None, minus=(MIXED_CCL.name, VGG_TRIPLET.name)),
    Row("GoogLeNet minus VGG, Joint Bayesian", None),
    Row("VehicleID minus CompCars, GoogLeNet", None),  # by what it was trained on
)  # of Fig. 10, whose curves the text puts in numbers by their differences alone
CCL_FULL = Row("VGG + CCL, full gradient", of("reid", TRUE_CLUSTERS), own=True)
FULL = Row("Mixed + CCL, full gradient", of("reid", {**WHOLE, "center": "full"}), own=True)
MARGIN_ROWS = tuple(Row(f"margin {a:g}", of("reid", {**WHOLE, "margin": a}), own=True, seeds=1) for a in MARGINS)

# What is tuned: each loss its rate and the margin, which the paper does not state; the classifier, which has none, as
# many rates. Joint Bayesian is fitted to what a tuned row has learnt.
GRID = {"rate": (0.003, 0.01, 0.03), "margin": (0.1, 0.2, 0.4)}
MORE_RATES = (0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03)
ARMS = (
    Arm(VGG_TRIPLET.name, GRID, (VGG_TRIPLET.name, TRIPLET_BAYESIAN.name, CONTROL.name)),
    Arm(VGG_CCL.name, GRID),
    Arm(MIXED_CCL.name, GRID, (MIXED_CCL.name, GIVEN.name)),
    Arm(CCL_FULL.name, GRID),
    Arm(FULL.name, GRID),
    Arm(UPPER.name, {"rate": MORE_RATES}, (UPPER.name, UPPER_BAYESIAN.name)),
)

SVM, BAYESIAN = Row("GoogLeNet + SVM", None), Row("GoogLeNet + Joint Bayesian", None)
MODELS_TRIPLET = Row("models: VGG + triplet", of("verification", TRIPLET))
MODELS_CCL = Row("models: VGG + CCL", of("verification", CLUSTERS), own=True)
MODELS_FULL = Row("models: VGG + CCL, full gradient", of("verification", TRUE_CLUSTERS), own=True)
MODELS_MIXED = Row("models: Mixed + CCL", of("verification", WHOLE))

VERIFICATION = tuple(f"{level} accuracy" for level in LEVELS)
RETRIEVAL = tuple(f"{size} retrieval mAP" for size in SIZES)
MATCHING = tuple(f"{size} top{rank}" for rank in (1, 5) for size in SIZES)
CMC = tuple(f"small top{rank}" for rank in RANKS)
SHORT = ("large top1", "large top5", "large retrieval mAP")


def tables(profile: str = "quick") -> tuple[Table, ...]:
    """Every results table of the paper, and ours. Tables 1, 2 and 5 count images and vehicles, not results."""
    del profile
    return (
        Table("Table 3", "Accuracy of model verification, by difficulty of the pairs",
              (SVM, BAYESIAN, MODELS_TRIPLET, MODELS_CCL, MODELS_FULL, MODELS_MIXED), VERIFICATION, labels=VERIFIED),
        Table("Table 4", "Vehicle retrieval, by size of the test set", VARIANTS, RETRIEVAL, labels=REID),
        Table("Table 6", "Vehicle re-identification, by size of the test set", VARIANTS, MATCHING, labels=REID),
        Table("Fig. 10", "CMC of vehicle re-identification on the small test set", (*CURVES, *GAPS), CMC, labels=REID),
        Table("Controls", "What the centre's gradient and the upper branch do",
              (VGG_TRIPLET, VGG_CCL, CCL_FULL, MIXED_CCL, FULL, UPPER), SHORT, labels=REID),
        Table("Margin", "The margin α, which the paper does not state; one seed", MARGIN_ROWS, SHORT, labels=REID),
    )  # fmt: skip


BASE_ROWS = (GIVEN, CONTROL)
COLUMNS = (*SHORT, *VERIFICATION)

CLAIMS = (
    *(Claim("Table 3, §5.1", "The mixed network with coupled clusters beats triplets, which did not converge",
            MODELS_MIXED.name, MODELS_TRIPLET.name, metric) for metric in VERIFICATION),
    *(Claim("Table 3, §5.1", "The approach ranks second: ahead of GoogLeNet + SVM", MODELS_MIXED.name, SVM.name, metric,
            dataset="CompCars", printed=layout.value("drdl", "Table 3", SVM.name, metric)) for metric in VERIFICATION),
    *(Claim("Table 4, §5.2", "Coupled clusters raise the MAP of retrieval", "VGG + CCL", "VGG + triplet", metric)
      for metric in RETRIEVAL),
    *(Claim("Table 4, §5.2", "The mixed difference network raises the MAP further", "Mixed + CCL", "VGG + CCL", metric)
      for metric in RETRIEVAL),
    *(Claim("Table 6, §5.3", "Coupled clusters raise the match rate", "VGG + CCL", "VGG + triplet", metric)
      for metric in MATCHING),
    *(Claim("Table 6, §5.3", "The mixed difference network raises the match rate further", "Mixed + CCL",
            "VGG + CCL", metric)
      for metric in MATCHING),
    *(Claim("Fig. 10, §5.3", "Both together raise the match rate", "Mixed + CCL", "VGG + triplet", metric,
            margin=4, margin_dataset="VehicleID", by="by about 4 to 10 points (of 4, along the curve)")
      for metric in CMC),
    *(Claim("Fig. 10, §5.3", "Triplets beat Joint Bayesian on the features of a classifier", "VGG + triplet",
            UPPER_BAYESIAN.name, metric) for metric in CMC),
)  # fmt: skip

# Looked at under other circumstances: the whole method against triplets, and the fields that count steps.
MAIN = next(claim for claim in CLAIMS if (claim.better, claim.worse) == (MIXED_CCL.name, VGG_TRIPLET.name))
LENGTHS = ("iterations", "decay_every")

TERM = {row.name: "lower" for row in (VGG_TRIPLET, VGG_CCL, MODELS_TRIPLET, MODELS_CCL)}  # their only one
CONVERGENCE = (
    *(Convergence("§3.2", f"Coupled clusters {statement}", clusters.name, triplets.name, "lower", measure)
      for clusters, triplets in ((VGG_CCL, VGG_TRIPLET), (MODELS_CCL, MODELS_TRIPLET))
      for statement, measure in (('make training "more stable"', roughness),
                                 ('"accelerate the convergence speed"', half_way))),
    Convergence("Table 3, §5.1", "Triplets fail to converge where models are verified, coupled clusters do not",
                MODELS_CCL.name, MODELS_TRIPLET.name, "lower", remaining),
)  # fmt: skip

# What the paper does not say, and a reader asks: these are questions of this suite.
QUESTIONS = (
    *(Claim("eq. 7, 8", "A constant centre, as the printed gradients have it, beats the loss's true gradient",
            clusters.name, full.name, metric)
      for clusters, full in ((MIXED_CCL, FULL), (VGG_CCL, CCL_FULL)) for metric in SHORT),
    *(Claim("control, eq. 3 to 6", "On one branch coupled clusters by their true gradient beat triplets", full.name,
            triplets.name, metric)
      for full, triplets, metrics in ((CCL_FULL, VGG_TRIPLET, SHORT), (MODELS_FULL, MODELS_TRIPLET, VERIFICATION))
      for metric in metrics),
    *(Claim("control", "The mixed network beats its upper branch alone, which is plain classification of models",
            "Mixed + CCL", UPPER.name, metric) for metric in SHORT),
    *(Claim("control, Fig. 10", "Joint Bayesian beats the distance of the same features", learnt.name, plain.name,
            metric) for learnt, plain in ((UPPER_BAYESIAN, UPPER), (TRIPLET_BAYESIAN, VGG_TRIPLET))
      for metric in CMC[:2]),
    *(Claim("control, Table 3", "Where models are verified, coupled clusters beat triplets on one network",
            MODELS_CCL.name, MODELS_TRIPLET.name, metric) for metric in VERIFICATION),
    *(Claim("control, Table 3", "Where models are verified, the mixed network beats one branch", MODELS_MIXED.name,
            MODELS_CCL.name, metric) for metric in VERIFICATION),
)  # fmt: skip


def rows(scope: str, profile: str = "quick", dataset: str = "rendered") -> tuple[Row, ...]:
    """Which rows a scope fills: the given configuration and what it is measured against, or every table there is."""
    return layout.scope_rows(scope, BASE_ROWS, tables(profile), dataset)
