"""The configuration of one MLSL run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from reidpapers.run.config import STUDY, Config, ListOrJson

ATTRIBUTES = ("id", "color", "type")
Attribute = Literal["id", "color", "type"]


class MLSLConfig(Config):
    """One run of MLSL. Defaults are the paper's method (sections III–V); a profile sets the scale."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "iterations1": 12, "iterations2": 12, "batch": 16, "pairs": 8,
                  "digits_train": 300, "digits_test": 100, "device": "cpu"},
        "quick": {"preset": "small", "image_size": 64, "iterations1": 700, "iterations2": 500, "device": "cpu",
                  "schedule1": "cosine"},
        "study": {**STUDY, "iterations1": 900, "iterations2": 300, "schedule1": "cosine"},
        "paper": {"preset": "veri", "image_size": 224, "backbone": "mobilenet_v1", "pretrained": True,
                  "epochs1": 200, "iterations2": 48_000},
    }  # fmt: skip
    EPOCHS: ClassVar[Mapping[str, str]] = {"iterations1": "epochs1", "iterations2": "epochs2"}
    # Section V-A counts stage 2 in steps, for ablations on VeRi-776, whose size the embedded vehicles have; elsewhere
    # section IV-B's epochs hold.
    IN_STEPS: ClassVar[frozenset[str]] = frozenset({"rendered", "veri776", "digits"})
    IN_EPOCHS: ClassVar[Mapping[str, Any]] = {"schedule2": "epochs", "epochs2": 100}
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
        "study": {"iterations1": 2500, "iterations2": 1500},
        "paper": {"iterations1": 20_000, "epochs1": 0, "iterations2": 20_000},
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
    scalar: Literal["normalised", "bare"] = Field(
        "normalised", description="scalar scheme: the unit is batch normalisation, or a linear map of the bare number"
    )
    plain: Literal["mean", "sum"] = Field("mean", description="No-ML: elements of the distance are averaged, or added")
    margin: float = Field(1.0, gt=0, le=1, description="of the units' outputs, and of No-ML's mean distance")
    plain_margin: float = Field(50.0, gt=0, le=1e4, description="of No-ML's sum")
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
    epochs1: float = Field(
        0, ge=0, le=10**4, description="length of stage 1 in epochs; 0: in steps. The paper says x 0.1 every 100 "
        "epochs and not how many: profile paper has 200, so that one drop comes"
    )  # fmt: skip
    epochs2: float = Field(
        0, ge=0, le=10**4, description="length of stage 2 in epochs; 0: in steps. The paper says x 0.1 every 50 "
        "epochs (Tables 8-10) and not how many: profile paper has 100, so that one drop comes; on VeRi-776 it has the "
        "48,000 steps of the ablations"
    )  # fmt: skip
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
        profile, dataset = given.get("profile", "quick"), given.get("dataset", "rendered")
        longer = cls.IN_EPOCHS if profile == "paper" and dataset not in cls.IN_STEPS else {}
        return {**super().scale(given), **longer, **(cls.digits(profile) if dataset == "digits" else {})}

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
            unused |= {"labels", "scheme", "dropout"}
            unused |= {"margin" if self.plain == "sum" else "plain_margin"}
        if self.mapping == "sigmoid" or "mapping" in unused:
            unused |= {"plain", "plain_margin"}
        if self.scheme == "vector" or "scheme" in unused:
            unused |= {"scalar", "scalar_dropout"}
        used = () if "margin" in unused and "plain_margin" in unused else self.attributes()
        unused |= {f"weight_{name}" for name in ATTRIBUTES if name not in used}
        # Labels count in the paper's order, whatever order they were given in.
        labels = ("id",) if "labels" in unused else tuple(name for name in ATTRIBUTES if name in self.labels)
        return super().canonical().without(unused).model_copy(update={"labels": labels})

    def attributes(self) -> tuple[str, ...]:
        """What the verification loss is about: the labels in the paper's order; No-ML has one distance, for id."""
        return ("id",) if self.mapping == "none" else tuple(name for name in ATTRIBUTES if name in self.labels)
