"""Tuning alike: every arm the same number of trials, all of them kept, the best mean taken and nothing overridden."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from reidpapers.mlsl.config import MLSLConfig
from reidpapers.run import tuning
from reidpapers.run.papers import RUNS, load
from reidpapers.run.tuning import Arm, Trial
from reidpapers.show import layout
from reidpapers.show.layout import Row

TUNED = [name for name in RUNS if hasattr(load(name).tables, "ARMS")]


def trial(setting, world, score, row="A"):
    return Trial(row, setting, world, score, f"{row}-{world}")


def test_settings_are_all_combinations():
    assert Arm("A", {"rate": (1, 2), "margin": (3, 4)}).settings() == [
        {"rate": 1, "margin": 3}, {"rate": 1, "margin": 4}, {"rate": 2, "margin": 3}, {"rate": 2, "margin": 4},
    ]  # fmt: skip


def test_the_best_mean_over_worlds_wins():
    found = [trial({"rate": 1}, 100, 30.0), trial({"rate": 1}, 101, 10.0), trial({"rate": 2}, 100, 21.0),
             trial({"rate": 2}, 101, 22.0), trial({"rate": 3}, 100, 99.0)]  # fmt: skip
    assert tuning.best(found) == {"rate": 2}, "a setting that one world lacks does not count"


def test_a_setting_at_which_a_term_is_not_learnt_is_taken_only_where_there_is_no_other():
    dead = [trial({"rate": 1}, 100, 40.0), replace(trial({"rate": 1}, 101, 40.0), asleep=("id",))]
    alive = [trial({"rate": 2}, world, 20.0) for world in (100, 101)]
    assert tuning.best([*dead, *alive]) == {"rate": 2} and tuning.best(dead) == {"rate": 1}


@pytest.mark.parametrize("name", TUNED)
def test_arms_are_rows_and_second_stages_have_as_many_trials_each(name):
    paper = load(name)
    rows = {row.name for row in layout.scope_rows("all", (), paper.tables.tables("study"), "rendered")}
    rows |= {row.name for row in paper.tables.BASE_ROWS}
    assert all({arm.row, *arm.rows} <= rows and set(arm.grid) <= set(paper.Config.model_fields)
               for arm in paper.tables.ARMS)  # fmt: skip
    alone = [len(arm.settings()) for arm in paper.tables.ARMS if not arm.shared]
    assert len(set(alone)) == 1 and alone[0] >= 9


@pytest.mark.parametrize("name", TUNED)
def test_trials_are_of_the_arms_and_of_worlds_that_are_not_judged(name):
    arms = {(arm.row, *sorted(arm.grid)) for arm in load(name).tables.ARMS}
    for one in tuning.trials(name):
        assert one.world in tuning.WORLDS and (one.row, *sorted(one.setting)) in arms and 0 < one.score < 100
    assert not set(tuning.WORLDS) & set(range(20))


def test_a_row_is_as_it_was_tuned_where_caller_and_row_leave_it_open(monkeypatch):
    monkeypatch.setattr(tuning, "tuned", lambda paper, row: {"rate2": 5e-4, "margin": 0.5} if row == "A" else {})
    rows = [Row("A", {"margin": 0.75}), Row("B")]
    for base, expected in (
        (MLSLConfig(profile="study"), [(5e-4, 0.75), (1e-3, 1.0)]),
        (MLSLConfig(profile="study", rate2=2e-3), [(2e-3, 0.75), (2e-3, 1.0)]),
        (MLSLConfig(), [(1e-3, 0.75), (1e-3, 1.0)]),
    ):
        found = layout.configurations(rows, base, [4])
        assert [(found[row][0].rate2, found[row][0].margin) for row in "AB"] == expected
        assert {found[row][0].data_seed for row in "AB"} == {4 if base.profile == "study" else 0}


def test_a_trial_from_before_the_grid_was_moved_is_kept_and_never_taken(monkeypatch):
    arm = Arm("A", {"rate": (1, 2)})
    found = tuple(trial({"rate": rate}, world, score) for rate, score in ((1, 20.0), (2, 21.0), (4, 99.0))
                  for world in tuning.WORLDS)  # fmt: skip
    paper = SimpleNamespace(tables=SimpleNamespace(ARMS=(arm,)))
    monkeypatch.setattr(tuning, "trials", lambda paper: found)
    monkeypatch.setattr(tuning, "load", lambda name: paper)
    assert tuning.chosen.__wrapped__("any") == {"A": {"rate": 2}}
    assert not arm.has(found[-1]) and arm.has(found[0]) and not Arm("B", arm.grid).has(found[0])
