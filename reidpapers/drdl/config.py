"""The configuration of one DRDL run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from reidpapers.run import datasets
from reidpapers.run.config import STUDY, Config, ListOrJson

Level = Literal["easy", "medium", "hard"]
VEHICLE, MODEL, MAKE = range(3)  # columns of the labels
GRADES = frozenset({"model", "type", "color"})  # what grades a pair of images as easy, medium or hard to verify


class DRDLConfig(Config):
    """One run of DRDL. Defaults are the paper's method (sections 3 and 5); a profile sets the scale."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "embedding": 16, "iterations": 6, "decay_every": 2, "sets": 3,
                  "set_size": 2, "pairs": 24, "levels": ("easy", "medium"), "verified": "all", "device": "cpu"},
        "quick": {"preset": "small", "image_size": 64, "embedding": 128, "iterations": 250, "decay_every": 50,
                  "sets": 8, "device": "cpu"},
        "study": {**STUDY, "embedding": 256, "iterations": 900, "decay_every": 180, "sets": 5},
        "paper": {"preset": "veri", "image_size": 224, "backbone": "vgg_cnn_m_1024", "pretrained": True,
                  "dropout": 0.5},
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
    embedding: int = Field(
        1024, ge=2, le=8192, description="width of fc7 and fc8; at VGG_CNN_M_1024's 1024 each fc7 begins "
        "with ImageNet weights where the trunk does, at others at random"
    )  # fmt: skip
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="rate after fc7 and its ReLU, before classifier and fc8; VGG_CNN_M_1024, and so "
        "profile paper, has 0.5",
    )
    iterations: int = Field(40_000, ge=1, le=10**7, description="training steps")
    rate: float = Field(0.01, gt=0, le=10, description="initial learning rate")
    decay: float = Field(0.7, gt=0, le=1, description="factor of the learning rate at each drop")
    decay_every: int = Field(8000, ge=1, le=10**7, description="steps between drops")
    weight_decay: float = Field(2e-4, ge=0, le=1, description="of SGD, whose momentum is 0.9")
    literal: bool = Field(False, description="retrieval's gallery as printed: by model, with max{6, N - 1}")
    pairs: int = Field(2000, ge=6, le=10**6, multiple_of=2, description="verification pairs a level, embedded data")
    verified: Literal["unseen", "all"] = Field(
        "unseen", description="verification pairs, embedded data: of models that training never sees, with colours "
        "that give no answer away; or of all models, as they come"
    )  # fmt: skip
    levels: Annotated[tuple[Level, ...], ListOrJson] = Field(
        ("easy", "medium", "hard"), min_length=1, description="levels of verification, embedded data"
    )
    test_distance: Literal["euclidean", "cosine", "joint_bayesian"] = Field(
        "euclidean", description="between features when matching; joint_bayesian is fitted to those of a trained run"
    )

    @classmethod
    def scale(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The profile's values; where no vehicle is known, there is one task."""
        dataset = str(given.get("dataset", "rendered"))
        models_alone = "vehicle_id" not in datasets.LABELS.get(dataset, {"vehicle_id"})
        return {**super().scale(given), **({"task": "verification"} if models_alone else {})}

    @model_validator(mode="after")
    def _fits_together(self) -> DRDLConfig:
        """Refuse what no run could mean."""
        labels = datasets.LABELS[self.dataset]
        if not labels & {"vehicle_id", "model"}:
            raise ValueError(
                f"dataset = {self.dataset!r} is refused: it has no vehicles; allowed are the vehicle datasets"
            )
        if self.task == "verification" and not self.own_pairs() and not labels.issuperset(GRADES):
            raise ValueError(
                f"task = 'verification' is refused for dataset = {self.dataset!r}, which lacks "
                f"{' and '.join(sorted(GRADES - labels))}; pairs of models are graded by {', '.join(sorted(GRADES))}; "
                "allowed is reid"
            )
        if self.task == "reid" and "vehicle_id" not in labels:
            raise ValueError(
                f"task = 'reid' is refused for dataset = {self.dataset!r}: it knows models and no vehicles; "
                "allowed is verification"
            )
        if len(set(self.levels)) != len(self.levels):
            raise ValueError(f"levels = {list(self.levels)} is refused: allowed are distinct names of levels")
        return self

    def canonical(self) -> DRDLConfig:
        """Fields that a variant does not use go to their defaults, so that equal runs have one record."""
        unused = {"pairs", "levels", "verified"} if self.task == "reid" or self.own_pairs() else set()
        if self.task == "verification":
            unused |= {"literal"}
        if self.network != "mixed":
            unused |= {"weight_model", "weight_lower", "weight_mixed"}
        if self.network == "single":
            unused |= {"dropout"}  # its fc7 is the feature itself
        if self.network == "upper":
            unused |= {"loss", "center", "reduction", "margin"}
        elif self.loss == "triplet":
            unused |= {"center"}
        else:
            unused |= {"reduction"}
        return super().canonical().without(unused)

    def own_pairs(self) -> bool:
        """Whether the dataset brings its own pairs of images to verify, as CompCars does."""
        return datasets.PROTOCOLS[self.dataset] == "verification"

    def keeps_models(self) -> bool:
        """Whether models are kept from training, to be verified."""
        return self.task == "verification" and not self.own_pairs() and self.verified == "unseen"

    def identity(self) -> int:
        """The label that sets share: the vehicle, or the model where models are verified.

        CompCars knows no vehicles, and its vehicle numbers are those of models already.
        """
        vehicles = "vehicle_id" in datasets.LABELS[self.dataset]
        return MODEL if self.task == "verification" and vehicles else VEHICLE

    def coarse(self) -> int:
        """The label that the upper branch learns: the model; the make where models are verified (section 5.1)."""
        return MAKE if self.task == "verification" else MODEL
