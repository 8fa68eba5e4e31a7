"""A paper's training on random pictures: the loop that makes records, beside its bare steps."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from reidlib.data.images import Resident
from reidlib.train import Schedule, train
from reidpapers.run import training
from reidpapers.run.base import Paper
from reidpapers.run.config import Config
from reidpapers.run.training import Batch

VEHICLES, EACH = 200, 12
KINDS = 9  # of each attribute
PAIRS, LEAST = 5, 3  # measurements, and steps before the first of them


@dataclass(frozen=True)
class Scene:
    """What a training step is made of.

    Attributes:
        paper, config: whose, and which.
        network: on its device.
        feed: batch number ``step``, as runs get it from a store that is resident on the device.
    """

    paper: Paper
    config: Config
    network: nn.Module
    feed: Callable[[int], Batch]

    def step(self, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
        """Forward, backward and the optimizer's step on a batch."""
        losses, weights = self.paper.objective(self.config, self.network, batch), self.paper.term_weights(self.config)
        optimizer.zero_grad()
        sum(weights[term] * value for term, value in losses.items()).backward()
        optimizer.step()

    def train(self, steps: int, **options: Any) -> torch.Tensor:
        """So many steps of the training loop, at a rate that changes little; the terms of each."""
        run = train(
            self.network, partial(self.paper.objective, self.config), self.paper.term_weights(self.config), self.feed,
            Schedule(steps, 1e-5), **self.paper.optimizer(self.config), precision=self.config.precision, **options,
        )  # fmt: skip
        return run.table()


def scene(paper: Paper, config: Config, *, vehicles: int = VEHICLES, each: int = EACH) -> Scene:
    """A paper's network from its seed, and random pictures of so many vehicles on its device."""
    config = config.canonical()
    return Scene(paper, config, paper.build(config, counts(paper, vehicles)), feed(paper, config, vehicles, each))


def feed(paper: Paper, config: Config, vehicles: int, each: int) -> Callable[[int], Batch]:
    """Batches of random pictures, as runs get them from a store that is resident on the configuration's device."""
    size, draw = config.image_size, np.random.default_rng(0)
    pixels = draw.integers(0, 256, (vehicles * each, size, size, 3), dtype=np.uint8)
    vehicle = torch.arange(vehicles).repeat_interleave(each)
    labels = torch.stack([vehicle, vehicle % KINDS, vehicle % 3], 1)[:, : len(paper.toy_labels[0])]
    beside = {"size": torch.full((len(labels), 2), 2 * size), "mask": torch.zeros(len(labels), size, size).byte()}
    beside["mask"][:, size // 4 : -size // 4, size // 4 : -size // 4] = 255
    source = Resident(pixels, torch.device(config.device))
    return training.batches(paper, config, source, torch.arange(len(pixels)), labels, beside)


def counts(paper: Paper, vehicles: int) -> Mapping[str, Any]:
    """What networks are built for: some are told how many colours and types there are, others their names."""
    named = paper.name == "multiguided"
    kinds = {"colors": KINDS, "types": 3}
    kinds = {name: [str(place) for place in range(count)] for name, count in kinds.items()} if named else kinds
    return {"identities": vehicles, "models": KINDS, "classes": KINDS, **kinds}


def alternate(scene: Scene, blocks: int, block: int) -> tuple[float, float, list[float]]:
    """Images a second, bare and whole (medians), and the ratio, whole over bare, of each pair of measurements.

    In one measurement the two alternate every ``block`` steps, ``blocks`` times, so that other work on the machine
    slows both alike: the whole loop runs on, and between its blocks its progress callback runs and times the bare one.
    """
    parameters = scene.network.parameters()
    optimizer, batch = torch.optim.AdamW(parameters, lr=1e-6, fused=True), scene.feed(0)
    alone, whole, clock, done = [], [], [now(scene.config)], itertools.count(1)

    def progress(steps: int) -> None:
        if steps and next(done) % block == 0:
            begun = now(scene.config)
            whole.append(begun - clock[0])
            for _ in range(block):
                scene.step(optimizer, batch)
            clock[0] = now(scene.config)
            alone.append(clock[0] - begun)

    scene.train((PAIRS * blocks + 1) * block, progress=progress)
    times = np.array([alone, whole])[:, 1:].reshape(2, PAIRS, blocks).sum(2)  # the first block warms up
    images = scene.paper.batch_size(scene.config) * blocks * block
    bare, own = images / np.median(times, 1)
    return bare, own, (times[0] / times[1]).tolist()


def now(config: Config) -> float:
    """The time, when all that was begun on the device is done."""
    if config.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def blocks_within(scene: Scene, seconds: float, block: int) -> int:
    """How many blocks a measurement may have for :func:`alternate` to take about so long; it takes two steps a step."""
    optimizer, batch = torch.optim.AdamW(scene.network.parameters(), lr=0.0), scene.feed(0)
    scene.step(optimizer, batch)
    begun = now(scene.config)
    for _ in range(LEAST):
        scene.step(optimizer, batch)
    step = (now(scene.config) - begun) / LEAST
    return max(1, int(seconds / step / 2 / block / (PAIRS + 1)))
