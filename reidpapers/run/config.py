"""What every paper's configuration shares: validation with clear refusals, profiles, and where files live.

A paper's configuration is one frozen pydantic model, :class:`Config` or a subclass. A *profile* only fills in the
fields of scale that the caller left open. Nothing here imports torch, so a wrong value is refused at once.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args

import annotated_types
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from reidlib.backbones import BACKBONES, check_trunk
from reidlib.data import DataSource
from reidpapers import vehicles
from reidpapers.run import datasets

Profile = Literal["smoke", "quick", "study", "paper"]
# Profile study, whatever the paper: a world of its own for each replicate, and a trunk that has seen photographs. All
# five papers start from ImageNet; MobileNet v1 is MLSL's trunk and stands in for the others', so that a CPU suffices.
STUDY: Mapping[str, Any] = {"preset": "study", "image_size": 64, "backbone": "mobilenet_v1", "pretrained": True}


class ConfigError(ValueError):
    """A parameter was refused: the message has its name, the value given and what is allowed."""


def from_json(text: str) -> Any:
    """A JSON value from text that anyone may have written.

    Raises:
        ValueError: it is no JSON, or nested so deeply that it cannot be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _json_list(value: Any) -> Any:
    """Lists arrive as JSON text from papermill's ``-p`` and from shells."""
    return from_json(value) if isinstance(value, str) and value.strip().startswith("[") else value


ListOrJson = BeforeValidator(_json_list)


class Strict(BaseModel):
    """A frozen model that knows its names: an unknown one is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Config(Strict):
    """The fields every paper has: data, network, device and seed.

    Subclasses add the paper's own fields and fill :attr:`SCALES`. A field that is left out (or None) takes the
    profile's value, so a finished configuration always says everything about its run.
    """

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Where a run is computed or what its scale is called changes no result: these stay out of a record's key.
    UNKEYED: ClassVar[frozenset[str]] = frozenset({"profile", "data_root"})
    # Lengths in steps, and the fields that say them in epochs, which go before where they are above 0.
    EPOCHS: ClassVar[Mapping[str, str]] = {}
    # Fields that mean nothing for any other dataset.
    OF_DATASET: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "rendered": ("preset", "data_seed"), "digits": ("digits_train", "digits_test"), "folder": ("data_seed",),
    }  # fmt: skip

    profile: Profile = Field(
        "quick", description="scale: seconds, minutes to try out, hours for verdicts, or the paper's own sizes"
    )
    dataset: Literal[tuple(datasets.DATASETS)] = Field("rendered", description="which data")
    data_root: str | None = Field(None, description="folder of a dataset on disk; by default REIDLIB_DATA")
    preset: Literal[vehicles.PRESETS] = Field(
        "small", description="size of the embedded vehicles; and whether clean ones join them in training"
    )
    data_seed: int = Field(
        0, ge=0, lt=2**31, description="seed of the embedded vehicles, in profile study the run's own, so that a "
        "replicate is another world; of the split of a folder that gives none"
    )  # fmt: skip
    digits_train: int = Field(0, ge=0, le=60000, description="only the first so many training digits; 0: all")
    digits_test: int = Field(0, ge=0, le=10000, description="only the first so many test digits; 0: all")
    image_size: int = Field(64, ge=16, le=1024, description="side of the square input, in pixels")
    backbone: Literal[BACKBONES] = Field("small", description="trunk of the network")
    pretrained: bool = Field(False, description="start the trunk from ImageNet weights: found here, or downloaded")
    weights: str | None = Field(None, description="local file of trunk weights to start from instead")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="arithmetic of training")
    crop: float = Field(1.1, ge=1, le=4, description="a random crop keeps at least 1/crop of each side")
    rotation: float = Field(2.0, ge=0, le=180, description="largest random rotation, in degrees")
    brightness: float = Field(0.2, ge=0, lt=1, description="largest relative change of brightness")
    flip: bool = Field(False, description="mirror images at random")
    test_distance: Literal["euclidean", "cosine"] = Field("euclidean", description="between features when matching")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where to compute")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of initial weights, batches and augmentation")

    @model_validator(mode="wrap")
    @classmethod
    def _fill_scale(cls, values: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        """Fill what the caller left open from the profile, and keep in mind what was given."""
        if not isinstance(values, dict):
            return build(values)
        given = {name: value for name, value in values.items() if value is not None}
        text = all(isinstance(given.get(name, ""), str) for name in ("profile", "dataset"))  # else refused below
        config = build({**(cls.scale(given) if text else {}), **cls.in_steps(given), **given})
        config.__pydantic_fields_set__ = set(given)
        return config

    @model_validator(mode="after")
    def _trunk_allows(self) -> Config:
        check_trunk(self.backbone, pretrained=self.pretrained, weights=self.weights, image_size=self.image_size)
        return self

    @classmethod
    def scale(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The profile's values for a caller who gave ``given``; subclasses may look at more than the profile."""
        profile, dataset = given.get("profile", "quick"), given.get("dataset", "rendered")
        world = {"data_seed": given.get("seed", 0)} if (profile, dataset) == ("study", "rendered") else {}
        return {**world, **cls.SCALES.get(profile, {})}

    @classmethod
    def in_steps(cls, given: Iterable[str]) -> dict[str, Any]:
        """No epochs where a caller says a length in steps: so a profile's long training is cut."""
        return {epochs: 0 for steps, epochs in cls.EPOCHS.items() if steps in given}

    def canonical(self) -> Config:
        """The same run with ``auto`` resolved and every field that cannot touch its result at its default."""
        special = {name for names in self.OF_DATASET.values() for name in names}
        given = self.model_copy(update={**dict(self), "device": self.device_present()})  # of which nothing is left open
        kept = given.without(special.difference(self.OF_DATASET.get(self.dataset, ())))
        return kept._at_default(steps for steps, epochs in self.EPOCHS.items() if getattr(self, epochs))

    def without(self, unused: Iterable[str]) -> Config:
        """A copy with the named fields at their defaults, a length whether it is in steps or in epochs."""
        unused = set(unused)
        return self._at_default(unused | {self.EPOCHS[name] for name in unused & self.EPOCHS.keys()})

    def _at_default(self, names: Iterable[str]) -> Config:
        return self.model_copy(update={name: type(self).model_fields[name].default for name in names})

    def imagenet(self) -> Mapping[str, str | None]:
        """The trunks that begin with ImageNet weights, each with the file that was named; None: found or downloaded."""
        return {self.backbone: self.weights} if self.pretrained or self.weights else {}

    @property
    def source(self) -> DataSource:
        """Which data it names."""
        used = {
            "rendered": {"preset": self.preset, "seed": self.data_seed},
            "digits": {"root": self.data_root, "train": self.digits_train, "test": self.digits_test},
            "folder": {"root": self.data_root, "seed": self.data_seed},
        }
        return DataSource(self.dataset, **used.get(self.dataset, {"root": self.data_root}))

    def device_present(self) -> str:
        """The device to compute on, with ``auto`` resolved."""
        return present_device() if self.device == "auto" else self.device

    def portable(self) -> dict[str, Any]:
        """The canonical configuration as JSON values, without anything of this machine: a weight file by its hash."""
        fields = self.canonical().model_dump(mode="json", exclude=set(self.UNKEYED))
        if self.weights and not self.weights.startswith("sha256:"):
            fields["weights"] = f"sha256:{hashlib.sha256(Path(self.weights).read_bytes()).hexdigest()}"
        return fields

    def fingerprint(self) -> str:
        """SHA-256 of everything that can touch the result and is not as usual, so that a new field changes no old one.

        Configurations that differ have different fingerprints as long as no default changes; a record therefore holds
        all fields, and is compared with them.
        """
        special = {name: value for name, value in self.portable().items() if value != self.usual(name)}
        return hashlib.sha256(json.dumps(special, sort_keys=True).encode()).hexdigest()

    @classmethod
    def usual(cls, name: str) -> Any:
        """A field's default as a JSON value."""
        default = cls.model_fields[name].default
        return list(default) if isinstance(default, tuple) else default

    def given(self) -> dict[str, Any]:
        """The fields that a caller set, without those that the profile filled in."""
        return self.model_dump(include=self.model_fields_set)

    def but(self, **changes: Any) -> Config:
        """A copy with some fields changed, validated anew: what was left open follows from the fields as changed.

        Another dataset does not lie in this one's folder.
        """
        moved = {"data_root": None} if changes.get("dataset", self.dataset) != self.dataset else {}
        return type(self)(**{**self.given(), **moved, **self.in_steps(changes), **changes})


class Plan(Strict):
    """Which runs are wanted and how they are carried out; no part of any record's key."""

    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], ListOrJson] = Field(
        [0], min_length=1, description="training seeds"
    )
    scope: Literal["base", "all", "circumstances"] = Field(
        "base", description="the given configuration and its control, all tables, or the main claim at other lengths "
        "and in other worlds"
    )  # fmt: skip
    committed: bool = Field(True, description="also read the records that come with the suite")
    workers: int = Field(max(1, os.cpu_count() or 1), ge=1, le=256, description="processes, one thread each (CPU)")
    processes: int = Field(
        1, ge=1, le=256, description="that share each batch of a run, one a GPU; runs then follow each other"
    )

    log: Literal["none", "csv", "tensorboard"] = Field(
        "none", description="curves of the loss while runs are computed, as files; which folder is said before"
    )

    @property
    def shown(self) -> list[int]:
        """Seeds that tables look up: the wanted ones, and the first five, which committed records have."""
        return sorted({*self.seeds, *range(5)})

    @model_validator(mode="after")
    def _can_log(self) -> Plan:
        if self.log == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
            raise ValueError(
                "log = 'tensorboard' is refused: its package is not installed; either "
                "`pip install 'reidpapers[tensorboard]'`, or log = 'csv', which needs none"
            )
        return self

    @model_validator(mode="after")
    def _distinct_seeds(self) -> Plan:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds = {self.seeds} is refused: allowed are distinct whole numbers")
        return self


C = TypeVar("C", bound=Config)


def configure(paper: type[C], given: Mapping[str, Any]) -> tuple[C, Plan]:
    """Build a paper's configuration and the plan of runs from named parameters; None means "by profile".

    Args:
        paper: the paper's configuration class.
        given: parameters by name, as a notebook or the command line has them.

    Raises:
        ConfigError: a name is unknown or a value is not allowed; every problem is listed.
    """
    given = {name: value for name, value in given.items() if value is not None}
    known = options(paper)
    problems = [_unknown(name, value, known) for name, value in given.items() if name not in known]
    problems += [
        f"{steps} = {given[steps]!r} and {epochs} = {given[epochs]!r} both say how long: give one of them"
        for steps, epochs in paper.EPOCHS.items()
        if steps in given and given.get(epochs)
    ]
    parts = []
    for model in (paper, Plan):
        try:
            parts.append(model(**{name: value for name, value in given.items() if name in model.model_fields}))
        except ValidationError as error:
            problems += [_refused(model, detail) for detail in error.errors()]
    if problems:
        raise ConfigError("nothing was computed, because\n" + "\n".join(f"  {problem}" for problem in problems))
    return parts[0], parts[1]


def options(paper: type[Config]) -> dict[str, FieldInfo]:
    """What a caller may set, by name; a run's seed is no such thing, since the plan's ``seeds`` make one run each."""
    fields = {**paper.model_fields, **Plan.model_fields}
    return {name: field for name, field in fields.items() if name != "seed"}


def _unknown(name: str, value: Any, known: Mapping[str, FieldInfo]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
    return f"{name} = {value!r}: there is no parameter of this name; {hint}"


def _refused(model: type[BaseModel], detail: Mapping[str, Any]) -> str:
    """One line on one refused value: name, value, what is allowed."""
    if not detail["loc"]:
        return str(detail["msg"]).removeprefix("Value error, ")
    name = str(detail["loc"][0])
    where = name + "".join(f"[{part}]" for part in detail["loc"][1:] if isinstance(part, int))
    return f"{where} = {detail['input']!r} is refused: allowed is {allowed(model.model_fields[name])}"


def allowed(field: FieldInfo) -> str:
    """What a field accepts, in words: ``one of a, b``, ``a number >= 0 and < 1``, ``a list of …``."""
    return _words(field.annotation, field.metadata)


def _words(annotation: Any, metadata: list[Any]) -> str:
    if hasattr(annotation, "__metadata__"):
        return _words(annotation.__origin__, [*metadata, *annotation.__metadata__])
    origin, options = getattr(annotation, "__origin__", None), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(map(str, options))
    if type(None) in options:
        return " or ".join(_words(option, []) for option in options if option is not type(None)) + ", or nothing"
    if origin in (list, tuple):
        least = "a non-empty list" if any(_limits(metadata, annotated_types.MinLen)) else "a list"
        return f"{least} of distinct values, each {_words(options[0], [])}"
    kind = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[annotation]
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "a multiple of"}
    limits = [f"{signs[k]} {getattr(m, k)}" for m in _flat(metadata) for k in signs if hasattr(m, k)]
    return " ".join([kind, " and ".join(limits)]).strip()


def _flat(metadata: list[Any]) -> Iterator[Any]:
    """Constraints, whether they stand alone or inside a nested ``Field``."""
    for item in metadata:
        yield from _flat(item.metadata) if isinstance(item, FieldInfo) else (item,)


def _limits(metadata: list[Any], kind: type) -> Iterator[Any]:
    return (item for item in _flat(metadata) if isinstance(item, kind))


def present_device() -> str:
    """``cuda`` where PyTorch finds a GPU, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def parameters(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters a notebook was given: what its ``# Parameters`` cells assign, with their present values.

    papermill puts the values of its ``-p`` options into a cell of their own that begins with ``# Parameters``, and
    only warns of a name that the notebook does not know. Collecting by cell, rather than by known name, brings such a
    name to :func:`configure`, which stops on it; and a variable that a reader defines elsewhere is no parameter.

    Args:
        namespace: the notebook's ``globals()``; IPython keeps the cells that were run under ``In``.
    """
    import ast

    names: dict[str, None] = {}
    for cell in namespace["In"]:
        if cell.startswith("# Parameters"):
            for node in ast.parse(cell).body:
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                names.update({target.id: None for target in targets if isinstance(target, ast.Name)})
    return {name: namespace[name] for name in names}
