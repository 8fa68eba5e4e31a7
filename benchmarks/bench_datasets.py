"""How long lists of a release's size take to be parsed and validated, and in how much memory.

Run with ``python -m benchmarks.bench_datasets`` (minutes, most of them for making files). Lists with as many lines
as VERI-Wild (416,314, with ``vehicle_info.txt``) and Vehicle-1M (936,051) are made up in a temporary folder, with an
empty file for each image, so that the look at every file is measured too, with warm directories. Each dataset is
loaded, labels only, in a process of its own; its memory counts all that the process holds, the library included.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reidlib.data import files

VERIWILD = {"small": (3_000, 41_861), "medium": (5_000, 69_389), "large": (10_000, 138_517)}
VEHICLE1M = {"small": (1_000, 16_123), "medium": (2_000, 32_539), "large": (3_000, 49_259)}
MEMORY_LIMIT = 1500  # MB


def owners(vehicles: int, images: int, first: int) -> np.ndarray:
    """The vehicle of each image, ``[images]``, sorted; each of ``vehicles`` has one at least."""
    draw = np.random.default_rng(first)
    extra = draw.integers(vehicles, size=images - vehicles)
    return first + np.sort(np.concatenate([np.arange(vehicles), extra]))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A list, shuffled, as the releases' are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shuffled = np.random.default_rng(0).permutation(np.array(list(lines), dtype=object))
    path.write_text("".join(f"{line}\n" for line in shuffled), encoding="utf-8")


def touch(folder: Path, names: Iterable[str]) -> None:
    """An empty file for each image, named ``vehicle/number``."""
    made = set()
    for name in names:
        vehicle = name.partition("/")[0]
        if vehicle not in made:
            (folder / vehicle).mkdir(parents=True)
            made.add(vehicle)
        (folder / f"{name}.jpg").open("wb").close()


def make_veriwild(root: Path) -> None:
    """Training list, three nested test sets, and all labels of each image."""
    train, test = owners(30_671, 277_797, 1), owners(10_000, 138_517, 30_672)
    names = [f"{vehicle:05d}/{number:06d}" for number, vehicle in enumerate(np.concatenate([train, test]), 1)]
    draw = np.random.default_rng(0)
    camera, second = draw.integers(1, 175, len(names)), draw.integers(60, size=len(names))
    split = root / "train_test_split"
    info = zip(names, camera, second, strict=True)
    write_lines(split / "vehicle_info.txt", (f"{n};{c};2018-03-11 10:30:{s:02d};Changan;SUV;white" for n, c, s in info))
    write_lines(split / "train_list.txt", names[: len(train)])
    tested = names[len(train) :]
    query = np.flatnonzero(np.diff(test, prepend=0))
    asked = set(query.tolist())
    rest = [number for number in range(len(test)) if number not in asked]
    for vehicles, images in VERIWILD.values():
        write_lines(split / f"test_{vehicles}_query.txt", [tested[number] for number in query[:vehicles]])
        write_lines(split / f"test_{vehicles}.txt", [tested[number] for number in rest[: images - vehicles]])
    touch(root / "images", names)


def make_vehicle1m(root: Path) -> None:
    """Training list and three test lists that overlap, so that all of them name 936,051 images."""
    images = 936_051 - 844_571
    train, test = owners(50_000, 844_571, 1), owners(5_527, images, 50_001)
    vehicle = np.concatenate([train, test])
    names = [f"{v:06d}/{number:07d}" for number, v in enumerate(vehicle, 1)]
    lines = [f"{name}.jpg {v} {v % 400}" for name, v in zip(names, vehicle, strict=True)]
    split = root / "train-test-split"
    write_lines(split / "train_list.txt", lines[: len(train)])
    end = len(lines)
    starts = (end - images, end - images + 16_000, end - 49_259)
    for start, (vehicles, number) in zip(starts, VEHICLE1M.values(), strict=True):
        write_lines(split / f"test_{vehicles}.txt", lines[start : start + number])
    touch(root / "image", names)


class Case(NamedTuple):
    """A dataset: how it is made up, its images, and the seconds that loading it may take."""

    make: Callable[[Path], None]
    images: int
    limit: float


CASES = {"veriwild": Case(make_veriwild, 416_314, 10.0), "vehicle1m": Case(make_vehicle1m, 936_051, 20.0)}


def megabytes() -> float:
    """The highest memory of this process so far, in MB."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


def print_load(name: str, root: Path) -> None:
    """Load one dataset and print what it took."""
    benchmark = importlib.import_module(f"reidpapers.run.datasets.{name}").BENCHMARK
    before, begun, worked = megabytes(), time.perf_counter(), time.process_time()
    dataset = benchmark.load(root)
    took, worked, memory = time.perf_counter() - begun, time.process_time() - worked, megabytes()
    images, case = dataset.manifest.table["image"].tolist(), CASES[name]
    if len(images) != case.images:
        raise RuntimeError(f"{name}: {len(images):,} rows, {case.images:,} images were made up")
    begun = time.perf_counter()
    files.sizes(root, images, listed_in=name)
    looked = time.perf_counter() - begun
    print(
        f"{benchmark.title:10} {len(images):7,} images {took:5.1f} s (limit {case.limit:.0f}; {worked:.1f} on a core; "
        f"looking at files {looked:.1f} s), {memory:6.0f} MB (limit {MEMORY_LIMIT}; {before:.0f} before)",
        flush=True,
    )


def main() -> None:
    """Make the files, load them, print one line a dataset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--load", nargs=2, metavar=("NAME", "ROOT"), help="only load the dataset that lies there")
    if given := parser.parse_args().load:
        print_load(given[0], Path(given[1]))
        return
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory(prefix="bench-datasets-") as folder:
            case.make(Path(folder))
            command = [sys.executable, "-m", "benchmarks.bench_datasets", "--load", name, folder]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
