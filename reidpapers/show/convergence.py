"""What papers say of convergence, judged from the loss terms that records log.

Losses of different form have different scales, so a term is measured against its own first value, after smoothing over
a twentieth of the training. A term that begins at 0 has no such measure: it is not a number, and does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reidpapers.show.alive import only_to_try_out
from reidpapers.show.claims import MARKS, MIN_SEEDS, MIN_WORLDS, Record, Word, by_place, common, interval

Measure = Callable[[Record, str], float]


@dataclass(frozen=True)
class Convergence:
    """One sentence of a paper on how a loss term falls.

    Attributes:
        source: where the paper says it.
        statement: what it says, in a sentence.
        lower: the row whose measure should be lower.
        higher: the row that it is compared with.
        term: of the loss, as both rows log it.
        measure: :func:`half_way`, :func:`roughness` or :func:`remaining`.
    """

    source: str
    statement: str
    lower: str
    higher: str
    term: str
    measure: Measure


def half_way(record: Record, term: str) -> float:
    """Share of the training, in percent, after which a term is half of its first value; 100 if it never is."""
    smooth = _smooth(record, term)
    if not smooth[0]:
        return np.nan
    below = np.flatnonzero(smooth <= smooth[0] / 2)
    return 100 * float(below[0]) / len(smooth) if len(below) else 100.0


def roughness(record: Record, term: str) -> float:
    """How far a term jumps from one logged value to the next, on average, in percent of its first value."""
    return _percent(float(np.abs(np.diff(record.history[term])).mean()), float(_smooth(record, term)[0]))


def remaining(record: Record, term: str) -> float:
    """What is left of a term at the end, in percent of its first value; near 100 of a training that does nothing."""
    smooth = _smooth(record, term)
    return _percent(float(smooth[-1]), float(smooth[0]))


def judge(question: Convergence, results: Mapping[str, Sequence[Record]]) -> tuple[Word, str]:
    """The word, and the mean difference over common seeds (higher row minus lower one) with its 95% interval."""
    low, high = (by_place(results.get(row, ())) for row in (question.lower, question.higher))
    values = [
        question.measure(high[place], question.term) - question.measure(low[place], question.term)
        for place in sorted(common(low, high))
    ]
    return paired([value for value in values if np.isfinite(value)], (*low.values(), *high.values()))


def paired(differences: Sequence[float], records: Sequence[Record] = ()) -> tuple[Word, str]:
    """The word on differences of pairs that should be above 0, one a seed, and their mean with its 95% interval.

    Args:
        differences: one a seed.
        records: those behind them; of what is only for trying out nothing is said.
    """
    if len(differences) < (MIN_WORLDS if any("worlds" in record.data for record in records) else MIN_SEEDS):
        return "not run", "–"
    mean, half = interval(differences)
    if only_to_try_out(records):
        return "not testable here", f"{mean:.1f} ± {half:.1f}".replace("-", "−")
    word: Word = "reproduced" if mean > half else "contradicted" if mean < -half else "open"
    return word, f"{mean:.1f} ± {half:.1f}".replace("-", "−")


def facts(
    rows: Mapping[str, str], questions: Sequence[Convergence], results: Mapping[str, Sequence[Record]]
) -> dict[str, str]:
    """How the terms of some rows fall, and a verdict on each sentence; texts by name.

    Args:
        rows: the term that is looked at, by row.
        questions: what the paper says.
        results: records by row.
    """
    texts = {f"{row}: {term}": _described(results[row], term) for row, term in rows.items() if results.get(row)}
    for question in questions:
        word, difference = judge(question, results)
        texts[f"{question.source}: {question.statement}"] = f"{MARKS[word]} {word} ({difference} points)"
    return texts


def _described(records: Sequence[Record], term: str) -> str:
    half, rough, left = (
        _mean([measure(record, term) for record in records]) for measure in (half_way, roughness, remaining)
    )
    return f"halved after {half}% of the training; jumps by {rough}% of its first value; {left}% left at the end"


def _mean(values: Sequence[float]) -> str:
    finite = [value for value in values if np.isfinite(value)]
    if not finite:
        return "–"
    mean, half = interval(finite)
    return f"{mean:.0f}" if half is None else f"{mean:.0f} ± {half:.0f}"


def _percent(value: float, first: float) -> float:
    return 100 * value / first if first else np.nan


def _smooth(record: Record, term: str) -> np.ndarray:
    """Moving means over a twentieth of what is logged."""
    values = np.asarray(record.history[term], dtype=np.float64)
    width = max(1, len(values) // 20)
    return np.convolve(values, np.full(width, 1 / width), mode="valid")
