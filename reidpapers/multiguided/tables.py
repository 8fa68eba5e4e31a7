"""What the multi-guided paper prints and claims: its tables as rows of runs, its claims as comparisons of rows.

Table 2 adds one extractor a row. What the paper says of its ingredients, it says in words and without numbers: each is
a row of its own here.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from IPython.display import HTML

from reidpapers.multiguided.config import EXTRACTORS, MultiGuidedConfig, starts_from
from reidpapers.show import layout
from reidpapers.show.claims import Claim, Record
from reidpapers.show.layout import Results, Row, Table

NAMES = {"res50": "Res50", "agn": "AGN", "dense161bs": "Dense161BS", "dense161": "Dense161", "hrnet": "HRnet"}
ENOUGH = 0.80  # IoU of masks that can tell a vehicle from its background
SWEPT_SEEDS = 1  # of the rows that only show how much a value matters
REAL_SHARE = (1 / 2, 36_935 / 229_085)  # of the training images: embedded, and of the paper's
DELTAS, THETAS = (0.05, 0.1, 0.2, 0.4), (0.1, 0.25, 0.4, 0.6)

# A row fixes what its table is about, and leaves the rest to the given configuration.
PROCESSED = {"constraint": True, "constraint_by": "classifiers", "literal": False, "groups": "both",
             "theta_on": "distance", "reciprocal": False}  # fmt: skip
PLAIN = {**PROCESSED, "constraint": False, "groups": "none"}
INGREDIENTS = {"shrink": 0.5, "erase": 0.5, "simulated": True, "center_weight": 5e-4, "triplet_weight": 1.0,
               "center_on": "f"}  # fmt: skip


def joined(members: tuple[str, ...], changes: dict | None = None) -> dict:
    """The changes that make an ensemble of some members."""
    return {"learning": "ensemble", "members": members, "shares": (), **(PROCESSED if changes is None else changes)}


def alone(extractor: str, **changes: object) -> dict:
    """The changes that train one extractor."""
    return {"learning": "extractor", "extractor": extractor, **INGREDIENTS, **changes}


GIVEN = Row("given configuration")
LADDER = tuple(
    Row("+".join(NAMES[name] for name in EXTRACTORS[:count]), joined(EXTRACTORS[:count]))
    for count in range(1, len(EXTRACTORS) + 1)
)
GAINS = tuple(
    Row(f"adding {NAMES[name]}", None, minus=(after.name, before.name))
    for name, before, after in zip(EXTRACTORS[1:], LADDER, LADDER[1:], strict=False)
)
SINGLE = {name: Row(f"{title} alone", alone(name), own=True) for name, title in NAMES.items()}
RES50 = SINGLE["res50"]
NO_SHRINK = Row("Res50 without shrink", alone("res50", shrink=0.0), own=True)
NO_ERASING = Row("Res50 without erasing", alone("res50", erase=0.0), own=True)
NO_SIMULATED, FEWER_STEPS = "Res50 without simulated images", "Res50 without simulated images, as many epochs"
NO_CENTER = Row("Res50 without centre loss", alone("res50", center_weight=0.0), own=True)
NO_TRIPLET = Row("Res50 without triplet loss", alone("res50", triplet_weight=0.0), own=True)
ON_F_BN = Row("Res50, centre loss on f_bn", alone("res50", center_on="f_bn"), own=True, seeds=SWEPT_SEEDS)
F_ID = Row("AGN, f_id", {**joined(("agn",), PLAIN), "agn_feature": "f_id"}, own=True)
F_C = Row("AGN, f_c", {**joined(("agn",), PLAIN), "agn_feature": "f_c"}, own=True)
COLOR = Row("Colour classifier", {"learning": "classifier_color"}, own=True)
TYPE = Row("Type classifier", {"learning": "classifier_type"}, own=True)
PSPNET = Row("PSPNet", {"learning": "segmenter"}, own=True)


def _processed(name: str, **changes: object) -> Row:
    return Row(name, joined(EXTRACTORS, {**PLAIN, **changes}), own=True)


WHOLE = LADDER[-1]
NOTHING = _processed("No post-processing")
CONSTRAINT = _processed("Attribute constraint", constraint=True)
LITERAL = _processed("Attribute constraint, eq. 6 as printed", constraint=True, literal=True)
BY_AGN = _processed("Attribute constraint, predicted by AGN", constraint=True, constraint_by="agn")
GROUPS = _processed("Group re-ranking", groups="both")
QUERIES = _processed("Group re-ranking, queries alone", groups="queries")
TRACKS = _processed("Group re-ranking, tracks alone", groups="tracks")
ONE = _processed("Group re-ranking, one threshold for both uses", groups="both", theta_query=0.25, theta_gallery=0.25)
BOTH = Row("Constraint and groups", joined(EXTRACTORS))
PENALISED = _processed("Constraint and groups, θ after penalties", constraint=True, groups="both",
                       theta_on="penalised")  # fmt: skip
RECIPROCAL = _processed("k-reciprocal encoding", reciprocal=True)
DELTA_ROWS = tuple(
    Row(f"delta {value:g}", {**joined(EXTRACTORS, {**PLAIN, "constraint": True}), "delta_type": value,
                             "delta_color": value}, own=True, seeds=SWEPT_SEEDS)
    for value in DELTAS
)  # fmt: skip
THETA_ROWS = tuple(
    Row(f"theta {value:g}", {**joined(EXTRACTORS, {**PLAIN, "groups": "both"}), "theta_query": value,
                             "theta_gallery": value}, own=True, seeds=SWEPT_SEEDS)
    for value in THETAS
)  # fmt: skip

COLUMNS = ("mAP", "top1", "plain mAP")
STEPS = ("mAP", "top1", "plain mAP")
SCORES = ("mAP", "top1", "all mAP")
SIZES = ("mAP", "small objects mAP", "large objects mAP", "other backgrounds mAP")
SKILLS = ("color accuracy", "type accuracy", "masks iou")


def without_simulated(profile: str) -> tuple[Row, Row]:
    """Res50 on real images alone: for as many steps as on all, and for as many epochs, which the paper fixes."""
    scale, share = MultiGuidedConfig.SCALES[profile], REAL_SHARE[profile == "paper"]
    as_steps, as_epochs = {}, {}
    if "epochs" in scale:
        as_steps["epochs"] = round(scale["epochs"] / share)
    else:
        as_epochs["iterations"] = round(scale["iterations"] * share)
    names = {NO_SIMULATED: as_steps, FEWER_STEPS: as_epochs}
    first, second = (Row(name, alone("res50", simulated=False, **c), own=True) for name, c in names.items())
    return first, second


def tables(profile: str = "quick") -> tuple[Table, ...]:
    """Table 2, and what the paper says in words; a profile sets the length of :func:`without_simulated`."""
    return (
        Table("Table 2", "One extractor more a row, with constraint and groups, since the paper's last row is its "
              "entry on the leader board; plain: the joined features alone; Top-1 is the abstract's", LADDER, STEPS),
        Table("Gains", "What each extractor adds, paired by seed, in points", GAINS, STEPS),
        Table("Extractors", "Each by itself, without post-processing", tuple(SINGLE.values()), SIZES),
        Table("Ingredients", "Res50 with one thing left out, all else equal", (RES50, NO_SHRINK, NO_ERASING,
              *without_simulated(profile), NO_CENTER, NO_TRIPLET, ON_F_BN), SIZES),
        Table("AGN's feature", "The identity branch alone, or with colour and type beside it", (F_ID, F_C), SCORES),
        Table("Post-processing", "Of all five extractors", (NOTHING, CONSTRAINT, LITERAL, BY_AGN, GROUPS, QUERIES,
              TRACKS, ONE, BOTH, PENALISED, RECIPROCAL), SCORES),
        Table("Penalties δ", "Of the attribute constraint alone, in mean distances", DELTA_ROWS, SCORES),
        Table("Thresholds θ", "Of group re-ranking alone, in mean distances", THETA_ROWS, SCORES),
        Table("Attributes and masks", "What is predicted of test images, and of held-out training vehicles' masks",
              (COLOR, TYPE, SINGLE["agn"], PSPNET), SKILLS),
    )  # fmt: skip


BASE_ROWS = (GIVEN,)

CLAIMS = (
    *(Claim("Table 2", f"{NAMES[name]} adds to the extractors before it", after.name, before.name, "mAP")
      for name, before, after in zip(EXTRACTORS[1:], LADDER, LADDER[1:], strict=False)),
    Claim("§3.1", "Random shrink significantly improves the performance on small objects", RES50.name, NO_SHRINK.name,
          "small objects mAP"),
    Claim("§3.1", "Background substitution makes features robust against background noise", SINGLE["dense161bs"].name,
          SINGLE["dense161"].name, "other backgrounds mAP"),
    # The paper trains for a number of epochs, which more images make longer: both readings of "helps" are judged.
    Claim("§3.1", "Training with simulated images helps greatly, for as many steps", RES50.name, NO_SIMULATED,
          "mAP"),
    Claim("§3.1", "Training with simulated images helps greatly, for as many epochs", RES50.name, FEWER_STEPS, "mAP"),
    Claim("§1, §3.3", "The attribute constraint gives more accurate matching", CONSTRAINT.name, NOTHING.name, "mAP"),
    Claim("§1, §3.3", "Group re-ranking gives more accurate matching", GROUPS.name, NOTHING.name, "mAP"),
    Claim("§5", "Constraint and groups together refine the results", BOTH.name, NOTHING.name, "mAP"),
    *(Claim("§2", f"{what} is very effective", RES50.name, without.name, "mAP")
      for what, without in (("Random erasing", NO_ERASING), ("The triplet loss", NO_TRIPLET),
                            ("The centre loss", NO_CENTER))),
)  # fmt: skip

# Looked at under other circumstances: what is guided by attributes, and the fields that count steps.
MAIN, LENGTHS = CLAIMS[0], ("iterations", "iterations_classifier", "iterations_segmenter")

# What the paper does not say, and a reader asks: these are questions of this suite.
QUESTIONS = (
    *(Claim("Table 2, plain", f"{NAMES[name]} adds also without post-processing", after.name, before.name,
            "plain mAP") for name, before, after in zip(EXTRACTORS[1:], LADDER, LADDER[1:], strict=False)),
    Claim("shrink", "Random shrink helps over all objects", RES50.name, NO_SHRINK.name, "mAP"),
    Claim("shrink", "Random shrink helps large objects", RES50.name, NO_SHRINK.name, "large objects mAP"),
    Claim("background", "Background substitution helps on the images as they are", SINGLE["dense161bs"].name,
          SINGLE["dense161"].name, "mAP"),
    Claim("simulation", "Simulated images help among other backgrounds", RES50.name, NO_SIMULATED,
          "other backgrounds mAP"),
    Claim("AGN", "AGN by itself beats Res50 by itself", SINGLE["agn"].name, RES50.name, "mAP"),
    Claim("AGN", "f_c beats f_id", F_C.name, F_ID.name, "mAP"),
    Claim("AGN", "A classifier of its own names colours better than AGN's branch", COLOR.name, SINGLE["agn"].name,
          "color accuracy"),
    Claim("AGN", "A classifier of its own names types better than AGN's branch", TYPE.name, SINGLE["agn"].name,
          "type accuracy"),
    Claim("ensemble", "The five beat the best of them by itself", NOTHING.name,
          tuple(row.name for row in SINGLE.values()), "mAP"),
    Claim("eq. 6", "Eq. 6 as printed beats no constraint", LITERAL.name, NOTHING.name, "mAP"),
    Claim("eq. 6", "Classifiers serve the constraint better than AGN's branches", CONSTRAINT.name, BY_AGN.name, "mAP"),
    Claim("groups", "Grouping queries helps by itself", QUERIES.name, NOTHING.name, "mAP"),
    Claim("groups", "Inserting tracks helps by itself", TRACKS.name, NOTHING.name, "mAP"),
    Claim("groups", "A threshold for each use beats one for both", GROUPS.name, ONE.name, "mAP"),
    Claim("groups", "θ before penalties beats θ after them", BOTH.name, PENALISED.name, "mAP"),
    Claim("yardstick", "Constraint and groups beat k-reciprocal encoding", BOTH.name, RECIPROCAL.name, "mAP"),
    Claim("yardstick", "k-reciprocal encoding beats no post-processing", RECIPROCAL.name, NOTHING.name, "mAP"),
)  # fmt: skip


def rows(scope: str, profile: str = "quick", dataset: str = "rendered") -> tuple[Row, ...]:
    """Which rows a scope fills: the given configuration, or every table there is."""
    return layout.scope_rows(scope, BASE_ROWS, tables(profile), dataset)


def parts(config: MultiGuidedConfig) -> tuple[Row, ...]:
    """What an ensemble starts from, as rows around it: its members, classifiers and PSPNet; they have runs already."""
    if config.learning != "ensemble":
        return ()
    names = {"classifier_color": "colours", "classifier_type": "types"}
    rows = []
    for start in starts_from(config):
        if start.learning == "extractor":
            changes = {"learning": "extractor", "extractor": start.extractor}
            rows.append(Row(f"given, {NAMES[start.extractor]}", changes))
        else:
            rows.append(Row(f"given, {names[start.learning]}", {"learning": start.learning}))
        if starts_from(start):
            rows.append(Row("given, PSPNet", {"learning": "segmenter"}))
    return tuple(rows)


def overview(config: MultiGuidedConfig) -> Table:
    """The given configuration and its parts."""
    return Table("Overview", "The given configuration and what it starts from", (GIVEN, *parts(config)), COLUMNS)


def segmenters(results: Results) -> Sequence[Record]:
    """The records of the PSPNet, one a seed: the table's row, or those that the given configuration starts from."""
    return results.get(PSPNET.name) or results.get("given, PSPNet") or []


def verdict_on_masks(records: Sequence[Record]) -> str:
    """Whether the PSPNet's masks are as good as they are meant to be, in a sentence; one record a seed."""
    if not records:
        return "No PSPNet has been trained yet."
    values = [record.tests["masks"]["iou"] for record in records]
    mean = sum(values) / len(values)
    word = "reaches" if mean >= ENOUGH else "does not reach"
    seeds = "1 seed" if len(values) == 1 else f"{len(values)} seeds"
    return (
        f"Mean IoU on held-out training vehicles: {mean:.3f} ({seeds}); it {word} the {ENOUGH:.2f} that is asked of it."
    )


def leader_board() -> HTML:
    """Table 1: the challenge's leader board as printed. Its scores are of closed labels: nothing of ours can join."""
    printed = layout.printed("multiguided")
    ranks = dict.fromkeys(row for table, row, _ in printed if table == "Table 1")
    body = "".join(
        f'<tr><th scope="row">{html.escape(rank)}</th><td>{html.escape(printed["Table 1", rank, "team"])}</td>'
        f'<td class="number">{printed["Table 1", rank, "score"]}</td></tr>'
        for rank in ranks
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("rank", "team", "score, as printed"))
    return HTML(
        '<table class="results"><caption><strong>Table 1.</strong> Leader board of AI City 2020, track 2; the score is '
        f"mAP.</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
