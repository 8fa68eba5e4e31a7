"""How AGNet is trained and tested, and what its records hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from reidlib import augment as augmentation
from reidlib import losses
from reidlib.data.images import ImageStore
from reidlib.data.manifest import Dataset, Test
from reidlib.evaluate import protocols as rules
from reidlib.train import Schedule
from reidpapers.agnet import evaluation
from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.data import data, draw, label_codes, usable
from reidpapers.agnet.loss import objective, pair_losses, term_weights
from reidpapers.agnet.network import AGNet
from reidpapers.run import base, datasets, evaluate_run
from reidpapers.run.base import Method, batches
from reidpapers.run.evaluate_run import Trained

SIZES = ("small", "medium", "large", "largest")  # VehicleID's 800, 1600, 2400 and 3200 vehicles


def steps(config: AGNetConfig) -> int:
    """Training steps of a run; none for another test feature, or for re-ranking, of a trained one."""
    config = config.canonical()
    return config.iterations if config == config.trained() else 0


def starts_from(config: AGNetConfig) -> tuple[AGNetConfig, ...]:
    """The trained run whose features a run compares in another way."""
    return () if steps(config) else (config.trained(),)


def schedule(config: AGNetConfig, images: int) -> Schedule:
    """Learning rate of a run: 50 epochs of 75 at the initial one, then a tenth of it."""
    del images
    count = steps(config)
    if config.schedule == "cosine":
        return Schedule(count, config.rate, warmup=max(1, count // 20), cosine=True)
    return Schedule(count, config.rate, drops=(count * 2 // 3,) if count else ())


def sample_pairs(
    config: AGNetConfig, store: ImageStore, rows: pd.DataFrame, count: int
) -> list[tuple[np.ndarray, np.ndarray, dict[str, bool | float]]]:
    """A small batch to look at: both images of each pair as augmented, and what the loss knows of it, ε with it."""
    config = config.canonical().but(pairs=count, positive=0.5)
    rows = usable(config, rows)
    batch = batches(METHOD, config, store.resident("cpu"), store.places(rows), label_codes(rows))(0)
    first, second = batch.labels.chunk(2)
    same = first[:, 0] == second[:, 0]
    alike = losses.share_attributes(first[:, 1:], second[:, 1:], every=config.alike == "both")
    weights = losses.pair_weights(same, alike, config.theta)
    told = zip(same.tolist(), alike.tolist(), weights.tolist(), strict=True)
    shown = [{"one vehicle": one, "same colour and type": both, "ε": round(weight, 6)} for one, both, weight in told]
    return list(zip(*(half.numpy() for half in augmentation.pixels(batch.images).chunk(2)), shown, strict=True))


def batch_size(config: AGNetConfig) -> int:
    """Images a step."""
    return 2 * config.pairs


def optimizer(config: AGNetConfig) -> dict[str, Any]:
    """What trains it."""
    return {"optimizer": config.optimizer, "weight_decay": config.weight_decay}


def stage(config: AGNetConfig) -> str:
    """What kind of run it is: there is one stage."""
    del config
    return "training"


def tiny(config: AGNetConfig) -> AGNetConfig:
    """The same with eight images a step, for probes."""
    return config.but(pairs=4, positive=min(max(config.positive, 0.25), 0.75))


def build(config: AGNetConfig, data: Mapping[str, Any], starts: Sequence[Path] = ()) -> AGNet:
    """The network for data's training labels, with the seed's initial weights or those of the run it starts from."""
    sizes = [data[name] for name in ("identities", "colors", "types")]
    return base.build(lambda: AGNet(config, *sizes), config, starts)


def protocols(config: AGNetConfig) -> tuple[str, ...]:
    """The protocols of a configuration's tests: the dataset's own and, where it has one test, VehicleID's."""
    own = datasets.PROTOCOLS[config.dataset]
    return (own,) if config.dataset in ("vehicleid", "veriwild", "vehicle1m") else (own, "vehicleid")


def tests(config: AGNetConfig, dataset: Dataset) -> tuple[Test, ...]:
    """The dataset's own test (Table III) and small, medium and large ones by VehicleID's rule (Table IV).

    A dataset with several tests has these alone, the largest first. Tuning has none: see :func:`measures`.
    """
    if config.held_out:
        return ()
    if len(dataset.tests) > 1:
        return tuple(
            Test(size, test.protocol, query=test.query, gallery=test.gallery)
            for size, test in reversed(list(zip(SIZES, dataset.tests, strict=False)))
        )
    return (*dataset.tests, *evaluate_run.tests_by_size(dataset, {"": "vehicleid"}))


def distance(config: AGNetConfig, trained: Trained) -> rules.Distance | None:
    """How test features are compared: plainly (None), or re-ranked by time and place (STR)."""
    return evaluation.spatio_temporal(trained, config.str_weight) if config.str_weight else None


def measures(config: AGNetConfig, trained: Trained) -> dict[str, dict[str, float]]:
    """Purity of neighbourhoods by attribute, and what the mask does; for tuning the scores of held-out vehicles."""
    if config.held_out:
        return evaluation.tuned(trained, config.held_out)
    test = tests(config, trained.dataset)[0]
    found = evaluation.purity(trained, test)
    if config.masks() and steps(config):
        found |= evaluation.mask(trained, test)
    return found


def exhibits(config: AGNetConfig, trained: Trained) -> dict[str, Any]:
    """Fig. 7 and 8 for AGNet-ASL-All; and pictures of its mask for every run that trains one."""
    if config.held_out or not steps(config):
        return {}
    every = tests(config, trained.dataset)
    test, shown = every[0], {}
    if config.whole():
        shown = {"tsne": evaluation.embedding_map(trained, test), "fig8": evaluation.retrieved(trained, every)}
    return shown | ({"masks": evaluation.pictures(trained, test)} if config.masks() else {})


def unseen(config: AGNetConfig) -> dict[str, list[float]]:
    """What a probe's few steps may not reach: every kind of pair in the loss, the test feature, the re-ranking."""
    found = {}
    if config.verifies():
        labels = torch.tensor([(0, 0, 0)] * 3 + [(0, 0, 0), (1, 0, 0), (1, 0, 1)])
        for logit in (-1.0, 0.0, 3.0):
            found[f"pairs {logit:g}"] = pair_losses(torch.tensor([[0.0, logit]] * 3), labels, config).tolist()
    if not steps(config):
        network = build(config, {"identities": 4, "colors": 3, "types": 3})
        found["feature"] = evaluate_run.toy_features(
            network, evaluate_run.toy_images(base.TOY_IMAGES, config.image_size)
        )
    if config.str_weight:
        rows = pd.DataFrame({"camera_id": list("abca"), "time": [0.0, 5.0, 9.0, 20.0]})
        apart = pd.DataFrame([[0, 2, 5], [2, 0, 4], [5, 4, 0]], list("abc"), list("abc"))
        toy = Dataset(None, None, (), "", camera_distances=apart)  # type: ignore[arg-type]
        points = torch.arange(8.0).view(4, 2).square()
        how = evaluation.spatio_temporal(Trained(config, None, toy, None), config.str_weight).distances
        found["str"] = how(points, points.flip(0), rows, rows)(slice(0, 4)).flatten().tolist()
    return found


METHOD = Method(
    paper="agnet",
    labels=label_codes,
    build=build,
    draw=draw,
    batch_size=batch_size,
    objective=objective,
    weights=term_weights,
    optimizer=optimizer,
    schedule=schedule,
    steps=steps,
    tests=tests,
    protocols=protocols,
    stage=stage,
    tiny=tiny,
    toy_labels=tuple((i // 2, i // 4, (0, 0, 1, -1)[i // 2]) for i in range(base.TOY_IMAGES)),
    starts_from=starts_from,
    usable=usable,
    distance=distance,
    measures=measures,
    exhibits=exhibits,
    extra=unseen,
    data=data,
)
EXPERIMENT = base.experiment(METHOD)
