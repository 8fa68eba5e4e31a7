"""Records: what a run leaves behind, as small JSON files that are complete or not there.

A record is named by its configuration and its data. Records are read from the user's own store first, then from the
committed ones; a broken file is named in a warning and never read. In a file, lists of rows stand as columns.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reidlib.places import cache_dir, write_atomically
from reidpapers.run.config import Config, from_json
from reidpapers.run.provenance import CHECKOUT

SCHEMA = 1
LARGEST = 200_000  # bytes
COMMITTED = CHECKOUT / "results"
UNVERIFIED = "unverified"
COLUMNS = "columns"  # in a file: a list of rows, by field


@dataclass(frozen=True)
class Record:
    """One run's results and everything that says where they come from.

    Attributes:
        schema: version of this layout.
        paper: name of the paper's module.
        key: the record's name: a hash of schema, paper and configuration, then one of the data, then one of weights.
        config: every field of the canonical configuration, the seed among them.
        seed: training seed.
        data: name, digest, note, counts of each split, number of training identities.
        scores: mAP, top1, top5, … as fractions, the CMC curve, numbers of queries and of those without a match.
        queries: per query average precision (None where it has no match) and rank of the first match (0); of more
            than 2,000 only every ``every``-th.
        history: step, rate and every loss term, thinned.
        cost: seconds, images a second, parameters, FLOPs an image, iterations.
        device: type, name, threads, and a digest of how it rounds.
        versions: of Python and the libraries.
        commit: of the checkout.
        code: digest of the code that made it.
        created: UTC time.
        probe: fingerprint of what that code does.
        exhibits: retrieval lists, and points of a 2-D map.
        tests: the scores of every test by its name, where there are several; ``scores`` are the first one's.
        weights: content hash and origin of the ImageNet weights that each trunk began with, by its name.
        fit: accuracy of its classifiers; each loss term's value for a network that tells nothing apart; scores by
            VeRi-776's rule, of all test images and among like vehicles. See :mod:`reidpapers.run.fit`.
        sha256: checksum of all the rest.
        freshness: what is known now of the record's code; not part of the file.
    """

    schema: int
    paper: str
    key: str
    config: Mapping[str, Any]
    seed: int
    data: Mapping[str, Any]
    scores: Mapping[str, Any]
    queries: Mapping[str, Sequence[Any]]
    history: Mapping[str, Sequence[float]]
    cost: Mapping[str, float]
    device: Mapping[str, Any]
    versions: Mapping[str, str]
    commit: str
    code: str
    created: str
    probe: Mapping[str, Sequence[float]]
    exhibits: Mapping[str, Any]
    tests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    weights: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fit: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sha256: str = ""
    freshness: str = UNVERIFIED

    def body(self) -> dict[str, Any]:
        """The fields of the file, without its checksum."""
        absent = {name for name in ("tests", "weights", "fit") if not getattr(self, name)} | {"sha256", "freshness"}
        return {name: value for name, value in asdict(self).items() if name not in absent}

    @property
    def whole(self) -> float:
        """mAP over all test images by VeRi-776's rule, in points; its main score where :attr:`fit` does not say it."""
        return 100 * float(self.fit.get("whole", self.scores)["mAP"])


def is_of(record: Record, config: Config) -> bool:
    """Whether a record is of exactly this configuration, whose fields may be more by now than when it was made.

    A name says only what differs from the defaults; so a default that changes would make another run of the same name,
    but for runs that do not use the field.
    """
    names = type(config).model_fields
    made = {name: record.config.get(name, config.usual(name)) for name in names}
    try:
        return type(config)(**made).portable() == config.portable()
    except ValueError:
        return False  # a run that is refused today


class BrokenRecord(ValueError):
    """A record file that is truncated or was altered."""


def name(paper: str, config: Config, data_digest: str, weights_digest: str = "") -> str:
    """A record's file name without suffix: configuration, data and, where there are some, ImageNet weights."""
    run = hashlib.sha256(f"{SCHEMA} {paper} {config.fingerprint()}".encode()).hexdigest()
    return "-".join([run[:16], data_digest[:8], *([weights_digest[:8]] if weights_digest else [])])


def stores(paper: str, *, committed: bool = True) -> list[Path]:
    """Folders of a paper's records in the order they are read: the user's own, then the committed ones."""
    own = cache_dir() / "records" / paper
    return [own, COMMITTED / paper / "records"] if committed else [own]


def checksum(body: Mapping[str, Any]) -> str:
    """SHA-256 of a record's fields, whatever their order in the file."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def packed(value: Any) -> Any:
    """A JSON value with each list of rows, mappings of the same fields, as ``{"columns": {field: values}}``.

    The retrieval lists of a record take half the space so.

    Raises:
        ValueError: a mapping in it already has that form.
    """
    if isinstance(value, dict):
        if value.keys() == {COLUMNS}:
            raise ValueError(f"a field {COLUMNS!r} by itself is refused in a record: rows stand so in its file")
        return {name: packed(one) for name, one in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) > 1 and all(isinstance(row, dict) and row and row.keys() == value[0].keys() for row in value):
        return {COLUMNS: {name: packed([row[name] for row in value]) for name in value[0]}}
    return [packed(one) for one in value]


def unpacked(value: Any) -> Any:
    """What :func:`packed` was given."""
    if isinstance(value, list):
        return [unpacked(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {COLUMNS}:
        columns = {name: unpacked(values) for name, values in value[COLUMNS].items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {name: unpacked(one) for name, one in value.items()}


def write(record: Record, path: Path) -> Record:
    """Write a record with its checksum, all at once.

    Raises:
        ValueError: it is larger than :data:`LARGEST`.
    """
    body = json.loads(json.dumps(record.body()))  # what a reader will see: lists for tuples, text for keys
    body["sha256"] = checksum(body)
    text = json.dumps(packed(body), separators=(",", ":"), allow_nan=False)
    if len(text) > LARGEST:
        raise ValueError(f"record {path.name} has {len(text)} bytes; at most {LARGEST} are allowed")
    write_atomically(path, text)
    return Record(**body)


def read(path: Path) -> Record:
    """A record from its file.

    Raises:
        BrokenRecord: it is no JSON, lacks a field, or its checksum does not fit; the message names the file.
    """
    try:
        body = unpacked(from_json(path.read_text(encoding="utf-8")))
        record = Record(**body)
        stated = body.pop("sha256")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BrokenRecord(f"{path} is truncated or no record ({error})") from error
    if stated != checksum(body):
        raise BrokenRecord(f"{path} was altered: its checksum does not fit its content")
    return record


def read_or_warn(path: Path) -> Record | None:
    """A record, or None where there is none or it is broken; a broken one is named."""
    if not path.exists():
        return None
    try:
        return read(path)
    except BrokenRecord as error:
        warnings.warn(f"{error}; it is not used, its run will be computed again", stacklevel=2)
        return None


def read_all(folder: Path) -> Iterator[Record]:
    """Every readable record in a folder, in order of file name."""
    for path in sorted(folder.glob("*.json")):
        if record := read_or_warn(path):
            yield record
