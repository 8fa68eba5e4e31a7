"""MLSL: Multi-Label-Based Similarity Learning for Vehicle Re-Identification (Alfasly et al., IEEE Access 7, 2019).

Stage 1 teaches a trunk to tell training vehicles apart. Stage 2 goes on with pairs of images: three *sigmoidal units*
look at |x_a − x_b| and say whether a pair differs in identity, colour and type, and a contrastive loss on what they say
joins the classification. Matching uses the trunk's features x alone.

Read top to bottom: configuration, network, objective, experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from reidlib.train import Schedule
from reidpapers.run import base, datasets
from reidpapers.run.base import Batch, Method, batches
from reidpapers.run.config import Config, ListOrJson

ATTRIBUTES = ("id", "color", "type")
Attribute = Literal["id", "color", "type"]


# --- configuration ---------------------------------------------------------------------------------------------------


class MLSLConfig(Config):
    """One run of MLSL. Defaults are the paper's method (sections III–V); a profile sets the scale."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "iterations1": 12, "iterations2": 12, "batch": 16, "pairs": 8,
                  "digits_train": 300, "digits_test": 100, "device": "cpu"},
        "quick": {"preset": "small", "image_size": 64, "iterations1": 700, "iterations2": 500, "device": "cpu",
                  "schedule1": "cosine"},
        "paper": {"preset": "veri", "image_size": 224, "backbone": "mobilenet_v1", "pretrained": True,
                  "iterations1": 78_000, "iterations2": 48_000},
    }  # fmt: skip
    OF_DATASET: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **Config.OF_DATASET, "digits": (*Config.OF_DATASET["digits"], "digits_reduction", "digits_protocol"),
    }  # fmt: skip
    # The experiment on handwriting (Table 4, Fig. 4) has a network and a length of its own.
    DIGITS: ClassVar[Mapping[str, Any]] = {
        "dataset": "digits", "backbone": "digits", "image_size": 28, "labels": ("id",),
        "pretrained": False, "weights": None,
    }  # fmt: skip
    DIGITS_SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {}, "quick": {"iterations1": 2500, "iterations2": 1500},
        "paper": {"iterations1": 20_000, "iterations2": 20_000},
    }  # fmt: skip

    labels: Annotated[tuple[Attribute, ...], ListOrJson] = Field(
        ATTRIBUTES, min_length=1, description="attributes of similarity learning: id alone is SLSL, all three MLSL"
    )
    learning: Literal["feature", "similarity", "joint", "continued"] = Field(
        "joint", description="stage 1 alone, similarity, both; or the control: classification continued as long"
    )
    mapping: Literal["sigmoid", "none"] = Field("sigmoid", description="sigmoidal units, or the plain distance (No-ML)")
    distance: Literal["absolute", "euclidean", "multiplication"] = Field("absolute", description="of a pair (Table 6)")
    scheme: Literal["vector", "scalar"] = Field("vector", description="what the units see: all elements or one number")
    dropout: float = Field(0.5, ge=0, lt=1, description="rate before each sigmoidal unit")
    scalar_dropout: bool = Field(True, description="scalar scheme: drop elements before the distance is reduced")
    margin: float = Field(1.0, gt=0, le=1, description="of the contrastive loss on the units' outputs")
    plain_margin: float = Field(50.0, gt=0, le=1e4, description="of the contrastive loss without units (No-ML)")
    alpha: float = Field(0.1, ge=0, le=100, description="weight of the classification loss of each image")
    weight_id: float = Field(1.0, ge=0, le=100, description="weight of the identity term")
    weight_color: float = Field(1.0, ge=0, le=100, description="weight of the colour term")
    weight_type: float = Field(1.0, ge=0, le=100, description="weight of the type term")
    identity_dropout: float = Field(0.001, ge=0, lt=1, description="rate before the identity classifier")
    init: Literal["stage1", "scratch"] = Field("stage1", description="what stage 2 starts from")
    batch: int = Field(48, ge=2, le=4096, description="images a batch in stage 1")
    pairs: int = Field(24, ge=2, le=4096, multiple_of=2, description="pairs a batch in stage 2, half of them positive")
    iterations1: int = Field(700, ge=1, le=10**7, description="steps of stage 1")
    iterations2: int = Field(500, ge=1, le=10**7, description="steps of stage 2")
    rate1: float = Field(1e-3, gt=0, le=1, description="initial learning rate of stage 1")
    rate2: float = Field(1e-3, gt=0, le=1, description="initial learning rate of stage 2")
    schedule1: Literal["epochs", "cosine"] = Field(
        "epochs", description="x 0.1 every 100 epochs, or warm-up and cosine"
    )
    schedule2: Literal["steps", "epochs", "cosine"] = Field(
        "steps", description="x 0.1 at 1/2 and 3/4 (ablations), every 50 epochs (Tables 8-10), or warm-up and cosine"
    )
    optimizer: Literal["adam", "adamw"] = Field("adam", description="with betas 0.9 and 0.999")
    digits_reduction: Literal["stride", "pool"] = Field("stride", description="how the digits' network shrinks its map")
    digits_protocol: Literal["leave_one_out", "test_to_train"] = Field(
        "leave_one_out", description="a test digit queries the rest of the test set, or the training set"
    )

    @classmethod
    def scale(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The profile's values; digits have a network and a length of their own."""
        profile = given.get("profile", "quick")
        return {**super().scale(given), **(cls.digits(profile) if given.get("dataset") == "digits" else {})}

    @classmethod
    def digits(cls, profile: str) -> dict[str, Any]:
        """What a profile changes for the experiment on digits."""
        return {**cls.DIGITS, **cls.DIGITS_SCALES.get(profile, {})}

    @model_validator(mode="after")
    def _fits_together(self) -> MLSLConfig:
        """Refuse what no run could mean."""
        if self.dataset == "compcars":
            raise ValueError("dataset = 'compcars' is refused: it knows car models and no vehicles")
        if self.dataset == "digits" and set(self.labels) != {"id"}:
            raise ValueError(f"labels = {list(self.labels)} is refused: digits have no colour or type; allowed is id")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels = {list(self.labels)} is refused: allowed are distinct names of {ATTRIBUTES}")
        return self

    def canonical(self) -> MLSLConfig:
        """Fields that a variant does not use go to their defaults, so that equal runs have one record."""
        unused: set[str] = set()
        if self.learning in ("feature", "continued"):
            unused |= {"labels", "mapping", "distance", "scheme", "dropout", "margin"}
        if self.learning == "feature":
            unused |= {"init", "pairs", "iterations2", "rate2", "schedule2"}
        if self.learning in ("feature", "similarity"):
            unused |= {"alpha"}
        if self.mapping == "none":
            unused |= {"labels", "scheme", "dropout", "margin"}
        if self.mapping == "sigmoid" or "mapping" in unused:
            unused |= {"plain_margin"}
        if self.scheme == "vector" or "scheme" in unused:
            unused |= {"scalar_dropout"}
        used = () if "margin" in unused and "plain_margin" in unused else self.attributes()
        unused |= {f"weight_{name}" for name in ATTRIBUTES if name not in used}
        # Labels count in the paper's order, whatever order they were given in.
        labels = ("id",) if "labels" in unused else tuple(name for name in ATTRIBUTES if name in self.labels)
        return super().canonical().without(unused).model_copy(update={"labels": labels})

    def attributes(self) -> tuple[str, ...]:
        """What the verification loss is about: the labels in the paper's order; No-ML has one distance, for id."""
        return ("id",) if self.mapping == "none" else tuple(name for name in ATTRIBUTES if name in self.labels)


# --- network ---------------------------------------------------------------------------------------------------------


class MLSL(nn.Module):
    """Trunk, identity classifier and sigmoidal units (Fig. 2).

    Args:
        config: which trunk and units.
        identities: C, number of training vehicles.
    """

    def __init__(self, config: MLSLConfig, identities: int) -> None:
        super().__init__()
        self.trunk = models.build(
            config.backbone,
            pretrained=config.pretrained,
            weights=config.weights,
            reduction=config.digits_reduction,
            image_size=config.image_size,
        )
        self.identity = nn.Sequential(nn.Dropout(config.identity_dropout), nn.Linear(self.trunk.dim, identities))
        if config.learning in ("similarity", "joint") and config.mapping == "sigmoid":
            self.units = SigmoidalUnits(self.trunk.dim, config)

    def forward(self, images: Tensor) -> Tensor:
        """Matching features x: ``[N, 3, S, S]`` → ``[N, D]``."""
        return self.trunk(images)


class SigmoidalUnits(nn.Module):
    """d_m = σ(w_m · dropout(D(x_a, x_b)) + b_m), one unit an attribute m (eq. 3, 4).

    Args:
        dim: D, width of the features.
        config: attributes, distance, scheme and dropout.
    """

    def __init__(self, dim: int, config: MLSLConfig) -> None:
        super().__init__()
        self.distance, self.scheme = config.distance, config.scheme
        before = config.scheme == "vector" or config.scalar_dropout
        self.dropout = nn.Dropout(config.dropout if before else 0.0)
        width = dim if config.scheme == "vector" else 1
        self.maps = nn.ModuleList(nn.Linear(width, 1) for _ in config.attributes())

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """How much each pair differs in each attribute: ``[P, D]``, ``[P, D]`` → ``[P, M]`` in (0, 1)."""
        vector = losses.pair_distance(first, second, self.distance)  # [P, D]
        outputs = []
        for unit in self.maps:  # each unit drops elements of its own
            seen = self.dropout(vector)
            if self.scheme == "scalar":
                seen = losses.reduce_distance(seen, self.distance)  # [P, 1]
            outputs.append(torch.sigmoid(unit(seen)))
        return torch.cat(outputs, 1)


# --- objective -------------------------------------------------------------------------------------------------------


def classification(network: MLSL, batch: Batch) -> dict[str, Tensor]:
    """Stage 1: softmax cross-entropy on vehicle identity (eq. 1, 2)."""
    return {"identity": F.cross_entropy(network.identity(network(batch.images)), batch.labels[:, 0])}


def pairwise(network: MLSL, batch: Batch, config: MLSLConfig) -> dict[str, Tensor]:
    """Stage 2: L = α (L_cls(a) + L_cls(b)) + Σ_m λ_m L_m (eq. 5–7), term by term and unweighted, means over pairs."""
    features = network(batch.images).float()  # [2P, D]
    terms: dict[str, Tensor] = {}
    if config.learning != "similarity":
        each = F.cross_entropy(network.identity(features), batch.labels[:, 0], reduction="none")  # [2P]
        terms["identity"] = each.unflatten(0, (2, -1)).mean(1).sum()
    if config.learning != "continued":
        first, second = features.chunk(2)  # [P, D] each
        columns = [ATTRIBUTES.index(name) for name in config.attributes()]
        differs, known = losses.differs(*batch.labels[:, columns].chunk(2))  # [P, M]
        if config.mapping == "sigmoid":
            output, margin = network.units(first, second), config.margin  # [P, M]
        else:
            vector = losses.pair_distance(first, second, config.distance)
            output, margin = losses.reduce_distance(vector, config.distance), config.plain_margin  # [P, 1]
        values = losses.masked_mean(losses.contrastive(output, differs, margin), known)  # [M]
        terms |= dict(zip(config.attributes(), values, strict=True))
    return terms


def term_weights(config: MLSLConfig) -> dict[str, float]:
    """Factor of each term in the total (eq. 7)."""
    if config.learning == "feature":
        return {"identity": 1.0}
    weights = {} if config.learning == "similarity" else {"identity": config.alpha}
    if config.learning != "continued":
        weights |= {name: getattr(config, f"weight_{name}") for name in config.attributes()}
    return weights


# --- experiment ------------------------------------------------------------------------------------------------------


def label_codes(rows: pd.DataFrame) -> Tensor:
    """Codes ``[N, 3]`` of identity, colour and type; where no type is known at all, the model stands for it."""
    kind = rows["type"] if rows["type"].notna().any() else rows["model"]
    return torch.as_tensor(np.stack([codes(rows["vehicle_id"]), codes(rows["color"]), codes(kind)], 1))


def starts_from(config: MLSLConfig) -> tuple[MLSLConfig, ...]:
    """Stage 1 of the same seed, which every variant of stage 2 shares."""
    if config.learning == "feature" or config.init == "scratch":
        return ()
    return (config.but(learning="feature").canonical(),)


def steps(config: MLSLConfig) -> int:
    """Training steps of a run; from scratch, stage 2 takes the place of both stages."""
    if config.learning == "feature":
        return config.iterations1
    return config.iterations2 + (config.iterations1 if config.init == "scratch" else 0)


def schedule(config: MLSLConfig, images: int) -> Schedule:
    """Learning rate of a run on ``images`` training images (sections IV-B and V-A)."""
    first, count = config.learning == "feature", steps(config)
    kind, rate = (config.schedule1, config.rate1) if first else (config.schedule2, config.rate2)
    if kind == "cosine":
        return Schedule(count, rate, warmup=max(1, count // 20), cosine=True)
    if kind == "steps":
        return Schedule(count, rate, drops=(count // 2, count * 3 // 4))
    epoch = images / (config.batch if first else 2 * config.pairs)
    every = max(1, round((100 if first else 50) * epoch))
    return Schedule(count, rate, drops=tuple(range(every, count, every)))


def draw(config: MLSLConfig, labels: Tensor) -> Callable[[int, torch.Generator], Tensor]:
    """Which images meet in a batch: every image once an epoch in stage 1, pairs in stage 2 (section IV-C)."""
    if config.learning == "feature":
        return sampler.ShuffledSampler(len(labels), min(config.batch, len(labels)), seed=config.seed)
    return sampler.PairSampler(labels[:, 0].numpy(), config.pairs)


def batch_size(config: MLSLConfig) -> int:
    """Images a step."""
    return config.batch if config.learning == "feature" else 2 * config.pairs


def sample_pairs(
    config: MLSLConfig, store: ImageStore, rows: pd.DataFrame, count: int
) -> list[tuple[np.ndarray, np.ndarray, dict[str, float | None]]]:
    """A small batch of stage 2 to look at: both images as augmented, and Y of each attribute (None: unknown)."""
    config = config.canonical().but(learning="joint", pairs=count)
    batch = batches(METHOD, config, store.resident("cpu"), store.places(rows), label_codes(rows))(0)
    first, second = (half.numpy() for half in augmentation.pixels(batch.images).chunk(2))
    differs, known = losses.differs(*batch.labels.chunk(2))
    shown = [
        {name: float(y) if sure else None for name, y, sure in zip(ATTRIBUTES, *pair, strict=True)}
        for pair in zip(differs, known, strict=True)
    ]
    return list(zip(first, second, shown, strict=True))


def stage(config: MLSLConfig) -> str:
    """What kind of run it is."""
    return config.learning


def stream(config: MLSLConfig) -> bool:
    """Which of two streams of batches a run draws: stage 1's, or the one that all variants of stage 2 share."""
    return config.learning == "feature"


def tiny(config: MLSLConfig) -> MLSLConfig:
    """The same with eight images a step, for probes."""
    return config.but(batch=8, pairs=4)


def optimizer(config: MLSLConfig) -> dict[str, str]:
    """What trains it."""
    return {"optimizer": config.optimizer}


def objective(config: MLSLConfig) -> Callable[[MLSL, Batch], dict[str, Tensor]]:
    """The loss terms of a run's stage."""
    if config.learning == "feature":
        return classification
    return lambda network, batch: pairwise(network, batch, config)


def build(config: MLSLConfig, data: Mapping[str, Any], starts: Sequence[Path] = ()) -> MLSL:
    """The network for data's training vehicles, with the seed's initial weights or those of the run it starts from."""
    return base.build(lambda: MLSL(config, data["identities"]), config, starts)


def protocols(config: MLSLConfig) -> tuple[str, ...]:
    """The protocols of a configuration's tests."""
    return (config.digits_protocol,) if config.dataset == "digits" else (datasets.PROTOCOLS[config.dataset],)


def tests(config: MLSLConfig, dataset: Dataset) -> tuple[Test, ...]:
    """The dataset's own tests; for digits, whose gallery the paper leaves open, the one that was chosen."""
    return (Test("", config.digits_protocol),) if config.dataset == "digits" else dataset.tests


def branches(config: MLSLConfig) -> dict[str, list[float]]:
    """Both branches of the contrastive loss, which a probe's eight images may not reach."""
    if config.learning not in ("similarity", "joint"):
        return {}
    margin = config.margin if config.mapping == "sigmoid" else config.plain_margin
    output, differs = margin * torch.linspace(0, 1.5, 7)[:, None], torch.tensor([[0.0, 1.0]])
    return {"contrastive": losses.contrastive(output, differs, margin).flatten().tolist()}


METHOD = Method(
    paper="mlsl",
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
    toy_labels=tuple((i // 2, i // 4, i % 3 - 1) for i in range(base.TOY_IMAGES)),
    starts_from=starts_from,
    stream=stream,
    extra=branches,
)
EXPERIMENT = base.experiment(METHOD)
