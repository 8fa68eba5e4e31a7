"""What data must have for a run, and with which options it does without; all that is lacking is said at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from reidlib.data.manifest import Dataset
from reidpapers.multiguided.config import ATTRIBUTES, DENSE, MultiGuidedConfig
from reidpapers.multiguided.data import FEWEST_HELD_OUT, classes, is_simulated
from reidpapers.run.base import Need

INSTEAD = "another part of the system"


def _every(rows: pd.DataFrame) -> np.ndarray:
    return np.ones(len(rows), bool)


def _real(rows: pd.DataFrame) -> np.ndarray:
    return ~is_simulated(rows)


def _real_with_mask(rows: pd.DataFrame) -> np.ndarray:
    return _real(rows) & rows["mask"].notna().to_numpy(bool)


@dataclass(frozen=True)
class PartNeed(Need):
    """What a part of the system needs.

    Attributes:
        counted: which of the splits' rows count: rows → ``[N]`` booleans.
        changes: options by name with which the rest of the system runs without; empty where no option helps.
    """

    counted: Callable[[pd.DataFrame], np.ndarray] = _every
    changes: Mapping[str, Any] = field(default_factory=dict)

    def unmet(self, dataset: Dataset) -> bool:
        """Whether a dataset lacks it among the rows that count."""
        rows = dataset.manifest.rows(*self.splits)
        labels = rows[self.column][self.counted(rows)]
        return labels.nunique() < self.values or (self.everywhere and bool(labels.isna().any()))


def needs(config: MultiGuidedConfig) -> list[PartNeed]:
    """What a run and those that it starts from need of the data."""
    cameras = PartNeed(
        "camera_id", "matching, which leaves out a query's own camera, needs 'camera_id' of all test images",
        "other data", ("query", "gallery"), everywhere=True,
    )  # fmt: skip
    return [cameras, *_of_simulation(config), *_of_batches(config), *_of_attributes(config), *_of_masks(config),
            *_of_groups(config)]  # fmt: skip


def refusal(name: str, unmet: Sequence[PartNeed]) -> str:
    """All that a dataset lacks, and with which options a run does without, in one sentence."""
    reasons = dict.fromkeys(need.why for need in unmet)
    changes: dict[str, Any] = {}
    for need in unmet:
        for option, value in need.changes.items():
            kept = changes.get(option, value)
            changes[option] = [member for member in kept if member in value] if option == "members" else value
    if not all(need.changes for need in unmet) or not changes.get("members", True):
        advice = "; ".join(dict.fromkeys(need.instead for need in unmet)) + " would do"
    else:
        words = {option: value if isinstance(value, list) else [value] for option, value in changes.items()}
        options = [f"--{option} {' '.join(map(str, values))}".lower() for option, values in words.items()]
        advice = f"it runs with {' '.join(options)}"
    return f"{name} is refused, because it does not have what is needed: {'; '.join(reasons)}. Instead, {advice}"


def _of_simulation(config: MultiGuidedConfig) -> list[PartNeed]:
    """Simulated images, where they are to be learnt from."""
    if not config.simulated:
        return []
    why = "simulated = True needs simulated training images (preset small_simulated, folder AIC20_ReID_Simulation)"
    return [PartNeed("vehicle_id", why, "real images alone", counted=is_simulated, changes={"simulated": False})]


def _of_batches(config: MultiGuidedConfig) -> list[PartNeed]:
    """As many vehicles as meet in a batch of each extractor."""
    fields = dict.fromkeys("identities_dense" if name in DENSE else "identities" for name in _extractors(config))
    there = classes(config)["identities"] if fields else 0
    return [
        PartNeed("vehicle_id", f"{name} = {getattr(config, name)} needs as many training vehicles, of which it has "
                 f"{there}", "more vehicles", values=getattr(config, name), counted=_learnt_from(config),
                 changes={name: there} if there > 1 else {})
        for name in fields
    ]  # fmt: skip


def _of_attributes(config: MultiGuidedConfig) -> list[PartNeed]:
    """Colours and types for AGN and for the classifiers, at least two of each, or there is nothing to tell apart."""
    changes: dict[str, dict[str, Any]] = {}
    if "agn" in _extractors(config):
        changes["agn"] = _without(config, "agn")
    if config.predictor():
        changes["constraint = True"] = {"constraint": False}
    if config.learning.startswith("classifier"):
        changes[f"learning = {config.learning!r}"] = {}
    attribute = config.learning.removeprefix("classifier_")
    return [
        PartNeed(name, f"{part} needs at least two values of {name!r} among the training images", INSTEAD, values=2,
                 counted=_learnt_from(config), changes=changes[part])
        for part in changes for name in ((attribute,) if attribute in ATTRIBUTES else ATTRIBUTES)
    ]  # fmt: skip


def _of_masks(config: MultiGuidedConfig) -> list[PartNeed]:
    """Masks of more real vehicles than are held out, for the PSPNet; of all training images, where it is not asked."""
    if "dense161bs" in _extractors(config) and config.masks == "given":
        why = "dense161bs with masks = 'given' needs a 'mask' of every training image"
        counted, changes = _learnt_from(config), _without(config, "dense161bs")
        return [PartNeed("mask", why, INSTEAD, everywhere=True, counted=counted, changes=changes)]
    part = "dense161bs" if "dense161bs" in _extractors(config) else "learning = 'segmenter'"
    if part != "dense161bs" and config.learning != "segmenter":
        return []
    why = f"{part} needs a 'mask' of images of more than {FEWEST_HELD_OUT} real training vehicles"
    changes = _without(config, "dense161bs")
    return [PartNeed("vehicle_id", why, INSTEAD, values=FEWEST_HELD_OUT + 1, counted=_real_with_mask, changes=changes)]


def _of_groups(config: MultiGuidedConfig) -> list[PartNeed]:
    """Tracks of the gallery, where near images bring theirs."""
    if config.learning != "ensemble" or config.groups not in ("both", "tracks"):
        return []
    changes = {"groups": "queries" if config.groups == "both" else "none"}
    why = f"groups = {config.groups!r} needs a 'track_id' in the gallery"
    return [PartNeed("track_id", why, "groups = 'none'", ("gallery",), changes=changes)]


def _extractors(config: MultiGuidedConfig) -> tuple[str, ...]:
    """The extractors of a run: an ensemble's members, or the one that learns."""
    if config.learning == "ensemble":
        return config.members
    return (config.extractor,) if config.learning == "extractor" else ()


def _learnt_from(config: MultiGuidedConfig) -> Callable[[pd.DataFrame], np.ndarray]:
    """Which training images extractors learn from."""
    return _every if config.simulated else _real


def _without(config: MultiGuidedConfig, extractor: str) -> dict[str, Any]:
    """The change that leaves an extractor out of an ensemble; none for an extractor by itself."""
    return {"members": [name for name in config.members if name != extractor]} if config.learning == "ensemble" else {}
