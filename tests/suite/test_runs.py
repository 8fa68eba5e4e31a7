"""Runs: computed once, by whoever is first; resumed after a kill; never believed beyond the code that made them."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from pydantic import Field

from reidpapers.run import provenance, records, runs
from reidpapers.run.base import Paper
from reidpapers.run.config import Config


class Toy(Config):
    """A configuration whose run is trivial and can be told to take long, to fail, or to start from another."""

    value: float = Field(1.0, description="what is scored")
    stage: int = Field(1, ge=1, le=2, description="2 starts from 1")
    wait: float = Field(0.0, ge=0, description="seconds a run takes")
    fails: bool = Field(False, description="whether it fails")
    dies: bool = Field(False, description="whether its process is killed")


def toy(**fields):
    return Toy(device="cpu", **fields)


def log():
    """Who computed what, in order, over all processes."""
    path = Path(os.environ["REIDLIB_CACHE"], "computed.txt")
    return path.read_text(encoding="utf-8").split() if path.exists() else []


class ToyPaper(Paper):
    """Its records lie among MLSL's, whose code counts as theirs; what it shows is told by the environment."""

    Config = Toy
    name = "mlsl"

    def compute(self, config, space):
        time.sleep(config.wait)
        if config.fails:
            raise ArithmeticError(f"toy {config.value} failed")
        if config.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        start = sum(torch.load(start)["state"]["value"] for start in space.starts)
        for _ in range(3):
            space.progress(1)
        with Path(os.environ["REIDLIB_CACHE"], "computed.txt").open("a", encoding="utf-8") as file:
            file.write(f"{config.stage}:{config.value}:{config.seed}\n")
        parts = {"scores": {"mAP": start + config.value}, "queries": {"ap": [], "first": []}, "history": {},
                 "cost": {"seconds": 1.0}, "device": {"type": "cpu", "arithmetic": provenance.arithmetic()},
                 "exhibits": {name: name.upper() for name in self.exhibits(config)}}  # fmt: skip
        return parts, {"value": config.value}

    def starts_from(self, config):
        return (toy(seed=config.seed),) if config.stage == 2 else ()

    def steps(self, config):
        return 3

    def data(self, config):
        digest = os.environ.get("TOY_DATA", "0123456789abcdef")
        return {"name": "toy", "digest": digest, "note": "", "counts": {}, "identities": 3}

    def prepare(self, config, workers=1, progress=False):
        return None

    def exhibits(self, config):
        return dict.fromkeys(os.environ.get("TOY_EXHIBITS", "").split())

    def complete(self, config, weights, exhibits):
        assert torch.load(weights)["state"] == {"value": config.value}
        return {name: name.upper() for name in exhibits}

    def probe(self, config, identities, nudge=0):
        return {"loss": [config.value, float(os.environ.get("TOY_PROBE", "2.0"))], "gone": []}


PAPER = TOY = ToyPaper()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache and a committed store of this test's own."""
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(records, "COMMITTED", tmp_path / "results")
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def run_in_process(config, start, queue):
    start.wait()
    queue.put(runs.run(config, TOY).scores["mAP"])


def other_code(monkeypatch):
    """As if some line of the library had changed."""
    monkeypatch.setattr(runs, "code", lambda paper: "f" * 64)


class Drawn(ToyPaper):
    """Draws after it has computed, and breaks while it does as long as it is told to."""

    def compute(self, config, space):
        parts, state = super().compute(config, space)
        return {**parts, "exhibits": {}}, state

    def exhibits(self, config):
        return {"map": None}

    def complete(self, config, weights, exhibits):
        if "BREAKS" in os.environ:
            raise ArithmeticError("no map")
        return super().complete(config, weights, exhibits)


def test_a_record_is_written_before_anything_that_only_draws(cache, monkeypatch):
    monkeypatch.setenv("BREAKS", "1")
    with pytest.raises(ArithmeticError, match="no map"):
        runs.run(toy(), Drawn())
    assert runs.lookup(toy(), Drawn()).scores["mAP"] == toy().value and len(log()) == 1
    monkeypatch.delenv("BREAKS")
    assert runs.run(toy(), Drawn()).exhibits == {"map": "MAP"} and len(log()) == 1


def test_a_run_is_computed_once_and_then_read(cache):
    first, counted = runs.run(toy(), TOY), []
    again = runs.run(toy(), TOY, progress=counted.append)
    assert log() == ["1:1.0:0"]
    assert first == again and first.freshness == "fresh"
    assert sum(counted) == 3, "a bar over steps goes on, whether a run is computed or read"
    assert runs.run(toy(seed=1), TOY).key != first.key and len(log()) == 2


def test_a_record_says_where_it_comes_from(cache):
    record = runs.run(toy(seed=4, value=0.5), TOY)
    assert record.key == runs.name(toy(seed=4, value=0.5), TOY)
    assert record.config["seed"] == record.seed == 4 and record.config["value"] == 0.5
    assert record.data["digest"] == "0123456789abcdef" and record.scores["mAP"] == 0.5
    assert record.code == runs.code("mlsl")
    assert record.versions["torch"] == torch.__version__.partition("+")[0] or record.versions["torch"]
    assert record.created.endswith("+00:00") and record.probe["loss"] == [0.5, 2.0]
    assert (cache / "records" / "mlsl" / f"{record.key}.json").is_file()


def test_two_processes_compute_a_run_once(cache):
    context = multiprocessing.get_context("spawn")
    start, queue = context.Event(), context.Queue()
    both = [context.Process(target=run_in_process, args=(toy(wait=1.0), start, queue)) for _ in range(2)]
    for process in both:
        process.start()
    start.set()
    assert [queue.get(timeout=60) for _ in both] == [1.0, 1.0]
    for process in both:
        process.join()
    assert len(log()) == 1


@pytest.mark.parametrize("damage", ["truncate", "alter", "empty"])
def test_a_damaged_record_is_named_and_computed_again(cache, damage):
    record = runs.run(toy(), TOY)
    path = cache / "records" / "mlsl" / f"{record.key}.json"
    text = path.read_text()
    path.write_text(
        {"truncate": text[: len(text) // 2], "alter": text.replace('"mAP":1.0', '"mAP":0.9'), "empty": ""}[damage]
    )
    with pytest.warns(UserWarning, match=f"{record.key}.json .*computed again"):
        again = runs.run(toy(), TOY)
    assert again.scores == record.scores and len(log()) == 2
    assert records.read(path).scores == record.scores


def test_the_committed_store_is_read_second(cache, tmp_path):
    record = runs.run(toy(), TOY)
    own = cache / "records" / "mlsl" / f"{record.key}.json"
    committed = tmp_path / "results" / "mlsl" / "records" / own.name
    committed.parent.mkdir(parents=True)
    shutil.move(own, committed)
    assert runs.run(toy(), TOY) == record and len(log()) == 1
    assert runs.run(toy(), TOY, committed=False).scores == record.scores and len(log()) == 2
    records.write(runs.replace(runs.lookup(toy(), TOY), commit="mine"), own)
    assert runs.lookup(toy(), TOY).commit == "mine", "the user's own comes first"


def test_stage_one_is_shared(cache):
    for value in (2.0, 5.0):
        assert runs.run(toy(stage=2, value=value), TOY).scores["mAP"] == value + 1.0
    assert log() == ["1:1.0:0", "2:2.0:0", "2:5.0:0"]
    shutil.rmtree(cache / "weights")  # a record without weights: they are computed again when another run wants them
    runs.run(toy(stage=2, value=7.0), TOY)
    assert log()[3:] == ["1:1.0:0", "2:7.0:0"]


def test_other_code_with_the_same_probe_is_fresh_by_probe(cache, monkeypatch):
    runs.run(toy(), TOY)
    other_code(monkeypatch)
    assert runs.lookup(toy(), TOY).freshness == "unverified", "a look never replays"
    assert runs.run(toy(), TOY).freshness == "fresh by probe"
    assert runs.lookup(toy(), TOY).freshness == "fresh by probe", "a finding is remembered"
    monkeypatch.setenv("TOY_PROBE", "2.0001")
    findings = cache / "verified.json"
    findings.unlink()
    assert runs.run(toy(), TOY).freshness == "fresh by probe", "within the tolerance"
    assert len(log()) == 1


def test_other_code_with_another_probe_is_stale_and_computed_again(cache, monkeypatch):
    runs.run(toy(), TOY)
    other_code(monkeypatch)
    monkeypatch.setenv("TOY_PROBE", "2.001")
    assert runs.present(toy(), TOY) is None
    assert runs.lookup(toy(), TOY).freshness == "stale", "still there to be shown as such"
    assert runs.run(toy(), TOY).freshness == "fresh" and len(log()) == 2


def test_a_replay_names_what_differs(cache, monkeypatch):
    record = runs.run(toy(), TOY)
    assert runs.replay(record, toy(), TOY)[0] == "fresh by probe"
    assert runs.replay(record, toy(value=3.0), TOY) == ("stale", "the probe differs in loss")
    monkeypatch.setenv("TOY_DATA", "fedcba9876543210")
    assert runs.replay(record, toy(), TOY) == ("stale", "the data have changed")


def test_other_data_make_a_record_stale(cache, monkeypatch):
    runs.run(toy(), TOY)
    monkeypatch.setenv("TOY_DATA", "fedcba9876543210")
    assert runs.lookup(toy(), TOY).freshness == "stale"
    assert runs.run(toy(), TOY).freshness == "fresh" and len(log()) == 2


def test_a_ledger_grows_and_survives_damage(tmp_path):
    path = tmp_path / "verified.json"
    runs.remember({"a": "fresh by probe"}, path)
    runs.remember({"b": "stale"}, path)
    assert runs.ledger(path) == {"a": "fresh by probe", "b": "stale"} == json.loads(path.read_text())
    path.write_text("{")
    assert runs.ledger(path) == {} == runs.ledger(tmp_path / "none.json")


def test_weights_of_other_code_serve_as_long_as_it_does_the_same(cache, monkeypatch):
    runs.run(toy(), TOY)
    kept = runs.kept_weights(toy(), TOY)
    assert kept == runs.weights_path(toy(), TOY) and torch.load(kept)["stamp"]["code"] == runs.code("mlsl")
    other_code(monkeypatch)
    assert runs.run(toy(stage=2, value=5.0), TOY).scores["mAP"] == 6.0 and log() == ["1:1.0:0", "2:5.0:0"]
    monkeypatch.setattr(runs, "code", lambda paper: "e" * 64)
    monkeypatch.setenv("TOY_PROBE", "2.5")
    with pytest.warns(UserWarning, match=f"{kept.name} was made by other code"):
        assert runs.kept_weights(toy(), TOY) is None
    assert kept.exists(), "seen and named, not lost"


def test_weights_that_cannot_be_read_are_named_and_made_again(cache):
    runs.run(toy(), TOY)
    for content in (b"", runs.weights_path(toy(), TOY).read_bytes()[:300]):
        runs.weights_path(toy(), TOY).write_bytes(content)
        with pytest.warns(UserWarning, match="cannot be read .*made again"):
            assert runs.kept_weights(toy(), TOY) is None
    assert runs.run(toy(stage=2, value=5.0), TOY).scores["mAP"] == 6.0 and len(log()) == 3


def test_an_exhibit_that_is_newer_than_a_record_is_made_from_the_weights(cache, monkeypatch):
    old = runs.run(toy(), TOY)
    monkeypatch.setenv("TOY_EXHIBITS", "masks map")
    assert runs.lacks(old, toy(), TOY) == ["masks", "map"]
    record = runs.run(toy(), TOY)
    assert record.exhibits == {"masks": "MASKS", "map": "MAP"} and log() == ["1:1.0:0"], "nothing is trained"
    assert runs.lookup(toy(), TOY).exhibits == record.exhibits and record.scores == old.scores
    monkeypatch.setenv("TOY_EXHIBITS", "masks map more")
    runs.weights_path(toy(), TOY).unlink()
    assert runs.run(toy(), TOY) == record and log() == ["1:1.0:0"], "without weights it stays what it was"


def test_a_changed_default_is_another_run_of_the_same_name(cache, monkeypatch):
    record = runs.run(toy(), TOY)
    body = {**record.body(), "config": {**record.config, "wait": 0.5}}  # as if 0.5 had been the default then
    records.write(records.Record(**body), cache / "records" / "mlsl" / f"{record.key}.json")
    assert runs.lookup(toy(), TOY) is None and runs.run(toy(), TOY).config["wait"] == 0.0


def test_a_new_field_orphans_no_record(cache, monkeypatch):
    record = runs.run(toy(), TOY)

    class Later(Toy):
        circle: float = Field(0.0, description="a new term")

    assert runs.lookup(Later(device="cpu"), TOY) == runs.lookup(toy(), TOY) == record
    assert runs.lookup(Later(device="cpu", circle=0.5), TOY) is None


def test_a_look_writes_nothing(cache):
    assert runs.lookup(toy(), TOY) is None and runs.present(toy(), TOY) is None
    assert not list(cache.iterdir())


# --- a real run, killed -----------------------------------------------------------------------------------------------

DIGITS = {"profile": "smoke", "dataset": "digits", "backbone": "small", "image_size": 32, "iterations1": 120,
          "iterations2": 80, "seed": 3}  # fmt: skip
KILLED = """
import os, signal, sys, json, torch
from reidpapers.mlsl.paper import PAPER
from reidpapers.run import runs
torch.set_num_threads(1)
done, stop = 0, int(sys.argv[2])
def progress(steps):
    global done
    done += steps
    if done >= stop:
        os.kill(os.getpid(), signal.SIGKILL)
runs.run(PAPER.Config(**json.loads(sys.argv[1])), PAPER, progress=progress)
"""


def run_digits(**options):
    from reidpapers.mlsl import paper as mlsl

    variant = {name: options.pop(name) for name in ("dropout", "learning") if name in options}
    return runs.run(mlsl.MLSLConfig(**DIGITS, **variant), mlsl.PAPER, **options)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A joint run that nobody disturbs, and the folder it left behind."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REIDLIB_CACHE", str(folder))
        torch.set_num_threads(1)
        run_digits()
    return folder


@pytest.mark.parametrize("learning, killed_at, left", [("feature", 75, 120 - 72), ("joint", 45, 80 - 44)])
def test_a_killed_run_resumes_to_the_same_metrics(undisturbed, cache, learning, killed_at, left):
    command = [sys.executable, "-c", KILLED, json.dumps({**DIGITS, "learning": learning}), str(killed_at)]
    assert subprocess.run(command, cwd=provenance.CHECKOUT).returncode == -signal.SIGKILL
    names = {path.stem for path in (cache / "records" / "mlsl").glob("*.json")}
    steps = []
    record = run_digits(learning=learning, progress=steps.append)
    assert record.key not in names, "an unfinished run has no record"
    assert steps.count(1) == left, "it went on from its last checkpoint"
    assert not list(cache.rglob("checkpoints/**/*.pt")) and not list(cache.rglob("*.draft"))
    folder = undisturbed
    wanted = records.read(folder / "records" / "mlsl" / f"{record.key}.json")
    for part in ("scores", "queries", "history", "exhibits", "probe"):
        assert getattr(record, part) == getattr(wanted, part), part
    for path in (cache / "weights").rglob("*.pt"):
        mine, theirs = torch.load(path), torch.load(folder / path.relative_to(cache))
        for part, state in theirs["state"].items():
            assert all(torch.equal(state[name], mine["state"][part][name]) for name in state), f"{path.name}: {part}"


def test_variants_share_stage_one_and_differ_in_stage_two(undisturbed, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(undisturbed))
    record, steps = run_digits(), []
    other = run_digits(dropout=0.0, progress=steps.append)
    assert sum(steps) == 80 and other.scores != record.scores
    assert len(list((undisturbed / "weights" / "mlsl").glob("*.pt"))) == 3


def test_a_run_of_ones_own_does_not_stand_in_a_table_among_others_that_it_cannot_be_paired_with(cache):
    """Five committed runs of one processor, one of them trained here again, on another."""
    from reidpapers.show import layout

    rows = (layout.Row("one", {"value": 1.0}), layout.Row("two", {"value": 2.0}))
    for row in rows:
        for seed in range(5):
            record = runs.run(toy(seed=seed, **row.changes), TOY, committed=False)
            elsewhere = runs.replace(record, device={**record.device, "arithmetic": "elsewhere"})
            records.write(elsewhere, records.COMMITTED / TOY.name / "records" / f"{record.key}.json")
    own = {path for path in (cache / "records" / TOY.name).glob("*.json")}
    kept = runs.name(toy(seed=2, value=1.0), TOY)
    for path in own:
        if path.stem != kept:
            path.unlink()
    assert runs.lookup(toy(seed=2, value=1.0), TOY).device["arithmetic"] != "elsewhere", "the user's own comes first"
    found = layout.collect(rows, toy(), range(5), TOY)
    assert {record.device["arithmetic"] for several in found.values() for record in several} == {"elsewhere"}
    assert [len(several) for several in found.values()] == [5, 5]
    alone = layout.collect(rows, toy(), range(5), TOY, committed=False)
    assert [len(several) for several in alone.values()] == [1, 0]
