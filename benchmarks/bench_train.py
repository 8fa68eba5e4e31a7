"""Training throughput: what the whole loop costs beyond forward, backward and optimizer step.

Run with ``python -m benchmarks.bench_train``. For each trunk and stage, one process alternates between

* *bare*: forward, backward and step over and over on one resident batch of random tensors, and
* *whole*: the loop that makes records: sampler, gathering from a resident uint8 store, augmentation, forward,
  backward, step, with its checks and its history,

with the same network, objective and optimizer, and prints the median ratio of images a second, whole over bare.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import torch

from reidlib.augment import Augment
from reidlib.images import Resident
from reidlib.papers import mlsl
from reidlib.train import Schedule, train

VEHICLES, PER_VEHICLE, PAIRS = 200, 12, 5
# Trunk, stage, steps a measurement (one to two seconds each), least ratio.
CASES = (
    ("small", "feature", 50, 0.94),
    ("small", "joint", 50, 0.94),
    ("mobilenet_v1", "feature", 8, 0.97),
    ("mobilenet_v1", "joint", 8, 0.97),
)


def bare(network: mlsl.MLSL, config: mlsl.MLSLConfig, batch: mlsl.Batch, steps: int) -> float:
    """Seconds of ``steps`` steps on one resident batch."""
    objective, weights = mlsl.objective(config), mlsl.term_weights(config)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    optimizer = kind(network.parameters(), lr=1e-4, fused=True)
    network.train()
    begun = time.perf_counter()
    for _ in range(steps):
        losses = objective(network, batch)
        total = sum(weights[term] * value for term, value in losses.items())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return time.perf_counter() - begun


def whole(network: mlsl.MLSL, config: mlsl.MLSLConfig, feed, steps: int) -> float:
    """Seconds of ``steps`` steps of the loop that makes records."""
    begun = time.perf_counter()
    train(network, mlsl.objective(config), mlsl.term_weights(config), feed, Schedule(steps, 1e-4),
          optimizer=config.optimizer)  # fmt: skip
    return time.perf_counter() - begun


def measure(trunk: str, learning: str, steps: int) -> tuple[float, float, list[float]]:
    """Images a second, bare and whole (medians), and the ratio of each pair of measurements."""
    config = mlsl.MLSLConfig(profile="quick", backbone=trunk, learning=learning, batch=48, pairs=24, image_size=64)
    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 256, (VEHICLES * PER_VEHICLE, 64, 64, 3), dtype=np.uint8)
    vehicles = np.repeat(np.arange(VEHICLES), PER_VEHICLE)
    labels = torch.from_numpy(np.stack([vehicles, vehicles % 10, vehicles % 9], 1))
    feed = mlsl.batches(config, Resident(pixels, torch.device("cpu")), torch.arange(len(pixels)), labels)
    network = mlsl.build(config, VEHICLES)
    images = torch.randn(48, 3, 64, 64).to(memory_format=torch.channels_last)
    batch = mlsl.Batch(images, labels[torch.randint(len(labels), (48,))])
    bare(network, config, batch, max(3, steps // 4)), whole(network, config, feed, max(3, steps // 4))  # warm up
    times = [(bare(network, config, batch, steps), whole(network, config, feed, steps)) for _ in range(PAIRS)]
    speeds = [48 * steps / statistics.median(column) for column in zip(*times, strict=True)]
    return speeds[0], speeds[1], [without / within for without, within in times]


def input_cost() -> float:
    """Milliseconds to augment 48 images at 64 pixels."""
    augment, images = Augment(), torch.randint(0, 256, (48, 64, 64, 3), dtype=torch.uint8)
    generator, seconds = torch.Generator().manual_seed(0), []
    for _ in range(60):
        begun = time.perf_counter()
        augment(images, generator)
        seconds.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(seconds)


def main() -> int:
    """Print every ratio; 1 if one is below what it must be."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("training: images/s of the whole loop over forward, backward and step alone (64 px, batch 48, one thread)")
    failed = 0
    for trunk, learning, steps, least in CASES:
        alone, all_of_it, ratios = measure(trunk, learning, steps)
        ratio = statistics.median(ratios)
        failed += ratio < least
        print(
            f"  {trunk:13} {'stage 1' if learning == 'feature' else 'pairs':8} bare {alone:6.0f}  whole {all_of_it:6.0f}"
            f"  ratio {ratio:.3f} (median of {PAIRS}: {min(ratios):.3f} to {max(ratios):.3f}),"
            f" required {least:.2f}: {'met' if ratio >= least else 'MISSED'}",
            flush=True,
        )
    print(f"  augmentation of one batch: {input_cost():.2f} ms")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
