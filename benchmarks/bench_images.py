"""How fast images of an official dataset's folder become a store, and what a kill costs.

Run with ``python -m benchmarks.bench_images``. Rendered vehicles are exported in VeRi-776's layout. One core decodes
and resizes them without writing: that is what bounds a build. Then all cores build stores: one in a single sitting, and
one that is killed half-way and taken up again. Seconds of a build count the start of its processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from reidlib.data import veri776
from reidlib.data.decoding import CHUNK
from reidlib.data.images import open_store
from reidpapers.vehicles.export import export
from reidpapers.vehicles.render import Preset, Share

PRESET = Preset("bench", Share(250, 4000, 1000, 8, even=True), Share(25, 300, 100, 8, even=True), sizes=(64, 64))
SIZE, SAMPLE, KILLED_AT = 64, 1000, 0.5


def one_core(root: Path) -> float:
    """Images a second that one core reads, decodes and resizes."""
    dataset = veri776.load(root)
    names = dataset.manifest.rows("train")["image"].head(SAMPLE)
    begun = time.process_time()
    for name in names:
        np.asarray(Image.fromarray(dataset.read(name)).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    return len(names) / (time.process_time() - begun)


def build(root: Path, workers: int) -> None:
    """Build a store, or finish one, and print seconds, images and the memory of the largest process."""
    dataset = veri776.load(root)
    begun = time.perf_counter()
    store = open_store(dataset, SIZE, workers=workers)
    took = time.perf_counter() - begun
    scale = 1 if sys.platform == "darwin" else 1024
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"{took:6.1f} s for {len(store.names):,} images in all; {memory * scale / 1e6:.0f} MB in the largest process",
          flush=True)  # fmt: skip


def started(root: Path, cache: Path, workers: int) -> subprocess.Popen:
    """A process that builds a store in a cache of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_images", "--build", str(root), "--workers", str(workers)]
    return subprocess.Popen(command, env=os.environ | {"REIDLIB_CACHE": str(cache)})


def kill_in_the_middle(root: Path, cache: Path, workers: int) -> tuple[int, int]:
    """Kill a build once half of its chunks are there; how many are, and of how many."""
    process = started(root, cache, workers)
    done = b""
    while process.poll() is None and (not done or sum(done) < KILLED_AT * len(done)):
        time.sleep(0.01)
        done = b"".join(path.read_bytes() for path in cache.glob("images/*.chunks"))
    process.kill()
    process.wait()
    return sum(b"".join(path.read_bytes() for path in cache.glob("images/*.chunks"))), len(done)


def main() -> None:
    """Export, then measure one core, a build, and a build that is killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, metavar="ROOT", help="only build the store of the dataset there")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    given = parser.parse_args()
    if given.build:
        build(given.build, given.workers)
        return
    with tempfile.TemporaryDirectory(prefix="bench-images-") as scratch:
        root = export("veri776", Path(scratch, "VeRi"), preset=PRESET, workers=given.workers)
        print(f"one core   {one_core(root):6.0f} images a second at {SIZE} px, from files of 64 px", flush=True)
        print(f"{given.workers} processes", end=" ", flush=True)
        started(root, Path(scratch, "whole"), given.workers).wait()
        kept, chunks = kill_in_the_middle(root, Path(scratch, "killed"), given.workers)
        print(f"killed with {kept} of {chunks} chunks of {CHUNK} images kept; the rest", end=" ", flush=True)
        started(root, Path(scratch, "killed"), given.workers).wait()


if __name__ == "__main__":
    main()
