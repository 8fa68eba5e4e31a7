"""What a loss over a batch costs beside a training step.

Run with ``python -m benchmarks.bench_losses``. One process alternates between

* *step*: forward, backward and optimizer step of the small trunk on one resident batch of 150 images at 64 pixels, and
* *loss*: normalisation, mining, all terms and the backward pass down to the trunk's features, for C2F-Rank's ranking
  terms and DRDL's two losses, at the papers' batches of 150,

and prints the loss's time and the median ratio of loss over step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from reidlib import losses
from reidlib import models as backbones

BATCH, SIZE, WIDTH, ROUNDS, REPEATS, MOST = 150, 64, 128, 15, 5, 0.10
SET_PAIRS, SET = 15, 5  # set pairs of 5 positives and 5 negatives
MODELS, VEHICLES = 5, 6  # models a batch, vehicles a model; 5 images a vehicle
C2F = {"coarse_margin": 0.2, "fine_margin": 0.2, "coarse_nearest": 10, "fine_nearest": 3}


def step() -> Callable[[], None]:
    """A training step of the small trunk whose loss costs next to nothing."""
    network = backbones.build("small")
    images = torch.randn(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)

    def run() -> None:
        optimizer.zero_grad()
        network(images).square().mean().backward()
        optimizer.step()

    return run


def cases() -> dict[str, Callable[[Tensor], Tensor]]:
    """Each loss as a function of a batch's features ``[150, 128]`` of unit length."""
    vehicles = torch.arange(BATCH) // (BATCH // (MODELS * VEHICLES))
    models = vehicles // VEHICLES

    def sets(features: Tensor) -> tuple[Tensor, Tensor]:
        return features.view(SET_PAIRS, 2 * SET, -1).split(SET, 1)

    def ranking(features: Tensor) -> Tensor:
        terms = losses.coarse_to_fine(features, vehicles, models, **C2F)
        return 100 * terms["coarse"] + 1000 * terms["fine"] + 10 * terms["pair"]

    return {
        "C2F-Rank, three terms": ranking,
        "DRDL, coupled clusters": lambda features: losses.coupled_clusters(*sets(features), 0.2).mean(),
        "DRDL, triplets": lambda features: losses.set_triplets(*sets(features), 0.2).mean(),
    }


def measure(
    step: Callable[[], None], cases: dict[str, Callable[[Tensor], Tensor]]
) -> tuple[list[float], dict[str, list[float]]]:
    """Seconds of a step and of each loss, round by round, so that other work on the machine slows all alike."""
    # Features that share a direction, as before training: near every hinge is active.
    features = (torch.randn(BATCH, WIDTH) + 3 * torch.randn(WIDTH)).requires_grad_()
    steps, found = [], {name: [] for name in cases}
    for _ in range(ROUNDS + 1):
        begun = time.perf_counter()
        step()
        steps.append(time.perf_counter() - begun)
        for name, loss in cases.items():
            begun = time.perf_counter()
            for _ in range(REPEATS):
                features.grad = None
                loss(nn.functional.normalize(features, dim=1)).backward()
            found[name].append((time.perf_counter() - begun) / REPEATS)
    return steps[1:], {name: seconds[1:] for name, seconds in found.items()}  # the first round warms up


def main() -> None:
    """Print every ratio beside what it must be; a noisy machine is no error."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    steps, found = measure(step(), cases())
    print(
        f"losses: forward and backward over a step of the small trunk, {1e3 * statistics.median(steps):.0f} ms"
        f" ({SIZE} px, batch {BATCH}, {WIDTH} features, one thread)"
    )
    for name, seconds in found.items():
        ratios = [loss / whole for loss, whole in zip(seconds, steps, strict=True)]
        ratio = statistics.median(ratios)
        word = "met" if ratio < MOST else "MISSED"
        print(
            f"  {name:22} {1e3 * statistics.median(seconds):6.2f} ms  ratio {ratio:.3f} (median of {ROUNDS}:"
            f" {min(ratios):.3f} to {max(ratios):.3f}), required below {MOST:.2f}: {word}"
        )


if __name__ == "__main__":
    main()
