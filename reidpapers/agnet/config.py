"""The configuration of one AGNet run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reidpapers.run.config import STUDY, Config
from reidpapers.run.datasets import LABELS

# What trains a trunk from scratch in some hundred steps; the paper's own training starts from ImageNet weights.
SCRATCH = {"optimizer": "adamw", "schedule": "cosine", "rate": 2e-3}


class AGNetConfig(Config):
    """One run of AGNet. Defaults are the paper's method, AGNet-ASL-All; a profile sets the scale."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "width": 32, "iterations": 12, "pairs": 8, "device": "cpu",
                  **SCRATCH},
        "quick": {"preset": "small", "image_size": 64, "width": 256, "iterations": 600, "device": "cpu", **SCRATCH},
        "study": {**STUDY, "width": 512, "pairs": 24, "iterations": 900},
        "paper": {"preset": "veri", "image_size": 224, "backbone": "resnet50", "pretrained": True,
                  "epochs": 75},
    }  # fmt: skip
    EPOCHS: ClassVar[Mapping[str, str]] = {"iterations": "epochs"}

    branches: Literal["only_id", "masked_id", "full"] = Field(
        "full", description="the identity branch alone; with the mask that no attribute teaches; or both branches"
    )
    mask: Literal["literal", "spatial", "scaled", "none"] = Field(
        "literal", description="softmax over channels (eq. 1); over positions, without GAP; over channels, times their "
        "number; or no mask"
    )  # fmt: skip
    verification: Literal["asl", "ce"] = Field("asl", description="loss of pairs: eq. 6, or cross-entropy")
    only_id_verification: bool = Field(False, description="whether the identity branch alone learns from pairs too")
    theta: float = Field(
        0.7, ge=0, le=1, description="θ of eq. 7; above 1/2 two vehicles alike count more than one vehicle"
    )
    beta: float = Field(1.0, ge=0, le=100, description="β of eq. 6; 0 is cross-entropy")
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
    hard: float = Field(
        0.5, ge=0, le=1, description="share of the other pairs whose vehicles share colour and type, where there are "
        "such; 0: as they come"
    )  # fmt: skip
    iterations: int = Field(600, ge=1, le=10**7, description="training steps")
    epochs: float = Field(
        0, ge=0, le=10**4, description="length in epochs of different images, as positive and negative pairs share "
        "anchors; 0: in steps. The paper has 75"
    )  # fmt: skip
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

    @model_validator(mode="after")
    def _fits_together(self) -> AGNetConfig:
        """Refuse what no run could mean."""
        if "vehicle_id" not in LABELS[self.dataset]:
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
        scale = {*Config.model_fields, "width", "pairs", "positive", "iterations", "epochs", "rate", "schedule",
                 "optimizer", "weight_decay", "unlabelled"}  # fmt: skip
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
        config = super().canonical().without(unused)
        return config if "verification" in unused else config.model_copy(update={"verification": verification})
