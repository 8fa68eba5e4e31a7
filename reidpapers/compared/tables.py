"""The comparison of all papers' methods on equal terms: its rows and what is asked of them.

No paper prints such a table, so there are no claims of a paper here. The questions are those a reader has: does a
method beat plain classification of the same length, and does the newer of two methods beat the older one?
"""

from __future__ import annotations

from itertools import combinations

from reidpapers.compared.paper import described
from reidpapers.show import layout
from reidpapers.show.claims import Claim
from reidpapers.show.layout import Row, Table

# From the oldest to the newest paper, after the reference.
REFERENCE = Row("Classification", {"method": "classification"})
METHODS = (
    Row("DRDL", {"method": "drdl"}),
    Row("C2F-Rank", {"method": "c2f_rank"}),
    Row("MLSL", {"method": "mlsl"}),
    Row("AGNet-ASL", {"method": "agnet"}),
    Row("Multi-guided, one extractor", {"method": "multiguided"}),
)
# Five times the images, so that nothing is asked of it.
ENSEMBLE = Row("Multi-guided, ensemble of five", {"method": "multiguided_ensemble"}, seeds=3)
ROWS = (REFERENCE, *METHODS, ENSEMBLE)
BASE_ROWS = ROWS
COLUMNS = ("mAP", "top1", "top5")
ASKED = ("mAP", "top1")
# How long each learns, and what is not as its paper has it.
NOTES = {row.name: described(row.changes["method"]) for row in ROWS}


def tables(profile: str = "quick") -> tuple[Table, ...]:
    """One table: every method."""
    del profile
    return (Table("Comparison", "All methods on equal terms", ROWS, COLUMNS, ("rendered",)),)


CLAIMS: tuple[Claim, ...] = ()
QUESTIONS = (
    *(Claim("against the reference", f"{row.name} beats plain classification of the same length", row.name,
            REFERENCE.name, metric) for row in METHODS for metric in ASKED),
    *(Claim("newer against older", f"{newer.name} beats the older {older.name}", newer.name, older.name, metric)
      for older, newer in combinations(METHODS, 2) for metric in ASKED),
)  # fmt: skip


def rows(scope: str, profile: str = "quick", dataset: str = "rendered") -> tuple[Row, ...]:
    """Which rows a scope fills: all of them, whichever it is."""
    return layout.scope_rows(scope, BASE_ROWS, tables(profile), dataset)
