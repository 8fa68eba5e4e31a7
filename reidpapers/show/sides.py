"""Sides of a claim that are made of several rows: what one has more than another, the best or the worst of many.

A side is text as a row's name is, and stands wherever a row's name stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Side(str):
    """What several rows amount to, seed by seed.

    Attributes:
        rows: their names.
        of: their scores in this order → the side's.

    >>> side = gain("C+FGR", "FGR")
    >>> side, side.of([42.0, 40.5])
    ('C+FGR minus FGR', 1.5)
    """

    rows: tuple[str, ...]
    of: Callable[[Sequence[float]], float]

    def __new__(cls, name: str, rows: Sequence[str], of: Callable[[Sequence[float]], float]) -> Side:
        side = super().__new__(cls, name)
        side.rows, side.of = tuple(rows), of
        return side


def gain(after: str, before: str) -> Side:
    """What one row has more than another."""
    return Side(f"{after} minus {before}", (after, before), lambda scores: scores[0] - scores[1])


def best(rows: Sequence[str]) -> Side:
    """The highest score of some rows, whichever has it."""
    return Side(f"best of {rows[0]} to {rows[-1]}", rows, max)


def worst(rows: Sequence[str]) -> Side:
    """The lowest score of some rows, whichever has it."""
    return Side("worst of them", rows, min)


def rows_of(side: str) -> tuple[str, ...]:
    """The rows behind a side: itself, if it is a row's name."""
    return side.rows if isinstance(side, Side) else (side,)


def value_of(side: str, scores: Sequence[float]) -> float:
    """A side's score from those of its rows."""
    return side.of(scores) if isinstance(side, Side) else scores[0]
