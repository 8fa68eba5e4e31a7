"""C2F-Rank: Learning Coarse-to-Fine Structured Feature Embedding for Vehicle Re-Identification (Guo et al., AAAI 2018).

A network that can tell vehicle *models* apart learns to tell vehicles apart. Its loss has four terms: classification
of models, a coarse ranking (vehicles of one model nearer than other models), a fine ranking (images of one vehicle
nearer than other vehicles of its model) and the pull of images of one vehicle. Every variant starts from the same
initial model, which knows models only.

Read top to bottom: configuration, network, objective, experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from reidlib import augment as augmentation
from reidlib import losses, sampler
from reidlib import models as backbones
from reidlib.data.images import ImageStore
from reidlib.data.manifest import Dataset, Test, codes
from reidlib.train import Schedule
from reidpapers.run import base, datasets, evaluate_run
from reidpapers.run.base import Batch, Method, batches
from reidpapers.run.config import Config, ConfigError, ListOrJson

TERMS = ("classification", "coarse", "fine", "pair")  # C, R_c, R_f and P of eq. 1
Term = Literal["classification", "coarse", "fine", "pair"]
# Protocols by what a test's name has after its size. On VehicleID MAP is that of DRDL's retrieval, on Vehicle-1M that
# of one probe a vehicle; the embedded vehicles are scored like VehicleID.
KINDS: Mapping[str, Mapping[str, str]] = {
    "rendered": {"": "vehicleid", "retrieval": "drdl_retrieval"},
    "vehicleid": {"": "vehicleid", "retrieval": "drdl_retrieval"},
    "vehicle1m": {"": "vehicle1m_cmc", "retrieval": "vehicle1m_map"},
}


# --- configuration ---------------------------------------------------------------------------------------------------


class C2FConfig(Config):
    """One run of C2F-Rank. Defaults are the paper's method ("Parameter Setting"); a profile sets the scale."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "iterations1": 12, "iterations2": 12, "batch": 16, "models": 3,
                  "vehicles": 3, "images": 2, "device": "cpu"},
        "quick": {"preset": "small", "image_size": 64, "iterations1": 400, "iterations2": 200, "batch": 75,
                  "device": "cpu"},
        "paper": {"preset": "veri", "image_size": 224, "backbone": "googlenet", "pretrained": True,
                  "iterations1": 20_000, "iterations2": 40_000},
    }  # fmt: skip
    UNKEYED: ClassVar[frozenset[str]] = Config.UNKEYED | {"pretrain_root"}

    learning: Literal["initial", "ranking"] = Field(
        "ranking", description="the model that every variant starts from, which classifies models; or the loss of eq. 1"
    )
    terms: Annotated[tuple[Term, ...], ListOrJson] = Field(
        TERMS, min_length=1, description="terms of the loss: all four are C2F-Rank, fine alone is FGR"
    )
    alpha: float = Field(100.0, ge=0, le=1e6, description="weight of the coarse ranking")
    beta: float = Field(1000.0, ge=0, le=1e6, description="weight of the fine ranking")
    gamma: float = Field(10.0, ge=0, le=1e6, description="weight of the pair term")
    margin_coarse: float = Field(0.2, ge=0, le=4, description="M_c, in squared distances of unit-length features")
    margin_fine: float = Field(0.2, ge=0, le=4, description="M_f, in squared distances of unit-length features")
    k1: int = Field(10, ge=1, le=10**4, description="nearest images of other models that the coarse ranking takes")
    k2: int = Field(3, ge=1, le=10**4, description="nearest images of other vehicles of the model, for the fine one")
    normalisation: Literal["all", "active"] = Field(
        "all", description="what Z_c and Z_f count: all tuples of the sums, or those whose hinge is above 0"
    )
    models: int = Field(10, ge=2, le=1000, description="models a batch")
    vehicles: int = Field(3, ge=2, le=1000, description="vehicles of each of these models")
    images: int = Field(5, ge=2, le=1000, description="images of each of these vehicles")
    init: Literal["initial", "scratch"] = Field("initial", description="what the ranking starts from")
    pretrain: Literal["other", "own"] = Field(
        "other", description="the initial model learns models on other vehicles (embedded: those of another seed; else "
        "CompCars in pretrain_root, or for want of it as own), or on the training set itself"
    )  # fmt: skip
    pretrain_seed: int = Field(1, ge=1, lt=2**30, description="other embedded vehicles: added to data_seed")
    pretrain_root: str | None = Field(None, description="folder of CompCars, for the initial model on official data")
    batch: int = Field(150, ge=2, le=4096, description="images a batch of the initial model")
    iterations1: int = Field(400, ge=1, le=10**7, description="steps of the initial model")
    iterations2: int = Field(200, ge=1, le=10**7, description="steps with the loss of eq. 1")
    rate1: float = Field(0.05, gt=0, le=10, description="highest learning rate where models are classified and no more")
    rate2: float = Field(1e-4, gt=0, le=10, description="highest learning rate with the other terms")
    schedule: Literal["cosine", "steps"] = Field(
        "cosine", description="of the learning rate: warm-up and cosine, or x 0.1 at 1/2 and 3/4"
    )
    optimizer: Literal["sgd", "adam", "adamw"] = Field("sgd", description="sgd has momentum 0.9")
    weight_decay: float = Field(2e-4, ge=0, le=1, description="of the optimizer")

    @model_validator(mode="after")
    def _fits_together(self) -> C2FConfig:
        """Refuse what no run could mean."""
        if self.dataset not in KINDS:
            raise ValueError(
                f"dataset = {self.dataset!r} is refused: the loss needs vehicles and their models; "
                f"allowed are {', '.join(KINDS)}"
            )
        if len(set(self.terms)) != len(self.terms):
            raise ValueError(f"terms = {list(self.terms)} is refused: allowed are distinct names of {TERMS}")
        if self.data_seed + self.pretrain_seed >= 2**31:
            raise ValueError(f"data_seed + pretrain_seed is refused: allowed is a sum below {2**31}")
        if self.learning == "ranking":
            self._check_nearest("k1", "coarse", (self.models - 1) * self.vehicles * self.images, "other models")
            self._check_nearest("k2", "fine", (self.vehicles - 1) * self.images, "other vehicles of one model")
        return self

    def _check_nearest(self, name: str, term: str, there: int, what: str) -> None:
        if term in self.terms and getattr(self, name) > there:
            raise ValueError(
                f"{name} = {getattr(self, name)} is refused: a batch of {self.models} models × {self.vehicles} "
                f"vehicles × {self.images} images holds {there} of {what}; allowed is a whole number from 1 to {there}"
            )

    def canonical(self) -> C2FConfig:
        """Fields that a variant does not use go to their defaults, so that equal runs have one record."""
        unused = {"test_distance"}  # of unit-length features: both rank alike
        pretrain = self.pretrain if self.other_data() else "own"
        if self.learning == "ranking" and self.init == "scratch":
            unused |= {"batch", "iterations1", "pretrain_seed"}
            pretrain = "other"
        elif self.dataset != "rendered" or pretrain == "own":
            unused |= {"pretrain_seed"}
        if self.learning == "initial":
            unused |= {"init", "terms", "alpha", "beta", "gamma", "margin_coarse", "margin_fine", "k1", "k2",
                       "normalisation", "models", "vehicles", "images", "iterations2", "rate2"}  # fmt: skip
        if self.learning == "ranking":
            of_term = {"coarse": {"alpha", "margin_coarse", "k1"}, "fine": {"beta", "margin_fine", "k2"},
                       "pair": {"gamma"}}  # fmt: skip
            unused |= {name for term, names in of_term.items() if term not in self.terms for name in names}
            if not {"coarse", "fine"} & set(self.terms):
                unused |= {"normalisation"}
            if self.terms == ("classification",):
                unused |= {"rate2"}
            elif self.init == "scratch":
                unused |= {"rate1"}
        # Terms count in the paper's order, whatever order they were given in.
        terms = TERMS if "terms" in unused else tuple(term for term in TERMS if term in self.terms)
        return super().canonical().without(unused).model_copy(update={"terms": terms, "pretrain": pretrain})

    def other_data(self) -> bool:
        """Whether there are other vehicles for the initial model to learn from."""
        return self.dataset == "rendered" or self.pretrain_root is not None


# --- network ---------------------------------------------------------------------------------------------------------


class C2F(nn.Module):
    """Trunk and, where models are classified, a linear classifier on its features before normalisation.

    Args:
        config: which trunk, and whether there is a classifier.
        models: number of models in the data that it learns from.
    """

    def __init__(self, config: C2FConfig, models: int) -> None:
        super().__init__()
        self.trunk = backbones.build(
            config.backbone, pretrained=config.pretrained, weights=config.weights, image_size=config.image_size
        )
        if config.learning == "initial" or "classification" in config.terms:
            self.model = nn.Linear(self.trunk.dim, models)

    def forward(self, images: Tensor) -> Tensor:
        """Features f(x) of unit length: ``[N, 3, S, S]`` → ``[N, D]``; matching uses these too."""
        return F.normalize(self.trunk(images).float())


# --- objective -------------------------------------------------------------------------------------------------------


def classification(network: C2F, batch: Batch) -> dict[str, Tensor]:
    """The initial model: softmax cross-entropy on vehicle models (eq. 2)."""
    return {"classification": F.cross_entropy(network.model(network.trunk(batch.images)), batch.labels[:, 1])}


def ranking(network: C2F, batch: Batch, config: C2FConfig) -> dict[str, Tensor]:
    """C, R_c, R_f and P (eq. 2–5), unweighted; all but C are always there, to be logged.

    C sees the feature before normalisation, so that its softmax may be as sure as it likes; the others see f(x) on the
    unit sphere, which gives their margins a scale.
    """
    raw = network.trunk(batch.images)  # [N, D]
    vehicles, models = batch.labels.T
    terms = {}
    if "classification" in config.terms:
        terms["classification"] = F.cross_entropy(network.model(raw), models)
    return terms | losses.coarse_to_fine(
        F.normalize(raw.float()), vehicles, models, coarse_margin=config.margin_coarse, fine_margin=config.margin_fine,
        coarse_nearest=config.k1, fine_nearest=config.k2, normalisation=config.normalisation,
    )  # fmt: skip


def term_weights(config: C2FConfig) -> dict[str, float]:
    """Factor of each term in the total (eq. 1); 0 for those that are logged and not learnt."""
    if config.learning == "initial":
        return {"classification": 1.0}
    weights = {"coarse": config.alpha, "fine": config.beta, "pair": config.gamma}
    weights = {term: weight if term in config.terms else 0.0 for term, weight in weights.items()}
    return {"classification": 1.0, **weights} if "classification" in config.terms else weights


# --- experiment ------------------------------------------------------------------------------------------------------


def label_codes(rows: pd.DataFrame) -> Tensor:
    """Codes ``[N, 2]`` of vehicle and model."""
    return torch.as_tensor(np.stack([codes(rows["vehicle_id"]), codes(rows["model"])], 1))


def usable(config: Config, rows: pd.DataFrame) -> pd.DataFrame:
    """The images that have a model: the paper drops the others (half of VehicleID)."""
    del config
    return rows[rows["model"].notna()].reset_index(drop=True)


def starts_from(config: C2FConfig) -> tuple[C2FConfig, ...]:
    """The initial model of the same seed, which every variant shares."""
    if config.learning == "initial" or config.init == "scratch":
        return ()
    return (config.but(learning="initial").canonical(),)


def learns_from(config: C2FConfig) -> Config:
    """The data that a run learns from: the initial model's are other vehicles, if there are any."""
    config = config.canonical()
    if config.learning == "ranking" or config.pretrain == "own":
        return config
    if config.dataset == "rendered":
        other = {"preset": config.preset, "data_seed": config.data_seed + config.pretrain_seed}
    else:
        other = {"dataset": "compcars", "data_root": config.pretrain_root}
    return Config(**other, image_size=config.image_size)


def steps(config: C2FConfig) -> int:
    """Training steps of a run."""
    return config.iterations1 if config.learning == "initial" else config.iterations2


def schedule(config: C2FConfig, images: int) -> Schedule:
    """Learning rate of a run; the paper names none. Classification alone, also as a control, has a rate of its own."""
    del images
    alone = config.learning == "initial" or config.terms == ("classification",)
    count, rate = steps(config), config.rate1 if alone else config.rate2
    if config.schedule == "cosine":
        return Schedule(count, rate, warmup=max(1, count // 20), cosine=True)
    return Schedule(count, rate, drops=(count // 2, count * 3 // 4))


def draw(config: C2FConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
    """Which images meet in a batch: every image once an epoch at first, then some vehicles of some models."""
    if config.learning == "initial":
        return sampler.ShuffledSampler(len(labels), min(config.batch, len(labels)), seed=config.seed)
    vehicles, models = labels.T.numpy()
    return sampler.ModelSampler(vehicles, models, count=(config.models, config.vehicles, config.images))


def batch_size(config: C2FConfig) -> int:
    """Images a step."""
    return config.batch if config.learning == "initial" else config.models * config.vehicles * config.images


def sample_batch(config: C2FConfig, store: ImageStore, rows: pd.DataFrame) -> tuple[list[np.ndarray], pd.DataFrame]:
    """The first batch of the ranking to look at: its images as augmented, and their rows, by model and vehicle."""
    config = config.canonical().but(learning="ranking")
    rows = usable(config, rows)
    labels = label_codes(rows)
    generator = sampler.generator(config.seed, stream(config), 0)
    chosen = rows.iloc[draw(config, labels)(0, generator).numpy()]
    batch = batches(METHOD, config, store.resident("cpu"), store.places(rows), labels)(0)
    return list(augmentation.pixels(batch.images).numpy()), chosen.reset_index(drop=True)


def stage(config: C2FConfig) -> str:
    """What kind of run it is."""
    return config.learning


def stream(config: C2FConfig) -> bool:
    """Which of two streams of batches a run draws: the initial model's, or the one that all variants share."""
    return config.learning == "initial"


def tiny(config: C2FConfig) -> C2FConfig:
    """The same with eight images a step, for probes."""
    return config.but(batch=8, models=2, vehicles=2, images=2, k1=min(config.k1, 4), k2=min(config.k2, 2))


def optimizer(config: C2FConfig) -> dict[str, Any]:
    """What trains it."""
    return {"optimizer": config.optimizer, "weight_decay": config.weight_decay}


def objective(config: C2FConfig) -> Callable[[C2F, Batch], dict[str, Tensor]]:
    """The loss terms of a run."""
    if config.learning == "initial":
        return classification
    return lambda network, batch: ranking(network, batch, config)


def build(config: C2FConfig, data: Mapping[str, Any], starts: Sequence[Path] = ()) -> C2F:
    """The network for data's models, with the seed's initial weights or the trunk of the run it starts from.

    The classifier starts anew: the initial model's models are others (CompCars has none of VehicleID's classes).
    """
    return base.build(lambda: C2F(config, data["models"]), config, starts, parts=("trunk",))


def protocols(config: C2FConfig) -> tuple[str, ...]:
    """The protocols of a configuration's tests."""
    return tuple(KINDS[config.dataset].values())


def tests(config: C2FConfig, dataset: Dataset) -> tuple[Test, ...]:
    """Small, medium and large test sets (Tables 2–5), the large one's match rates first."""
    return evaluate_run.tests_by_size(dataset, KINDS[config.dataset])


def mining(config: C2FConfig) -> dict[str, list[float]]:
    """The terms of a batch large enough for K1 and K2 to choose from, which a probe's eight images are not."""
    if config.learning == "initial":
        return {}
    place = torch.arange(60)
    features = torch.randn(60, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = losses.coarse_to_fine(
        F.normalize(features), place // 3, place // 15, coarse_margin=config.margin_coarse,
        fine_margin=config.margin_fine, coarse_nearest=config.k1, fine_nearest=config.k2,
        normalisation=config.normalisation,
    )  # fmt: skip
    return {"mining": [float(value) for value in found.values()]}


def data(config: Config) -> dict[str, Any]:
    """As :func:`reidpapers.run.evaluate_run.data`; data that a run cannot learn from are refused before anything is computed.

    Raises:
        ConfigError: no two models are known, or none of them has the vehicles and images that a batch needs.
    """
    # The initial model's data alone are no run's configuration.
    for run in (*starts_from(config), config) if isinstance(config, C2FConfig) else ():
        source = learns_from(run)
        _check_data(source.dataset, source.data_root, source.preset, source.data_seed, run.learning)
    return evaluate_run.data(config)


@cache
def _check_data(name: str, root: str | None, preset: str, seed: int, learning: str) -> None:
    """Whether a learning's batches can be drawn from a dataset; looked at once a process."""
    manifest = datasets.load(Config(dataset=name, data_root=root, preset=preset, data_seed=seed).source).manifest
    rows = usable(C2FConfig(), manifest.rows("train"))
    try:
        if rows["model"].nunique() < 2:
            raise ValueError(f"{rows['model'].nunique()} models among its training images; allowed are two or more")
        if learning == "ranking":
            sampler.ModelSampler(*label_codes(rows).T.numpy())
    except ValueError as error:
        raise ConfigError(f"{manifest.name} is refused: {error}") from error


METHOD = Method(
    paper="c2f_rank",
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
    toy_labels=tuple((i // 2, i // 4) for i in range(base.TOY_IMAGES)),
    starts_from=starts_from,
    learns_from=learns_from,
    usable=usable,
    stream=stream,
    extra=mining,
    data=data,
)
EXPERIMENT = base.experiment(METHOD)
