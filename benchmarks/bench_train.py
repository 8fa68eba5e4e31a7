"""Training throughput: what the whole loop costs beyond forward, backward and optimizer step.

Run with ``python -m benchmarks.bench_train``. For each trunk and stage, one process alternates between

* *bare*: forward, backward and step over and over on one resident batch, and
* *whole*: the loop that makes records: sampler, gathering from a resident uint8 store, augmentation, forward,
  backward, step, with its checks and its history,

every few steps, with the same network and objective, and prints the median ratio of images a second, whole over bare.
"""

from __future__ import annotations

import statistics
import time

import torch

from benchmarks.scenes import PAIRS, alternate, scene
from reidlib.augment import Augment
from reidpapers.mlsl.paper import PAPER

BATCH = 48
# Trunk, stage, blocks a measurement and steps a block (4 seconds a measurement, bare and whole together), least ratio.
CASES = (
    ("small", "feature", 10, 5, 0.94),
    ("small", "joint", 10, 5, 0.94),
    ("mobilenet_v1", "feature", 5, 2, 0.97),
    ("mobilenet_v1", "joint", 5, 2, 0.97),
)


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
    print(
        f"training: images/s of the whole loop over forward, backward and step alone (64 px, batch {BATCH}, one thread)"
    )
    for trunk, learning, blocks, block, least in CASES:
        config = PAPER.Config(backbone=trunk, learning=learning, batch=BATCH, pairs=BATCH // 2, device="cpu")
        alone, whole, ratios = alternate(scene(PAPER, config), blocks, block)
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
