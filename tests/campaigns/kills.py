"""Random kills: whatever stops a grid of runs and cuts its files, all records end equal to undisturbed ones.

Every paper's rows are run at smoke; the command is killed at a random moment, with all its processes, and begun again.
Each fifth time a random file of the cache is cut at a random length beforehand. A record that is whole is never written
again; what is cut is named and made anew.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

PAPERS = ("mlsl", "drdl", "c2f_rank", "agnet", "multiguided", "compared")
OF_A_SITTING = ("cost", "created", "commit", "sha256", "versions")  # what two equal runs may differ in


def command(paper: str, workers: int) -> list[str]:
    """The runs of a paper's base rows at smoke."""
    return [sys.executable, "-m", "reidlib", "run", paper, "--profile", "smoke", "--committed", "false",
            "--workers", str(workers), "--seeds", "0"]  # fmt: skip


def start(paper: str, workers: int, cache: Path) -> subprocess.Popen:
    """Begin a paper's runs, in a process group of their own; what is said goes to a file beside the cache."""
    given = {**os.environ, "REIDLIB_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    with _said(cache).open("w", encoding="utf-8") as said:
        return subprocess.Popen(command(paper, workers), env=given, start_new_session=True, stdout=said, stderr=said)


def _said(cache: Path) -> Path:
    return cache.with_name(f"{cache.name}.log")


def ended(process: subprocess.Popen, cache: Path) -> tuple[int, str]:
    """Exit code of a process that ends by itself, and the last of what it said."""
    code = process.wait()
    return code, _said(cache).read_text(encoding="utf-8", errors="replace")[-800:]


def records(cache: Path) -> dict[str, dict]:
    """Every whole record by file name, without what depends on the sitting; and its checksum."""
    found = {}
    for path in sorted((cache / "records").rglob("*.json")):
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        found[path.name] = body
    return found


def essence(record: dict) -> str:
    """What two equal runs share, as text."""
    return json.dumps({name: value for name, value in record.items() if name not in OF_A_SITTING}, sort_keys=True)


def cut(cache: Path, draw: random.Random) -> Path | None:
    """Cut a random file of the cache at a random length."""
    files = sorted(
        path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock" and path.stat().st_size
    )
    if not files:
        return None
    path = draw.choice(files)
    os.truncate(path, draw.randrange(path.stat().st_size))
    return path


class Siege:
    """The kills of one paper's runs, until they end by themselves; then from an empty cache again."""

    def __init__(self, paper: str, folder: Path, workers: int) -> None:
        self.paper, self.cache, self.workers = paper, folder / paper, workers
        quiet = folder / f"{paper}-quiet"
        began = time.monotonic()
        code, told = ended(start(paper, workers, quiet), quiet)
        if code:
            raise RuntimeError(f"{paper} fails undisturbed: {told}")
        self.seconds = time.monotonic() - began
        self.wanted = {name: essence(body) for name, body in records(quiet).items()}
        shutil.rmtree(quiet)
        self.whole: dict[str, str] = {}

    def attack(self, draw: random.Random, damage: bool) -> list[str]:
        """One sitting: perhaps a cut file, then a kill at a random moment; what is wrong afterwards."""
        damaged = cut(self.cache, draw) if damage and self.cache.exists() else None
        if damaged:
            self.whole.pop(f"{damaged.stem}.json", None)  # a run whose weights are wanted is carried out again
        process = start(self.paper, self.workers, self.cache)
        try:
            process.wait(draw.uniform(0.0, 1.1) * self.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return [f"{self.paper}: {problem}" for problem in self._again()]
        code, told = ended(process, self.cache)
        problems = [f"ended with {code} after {damaged} was cut: {told}"] if code else []
        problems += self._again() + self._ended()
        shutil.rmtree(self.cache, ignore_errors=True)
        self.whole = {}
        return [f"{self.paper}: {problem}" for problem in problems]

    def _again(self) -> list[str]:
        """Records that were whole before and were written again."""
        now = {name: body["sha256"] for name, body in records(self.cache).items()}
        twice = [name for name, digest in self.whole.items() if now.get(name, digest) != digest]
        self.whole |= now
        return [f"{name} was computed twice" for name in twice]

    def _ended(self) -> list[str]:
        """What differs from the undisturbed runs."""
        found = {name: essence(body) for name, body in records(self.cache).items()}
        different = [name for name in self.wanted if found.get(name) != self.wanted[name]]
        return [f"{name} is not as undisturbed" for name in different]


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.campaigns.kills", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="kills (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--papers", nargs="+", default=PAPERS, choices=PAPERS)
    given = parser.parse_args()
    draw, problems, counts = random.Random(given.seed), [], Counter()
    with tempfile.TemporaryDirectory(prefix="reidlib-kills-") as folder:
        sieges = [Siege(paper, Path(folder), given.workers) for paper in given.papers]
        for number in range(given.runs):
            siege = sieges[number % len(sieges)]
            problems += siege.attack(draw, damage=number % 5 == 4)
            counts[siege.paper] += 1
            print(f"{number + 1} of {given.runs}: {siege.paper}, {len(problems)} problems", flush=True)
        for siege in sieges:
            if siege.cache.exists():  # let what is left end by itself
                code, told = ended(start(siege.paper, siege.workers, siege.cache), siege.cache)
                problems += [f"{siege.paper} ended with {code}: {told}"] * bool(code)
                problems += [f"{siege.paper}: {problem}" for problem in siege._again() + siege._ended()]
    print("\n".join(problems))
    print(
        f"{given.runs} kills ({dict(counts)}), {sum(len(s.wanted) for s in sieges)} records: {len(problems)} problems"
    )
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
