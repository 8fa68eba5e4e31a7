"""The README's grid by its very command line: killed, stopped, with a job that fails, and taken up again."""

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reidpapers.grid import jobs
from reidpapers.run import records, runs, workers
from reidpapers.run.config import Plan
from reidpapers.run.papers import load

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ["profile=smoke", "committed=false", "device=cpu"]
SAME = ("key", "config", "seed", "data", "scores", "queries", "history", "probe", "tests", "code")


def readme_grid():
    """The first grid that the README shows."""
    text = (ROOT / "README.md").read_text()
    return shlex.split(re.search(r"^snakemake --profile \S+ --config papers=.*\[.*$", text, re.MULTILINE).group())


def here(words):
    """A command line as it is run from another folder, by this Python and its tools."""
    words = [str(ROOT / word) if word.startswith("workflow/") else word for word in words]
    module = [sys.executable, "-m", words[0]]
    return [*module, *(["-s", str(ROOT / "workflow" / "Snakefile")] if words[0] == "snakemake" else []), *words[1:]]


def start(words, folder, cache):
    paths = {"REIDLIB_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    with (folder / "said").open("w") as said:
        return subprocess.Popen(here(words), cwd=folder, env={**os.environ, **paths}, stdout=said, stderr=said,
                                start_new_session=True)  # fmt: skip


def stored(cache):
    return {path.name: path.read_bytes() for path in (cache / "records" / "mlsl").glob("*.json")}


def stop_when(process, condition, how, draw):
    """Send a signal to the whole process group some moments after a condition holds, as Ctrl-C or a power cut does."""
    end = time.monotonic() + 1200
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(draw.uniform(0, 1))
    if process.poll() is None:
        os.killpg(process.pid, how)
    process.wait(600)


@pytest.fixture(scope="module")
def grid():
    settings = dict(word.split("=", 1) for word in readme_grid()[4:])
    given = {name: json.loads(value) if value.startswith("[") else value for name, value in settings.items()}
    return jobs.jobs(jobs.order({**given, **dict(word.split("=") for word in SMOKE[:1]), "device": "cpu"}))


def test_the_readme_grid_survives_a_kill_a_stop_and_a_failing_job(grid, tmp_path, monkeypatch):
    cache, draw = tmp_path / "cache", random.Random(0)
    monkeypatch.setenv("REIDLIB_CACHE", str(cache))
    mlsl, leaves = load("mlsl"), [job for job in grid.values() if job.after]
    assert len(leaves) == 6
    obstacle = runs.weights_path(leaves[-1].configs[0], mlsl)
    obstacle.mkdir(parents=True)  # where this run would write its weights
    command, seen = [*readme_grid(), *SMOKE], []

    for how in (signal.SIGKILL, signal.SIGINT):
        before = len(stored(cache))
        stop_when(start(command, tmp_path, cache), lambda least=before: len(stored(cache)) > least, how, draw)
        seen.append(stored(cache))
    assert start(command, tmp_path, cache).wait(1200) != 0
    said = (tmp_path / "said").read_text()
    assert "1 failed, 0 were not begun" in said and f"\n{leaves[-1].name}: " in said
    assert "Is a directory" in said and "REIDLIB_CACHE names another folder" in said
    log = json.loads((tmp_path / "out" / "jobs" / f"{leaves[-1].name}.ipynb").read_text())
    outputs = [one for cell in log["cells"] for one in cell.get("outputs", [])]
    assert any(one["output_type"] == "error" and one["traceback"] for one in outputs)
    assert len(stored(cache)) == 6, "the others are not stopped by it"

    obstacle.rmdir()
    repeat = shlex.split(re.search(r"^  repeat +(.*)$", said, re.MULTILINE).group(1))
    assert start(repeat, tmp_path, cache).wait(600) == 0
    assert start([*command[:3], "-n", *command[3:]], tmp_path, cache).wait(600) == 0
    assert "Nothing to be done" in (tmp_path / "said").read_text()

    final = stored(cache)
    for earlier in seen:
        assert earlier and all(final[name] == content for name, content in earlier.items()), "computed twice"
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "undisturbed"))
    workers.run_all([c for job in grid.values() for c in job.configs], mlsl, Plan(committed=False, workers=1))
    ours, theirs = ({name: json.loads(text) for name, text in stored(tmp_path / where).items()}
                    for where in ("cache", "undisturbed"))  # fmt: skip
    assert ours.keys() == theirs.keys() and len(ours) == 7
    for name in ours:
        assert {key: ours[name].get(key) for key in SAME} == {key: theirs[name].get(key) for key in SAME}
        records.read(tmp_path / "cache" / "records" / "mlsl" / name)
