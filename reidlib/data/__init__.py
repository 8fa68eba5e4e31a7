"""The datasets that a folder on disk holds, by name: each adapter turns its files into one validated manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reidlib.data import aicity2020, compcars, folder, vehicle1m, vehicleid, veri776, veriwild
from reidlib.data.files import Benchmark
from reidlib.data.manifest import Dataset

BENCHMARKS: dict[str, Benchmark] = {
    module.BENCHMARK.name: module.BENCHMARK
    for module in (veri776, vehicleid, veriwild, vehicle1m, compcars, aicity2020)
}


@dataclass(frozen=True)
class DataSource:
    """Which data: all that decides the images and labels that :func:`load` gives.

    Attributes:
        dataset: a name in :data:`DATASETS`.
        root: its folder; None: where ``REIDLIB_DATA`` says.
        preset, seed: size and seed of vehicles that are rendered instead of read; seed also of a folder's split.
        train, test: of digits, only the first so many images of either part; 0: all.
    """

    dataset: str
    root: str | None = None
    preset: str = "small"
    seed: int = 0
    train: int = 0
    test: int = 0


DATASETS: dict[str, Callable[[DataSource], Dataset]] = {
    **{name: lambda source: _benchmark(source.dataset, source.root) for name in BENCHMARKS},
    "folder": lambda source: _folder(source.root, source.seed),
}
PROTOCOLS = {**{name: benchmark.protocol for name, benchmark in BENCHMARKS.items()}, "folder": "veri"}
# The columns of a manifest that each release has something to say of; vehicles, unless it knows models alone.
LABELS = {
    **{
        name: benchmark.labels | ({"vehicle_id"} if benchmark.protocol != "verification" else set())
        for name, benchmark in BENCHMARKS.items()
    },
    "folder": folder.LABELS,  # that it may have
}

_parsed: dict[tuple[str, Path, int], tuple[object, Dataset]] = {}


def load(source: DataSource) -> Dataset:
    """The dataset that is asked for; labels only, pixels are read later. Parsed anew only if its files have changed.

    Raises:
        FileNotFoundError: the dataset is not on this disk; the message says where it was looked for and whom to ask.
        ValueError: what is there does not make a valid manifest.
    """
    return DATASETS[source.dataset](source)


def _benchmark(name: str, root: str | None) -> Dataset:
    """An official dataset."""
    benchmark = BENCHMARKS[name]
    place = benchmark.find(root)
    return _once((name, place, 0), benchmark.state(place), lambda: benchmark.load(place))


def _folder(root: str | None, seed: int) -> Dataset:
    """Pictures of one's own."""
    place = folder.find(root)
    return _once(("folder", place, seed), folder.state(place), lambda: folder.load(place, seed))


def _once(key: tuple[str, Path, int], state: object, parse: Callable[[], Dataset]) -> Dataset:
    """What was parsed before, or is parsed now: once a process, and again when lists or folders of images change."""
    before, dataset = _parsed.get(key, (None, None))
    if dataset is None or before != state:
        dataset = parse()
        _parsed[key] = state, dataset
    return dataset
