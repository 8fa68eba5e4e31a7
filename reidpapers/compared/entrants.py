"""Who takes part in the comparison, and how each method's budget of images is split between its stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reidpapers.agnet.paper import PAPER as AGNET
from reidpapers.c2f_rank.paper import PAPER as C2F_RANK
from reidpapers.drdl.paper import PAPER as DRDL
from reidpapers.mlsl.paper import PAPER as MLSL
from reidpapers.multiguided.paper import PAPER as MULTIGUIDED
from reidpapers.run.base import Paper
from reidpapers.run.config import Config
from reidpapers.strong_baseline.method import PAPER as STRONG


@dataclass(frozen=True)
class Entrant:
    """One method in the comparison.

    Attributes:
        paper: whose.
        lengths: fields that count the steps of a stage, the last stage first, and the stage's share of the images. Each
            member of an ensemble has them all to itself.
        changes: fields that say which of the paper's variants it is.
        drops: fields of the schedule in steps, as a share of the last stage's.
        differs: what is not as in the paper, beside the length of training, in words for a reader.
    """

    paper: Paper
    lengths: Mapping[str, float]
    changes: Mapping[str, Any] = field(default_factory=dict)
    drops: Mapping[str, float] = field(default_factory=dict)
    differs: str = ""

    def sized(self, fields: Mapping[str, Any], images: int) -> Config:
        """The method's last stage, with the numbers of steps that a budget of images gives to its stages.

        Args:
            fields: what every method is handed: data, trunk, precision, device and seed.
            images: the budget.
        """
        first = self.paper.Config(**fields, **self.changes, **dict.fromkeys(self.lengths, 1))  # whatever its epochs are
        stages = [stage for stage in self.line(first) if self.paper.steps(stage)]
        steps = {
            name: max(1, round(images * share / self.paper.distinct(stage)))
            for stage, (name, share) in zip(stages, self.lengths.items(), strict=True)
        }
        last = steps[next(iter(self.lengths))]
        return first.but(**steps, **{name: max(1, round(last * share)) for name, share in self.drops.items()})

    def line(self, config: Config) -> list[Config]:
        """A run, the first of those that it starts from (members of an ensemble are equally long), and so on."""
        starts = self.paper.starts_from(config)
        return [config, *(self.line(starts[0]) if starts else ())]


# A paper's name, or what stands beside the papers; a further method is one more entry.
ENTRANTS: Mapping[str, Entrant] = {
    "classification": Entrant(MLSL, {"iterations1": 1.0}, {"learning": "feature"}),
    "mlsl": Entrant(MLSL, {"iterations2": 0.4, "iterations1": 0.6}),
    "drdl": Entrant(DRDL, {"iterations": 1.0}, drops={"decay_every": 0.2}),
    "c2f_rank": Entrant(
        C2F_RANK, {"iterations2": 0.5, "iterations1": 0.5}, {"pretrain": "own"},
        differs="its initial model learns the models of the same training vehicles, not of others",
    ),
    "agnet": Entrant(AGNET, {"iterations": 1.0}),
    "multiguided": Entrant(
        MULTIGUIDED, {"iterations": 1.0},
        {"learning": "extractor", "extractor": "res50", "trunks": "plain", "simulated": False},
        differs="one extractor of the five, on the trunk of all, without simulated images and post-processing",
    ),
    "multiguided_ensemble": Entrant(
        MULTIGUIDED, {"iterations": 1.0},
        {"learning": "ensemble", "trunks": "plain", "simulated": False, "masks": "given", "constraint": False,
         "groups": "none"},
        differs="all five extractors, each with the whole budget, so five times the images; on the trunk of all, "
        "without simulated images and post-processing; backgrounds are cut out by the dataset's own masks",
    ),
    "strong_baseline": Entrant(
        STRONG, {"iterations": 1.0}, differs="the trunk of all keeps no last down-sampling, so that its map is larger"
    ),
}  # fmt: skip
