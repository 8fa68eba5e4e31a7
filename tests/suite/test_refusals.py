"""What is refused at the door, each in one line with the way out, and nothing of it in silence."""

import errno
import json
import os
import subprocess
import sys

import pytest
import torch

from reidlib import sampler
from reidlib.train import save_atomically
from reidpapers.__main__ import main
from reidpapers.run import records, refusals, runs, workers
from reidpapers.run.config import ConfigError, Plan, configure, from_json
from reidpapers.run.papers import RUNS, load
from reidpapers.show import layout

DEEP = "[" * 200_000


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


TOO_MANY = [
    ("mlsl", {"learning": "feature", "batch": 4096}, "batch of 4096 images: allowed are 1 to 144"),
    ("c2f_rank", {"learning": "initial", "batch": 4096}, "batch of 4096 images: allowed are 1 to"),
    ("multiguided", {"learning": "segmenter", "identities": 4096}, "images: allowed are 1 to"),
    ("multiguided", {"learning": "extractor", "identities": 4096}, "it runs with --identities 48"),
    ("drdl", {"set_size": 256}, "set_size = 256"),
]


@pytest.mark.parametrize("paper, given, words", TOO_MANY, ids=lambda value: value if isinstance(value, str) else None)
def test_a_batch_that_the_images_do_not_give_is_refused_before_anything_is_computed(paper, given, words, cache):
    config = load(paper).Config(profile="smoke", device="cpu", **given)
    with pytest.raises(ConfigError, match=words):
        workers.run_all([config], load(paper), Plan(committed=False, workers=1), progress=False)
    assert not list(cache.rglob("*.pt")) and not list(cache.rglob("*.npy"))


def test_a_first_stage_that_is_refused_stops_the_second_before_anything_is_computed(cache):
    config = load("mlsl").Config(profile="smoke", device="cpu", batch=4096)
    with pytest.raises(ConfigError, match="batch of 4096 images"):
        workers.run_all([config], load("mlsl"), Plan(committed=False, workers=1), progress=False)
    assert not list(cache.rglob("*.pt")) and not list(cache.rglob("*.npy"))


@pytest.mark.parametrize("paper", [name for name in RUNS if name != "compared"])
def test_every_batch_is_as_large_as_schedule_throughput_and_record_believe(paper):
    """Of the runs that the tables' rows and what they start from are made of, one of each kind."""
    found = load(paper)
    base = found.Config(profile="smoke", device="cpu")
    rows = layout.configurations(found.tables.rows("base", "smoke", "rendered"), base, [0])
    wanted = [config for configs in rows.values() for config in configs]
    kinds = {found.stage(one): one for config in wanted for one in (*found.starts_from(config), config)}
    for config in (config for config in kinds.values() if found.steps(config)):
        from reidpapers.run import datasets

        table = datasets.load(found.learns_from(config).source).manifest.rows("train")
        draw = found.draw(config, found.labels(found.usable(config, table)))
        assert draw(0, sampler.generator("size")).numel() == found.batch_size(config), config


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_in_one_line(capsys):
    assert main(["run", "mlsl", "--profile", "smoke", "--device", "cuda", "--committed", "false"]) == 2
    printed = capsys.readouterr().err.strip()
    assert len(printed.splitlines()) == 1 and "device = 'cuda' is refused" in printed and "cpu" in printed


def test_a_grid_for_gpus_is_planned_where_there_is_none():
    from reidpapers.grid import jobs

    found = jobs.jobs(jobs.order({"papers": "mlsl", "profile": "smoke", "device": "cuda", "seeds": [0]}))
    assert {config.device for job in found.values() for config in job.configs} == {"cuda"}


def test_weights_that_cannot_be_had_are_refused_in_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("reidlib.backbones.reachable", lambda address: False)
    given = ["--profile", "smoke", "--backbone", "mobilenet_v1", "--pretrained", "true", "--committed", "false"]
    assert main(["run", "mlsl", *given]) == 2
    printed = capsys.readouterr().err.strip()
    assert len(printed.splitlines()) == 1 and "weights get mobilenet_v1" in printed and "cannot be reached" in printed


@pytest.mark.parametrize("name, value", [("profile", ["quick"]), ("dataset", ["rendered"]), ("profile", {"a": 1}),
                                         ("dataset", 3), ("seeds", DEEP), ("labels", DEEP)])  # fmt: skip
def test_a_value_of_another_kind_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=f"{name} = .* is refused: allowed is"):
        configure(load("mlsl").Config, {name: value})


def test_what_is_nested_too_deeply_is_refused_as_any_broken_file_is(tmp_path):
    with pytest.raises(ValueError, match="too deeply"):
        from_json(DEEP)
    (tmp_path / "record.json").write_text(DEEP, encoding="utf-8")
    with pytest.raises(records.BrokenRecord, match=r"record\.json .*too deeply"):
        records.read(tmp_path / "record.json")


@pytest.mark.parametrize("content", [DEEP, "{", "[]", '{"a": [1]}', "\x00"])
def test_a_ledger_that_cannot_be_read_counts_as_empty_and_is_named(content, tmp_path):
    path = tmp_path / "verified.json"
    path.write_text(content, encoding="utf-8")
    if content == '{"a": [1]}':
        assert runs.ledger(path) == {}
    else:
        with pytest.warns(UserWarning, match=r"verified\.json cannot be read"):
            assert runs.ledger(path) == {}
    assert runs.ledger(tmp_path / "absent.json") == {}


@pytest.mark.parametrize("out", ["page.ipynb", "./page.ipynb", "link.ipynb"])
def test_a_report_never_takes_its_notebooks_place(out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.ipynb").write_text("{}", encoding="utf-8")
    (tmp_path / "link.ipynb").symlink_to("page.ipynb")
    assert main(["report", "page.ipynb", "--out", out]) == 2
    assert "is the notebook that is read" in capsys.readouterr().err
    assert (tmp_path / "page.ipynb").read_text(encoding="utf-8") == "{}"


def test_verify_without_records_says_so_and_fails(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(records, "COMMITTED", tmp_path / "results")
    for own in ([], ["--own"]):
        assert main(["verify", *own]) == 2
        assert "there are no records in" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run", "mlsl", "--help"], ["weights", "list"]])
def test_a_reader_that_has_seen_enough_is_no_error(command):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "reidlib", *command], stdout=writer, stderr=subprocess.PIPE, timeout=300
    )
    os.close(writer)
    assert done.stderr == b"" and done.returncode in (0, 141)


def system_error(number, name=None):
    return OSError(number, os.strerror(number), *([str(name)] if name else []))


def test_an_error_of_the_system_names_file_and_what_moves_it(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path / "data"))
    inside, data, elsewhere = cache / "a.pt", tmp_path / "data" / "b.jpg", tmp_path / "c"
    assert refusals.told(system_error(errno.EACCES, inside)) == (
        f"{inside}: Permission denied; REIDLIB_CACHE names another folder"
    )
    assert refusals.told(system_error(errno.ENOSPC, inside)) == (
        f"{inside}: No space left on device; make room, or REIDLIB_CACHE names another folder"
    )
    assert refusals.told(system_error(errno.EIO, data)).endswith("; REIDLIB_DATA names another folder")
    assert refusals.told(system_error(errno.EROFS, elsewhere)) == f"{elsewhere}: Read-only file system"
    assert refusals.told(system_error(errno.EIO)) == "Input/output error"
    assert refusals.told(RuntimeError("two\nlines")) == "RuntimeError: two lines"
    assert refusals.told(ValueError("size = 3 is refused")) == "size = 3 is refused"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_leaves_no_draft_and_is_told_with_the_file(tmp_path, monkeypatch):
    """Whatever writes: the draft of each file is put where every write finds the disk full."""
    import secrets

    monkeypatch.setattr(secrets, "token_hex", lambda count: "full")
    target = tmp_path / "a.pt"
    draft = tmp_path / ".a.pt.full.pt"
    draft.symlink_to("/dev/full")
    with pytest.raises(OSError) as caught:
        save_atomically({"step": torch.zeros(10_000)}, target)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(target)
    assert not target.exists() and not draft.is_symlink()


def test_runs_that_fail_for_one_reason_are_told_once():
    class Stop(Exception):
        pass

    failed = {"a": system_error(errno.EIO, "x"), "b": system_error(errno.EIO, "x"), "c": Stop("other")}
    assert workers._by_reason(failed) == {"x: Input/output error": ["a", "b"], "Stop: other": ["c"]}


def test_a_lock_is_for_all_who_may_write_in_its_folder(tmp_path):
    from reidlib.places import lock_of

    before = os.umask(0o077)
    try:
        with lock_of(tmp_path / "new" / "file.json"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "file.json.lock").stat().st_mode & 0o777 == 0o666


def test_findings_that_cannot_be_kept_stop_nothing(monkeypatch, tmp_path):
    """As in a cache that may only be read."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "file" / "below"))
    runs._keep({"a": runs.FRESH})
    with pytest.raises(OSError):
        runs.remember({"a": runs.FRESH}, tmp_path / "file" / "below" / "verified.json")


def test_json_of_a_grid_is_refused_in_one_line(capsys):
    from reidpapers.grid.__main__ import main as grid

    with pytest.raises(SystemExit):
        grid(["plan", DEEP, "plan.json"])
    assert "invalid" in capsys.readouterr().err
    assert grid(["plan", json.dumps({"papers": "mlsl", "dropout": 7}), "plan.json"]) == 2
    assert "dropout = 7" in capsys.readouterr().err
