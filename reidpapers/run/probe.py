"""Probes: a fingerprint of what the code does with a configuration, quick to compute again.

Each stage of a run trains three steps on eight synthetic images from the seed's initial weights, float32 on the CPU,
and leaves its loss terms and gradient norms; beside them stand the learning rate at 20 points, the features of the
images, and the scores of a synthetic embedding set under the run's protocols. Two probes that are the same within
:data:`TOLERANCE` mean code that does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from reidlib.data.images import ImageStore
from reidlib.data.manifest import SPLITS, Test
from reidlib.evaluate import protocols
from reidlib.evaluate.embed import embed
from reidlib.train import train
from reidpapers.run import evaluate_run, training, verification
from reidpapers.run.config import Config

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

Values = Mapping[str, Sequence[float]]

TOY_IMAGES = 8  # of a probe
STEPS = 3  # of a probe's training
TOLERANCE = 1e-4  # relative, between two probes of one processor
NUDGE = 1e-6  # relative, about what another order of summation changes in a result
NUDGES, SPREAD = 3, 8  # how often a probe is nudged, and how much farther than its nudges another processor may be


def probe(paper: Paper, config: Config, data: Mapping[str, Any], nudge: int = 0) -> dict[str, list[float]]:
    """What the code does with a configuration.

    Args:
        paper: whose code.
        config: what is run.
        data: what :meth:`Paper.data` says of its data; the images themselves take no part.
        nudge: other than 0, the initial weights are moved by rounding errors drawn from this seed.
    """
    config = config.canonical().but(device="cpu", precision="float32", pretrained=False, weights=None)
    data = _with_room(data, 1 + max(map(max, paper.toy_labels)))
    values = {}
    for place, protocol in enumerate(paper.protocols(config)):
        values[f"scores {protocol}" if place else "scores"] = toy_scores(protocol, config.test_distance)
    for stage in (*paper.starts_from(config), config):
        if paper.steps(stage):
            values |= _stage(paper, stage, data, nudge)
    return values | dict(paper.extra_probe(config))


def _with_room(data: Mapping[str, Any], least: int) -> dict[str, Any]:
    """What is known of data, with as many classes of each kind as toy labels name, where there are any of the kind."""

    def enough(value: Any) -> Any:
        if isinstance(value, list):
            return [*value, *(f"class {number}" for number in range(len(value), least))] if value else value
        return max(value, least) if isinstance(value, int) and value else value

    return {name: enough(value) for name, value in data.items()}


def _stage(paper: Paper, stage: Config, data: Mapping[str, Any], nudge: int) -> dict[str, list[float]]:
    """Rate, losses, gradients and features of one stage of a run."""
    kind, tiny, schedule = paper.stage(stage), paper.tiny(stage), paper.schedule(stage, 10_000)
    pixels, labels = toy_images(TOY_IMAGES, stage.image_size), torch.tensor(paper.toy_labels)
    network, norms = _nudged(paper.build(tiny, data), nudge), GradientNorms()
    places, side_inputs = torch.arange(TOY_IMAGES), paper.toy_side_inputs(tiny)
    feed = training.batches(paper, tiny, lambda places: pixels[places], places, labels, side_inputs)
    history = train(
        network, partial(paper.objective, tiny), paper.term_weights(tiny), feed, replace(schedule, iterations=STEPS),
        **paper.optimizer(stage), seed=stage.seed, watch=norms,
    )  # fmt: skip
    return {
        f"{kind} rate": [schedule(step * schedule.iterations // 20) for step in range(20)],
        f"{kind} loss": history.table().flatten().tolist(),
        f"{kind} gradient": norms.values,
        f"{kind} features": toy_features(_nudged(paper.build(tiny, data), nudge), pixels),
    }


def _nudged(network: nn.Module, seed: int) -> nn.Module:
    """A network whose weights are moved by about a rounding error each; by nothing where the seed is 0."""
    if seed:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weights in network.parameters():
                weights.mul_(1 + NUDGE * torch.randn(weights.shape, generator=generator))
    return network


@dataclass(frozen=True)
class Stamp:
    """What a record, kept weights or a checkpoint say of the code that made them.

    Attributes:
        code: its digest.
        probe: its probe.
        arithmetic: how the processor rounds that computed the probe; None where that is not known.
    """

    code: str
    probe: Values
    arithmetic: str | None = None


def difference(stamp: Stamp, arithmetic: str, again: Callable[[int], Values]) -> str | None:
    """The first part of a probe in which the code of today does something else; None where it does the same.

    On the processor that computed the stamp's probe, "the same" is within :data:`TOLERANCE`. On another one sums are
    rounded otherwise, and what follows an update of the weights may be far off: Adam divides a gradient that is noise
    by its own size. How far is measured: a value may be as far from the stamp's as :data:`SPREAD` times what nudging
    the initial weights by a rounding error does to it, which is little but for some steps of deep networks.

    Args:
        stamp: of the past.
        arithmetic: how this processor rounds.
        again: today's probe by the number of its nudge, 0 for none.
    """
    now = again(0)
    if parts := [part for part in sorted(now.keys() | stamp.probe.keys())
                 if len(now.get(part, ())) != len(stamp.probe.get(part, ()))]:  # fmt: skip
        return parts[0]
    far = [part for part in sorted(now) if not _close(stamp.probe[part], now[part])]
    if not far or stamp.arithmetic == arithmetic:
        return far[0] if far else None
    nudged = [again(number) for number in range(1, NUDGES + 1)]
    return next((part for part in far if not _close(stamp.probe[part], now[part], [n[part] for n in nudged])), None)


def _close(old: Sequence[float], new: Sequence[float], nudged: Sequence[Sequence[float]] = ()) -> bool:
    """Whether two series of values are the same, as far as rounding allows."""
    first, second = np.asarray(old), np.asarray(new)
    allowed = TOLERANCE * np.maximum(np.abs(first), np.abs(second)) + 1e-9
    for values in nudged:
        allowed = np.maximum(allowed, SPREAD * np.abs(np.asarray(values) - second))
    return bool((np.abs(first - second) <= allowed).all())


def toy_scores(protocol: str, test_distance: str) -> list[float]:
    """Scores of a fixed synthetic embedding set under a protocol: the part of a probe that sees the evaluator.

    Thirty images of six vehicles and three cameras in each split; some lie so close that distances tie.
    """
    place = np.arange(30)
    labels = {"image": place.astype(str), "vehicle_id": place % 6, "camera_id": (place // 6 % 3).astype(str),
              "model": (place % 3).astype(str)}  # fmt: skip
    table = pd.concat([pd.DataFrame({**labels, "split": split}) for split in SPLITS], ignore_index=True)
    vehicles = torch.as_tensor(table["vehicle_id"].to_numpy(copy=True))
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(6, 8, generator=generator)
    # Multiples of 1/8 make distances exact, so that ties are ties on every machine.
    features = ((centres[vehicles] + torch.randn(len(table), 8, generator=generator)) * 8).round() / 8
    table = table.astype({"vehicle_id": str})
    distance: protocols.Distance = test_distance
    if test_distance == evaluate_run.LEARNT:
        training = torch.as_tensor((table["split"] == "train").to_numpy(copy=True))
        distance = evaluate_run.learnt(features[training], vehicles[training])
    if protocol == "verification":
        other = np.where(place % 4 < 2, place + 6, place + 1) % 30  # half of them of the same vehicle
        pairs = pd.DataFrame({"first": place, "second": other, "same": place % 6 == other % 6})
        test = Test("", protocol, pairs=pairs[::2], threshold_pairs=pairs[1::2])
        result = verification.verify(features, table, test, distance)
        return [result.accuracy, result.auc, result.threshold, result.threshold_accuracy]
    scores = protocols.evaluate(protocol, features, table, distance=distance)
    return [scores.mAP, *(scores.top(k) for k in (1, 2, 5, 10)), float(scores.first.sum())]


def toy_images(count: int, size: int) -> Tensor:
    """Smooth synthetic pictures, uint8 ``[count, S, S, 3]``, the same everywhere: what probes are computed on."""
    coarse = torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)
    return (smooth * 255).byte().permute(0, 2, 3, 1).contiguous()


def toy_features(network: nn.Module, pixels: Tensor) -> list[float]:
    """Lengths of the features of :func:`toy_images`: the part of a probe that sees how images are embedded."""
    names = {str(place): place for place in range(len(pixels))}
    embeddings = embed(network, ImageStore(pixels.numpy(), names), pd.DataFrame({"image": list(names)}))
    return embeddings.features.norm(dim=1).tolist()


class GradientNorms:
    """Gradient norms of a network's children at each step, for probes; pass it to ``train`` as ``watch``."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def __call__(self, step: int, network: nn.Module) -> None:
        for child in network.children():
            norms = [p.grad.norm() for p in child.parameters() if p.grad is not None]
            if norms:
                self.values.append(float(torch.stack(norms).norm()))
