"""The workflow on a real Slurm, and how long a large grid takes to be planned. Run by ``make test-slurm``."""

import json
import os
import resource
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from slurm_cluster import DAEMONS, cluster, program

from reidpapers.run.records import read

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif("REIDLIB_TEST_SLURM" not in os.environ, reason="run by make test-slurm")


def snakemake(profile, *words, folder, environment):
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "workflow" / "Snakefile"), "--profile"]
    return subprocess.run([*command, str(ROOT / "workflow" / "profiles" / profile), *words], cwd=folder, text=True,
                          env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True)  # fmt: skip


def asked(environment):
    """What Slurm says of all its jobs."""
    shown = subprocess.run(["scontrol", "--oneliner", "show", "job"], env=environment, capture_output=True, text=True)
    return [dict(word.partition("=")[::2] for word in line.split()) for line in shown.stdout.splitlines()]


@pytest.mark.skipif(not all(map(program, DAEMONS)) or os.getuid(), reason="needs slurm-wlm, munge and to be root")
def test_a_report_runs_on_slurm_with_jobs_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "slurm").mkdir()
    with cluster(tmp_path / "slurm") as environment:
        done = snakemake(
            "slurm", "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10",
            "--set-resources", "run:gpu=1", "--config", "papers=mlsl", "scope=base", "seeds=[0, 1]", "profile=smoke",
            "committed=false", "device=cpu", folder=tmp_path, environment=environment,
        )  # fmt: skip
        found = asked(environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [job["JobState"] for job in found] == ["COMPLETED"] * 3
    computing = [job for job in found if "gpu:1" in job.get("TresPerJob", "")]
    spans = [[datetime.fromisoformat(job[key]) for key in ("StartTime", "EndTime")] for job in computing]
    assert len(spans) == 2 and max(s for s, _ in spans) < min(e for _, e in spans), "one waited for the other"
    stamps = [json.loads((tmp_path / "out" / "stamps" / "runs" / "mlsl" / f"seed{n}.json").read_text()) for n in (0, 1)]
    named = {line["record"] for lines in stamps for line in lines}
    assert len(named) == 6 and all(read(tmp_path / "cache" / "records" / name) for name in named)
    assert (tmp_path / "out" / "report" / "mlsl" / "mlsl_ablation.html").stat().st_size > 100_000


def test_a_grid_of_2000_jobs_is_planned_in_half_a_minute(tmp_path, capsys):
    # 20 s of a quiet core; where another thread is busy on it, as in this suite, the same work costs twice the seconds.
    # The bound only tells a plan that loads the library once from one that loads it for each job.
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = snakemake("local", "-n", "--quiet", "all", "--config", "papers=mlsl", "profile=paper", "device=cpu",
                     f"seeds={list(range(110))}", folder=tmp_path, environment=os.environ)  # fmt: skip
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = now.ru_utime - before.ru_utime + now.ru_stime - before.ru_stime
    assert done.returncode == 0, done.stderr[-3000:]
    (plan,) = (tmp_path / "out" / "plans").iterdir()
    count = len(json.loads(plan.read_text())["jobs"])
    with capsys.disabled():
        print(f"\n{count} jobs planned in {time.monotonic() - began:.1f} s ({spent:.1f} s of one core)")
    assert count >= 2000 and spent < 120
