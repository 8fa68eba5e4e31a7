"""What the paper says of distances (Fig. 1, section III): the more two vehicles share, the closer their images lie.

Networks differ in the scale of their features, so that a distance is measured against that of pairs which share
neither colour nor type, in the same run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from reidpapers.mlsl.sharing import KINDS
from reidpapers.run.records import Record
from reidpapers.show.claims import MARKS, Word, by_place, common, interval
from reidpapers.show.convergence import paired
from reidpapers.show.plots.style import SOFT, blank, figure, look, styled

NOT_MEASURED = "not measured: runs that are newer than this measure have it, and older ones whose weights are kept"
NAMES = {"vehicle": "the vehicle", "color and type": "colour and type", "color": "colour alone", "type": "type alone",
         "neither": "neither"}  # fmt: skip


@dataclass(frozen=True)
class Grade:
    """One sentence on two kinds of pairs, in one row's runs or in two rows'.

    Attributes:
        source: where the paper says it.
        statement: what it says, in a sentence.
        nearer: row and kind of the pairs that should lie closer.
        farther: row and kind that they are compared with.
    """

    source: str
    statement: str
    nearer: tuple[str, str]
    farther: tuple[str, str]


def relative(record: Record, kind: str) -> float:
    """Mean distance of a kind of pairs, in percent of that of pairs which share neither; nan where not measured."""
    means = {row["shares"]: row["mean"] for row in record.exhibits.get("sharing", ())}
    return 100 * means[kind] / means["neither"] if means.get("neither") and kind in means else np.nan


def judge(grade: Grade, results: Mapping[str, Sequence[Record]]) -> tuple[Word, str]:
    """The word, and the mean difference (farther minus nearer) over common seeds with its 95% interval, in percent."""
    near, far = (by_place(results.get(row, ())) for row, _ in (grade.nearer, grade.farther))
    values = [
        relative(far[place], grade.farther[1]) - relative(near[place], grade.nearer[1])
        for place in sorted(common(near, far))
    ]
    return paired([value for value in values if np.isfinite(value)], (*near.values(), *far.values()))


def facts(grades: Sequence[Grade], results: Mapping[str, Sequence[Record]]) -> dict[str, str]:
    """A verdict on each sentence; texts by name."""
    texts = {}
    for grade in grades:
        word, difference = judge(grade, results)
        said = "" if difference == "–" else f" ({difference} % of the distance of pairs that share neither)"
        texts[f"{grade.source}: {grade.statement}"] = f"{MARKS[word]} {word}{said}"
    return texts


@styled
def distances(results: Mapping[str, Sequence[Record]]) -> Figure:
    """Mean distance of pairs by what they share, a line a row, with 95% intervals over seeds.

    Args:
        results: records by row; those in which it was not measured are left out.
    """
    lines = {row: [_line(record) for record in records] for row, records in results.items()}
    lines = {row: [line for line in found if np.isfinite(line).all()] for row, found in lines.items()}
    if not any(lines.values()):
        return blank(NOT_MEASURED)
    picture = figure(3.6)
    axis = picture.subplots()
    for index, (row, found) in enumerate((row, found) for row, found in lines.items() if found):
        pairs = [interval(column) for column in np.array(found).T]
        places = np.arange(len(KINDS)) + 0.06 * (index - len(lines) / 2)
        means, halves = [mean for mean, _ in pairs], [half or 0.0 for _, half in pairs]
        axis.errorbar(places, means, yerr=halves, capsize=3, elinewidth=1.2, label=row, **look(index))
    axis.axhline(100, color=SOFT, lw=0.8)
    axis.set_xticks(range(len(KINDS)), [NAMES[kind] for kind in KINDS])
    axis.set(xlabel="what the two images share", ylabel="mean distance, % of neither's")
    axis.legend()
    return picture


def _line(record: Record) -> list[float]:
    return [relative(record, kind) for kind in KINDS]
