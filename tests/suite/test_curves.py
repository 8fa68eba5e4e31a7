"""What the loss does while a run is computed: told at each step, written as curves, without touching the training."""

import csv
import importlib.util
import io

import pytest
import torch
from tqdm import tqdm

from reidpapers.command_line import run as run_command
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.mlsl.paper import PAPER
from reidpapers.run import curves, records, runs, workers
from reidpapers.run.config import ConfigError, Plan, configure

CONFIG = MLSLConfig(profile="smoke", learning="feature", iterations1=25, device="cpu", seed=11)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(records, "COMMITTED", tmp_path / "results")
    (tmp_path / "cache").mkdir()


def losses_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_curves_are_what_the_record_keeps_of_the_loss_and_the_training_is_the_same(cache):
    told = []

    def tell(step, values):
        told.append((step, {term: float(value) for term, value in values.items()}))

    with curves.followed(PAPER, CONFIG, "csv", lambda steps: None, tell) as step:
        record = runs.run(CONFIG, PAPER, progress=step)
    assert "objective" not in vars(PAPER), "the paper is as it was"
    assert [number for number, _ in told] == list(range(1, 26))
    history = dict(zip(record.history["iteration"], record.history["total"], strict=True))
    assert all(told[iteration][1]["total"] == pytest.approx(value, rel=1e-3) for iteration, value in history.items())
    lines = losses_of(curves.folder(PAPER) / f"{record.key}.csv")
    assert [line["step"] for line in lines] == ["10", "20"]
    assert float(lines[0]["total"]) == pytest.approx(told[9][1]["total"], rel=1e-5)
    assert set(lines[0]) == {"step", *record.history} - {"iteration", "rate"}
    (again,) = workers.run_all([CONFIG.but(seed=12)], PAPER, Plan(workers=1), progress=False)
    assert not (curves.folder(PAPER) / f"{again.key}.csv").exists(), "none are written unless asked for"
    runs.weights_path(CONFIG, PAPER).unlink()
    alone = runs.weights(CONFIG, PAPER)
    assert torch.load(alone, weights_only=True)["state"].keys() and runs.lookup(CONFIG, PAPER).scores == record.scores


@pytest.mark.parametrize("count", [1, 2])
def test_a_bar_shows_the_loss_also_of_other_processes(cache, capfd, monkeypatch, count):
    monkeypatch.setattr(workers, "SHOWN", 0.0)
    configs = [CONFIG.but(seed=seed) for seed in range(count)]
    workers.run_all(configs, PAPER, Plan(workers=count, log="csv"))
    assert "loss " in capfd.readouterr().err
    assert len(list(curves.folder(PAPER).glob("*.csv"))) == count


def test_where_curves_go_is_said_before(cache):
    said = run_command.announced([CONFIG], PAPER, Plan(log="csv"))
    assert said.endswith(f"curves in {curves.folder(PAPER)}")
    assert "curves" not in run_command.announced([CONFIG], PAPER, Plan())


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="its package is here")
def test_tensorboard_is_refused_at_the_door_where_it_is_not_installed():
    with pytest.raises(ConfigError, match=r"reidpapers\[tensorboard\].*log = 'csv'"):
        configure(MLSLConfig, {"log": "tensorboard"})


def test_tensorboard_reads_the_curves(tmp_path):
    pytest.importorskip("tensorboard")
    with curves._tensorboard(tmp_path / "run") as write:
        for step in range(1, 21):
            write(step, {"total": torch.tensor(1.0 / step)})
    assert [path.name.startswith("events.out.tfevents") for path in (tmp_path / "run").iterdir()] == [True]


def test_a_loss_that_diverged_is_shown_and_nothing_before_there_is_one():
    with tqdm(total=1, file=io.StringIO()) as bar:
        for loss, said in ((workers.NONE_YET, ""), (2.5, "loss 2.5"), (float("nan"), "loss nan")):
            workers._show_loss(bar, loss)
            assert (bar.postfix or "") == said
