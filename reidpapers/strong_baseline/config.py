"""The configuration of one run of the strong baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reidpapers.run.config import STUDY, Config
from reidpapers.run.datasets import LABELS


class StrongConfig(Config):
    """One run of the strong baseline. Defaults are its paper's (sections 3 and 4.1); a profile sets the scale."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "identities": 4, "images": 2, "iterations": 8, "rate": 2e-3,
                  "device": "cpu"},
        "quick": {"preset": "small", "image_size": 64, "iterations": 750, "rate": 2e-3, "device": "cpu"},
        "study": {**STUDY, "iterations": 675},
        "paper": {"preset": "veri", "image_size": 256, "backbone": "resnet50", "pretrained": True, "epochs": 120},
    }  # fmt: skip
    EPOCHS: ClassVar[Mapping[str, str]] = {"iterations": "epochs"}

    flip: bool = Field(True, description="mirror images at random")
    test_distance: Literal["euclidean", "cosine"] = Field("cosine", description="between features after the neck")
    last_stride: int = Field(1, ge=1, le=2, description="of the trunk's last down-sampling; 2 leaves it as published")
    smoothing: float = Field(0.1, ge=0, lt=1, description="share of each identity label that goes to all identities")
    margin: float = Field(0.3, ge=0, le=100, description="of the triplet loss")
    triplet_weight: float = Field(1.0, ge=0, le=1e3, description="weight of the triplet loss")
    center_weight: float = Field(5e-4, ge=0, le=1e3, description="weight of the centre loss")
    pad: float = Field(
        10 / 256, ge=0, le=0.5, description="black border before the random crop, as a share of the image's side"
    )
    erase: float = Field(0.5, ge=0, le=1, description="how often a rectangle is erased")
    identities: int = Field(16, ge=2, le=4096, description="identities a batch")
    images: int = Field(4, ge=2, le=256, description="images of each identity in a batch")
    iterations: int = Field(750, ge=1, le=10**7, description="training steps")
    epochs: float = Field(0, ge=0, le=10**4, description="length in epochs; 0: in steps. The paper has 120")
    rate: float = Field(3.5e-4, gt=0, le=10, description="highest learning rate")
    weight_decay: float = Field(5e-4, ge=0, le=1, description="of Adam")

    @model_validator(mode="after")
    def _fits_together(self) -> StrongConfig:
        """Refuse data without vehicles that are seen again."""
        if "vehicle_id" not in LABELS[self.dataset]:
            raise ValueError(f"dataset = {self.dataset!r} is refused: it has no vehicles that are seen again")
        return self

    def canonical(self) -> StrongConfig:
        """Padded crops take the place of the shared augmentation, whose fields go to their defaults."""
        return super().canonical().without({"crop", "rotation", "brightness"})
