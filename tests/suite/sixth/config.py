"""The configuration of one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from reidpapers.run.config import Config


class SixthConfig(Config):
    """Softmax on vehicles and batch-hard triplets."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "iterations": 3, "device": "cpu"},
        "quick": {"preset": "small", "image_size": 64, "iterations": 100, "device": "cpu"},
        "paper": {"preset": "veri", "image_size": 224, "iterations": 10_000},
    }

    triplet: float = Field(1.0, ge=0, le=100, description="weight of the triplet loss")
    margin: float = Field(0.3, ge=0, le=10, description="of the triplets")
    iterations: int = Field(100, ge=1, le=10**7, description="training steps")
