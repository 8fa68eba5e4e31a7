"""DRDL: Deep Relative Distance Learning: Tell the Difference Between Similar Vehicles (Liu et al., CVPR 2016).

A network learns features whose distances tell vehicles apart. Two ideas: the *coupled clusters loss* compares a set of
images of one vehicle with a set of others by their distances to the cluster's centre, where a triplet compares single
images; and in the *mixed difference network* one branch learns the vehicle model and another what is left.

Read top to bottom: configuration, network, objective, experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from reidlib import augment as augmentation
from reidlib import losses, models, sampler
from reidlib.data.images import ImageStore
from reidlib.data.manifest import Dataset, Test, codes
from reidlib.evaluate.protocols import verification_tests
from reidlib.train import Schedule
from reidpapers.run import base, datasets, evaluate_run
from reidpapers.run.base import Batch, Method, batches
from reidpapers.run.config import Config, ConfigError, ListOrJson

Level = Literal["easy", "medium", "hard"]
VEHICLE, MODEL, MAKE = range(3)  # columns of the labels


# --- configuration ---------------------------------------------------------------------------------------------------


class DRDLConfig(Config):
    """One run of DRDL. Defaults are the paper's method (sections 3 and 5); a profile sets the scale."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "embedding": 16, "iterations": 6, "decay_every": 2, "sets": 3,
                  "set_size": 2, "pairs": 24, "levels": ("easy", "medium"), "device": "cpu"},
        "quick": {"preset": "small", "image_size": 64, "embedding": 128, "iterations": 250, "decay_every": 50,
                  "sets": 8, "device": "cpu"},
        "paper": {"preset": "veri", "image_size": 224, "backbone": "vgg_cnn_m_1024"},
    }  # fmt: skip

    task: Literal["reid", "verification"] = Field(
        "reid", description="vehicles are told apart (Tables 4, 6), or models are verified (Table 3)"
    )
    network: Literal["single", "mixed", "upper"] = Field(
        "mixed", description="one branch, the mixed difference network, or the control: its upper branch alone"
    )
    loss: Literal["triplet", "ccl"] = Field("ccl", description="of distances: triplets, or coupled clusters")
    center: Literal["detach", "full"] = Field(
        "detach", description="coupled clusters: a constant centre as in eq. 7 and 8, or one with a gradient"
    )
    reduction: Literal["mean", "sum"] = Field("mean", description="over a set pair's triplets; the paper prints a sum")
    margin: float = Field(0.2, ge=0, le=4, description="alpha, on squared distances of features of length 1")
    sets: int = Field(15, ge=1, le=4096, description="pairs of a positive and a negative set in a batch")
    set_size: int = Field(5, ge=2, le=256, description="images in a set")
    weight_model: float = Field(0.5, ge=0, le=100, description="weight of the upper branch: softmax over models")
    weight_lower: float = Field(0.5, ge=0, le=100, description="weight of the lower branch's loss of distances")
    weight_mixed: float = Field(1.0, ge=0, le=100, description="weight of the loss of distances on fc8")
    embedding: int = Field(1024, ge=2, le=8192, description="width of fc7 and fc8")
    iterations: int = Field(40_000, ge=1, le=10**7, description="training steps")
    rate: float = Field(0.01, gt=0, le=10, description="initial learning rate")
    decay: float = Field(0.7, gt=0, le=1, description="factor of the learning rate at each drop")
    decay_every: int = Field(8000, ge=1, le=10**7, description="steps between drops")
    weight_decay: float = Field(2e-4, ge=0, le=1, description="of SGD, whose momentum is 0.9")
    literal: bool = Field(False, description="retrieval's gallery as printed: by model, with max{6, N - 1}")
    pairs: int = Field(2000, ge=6, le=10**6, multiple_of=2, description="verification pairs a level, embedded data")
    levels: Annotated[tuple[Level, ...], ListOrJson] = Field(
        ("easy", "medium", "hard"), min_length=1, description="levels of verification, embedded data"
    )
    test_distance: Literal["euclidean", "cosine", "joint_bayesian"] = Field(
        "euclidean", description="between features when matching; joint_bayesian is fitted to those of a trained run"
    )

    @classmethod
    def scale(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The profile's values; CompCars has models and no vehicles, so there is one task for it."""
        return {**super().scale(given), **({"task": "verification"} if given.get("dataset") == "compcars" else {})}

    @model_validator(mode="after")
    def _fits_together(self) -> DRDLConfig:
        """Refuse what no run could mean."""
        if self.dataset == "digits":
            raise ValueError("dataset = 'digits' is refused: it has no vehicles; allowed are the vehicle datasets")
        if self.task == "verification" and self.dataset not in ("rendered", "compcars"):
            raise ValueError(
                f"task = 'verification' is refused for dataset = {self.dataset!r}, which grades no pairs of models; "
                "allowed are rendered, compcars"
            )
        if self.task == "reid" and self.dataset == "compcars":
            raise ValueError("task = 'reid' is refused for dataset = 'compcars': it knows models and no vehicles")
        if len(set(self.levels)) != len(self.levels):
            raise ValueError(f"levels = {list(self.levels)} is refused: allowed are distinct names of levels")
        return self

    def canonical(self) -> DRDLConfig:
        """Fields that a variant does not use go to their defaults, so that equal runs have one record."""
        unused = {"pairs", "levels"} if self.task == "reid" or self.dataset == "compcars" else set()
        if self.task == "verification":
            unused |= {"literal"}
        if self.network != "mixed":
            unused |= {"weight_model", "weight_lower", "weight_mixed"}
        if self.network == "upper":
            unused |= {"loss", "center", "reduction", "margin"}
        elif self.loss == "triplet":
            unused |= {"center"}
        else:
            unused |= {"reduction"}
        return super().canonical().without(unused)

    def identity(self) -> int:
        """Which label sets are drawn by: the vehicle; the model where models are verified (CompCars' "vehicles")."""
        return MODEL if self.task == "verification" and self.dataset != "compcars" else VEHICLE

    def coarse(self) -> int:
        """Which label the upper branch learns: the model; the make where models are verified (section 5.1)."""
        return MAKE if self.task == "verification" else MODEL


# --- network ---------------------------------------------------------------------------------------------------------


class DRDL(nn.Module):
    """The mixed difference network (Fig. 6), or one branch of it.

    The branches share the trunk, fc6 included. Features that distances are taken of are outputs of a layer without
    ReLU; fc7_1, and what fc8 sees of fc7_2, have one. They have length 1 when they leave the network (section 3.1).

    Args:
        config: trunk, branches and their width.
        classes: number of models (or makes) that the upper branch tells apart.
    """

    def __init__(self, config: DRDLConfig, classes: int) -> None:
        super().__init__()
        self.trunk = models.build(
            config.backbone, pretrained=config.pretrained, weights=config.weights, image_size=config.image_size
        )
        width = config.embedding
        self.kind = config.network
        if self.kind == "single":
            self.fc7 = nn.Linear(self.trunk.dim, width)
        else:
            self.fc7_1 = nn.Linear(self.trunk.dim, width)
            self.model = nn.Linear(width, classes)
        if self.kind == "mixed":
            self.fc7_2 = nn.Linear(self.trunk.dim, width)
            self.fc8 = nn.Linear(2 * width, width)
        if config.weights and config.backbone == "vgg_cnn_m_1024" and width == 1024:
            for name in self._modules.keys() & {"fc7", "fc7_1", "fc7_2"}:  # ImageNet's fc7 begins each of them
                models.load_weights(getattr(self, name), config.weights, prefix="fc7.")

    def forward(self, images: Tensor) -> Tensor:
        """Features for matching, of length 1: ``[N, 3, S, S]`` → ``[N, E]``."""
        return self.branches(images)[{"single": "lower", "mixed": "mixed", "upper": "upper"}[self.kind]]

    def branches(self, images: Tensor) -> dict[str, Tensor]:
        """All there are: ``lower`` and ``mixed`` (fc8) features ``[N, E]``, of the upper branch also its ``logits``."""
        shared = self.trunk(images)  # fc6 of VGG_CNN_M_1024: [N, 4096]
        if self.kind == "single":
            return {"lower": unit(self.fc7(shared))}
        upper = F.relu(self.fc7_1(shared))  # [N, E]
        found = {"upper": unit(upper), "logits": self.model(upper)}
        if self.kind == "mixed":
            lower = self.fc7_2(shared)  # [N, E]
            both = torch.cat([upper, F.relu(lower)], 1)  # [N, 2E]
            found |= {"lower": unit(lower), "mixed": unit(self.fc8(both))}
        return found


def unit(features: Tensor) -> Tensor:
    """Features of length 1, in float32: ‖f(x)‖ = 1 (section 3.1)."""
    return F.normalize(features.float(), dim=1)


# --- objective -------------------------------------------------------------------------------------------------------


def relative(features: Tensor, config: DRDLConfig) -> Tensor:
    """The loss of distances, a mean over a batch's set pairs: triplets (eq. 3) or coupled clusters (eq. 4–6).

    Args:
        features: of length 1, ``[sets · 2 · size, D]``: each pair's positive set, then its negative set.
        config: which loss, its margin and its sets.
    """
    positives, negatives = features.unflatten(0, (config.sets, 2, config.set_size)).unbind(1)  # [B, size, D] each
    if config.loss == "triplet":
        each = losses.set_triplets(positives, negatives, config.margin, reduction=config.reduction)
    else:
        each = losses.coupled_clusters(positives, negatives, config.margin, center=config.center)
    return each.mean()


def classification(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross-entropy, a mean over the images whose model is known (half of VehicleID's are not); 0 of none."""
    total = F.cross_entropy(logits.float(), labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp_min(1)


def terms(network: DRDL, batch: Batch, config: DRDLConfig) -> dict[str, Tensor]:
    """The loss term by term, unweighted (Fig. 6): softmax on fc7_1, the loss of distances on fc7_2 and on fc8."""
    found = network.branches(batch.images)
    values = {}
    if "logits" in found:
        values["model"] = classification(found["logits"], batch.labels[:, config.coarse()])
    values |= {name: relative(found[name], config) for name in ("lower", "mixed") if name in found}
    return values


def term_weights(config: DRDLConfig) -> dict[str, float]:
    """Factor of each term in the total (section 3.4); a branch alone has one term."""
    if config.network == "mixed":
        return {"model": config.weight_model, "lower": config.weight_lower, "mixed": config.weight_mixed}
    return {"lower" if config.network == "single" else "model": 1.0}


# --- experiment ------------------------------------------------------------------------------------------------------


def label_codes(rows: pd.DataFrame) -> Tensor:
    """Codes ``[N, 3]`` of vehicle, model and make, −1 where missing.

    Where no model is known at all the type stands for it. The make is the part of the model's name before a slash, as
    CompCars' names have one; the embedded vehicles' models belong to a type, which stands for their make.
    """
    model = rows["model"] if rows["model"].notna().any() else rows["type"]
    made = rows["model"].str.contains("/", regex=False, na=False)
    make = rows["model"].str.partition("/")[0].where(made, rows["type"])
    return torch.as_tensor(np.stack([codes(rows["vehicle_id"]), codes(model), codes(make)], 1))


def data(config: DRDLConfig) -> dict[str, Any]:
    """What is known of the data, the upper branch's number of classes with it.

    Raises:
        ConfigError: the data cannot give what the configuration asks for; no picture has been decoded then.
    """
    return dict(_known(config.model_copy(update={"seed": 0})))


@lru_cache(maxsize=256)  # a grid asks again and again
def _known(config: DRDLConfig) -> dict[str, Any]:
    dataset, found = datasets.load(config.source), evaluate_run.data(config)
    labels = label_codes(dataset.manifest.rows("train"))
    classes = int(labels[:, config.coarse()].max()) + 1
    try:
        draw(config, labels)
    except ValueError as error:
        raise ConfigError(f"set_size = {config.set_size} does not fit {found['name']}: {error}") from error
    try:
        tests(config, dataset)
    except ValueError as error:
        raise ConfigError(f"task = {config.task!r} does not fit {found['name']}: {error}") from error
    if config.network != "single" and not classes:
        lacks = "make" if config.task == "verification" else "model or type"
        raise ConfigError(f"network = {config.network!r} is refused: {found['name']} has no {lacks}; allowed is single")
    if config.task == "reid" and config.literal and dataset.manifest.rows("gallery")["model"].isna().all():
        raise ConfigError(f"literal = True is refused: {found['name']} has no vehicle models; allowed is False")
    return {**found, "classes": classes}


def draw(config: DRDLConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
    """Which images meet in a batch: pairs of a positive and a negative set (section 3.4)."""
    return sampler.SetSampler(labels[:, config.identity()].numpy(), sets=config.sets, size=config.set_size)


def batch_size(config: DRDLConfig) -> int:
    """Images a step: 150 at the paper's sizes."""
    return 2 * config.sets * config.set_size


def objective(config: DRDLConfig) -> Callable[[DRDL, Batch], dict[str, Tensor]]:
    """The loss terms of a configuration."""
    return lambda network, batch: terms(network, batch, config)


def optimizer(config: DRDLConfig) -> dict[str, Any]:
    """SGD with momentum 0.9 (section 3.4)."""
    return {"optimizer": "sgd", "weight_decay": config.weight_decay}


def starts_from(config: DRDLConfig) -> tuple[DRDLConfig, ...]:
    """Joint Bayesian (Fig. 10) is fitted to the features of a run that matches by their distances."""
    return (config.but(test_distance="euclidean"),) if config.test_distance == evaluate_run.LEARNT else ()


def steps(config: DRDLConfig) -> int:
    """Training steps of a run: none where there is a run whose features it takes as they are."""
    return 0 if starts_from(config) else config.iterations


def stage(config: DRDLConfig) -> str:
    """What kind of run it is."""
    return config.network


def tiny(config: DRDLConfig) -> DRDLConfig:
    """The same with eight images a step, for probes."""
    return config.but(sets=2, set_size=2)


def sample_sets(
    config: DRDLConfig, store: ImageStore, rows: pd.DataFrame, count: int
) -> tuple[list[np.ndarray], list[str]]:
    """A small batch to look at: pictures as augmented, a set pair after the other, and the label sets are drawn by."""
    config, labels = config.canonical().but(sets=count), label_codes(rows)
    batch = batches(METHOD, config, store.resident("cpu"), store.places(rows), labels)(0)
    names = ["positive", "negative"]
    shown = batch.labels[:, config.identity()].view(count, 2, -1).tolist()
    texts = [
        f"{name}\nnumber {code}" for pair in shown for name, half in zip(names, pair, strict=True) for code in half
    ]
    return list(augmentation.pixels(batch.images).numpy()), texts


def schedule(config: DRDLConfig, images: int) -> Schedule:
    """Learning rate η · decay^⌊i / decay_every⌋ (section 3.4)."""
    del images
    drops = tuple(range(config.decay_every, steps(config), config.decay_every))
    return Schedule(steps(config), config.rate, drops=drops, factor=config.decay)


def build(config: DRDLConfig, data: Mapping[str, Any], starts: Sequence[Path] = ()) -> DRDL:
    """The network for data's models or makes, with the seed's initial weights."""
    return base.build(lambda: DRDL(config, data["classes"]), config, starts)


def protocols(config: DRDLConfig) -> tuple[str, ...]:
    """The protocols of a configuration's tests: of sections 5.3 and 5.2, or of 5.1."""
    if config.task == "verification":
        return ("verification",)
    return ("vehicleid", "drdl_retrieval_literal" if config.literal else "drdl_retrieval")


def tests(config: DRDLConfig, dataset: Dataset) -> tuple[Test, ...]:
    """``large``, ``large retrieval``, … ``small retrieval``; or CompCars' ``easy``, ``medium`` and ``hard`` pairs."""
    if config.task == "reid":
        return evaluate_run.tests_by_size(dataset, dict(zip(("", "retrieval"), protocols(config), strict=True)))
    if config.dataset == "compcars":
        return dataset.tests
    return verification_tests(dataset.manifest, config.pairs, levels=config.levels)


def curve(config: DRDLConfig) -> dict[str, list[float]]:
    """The loss of distances on sets that move apart, active to inactive, which a probe's eight images may not reach."""
    if config.network == "upper":
        return {}
    sets = torch.randn(4, 2, 3, 5, generator=torch.Generator().manual_seed(0))
    sets[:, 1] += torch.linspace(0, 3, 4)[:, None, None]
    sets = unit(sets.flatten(0, 2)).requires_grad_()
    value = relative(sets, config.but(sets=4, set_size=3))
    (slope,) = torch.autograd.grad(value, sets)
    return {"distances": [value.item(), *slope.norm(dim=1).tolist()]}


METHOD = Method(
    paper="drdl",
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
    toy_labels=tuple(zip((0, 0, 1, 1, 2, 2, 3, 3), (0, 0, 0, 0, 1, 1, -1, -1), (0, 0, 0, 0, 1, 1, 1, 1), strict=True)),
    starts_from=starts_from,
    identity=DRDLConfig.identity,
    extra=curve,
    data=data,
)
EXPERIMENT = base.experiment(METHOD)
