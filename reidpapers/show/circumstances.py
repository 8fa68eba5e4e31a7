"""What a paper's main claim depends on: the difference of its rows at other lengths, in other worlds, on photographs.

A paper's ``tables.py`` says which claim is the main one (``MAIN``) and which fields count steps (``LENGTHS``). Each
circumstance changes both rows alike, and leaves what they were tuned to; the rows are run by ``--scope circumstances``.
The words are those of all verdicts, corrected for the number of circumstances, from :data:`REPLICATES` worlds on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reidpapers.run.config import Config, ConfigError
from reidpapers.run.records import Record
from reidpapers.show import photographs
from reidpapers.show.claims import Claim, Verdict
from reidpapers.show.judgement import judged
from reidpapers.show.layout import Row
from reidpapers.vehicles.simulated import SUFFIX

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

SCOPE = "circumstances"
REPLICATES = 3
STREET = "study"  # whose worlds others stand in for
TIMES: Mapping[str, float] = {"half the length": 0.5, "twice the length": 2.0}
WORLDS: Mapping[str, str] = {
    "150 training vehicles instead of 600": "study_few",
    "2.5 vehicles a model and colour instead of 1.3": "study_twins",
}
PHOTOGRAPHS = "on photographs"


def wanted(paper: Paper, scope: str, base: Config) -> tuple[Row, ...]:
    """The rows that a scope fills, those of the circumstances among them.

    Raises:
        ConfigError: circumstances of what has no main claim.
    """
    if scope != SCOPE:
        return paper.tables.rows(scope, base.profile, base.dataset)
    if not hasattr(paper.tables, "MAIN"):
        raise ConfigError(f"scope = {scope!r} is refused: {paper.name} has no main claim; allowed are base, all")
    return rows(paper, base)


def rows(paper: Paper, base: Config) -> tuple[Row, ...]:
    """Both rows of the main claim under each circumstance that the base configuration can be put in."""
    every = {row.name: row for row in paper.tables.rows("all", base.profile, base.dataset)}
    sides = (paper.tables.MAIN.better, *paper.tables.MAIN.rivals)
    return tuple(
        Row(called(side, name), {**every[side].changes, **changes}, own=True, seeds=REPLICATES, tuned_as=side)
        for side in sides
        for name, changes in _changes(base.but(**every[side].changes), paper.tables.LENGTHS).items()
    )


def called(row: str, circumstance: str) -> str:
    """What a row is called under a circumstance."""
    return f"{row}, {circumstance}"


def _changes(config: Config, lengths: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What each circumstance changes in a configuration; other worlds are known of the street alone."""
    found = {name: _scaled(config, lengths, factor) for name, factor in TIMES.items()}
    street, simulated, _ = config.preset.partition(SUFFIX)
    if config.dataset == "rendered" and street == STREET:
        found |= {name: {"preset": f"{world}{simulated}"} for name, world in WORLDS.items()}
    return found


def _scaled(config: Config, lengths: Sequence[str], factor: float) -> dict[str, Any]:
    """A configuration's lengths times a factor, in epochs where it counts these."""
    found: dict[str, Any] = {}
    for steps in lengths:
        epochs = config.EPOCHS.get(steps)
        if epochs and getattr(config, epochs):
            found[epochs] = factor * getattr(config, epochs)
        else:
            found[steps] = max(1, round(factor * getattr(config, steps)))
    return found


def verdicts(
    paper: str, main: Claim, study: Mapping[str, Sequence[Record]], varied: Mapping[str, Sequence[Record]]
) -> list[Verdict]:
    """The main claim judged under each circumstance, all of them together.

    Args:
        paper: its name, for its scores on photographs.
        main: the claim.
        study: records of profile study by row, of which photographs were tried.
        varied: records by the rows' names under circumstances.
    """
    claims = [_under(main, name, main.metric) for name in (*TIMES, *WORLDS)]
    measure = "top1" if main.metric.endswith("top1") else "mAP"
    real = {called(row, PHOTOGRAPHS): _on_photographs(paper, study.get(row, ())) for row in (main.better, *main.rivals)}
    return judged([*claims, _under(main, PHOTOGRAPHS, measure)], {**varied, **real})


def _under(main: Claim, name: str, metric: str) -> Claim:
    """The main claim under a circumstance: a statement of its own."""
    better, *rivals = (called(row, name) for row in (main.better, *main.rivals))
    return replace(main, statement=name, better=better, worse=tuple(rivals), metric=metric, replicates=REPLICATES)


def _on_photographs(paper: str, records: Sequence[Record]) -> list[Record]:
    """Runs with their scores on photographs in the place of those in their world; without those that have none."""
    found = []
    for record in records:
        scores = {measure: photographs.of(paper, record, measure) for measure in ("mAP", "top1")}
        if None not in scores.values():
            found.append(replace(record, scores={name: value / 100 for name, value in scores.items()}, tests={}))
    return found
