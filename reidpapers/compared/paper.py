"""All papers' methods on equal terms, which no paper has: one dataset, one protocol, one trunk, one budget of images.

Each method keeps what its paper says of it: network, loss, sampler, optimizer, rates and the shape of their schedule.
Equal for all are the embedded vehicles, the trunk, VeRi-776's rule of matching, and how many images a method sees in
training, all its stages together. A method with two stages splits the budget between them as its paper's runs do.

This is no paper of its own: a run here is a paper's run with another length and another test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from reidlib.data.manifest import Dataset, Test
from reidpapers import agnet, multiguided
from reidpapers.c2f_rank import paper as c2f_rank
from reidpapers.drdl import paper as drdl
from reidpapers.mlsl import paper as mlsl
from reidpapers.run import base, datasets
from reidpapers.run.base import Method
from reidpapers.run.config import Config, ListOrJson
from reidpapers.run.runs import Experiment, Workspace

# What every method is given; all else is its own paper's.
GIVEN = (
    "profile", "dataset", "data_root", "preset", "data_seed", "image_size", "backbone", "pretrained", "weights",
    "precision", "device", "seed",
)  # fmt: skip
# What a method brings along, so that another value here would mean nothing.
RECIPE = ("crop", "rotation", "brightness", "flip", "test_distance", "digits_train", "digits_test")


@dataclass(frozen=True)
class Entrant:
    """One method in the comparison.

    Attributes:
        method: the paper's.
        config: its configuration class.
        lengths: fields that count the steps of a stage, the last stage first, and the stage's share of the images. Each
            member of an ensemble has them all to itself.
        changes: fields that say which of the paper's variants it is.
        drops: fields of the schedule in steps, as a share of the last stage's.
        differs: what is not as in the paper, beside the length of training, in words for a reader.
    """

    method: Method
    config: type[Config]
    lengths: Mapping[str, float]
    changes: Mapping[str, Any] = field(default_factory=dict)
    drops: Mapping[str, float] = field(default_factory=dict)
    differs: str = ""


# A paper's name, or what stands beside the papers; a further paper is one more entry and one more name in the Literal.
ENTRANTS: Mapping[str, Entrant] = {
    "classification": Entrant(mlsl.METHOD, mlsl.MLSLConfig, {"iterations1": 1.0}, {"learning": "feature"}),
    "mlsl": Entrant(mlsl.METHOD, mlsl.MLSLConfig, {"iterations2": 0.4, "iterations1": 0.6}),
    "drdl": Entrant(drdl.METHOD, drdl.DRDLConfig, {"iterations": 1.0}, drops={"decay_every": 0.2}),
    "c2f_rank": Entrant(
        c2f_rank.METHOD, c2f_rank.C2FConfig, {"iterations2": 0.5, "iterations1": 0.5}, {"pretrain": "own"},
        differs="its initial model learns the models of the same training vehicles, not of others",
    ),
    "agnet": Entrant(agnet.METHOD, agnet.AGNetConfig, {"iterations": 1.0}),
    "multiguided": Entrant(
        multiguided.METHOD, multiguided.MultiGuidedConfig, {"iterations": 1.0},
        {"learning": "extractor", "extractor": "res50", "trunks": "plain", "simulated": False},
        differs="one extractor of the five, on the trunk of all, without simulated images and post-processing",
    ),
    "multiguided_ensemble": Entrant(
        multiguided.METHOD, multiguided.MultiGuidedConfig, {"iterations": 1.0},
        {"learning": "ensemble", "trunks": "plain", "simulated": False, "masks": "given", "constraint": False,
         "groups": "none"},
        differs="all five extractors, each with the whole budget, so five times the images; on the trunk of all, "
        "without simulated images and post-processing; backgrounds are cut out by the dataset's own masks",
    ),
}  # fmt: skip


class ComparedConfig(Config):
    """One method's run on equal terms."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke", "image_size": 32, "images": 480, "device": "cpu"},
        "quick": {"preset": "small", "image_size": 64, "images": 48_000, "device": "cpu"},
        "paper": {"preset": "veri", "image_size": 224, "images": 4_800_000},
    }

    # One run is both a method's scale and its batches': these follow from the profile, so it counts here.
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"data_root"})

    method: Literal["classification", "mlsl", "drdl", "c2f_rank", "agnet", "multiguided", "multiguided_ensemble"] = (
        Field("classification", description="whose network, loss, sampler and rates")
    )
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
                    f"{name} = {getattr(self, name)!r} is refused: each method keeps its paper's; allowed is {usual!r}"
                )
        own(self)
        return self


def own(config: ComparedConfig) -> Config:
    """A run as its paper's configuration.

    Raises:
        ValueError: there is no such stage, or the paper refuses the rest.
    """
    found = _whole(ENTRANTS[config.method], config)
    for place in config.stage:
        starts = ENTRANTS[config.method].method.starts_from(found)
        if place >= len(starts):
            raise ValueError(f"stage = {list(config.stage)} is refused: {config.method} has no such run to start from")
        found = starts[place]
    return found


def _whole(entrant: Entrant, config: ComparedConfig) -> Config:
    """A method's last stage with the budget's numbers of steps."""
    fields = {**{name: getattr(config, name) for name in GIVEN}, **entrant.changes}
    first = entrant.config(**fields)
    steps = {}
    learning = [run for run in _line(entrant.method, first) if entrant.method.steps(run)]
    for run, (name, share) in zip(learning, entrant.lengths.items(), strict=True):
        steps[name] = max(1, round(config.images * share / entrant.method.batch_size(run)))
    last = steps[next(iter(entrant.lengths))]
    return first.but(**steps, **{name: max(1, round(last * share)) for name, share in entrant.drops.items()})


def _line(paper: Method, config: Config) -> list[Config]:
    """A run, the first of those that it starts from (members of an ensemble are as long as each other), and so on."""
    starts = paper.starts_from(config)
    return [config, *(_line(paper, starts[0]) if starts else ())]


def images_seen(config: ComparedConfig) -> int:
    """Images that a run and all that it starts from see in training."""
    paper = ENTRANTS[config.method].method
    return paper.steps(own(config)) * paper.batch_size(own(config)) + sum(map(images_seen, starts_from(config)))


def starts_from(config: ComparedConfig) -> tuple[ComparedConfig, ...]:
    """The runs that a method's paper starts from, each cut to its share of the budget."""
    count = len(ENTRANTS[config.method].method.starts_from(own(config)))
    return tuple(config.but(stage=(*config.stage, place)) for place in range(count))


def tests(config: Config, dataset: Dataset) -> tuple[Test, ...]:
    """The one test of all methods: VeRi-776's rule."""
    del config, dataset
    return (Test("", datasets.PROTOCOLS["veri776"]),)


def protocols(config: Config) -> tuple[str, ...]:
    """Its protocol."""
    del config
    return (datasets.PROTOCOLS["veri776"],)


def _nothing(*given: Any) -> None:
    """No measures and exhibits beside those of every run."""
    del given


@cache
def on_equal_terms(name: str) -> Method:
    """A paper's method with the comparison's test in place of its own."""
    return replace(ENTRANTS[name].method, tests=tests, protocols=protocols, measures=_nothing, exhibits=_nothing)


def compute(config: ComparedConfig, space: Workspace) -> tuple[dict[str, Any], Any]:
    """Train and test one method; its record shows the paper's own configuration, and leaves out retrieval lists."""
    parts, state = base.compute(on_equal_terms(config.method), own(config), space)
    return {**parts, "exhibits": {"configuration": own(config).portable()}}, state


def data(config: ComparedConfig) -> dict[str, Any]:
    """What is known of the data, by the method's own lights."""
    return ENTRANTS[config.method].method.data(own(config))


def described(name: str) -> str:
    """A method's length at ``quick``, and what is not as in its paper."""
    config = ComparedConfig(method=name)
    line = [run for run in _line(ENTRANTS[name].method, own(config)) if ENTRANTS[name].method.steps(run)]
    stages = [f"{ENTRANTS[name].method.steps(run):,} steps of {ENTRANTS[name].method.batch_size(run)} images"
              for run in reversed(line)]  # fmt: skip
    return ", then ".join(stages) + (f"; {ENTRANTS[name].differs}" if ENTRANTS[name].differs else "")


def steps(config: ComparedConfig) -> int:
    """Training steps of a run."""
    return ENTRANTS[config.method].method.steps(own(config))


def prepare(config: ComparedConfig, workers: int = 1, progress: bool = False) -> None:
    """Decode the images."""
    base.prepare(on_equal_terms(config.method), own(config), workers, progress)


def probe(config: ComparedConfig, data: Mapping[str, Any]) -> dict[str, list[float]]:
    """What the code does with the method, and the budget's share of each stage."""
    found = base.probe(on_equal_terms(config.method), own(config), data)
    return {**found, "images": [float(images_seen(config))]}


EXPERIMENT = Experiment(
    paper="compared", compute=compute, starts_from=starts_from, steps=steps, data=data, prepare=prepare, probe=probe
)
