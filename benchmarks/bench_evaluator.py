"""The evaluator against the matrix product that it cannot do without, and against an evaluator that sorts.

Run with ``python -m benchmarks.bench_evaluator`` (about two minutes on two cores). At the sizes of VeRi-776 and of
VERI-Wild's small test, with one thread and with all, one process alternates between ``torch.mm`` of queries and gallery
and :func:`reidlib.evaluate.protocols.evaluate` on the same features, and prints the median over the pairs of the one's
time over the other's. ``torch.mm`` runs twice a pair: as one calls it (the figure of record), and into memory that is
already there, which is faster than any evaluator's product could be. The sorting evaluator is the usual one: a matrix
product, then ``numpy.argsort`` of each query's distances. Memory is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.evaluate import protocols

WIDTH = 1024
MEMORY_LIMIT = 300  # MB


class Case(NamedTuple):
    """A benchmark's size, and what is asked of the evaluator there: the product's time over its own."""

    queries: int
    gallery: int
    vehicles: int
    cameras: int
    pairs: int
    least: float
    aim: float


CASES = {
    "VeRi-776": Case(1_678, 11_579, vehicles=200, cameras=19, pairs=7, least=0.7, aim=0.85),
    "VERI-Wild": Case(3_000, 38_861, vehicles=3_000, cameras=174, pairs=3, least=0.8, aim=0.93),
}


def labels(case: Case) -> pd.DataFrame:
    """Query and gallery rows: VeRi-776 has a query for each vehicle and camera, VERI-Wild one for each vehicle."""
    draw = np.random.default_rng(0)
    more = draw.integers(case.vehicles, size=3 * max(case.queries, 2 * case.vehicles))
    vehicle = np.sort(np.concatenate([np.arange(case.vehicles), more]))
    camera = draw.integers(case.cameras, size=len(vehicle))
    seen = pd.DataFrame({"vehicle_id": vehicle, "camera_id": camera}).drop_duplicates()
    if case.queries > case.vehicles:
        query = seen = seen.sample(case.queries, random_state=0).sort_index()
    else:
        query = seen.groupby("vehicle_id").sample(1, random_state=0)
    gallery = pd.concat([query, seen.sample(case.gallery - len(query), replace=True, random_state=1)])
    gallery = gallery.sort_values("vehicle_id", kind="stable")
    table = pd.concat([query.assign(split="query"), gallery.assign(split="gallery")], ignore_index=True)
    return table.assign(image=table.index.astype(str)).astype({"vehicle_id": "string", "camera_id": "string"})


def features(table: pd.DataFrame) -> Tensor:
    """One float32 feature a row: the vehicle's centre and noise, in memory that is filled in place."""
    torch.manual_seed(0)
    vehicles = torch.tensor(table["vehicle_id"].astype(int).to_numpy())
    values = torch.randn(len(table), WIDTH)
    centres = torch.randn(int(vehicles.max()) + 1, WIDTH)
    for rows in torch.arange(len(table)).split(1024):
        values[rows[0] : rows[-1] + 1] += 0.4 * centres[vehicles[rows]]
    return values


def by_sorting(values: Tensor, table: pd.DataFrame, queries: int) -> float:
    """The mAP as re-identification code usually computes it: sort the gallery for each query, then walk the ranks."""
    vehicle, camera = table["vehicle_id"].to_numpy(str), table["camera_id"].to_numpy(str)
    query, gallery = values[:queries], values[queries:]
    found = []
    norms = gallery.square().sum(1)
    for rows in torch.arange(queries).split(256):
        distances = torch.addmm(norms, query[rows], gallery.T, alpha=-2).numpy()
        for row, distance in zip(rows.tolist(), distances, strict=True):
            order = np.argsort(distance)
            same = vehicle[queries:][order] == vehicle[row]
            matches = same[~(same & (camera[queries:][order] == camera[row]))]
            if matches.any():
                ranks = np.flatnonzero(matches) + 1
                found.append((np.arange(1, len(ranks) + 1) / ranks).mean())
    return float(np.mean(found))


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def measure(name: str, threads: int) -> None:
    """Print one line of the table."""
    case, table = CASES[name], labels(CASES[name])
    values = features(table)
    query, gallery = values[: case.queries], values[case.queries :]
    torch.set_num_threads(threads)
    ready = torch.empty(case.queries, case.gallery)
    times = []
    protocols.evaluate("veri", values, table)
    for _ in range(case.pairs):
        product = seconds(lambda: torch.mm(query, gallery.T))
        own = seconds(lambda: protocols.evaluate("veri", values, table))
        times.append((product, own, seconds(lambda: torch.mm(query, gallery.T, out=ready))))
    product, own, into = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(p / o for p, o, _ in times)
    strict = statistics.median(i / o for _, o, i in times)
    sorting = seconds(lambda: by_sorting(values, table, case.queries))
    size = f"{case.queries:,} x {case.gallery:,}"
    print(
        f"{name:10} {size:>15} {threads:7d} {product:9.3f} {own:10.3f} {ratio:11.2f} {case.least:5.2f} {case.aim:5.2f} "
        f"{strict:12.2f} {sorting / own:15.1f}",
        flush=True,
    )


def describe(name: str) -> str:
    """What the labels of a case hold, and that both evaluators find the same."""
    case, table = CASES[name], labels(CASES[name])
    query, gallery = (table[table["split"] == split] for split in ("query", "gallery"))
    same = query["vehicle_id"].map(gallery["vehicle_id"].value_counts())
    pair = ["vehicle_id", "camera_id"]
    junk = query[pair].merge(gallery.groupby(pair).size().rename("n").reset_index(), on=pair, how="left")["n"]
    values = features(table)
    kept = np.r_[: min(200, case.queries), case.queries : len(table)]
    few, part = table.iloc[kept].reset_index(drop=True), values[kept]
    ours = protocols.evaluate("veri", part, few).mAP
    theirs = by_sorting(part, few, len(kept) - case.gallery)
    if abs(ours - theirs) > 1e-5:
        raise RuntimeError(f"{name}: the evaluator finds mAP {ours}, sorting {theirs}")
    return (
        f"{name}: {float((same - junk.to_numpy()).mean()):.1f} matches and {junk.mean():.1f} junk a query; "
        f"mAP of its first {len(kept) - case.gallery} queries {ours:.4f}, by sorting {theirs:.4f}"
    )


def resident(field: str) -> float:
    """This process's memory in MB: now (``VmRSS``) or at its highest (``VmHWM``)."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith(field))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS: bytes, and only the highest


def print_memory(name: str) -> None:
    """Print how far the memory rises during one evaluation above what the process holds before it, inputs included."""
    table = labels(CASES[name])
    values = features(table)
    torch.mm(values[:64], values[:64].T)  # the library's own start
    before = resident("VmRSS")
    protocols.evaluate("veri", values, table)
    print(f"{resident('VmHWM') - before:.0f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--memory", choices=list(CASES), help="only print one evaluation's memory beyond its inputs, in MB"
    )
    if name := parser.parse_args().memory:
        print_memory(name)
        return
    cores = torch.get_num_threads()
    for name in CASES:
        print(describe(name), flush=True)
    print(
        f"\n{'':10} {'':>15} {'threads':>7} {'mm [s]':>9} {'own [s]':>10} {'mm / own':>11} {'least':>5} {'aim':>5} "
        f"{'mm out / own':>12} {'argsort / own':>15}"
    )
    for threads in sorted({1, cores}):
        for name in CASES:
            measure(name, threads)
    print("mm: torch.mm as one calls it, its result in fresh memory; mm out: into memory that is already there\n")
    for name in CASES:
        command = [sys.executable, "-m", "benchmarks.bench_evaluator", "--memory", name]
        used = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        print(f"{name}: {used} MB beyond its inputs at its highest (at most {MEMORY_LIMIT})")


if __name__ == "__main__":
    main()
