"""Which images a run learns from, what their labels are, and what data a run refuses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.aicity2020 import PREFIX
from reidlib.data.manifest import codes
from reidpapers.multiguided.config import ATTRIBUTES, DENSE, MultiGuidedConfig, starts_from
from reidpapers.run import datasets, evaluate_run
from reidpapers.run.config import Config, ConfigError

HELD_OUT = 0.2  # of the real training vehicles that have masks, for the PSPNet's IoU; at least two


def label_codes(rows: pd.DataFrame) -> Tensor:
    """Codes ``[N, 3]`` of vehicle, colour and type; −1 where colour or type is not known."""
    return torch.as_tensor(np.stack([codes(rows[name]) for name in ("vehicle_id", *ATTRIBUTES)], 1))


def is_simulated(rows: pd.DataFrame) -> np.ndarray:
    """Which rows of a manifest are simulated, by their vehicles' names: ``[N]`` booleans."""
    return rows["vehicle_id"].str.startswith(PREFIX).to_numpy(bool)


def usable(config: MultiGuidedConfig, rows: pd.DataFrame) -> pd.DataFrame:
    """The training rows that a run learns from.

    Simulated ones only where they are asked for; for a classifier those whose attribute is known; for the PSPNet those
    that have a mask, without the held-out vehicles.
    """
    kept = np.ones(len(rows), bool) if config.simulated else ~is_simulated(rows)
    if config.learning.startswith("classifier"):
        kept &= rows[config.learning.removeprefix("classifier_")].notna().to_numpy(bool)
    if config.learning == "segmenter":
        kept &= rows["mask"].notna().to_numpy(bool) & ~rows["vehicle_id"].isin(held_out(rows)).to_numpy(bool)
    return rows[kept].reset_index(drop=True)


def held_out(rows: pd.DataFrame) -> list[str]:
    """The real training vehicles that the PSPNet does not learn from: a fifth, drawn once for all."""
    masked = rows[rows["mask"].notna() & ~is_simulated(rows)]
    vehicles = np.sort(masked["vehicle_id"].unique())
    count = max(2, round(HELD_OUT * len(vehicles)))
    return np.random.default_rng(0).permutation(vehicles)[:count].tolist()


@dataclass(frozen=True)
class Facts:
    """What is known of the usable training images.

    Attributes:
        name: of the dataset.
        identities: number of vehicles.
        colors, types: names that stand for the codes 0, 1, ….
        masked: whether real training images of more vehicles than are held out have masks.
        all_masked: whether all training images have masks.
        tracked: whether some gallery image has a track.
        simulated: number of simulated images.
    """

    name: str
    identities: int
    colors: tuple[str, ...]
    types: tuple[str, ...]
    masked: bool
    all_masked: bool
    tracked: bool
    simulated: int


def facts(config: MultiGuidedConfig) -> Facts:
    """What is known of a configuration's training images; looked at once a process."""
    return _facts(config.dataset, config.data_root, config.preset, config.data_seed, config.simulated)


@cache
def _facts(dataset: str, root: str | None, preset: str, seed: int, simulated: bool) -> Facts:
    config = MultiGuidedConfig(dataset=dataset, data_root=root, preset=preset, data_seed=seed, simulated=simulated)
    manifest = datasets.load(config.source).manifest
    rows = usable(config.but(learning="extractor"), manifest.rows("train"))
    masked = rows[rows["mask"].notna() & ~is_simulated(rows)]["vehicle_id"].nunique()
    names = {name: tuple(np.sort(rows[name].dropna().unique()).tolist()) for name in ATTRIBUTES}
    return Facts(
        name=manifest.name,
        identities=rows["vehicle_id"].nunique(),
        colors=names["color"],
        types=names["type"],
        masked=masked > 2,
        all_masked=bool(rows["mask"].notna().all()),
        tracked=bool(manifest.rows("gallery")["track_id"].notna().any()),
        simulated=int(is_simulated(rows).sum()),
    )


def data(config: Config) -> dict[str, Any]:
    """As :func:`reidpapers.run.evaluate_run.data`, with what the networks are built for; refuses what the data cannot give.

    Raises:
        ConfigError: the run, or one that it starts from, needs a column that the dataset lacks; the message names it.
    """
    for run in (*starts_from(config), config):
        _check(run, facts(run))
    found = facts(config)
    built_for = {"identities": found.identities, "colors": list(found.colors), "types": list(found.types)}
    return evaluate_run.data(config) | built_for


def _check(config: MultiGuidedConfig, found: Facts) -> None:
    """Refuse a run that needs what is not there, before anything is computed."""
    if lacking := [column for column in _needed(config) if not _there(config, column, found)]:
        column = lacking[0]
        raise ConfigError(
            f"{found.name} is refused for {_described(config)}: the dataset lacks the column {column!r} "
            f"{'in its gallery' if column == 'track_id' else 'for training images that it would learn from'}; "
            f"{REMEDIES[column]}"
        )
    if config.simulated and not found.simulated:
        raise ConfigError(
            f"{found.name} is refused for simulated = True: it has no simulated training images; "
            "allowed are simulated = False, or data that have them (preset small_simulated, AIC20_ReID_Simulation)"
        )
    needed = config.identities_dense if config.extractor in DENSE else config.identities
    if config.learning == "extractor" and needed > found.identities:
        raise ConfigError(
            f"identities = {needed} is refused: {found.name} has {found.identities} vehicles to learn from"
        )


REMEDIES = {
    "color": "leave out agn, and the attribute constraint (constraint = False)",
    "type": "leave out agn, and the attribute constraint (constraint = False)",
    "mask": "leave dense161bs out of members",
    "track_id": "groups = queries or none do without",
}


def _needed(config: MultiGuidedConfig) -> tuple[str, ...]:
    """The columns without which a run means nothing."""
    if config.learning == "ensemble":
        return ("track_id",) if config.groups in ("both", "tracks") else ()
    if config.learning == "extractor":
        return {"agn": ATTRIBUTES, "dense161bs": ("mask",)}.get(config.extractor, ())
    return ("mask",) if config.learning == "segmenter" else (config.learning.removeprefix("classifier_"),)


def _there(config: MultiGuidedConfig, column: str, found: Facts) -> bool:
    """Whether a column says enough: a PSPNet needs some masks, background substitution by given masks needs all."""
    masked = found.all_masked if config.learning == "extractor" and config.masks == "given" else found.masked
    known = {"color": len(found.colors) > 1, "type": len(found.types) > 1}
    return {**known, "mask": masked, "track_id": found.tracked}[column]


def _described(config: MultiGuidedConfig) -> str:
    """A run as a reader would ask for it."""
    what = {"extractor": f"extractor = {config.extractor!r}", "ensemble": f"groups = {config.groups!r}"}
    return what.get(config.learning, f"learning = {config.learning!r}")
