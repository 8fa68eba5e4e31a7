"""The configuration of one method's run on equal terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from reidpapers.compared.entrants import ENTRANTS
from reidpapers.run.config import STUDY, Config, ListOrJson

# What every method is handed; all else is its own, as its paper's runs of the same profile have it.
EQUAL = (
    "profile", "dataset", "data_root", "preset", "data_seed", "image_size", "backbone", "pretrained", "weights",
    "precision", "device", "seed",
)  # fmt: skip
# What a method brings along, so that another value here would mean nothing.
RECIPE = ("crop", "rotation", "brightness", "flip", "test_distance", "digits_train", "digits_test")


class ComparedConfig(Config):
    """One method's run on equal terms."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "images": 480, "device": "cpu"},
        "quick": {"preset": "small", "image_size": 64, "images": 48_000, "device": "cpu"},
        "study": {**STUDY, "images": 43_200},
        "paper": {"preset": "veri", "image_size": 224, "images": 4_800_000},
    }

    # One run is both a method's scale and its batches': these follow from the profile, so it counts here.
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"data_root"})

    method: Literal[tuple(ENTRANTS)] = Field("classification", description="whose network, loss and sampler")
    recipe: Literal["own", "equal"] = Field(
        "own", description="optimizer, rates and schedule: those of the method's paper, or one recipe for all"
    )
    rate: float = Field(1e-3, gt=0, le=1, description="highest learning rate of the one recipe, which is tuned")
    images: int = Field(48_000, ge=200, le=10**9, description="seen in training, all stages together")
    stage: Annotated[tuple[Annotated[int, Field(ge=0)], ...], ListOrJson] = Field(
        (), description="nothing: the whole method; else which of the runs that it starts from, and of those in turn"
    )

    @model_validator(mode="after")
    def _on_equal_terms(self) -> ComparedConfig:
        """Refuse what would set one method apart, or mean nothing."""
        if self.dataset != "rendered":
            raise ValueError(
                f"dataset = {self.dataset!r} is refused: not every method can learn from it; allowed is rendered"
            )
        for name in RECIPE:
            usual = type(self).model_fields[name].default
            if getattr(self, name) != usual:
                raise ValueError(
                    f"{name} = {getattr(self, name)!r} is refused: each method keeps its own; allowed is {usual!r}"
                )
        own(self)
        return self

    def canonical(self) -> ComparedConfig:
        """A paper's own recipe has rates of its own."""
        return super().canonical().without({"rate"} if self.recipe == "own" else ())

    def imagenet(self) -> Mapping[str, str | None]:
        """Those of the method's own configuration."""
        return own(self).imagenet()


def own(config: ComparedConfig) -> Config:
    """A run as its paper's configuration.

    Raises:
        ValueError: there is no such stage, or the paper refuses the rest.
    """
    entrant = ENTRANTS[config.method]
    stage = entrant.sized({name: getattr(config, name) for name in EQUAL}, config.images)
    for place in config.stage:
        starts = entrant.paper.starts_from(stage)
        if place >= len(starts):
            raise ValueError(f"stage = {list(config.stage)} is refused: {config.method} has no such run to start from")
        stage = starts[place]
    return stage
