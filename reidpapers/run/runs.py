"""Runs: one configuration and seed, computed once, resumed after a kill, never believed beyond the code that made it.

:func:`run` returns the record of a configuration if it is there and fresh, else it computes it under a lock.
A record names the digest of the code that made it and carries a *probe*, a fingerprint of what that code does. If the
digest is today's, the record is fresh; if not, the probe is replayed and decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from reidlib.digest import code_digest
from reidlib.places import cache_dir, write_atomically
from reidpapers.run import provenance, records
from reidpapers.run.config import Config
from reidpapers.run.records import UNVERIFIED, Record

TOLERANCE = 1e-4  # relative, between a record's probe and its replay
STEPS = 3  # of a probe's training
# On another processor, rounding is no longer small after an update: Adam divides what is noise by its own size. Between
# two of one make the third step differed by up to 2 % in the loss and 14 % in a gradient's norm (MobileNet v1).
TOLERANCE_UPDATED = 0.2
FRESH, BY_PROBE, STALE = "fresh", "fresh by probe", "stale"

Progress = Callable[[int], None]


def _silent(steps: int) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Workspace:
    """What a computation is given beside its configuration.

    Attributes:
        starts: weights of the runs it starts from, in their order.
        checkpoint: where it saves and resumes.
        progress: called with the number of training steps done since the last call.
    """

    starts: tuple[Path, ...]
    checkpoint: Path
    progress: Progress = _silent


@dataclass(frozen=True)
class Experiment:
    """How a paper's configuration is carried out; made of plain functions, so that processes can share it.

    Attributes:
        paper: its name, as in ``reidpapers.<name>``.
        compute: ``(config, workspace) → (parts of the record, weights)``.
        starts_from: the configurations whose weights a run begins with: none, one, or the members of an ensemble.
        steps: training steps of a run, for progress.
        data: ``config → {"name", "digest", "note", "counts", "identities", …}``, without reading pixels.
        prepare: ``(config, workers, progress)``: decode what is needed, before runs share it.
        probe: ``(config, data) → {name: numbers}``, the fingerprint of what the code does; ``data`` as above.
    """

    paper: str
    compute: Callable[[Config, Workspace], tuple[dict[str, Any], Any]]
    starts_from: Callable[[Config], tuple[Config, ...]]
    steps: Callable[[Config], int]
    data: Callable[[Config], dict[str, Any]]
    prepare: Callable[[Config, int, bool], None]
    probe: Callable[[Config, Mapping[str, Any]], dict[str, list[float]]]


def name(config: Config, experiment: Experiment) -> str:
    """The name of a configuration's record."""
    return records.name(experiment.paper, config, experiment.data(config)["digest"])


def run(config: Config, experiment: Experiment, *, committed: bool = True, progress: Progress = _silent) -> Record:
    """The record of exactly this configuration and seed, computed only if it is not there or stale.

    Two processes that want one run compute it once. A run that was killed resumes from its checkpoint.

    Args:
        config: what to run.
        experiment: how.
        committed: also accept the records that come with the suite.
        progress: called with the number of training steps done since the last call.
    """
    record = present(config, experiment, committed=committed)
    if record is None:
        path = _own_path(config, experiment)
        with FileLock(path.with_suffix(".lock")):
            record = present(config, experiment, committed=committed)  # another process may have been first
            if record is None:
                return _compute(config, experiment, path, committed, progress)
    progress(experiment.steps(config))
    return record


def lookup(config: Config, experiment: Experiment, *, committed: bool = True) -> Record | None:
    """The record of a configuration if there is one, with its freshness; never computes or replays anything.

    A record of the same configuration on data that has changed since is returned as stale. Where the record's data are
    not on this machine and others stand in (real digits), it is returned for what it is: its data's name says so.
    """
    wanted, data = name(config, experiment), experiment.data(config)["name"]
    stale = None
    for folder in records.stores(experiment.paper, committed=committed):
        others = sorted(folder.glob(f"{wanted.partition('-')[0]}-*.json"))
        for path in [folder / f"{wanted}.json", *(other for other in others if other.stem != wanted)]:
            if record := records.read_or_warn(path):
                elsewhere = record.data["name"] != data
                status = freshness(record) if path.stem == wanted or elsewhere else STALE
                if status != STALE:
                    return replace(record, freshness=status)
                stale = stale or replace(record, freshness=STALE)
    return stale


def present(config: Config, experiment: Experiment, *, committed: bool = True) -> Record | None:
    """A record that holds today: an unverified one is replayed first (seconds), a stale one is not returned."""
    record = lookup(config, experiment, committed=committed)
    if record and record.key != name(config, experiment):
        return None  # the same configuration on other data
    if record and record.freshness == UNVERIFIED:
        record = replace(record, freshness=replay(record, config, experiment)[0])
        remember({finding_key(record): record.freshness}, cache_dir() / "verified.json")
    return None if record is None or record.freshness == STALE else record


def weights(config: Config, experiment: Experiment, *, committed: bool = True, progress: Progress = _silent) -> Path:
    """File with a run's trained weights; the run is computed if its weights are not in the user's cache."""
    path = _own_path(config, experiment)
    kept = kept_weights(config, experiment)
    if not kept.exists():
        with FileLock(path.with_suffix(".lock")):
            if not kept.exists():
                _compute(config, experiment, path, committed, progress)
    return kept


def kept_weights(config: Config, experiment: Experiment) -> Path:
    """Where a run's weights lie, or would lie."""
    return _beside(_own_path(config, experiment), "weights", code(experiment.paper))


def _own_path(config: Config, experiment: Experiment) -> Path:
    folder = records.stores(experiment.paper)[0]
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name(config, experiment)}.json"


def _beside(record: Path, kind: str, code_now: str) -> Path:
    """Where a run's checkpoint or weights lie. Those of other code have another name: they are never mixed."""
    return cache_dir() / kind / record.parent.name / f"{record.stem}-{code_now[:8]}.pt"


def _compute(config: Config, experiment: Experiment, path: Path, committed: bool, progress: Progress) -> Record:
    """Carry a run out, keep its weights, write its record."""
    from reidlib import parallel
    from reidlib.train import save_atomically

    code_now = code(experiment.paper)
    starts = tuple(weights(start, experiment, committed=committed) for start in experiment.starts_from(config))
    checkpoint = _beside(path, "checkpoints", code_now)
    parallel.summon(experiment.compute, config, Workspace(starts, checkpoint))  # where several share each batch
    parts, state = experiment.compute(config, Workspace(starts, checkpoint, progress))
    save_atomically(state, _beside(path, "weights", code_now))
    record = records.write(_assemble(config, experiment, parts, code_now), path)
    checkpoint.unlink(missing_ok=True)
    return replace(record, freshness=FRESH)


def _assemble(config: Config, experiment: Experiment, parts: Mapping[str, Any], code_now: str) -> Record:
    """A record: the computation's parts, and where they come from."""
    data = experiment.data(config)
    return Record(
        schema=records.SCHEMA,
        paper=experiment.paper,
        key=name(config, experiment),
        config=config.portable(),
        seed=config.seed,
        data=data,
        versions=provenance.versions(),
        commit=provenance.commit(),
        code=code_now,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        probe=experiment.probe(config, data),
        **parts,
    )


@cache
def code(paper: str) -> str:
    """Digest of the code that makes a paper's records."""
    return code_digest(f"reidpapers.{paper}.paper")


def freshness(record: Record) -> str:
    """What is known of a record without computing: fresh by digest, what an earlier replay found, or unverified."""
    if record.code == code(record.paper):
        return FRESH
    findings = {**ledger(records.COMMITTED / "verified.json"), **ledger(cache_dir() / "verified.json")}
    return findings.get(finding_key(record), UNVERIFIED)


def replay(record: Record, config: Config, experiment: Experiment) -> tuple[str, str]:
    """Compare a record's data (if they are here) and probe with what the code gives now; takes seconds.

    Returns:
        ``fresh by probe`` or ``stale``, and the reason.
    """
    data = experiment.data(config)
    if data["name"] == record.data["name"] and data["digest"] != record.data["digest"]:
        return STALE, "the data have changed"
    now = experiment.probe(config, record.data)
    later = TOLERANCE if record.device.get("arithmetic") == provenance.arithmetic() else TOLERANCE_UPDATED
    for part in sorted(now.keys() | record.probe.keys()):
        old, new = record.probe.get(part, []), now.get(part, [])
        first = _first(part, old)
        tolerances = [TOLERANCE] * first + [later] * (len(old) - first)
        if len(old) != len(new) or not all(map(_close, old, new, tolerances)):
            return STALE, f"the probe differs in {part}"
    return BY_PROBE, "the probe is the same"


def _first(part: str, values: Sequence[float]) -> int:
    """How many of a part's values were taken before any update of the network."""
    return len(values) // STEPS if part.endswith((" loss", " gradient")) else len(values)


def _close(old: float, new: float, tolerance: float) -> bool:
    return abs(old - new) <= tolerance * max(abs(old), abs(new)) + 1e-9


def finding_key(record: Record) -> str:
    """A replay's finding holds for one record's content and one state of the code."""
    return f"{record.sha256[:16]}:{code(record.paper)[:16]}"


def remember(findings: Mapping[str, str], path: Path, *, anew: bool = False) -> None:
    """Add findings of replays to a ledger, whoever else is writing there; ``anew`` drops what stood there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        text = json.dumps({**({} if anew else ledger(path)), **findings}, indent=1, sort_keys=True)
        write_atomically(path, f"{text}\n")


def ledger(path: Path) -> dict[str, str]:
    """Findings by :func:`finding_key`; empty where there are none."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
