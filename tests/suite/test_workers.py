"""Many runs at once: their order, what starts from what, failures beside successes, and stopping by hand."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from test_runs import TOY, log, toy

from reidpapers.run import provenance, records
from reidpapers.run import workers as pool
from reidpapers.run.config import Plan


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(records, "COMMITTED", tmp_path / "results")
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def plan(workers, **fields):
    return Plan(workers=workers, **fields)


def values(found):
    return [record.config["value"] for record in found]


@pytest.mark.parametrize("workers", [1, 2])
def test_records_come_in_the_order_asked_for_and_equal_runs_are_run_once(workers):
    wanted = [3.0, 1.0, 2.0, 1.0, 3.0]
    configs = [toy(value=value) for value in wanted]
    assert values(pool.run_all(configs, TOY, plan(workers), progress=False)) == wanted
    assert sorted(log()) == ["1:1.0:0", "1:2.0:0", "1:3.0:0"]
    assert values(pool.run_all(configs, TOY, plan(workers), progress=False)) == wanted
    assert len(log()) == 3, "nothing is computed twice"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_runs_start_from_comes_first_and_once(workers):
    configs = [toy(stage=2, value=value, seed=seed) for seed in (0, 1) for value in (5.0, 6.0)]
    found = pool.run_all(configs, TOY, plan(workers), progress=False)
    assert [record.scores["mAP"] for record in found] == [6.0, 7.0, 6.0, 7.0]
    order = log()
    assert len(order) == 6
    for seed in (0, 1):
        first = order.index(f"1:1.0:{seed}")
        assert all(order.index(f"2:{value}:{seed}") > first for value in (5.0, 6.0))


def test_a_run_among_the_wanted_that_others_start_from_is_not_run_twice():
    configs = [toy(stage=2, value=5.0), toy()]
    assert [record.scores["mAP"] for record in pool.run_all(configs, TOY, plan(1), progress=False)] == [6.0, 1.0]
    assert log() == ["1:1.0:0", "2:5.0:0"]


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_are_named_after_the_others_have_finished(workers):
    configs = [toy(value=1.5, fails=True), toy(value=2.5), toy(value=3.5, fails=True), toy(value=4.5)]
    with pytest.raises(RuntimeError, match="2 of 4 runs failed") as caught:
        pool.run_all(configs, TOY, plan(workers), progress=False)
    message = str(caught.value)
    assert message.count("ArithmeticError") == 2 and "toy 1.5 failed" in message and "toy 3.5 failed" in message
    assert sorted(log()) == ["1:2.5:0", "1:4.5:0"]


def test_a_process_that_dies_takes_no_other_run_with_it():
    configs = [toy(value=1.5, wait=0.5), toy(value=2.5, dies=True), toy(value=3.5, wait=1.0), toy(value=4.5)]
    with pytest.raises(RuntimeError, match="1 of 4 runs failed") as caught:
        pool.run_all(configs, TOY, plan(2), progress=False)
    assert "'value': 2.5" in str(caught.value) and "ended without a word" in str(caught.value)
    assert sorted(set(log())) == ["1:1.5:0", "1:3.5:0", "1:4.5:0"]


def test_weights_that_cannot_be_had_are_refused_before_anything_is_computed():
    configs = [toy(), toy(value=2.0, backbone="vgg_cnn_m_1024", pretrained=True)]
    with pytest.raises(ValueError, match="weights of vgg_cnn_m_1024 are in none of .*weights get"):
        pool.run_all(configs, TOY, plan(1), progress=False)
    assert not log()


def test_the_bar_counts_steps_of_what_is_missing(capsys):
    pool.run_all([toy(value=1.0)], TOY, plan(1), progress=False)
    assert capsys.readouterr().err == ""
    pool.run_all([toy(value=1.0), toy(value=2.0), toy(stage=2, value=3.0)], TOY, plan(1), progress=True)
    shown = capsys.readouterr().err
    assert "2 runs" in shown and "6/6" in shown, "two runs of three steps; the third is there"


def test_committed_records_count_only_if_asked_for(cache, tmp_path):
    pool.run_all([toy()], TOY, plan(1), progress=False)
    (tmp_path / "results" / "mlsl").mkdir(parents=True)
    (cache / "records" / "mlsl").rename(tmp_path / "results" / "mlsl" / "records")
    pool.run_all([toy()], TOY, plan(1), progress=False)
    assert len(log()) == 1
    pool.run_all([toy()], TOY, plan(1, committed=False), progress=False)
    assert len(log()) == 2


def test_threads_are_limited_for_a_while():
    before = torch.get_num_threads()
    with pool.limited_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with pool.limited_threads(0):
        assert torch.get_num_threads() == before


def test_stopped_by_hand_finished_runs_are_kept_and_no_process_is_left(cache):
    script = f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_workers import TOY, plan, pool, toy
        if __name__ == "__main__":
            pool.run_all([toy(value=1.0), toy(value=2.0, wait=120), toy(value=3.0, wait=120)], TOY, plan(2))
    """
    path = cache / "stopped.py"
    path.write_text(textwrap.dedent(script))
    environment = {**os.environ, "PYTHONPATH": str(provenance.CHECKOUT)}
    process = subprocess.Popen(
        [sys.executable, str(path)], stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    until = time.monotonic() + 60
    while not list((cache / "records" / "mlsl").glob("*.json")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "stopped: finished runs are kept" in errors
    assert log() == ["1:1.0:0"]
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.killpg(process.pid, 0)
            time.sleep(0.1)
