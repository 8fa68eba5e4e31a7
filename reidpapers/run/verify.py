"""Verification: do the records still say what the code does? Replays probes and writes down what it found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from reidlib import processes
from reidlib.places import cache_dir
from reidpapers.run import records, runs
from reidpapers.run.base import Paper
from reidpapers.vehicles import rendered


def verify(papers: Sequence[Paper], *, own: bool = False, force: bool = False, workers: int = 1) -> int:
    """Check every record of a store and add the findings to its ledger, which pages read.

    Args:
        papers: whose records.
        own: check the user's own records instead of the committed ones.
        force: replay records whose code is unchanged too.
        workers: processes, one thread each.

    Returns:
        0 when every record is fresh, 1 when any is stale or broken.

    Raises:
        FileNotFoundError: there are none.
    """
    files = [(path, paper) for paper in papers for path in sorted(_store(paper, own).glob("*.json"))]
    if not files:
        folders = ", ".join(sorted({str(_store(paper, own)) for paper in papers}))
        where = "run `verify` in a checkout of the suite, or with --own" if not own else "REIDLIB_CACHE names another"
        raise FileNotFoundError(f"there are no records in {folders}: {where}")
    jobs = [(path, paper, force) for path, paper in files if records.read_or_warn(path)]
    with processes.pool(workers, kept="nothing was written; the same command starts anew") as pool:
        findings = list(tqdm(pool.map(_check, jobs), total=len(jobs), unit="record"))
    if not own:
        rendered.publish_pixels()
    ledger = (cache_dir() if own else records.COMMITTED) / "verified.json"
    runs.remember({key: word for key, word, _, _ in findings if word != runs.FRESH}, ledger, anew=not own)
    for _, word, reason, name in findings:
        if word == runs.STALE:
            print(f"stale: {name}: {reason}")
    words = [word for _, word, _, _ in findings]
    counts = ", ".join(f"{words.count(word)} {word}" for word in (runs.FRESH, runs.BY_PROBE, runs.STALE))
    print(f"{len(findings)} records: {counts}, {len(files) - len(jobs)} broken")
    return int(runs.STALE in words or len(jobs) < len(files))


def _store(paper: Paper, own: bool) -> Path:
    return records.stores(paper.name)[0 if own else 1]


def _check(job: tuple[Path, Paper, bool]) -> tuple[str, str, str, str]:
    """Ledger key, finding, reason, and name of one record."""
    path, paper, force = job
    record = records.read(path)
    word, reason = runs.freshness(record), "the code is the same"
    if force or word != runs.FRESH:
        word, reason = runs.replay(record, paper.Config(**record.config), paper)
        if word == runs.BY_PROBE and record.code == runs.code(record.paper):
            word = runs.FRESH
    return runs.finding_key(record), word, reason, path.name
