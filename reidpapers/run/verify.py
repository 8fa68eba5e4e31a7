"""Verification: do the records still say what the code does? Replays probes and writes down what it found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from reidlib import processes
from reidlib.places import cache_dir
from reidpapers.run import records, runs
from reidpapers.run.config import Config
from reidpapers.run.runs import Experiment
from reidpapers.vehicles import rendered


def verify(
    papers: Mapping[str, tuple[type[Config], Experiment]], *, own: bool = False, force: bool = False, workers: int = 1
) -> int:
    """Check every record of a store and add the findings to its ledger, which pages read.

    Args:
        papers: configuration class and experiment of each paper.
        own: check the user's own records instead of the committed ones.
        force: replay records whose code is unchanged too.
        workers: processes, one thread each.

    Returns:
        0 when every record is fresh, 1 when any is stale or broken.
    """
    jobs = []
    broken = 0
    for paper, (config, experiment) in papers.items():
        for path in sorted(records.stores(paper)[0 if own else 1].glob("*.json")):
            record = records.read_or_warn(path)
            broken += record is None
            if record:
                jobs.append((path, config, experiment, force))
    with processes.pool(workers, kept="nothing was written; the same command starts anew") as pool:
        found = list(tqdm(pool.map(_check, jobs), total=len(jobs), unit="record"))
    if not own:
        rendered.publish_pixels()
    ledger = (cache_dir() if own else records.COMMITTED) / "verified.json"
    runs.remember({key: word for key, word, _, _ in found if word != runs.FRESH}, ledger, anew=not own)
    for _, word, reason, name in found:
        if word == runs.STALE:
            print(f"stale: {name}: {reason}")
    counts = {word: sum(w == word for _, w, _, _ in found) for word in (runs.FRESH, runs.BY_PROBE, runs.STALE)}
    print(
        f"{len(found)} records: "
        + ", ".join(f"{count} {word}" for word, count in counts.items())
        + f", {broken} broken"
    )
    return int(counts[runs.STALE] + broken > 0)


def _check(job: tuple[Path, type[Config], Experiment, bool]) -> tuple[str, str, str, str]:
    """Ledger key, finding, reason, and name of one record."""
    path, config_type, experiment, force = job
    record = records.read(path)
    config = config_type(**record.config)
    word, reason = runs.freshness(record), "the code is the same"
    if force or word != runs.FRESH:
        word, reason = runs.replay(record, config, experiment)
        if word == runs.BY_PROBE and record.code == runs.code(record.paper):
            word = runs.FRESH
    return runs.finding_key(record), word, reason, path.name
