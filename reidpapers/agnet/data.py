"""Which images AGNet learns from and in which pairs, and what it needs to know of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib import sampler
from reidlib.data.manifest import Manifest, codes
from reidpapers.agnet import evaluation
from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.evaluation import kinds
from reidpapers.run import datasets, evaluate_run
from reidpapers.run.config import Config, ConfigError


def label_codes(rows: pd.DataFrame) -> Tensor:
    """Codes ``[N, 3]`` of identity, colour and type."""
    return torch.as_tensor(np.stack([codes(rows["vehicle_id"]), codes(rows["color"]), codes(kinds(rows))], 1))


def usable(config: AGNetConfig, rows: pd.DataFrame) -> pd.DataFrame:
    """The training images of a run: "all images with full annotations", less those held out for tuning.

    The identity branch alone, too, learns from labelled images where there are some, so that all see the same data.
    """
    if config.held_out:
        rows = Manifest("training images", rows, "").holdout(config.held_out).rows("train")
    labelled = rows["color"].notna() & kinds(rows).notna()
    drop = config.unlabelled == "drop" and labelled.any()
    return rows[labelled].reset_index(drop=True) if drop else rows


def draw(config: AGNetConfig, labels: Tensor) -> sampler.PairSampler:
    """Which images meet in a batch: pairs, for every variant the same."""
    return sampler.PairSampler(labels[:, 0].numpy(), config.pairs, config.positives())


def data(config: AGNetConfig) -> dict[str, Any]:
    """As :func:`reidpapers.run.evaluate_run.data`, with the numbers of training vehicles, colours and types among usable images.

    Raises:
        ConfigError: a column that the variant needs is missing, or no pairs can be drawn.
    """
    known = evaluate_run.data(config)
    learnt = _learnt(config.dataset, config.data_root, config.preset, config.data_seed, config.held_out,
                     config.unlabelled)  # fmt: skip
    absent = [name for name in ("color", "type") if not learnt[f"{name}s"]] if config.needs_attributes() else []
    if absent:
        raise ConfigError(
            f"branches = {config.branches!r}, verification = {config.verification!r} is refused: {known['name']} lacks "
            f"{' and '.join(map(repr, absent))} in its training rows; branches = 'only_id' needs neither"
        )
    if config.canonical().str_weight and (absent := _without_str(*_source(config))):
        raise ConfigError(
            f"str_weight = {config.str_weight:g} is refused: {known['name']} lacks {' and '.join(map(repr, absent))}, "
            "altogether or for some test images; allowed is 0"
        )
    return known | learnt


def _source(config: AGNetConfig) -> tuple[str, str | None, str, int]:
    return config.dataset, config.data_root, config.preset, config.data_seed


@cache
def _learnt(name: str, root: str | None, preset: str, seed: int, held_out: int, unlabelled: str) -> dict[str, int]:
    """How many vehicles, colours and types a run learns; looked at once a process."""
    config = AGNetConfig(dataset=name, data_root=root, preset=preset, data_seed=seed, held_out=held_out,
                         unlabelled=unlabelled)  # fmt: skip
    manifest = datasets.load(config.source).manifest
    try:
        labels = label_codes(usable(config, manifest.rows("train")))
        draw(config, labels)
    except ValueError as error:
        raise ConfigError(f"{manifest.name} is refused: {error}") from error
    return dict(zip(("identities", "colors", "types"), (labels.max(0).values + 1).tolist(), strict=True))


@cache
def _without_str(name: str, root: str | None, preset: str, seed: int) -> list[str]:
    """What a dataset's test rows lack for the spatio-temporal re-ranking."""
    dataset = datasets.load(Config(dataset=name, data_root=root, preset=preset, data_seed=seed).source)
    return evaluation.lacks(dataset, dataset.manifest.rows("query", "gallery"))
