"""A dataset's counts beside those of the official release of its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reidlib.data import BENCHMARKS
from reidlib.data.files import Benchmark
from reidlib.data.manifest import SPLITS, Dataset
from reidpapers.run.records import Record

COUNTED = {"vehicles": "vehicle_id", "cameras": "camera_id", "tracks": "track_id"}
Counts = Mapping[str, Mapping[str, int]]


def deviations(name: str, dataset: Dataset) -> list[str]:
    """Where a dataset's counts are not those of the release of that name, in words.

    Empty where all are, and for data without a release. With any, no printed number should stand beside its own.
    """
    if name not in BENCHMARKS:
        return []
    return list(_differences(BENCHMARKS[name].release, counts(BENCHMARKS[name], dataset)))


def not_the_release(record: Record) -> str:
    """What a reader must know of a record whose data only bear a release's name, in words; else empty."""
    differences = record.data.get("deviations", [])
    more = f" and {len(differences) - 1} more deviations" if len(differences) > 1 else ""
    return f"{record.data['name']} here is not the release: {differences[0]}{more}" if differences else ""


def counts(benchmark: Benchmark, dataset: Dataset) -> dict[str, dict[str, int]]:
    """Images, vehicles, cameras and tracks of each part: splits, or test sets, or what the release counts apart."""
    table = dataset.manifest.table
    parts = {split: table[table["split"] == split] for split in SPLITS}
    parts |= {test.name: table[test.rows(table) & (table["split"] != "train")] for test in dataset.tests if test.name}
    parts |= {name: table[rows] for name, rows in benchmark.parts(table).items()}
    return {
        name: {"images": rows["image"].nunique(), **{k: rows[column].nunique() for k, column in COUNTED.items()}}
        for name, rows in parts.items()
        if len(rows) or name in benchmark.release
    }


def _differences(release: Counts, found: Counts) -> Iterator[str]:
    """Every count that is not the release's, in words."""
    for part, expected in release.items():
        for what, count in expected.items():
            actual = found.get(part, {}).get(what, 0)
            if actual != count:
                yield f"{part} has {actual:,} {what}, the release {count:,}"
