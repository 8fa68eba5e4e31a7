"""What the C2F-Rank paper prints and claims: its tables as rows of runs, its claims as comparisons of rows.

The paper's *GoogLeNet* is the model that all variants start from; here it is called the initial model. In the names of
the variants C stands for the coarse ranking, as in the paper, not for the classification that C is in its eq. 1.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from statistics import fmean

import pandas as pd
from IPython.display import HTML

from reidpapers.c2f_rank.config import NEEDED, TERMS
from reidpapers.run.datasets import LABELS
from reidpapers.run.tuning import Arm
from reidpapers.show import layout
from reidpapers.show.claims import Claim, Record
from reidpapers.show.convergence import Convergence, half_way
from reidpapers.show.layout import Row, Table
from reidpapers.show.sides import best, gain, worst

SIZES = ("small", "medium", "large")
PRINTED = ("vehicleid", "vehicle1m")  # whose numbers the paper prints
OTHERS = tuple(name for name, labels in LABELS.items() if labels >= NEEDED and name not in PRINTED)
ALPHAS, GAMMAS = (50.0, 100.0, 200.0, 500.0), (5.0, 10.0, 20.0, 50.0)
SWEPT_SEEDS = 1  # of the rows that only show how little a choice matters
SLIGHT = 1.0  # points: the largest "slight performance change" over a weight, on which the paper puts no number

# A row fixes what its table is about, and leaves the rest to the given configuration.
WHOLE = {"learning": "ranking", "terms": TERMS}

GIVEN = Row("given configuration")
INITIAL = Row("Initial model", {"learning": "initial"})
CLASSIFICATION = Row("Classification", {"learning": "ranking", "terms": ("classification",)}, own=True)
DRDL = Row("DRDL", None)
FGR = Row("FGR", {"learning": "ranking", "terms": ("fine",)})
C_FGR = Row("C+FGR", {"learning": "ranking", "terms": ("coarse", "fine")})
C_FGR_P = Row("C+FGR+P", {"learning": "ranking", "terms": ("coarse", "fine", "pair")})
C2F = Row("C2F-Rank", WHOLE)
LADDER = (INITIAL, FGR, C_FGR, C_FGR_P, C2F)
GAINS = tuple(
    Row(f"{after.name} minus {before.name}", None, minus=(after.name, before.name))
    for before, after in zip(LADDER, LADDER[1:], strict=False)
)
ALPHA_ROWS = tuple(Row(f"alpha {alpha:g}", {**WHOLE, "alpha": alpha}) for alpha in ALPHAS)
GAMMA_ROWS = tuple(Row(f"gamma {gamma:g}", {**WHOLE, "gamma": gamma}) for gamma in GAMMAS)
Z_ROWS = tuple(
    Row(f"Z of {kind} tuples", {**WHOLE, "normalisation": kind}, own=True, seeds=SWEPT_SEEDS)
    for kind in ("all", "active")
)

# What is tuned: the initial model once for all, and with it the control, whose rate is the same; each variant its rate
# and the margin of its fine ranking, which the paper does not state. The weights α, β and γ are printed.
GRID = {"rate2": (3e-5, 1e-4, 3e-4), "margin_fine": (0.1, 0.2, 0.4)}
SWEPT = (*ALPHA_ROWS, *GAMMA_ROWS, *Z_ROWS)
ARMS = (
    Arm(INITIAL.name, {"rate1": (0.005, 0.01, 0.02, 0.05)},
        tuple(row.name for row in (GIVEN, INITIAL, CLASSIFICATION, FGR, C_FGR, C_FGR_P, C2F, *SWEPT)),
        shared=True),
    Arm(FGR.name, GRID),
    Arm(C_FGR.name, GRID),
    Arm(C_FGR_P.name, GRID),
    Arm(C2F.name, GRID, tuple(row.name for row in (GIVEN, C2F, *SWEPT))),
)  # fmt: skip

MATCH = tuple(f"{size} {top}" for top in ("top1", "top5") for size in SIZES)
RETRIEVAL = tuple(f"{size} retrieval mAP" for size in SIZES)
COLUMNS = ("large top1", "large top5", "large retrieval mAP")
NOTE = 'the initial model is printed as "GoogLeNet"'


def tables(profile: str = "quick") -> tuple[Table, ...]:
    """Every results table of the paper and, of the same shape, those of other data."""
    del profile
    ours, printed = (*LADDER, CLASSIFICATION), (INITIAL, DRDL, *LADDER[1:], CLASSIFICATION)
    vehicleid, vehicle1m = "VehicleID, which its authors license", "Vehicle-1M, which its authors license"
    labels = tuple(sorted(NEEDED))
    return (
        Table("Table 2 here", "Match rate on the data at hand", ours, MATCH, OTHERS),
        Table("Table 3 here", "MAP on the data at hand, by the rule of Table 3", ours, RETRIEVAL, OTHERS),
        Table("Table 2", f"Match rate on VehicleID; {NOTE}", printed, MATCH, PRINTED[:1], vehicleid),
        Table("Table 3", f"MAP on VehicleID; {NOTE}", printed, RETRIEVAL, PRINTED[:1], vehicleid),
        Table("Table 4", f"Match rate on Vehicle-1M; {NOTE}", ours, MATCH, PRINTED[1:], vehicle1m),
        Table("Table 5", f"MAP on Vehicle-1M; {NOTE}", ours, RETRIEVAL, PRINTED[1:], vehicle1m),
        Table("Gains", "What each term adds, paired by seed, in points", GAINS, (*MATCH[:3], *RETRIEVAL),
              labels=labels),
        Table("Weight α", "Of the coarse ranking; β stays 1000", ALPHA_ROWS, COLUMNS, labels=labels),
        Table("Weight γ", "Of the pair term; β stays 1000", GAMMA_ROWS, COLUMNS, labels=labels),
        Table("Normalisation", "What Z_c and Z_f count, which the paper leaves open", Z_ROWS, COLUMNS, labels=labels),
    )  # fmt: skip


BASE_ROWS = (GIVEN, INITIAL, CLASSIFICATION)

STEPS = (
    (FGR, INITIAL, "The fine ranking beats the initial model"),
    (C_FGR, FGR, "The coarse ranking adds to the fine one"),
    (C_FGR_P, C_FGR, "The pair term adds to both rankings"),
    (C2F, C_FGR_P, "Classification of models adds to the rest"),
)


def _sources(column: str, better: Row) -> str:
    """Where the paper prints an order."""
    if column in RETRIEVAL:
        return "Tables 3, 5"
    # In Table 2 the two stand equal at 74.8.
    return "Table 4" if (column, better) == ("medium top5", C_FGR_P) else "Tables 2, 4"


CLAIMS = (
    *(Claim(_sources(column, better), statement, better.name, worse.name, column)
      for better, worse, statement in STEPS for column in (*MATCH, *RETRIEVAL)),
    *(Claim("Fig. 3, 4", f"{row.name} beats the initial model, also further down the list", row.name, INITIAL.name,
            column)
      for row in LADDER[2:] for column in ("small top1", "small top20")),
    Claim("Fig. 3, 4", f"{FGR.name} beats the initial model, also further down the list", FGR.name, INITIAL.name,
          "small top20"),
    *(Claim('"Results on Vehicle-1M"', "The coarse ranking makes the largest gain of the terms that join the fine one",
            gain(C_FGR.name, FGR.name), (gain(C_FGR_P.name, C_FGR.name), gain(C2F.name, C_FGR_P.name)), column)
      for column in COLUMNS),
    *(Claim("Parameter Setting", f"{weight} over a factor of ten changes performance only slightly: by less than "
            f"{SLIGHT:g} point", best(names), worst(names), column, within=SLIGHT)
      for weight, names in (("α", [row.name for row in ALPHA_ROWS]), ("γ", [row.name for row in GAMMA_ROWS]))
      for column in COLUMNS[::2]),
    *(Claim("Parameter Setting", "α = 100 is the best", "alpha 100",
            tuple(row.name for row in ALPHA_ROWS if row.name != "alpha 100"), column) for column in COLUMNS[::2]),
    *(Claim("Parameter Setting", "γ = 10 is the best", "gamma 10",
            tuple(row.name for row in GAMMA_ROWS if row.name != "gamma 10"), column) for column in COLUMNS[::2]),
    *(Claim("Tables 2, 3", "C2F-Rank beats DRDL", C2F.name, DRDL.name, column, dataset="VehicleID",
            printed=layout.value("c2f_rank", "Table 3" if column in RETRIEVAL else "Table 2", DRDL.name, column))
      for column in (*MATCH, *RETRIEVAL)),
    *(Claim("Tables 2, 3", "The fine ranking alone beats DRDL on nearly all measures", FGR.name, DRDL.name, column,
            dataset="VehicleID", printed=layout.value("c2f_rank", table, DRDL.name, column))
      for table, columns in (("Table 2", (*MATCH[:3], *MATCH[4:])), ("Table 3", RETRIEVAL[1:2])) for column in columns),
)  # fmt: skip

# Looked at under other circumstances: the whole method against what it starts from, and the fields that count steps.
MAIN = next(claim for claim in CLAIMS if (claim.better, claim.worse) == (C2F.name, INITIAL.name))
LENGTHS = ("iterations1", "iterations2")

TERM = {row.name: "fine" for row in LADDER[1:]}  # which all variants learn
CONVERGENCE = tuple(
    Convergence('"Results on VehicleID"', f"Without classification convergence is slower ({term})", C2F.name,
                C_FGR_P.name, term, half_way) for term in TERMS[1:]
)  # fmt: skip

# What the paper does not say, and a reader asks: these are questions of this suite.
QUESTIONS = tuple(
    Claim(source, statement, better.name, worse.name, column)
    for source, statement, better, worse in (
        ("control", "The fine ranking beats classification continued for as long", FGR, CLASSIFICATION),
        ("control", "C2F-Rank beats classification continued for as long", C2F, CLASSIFICATION),
        ("control", "Classification of the target's models helps by itself", CLASSIFICATION, INITIAL),
        ("whole", "The four terms together beat the fine ranking alone", C2F, FGR),
        ("whole", "The four terms together beat the initial model", C2F, INITIAL),
    )
    for column in COLUMNS[::2]
)


def rows(scope: str, profile: str = "quick", dataset: str = "rendered") -> tuple[Row, ...]:
    """Which rows a scope fills: the given configuration and what it is measured against, or every table there is."""
    return layout.scope_rows(scope, BASE_ROWS, tables(profile), dataset)


def compared(rows_of: Mapping[str, pd.DataFrame]) -> HTML:
    """Table 1: images, vehicles and models of the datasets as printed, and of the data at hand.

    Args:
        rows_of: manifest rows of the data at hand, by the name shown.
    """
    names = ("images", "vehicles", "models")
    printed = layout.printed("c2f_rank")
    benchmarks = dict.fromkeys(row for table, row, _ in printed if table == "Table 1")
    lines = [(f"{row}, as printed", [int(printed["Table 1", row, name]) for name in names]) for row in benchmarks]
    for title, rows in rows_of.items():
        lines.append((title, [rows[name].nunique() for name in ("image", "vehicle_id", "model")]))
    body = "".join(
        f'<tr><th scope="row">{html.escape(title)}</th>'
        + "".join(f'<td class="number">{count:,}</td>' for count in counts)
        + "</tr>"
        for title, counts in lines
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("dataset", *names))
    return HTML(
        '<table class="results"><caption><strong>Table 1.</strong> Datasets of vehicle re-identification, and the data '
        f"at hand.</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def ratios(records: Sequence[Record]) -> dict[str, str]:
    """How large the terms are in the first iterations, unweighted, beside what the paper saw at the start.

    Args:
        records: of C2F-Rank itself, one a seed.
    """
    printed = {"coarse": "C / R_c, about 100 in the paper", "fine": "C / R_f, about 1000", "pair": "C / P, about 10"}
    means = {term: fmean(record.history[term][0] for record in records) for term in TERMS}
    sizes = {f"{term}, mean over seeds": f"{mean:.3f}" for term, mean in means.items()}
    return sizes | {name: f"{means['classification'] / means[term]:.1f}" for term, name in printed.items()}
