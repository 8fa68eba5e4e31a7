"""The rules as functions from a table of manifest rows to tasks.

Which benchmark has which, and by whose word, is said in :mod:`reidlib.evaluate.protocols.benchmarks`. A random draw
depends on the seed, the vehicles' and the images' names, and on nothing else: rows in another order give the same
draws, the same tasks and so the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reidlib.data.manifest import labels
from reidlib.evaluate.metrics import Relevance

SEEDS = tuple(range(10))
RETRIEVED = 6  # images of a vehicle in DRDL's retrieval gallery


@dataclass(frozen=True)
class Task:
    """One evaluation: positions of the query and gallery rows in the table, and what is relevant to what.

    ``depth`` and ``divisor`` are those of :func:`reidlib.evaluate.metrics.score`.
    """

    query: np.ndarray
    gallery: np.ndarray
    relevance: Relevance
    depth: int | None = None
    divisor: str = "matches"


def other_cameras(table: pd.DataFrame, protocol: str, depth: int | None = None, divisor: str = "matches") -> list[Task]:
    """Matches: same vehicle seen by another camera. Junk: same vehicle, same camera (the query's own image too)."""
    query, gallery = _sides(table, protocol)
    identity = _codes(table, ["vehicle_id"], protocol, query, gallery)
    junk = _codes(table, ["vehicle_id", "camera_id"], protocol, query, gallery)
    return [Task(query, gallery, Relevance(*identity, *junk), depth, divisor)]


def leave_one_out(table: pd.DataFrame, protocol: str) -> list[Task]:
    """Matches: same label. Junk: the query's own image, which must be in the gallery once."""
    query, gallery = _sides(table, protocol)
    own, images = _codes(table, ["image"], protocol, query, gallery)
    if absent := int((~np.isin(own, images)).sum()):
        raise ValueError(f"protocol {protocol!r}: {absent} of {len(query)} query images are not in the gallery")
    identity = _codes(table, ["vehicle_id"], protocol, query, gallery)
    return [Task(query, gallery, Relevance(*identity, own, images))]  # type: ignore[call-arg]


def test_to_train(table: pd.DataFrame, protocol: str) -> list[Task]:
    """Matches: training images of the same label. No junk."""
    query, train = _sides(table, protocol, gallery="train")
    return [Task(query, train, Relevance(*_codes(table, ["vehicle_id"], protocol, query, train)))]


def one_in_gallery(table: pd.DataFrame, protocol: str) -> list[Task]:
    """Of the gallery rows, one random image a vehicle is the gallery, the rest are probes; ten draws.

    No junk. The only image of a vehicle is in the gallery in every draw, and the vehicle has no probe.
    """
    pool, vehicle = _pool(table, protocol)
    return [_split(pool, vehicle, _drawn(vehicle, np.ones_like(vehicle), seed), protocol) for seed in SEEDS]


def one_probe(table: pd.DataFrame, protocol: str) -> list[Task]:
    """Of the gallery rows, one random image a vehicle is the probe, the rest are the gallery; ten draws.

    No junk. The only image of a vehicle is a probe in every draw, without a match.
    """
    pool, vehicle = _pool(table, protocol)
    return [_split(pool, vehicle, ~_drawn(vehicle, np.ones_like(vehicle), seed), protocol) for seed in SEEDS]


def some_in_gallery(table: pd.DataFrame, protocol: str) -> list[Task]:
    """Of each vehicle's N gallery rows, min{6, N − 1} random ones are the gallery, the rest are probes; ten draws.

    No junk. The only image of a vehicle is a probe in every draw, without a match.
    """
    pool, vehicle = _pool(table, protocol)
    size = np.minimum(RETRIEVED, np.bincount(vehicle)[vehicle] - 1)
    return [_split(pool, vehicle, _drawn(vehicle, size, seed), protocol) for seed in SEEDS]


def most_in_gallery(table: pd.DataFrame, protocol: str) -> list[Task]:
    """Of each vehicle model's N gallery rows, max{6, N − 1} random ones are the gallery, the rest probes; ten draws.

    A model of 6 images or fewer has none to spare: all of them go to the gallery, and it has no probe. The others have
    one probe each. Images without a model label are left out. A match is the same *vehicle*: the split is by model, the
    task is still called vehicle retrieval. No junk.
    """
    labelled = table["model"].notna().to_numpy(bool)
    pool, vehicle = _pool(table, protocol, labelled)
    _check_labels(table.iloc[pool][["model"]], protocol)
    model = pd.factorize(table["model"].iloc[pool], sort=True)[0]
    size = np.maximum(RETRIEVED, np.bincount(model)[model] - 1)
    return [_split(pool, vehicle, _drawn(model, size, seed), protocol) for seed in SEEDS]


def _sides(table: pd.DataFrame, protocol: str, gallery: str = "gallery") -> tuple[np.ndarray, np.ndarray]:
    """Positions of the query rows and of the rows that they search."""
    sides = [np.flatnonzero(table["split"].to_numpy() == split) for split in ("query", gallery)]
    for split, rows in zip(("query", gallery), sides, strict=True):
        if not len(rows):
            raise ValueError(f"protocol {protocol!r} needs rows of split {split!r}: there are none")
    return sides[0], sides[1]


def _codes(table: pd.DataFrame, columns: list[str], protocol: str, *sides: np.ndarray) -> list[np.ndarray]:
    """One integer code for each combination of labels, shared by all sides; refuses missing and doubtful labels."""
    rows = table.iloc[np.concatenate(sides)][columns]
    _check_labels(rows, protocol)
    if missing := [f"{column} of {int(rows[column].isna().sum())}" for column in columns if rows[column].isna().any()]:
        raise ValueError(
            f"protocol {protocol!r} needs {' and '.join(columns)}, but of {len(rows)} rows lack {', '.join(missing)}"
        )
    codes = rows.groupby(columns, sort=False).ngroup().to_numpy()
    return np.split(codes, np.cumsum([len(side) for side in sides])[:-1])


def _check_labels(rows: pd.DataFrame, protocol: str) -> None:
    """Refuse labels that a cast would change or take for equal (:func:`reidlib.data.manifest.labels`)."""
    try:
        for column in rows:
            labels(rows[column], column)
    except ValueError as error:
        raise ValueError(f"protocol {protocol!r}: {error}") from error


def _pool(table: pd.DataFrame, protocol: str, labelled: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the gallery rows in the order of their images' names, and codes of the vehicles in name order."""
    in_gallery = (table["split"] == "gallery").to_numpy(bool)
    rows = np.flatnonzero(in_gallery if labelled is None else in_gallery & labelled)
    if not len(rows):
        label = "" if labelled is None else " that have a model"
        raise ValueError(f"protocol {protocol!r} needs rows of split 'gallery'{label}: there are none")
    _codes(table, ["image", "vehicle_id"], protocol, rows)  # refuses missing names
    image, vehicle = (pd.factorize(table[column].iloc[rows], sort=True)[0] for column in ("image", "vehicle_id"))
    order = np.lexsort((vehicle, image))
    return rows[order], vehicle[order]


def _drawn(group: np.ndarray, size: np.ndarray, seed: int) -> np.ndarray:
    """Which rows a random draw takes: ``size`` of each group, every choice equally likely; all of a smaller group.

    Args:
        group: codes from 0, ``[N]``.
        size: of each row's group, ``[N]``.
        seed: of the draw.
    """
    key = np.random.default_rng(seed).random(len(group))
    order = np.lexsort((key, group))
    place = np.arange(len(group)) - np.searchsorted(group[order], group[order])
    taken = np.empty(len(group), bool)
    taken[order] = place < size[order]
    return taken


def _split(pool: np.ndarray, vehicle: np.ndarray, gallery: np.ndarray, protocol: str) -> Task:
    """The task of the pool's rows that are and that are not in the gallery; a match is the same vehicle."""
    if gallery.all() or not gallery.any():
        side = "probe" if gallery.all() else "gallery image"
        raise ValueError(f"protocol {protocol!r} leaves no {side}: {len(pool)} rows of {vehicle.max() + 1} vehicles")
    return Task(pool[~gallery], pool[gallery], Relevance(vehicle[~gallery], vehicle[gallery]))
