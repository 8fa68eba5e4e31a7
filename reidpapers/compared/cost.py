"""What a method costs, counted instead of timed: images seen, and multiply-adds of the networks that see them."""

from __future__ import annotations

from collections.abc import Mapping

from reidpapers.compared.config import ComparedConfig, own
from reidpapers.compared.entrants import ENTRANTS
from reidpapers.compared.paper import PAPER
from reidpapers.run.records import Record


def counted(record: Record) -> Mapping[str, str]:
    """The cost of a run and of all that it starts from, by what is counted.

    A network's multiply-adds are counted by torch from an image to the feature that matching uses; classifiers, which
    training alone has, are left out. In training an image that two pairs share passes the network twice. An ensemble's
    members see equally many images, so that one member's passes stand for all of them.
    """
    config = ComparedConfig(**record.config)
    each = record.cost["flops"] / 2  # two operations a multiply-add
    return {
        "images seen": f"{PAPER.images_seen(config):,}",
        "10⁶ an image": f"{each / 1e6:.1f}",
        "10¹² in training": f"{passes(config) * each / 1e12:.2f}",
    }


def passes(config: ComparedConfig) -> int:
    """How many images pass a method's network in training, all stages together; of an ensemble, one member's."""
    paper = ENTRANTS[config.method].paper
    return sum(paper.steps(stage) * paper.batch_size(stage) for stage in ENTRANTS[config.method].line(own(config)))
