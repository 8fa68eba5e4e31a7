"""Several processes for one run: the same numbers as one, one record, and one end for all.

What takes long to import is imported where it is used, since each process that a test starts imports this file.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import cache, partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from test_runs import TOY, toy
from torch import nn

from reidlib import parallel
from reidlib.parallel import shares
from reidpapers.run import provenance, records, workers
from reidpapers.run.config import Plan

HERE, ROOT = Path(__file__).parent, provenance.CHECKOUT
STEPS = 20
LENGTH = {"profile": "smoke", "init": "scratch", "image_size": 32}


# --- what the processes run; named, so that they can be sent there ---------------------------------------------------


def case(name):
    """A paper, and a run of twenty steps."""
    if name == "mlsl":
        from reidpapers.mlsl.paper import PAPER

        return PAPER, PAPER.Config(**LENGTH, iterations1=STEPS // 2, iterations2=STEPS // 2)
    from reidpapers.c2f_rank.paper import PAPER

    return PAPER, PAPER.Config(**LENGTH, iterations2=STEPS, rate2=1e-3)


def plain_trunk(config):
    """Convolutions and dropout, no batch normalisation; as wide as the small trunk, so that heads fit."""
    from reidlib.models import Trunk

    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Dropout(0.25)]
        return Trunk(nn.Sequential(*layers, nn.Conv2d(32, 128, 3, 2, 1)), 128)


class Watched:
    """A paper's runs on that trunk; each leaves word of its processes, its batches and its loss curve."""

    def __reduce__(self):
        return watched, (self.name,)

    @property
    def name(self):
        return type(self).__mro__[2].__module__.split(".")[-2]

    def build(self, config, data, starts=()):
        network = super().build(config, data, starts)
        network.trunk = plain_trunk(config)
        Path(os.environ["REIDLIB_CACHE"], f"{os.getpid()}.pid").touch()
        return network

    def draw(self, config, labels):
        """The paper's batches; MLSL's first time, a process that is not the main one dies in the middle."""
        drawn, mark = super().draw(config, labels), Path(os.environ["REIDLIB_CACHE"], "died")

        def batch(step, generator):
            who = f"steps of {self.name}'s main" if parallel.is_main() else "steps of another"
            with Path(os.environ["REIDLIB_CACHE"], who).open("a", encoding="utf-8") as file:
                file.write(f"{step}\n")
            if step == STEPS // 2 and not parallel.is_main() and not mark.exists() and self.name == "mlsl":
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return drawn(step, generator)

        return batch

    def probe(self, config, data, nudge=0):
        return {}  # it draws batches, too

    def compute(self, config, space):
        """A run that also keeps its loss curve, of which a record has four digits."""
        parts = super().compute(config, space)
        if parallel.is_main():
            values = torch.load(space.checkpoint.path)["values"]
            torch.save(values, Path(os.environ["REIDLIB_CACHE"], f"{self.name}.pt"))
        return parts


@cache
def watched(name):
    """A paper that is watched."""
    return type("WatchedPaper", (Watched, type(case(name)[0])), {})()


def run(name, processes):
    plan = Plan(processes=processes, committed=False, workers=1)
    (record,) = workers.run_all([case(name)[1]], watched(name), plan)
    return record


def exact(folder, progress=None):
    """One backward pass of a loss that mines over an odd batch, through normalisation and dropout, in float64."""
    parallel.summon(exact, folder)
    network, images, labels = mining_network()
    with parallel.spread(network):
        loss = mining_loss(network, images, labels)
        loss.backward()
    if parallel.processes() > 1:
        parallel.average(0, network)
    torch.save(
        (loss.detach(), gradients(network), network.state_dict()), folder / f"{os.environ.get('RANK', 'alone')}.pt"
    )


def mining_network():
    from reidlib.models import small

    torch.manual_seed(3)
    network = nn.Module()
    network.trunk = small()
    network.trunk.layers.insert(6, nn.Dropout2d(0.3))
    network.head = nn.Sequential(nn.Linear(128, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))
    network.double().train()
    return network, torch.randn(7, 3, 32, 32, dtype=torch.float64), torch.arange(7) % 3


def mining_loss(network, images, labels):
    torch.manual_seed(5)
    features = network.trunk(images)
    apart = torch.cdist(features, features)
    same = labels[:, None] == labels
    hardest = torch.where(same, apart, 0).amax(1) - torch.where(same, torch.inf, apart).amin(1)
    maps = network.trunk.maps(images).amax((2, 3))
    return F.softplus(hardest).mean() + F.cross_entropy(network.head(maps), labels)


def gradients(network):
    return [parameter.grad for parameter in network.parameters()]


# --- tests -----------------------------------------------------------------------------------------------------------


def test_two_processes_have_the_gradient_of_one(tmp_path):
    exact(tmp_path)
    parallel.launch(partial(exact, tmp_path), 2, "cpu", lambda steps: None)
    loss, wanted, state = torch.load(tmp_path / "alone.pt")
    for rank in (0, 1):
        found, given, buffers = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(found, loss, rtol=1e-10, atol=0)
        torch.testing.assert_close(given, wanted, rtol=1e-8, atol=1e-12)
        torch.testing.assert_close(buffers, state, rtol=1e-10, atol=1e-12)


NOTEBOOK = """
import os, sys
os.environ["REIDLIB_CACHE"] = alone
sys.path.insert(0, tests)
import test_parallel
for name in ("mlsl", "c2f_rank"):
    test_parallel.run(name, 1)
####
os.environ["REIDLIB_CACHE"] = together
try:
    test_parallel.run("mlsl", 2)
except RuntimeError as error:
    print(error)
####
for name in ("mlsl", "c2f_rank"):
    print(test_parallel.run(name, 2).device["processes"])
"""


def test_two_processes_started_in_a_notebook_have_the_loss_curve_of_one_also_after_one_died(tmp_path):
    import nbformat
    import papermill

    cells = [nbformat.v4.new_code_cell('alone = together = tests = ""', metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(text.strip()) for text in NOTEBOOK.split("####")]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "given.ipynb")
    folders = {name: tmp_path / name for name in ("alone", "together")}
    for folder in folders.values():
        folder.mkdir()
    given = {**{name: str(folder) for name, folder in folders.items()}, "tests": str(HERE)}
    source, output = tmp_path / "given.ipynb", tmp_path / "out.ipynb"
    done = papermill.execute_notebook(source, output, given, cwd=ROOT, progress_bar=False, start_timeout=300)
    *_, failed, resumed = ["".join(out.get("text", "") for out in cell.outputs if out.name == "stdout")
                           for cell in done.cells]  # fmt: skip
    assert "a run on 2 processes was stopped: process 1 was ended by SIGKILL" in failed
    assert resumed.split() == ["2", "2"]
    for name in ("mlsl", "c2f_rank"):
        curve, wanted = (torch.load(folder / f"{name}.pt") for folder in reversed(folders.values()))
        assert len(curve) == STEPS and curve[:, 0].std() > 1e-3, "it learns"
        torch.testing.assert_close(curve, wanted, rtol=1e-4, atol=1e-4)
    steps = (folders["together"] / "steps of mlsl's main").read_text().split()
    assert steps.count("5") == steps.count("19") == 1, "it went on from its checkpoint (a probe draws batches 0 to 2)"
    assert len(list((folders["together"] / "records" / "mlsl").glob("*.json"))) == 1
    assert_gone(int(path.stem) for path in folders["together"].glob("*.pid"))


def assert_gone(numbers, seconds=20):
    until = time.monotonic() + seconds
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            while time.monotonic() < until:
                os.kill(number, 0)
                time.sleep(0.1)


class Waiting(type(TOY)):
    """Toy runs that leave word of their processes and then take long."""

    def __reduce__(self):
        return Waiting, ()

    def compute(self, config, space):
        Path(os.environ["REIDLIB_CACHE"], f"{os.getpid()}.pid").touch()
        time.sleep(600)


WAITING = Waiting()


def test_when_the_process_that_started_them_is_killed_none_is_left(tmp_path):
    script = f"""
        import sys; sys.path.insert(0, {str(HERE)!r})
        from test_parallel import WAITING, Plan, toy, workers
        if __name__ == "__main__":
            workers.run_all([toy()], WAITING, Plan(processes=2, committed=False))
    """
    (tmp_path / "killed.py").write_text(textwrap.dedent(script))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REIDLIB_CACHE": str(tmp_path)}
    process = subprocess.Popen([sys.executable, str(tmp_path / "killed.py")], env=environment, start_new_session=True)
    until = time.monotonic() + 300
    while len(list(tmp_path.glob("*.pid"))) < 2:
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    with pytest.raises(ProcessLookupError):
        for _ in range(200):
            os.killpg(process.pid, 0)
            time.sleep(0.1)


def test_torchrun_computes_and_writes_each_record_once(tmp_path):
    run = ["--profile", "smoke", "--committed", "false", "--iterations1", "4", "--iterations2", "4"]
    several = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*several, "-m", "reidlib", "run", "mlsl", *run]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REIDLIB_CACHE": str(tmp_path)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("given configuration") == 1, "the main process prints, the others are silent"
    found = list(records.read_all(tmp_path / "records" / "mlsl"))
    assert len(found) == 3 and all(record.device["processes"] == 2 for record in found)


def test_a_share_of_dropout_is_that_of_the_whole_batch():
    features = torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last)
    for layer in (nn.Dropout(0.5), nn.Dropout2d(0.5)):
        torch.manual_seed(1)
        whole = layer(features)
        torch.manual_seed(1)
        with shares._OfWholeBatch(8, slice(3, 6)):
            part = layer(features[3:6])
        assert torch.equal(part, whole[3:6])
        with shares._OfWholeBatch(8, slice(3, 6)):
            assert torch.equal(layer.eval()(features[3:6]), features[3:6])


def test_alone_nothing_is_changed():
    from reidlib.models import small

    network = nn.Module()
    network.trunk = small()
    before = network.trunk.forward
    with parallel.spread(network):
        assert network.trunk.forward == before
    assert parallel.processes() == 1 and parallel.is_main() and not parallel.launched()


def test_a_batch_without_an_image_for_each_process_is_refused(monkeypatch):
    from reidlib.models import small

    monkeypatch.setattr(shares, "processes", lambda: 3)
    network = nn.Module()
    network.trunk = small()
    with parallel.spread(network), pytest.raises(ValueError, match="2 images is refused: 3 processes need one each"):
        network.trunk(torch.zeros(2, 3, 32, 32))
    assert "forward" not in vars(network.trunk), "the trunk is as it was"
    whole = nn.Linear(3, 1)
    with parallel.spread(whole):
        assert whole(torch.zeros(2, 3)).shape == (2, 1), "a network without a trunk stays whole"


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="processes = 2 is refused: allowed is at most one a GPU, 1"):
        parallel.launch(print, 2, "cuda", print)


def test_a_failure_in_a_process_is_told_and_the_other_runs_go_on(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    configs = [toy(value=1.5, fails=True), toy(value=2.5)]
    with pytest.raises(RuntimeError, match="1 of 2 runs failed") as caught:
        workers.run_all(configs, TOY, Plan(processes=2, committed=False), progress=False)
    assert "toy 1.5 failed" in str(caught.value)
    assert len(list((tmp_path / "records" / "mlsl").glob("*.json"))) == 1
