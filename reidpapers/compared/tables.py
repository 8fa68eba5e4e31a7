"""The comparison of all papers' methods on equal terms: its rows, what is tuned and what is asked of them.

No paper prints such a table, so there are no claims of a paper here. The questions are those a reader has: does a
method beat plain classification of the same length, and does a strong baseline of 2019 beat all five?
"""

from __future__ import annotations

from reidpapers.compared.cost import counted
from reidpapers.compared.paper import described
from reidpapers.run.tuning import Arm
from reidpapers.show import layout
from reidpapers.show.claims import Claim
from reidpapers.show.layout import Row, Table

__all__ = ["counted"]  # beside the scores

# From the oldest to the newest paper, after the reference.
REFERENCE = Row("Classification", {"method": "classification"})
METHODS = (
    Row("DRDL", {"method": "drdl"}),
    Row("C2F-Rank", {"method": "c2f_rank"}),
    Row("MLSL", {"method": "mlsl"}),
    Row("AGNet-ASL", {"method": "agnet"}),
    Row("Multi-guided, one extractor", {"method": "multiguided"}),
)
BASELINE = Row("Strong baseline", {"method": "strong_baseline"})
# Five times the images, so that nothing is asked of it.
ENSEMBLE = Row("Multi-guided, ensemble of five", {"method": "multiguided_ensemble"}, seeds=3)
ALIKE = (REFERENCE, *METHODS, BASELINE)
ROWS = (*ALIKE, ENSEMBLE)
# Each once more with the one recipe, where there is time to tune it.
EQUAL_ROWS = tuple(Row(f"{row.name}, equal recipe", {**row.changes, "recipe": "equal"}) for row in ALIKE)
BASE_ROWS = ROWS
COLUMNS = ("mAP", "top1", "top5")
ASKED = ("mAP", "top1")
# How long each learns, and what is not as its paper has it.
NOTES = {row.name: described(row.changes["method"]) for row in ROWS}

# One number is tuned, in as many trials as a paper's arms have; a factor of 1.4 apart.
RATES = (2.5e-4, 3.5e-4, 5e-4, 7e-4, 1e-3, 1.4e-3, 2e-3, 2.8e-3, 4e-3)
ARMS = tuple(Arm(row.name, {"rate": RATES}) for row in EQUAL_ROWS)


def tables(profile: str = "quick") -> tuple[Table, ...]:
    """One table: every method, in profile study by both recipes."""
    rows = (*ROWS, *EQUAL_ROWS) if profile == "study" else ROWS
    return (Table("Comparison", "All methods on equal terms", rows, COLUMNS, ("rendered",)),)


def _questions(rows: tuple[Row, ...], words: str) -> tuple[Claim, ...]:
    """One main question a method, by mAP, and one of the baseline: few, so that all may be answered together.

    Args:
        rows: reference, methods and baseline by one recipe.
        words: that say which, before a name.
    """
    reference, *methods, baseline = rows
    names = [row.name for row in ALIKE[1:]]
    return (
        *(Claim("against the reference", f"{words}{name} beats plain classification of the same length", row.name,
                reference.name, metric)
          for name, row in zip(names, (*methods, baseline), strict=True) for metric in ASKED),
        *(Claim("against a baseline of 2019", f"{words}{BASELINE.name} beats each of the five papers' methods",
                baseline.name, tuple(row.name for row in methods), metric) for metric in ASKED),
    )  # fmt: skip


CLAIMS: tuple[Claim, ...] = ()
QUESTIONS = (*_questions(ALIKE, ""), *_questions(EQUAL_ROWS, "By the equal recipe, "))


def rows(scope: str, profile: str = "quick", dataset: str = "rendered") -> tuple[Row, ...]:
    """Which rows a scope fills: all of them, whichever it is."""
    del scope
    return layout.scope_rows("all", (), tables(profile), dataset)
