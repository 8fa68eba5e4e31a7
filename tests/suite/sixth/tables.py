"""What it prints and claims."""

from __future__ import annotations

from reidpapers.show import layout
from reidpapers.show.claims import Claim
from reidpapers.show.layout import Row, Table

GIVEN, IDENTITY = Row("identity and triplets"), Row("identity alone", {"triplet": 0.0})
BASE_ROWS, COLUMNS = (GIVEN, IDENTITY), ("mAP", "top1")
CLAIMS = (Claim("Table 1", "Triplets help", GIVEN.name, IDENTITY.name, "mAP"),)
QUESTIONS: tuple[Claim, ...] = ()


def tables(profile: str = "quick") -> tuple[Table, ...]:
    """The one table."""
    return (Table("Table 1", "With and without triplets", BASE_ROWS, COLUMNS),)


def rows(scope: str, profile: str = "quick", dataset: str = "rendered") -> tuple[Row, ...]:
    """Which rows a scope fills."""
    return layout.scope_rows(scope, BASE_ROWS, tables(profile), dataset)
