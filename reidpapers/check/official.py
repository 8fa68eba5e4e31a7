"""What lies on disk beside what an official release should hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reidlib.data import BENCHMARKS, aicity2020
from reidlib.data.files import DatasetError
from reidlib.data.manifest import Dataset
from reidlib.places import data_dir
from reidpapers.check import damage
from reidpapers.check.papers import lines as on_papers
from reidpapers.run.release import COUNTED, Counts, counts, deviations
from reidpapers.run.scorable import unscorable

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

ATTRIBUTES = ("camera_id", "color", "type", "model", "track_id", "time", "mask")
SAMPLE = 200


def check(
    name: str, root: str | Path | None = None, sample: int = SAMPLE, papers: Iterable[Paper] = ()
) -> tuple[str, bool]:
    """Look a dataset's folder over: counts beside the release's, labels, tests, and whether images are whole.

    Args:
        name: a name in :data:`reidlib.data.BENCHMARKS`.
        root: its folder; default: where ``REIDLIB_DATA`` says.
        sample: how many images to decode, evenly over the dataset.
        papers: whose default options are tried on the data.

    Returns:
        The report, and whether the dataset can be used.

    Raises:
        FileNotFoundError: the folder is not there.
        DatasetError: what is in it does not make a manifest.
    """
    benchmark = BENCHMARKS[name]
    folder = benchmark.find(root)
    dataset = benchmark.load(folder)
    broken, tried = _unreadable(dataset, sample)
    impossible, differences = unscorable(dataset), deviations(name, dataset)
    lines = [f"{benchmark.title} in {folder}", f"  {dataset.note}", ""]
    lines += [*_count_lines(benchmark.release, counts(benchmark, dataset)), ""]
    lines += [*label_lines(dataset.manifest.table), ""]
    lines += [f"images: {tried - len(broken)} of {tried} sampled ones can be decoded and show no damage"]
    lines += [f"  {problem}" for problem in broken[:10]]
    lines += [f"note: {remark}" for remark in remarks(name, folder, dataset)]
    lines += [f"cannot be scored: {problem}" for problem in impossible]
    lines += on_papers(name, root, papers)
    lines += [f"deviation: {difference}" for difference in differences]
    return "\n".join([*lines, "", _advice(broken, impossible, differences)]), not broken and not impossible


def remarks(name: str, folder: Path, dataset: Dataset) -> list[str]:
    """What a look at a release's files tells that its labels do not: of AI City, why images have no track."""
    if name != aicity2020.BENCHMARK.name:
        return []
    table = dataset.manifest.table.drop_duplicates("image")
    tracks = table["track_id"][aicity2020.parts(table)["train"]]
    lacking = int(tracks.isna().sum())
    present = [file for file in aicity2020.TRACKS if list(folder.glob(file)) + list(folder.glob(f"AIC*_ReID/{file}"))]
    if not lacking:
        return []
    if not present:
        return [f"no image has a track: {' or '.join(aicity2020.TRACKS)} is needed for that"]
    why = f"{present[0]} does not hold them"
    if present == ["train_track.txt"]:
        why = "known copies of train_track.txt lack the last image of each line; train_track_id.txt is complete"
    return [f"{lacking:,} of {len(tracks):,} real images have no track: {why}"]


def label_lines(table: pd.DataFrame) -> list[str]:
    """How much of each split has each label."""
    lines = [f"{'known':12}" + "".join(f"{name:>12}" for name in ATTRIBUTES)]
    for split, rows in table.groupby("split", sort=False):
        shares = [f"{100 * rows[name].notna().mean():.1f}%" for name in ATTRIBUTES]
        lines.append(f"{split:12}" + "".join(f"{share:>12}" for share in shares))
    return lines


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


def _count_lines(release: Counts, found: Mapping[str, Mapping[str, int]]) -> list[str]:
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


def _unreadable(dataset: Dataset, sample: int) -> tuple[list[str], int]:
    """Problems of a sample of images, evenly over the dataset, and how many were tried."""
    images = np.sort(dataset.manifest.table["image"].unique().astype(str))
    chosen = images[np.unique(np.linspace(0, len(images) - 1, min(sample, len(images))).astype(int))]
    problems = {}
    for image in chosen:
        try:
            dataset.read(image)
        except (DatasetError, OSError) as error:
            problems[image] = str(error)
    problems |= damage.of_files(dataset.root, [image for image in chosen if image not in problems])
    return list(problems.values()), len(chosen)


def _advice(broken: list[str], impossible: list[str], differences: list[str]) -> str:
    """The last line: ready, or what to do."""
    if broken:
        return "not ready: fetch the images named above again, then check once more"
    if impossible:
        return "not ready: training would end without a score; mend the labels named above, then check once more"
    if differences:
        return (
            f"ready to run, but this is not the release as published ({len(differences)} deviations above): if it "
            "should be, fetch what differs again; if not, do not set its numbers beside printed ones"
        )
    return "ready"
