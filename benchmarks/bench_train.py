"""Training throughput: what the whole loop costs beyond forward, backward and optimizer step.

Run with ``python -m benchmarks.bench_train``. For each trunk and stage, one process alternates between

* *bare*: forward, backward and step over and over on one resident batch of random tensors, and
* *whole*: the loop that makes records: sampler, gathering from a resident uint8 store, augmentation, forward,
  backward, step, with its checks and its history,

every few steps, with the same network, objective and optimizer, and prints the median ratio of images a second, whole
over bare.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from reidlib.augment import Augment
from reidlib.data.images import Resident
from reidlib.train import Schedule, train
from reidpapers.mlsl import paper
from reidpapers.run.base import batches

VEHICLES, PER_VEHICLE, BATCH, PAIRS = 200, 12, 48, 5
# Trunk, stage, blocks a measurement and steps a block (4 seconds a measurement, bare and whole together), least ratio.
CASES = (
    ("small", "feature", 10, 5, 0.94),
    ("small", "joint", 10, 5, 0.94),
    ("mobilenet_v1", "feature", 5, 2, 0.97),
    ("mobilenet_v1", "joint", 5, 2, 0.97),
)


def measure(trunk: str, learning: str, blocks: int, block: int) -> tuple[float, float, list[float]]:
    """Images a second, bare and whole (medians), and the ratio of each pair of measurements.

    In one measurement the two alternate every ``block`` steps, ``blocks`` times, so that other work on the machine
    slows both alike: the whole loop runs on, and between its blocks its progress callback runs and times the bare one.
    """
    config = paper.MLSLConfig(profile="quick", backbone=trunk, learning=learning, batch=BATCH, pairs=BATCH // 2)
    network, feed, batch = _scene(config)
    objective, weights = paper.objective(config), paper.term_weights(config)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    alone, whole, clock, done = [], [], [time.perf_counter()], itertools.count(1)

    def bare() -> None:
        for _ in range(block):
            losses = objective(network, batch)
            total = sum(weights[term] * value for term, value in losses.items())
            optimizer.zero_grad()
            total.backward()
            optimizer.step()

    def progress(steps: int) -> None:
        if steps and next(done) % block == 0:
            begun = time.perf_counter()
            whole.append(begun - clock[0])
            bare()
            clock[0] = time.perf_counter()
            alone.append(clock[0] - begun)

    schedule = Schedule((PAIRS * blocks + 1) * block, 1e-4)
    train(network, objective, weights, feed, schedule, optimizer="adamw", progress=progress)
    times = np.array([alone, whole])[:, 1:].reshape(2, PAIRS, blocks).sum(2)  # the first block warms up
    bare_speed, whole_speed = BATCH * blocks * block / np.median(times, 1)
    return bare_speed, whole_speed, (times[0] / times[1]).tolist()


def _scene(config: paper.MLSLConfig) -> tuple[paper.MLSL, Callable[[int], paper.Batch], paper.Batch]:
    """A network, the feed of the whole loop from a resident store, and one batch of random tensors."""
    size = config.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (VEHICLES * PER_VEHICLE, size, size, 3), dtype=np.uint8)
    vehicles = np.repeat(np.arange(VEHICLES), PER_VEHICLE)
    labels = torch.from_numpy(np.stack([vehicles, vehicles % 10, vehicles % 9], 1))
    feed = batches(paper.METHOD, config, Resident(pixels, torch.device("cpu")), torch.arange(len(pixels)), labels)
    images = torch.randn(BATCH, 3, size, size).to(memory_format=torch.channels_last)
    batch = paper.Batch(images, labels[torch.randint(len(labels), (BATCH,))])
    return paper.build(config, {"identities": VEHICLES}), feed, batch


def input_cost() -> float:
    """Milliseconds to augment one batch at 64 pixels."""
    augment, images = Augment(), torch.randint(0, 256, (BATCH, 64, 64, 3), dtype=torch.uint8)
    generator, seconds = torch.Generator().manual_seed(0), []
    for _ in range(60):
        begun = time.perf_counter()
        augment(images, generator)
        seconds.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(seconds)


def main() -> None:
    """Print every ratio beside what it must be; a noisy machine is no error."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(
        f"training: images/s of the whole loop over forward, backward and step alone (64 px, batch {BATCH}, one thread)"
    )
    for trunk, learning, blocks, block, least in CASES:
        alone, whole, ratios = measure(trunk, learning, blocks, block)
        ratio = statistics.median(ratios)
        print(
            f"  {trunk:13} {'stage 1' if learning == 'feature' else 'pairs':8} bare {alone:6.0f}  whole {whole:6.0f}"
            f"  ratio {ratio:.3f} (median of {PAIRS}: {min(ratios):.3f} to {max(ratios):.3f}),"
            f" required {least:.2f}: {'met' if ratio >= least else 'MISSED'}",
            flush=True,
        )
    print(f"  augmentation of one batch: {input_cost():.2f} ms")


if __name__ == "__main__":
    main()
