"""AGNet-ASL: Attribute-guided Feature Learning Network for Vehicle Re-identification (Wang et al., 2020).

One trunk, two branches: the attribute branch learns colour and type from a masked map, and its mask guides the category
branch, which learns identity. A verification network looks at the squared difference of two images' category embeddings
and says whether they show one vehicle; its loss weighs pairs by what they share (ALS). Matching uses both embeddings.

Read top to bottom: configuration, network, objective, experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from reidlib import augment as augmentation
from reidlib import backbones, datasets, losses, method, outcome, sampler
from reidlib import protocols as rules
from reidlib.config import Config, ConfigError
from reidlib.images import ImageStore
from reidlib.manifest import Dataset, Manifest, Test, codes
from reidlib.method import Batch, Method, batches
from reidlib.outcome import Trained
from reidlib.papers import agnet_measures
from reidlib.papers.agnet_measures import kinds
from reidlib.train import Schedule

# What trains a trunk from scratch in some hundred steps; the paper's own training starts from ImageNet weights.
SCRATCH = {"optimizer": "adamw", "schedule": "cosine", "rate": 2e-3}
SIZES = ("small", "medium", "large", "largest")  # VehicleID's 800, 1600, 2400 and 3200 vehicles


# --- configuration ---------------------------------------------------------------------------------------------------


class AGNetConfig(Config):
    """One run of AGNet. Defaults are the paper's method, AGNet-ASL-All; a profile sets the scale."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "width": 32, "iterations": 12, "pairs": 8, "device": "cpu",
                  **SCRATCH},
        "quick": {"preset": "small", "image_size": 64, "width": 256, "iterations": 600, "device": "cpu", **SCRATCH},
        "paper": {"preset": "veri", "image_size": 224, "backbone": "resnet50", "pretrained": True,
                  "iterations": 88_500},
    }  # fmt: skip

    branches: Literal["only_id", "masked_id", "full"] = Field(
        "full", description="the identity branch alone; with the mask that no attribute teaches; or both branches"
    )
    mask: Literal["literal", "spatial", "scaled", "none"] = Field(
        "literal", description="softmax over channels (eq. 1); over positions, without GAP; over channels, times their "
        "number; or no mask"
    )  # fmt: skip
    verification: Literal["asl", "ce"] = Field("asl", description="loss of pairs: eq. 6, or cross-entropy")
    only_id_verification: bool = Field(False, description="whether the identity branch alone learns from pairs too")
    theta: float = Field(0.3, ge=0, le=1, description="θ of eq. 7")
    beta: float = Field(0.5, ge=0, le=100, description="β of eq. 6; 0 is cross-entropy")
    alpha_smooth: float = Field(0.1, ge=0, le=100, description="α of eq. 6")
    alike: Literal["both", "either"] = Field(
        "both", description="attributes are equal: colour and type, or one of them"
    )
    weight_category: float = Field(0.5, ge=0, le=100, description="λ1 of eq. 8, of identity")
    weight_attribute: float = Field(0.5, ge=0, le=100, description="λ2 of eq. 8, of colour and of type")
    weight_verification: float = Field(1.0, ge=0, le=100, description="λ3 of eq. 8")
    width: int = Field(4096, ge=2, le=65536, description="numbers in each branch's embedding")
    embedding: Literal["normalised", "linear"] = Field(
        "normalised", description="from a map's mean: linear with batch normalisation, as ResNet's layers have it, or "
        "linear alone"
    )  # fmt: skip
    feature: Literal["all", "id", "attr"] = Field("all", description="matching compares both embeddings, or one")
    alpha_feature: float = Field(0.5, ge=0, le=1, description="α of eq. 5: the category embedding counts 1 − α")
    str_weight: float = Field(
        0.0, ge=0, le=1000, description="ω of the spatio-temporal re-ranking, in mean distances; 0: none"
    )
    unlabelled: Literal["drop", "keep"] = Field(
        "drop", description="training images without colour or type, in data where others have them"
    )
    pairs: int = Field(16, ge=2, le=4096, description="pairs a batch")
    positive: float = Field(0.5, gt=0, lt=1, description="share of the pairs that show one vehicle")
    iterations: int = Field(600, ge=1, le=10**7, description="training steps")
    rate: float = Field(0.1, gt=0, le=10, description="initial learning rate")
    schedule: Literal["steps", "cosine"] = Field(
        "steps", description="of the learning rate: x 0.1 after two thirds, or warm-up and cosine"
    )
    optimizer: Literal["sgd", "adam", "adamw"] = Field("sgd", description="sgd has momentum 0.9")
    weight_decay: float = Field(5e-4, ge=0, le=1, description="of the optimizer")
    held_out: int = Field(
        0, ge=0, le=10**6, description="for tuning: so many training vehicles are kept from training, and they, and no "
        "test vehicles, are what is tested on"
    )  # fmt: skip

    @classmethod
    def scale(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The profile's values; 75 epochs are more steps on VehicleID than on VeRi-776."""
        values = super().scale(given)
        longer = given.get("profile") == "paper" and given.get("dataset") == "vehicleid"
        return {**values, "iterations": 185_000} if longer else values

    @model_validator(mode="after")
    def _fits_together(self) -> AGNetConfig:
        """Refuse what no run could mean."""
        if self.dataset in ("digits", "compcars"):
            raise ValueError(f"dataset = {self.dataset!r} is refused: it has no vehicles that are seen again")
        if not 0 < self.positives() < self.pairs:
            raise ValueError(
                f"positive = {self.positive} is refused: of {self.pairs} pairs both kinds need one or more"
            )
        return self

    def positives(self) -> int:
        """Pairs of one vehicle in a batch."""
        return round(self.positive * self.pairs)

    def verifies(self) -> bool:
        """Whether there is a verification network."""
        return self.branches == "full" or self.only_id_verification

    def masks(self) -> bool:
        """Whether there is a mask."""
        return self.branches != "only_id" and self.mask != "none"

    def needs_attributes(self) -> bool:
        """Whether a run learns from colours and types."""
        return self.branches == "full" or (self.verifies() and self.verification == "asl" and self.beta > 0)

    def trained(self) -> AGNetConfig:
        """The run that is trained for this one: test features and re-ranking change nothing in training."""
        return self.without({"feature", "alpha_feature", "str_weight"}).canonical()

    def whole(self) -> bool:
        """Whether it is AGNet-ASL-All as the paper has it, whatever its scale."""
        scale = {*Config.model_fields, "width", "pairs", "positive", "iterations", "rate", "schedule", "optimizer",
                 "weight_decay", "unlabelled"}  # fmt: skip
        fields = type(self).model_fields
        return all(getattr(self.canonical(), name) == fields[name].default for name in fields.keys() - scale)

    def canonical(self) -> AGNetConfig:
        """Fields that a variant does not use go to their defaults, so that equal runs have one record."""
        unused = set()
        smooth = {"theta", "beta", "alpha_smooth", "alike"}
        verification = "ce" if self.verification == "asl" and self.beta == 0 else self.verification
        if self.branches == "full":
            unused |= {"only_id_verification"}
        else:
            unused |= {"weight_attribute", "feature", "alpha_feature"}
        if self.branches == "only_id":
            unused |= {"mask"}
        if not self.verifies():
            unused |= {"verification", "weight_verification", *smooth}
        elif verification == "ce":
            unused |= smooth
        if self.feature != "all":
            unused |= {"alpha_feature"}
        if self.held_out:
            unused |= {"feature", "alpha_feature", "str_weight"}
        made = super().canonical().without(unused)
        return made if "verification" in unused else made.model_copy(update={"verification": verification})


# --- network ---------------------------------------------------------------------------------------------------------


class AttributeMask(nn.Module):
    """M = softmax(conv1×1(GAP(f_r))) (eq. 1): a weight a channel, ``[N, C, s, s]`` → ``[N, C, 1, 1]``, of sum 1.

    Two readings beside it have weights that are 1 in the mean, so that they do not scale the map by 1/C: ``scaled`` is
    C times the same; ``spatial`` leaves GAP out and softens over each channel's positions, ``[N, C, s, s]``.
    """

    def __init__(self, dim: int, kind: str) -> None:
        super().__init__()
        self.kind, self.weigh = kind, nn.Conv2d(dim, dim, 1)

    def forward(self, maps: Tensor) -> Tensor:
        if self.kind == "spatial":
            logits = self.weigh(maps).flatten(2)  # [N, C, s·s]
            return logits.softmax(2).mul(logits.shape[2]).unflatten(2, maps.shape[2:])
        weights = self.weigh(maps.mean((2, 3), keepdim=True)).softmax(1)
        return weights * maps.shape[1] if self.kind == "scaled" else weights


def embedding(dim: int, config: AGNetConfig) -> nn.Module:
    """A branch's embedding of its map's mean, ``[N, C]`` → ``[N, W]``.

    Batch normalisation undoes the scale 1/C that eq. 1 gives f_m: a linear layer alone cannot learn from it.
    """
    if config.embedding == "linear":
        return nn.Linear(dim, config.width)
    return nn.Sequential(nn.Linear(dim, config.width, bias=False), nn.BatchNorm1d(config.width))


class AGNet(nn.Module):
    """Trunk, mask, the two branches' embeddings with their classifiers, and the verification network (Fig. 2).

    Args:
        config: which of them.
        identities, colors, types: their numbers in the training data.
    """

    def __init__(self, config: AGNetConfig, identities: int, colors: int, types: int) -> None:
        super().__init__()
        self.both, self.feature, self.alpha = config.branches == "full", config.feature, config.alpha_feature
        self.trunk = backbones.build(
            config.backbone, pretrained=config.pretrained, weights=config.weights, image_size=config.image_size
        )
        dim, width = self.trunk.dim, config.width
        self.category, self.identity = embedding(dim, config), nn.Linear(width, identities)
        self.mask = self.guide = None
        if config.masks():
            self.mask, self.guide = AttributeMask(dim, config.mask), nn.Conv2d(dim, dim, 1)
        if self.both:
            self.attribute = embedding(dim, config)
            self.color, self.kind = nn.Linear(width, colors), nn.Linear(width, types)
        if config.verifies():
            self.verification = nn.Linear(width, 2)

    def embeddings(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Category and attribute embedding, ``[N, W]`` each; None for the second where there is no such branch."""
        shared = self.trunk.maps(images)  # f_r, [N, C, s, s]; the category branch starts from it too: f_c = f_r
        category = attended = shared
        if self.mask is not None:
            mask = self.mask(shared)
            attended = shared * mask  # f_m
            category = shared + shared * self.guide(mask)  # f_cs = f_c + f_attr, eq. 3
        attribute = self.attribute(attended.mean((2, 3))) if self.both else None
        return self.category(category.mean((2, 3))), attribute

    def forward(self, images: Tensor) -> Tensor:
        """Matching features (eq. 5): ``[N, 3, S, S]`` → ``[N, 2W]``, or ``[N, W]`` of one embedding alone."""
        category, attribute = self.embeddings(images)
        if attribute is None or self.feature == "id":
            return category
        return attribute if self.feature == "attr" else torch.cat([attribute, (1 - self.alpha) * category], 1)

    def verify(self, first: Tensor, second: Tensor) -> Tensor:
        """Logits of two vehicles and of one from the square layer (f_1 − f_2)²: ``[P, W]`` twice → ``[P, 2]``."""
        return self.verification((first - second).square())


# --- objective -------------------------------------------------------------------------------------------------------


def objective(config: AGNetConfig) -> Callable[[AGNet, Batch], dict[str, Tensor]]:
    """The loss terms of a run."""
    return lambda network, batch: terms(network, batch, config)


def terms(network: AGNet, batch: Batch, config: AGNetConfig) -> dict[str, Tensor]:
    """The terms of eq. 8, unweighted: means over images, and over pairs for the verification.

    Images whose colour or type is unknown count for the other terms only.
    """
    category, attribute = network.embeddings(batch.images)  # [2P, W]
    vehicle, *attributes = batch.labels.T
    found = {"identity": F.cross_entropy(network.identity(category).float(), vehicle)}  # eq. 4
    if config.branches == "full":
        for name, head, label in zip(("color", "type"), (network.color, network.kind), attributes, strict=True):
            each = F.cross_entropy(head(attribute).float(), label, ignore_index=-1, reduction="none")  # eq. 2
            found[name] = losses.masked_mean(each[:, None], (label >= 0)[:, None])[0]
    if config.verifies():
        logits = network.verify(*category.chunk(2)).float()
        found["verification"] = pair_losses(logits, batch.labels, config).mean()
    return found


def pair_losses(logits: Tensor, labels: Tensor, config: AGNetConfig) -> Tensor:
    """The verification loss of each pair, ``[P, 2]`` → ``[P]``, from the labels ``[2P, 3]`` of its images."""
    first, second = labels.chunk(2)
    same = first[:, 0] == second[:, 0]
    if config.verification == "ce":
        return F.cross_entropy(logits, same.long(), reduction="none")
    alike = losses.share_attributes(first[:, 1:], second[:, 1:], every=config.alike == "both")
    return losses.attribute_smoothing(
        logits, same, alike, theta=config.theta, beta=config.beta, alpha=config.alpha_smooth
    )


def term_weights(config: AGNetConfig) -> dict[str, float]:
    """Factor of each term in the total (eq. 8)."""
    weights = {"identity": config.weight_category}
    if config.branches == "full":
        weights |= dict.fromkeys(("color", "type"), config.weight_attribute)
    return weights | ({"verification": config.weight_verification} if config.verifies() else {})


# --- experiment ------------------------------------------------------------------------------------------------------


def label_codes(rows: pd.DataFrame) -> Tensor:
    """Codes ``[N, 3]`` of identity, colour and type."""
    return torch.as_tensor(np.stack([codes(rows["vehicle_id"]), codes(rows["color"]), codes(kinds(rows))], 1))


def usable(config: AGNetConfig, rows: pd.DataFrame) -> pd.DataFrame:
    """The training images of a run: "all images with full annotations", less those held out for tuning.

    The identity branch alone, too, learns from labelled images where there are some, so that all see the same data.
    """
    if config.held_out:
        rows = Manifest("training images", rows, "").holdout(config.held_out).rows("train")
    labelled = rows["color"].notna() & kinds(rows).notna()
    drop = config.unlabelled == "drop" and labelled.any()
    return rows[labelled].reset_index(drop=True) if drop else rows


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


def draw(config: AGNetConfig, labels: Tensor) -> sampler.PairSampler:
    """Which images meet in a batch: pairs, for every variant the same."""
    return sampler.PairSampler(labels[:, 0].numpy(), config.pairs, config.positives())


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
    return method.build(lambda: AGNet(config, *sizes), config, starts)


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
    return (*dataset.tests, *outcome.tests_by_size(dataset, {"": "vehicleid"}))


def distance(config: AGNetConfig, trained: Trained) -> rules.Distance | None:
    """How test features are compared: plainly (None), or re-ranked by time and place (STR)."""
    return agnet_measures.spatio_temporal(trained, config.str_weight) if config.str_weight else None


def measures(config: AGNetConfig, trained: Trained) -> dict[str, dict[str, float]]:
    """Purity of neighbourhoods by attribute, and what the mask does; for tuning the scores of held-out vehicles."""
    if config.held_out:
        return agnet_measures.tuned(trained, config.held_out)
    test = tests(config, trained.dataset)[0]
    found = agnet_measures.purity(trained, test)
    if config.masks() and steps(config):
        found |= agnet_measures.mask(trained, test)
    return found


def exhibits(config: AGNetConfig, trained: Trained) -> dict[str, Any]:
    """Fig. 7 and 8 for AGNet-ASL-All; and pictures of its mask for every run that trains one."""
    if config.held_out or not steps(config):
        return {}
    every = tests(config, trained.dataset)
    test, shown = every[0], {}
    if config.whole():
        shown = {"tsne": agnet_measures.embedding_map(trained, test), "fig8": agnet_measures.retrieved(trained, every)}
    return shown | ({"masks": agnet_measures.pictures(trained, test)} if config.masks() else {})


def unseen(config: AGNetConfig) -> dict[str, list[float]]:
    """What a probe's few steps may not reach: every kind of pair in the loss, the test feature, the re-ranking."""
    found = {}
    if config.verifies():
        labels = torch.tensor([(0, 0, 0)] * 3 + [(0, 0, 0), (1, 0, 0), (1, 0, 1)])
        for logit in (-1.0, 0.0, 3.0):
            found[f"pairs {logit:g}"] = pair_losses(torch.tensor([[0.0, logit]] * 3), labels, config).tolist()
    if not steps(config):
        network = build(config, {"identities": 4, "colors": 3, "types": 3})
        found["feature"] = outcome.toy_features(network, outcome.toy_images(method.TOY_IMAGES, config.image_size))
    if config.str_weight:
        rows = pd.DataFrame({"camera_id": list("abca"), "time": [0.0, 5.0, 9.0, 20.0]})
        apart = pd.DataFrame([[0, 2, 5], [2, 0, 4], [5, 4, 0]], list("abc"), list("abc"))
        toy = Dataset(None, None, (), "", camera_distances=apart)  # type: ignore[arg-type]
        points = torch.arange(8.0).view(4, 2).square()
        how = agnet_measures.spatio_temporal(Trained(config, None, toy, None), config.str_weight).distances
        found["str"] = how(points, points.flip(0), rows, rows)(slice(0, 4)).flatten().tolist()
    return found


def data(config: AGNetConfig) -> dict[str, Any]:
    """As :func:`reidlib.outcome.data`, with the numbers of training vehicles, colours and types among usable images.

    Raises:
        ConfigError: a column that the variant needs is missing, or no pairs can be drawn.
    """
    known = outcome.data(config)
    learnt = _learnt(config.dataset, config.data_root, config.preset, config.data_seed, config.held_out,
                     config.unlabelled)  # fmt: skip
    absent = [name for name in ("color", "type") if not learnt[f"{name}s"]] if config.needs_attributes() else []
    if absent:
        raise ConfigError(
            f"branches = {config.branches!r}, verification = {config.verification!r} is refused: {known['name']} lacks "
            f"{' and '.join(map(repr, absent))} in its training rows; branches = 'only_id' needs neither"
        )
    if config.canonical().str_weight and (absent := _without_str(*_source(config))):
        raise ConfigError(
            f"str_weight = {config.str_weight:g} is refused: {known['name']} lacks {' and '.join(map(repr, absent))}, "
            "altogether or for some test images; allowed is 0"
        )
    return known | learnt


def _source(config: AGNetConfig) -> tuple[str, str | None, str, int]:
    return config.dataset, config.data_root, config.preset, config.data_seed


@cache
def _learnt(name: str, root: str | None, preset: str, seed: int, held_out: int, unlabelled: str) -> dict[str, int]:
    """How many vehicles, colours and types a run learns; looked at once a process."""
    config = AGNetConfig(dataset=name, data_root=root, preset=preset, data_seed=seed, held_out=held_out,
                         unlabelled=unlabelled)  # fmt: skip
    manifest = datasets.load(config).manifest
    try:
        labels = label_codes(usable(config, manifest.rows("train")))
        draw(config, labels)
    except ValueError as error:
        raise ConfigError(f"{manifest.name} is refused: {error}") from error
    return dict(zip(("identities", "colors", "types"), (labels.max(0).values + 1).tolist(), strict=True))


@cache
def _without_str(name: str, root: str | None, preset: str, seed: int) -> list[str]:
    """What a dataset's test rows lack for the spatio-temporal re-ranking."""
    dataset = datasets.load(Config(dataset=name, data_root=root, preset=preset, data_seed=seed))
    return agnet_measures.lacks(dataset, dataset.manifest.rows("query", "gallery"))


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
    toy_labels=tuple((i // 2, i // 4, (0, 0, 1, -1)[i // 2]) for i in range(method.TOY_IMAGES)),
    starts_from=starts_from,
    usable=usable,
    distance=distance,
    measures=measures,
    exhibits=exhibits,
    extra=unseen,
    data=data,
)
EXPERIMENT = method.experiment(METHOD)
