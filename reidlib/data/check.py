"""What lies on disk beside what an official release should hold, before hours are spent on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.data import BENCHMARKS
from reidlib.data.files import Benchmark, DatasetError
from reidlib.data.manifest import SPLITS, Dataset
from reidlib.places import data_dir

COUNTED = {"vehicles": "vehicle_id", "cameras": "camera_id", "tracks": "track_id"}
ATTRIBUTES = ("camera_id", "color", "type", "model", "track_id", "time", "mask")
SAMPLE = 200


def check(name: str, root: str | Path | None = None, sample: int = SAMPLE) -> tuple[str, bool]:
    """Look a dataset's folder over: counts beside the release's, labels, and whether images can be decoded.

    Args:
        name: a name in :data:`reidlib.data.BENCHMARKS`.
        root: its folder; default: where ``REIDLIB_DATA`` says.
        sample: how many images to decode, evenly over the dataset.

    Returns:
        The report, and whether the dataset can be used.

    Raises:
        FileNotFoundError: the folder is not there.
        DatasetError: what is in it does not make a manifest.
    """
    benchmark = BENCHMARKS[name]
    folder = benchmark.find(root)
    dataset = benchmark.load(folder)
    counts = found_counts(benchmark, dataset)
    broken, tried = _undecodable(dataset, sample)
    deviations = list(_deviations(benchmark.release, counts))
    lines = [f"{benchmark.title} in {folder}", f"  {dataset.note}", ""]
    lines += [*_count_lines(benchmark.release, counts), "", *_label_lines(dataset.manifest.table), ""]
    lines += [f"images: {tried - len(broken)} of {tried} sampled ones can be decoded"]
    lines += [f"  {problem}" for problem in broken[:10]]
    lines += [f"deviation: {one}" for one in deviations]
    return "\n".join([*lines, "", _advice(broken, deviations)]), not broken


def found_counts(benchmark: Benchmark, dataset: Dataset) -> dict[str, dict[str, int]]:
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


def _deviations(release: Mapping[str, Mapping[str, int]], found: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Every count that is not the release's, in words."""
    for part, expected in release.items():
        for what, count in expected.items():
            have = found.get(part, {}).get(what, 0)
            if have != count:
                yield f"{part} has {have:,} {what}, the release {count:,}"


def _count_lines(release: Mapping[str, Mapping[str, int]], found: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A table of counts, the release's in brackets."""
    kinds = ("images", *COUNTED)
    lines = [f"{'':12}" + "".join(f"{kind:>22}" for kind in kinds) + "   (release)"]
    for part in dict.fromkeys([*release, *found]):
        cells = []
        for kind in kinds:
            wanted = release.get(part, {}).get(kind)
            cells.append(f"{found.get(part, {}).get(kind, 0):,}" + (f" ({wanted:,})" if wanted is not None else ""))
        lines.append(f"{part:12}" + "".join(f"{cell:>22}" for cell in cells))
    return lines


def _label_lines(table: pd.DataFrame) -> list[str]:
    """How much of each split has each label."""
    lines = [f"{'known':12}" + "".join(f"{name:>12}" for name in ATTRIBUTES)]
    for split, rows in table.groupby("split", sort=False):
        shares = [f"{100 * rows[name].notna().mean():.1f}%" for name in ATTRIBUTES]
        lines.append(f"{split:12}" + "".join(f"{share:>12}" for share in shares))
    return lines


def _undecodable(dataset: Dataset, sample: int) -> tuple[list[str], int]:
    """Problems of a sample of images, evenly over the dataset, and how many were tried."""
    images = np.sort(dataset.manifest.table["image"].unique().astype(str))
    chosen = images[np.unique(np.linspace(0, len(images) - 1, min(sample, len(images))).astype(int))]
    problems = []
    for image in chosen:
        try:
            dataset.read(image)
        except (DatasetError, OSError) as error:
            problems.append(str(error))
    return problems, len(chosen)


def _advice(broken: list[str], deviations: list[str]) -> str:
    """The last line: ready, or what to do."""
    if broken:
        return "not ready: fetch the images named above again, then check once more"
    if deviations:
        return (
            f"ready to run, but this is not the release as published ({len(deviations)} deviations above): if it "
            "should be, fetch what differs again; if not, do not set its numbers beside printed ones"
        )
    return "ready"


def overview() -> str:
    """Every official dataset: whether it is here, where it was looked for, and whom to ask for it."""
    lines = [f"official datasets, looked for in {data_dir()} (REIDLIB_DATA):"]
    for benchmark in BENCHMARKS.values():
        try:
            lines.append(f"{benchmark.name}: {benchmark.title}, found in {benchmark.find()}")
        except FileNotFoundError:
            names = ", ".join(path.name for path in benchmark.candidates(None))
            lines.append(f"{benchmark.name}: {benchmark.title}, not found (as {names}). {benchmark.ask}")
    return "\n".join(lines)
