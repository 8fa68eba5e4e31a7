"""All papers' methods on equal terms, which no paper has: one dataset, one protocol, one trunk, one budget of images.

A run here is a paper's run with another length, another test and, where it is to be equal, another recipe; so its class
hands nearly everything on to that paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from reidlib.data.manifest import Dataset, Test
from reidpapers.compared.config import ComparedConfig, own
from reidpapers.compared.entrants import ENTRANTS, Entrant
from reidpapers.compared.recipe import OneRecipe
from reidpapers.run import datasets
from reidpapers.run.base import Paper
from reidpapers.run.config import Config
from reidpapers.run.evaluate_run import Trained
from reidpapers.run.training import Workspace

RULE = datasets.PROTOCOLS["veri776"]
TRAINING = ("optimizer", "rate", "schedule", "decay", "weight_decay")  # what options of how a method trains begin with


class OnEqualTerms:
    """What the comparison changes in a paper: one test for all, and nothing shown beside it."""

    def tests(self, config: Config, dataset: Dataset) -> tuple[Test, ...]:
        """VeRi-776's rule."""
        del config, dataset
        return (Test("", RULE),)

    def protocols(self, config: Config) -> tuple[str, ...]:
        """Its name."""
        del config
        return (RULE,)

    def measures(self, config: Config, trained: Trained) -> Mapping[str, Mapping[str, float]]:
        """None beside the test's."""
        del config, trained
        return {}

    def exhibits(self, config: Config) -> Mapping[str, Callable[[Trained], Any]]:
        """None."""
        del config
        return {}


def on_equal_terms(config: ComparedConfig) -> Paper:
    """A run's paper with the comparison's test in place of its own, and the one recipe where that is wanted."""
    if config.recipe == "own":
        return _changed(config.method, (OnEqualTerms,))
    return _changed(config.method, (OneRecipe, OnEqualTerms), rate=config.rate, images=config.images)


@cache
def _changed(method: str, changes: tuple[type, ...], **values: Any) -> Paper:
    """A method's paper, some hooks of which others take the place of."""
    entrant = ENTRANTS[method]
    paper = type(entrant.paper)
    return type(paper.__name__, (*changes, paper), {"entrant": entrant, **values})()


class Comparison(Paper):
    """Each method keeps its network, loss and sampler, and trains as its paper's runs do, or all in one way."""

    Config = ComparedConfig
    short = "All methods"
    title = (
        "All papers' methods on equal terms, which no paper has: one dataset, one protocol, one trunk, one "
        "budget of images"
    )
    summary = (
        "Each method keeps its network, loss and sampler. Equal for all are the embedded vehicles, the trunk, "
        "VeRi-776's rule of matching, and how many images a method sees in training, all its stages together; an image "
        "that two pairs share counts once. A method with two stages splits the budget between them as its paper's "
        "runs do. By its *own recipe* a method has the optimizer, rates and schedule of its paper's runs of the same "
        "profile: its paper's own at the paper's sizes, and at smaller ones what suits a small trunk from scratch, as "
        "each row's note says. By the *equal recipe*, in profile `study`, all have Adam without weight decay and one "
        "schedule over all images of all stages, a rise over the first twentieth and half a cosine to 0; its highest "
        "rate alone is tuned, with as many trials for each. The *strong baseline* (Luo et al., CVPR workshops 2019: "
        "smoothed identities, batch-hard triplets and centre loss, BNNeck, no last stride, random erasing, warm-up) is "
        "no paper on vehicles: it says what was known by then without one."
    )
    place = 6

    def data(self, config: ComparedConfig) -> dict[str, Any]:
        """What is known of the data, by the method's own lights."""
        return ENTRANTS[config.method].paper.data(own(config))

    def starts_from(self, config: ComparedConfig) -> tuple[ComparedConfig, ...]:
        """The runs that a method's paper starts from, each cut to its share of the budget."""
        count = len(ENTRANTS[config.method].paper.starts_from(own(config)))
        return tuple(config.but(stage=(*config.stage, place)) for place in range(count))

    def steps(self, config: ComparedConfig) -> int:
        """Training steps of a run."""
        return ENTRANTS[config.method].paper.steps(own(config))

    def images_seen(self, config: ComparedConfig) -> int:
        """Images that a run and all that it starts from see in training; one that two pairs share counts once."""
        images = ENTRANTS[config.method].paper.distinct(own(config))
        return self.steps(config) * images + sum(map(self.images_seen, self.starts_from(config)))

    def prepare(self, config: ComparedConfig, workers: int = 1, progress: bool = False) -> None:
        """Decode the images."""
        on_equal_terms(config).prepare(own(config), workers, progress)

    def compute(self, config: ComparedConfig, space: Workspace) -> tuple[dict[str, Any], Any]:
        """Train and test one method; its record shows the paper's own configuration, and leaves out retrieval lists."""
        parts, state = on_equal_terms(config).compute(own(config), space)
        return {**parts, "exhibits": self._exhibits(config)}, state

    def exhibits(self, config: ComparedConfig) -> Mapping[str, Callable[[Trained], Any]]:
        """The paper's own configuration."""
        return {name: lambda trained, value=value: value for name, value in self._exhibits(config).items()}

    def complete(self, config: ComparedConfig, weights: Path, exhibits: Sequence[str]) -> dict[str, Any]:
        """Exhibits, which need no network."""
        return {name: self._exhibits(config)[name] for name in exhibits}

    def _exhibits(self, config: ComparedConfig) -> dict[str, Any]:
        shown = own(config).portable()
        if config.recipe == "equal":  # the paper's own take no part
            shown = {name: value for name, value in shown.items() if not name.startswith(TRAINING)}
            shown |= {"recipe": "equal", "rate": config.rate}
        return {"configuration": shown}

    def probe(self, config: ComparedConfig, data: Mapping[str, Any], nudge: int = 0) -> dict[str, list[float]]:
        """What the code does with the method, and the budget's share of each stage."""
        values = on_equal_terms(config).probe(own(config), data, nudge)
        return {**values, "images": [float(self.images_seen(config))]}


PAPER = Comparison()


def described(method: str) -> str:
    """A method's length at ``quick``, and what is not as in its paper."""
    entrant = ENTRANTS[method]
    stages = [stage for stage in entrant.line(own(ComparedConfig(method=method))) if entrant.paper.steps(stage)]
    lengths = ", then ".join(_length(entrant.paper, stage) for stage in reversed(stages))
    others = [f"{name} = {mine} instead of {theirs}" for name, (mine, theirs) in recipe(entrant, stages).items()]
    return "; ".join(filter(None, (lengths, entrant.differs, ", ".join(others))))


def recipe(entrant: Entrant, stages: Sequence[Config]) -> dict[str, tuple[Any, Any]]:
    """Options of how a method trains that have other values than its paper's sizes have: ours, theirs."""
    paper = entrant.paper.Config(profile="paper")
    names = [name for name in type(paper).model_fields if name.startswith(TRAINING) and name not in entrant.drops]
    return {
        name: (getattr(stage, name), getattr(paper, name))
        for stage in stages
        for name in names
        if stage.but(**{name: getattr(paper, name)}).fingerprint() != stage.fingerprint()
    }


def _length(paper: Paper, stage: Config) -> str:
    """Steps of a stage, and how many different images each of them shows."""
    batch, images = paper.batch_size(stage), paper.distinct(stage)
    shared = f" in {batch} places, since pairs share some" if images < batch else ""
    return f"{paper.steps(stage):,} steps of {images} images{shared}"
