"""Runs: one configuration and seed, computed once, resumed after a kill, never believed beyond the code that made it.

:func:`run` returns the record of a configuration if it is there and fresh, else it computes it under a lock.
A record names the digest of the code that made it and carries a probe of what that code does. If the digest is today's,
the record is fresh; if not, the probe is replayed and decides. The same holds for kept weights and checkpoints.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reidlib.places import cache_dir, lock_of, write_atomically
from reidpapers.digest import code_digest
from reidpapers.run import imagenet, provenance, records
from reidpapers.run.config import Config, from_json
from reidpapers.run.records import UNVERIFIED, Record

if TYPE_CHECKING:
    from reidpapers.run.base import Paper
    from reidpapers.run.probe import Stamp

FRESH, BY_PROBE, STALE = "fresh", "fresh by probe", "stale"
# What the data's own digest tells, so that a further dataset makes no record stale; but for how files become pixels.
PINNED = ("reidpapers.vehicles", "reidpapers.digits", "reidpapers.run.datasets", "reidpapers.run.release")
DECODING = ("reidlib.data.pictures:read_image", "reidlib.data.pictures:read_mask_of")

Progress = Callable[[int], None]


def _silent(steps: int) -> None:
    """No progress shown."""


def name(config: Config, paper: Paper) -> str:
    """The name of a configuration's record; without its end where the weights that it begins with are not here."""
    weights_digest = imagenet.digest(imagenet.origins(config) or {})
    return records.name(paper.name, config, paper.data(config)["digest"], weights_digest)


def run(config: Config, paper: Paper, *, committed: bool = True, progress: Progress = _silent) -> Record:
    """The record of exactly this configuration and seed, computed only if it is not there or stale.

    Two processes that want one run compute it once. A run that was killed resumes from its checkpoint. Exhibits that a
    record lacks, since they are newer than it, are made where the run's weights are kept.

    Args:
        config: what to run.
        paper: whose run.
        committed: also accept the records that come with the suite.
        progress: called with the number of training steps done since the last call.
    """
    record = present(config, paper, committed=committed)
    if record is None or lacks(record, config, paper):
        path = _path_to_compute(config, paper)
        with lock_of(path):
            record = present(config, paper, committed=committed)  # another process may have been first
            if record is None:
                return _compute(config, paper, path, committed, progress)
            if missing := lacks(record, config, paper):
                record = _complete(record, config, paper, missing)
    progress(paper.steps(config))
    return record


def lookup(config: Config, paper: Paper, *, committed: bool = True) -> Record | None:
    """The record of a configuration if there is one, with its freshness; never computes or replays anything.

    A record of the same configuration on data that has changed since is returned as stale. Where the record's data are
    not on this machine and others stand in (real digits), it is returned for what it is: its data's name says so. So
    is one whose ImageNet weights are not here: it names them itself.
    """
    stale = None
    for record in _records_of(config, paper, committed):
        if record.freshness != STALE:
            return record
        stale = stale or record
    return stale


def candidates(config: Config, paper: Paper, *, committed: bool = True) -> list[Record]:
    """Every record of a configuration, the user's own first; stale ones only where there are no others."""
    found = list(_records_of(config, paper, committed))
    return [record for record in found if record.freshness != STALE] or found


def _records_of(config: Config, paper: Paper, committed: bool) -> Iterator[Record]:
    """The records of a configuration as the stores have them, with their freshness."""
    return within(records.stores(paper.name, committed=committed), config, paper)


def within(folders: Iterable[Path], config: Config, paper: Paper) -> Iterator[Record]:
    """The records of a configuration in some folders, with their freshness; in each, that on today's data first."""
    run = records.name(paper.name, config, "").partition("-")[0]
    for folder in folders:
        if not (same := sorted(folder.glob(f"{run}-*.json"))):
            continue  # without a look at its data
        wanted = name(config, paper)
        for path in sorted(same, key=lambda path: path.stem != wanted):
            record = records.read_or_warn(path)
            status = status_for(record, config, paper) if record else None
            if status:
                yield replace(record, freshness=status)


def status_for(record: Record, config: Config, paper: Paper) -> str | None:
    """A record's freshness for a configuration: stale if made from other data; None where it is of another run."""
    begins = imagenet.origins(config)
    if not records.is_of(record, config) or imagenet.digest(record.weights) != imagenet.digest(
        record.weights if begins is None else begins
    ):
        return None
    elsewhere = record.data["name"] != paper.data(config)["name"]
    return freshness(record) if elsewhere or record.key.startswith(name(config, paper)) else STALE


def present(config: Config, paper: Paper, *, committed: bool = True) -> Record | None:
    """A record that holds today: an unverified one is replayed first (seconds), a stale one is not returned."""
    record = lookup(config, paper, committed=committed)
    if record and not record.key.startswith(name(config, paper)):
        return None  # the same configuration on other data
    if record and record.freshness == UNVERIFIED:
        record = replace(record, freshness=replay(record, config, paper)[0])
        _keep({finding_key(record): record.freshness})
    return None if record is None or record.freshness == STALE else record


def lacks(record: Record, config: Config, paper: Paper) -> list[str]:
    """The exhibits that a record does not have, where kept weights allow to make them."""
    missing = [exhibit for exhibit in paper.exhibits(config.canonical()) if exhibit not in record.exhibits]
    return missing if missing and kept_weights(config, paper) else []


def weights(config: Config, paper: Paper, *, committed: bool = True, progress: Progress = _silent) -> Path:
    """File with a run's trained weights; the run is computed if its weights are not in the user's cache."""
    kept = kept_weights(config, paper)
    if kept is None:
        path = _path_to_compute(config, paper)
        with lock_of(path):
            if kept_weights(config, paper) is None:
                _compute(config, paper, path, committed, progress)
        kept = weights_path(config, paper)
    return kept


def kept_weights(config: Config, paper: Paper) -> Path | None:
    """The file of a run's weights; None where there is none, or one of code that did something else, which is named."""
    path = weights_path(config, paper)
    if not path.exists():
        return None
    stamp = _stamp_of(path, path.stat().st_mtime_ns)
    if stamp is None:
        return None
    if _holds(config, paper, stamp):
        return path
    warnings.warn(f"{path} was made by other code: the weights are not used, and made again when needed", stacklevel=2)
    return None


def weights_path(config: Config, paper: Paper) -> Path:
    """Where a run's weights lie, or would lie."""
    return _beside(_own_path(config, paper), "weights")


@cache
def _stamp_of(path: Path, modified: int) -> Stamp | None:
    """What kept weights say of the code that made them; None where the file cannot be read, which is named."""
    from reidlib.train import load_saved
    from reidpapers.run.probe import Stamp

    del modified  # a file that was written anew is read anew
    saved = load_saved(path)
    return Stamp(**saved["stamp"]) if saved else None


def _own_path(config: Config, paper: Paper) -> Path:
    return records.stores(paper.name)[0] / f"{name(config, paper)}.json"


def _path_to_compute(config: Config, paper: Paper) -> Path:
    """Where a record will lie, once the weights are here that the run begins with: its name says which."""
    if imagenet.origins(config) is None:
        imagenet.obtain([config])
    return _own_path(config, paper)


def _beside(record: Path, kind: str) -> Path:
    """Where a run's checkpoint or weights lie, by the record's name."""
    return cache_dir() / kind / record.parent.name / f"{record.stem}.pt"


def _compute(config: Config, paper: Paper, path: Path, committed: bool, progress: Progress) -> Record:
    """Carry a run out, keep its weights, write its record; then add what it shows, to which no score can be lost."""
    from reidlib import parallel
    from reidlib.train import Checkpoint, save_atomically
    from reidpapers.run.training import Workspace

    stamp = _stamp(config, paper)
    starts = tuple(weights(start, paper, committed=committed) for start in paper.starts_from(config))
    fits = partial(_fits, config, paper)
    checkpoint = Checkpoint(_beside(path, "checkpoints"), asdict(stamp), fits)
    parallel.summon(paper.compute, config, Workspace(starts, checkpoint))  # where several share each batch
    parts, state = paper.compute(config, Workspace(starts, checkpoint, progress))
    save_atomically({"stamp": asdict(stamp), "state": state}, _beside(path, "weights"))
    record = records.write(_assemble(config, paper, parts, stamp), path)
    checkpoint.path.unlink(missing_ok=True)
    record = replace(record, freshness=FRESH)
    missing = lacks(record, config, paper)
    return _complete(record, config, paper, missing) if missing else record


def _complete(record: Record, config: Config, paper: Paper, missing: Sequence[str]) -> Record:
    """Add exhibits to a record, in the user's own store."""
    exhibits = paper.complete(config, kept_weights(config, paper), missing)
    completed = replace(record, exhibits={**record.exhibits, **exhibits})
    return replace(records.write(completed, _own_path(config, paper)), freshness=record.freshness)


def _stamp(config: Config, paper: Paper) -> Stamp:
    """Which code is at work here, and what it does; computed before a run, so that no data can break it afterwards."""
    from reidpapers.run.probe import Stamp

    return Stamp(code(paper.name), paper.probe(config, paper.data(config)), provenance.arithmetic())


def _fits(config: Config, paper: Paper, stamp: Mapping[str, Any]) -> bool:
    """Whether the code of today goes on with what the stamped code began."""
    from reidpapers.run.probe import Stamp

    return _holds(config, paper, Stamp(**stamp))


def _assemble(config: Config, paper: Paper, parts: Mapping[str, Any], stamp: Stamp) -> Record:
    """A record: the computation's parts, and where they come from."""
    return Record(
        schema=records.SCHEMA,
        paper=paper.name,
        key=name(config, paper),
        config=config.portable(),
        seed=config.seed,
        data=paper.data(config),
        weights=imagenet.origins(config) or {},
        versions=provenance.versions(),
        commit=provenance.commit(),
        code=stamp.code,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        probe=stamp.probe,
        **parts,
    )


@cache
def code(paper: str) -> str:
    """Digest of the code that makes a paper's records, from its ``PAPER`` on."""
    return code_digest(f"reidpapers.{paper}.paper:PAPER", *DECODING, without=PINNED)


def freshness(record: Record) -> str:
    """What is known of a record without computing: fresh by digest, what an earlier replay found, or unverified."""
    if record.code == code(record.paper):
        return FRESH
    findings = {**ledger(records.COMMITTED / "verified.json"), **ledger(cache_dir() / "verified.json")}
    return findings.get(finding_key(record), UNVERIFIED)


def replay(record: Record, config: Config, paper: Paper) -> tuple[str, str]:
    """Compare a record's data (if they are here) and probe with what the code gives now; takes seconds.

    Returns:
        ``fresh by probe`` or ``stale``, and the reason.
    """
    from reidpapers.run.probe import Stamp, difference

    data = paper.data(config)
    if data["name"] == record.data["name"] and data["digest"] != record.data["digest"]:
        return STALE, "the data have changed"
    stamp = Stamp(record.code, record.probe, record.device.get("arithmetic"))
    part = difference(stamp, provenance.arithmetic(), partial(paper.probe, config, record.data))
    return (STALE, f"the probe differs in {part}") if part else (BY_PROBE, "the probe is the same")


def _holds(config: Config, paper: Paper, stamp: Stamp) -> bool:
    """Whether today's code does what the stamped code did; found out once for each state of the code."""
    from reidpapers.run.probe import difference

    if stamp.code == code(paper.name):
        return True
    digest = hashlib.sha256(json.dumps(asdict(stamp), sort_keys=True).encode()).hexdigest()
    key, path = f"{digest[:16]}:{code(paper.name)[:16]}", cache_dir() / "verified.json"
    word = ledger(path).get(key)
    if word is None:
        part = difference(stamp, provenance.arithmetic(), partial(paper.probe, config, paper.data(config)))
        word = STALE if part else BY_PROBE
        _keep({key: word})
    return word != STALE


def _keep(findings: Mapping[str, str]) -> None:
    """Remember findings in the user's ledger; where nothing can be written, they are found out anew each time."""
    with suppress(OSError):
        remember(findings, cache_dir() / "verified.json")


def finding_key(record: Record) -> str:
    """A replay's finding holds for one record's content and one state of the code."""
    return f"{record.sha256[:16]}:{code(record.paper)[:16]}"


def remember(findings: Mapping[str, str], path: Path, *, anew: bool = False) -> None:
    """Add findings of replays to a ledger, whoever else is writing there; ``anew`` drops what stood there before."""
    with lock_of(path):
        text = json.dumps({**({} if anew else ledger(path)), **findings}, indent=1, sort_keys=True)
        write_atomically(path, f"{text}\n")


def ledger(path: Path) -> dict[str, str]:
    """Findings by :func:`finding_key`; empty where there are none, or nothing that can be read, which is named."""
    if not path.is_file():
        return {}
    try:
        findings = from_json(path.read_text(encoding="utf-8"))
        return {key: word for key, word in findings.items() if word in (FRESH, BY_PROBE, STALE)}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        warnings.warn(f"{path} cannot be read ({type(error).__name__}): its findings are made again", stacklevel=2)
        return {}
