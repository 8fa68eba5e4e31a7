"""The configuration of one C2F-Rank run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from reidpapers.run import datasets
from reidpapers.run.config import STUDY, Config, ListOrJson

TERMS = ("classification", "coarse", "fine", "pair")  # C, R_c, R_f and P of eq. 1
Term = Literal["classification", "coarse", "fine", "pair"]
NEEDED = frozenset({"vehicle_id", "model"})  # labels that the loss compares


class C2FConfig(Config):
    """One run of C2F-Rank. Defaults are the paper's method ("Parameter Setting"); a profile sets the scale."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "iterations1": 12, "iterations2": 12, "batch": 16, "models": 3,
                  "vehicles": 3, "images": 2, "device": "cpu"},
        "quick": {"preset": "small", "image_size": 64, "iterations1": 400, "iterations2": 200, "batch": 75,
                  "device": "cpu"},
        "study": {**STUDY, "iterations1": 500, "iterations2": 500, "batch": 50, "models": 5, "vehicles": 2,
                  "pretrain_seed": 1000},
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
        if not datasets.LABELS[self.dataset] >= NEEDED:
            able = [name for name, labels in datasets.LABELS.items() if labels >= NEEDED]
            raise ValueError(
                f"dataset = {self.dataset!r} is refused: the loss needs vehicles and their models; "
                f"allowed are {', '.join(able)}"
            )
        if len(set(self.terms)) != len(self.terms):
            raise ValueError(f"terms = {list(self.terms)} is refused: allowed are distinct names of {TERMS}")
        if self.data_seed + self.pretrain_seed >= 2**31:
            raise ValueError(f"data_seed + pretrain_seed is refused: allowed is a sum below {2**31}")
        if self.learning == "ranking":
            self._check_nearest("k1", "coarse", (self.models - 1) * self.vehicles * self.images, "other models")
            self._check_nearest("k2", "fine", (self.vehicles - 1) * self.images, "other vehicles of one model")
        return self

    def _check_nearest(self, name: str, term: str, count: int, what: str) -> None:
        """Refuse more nearest images than a batch holds."""
        if term in self.terms and getattr(self, name) > count:
            raise ValueError(
                f"{name} = {getattr(self, name)} is refused: a batch of {self.models} models × {self.vehicles} "
                f"vehicles × {self.images} images holds {count} of {what}; allowed is a whole number from 1 to {count}"
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
