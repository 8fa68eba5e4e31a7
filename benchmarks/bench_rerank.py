"""k-reciprocal re-ranking beside the matrix products that it cannot do without, and the other re-rankings.

Run with ``python -m benchmarks.bench_rerank`` (one to two minutes on two cores). At VeRi-776's size, with features of
2,048 numbers, it times the products that :func:`reidlib.evaluate.rerank.k_reciprocal` takes (all images with all,
queries with the gallery; a block of rows at a time, into memory that is already there), then the whole of it, and
prints what it costs beyond them; memory is measured in a process of its own. The others are timed beyond the plain
distances.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks.bench_evaluator import CASES, labels, resident, seconds
from reidlib.evaluate import metrics, rerank
from reidlib.evaluate.metrics import Distances

CASE = CASES["VeRi-776"]
WIDTH = 2048
ROWS = 256
SECONDS_LIMIT, MEMORY_LIMIT = 10, 1000  # beyond the products; MB beyond the features


def features(table: pd.DataFrame) -> tuple[Tensor, Tensor]:
    """Float32 features of queries and gallery: the vehicle's centre, the camera's and noise, of length 1.

    The noise makes vehicles overlap, so that an image has some ten mutual neighbours of its twenty. The queries'
    images are in the gallery too, as VeRi-776 has it.
    """
    draw = torch.Generator().manual_seed(0)
    vehicle, camera = (torch.tensor(table[name].astype(int).to_numpy()) for name in ("vehicle_id", "camera_id"))
    values = torch.randn(len(table), WIDTH, generator=draw)
    values += torch.randn(int(vehicle.max()) + 1, WIDTH, generator=draw)[vehicle]
    values += 0.5 * torch.randn(int(camera.max()) + 1, WIDTH, generator=draw)[camera]
    values /= values.norm(dim=1, keepdim=True)
    values[CASE.queries : 2 * CASE.queries] = values[: CASE.queries]
    return values[: CASE.queries], values[CASE.queries :]


def products(query: Tensor, gallery: Tensor) -> None:
    """All images with all, then queries with the gallery."""
    every = torch.cat([query, gallery])
    into = torch.empty(ROWS, len(every))
    for rows in every.split(ROWS):
        torch.mm(rows, every.T, out=into[: len(rows)])
    into = torch.empty(ROWS, len(gallery))
    for rows in query.split(ROWS):
        torch.mm(rows, gallery.T, out=into[: len(rows)])


def walk(distances: Distances) -> None:
    """All queries' distances, a block at a time, as the evaluator takes them."""
    for start in range(0, CASE.queries, ROWS):
        distances(slice(start, min(start + ROWS, CASE.queries)))


def others(query: Tensor, gallery: Tensor) -> None:
    """Print what each of the other re-rankings costs beyond the plain distances."""
    draw = np.random.default_rng(0)
    codes = {size: (draw.integers(size, size=len(query)), draw.integers(size, size=len(gallery))) for size in (9, 10)}
    names = [f"c{n}" for n in range(CASE.cameras)]
    sides = [
        pd.DataFrame({"camera_id": draw.choice(names, len(side)), "time": draw.uniform(0, 86_400, len(side))})
        for side in (query, gallery)
    ]
    apart = pd.DataFrame(np.abs(np.subtract.outer(*[np.arange(len(names)) * 100.0] * 2)), names, names)
    tracks = draw.integers(len(gallery) // 7, size=len(gallery))
    plain = rerank.rooted(metrics.euclidean(query, gallery))
    mean = rerank.mean_distance(plain, len(query))
    ways = {
        "attribute constraint": lambda: rerank.attribute_constraint(plain, codes[9], codes[10]),
        "tracks inserted": lambda: rerank.insert_tracks(plain, tracks, mean),
        "spatio-temporal": lambda: rerank.spatio_temporal(plain, *sides, apart, weight=mean),
    }
    base = seconds(lambda: walk(plain))
    print(f"\nplain distances {base:.2f} s; beyond them")
    for name, way in ways.items():
        print(f"  {name:22} {seconds(lambda way=way: walk(way())) - base:6.2f} s", flush=True)
    print(f"  {'queries grouped':22} {seconds(lambda: rerank.group_means(query, mean / 2)):6.2f} s in all")


def print_memory() -> None:
    """Print how far the memory rises during k-reciprocal re-ranking above what the process holds before it."""
    query, gallery = features(labels(CASE))
    torch.mm(query[:64], gallery[:64].T)  # the library's own start
    before = resident("VmRSS")
    walk(rerank.k_reciprocal(query, gallery))
    print(f"{resident('VmHWM') - before:.0f} {resident('VmHWM'):.0f}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", action="store_true", help="only print k-reciprocal's memory, in MB")
    if parser.parse_args().memory:
        print_memory()
        return
    table = labels(CASE)
    query, gallery = features(table)
    print(
        f"{len(query):,} queries, {len(gallery):,} gallery images, {WIDTH} numbers, {torch.get_num_threads()} threads"
    )
    product = min(seconds(lambda: products(query, gallery)) for _ in range(2))
    whole = min(seconds(lambda: walk(rerank.k_reciprocal(query, gallery))) for _ in range(2))
    print(
        f"k-reciprocal {whole:.2f} s, of which the products {product:.2f} s: "
        f"{whole - product:.2f} s beyond them (at most {SECONDS_LIMIT})",
        flush=True,
    )
    command = [sys.executable, "-m", "benchmarks.bench_rerank", "--memory"]
    beyond, highest = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    print(f"memory: {beyond} MB beyond its features (at most {MEMORY_LIMIT}), {highest} MB in all")
    others(query, gallery)


if __name__ == "__main__":
    main()
