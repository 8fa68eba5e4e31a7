"""A trained network by the name of its record, or by a trunk's weights: what `embed` and `export` work with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidlib import models
from reidlib.backbones import find
from reidlib.models.weights import fill, read_weights
from reidpapers.run import records, runs, training
from reidpapers.run.config import Config, ConfigError
from reidpapers.run.papers import RUNS, load
from reidpapers.run.records import Record

IMAGENET = "imagenet"


@dataclass(frozen=True)
class Network:
    """A trained network that gives features, and what is to be known of it.

    Attributes:
        module: in evaluation mode, on the CPU: normalised images ``[N, 3, S, S]`` → ``[N, D]``.
        size: S, in pixels.
        title: what it is.
        origin: where its weights come from.
        distance: by which its features are compared.
        config: of the run that trained it; None for a trunk.
        record: of that run; None for a trunk.
    """

    module: nn.Module
    size: int
    title: str
    origin: str
    distance: str = "euclidean"
    config: Config | None = None
    record: Record | None = None

    def __post_init__(self) -> None:
        with torch.inference_mode():
            output = self.module(torch.zeros(2, 3, self.size, self.size))
        if not isinstance(output, Tensor) or output.ndim != 2:
            raise ConfigError(f"{self.title} gives no features, one vector an image: it cannot be embedded or exported")

    @property
    def width(self) -> int:
        """D, numbers a feature."""
        with torch.inference_mode():
            return self.module(torch.zeros(1, 3, self.size, self.size)).shape[1]


def of_name(name: str) -> Network:
    """The network of a record by its name, or one in a folder that ``export`` wrote.

    Raises:
        ConfigError: see :func:`of_record` and :func:`of_export`.
    """
    return of_export(name) if Path(name).is_dir() else of_record(name)


def of_record(name: str) -> Network:
    """The trained network of a run whose weights are kept in the user's cache.

    Args:
        name: a record's file, its name, or how its name begins.

    Raises:
        ConfigError: there is no such record, or several; its weights are not there, or of other code or data; its
            network gives no features.
    """
    return restored(find_record(name))


def restored(record: Record) -> Network:
    """The trained network of a record.

    Raises:
        ConfigError: its weights are not in the user's cache, or of other code or data; its network gives no features.
    """
    paper, config = load(record.paper), _config(record)
    if runs.name(config, paper) != record.key:
        raise ConfigError(f"record {record.key} was made from other data than {record.data['name']} is here")
    if (weights := runs.kept_weights(config, paper)) is None:
        raise ConfigError(
            f"the weights of record {record.key} are not in the cache ({runs.weights_path(config, paper)}): they are "
            f"kept where the run is computed, by `python -m reidlib run {record.paper}` with --committed false"
        )
    return _network(record, config, _filled(paper, config, weights))


def of_export(folder: str | Path) -> Network:
    """The network in a folder that ``export --format safetensors`` wrote from a record; the data need not be here.

    Raises:
        ConfigError: there is no such network.
        ValueError: the weights are not those of the record's network.
    """
    path = Path(folder) / "network.safetensors"
    if not path.is_file() or not (Path(folder) / "record.json").is_file():
        raise ConfigError(f"{folder} holds no network.safetensors and record.json, as `export` writes them of a record")
    record = records.read(Path(folder) / "record.json")
    paper, config = load(record.paper), _config(record)
    network = paper.build(config, record.data)
    fill(network, read_weights(path).tensors, source=str(path), whose=paper.short)
    return _network(record, config, network.eval())


def _config(record: Record) -> Config:
    """The configuration of a record, for this machine's CPU."""
    kind = load(record.paper).Config
    fields = {field: record.config.get(field, kind.usual(field)) for field in kind.model_fields}
    return kind(**{**fields, "device": "cpu"}).canonical()


def _network(record: Record, config: Config, module: nn.Module) -> Network:
    title, origin = f"{load(record.paper).short}, record {record.key}", f"trained on {record.data['name']}"
    begun = ", ".join(f"{trunk}'s ({of['source']})" for trunk, of in record.weights.items())
    start = f"ImageNet weights {begun}".strip() if begun or config.pretrained else "initial weights"
    origin = f"{origin}, seed {record.seed}, from {start}"
    return Network(module, config.image_size, title, origin, config.test_distance, config, record)


def _filled(paper: Any, config: Config, weights: Path) -> nn.Module:
    """A paper's network with kept weights, in evaluation mode."""
    try:
        network = paper.build(config, paper.data(paper.learns_from(config)))
    except NotImplementedError as error:
        raise ConfigError(f"a run of {paper.name} has no network of its own: name a run of the paper itself") from error
    training.fill(network, weights)
    return network.eval()


def of_trunk(weights: str, backbone: str, size: int) -> Network:
    """A trunk alone with weights from a file.

    Args:
        weights: a file that :func:`reidlib.models.weights.read_weights` reads, or ``imagenet``: the published ones.
        backbone: name of the trunk.
        size: side of the images in pixels.

    Raises:
        ValueError, FileNotFoundError, OSError: see :func:`reidlib.models.build`.
    """
    published = weights == IMAGENET
    trunk = models.build(backbone, pretrained=published, weights=None if published else weights, image_size=size)
    source = find(backbone) if published else weights
    origin = read_weights(source).source if source else f"published ImageNet weights of {backbone}"
    return Network(trunk.eval(), size, f"{backbone} as it is", origin)


def find_record(name: str) -> Record:
    """A record by its file, its name, or how its name begins.

    Raises:
        ConfigError: there is none, or several.
    """
    if Path(name).suffix == ".json":
        return records.read(Path(name))
    folders = [(paper, folder) for paper in RUNS for folder in records.stores(paper)]
    paths = {(paper, path.stem): path for paper, folder in reversed(folders) for path in folder.glob(f"{name}*.json")}
    if len(paths) != 1:
        named = ", ".join(sorted(f"{stem} ({paper})" for paper, stem in paths)[:5])
        what = f"names {len(paths)} records: {named}" if paths else "names no record, and no file with --backbone"
        raise ConfigError(f"{name!r} {what}; the names of records stand on every page and in results/*/records")
    return records.read(next(iter(paths.values())))
