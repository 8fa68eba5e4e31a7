"""Tuning alike, carried out: ``python -m reidlib tune PAPER``; see :mod:`reidpapers.run.tuning`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from reidlib.places import write_atomically
from reidpapers.run import tuning
from reidpapers.run.base import Paper
from reidpapers.run.config import Plan
from reidpapers.run.papers import FOLDER
from reidpapers.run.tuning import COLUMNS, PROFILE, WORLDS, Trial
from reidpapers.run.workers import run_all
from reidpapers.show import layout


def tune(paper: Paper, plan: Plan, arms: Sequence[str] = (), show: Callable[[str], None] = print) -> None:
    """Run the trials of a paper's arms, one arm after the other, and write them down as they come.

    An arm that goes on from another one's run, as stage 2 from stage 1, begins with what that was tuned to.

    Args:
        paper: whose.
        plan: how many processes.
        arms: only those of these rows; none: all.
        show: called with a line on each arm that is done.
    """
    rows = {row.name: row for row in layout.scope_rows("all", (), paper.tables.tables(PROFILE), "rendered")}
    for arm in paper.tables.ARMS:
        if arms and arm.row not in arms:
            continue
        base = paper.Config(profile=PROFILE)
        (start,) = layout.configurations([rows[arm.row]], base, [WORLDS[0]])[arm.row]
        settings = arm.settings()
        wanted = [start.but(**setting, seed=world) for setting in settings for world in WORLDS]
        records = run_all(wanted, paper, plan)
        found = [
            Trial(arm.row, setting, record.seed, round(record.whole, 2), record.key)
            for setting, record in zip([s for s in settings for _ in WORLDS], records, strict=True)
        ]
        others = [trial for trial in tuning.trials(paper.name) if not arm.has(trial)]
        _write(paper.name, [*others, *found])
        show(f"{arm.row}: {tuning.best(found)} of {len(settings)} settings")


def _write(paper: str, found: Sequence[Trial]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trial in found:
        setting = json.dumps(trial.setting, sort_keys=True)
        writer.writerow([trial.row, setting, trial.world, f"{trial.score:.2f}", trial.record])
    write_atomically(FOLDER / paper / "trials.csv", text.getvalue())
    tuning.trials.cache_clear()
    tuning.chosen.cache_clear()
