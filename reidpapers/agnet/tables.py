"""What the AGNet-ASL paper prints and claims: its tables as rows of runs, its claims as comparisons of rows.

Attr, ID and All are test features of one trained network, and so is All+STR: only the first of them costs a training.
"""

from __future__ import annotations

from collections.abc import Iterable

from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.evaluation import WEIGHTS
from reidpapers.agnet.paper import SIZES as LISTS
from reidpapers.run.datasets import LABELS
from reidpapers.run.tuning import Arm
from reidpapers.show import layout
from reidpapers.show.claims import Claim
from reidpapers.show.layout import Row, Table

SIZES = tuple(LISTS)  # VehicleID's 800, 1600, 2400 and 3200 vehicles
THETAS, BETAS, ALPHAS = (0.0, 0.3, 0.7, 1.0), (0.0, 0.5, 1.0, 2.0), (0.0, 0.1, 1.0)
HARDS = (0.0, 0.25, 0.5, 1.0)  # shares of the negative pairs that are drawn among vehicles alike
FUSIONS = (0.0, 0.25, 0.5, 0.75)
STR_WEIGHT = 2.0  # ω; the best mAP on held-out training vehicles, see the table "Tuning of ω"
HELD_OUT = 50  # training vehicles that learning rate and ω are chosen on
SWEPT_SEEDS = 1  # of the rows that only show how little a parameter matters

# A row fixes what its table is about, and leaves the rest to the given configuration.
PLAIN = {"feature": "all", "str_weight": 0.0, "held_out": 0}
ALONE = {"branches": "only_id", "only_id_verification": False, **PLAIN}
CE = {"branches": "full", "verification": "ce", "mask": "literal", **PLAIN}
ASL = {**CE, "verification": "asl"}

GIVEN = Row("given configuration")
ONLY_ID = Row("Only-ID", ALONE)
CE_ATTR, CE_ID, CE_ALL = (
    Row(f"AGNet-CE-{name}", {**CE, "feature": name.lower()}) for name in ("Attr", "ID", "All")
)  # fmt: skip
ASL_ATTR, ASL_ID, ASL_ALL = (
    Row(f"AGNet-ASL-{name}", {**ASL, "feature": name.lower()}) for name in ("Attr", "ID", "All")
)  # fmt: skip
STR = Row("AGNet-ASL-All+STR", {**ASL, "str_weight": STR_WEIGHT})
FUSED = (ONLY_ID, CE_ATTR, CE_ID, CE_ALL, ASL_ATTR, ASL_ID, ASL_ALL)

PAIRED = Row("Only-ID + pairs", {**ALONE, "only_id_verification": True, "verification": "ce"}, own=True)
MASKED = Row("Only-ID + mask", {**ALONE, "branches": "masked_id", "mask": "literal"}, own=True)
NO_MASK, SCALED, SPATIAL = (
    Row(f"{name} mask", {**ASL, "mask": kind}, own=True)
    for name, kind in (("no", "none"), ("scaled", "scaled"), ("spatial", "spatial"))
)


def _sweep(name: str, field: str, values: Iterable[float], **more: object) -> tuple[Row, ...]:
    """A row for each value of one parameter."""
    return tuple(Row(f"{name} {value:g}", {**ASL, **more, field: value}, seeds=SWEPT_SEEDS) for value in values)


THETA_ROWS, BETA_ROWS = _sweep("θ", "theta", THETAS), _sweep("β", "beta", BETAS)
ALPHA_ROWS = _sweep("α of eq. 6", "alpha_smooth", ALPHAS)
HARD_ROWS = _sweep("hard pairs", "hard", HARDS)
FUSION_ROWS = _sweep("α of eq. 5", "alpha_feature", FUSIONS)
STR_ROWS = _sweep("ω", "str_weight", WEIGHTS)
TUNED = {"held_out": HELD_OUT, "preset": "small"}
STEPPED, COSINE = {"optimizer": "sgd", "schedule": "steps"}, {"optimizer": "adamw", "schedule": "cosine"}
RATE_ROWS = tuple(
    Row(f"{name}, {how['optimizer']} {rate:g}", {**row, **TUNED, **how, "rate": rate}, own=True, seeds=SWEPT_SEEDS)
    for name, row, how, rates in (
        ("Only-ID", ALONE, STEPPED, (0.02, 0.05, 0.1)),
        ("Only-ID", ALONE, COSINE, (1e-3, 2e-3, 4e-3)),
        ("AGNet-CE", CE, STEPPED, (0.05,)),
        ("AGNet-CE", CE, COSINE, (2e-3,)),
    )
    for rate in rates
)
HELD_ROW = Row("held-out vehicles", {**ASL, **TUNED, **COSINE, "rate": 2e-3}, own=True, seeds=SWEPT_SEEDS)

THREE = ("mAP", "top1", "top5")
SIZED = tuple(f"{size} {score}" for size in SIZES[:3] for score in THREE)
PURITY = ("identity purity", "color purity", "color chance", "type purity", "type chance")
VERI, VEHICLEID = "VeRi-776, which its authors license", "VehicleID, which its authors license"


def published(number: str) -> tuple[Row, ...]:
    """The methods that a printed table sets AGNet beside, in its order; the paper's own rows last."""
    names = dict.fromkeys(row for table, row, _ in layout.printed("agnet") if table == number)
    own = {row.name: row for row in (ASL_ALL, STR)}
    return tuple(own.get(name) or Row(name, None) for name in names)


def tables(profile: str = "quick") -> tuple[Table, ...]:
    """Every results table of the paper and, of the same shape, those of the embedded vehicles."""
    four = tuple(f"{size} {score}" for size in SIZES for score in THREE)
    papers = (
        Table("Table III here", "Test features on the embedded vehicles, by VeRi-776's rule", (*FUSED, STR, PAIRED),
              THREE, ("rendered",)),
        Table("Table IV here", "Test features on the embedded vehicles, by VehicleID's rule", (*FUSED, PAIRED), SIZED,
              ("rendered",)),
        Table("Table I", "Against published methods on VeRi-776", published("Table I"), THREE, ("veri776",), VERI),
        Table("Table II", "Against published methods on VehicleID, by test size", published("Table II"), SIZED,
              ("vehicleid",), VEHICLEID),
        Table("Table III", "Test features on VeRi-776", FUSED, THREE, ("veri776",), VERI),
        Table("Table IV", "Test features on VehicleID, by test size", FUSED, four, ("vehicleid",), VEHICLEID),
        Table("Masks", "What the attribute mask is, and what it adds", (ASL_ALL, SCALED, SPATIAL, NO_MASK, MASKED,
              PAIRED, ONLY_ID), (*THREE, "mask spread")),
        Table("Neighbours", "Shares of an image's five nearest with its identity and, of other vehicles', with its "
              "colour and type, beside what chance gives (Fig. 7)", (*FUSED, NO_MASK), PURITY),
        Table("θ", "Of eq. 7: hard negatives count θ, pairs of one vehicle 1 − θ", THETA_ROWS, THREE),
        Table("β", "Of eq. 6; 0 is cross-entropy", BETA_ROWS, THREE),
        Table("Hard pairs", "Share of the negative pairs that are drawn among vehicles alike, and share of all that "
              "were alike", HARD_ROWS, (*THREE, "pairs alike")),
        Table("α of eq. 6", "Added to the probability in the second logarithm", ALPHA_ROWS, THREE),
        Table("α of eq. 5", "The category embedding counts 1 − α", FUSION_ROWS, THREE),
        Table("ω", "Of the spatio-temporal re-ranking, in mean distances", STR_ROWS, THREE,
              labels=("time", "camera_id")),
    )  # fmt: skip
    return (*papers, *tuning()) if profile == "quick" else papers


def tuning() -> tuple[Table, ...]:
    """What was chosen on held-out training vehicles of the embedded data."""
    plain, others = "held out, ω 0", tuple(f"held out, ω {weight:g} mAP" for weight in WEIGHTS)
    return (
        Table("Tuning of the learning rate", f"Seen by {HELD_OUT} training vehicles that the runs never learnt from",
              RATE_ROWS, (f"{plain} mAP", f"{plain} top1"), ("rendered",)),
        Table("Tuning of ω", f"AGNet-ASL-All, seen by {HELD_OUT} training vehicles that it never learnt from",
              (HELD_ROW,), others, ("rendered",)),
    )  # fmt: skip


BASE_ROWS = (GIVEN, ONLY_ID)
# What is tuned: each training its rate, AGNet-ASL also θ, which the paper does not state; rows that are other tests of
# the same training, or differ from it in one thing that the paper settles, have it too.
RATES, MORE_RATES = (0.005, 0.015, 0.05), (0.002, 0.003, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1)
ARMS = (
    Arm(ONLY_ID.name, {"rate": MORE_RATES}),
    Arm(PAIRED.name, {"rate": MORE_RATES}),
    Arm(MASKED.name, {"rate": MORE_RATES}),
    Arm(CE_ALL.name, {"rate": MORE_RATES}, tuple(row.name for row in (CE_ALL, CE_ID, CE_ATTR))),
    Arm(ASL_ALL.name, {"rate": RATES, "theta": (0.5, 0.7, 0.9)},
        tuple(row.name for row in (GIVEN, ASL_ALL, ASL_ID, ASL_ATTR, STR, NO_MASK, SCALED, SPATIAL, *THETA_ROWS,
                                   *BETA_ROWS, *ALPHA_ROWS, *HARD_ROWS, *FUSION_ROWS, *STR_ROWS))),
)  # fmt: skip
COLUMNS = THREE

ON_SIZES = ("large mAP", "large top1", "small top1")  # the sets are nested: more columns say little more
ORDERS = (
    (ASL_ALL, ASL_ID, "Both embeddings beat the category embedding"),
    (CE_ALL, CE_ID, "Both embeddings beat the category embedding, with cross-entropy"),
    (ASL_ID, ASL_ATTR, "The category embedding beats the attribute embedding"),
    (CE_ID, CE_ATTR, "The category embedding beats the attribute embedding, with cross-entropy"),
    (ASL_ALL, ASL_ATTR, "Both embeddings beat the attribute embedding"),
    (CE_ALL, CE_ATTR, "Both embeddings beat the attribute embedding, with cross-entropy"),
    (ASL_ALL, CE_ALL, "ALS beats cross-entropy"),
    (ASL_ALL, ONLY_ID, "AGNet beats the identity branch alone"),
    (CE_ALL, ONLY_ID, "AGNet beats the identity branch alone, with cross-entropy"),
    (ASL_ID, ONLY_ID, "What the other branches teach improves the category embedding"),
)

# What section IV-D says that AGNet-ASL-All gains, in points; the table's where it and the text part.
# "With the attention structure", Only-ID may mean the row with the mask or the one without: either has to be beaten.
GAINS = {
    (ASL_ID.name, "mAP"): 3.71, (ASL_ATTR.name, "mAP"): 22.64,
    **{(row.name, column): gain for row in (ONLY_ID, MASKED)
       for column, gain in (("mAP", 8.5), ("small top1", 3.59), ("large top1", 3.86))},
}  # fmt: skip


def _claim(source: str, statement: str, better: Row, worse: Row, column: str) -> Claim:
    """That a row beats another; by more than section IV-D says, where it does."""
    margin = GAINS.get((worse.name, column), 0.0) if better == ASL_ALL else 0.0
    dataset = ("VehicleID" if " " in column else "VeRi-776") if margin else None
    by = f"by more than {margin:g} points" if margin else ""
    return Claim(source, statement, better.name, worse.name, column, margin=margin, margin_dataset=dataset, by=by)


CLAIMS = (
    *(_claim("Table III", statement, better, worse, column)
      for better, worse, statement in ORDERS for column in THREE[:2]),
    *(_claim("Table IV", statement, better, worse, column)
      for better, worse, statement in ORDERS for column in ON_SIZES),
    *(_claim("§IV-D", "AGNet beats the identity branch with the attention structure", ASL_ALL, MASKED, column)
      for column in (*THREE[:2], *ON_SIZES)),
    *(Claim("Table IV", "ALS beats cross-entropy, category embedding", ASL_ID.name, CE_ID.name, column)
      for column in ON_SIZES),
    *(Claim("Table I", "Spatio-temporal re-ranking helps", STR.name, ASL_ALL.name, column) for column in THREE),
    *(Claim("Table I, §IV-C1", f"AGNet-ASL beats {rival} without times and places", ASL_ALL.name, rival, column,
            dataset="VeRi-776", printed=layout.value("agnet", "Table I", rival, column))
      for rival, column in (("VAMI+ST", "mAP"), ("VAMI+ST", "top1"), ("PROVID", "top5"))),
    *(Claim("Table II, §IV-C2", f"AGNet-ASL beats {rival}", ASL_ALL.name, rival, column, dataset="VehicleID",
            printed=layout.value("agnet", "Table II", rival, column))
      for rival, column in (("TAMR", "small mAP"), ("TAMR", "small top1"), ("VAMI", "small top5"),
                            ("TAMR", "medium mAP"), ("TAMR", "medium top1"), ("TAMR", "medium top5"),
                            ("TAMR", "large mAP"), ("TAMR", "large top1"), ("TAMR", "large top5"))),
    *(Claim("§IV-C2, against Table II", "AGNet-ASL beats OIFE", ASL_ALL.name, "OIFE", column, dataset="VehicleID",
            printed=layout.value("agnet", "Table II", "OIFE", column)) for column in ("large top1", "large top5")),
)  # fmt: skip

# Looked at under other circumstances: the whole method against one branch, and the field that counts steps.
MAIN = next(claim for claim in CLAIMS if (claim.better, claim.worse) == (ASL_ALL.name, ONLY_ID.name))
LENGTHS = ("iterations",)

# What the paper does not say, and a reader asks: these are questions of this suite.
QUESTIONS = (
    *(Claim(source, statement, better.name, worse.name, column)
      for source, statement, better, worse in (
          ("control", "The identity branch gains from pairs alone", PAIRED, ONLY_ID),
          ("control", "AGNet beats the identity branch that learns from the same pairs", ASL_ALL, PAIRED),
          ("control", "AGNet's category embedding beats the identity branch that learns from the same pairs", CE_ID,
           PAIRED),
          ("eq. 1", "The mask as printed beats none", ASL_ALL, NO_MASK),
          ("eq. 1", "A mask that does not shrink the map beats the printed one", SCALED, ASL_ALL),
          ("eq. 1", "A mask over positions beats the printed one", SPATIAL, ASL_ALL),
          ("eq. 1", "A mask over positions beats one over channels of the same scale", SPATIAL, SCALED),
          ("§IV-D", "The mask helps identity without attribute labels (Only-ID with the attention structure)", MASKED,
           ONLY_ID),
          ("Table III, against ALS", "ALS beats cross-entropy, category embedding", ASL_ID, CE_ID),
          ("Tables III, IV, against ALS", "ALS beats cross-entropy, attribute embedding", ASL_ATTR, CE_ATTR),
      ) for column in THREE[:2]),
    *(Claim("Fig. 7", f"{statement} has the purer neighbourhoods", better.name, worse.name, column)
      for statement, better, worse in (
          ("The attribute embedding, against the category embedding,", ASL_ATTR, ASL_ID),
          ("AGNet, against the identity branch alone,", ASL_ALL, ONLY_ID),
      ) for column in ("color purity", "type purity", "identity purity")),
)  # fmt: skip


def rows(scope: str, profile: str = "quick", dataset: str = "rendered") -> tuple[Row, ...]:
    """Which rows a scope fills: the given configuration and what it is measured against, or every table there is.

    Data without colours, or with neither types nor models, leave those to be run that learn from no attribute.
    """
    labels = LABELS[dataset]
    labelled = "color" in labels and not labels.isdisjoint({"type", "model"})
    rows = layout.scope_rows(scope, BASE_ROWS, tables(profile), dataset)
    return tuple(row for row in rows if labelled or row == GIVEN or not AGNetConfig(**row.changes).needs_attributes())
