"""What augmentation costs beside a step of the small trunk: MLSL's, and the multi-guided system's part by part.

Run with ``python -m benchmarks.bench_augment``. Each measurement alternates between augmenting one batch and one
training step of the small trunk on a resident batch, and prints the median of each and their ratio; all in processor
time, since other work may share the cores.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from reidlib import models
from reidlib.augment import Augment
from reidlib.train import _keep_memory
from reidpapers.multiguided.augment import PAD, Guided

BATCH, SIZE, ROUNDS = 48, 64, 40
OFF = {"pad": 0.0, "shrink": 0.0, "substitute": 0.0, "erase": 0.0}
PARTS = {
    "normalised alone": {},
    "pad and crop": {"pad": PAD},
    "shrink": {"shrink": 0.5, "target": 48.0},
    "substitution": {"substitute": 0.5},
    "erasing": {"erase": 0.5},
    "all": {"pad": PAD, "shrink": 0.5, "target": 48.0, "substitute": 0.5, "erase": 0.5},
}
MOST = 0.10  # of the step's time, for all parts together


def measure(augment: Callable[[Tensor, dict[str, Tensor], torch.Generator], Tensor]) -> tuple[float, float]:
    """Milliseconds of one batch's augmentation and of one step, medians over the rounds."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH, SIZE, SIZE, 3), dtype=torch.uint8, generator=generator)
    masks = torch.zeros(BATCH, SIZE, SIZE, dtype=torch.uint8)
    masks[:, 16:48, 10:50] = 255
    beside = {"mask": masks, "size": torch.randint(36, 61, (BATCH, 2), generator=generator)}
    network, batch = models.build("small"), torch.randn(BATCH, 3, SIZE, SIZE)
    batch = batch.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    times = np.zeros((ROUNDS, 2))
    for row in times:
        begun = time.process_time()
        augment(images, beside, generator)
        row[0] = time.process_time() - begun
        optimizer.zero_grad()
        network(batch).square().mean().backward()
        optimizer.step()
        row[1] = time.process_time() - begun - row[0]
    return tuple(1e3 * np.median(times[5:], 0))


def main() -> None:
    """Print every cost, and the whole one beside what it must be; a noisy machine is no error."""
    torch.set_num_threads(1)
    _keep_memory()
    print(f"augmentation of {BATCH} images at {SIZE} px, one thread, beside a step of the small trunk")
    plain = Augment()
    cases = {"crop, rotation, brightness": lambda images, beside, generator: plain(images, generator)}
    cases |= {name: Guided(**{**OFF, **options}) for name, options in PARTS.items()}
    for name, augment in cases.items():
        cost, step = measure(augment)
        verdict = f", allowed {MOST:.0%}: {'met' if cost <= MOST * step else 'MISSED'}" if name == "all" else ""
        print(f"  {name:26} {cost:5.2f} ms, a step {step:5.1f} ms: {cost / step:.1%}{verdict}", flush=True)


if __name__ == "__main__":
    main()
