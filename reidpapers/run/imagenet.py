"""The ImageNet weights that runs begin with: here before anything is computed, and known by their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from reidlib.backbones import find
from reidpapers.run.config import Config

Origins = Mapping[str, Mapping[str, str]]
"""By trunk: ``sha256`` of its weights' names, shapes and numbers, and ``source``, where they are from."""


def origins(config: Config) -> Origins | None:
    """What a run's trunks begin with: empty for random weights; None where a file is not on this machine."""
    paths = {trunk: Path(file) if file else find(trunk) for trunk, file in config.imagenet().items()}
    if not all(path and path.exists() for path in paths.values()):
        return None
    return {trunk: _origin(path, path.stat().st_mtime_ns) for trunk, path in paths.items() if path}


@cache
def _origin(path: Path, modified: int) -> dict[str, str]:
    from reidlib.models.weights import read_weights

    del modified  # a file that was written anew is read anew
    weights = read_weights(path)
    return {"sha256": weights.sha256, "source": weights.source}


def obtain(configs: Iterable[Config]) -> None:
    """Put the weights that runs begin with on this machine, where a download is needed, and see that they fit.

    Raises:
        ValueError, FileNotFoundError, OSError: see :func:`reidlib.models.build`; nothing was computed.
    """
    from reidlib import models

    wanted = {(*start, config.image_size) for config in configs for start in config.imagenet().items()}
    for trunk, file, image_size in sorted(wanted, key=str):
        models.build(trunk, pretrained=True, weights=file, image_size=image_size)


def digest(begins: Origins) -> str:
    """One hash for what all trunks begin with; empty where none begins with weights."""
    hashes = {trunk: origin["sha256"] for trunk, origin in begins.items()}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest() if hashes else ""


def agree(first: Origins, second: Origins) -> bool:
    """Whether no trunk begins with other weights in the one than in the other."""
    return all(first[trunk]["sha256"] == second[trunk]["sha256"] for trunk in first.keys() & second.keys())
