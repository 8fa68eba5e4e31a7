"""One recipe for all methods: Adam, and a learning rate that depends on the share of the images seen and nothing else.

Only its highest value is tuned, for each method alike. A method of several stages goes through the one schedule with
all of them, so that its second stage goes on at the rate at which its first ended. There is no weight decay: in Adam
its effect depends on the loss's scale, which papers' weights set anywhere between 1 and 1,000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from reidlib.train import Schedule
from reidpapers.compared.entrants import Entrant
from reidpapers.run.base import Paper
from reidpapers.run.config import Config

WARMUP = 0.05  # share of all images over which the rate rises


@dataclass(frozen=True)
class Stretch(Schedule):
    """A stage's stretch of the one schedule: a linear rise from 0 to the rate, then half a cosine back to 0.

    Attributes:
        begins: share of all images that were seen before this stage.
        share: of all images, that this stage sees.
    """

    begins: float = 0.0
    share: float = 1.0

    def __call__(self, step: int) -> float:
        """The rate in the middle of step number ``step``, counted from 0.

        >>> first, second = Stretch(10, 1.0, share=0.5), Stretch(20, 1.0, begins=0.5, share=0.5)
        >>> [round(stage(step), 3) for stage in (first, second) for step in (0, stage.iterations - 1)]
        [0.5, 0.582, 0.521, 0.0]
        """
        seen = self.begins + self.share * (step + 0.5) / self.iterations
        if seen < WARMUP:
            return self.rate * seen / WARMUP
        return self.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, (seen - WARMUP) / (1 - WARMUP))))


class OneRecipe(Paper):
    """What takes the place of a method's optimizer and schedule.

    Attributes:
        entrant: whose stages share the images.
        rate: the highest of the schedule.
        images: seen in all stages together.
    """

    entrant: Entrant
    rate: float
    images: int

    def optimizer(self, config: Config) -> dict[str, Any]:
        """Adam without weight decay."""
        del config
        return {"optimizer": "adam"}

    def schedule(self, config: Config, images: int) -> Schedule:
        """A stage's stretch of the one schedule."""
        del images
        own, *before = [self.steps(stage) * self.distinct(stage) / self.images for stage in self.entrant.line(config)]
        return Stretch(self.steps(config), self.rate, begins=sum(before), share=own)
