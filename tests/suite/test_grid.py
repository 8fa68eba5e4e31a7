"""Grids as jobs: nothing is left out or made twice, a job reads back as it was planned, stamps follow the store."""

import json
import os
import shlex
from collections import Counter
from pathlib import Path

import pytest

from reidpapers.grid import jobs, stamps, summary
from reidpapers.grid import plan as plans
from reidpapers.run import runs, workers
from reidpapers.run.config import ConfigError, Plan, configure
from reidpapers.run.papers import load
from reidpapers.show import layout

ROOT = Path(__file__).resolve().parents[2]


def names(job):
    return [jobs.record_name(job.paper, config) for config in job.configs]


def wanted(paper, profile, seeds):
    """The records behind all tables, by the tables themselves."""
    base, _ = configure(load(paper).Config, {"profile": profile})
    rows = layout.configurations(load(paper).tables.rows("all", profile, base.dataset), base, seeds)
    return {jobs.record_name(paper, config) for configs in rows.values() for config in configs}


def as_papermill_reads(parameters):
    from papermill.cli import _resolve_type

    return {name: _resolve_type(plans._text(value)) for name, value in parameters.items()}


@pytest.mark.parametrize("paper", jobs.RUNS)
@pytest.mark.parametrize("per", ["seed", "configuration"])
def test_jobs_make_every_record_of_the_tables_and_each_once(paper, per):
    found = jobs.jobs(jobs.order({"papers": paper, "profile": "smoke", "seeds": [3, 1, 2], "per": per}))
    made = Counter(name for job in found.values() for name in set(names(job)))
    assert wanted(paper, "smoke", [3, 1, 2]) <= set(made) and set(made.values()) == {1}
    assert len(found) == 3 if per == "seed" else all(len(job.configs) == 1 for job in found.values())


@pytest.mark.parametrize("paper", jobs.RUNS)
def test_a_job_stands_after_all_that_its_run_starts_from(paper):
    found = jobs.jobs(jobs.order({"papers": paper, "profile": "paper", "device": "cpu", "seeds": [0, 1]}))
    done = set()
    for job in found.values():
        starts = {jobs.record_name(paper, one) for one in load(paper).starts_from(job.configs[0])}
        assert starts == {names(found[name])[0] for name in job.after} and starts <= done
        assert all(found[name].parameters["weights"] for name in job.after)
        done |= set(names(job))


@pytest.mark.parametrize("paper", jobs.RUNS)
@pytest.mark.parametrize("profile", ["smoke", "quick", "paper"])
def test_a_job_reads_its_parameters_back_as_planned(paper, profile):
    found = jobs.jobs(jobs.order({"papers": paper, "profile": profile, "device": "cpu", "seeds": [4, 0]}))
    for job in found.values():
        again, _, plan = jobs.read(as_papermill_reads(job.parameters))
        assert names(again) == names(job) and list(again.rows) == list(job.rows)
        assert plan.committed is True


def test_lists_of_values_make_a_grid_and_single_values_beside_them_go_to_all_points():
    settings = {"papers": "mlsl", "profile": "smoke", "dropout": [0.1, 0.5, 0.9], "margin": [0.5, 1], "alpha": 0.2}
    order = jobs.order(settings)
    assert dict(order.axes) == {"dropout": [0.1, 0.5, 0.9], "margin": [0.5, 1]} and "scope" not in order.given
    found = jobs.jobs(order)
    leaves = [job for job in found.values() if job.after]
    assert len(leaves) == 6 and len(found) == 7  # and the stage 1 that all six start from
    assert {(job.configs[0].dropout, job.configs[0].margin) for job in leaves} == {
        (dropout, margin) for dropout in (0.1, 0.5, 0.9) for margin in (0.5, 1)
    }
    assert all(job.configs[0].alpha == 0.2 for job in leaves)


def test_one_value_of_a_methods_field_is_a_grid_of_one_point_and_not_a_report():
    one, several = (jobs.order({"papers": "mlsl", "profile": "smoke", "dropout": value}) for value in (0.1, [0.1]))
    assert one == several and one.given.get("seeds") is None
    found = jobs.jobs(one)
    assert [job.configs[0].dropout for job in found.values() if job.after] == [0.1] and len(found) == 2
    both = jobs.order({"papers": "mlsl", "profile": "smoke", "dropout": 0.1, "margin": 0.5})
    assert dict(both.axes) == {"dropout": [0.1], "margin": [0.5]}


@pytest.mark.parametrize(
    "where",
    [{"profile": "smoke"}, {"profile": ["smoke"]}, {"dataset": "rendered"}, {"preset": "smoke"}, {"device": "cpu"}],
)
def test_what_says_where_and_how_large_leaves_the_report_a_report(where):
    order = jobs.order({"papers": "mlsl", **where})
    assert not order.axes and order.given == {"scope": "all", "seeds": [0, 1, 2, 3, 4], **{
        name: value[0] if isinstance(value, list) else value for name, value in where.items()}}  # fmt: skip


def test_one_value_goes_into_every_row_of_the_tables_where_they_are_asked_for():
    order = jobs.order({"papers": "mlsl", "profile": "smoke", "scope": "all", "seeds": [0], "alpha": 0.3})
    assert not order.axes
    (job,) = jobs.jobs(order).values()
    assert len(job.rows) > 5 and {config.alpha for config in job.configs} == {0.3}


def point(paper, **values):
    return load(paper).Config(**values).fingerprint()


def test_each_point_of_a_grid_is_what_it_is_alone():
    axes = {"profile": ["smoke", "quick", "paper"], "dropout": [0.1, 0.9]}
    found = jobs.jobs(jobs.order({"papers": "mlsl", "device": "cpu", **axes}))
    leaves = {job.configs[0].fingerprint() for job in found.values() if job.after}
    assert leaves == {point("mlsl", profile=profile, dropout=dropout, device="cpu")
                      for profile in axes["profile"] for dropout in axes["dropout"]}  # fmt: skip


@pytest.mark.parametrize(
    "paper, first, second",
    [
        ("mlsl", "rendered", "digits"),
        ("mlsl", "digits", "veri776"),
        ("drdl", "vehicleid", "compcars"),
        ("drdl", "compcars", "veri776"),
    ],
)
def test_another_dataset_brings_its_own_sizes_and_what_was_given_stays(paper, first, second):
    config = load(paper).Config
    base = config(profile="paper", dataset=first, device="cpu")
    assert base.but(dataset=second) == config(profile="paper", dataset=second, device="cpu") != base
    assert base.but(image_size=96).but(dataset=second).image_size == 96
    assert base.but(profile="smoke") == config(profile="smoke", dataset=first, device="cpu")


@pytest.mark.parametrize("given", [
    {}, {"image_size": 224}, {"image_size": 28}, {"iterations1": 20_000}, {"iterations1": 78_000}, {"epochs1": 3},
    {"iterations1": 400, "epochs1": 0}, {"epochs2": 0, "iterations2": 5},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("dataset", ["rendered", "digits"])
@pytest.mark.parametrize("profile", ["smoke", "paper"])
def test_a_job_hands_on_what_makes_its_configuration(profile, dataset, given):
    mlsl = load("mlsl")
    config = mlsl.Config(profile=profile, dataset=dataset, device="cpu", **given)
    for one in (config, config.canonical(), *mlsl.starts_from(config)):
        again = type(one)(profile=profile, seed=one.seed, **json.loads(json.dumps(jobs.changed(one))))
        assert again.fingerprint() == one.fingerprint()


def test_settings_may_come_as_text_as_a_command_line_gives_them():
    text = {"papers": "mlsl,drdl", "profile": "smoke", "seeds": "0", "committed": "false", "device": "cpu"}
    found = jobs.jobs(jobs.order(text))
    assert set(found) == {"mlsl/seed0", "drdl/seed0"}
    assert all(job.parameters["committed"] is False and job.parameters["seeds"] == [0] for job in found.values())
    texts = jobs.jobs(jobs.order({"papers": "mlsl", "profile": "smoke", "dropout": ["0.1", "0.9"], "seeds": ["1"]}))
    values = jobs.jobs(jobs.order({"papers": "mlsl", "profile": "smoke", "dropout": [0.1, 0.9], "seeds": [1]}))
    assert [names(job) for job in texts.values()] == [names(job) for job in values.values()]


def test_several_values_of_a_field_that_takes_a_list_are_a_list_of_lists():
    one = jobs.order({"papers": "mlsl", "labels": ["id", "color"]})
    assert one.axes["labels"] == [["id", "color"]]
    two = jobs.order({"papers": "mlsl", "labels": [["id"], ["id", "color"]]})
    assert two.axes["labels"] == [["id"], ["id", "color"]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"papers": "mlsl,drld"}, "drld"),
        ({"papers": "mlsl", "per": "run"}, "per = 'run'"),
        ({"papers": "mlsl", "dropuot": 0.5}, "did you mean dropout"),
        ({"papers": "mlsl", "dropout": [0.5, 1.5]}, "dropout = 1.5"),
        ({"papers": "mlsl", "seeds": [0, 0]}, "distinct"),
        ({"papers": "mlsl", "dropout": [0.1, 0.5], "per": "seed"}, "per = 'seed'"),
        ({"papers": "mlsl", "dropout": [0.1, 0.5], "scope": "all"}, "scope = 'all'"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_planned(settings, words):
    with pytest.raises(ConfigError, match=words):
        jobs.jobs(jobs.order(settings))


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A grid of two runs and their stage 1, in a store of its own."""
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    return {"papers": "mlsl", "profile": "smoke", "dropout": [0.1, 0.9], "committed": False, "device": "cpu",
            "out": str(tmp_path / "out")}  # fmt: skip


def stamped(plan):
    return {name for name, job in plan["jobs"].items() if Path(job["stamp"]).is_file()}


def test_stamps_follow_the_store(small):
    plan = plans.make(small)
    found = jobs.jobs(jobs.order({name: value for name, value in small.items() if name != "out"}))
    assert not stamped(plan) and len(found) == 3
    mlsl = load("mlsl")
    workers.run_all([c for job in found.values() for c in job.configs], mlsl, Plan(committed=False, workers=1))
    assert stamped(plans.make(small)) == set(found)

    first, second = [job for job in found.values() if job.after]
    lines = json.loads(Path(plan["jobs"][first.name]["stamp"]).read_text(encoding="utf-8"))
    record = runs.lookup(first.configs[0], mlsl, committed=False)
    assert [line["record"] for line in lines] == [f"mlsl/{record.key}.json"] and lines[0]["sha256"] == record.sha256
    assert lines[0]["scores"]["mAP"] == pytest.approx(100 * record.scores["mAP"], abs=1e-6)

    (runs._own_path(first.configs[0], mlsl)).unlink()
    assert stamped(plans.make(small)) == set(found) - {first.name}, "only what is missing has to be done"
    runs.weights_path(found[first.after[0]].configs[0], mlsl).unlink()
    assert stamped(plans.make(small)) == {second.name}, "and what it starts from, if that left no weights here"


def test_a_page_is_made_anew_when_its_records_or_its_notebook_change(tmp_path):
    page, notebook, run = (tmp_path / name for name in ("a.html", "a.ipynb", "run.json"))
    for path in (notebook, run):
        path.write_text("1")
    before = stamps.made(page, [notebook], [run])
    assert stamps.made(page, [notebook], [run]) == before
    run.write_text("2")
    changed = stamps.made(page, [notebook], [run])
    notebook.write_text("2")
    assert len({before, changed, stamps.made(page, [notebook], [run])}) == 3


def test_what_failed_is_named_with_its_error_and_the_command_that_repeats_it(small):
    plan = plans.make(small)
    start, first, second = plan["jobs"]
    stamps.settle(Path(plan["jobs"][start]["stamp"]), "[]\n")
    error = {"output_type": "error", "ename": "ValueError", "evalue": "too hot", "traceback": []}
    log = summary.log(plan, first)
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"cells": [{"outputs": [error]}, {"source": "a heading"}]}))
    told = summary.failures(plan, "job.ipynb")
    assert told.startswith("1 failed, 1 were not begun") and f"{first}: ValueError: too hot" in told
    command = next(line for line in told.splitlines() if line.startswith("  repeat")).split(maxsplit=1)[1]
    words = shlex.split(command)
    assert words[:3] == ["papermill", "job.ipynb", str(log)]
    given = dict(zip(words[4::3], words[5::3], strict=True))
    assert given == {**plan["jobs"][first]["parameters"], "stamp": plan["jobs"][first]["stamp"]}
    again = {**plan, "jobs": {name: {**job, "logs": summary.logs(plan, name)} for name, job in plan["jobs"].items()}}
    assert summary.failures(again, "job.ipynb").startswith("0 failed, 2 were not begun"), "logs of an earlier attempt"


@pytest.mark.parametrize("behind", [0, 60, 86_400])
def test_a_failed_job_is_told_whatever_the_file_servers_clock_says(small, behind):
    plan = plans.make(small)
    name = next(name for name, job in plan["jobs"].items() if job["after"])
    log = summary.log(plan, name)
    log.parent.mkdir(parents=True)
    log.write_text("{}", encoding="utf-8")
    written = log.stat().st_mtime_ns - behind * 10**9
    os.utime(log, ns=(written, written))
    assert summary.failures(plan, "job.ipynb").startswith("1 failed, 2 were not begun")


def test_a_job_that_was_killed_is_told_apart_from_one_that_raised(small):
    plan = plans.make(small)
    name = next(iter(plan["jobs"]))
    log = summary.log(plan, name)
    log.parent.mkdir(parents=True)
    log.write_text("")
    assert summary.reason(plan, name) == summary.DEAD
    log.with_suffix(".log").write_text("Traceback\nKilled\n")
    assert summary.reason(plan, name) == f"{summary.DEAD} (Killed)"


@pytest.mark.parametrize("per", ["seed", "configuration"])
@pytest.mark.parametrize("device, gpus", [("cuda", 4), ("cpu", 0)])
def test_processes_that_share_a_run_are_asked_for_and_handed_on(per, device, gpus, tmp_path):
    given = {"papers": "mlsl", "profile": "smoke", "scope": "base", "seeds": [0], "committed": False, "per": per}
    plan = plans.make({**given, "device": device, "processes": 4, "out": str(tmp_path)})
    for job in plan["jobs"].values():
        assert (job["processes"], job["gpu"], job["parameters"]["processes"]) == (4, gpus, "4")
        read = jobs.read({name: json.loads(value) if name in ("only", "seeds", "changes") else value
                          for name, value in job["parameters"].items()})  # fmt: skip
        assert read[2].processes == 4
    alone = plans.make({**given, "device": device, "out": str(tmp_path)})
    assert all(job["processes"] == 1 and "processes" not in job["parameters"] for job in alone["jobs"].values())


def test_a_site_that_was_not_written_is_named(tmp_path):
    plan = {"out": str(tmp_path), "jobs": {}, "pages": {}, "site": str(tmp_path / "pages" / "index.html")}
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "site.log").write_text("Traceback\nOSError: no space left\n")
    told = summary.failures(plan, "job.ipynb")
    assert told.startswith("The site was not written") and "OSError: no space left" in told
    assert f"repeat  python -m reidlib site --out {tmp_path / 'pages'}" in told
