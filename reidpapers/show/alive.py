"""Whether a run can bear a verdict: it has learnt, its loss has flattened, and it knows more than it started from.

Read from records alone: their loss curves, what :mod:`reidpapers.run.fit` noted, and for the last the rows of their
world that nothing learnt, see :mod:`reidpapers.show.standing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from reidpapers.run.records import Record
from reidpapers.show import standing

ASLEEP = 0.97  # of the value for a network that tells nothing apart, from which on a term has not been learnt
FALLING = 0.05  # share by which the last tenth of a training may lie below the tenth before
GAIN = 10.0  # points of mAP over ImageNet's features as they are


def problems(record: Record) -> list[str]:
    """What keeps one run from bearing a verdict, in words; empty where nothing does, or where it was not noted."""
    found = [f"its {term} loss stayed at {value:.3g}, where nothing is told apart" for term, value in asleep(record)]
    if (fall := still_falling(record)) > FALLING:
        found.append(f"its loss still fell by {100 * fall:.0f} % in its last tenth")
    return found


def asleep(record: Record) -> list[tuple[str, float]]:
    """Loss terms that ended where a network ends that tells nothing apart, and their values."""
    ends = {term: _mean(record, term, -1) for term in record.fit.get("levels", {}) if term in record.history}
    return [(term, end) for term, end in ends.items() if end >= ASLEEP * record.fit["levels"][term]]


def still_falling(record: Record) -> float:
    """By which share the last tenth of the total loss lies below the tenth before; 0 for a run that trains nothing."""
    if not record.history.get("total"):
        return 0.0
    before, after = _mean(record, "total", -2), _mean(record, "total", -1)
    return (before - after) / abs(before) if before else 0.0


def _mean(record: Record, term: str, tenth: int) -> float:
    return float(np.array_split(np.asarray(record.history[term], np.float64), 10)[tenth].mean())


def gate(sides: Sequence[Sequence[Record]]) -> str:
    """Why a comparison cannot be judged here, in words; empty where it can.

    Args:
        sides: the records of either side, one a replicate.
    """
    everything = [record for side in sides for record in side]
    if reason := only_to_try_out(everything):
        return reason
    for record in everything:
        if found := problems(record):
            return f"a run cannot bear a verdict: {'; '.join(found)} (seed {record.seed})"
    if not any("worlds" in record.data for record in everything):
        return ""  # data of a user's own: where their features stand is theirs to say
    return _knows_too_little(max(sides, key=lambda side: np.mean([record.whole for record in side])))


def only_to_try_out(records: Iterable[Record]) -> str:
    """Why records of embedded vehicles cannot be judged: they are of a single world, where networks know little."""
    for record in records:
        if record.data.get("name", "").startswith("rendered") and "worlds" not in record.data:
            return f"{record.data['name']} is a single world, for trying out; profile study is judged"
    return ""


def _knows_too_little(side: Sequence[Record]) -> str:
    """Why the better side knows too little to be judged, if it does."""
    references = [standing.of(record) for record in side]
    if not all(references):
        return "where features stand in its worlds is not known: python -m reidlib standing"
    ours = float(np.mean([record.whole for record in side]))
    start = float(np.mean([found[standing.START] for found in references]))
    if ours < start + GAIN:
        return (
            f"the better row has mAP {ours:.1f}, ImageNet's features as they are {start:.1f}: less than {GAIN:g} more"
        )
    kind = float(np.mean([found[standing.KIND] for found in references]))
    if side[0].config["preset"].startswith("study_twins") and ours <= kind:
        return f"the better row has mAP {ours:.1f}, who knows model and colour alone {kind:.1f}"
    return ""
