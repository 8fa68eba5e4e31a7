"""A rendered benchmark as AI City 2020, track 2, lies on disk: a real part and a clean one as the simulated.

File names recur across splits, label files are unsorted, track lists by number are unpadded and end in a space.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.data.aicity2020 import REAL, SIMULATED_COLORS, SIMULATED_TYPES, SIMULATION
from reidpapers.vehicles.export.source import Source

SHUFFLE = 20  # the seed of the image numbers
PARTS = ("train", "query", "test")


def write(source: Source, folder: Path) -> pd.Series:
    """Write the tree into an empty folder.

    Test images get no labels, as in the release; queries are not among them. Times, boxes, models and camera distances
    have no place in this layout. The colours and types of the training vehicles go into ``attributes.csv``.

    Returns:
        The exported names, ``AIC20_ReID/image_train/000001.jpg``, by split and rendered image; the simulated part's
        under the split ``simulated``.

    Raises:
        ValueError: the source has no simulated companion.
    """
    if source.simulated is None:
        raise ValueError("layout aicity2020 needs a source with a simulated part: see Source.simulated")
    query, gallery = source.rows("query"), source.rows("gallery")
    parts = {"train": source.rows("train"), "query": query, "test": gallery[~gallery["image"].isin(query["image"])]}
    names = [_part(source, folder / REAL, part, rows) for part, rows in parts.items()]
    names.append(_simulation(source.simulated, folder))
    return pd.concat(names)


def _part(source: Source, folder: Path, part: str, rows: pd.DataFrame) -> pd.Series:
    """One of the real part's folders with its lists."""
    rng = np.random.default_rng([SHUFFLE, PARTS.index(part)])
    rows = rows.assign(number=rng.permutation(len(rows)) + 1)
    rows["file"] = [f"{number:06d}.jpg" for number in rows["number"]]
    names = f"{REAL}/image_{part}/" + rows["file"]
    source.copy(rows["image"], names, folder.parent)
    _write(folder / f"name_{part}.txt", sorted(rows["file"]))
    if part != "query":
        tracks = rows.sort_values("time").groupby("track_id")
        _write(folder / f"{part}_track.txt", [" ".join(track) for _, track in tracks["file"]])
        _write(folder / f"{part}_track_id.txt", [" ".join([*map(str, track), ""]) for _, track in tracks["number"]])
    if part == "train":
        _write(folder / "train_label.xml", _xml(rows, ("file", "vehicle_id", "camera_id"), "gb2312"))
        vehicles = rows.drop_duplicates("vehicle_id")[["vehicle_id", "color", "type"]]
        vehicles.to_csv(folder / "attributes.csv", index=False, lineterminator="\n")
    split = "gallery" if part == "test" else part
    return _named(rows["image"], names, split)


def _simulation(source: Source, folder: Path) -> pd.Series:
    """The simulated part: training rows of the clean benchmark, numbers of colours and types from 0."""
    rows = source.rows("train")
    vehicle = rows["vehicle_id"].str.zfill(5)
    number = rows.groupby(["vehicle_id", "camera_id"]).cumcount() + 1
    rows = rows.assign(file=vehicle + "_" + rows["camera_id"] + "_" + number.astype(str) + ".jpg")
    rows["vehicle"] = vehicle
    for column, names in (("color", SIMULATED_COLORS), ("type", SIMULATED_TYPES)):
        rows[column] = rows[column].map({name: number for number, name in enumerate(names)})
    names = f"{SIMULATION}/image_train/" + rows["file"]
    source.copy(rows["image"], names, folder)
    columns = ("file", "vehicle", "camera_id", "color", "type")
    _write(folder / SIMULATION / "train_label.xml", _xml(rows, columns, "utf-8"))
    return _named(rows["image"], names, "simulated")


def _xml(rows: pd.DataFrame, columns: tuple[str, ...], encoding: str) -> list[str]:
    """The lines of a label file with the first few of the attributes that there are."""
    attributes = ("imageName", "vehicleID", "cameraID", "colorID", "typeID")[: len(columns)]
    form = " ".join(f'{attribute}="{{}}"' for attribute in attributes)
    lines = [f"<Item {form.format(*values)} />" for values in rows[list(columns)].itertuples(index=False)]
    return [f'<?xml version="1.0" encoding="{encoding}" ?>', '<TrainingImages Version="1.0">',
            f'<Items number="{len(lines)}">', *lines, "</Items>", "</TrainingImages>"]  # fmt: skip


def _named(images: pd.Series, names: pd.Series, split: str) -> pd.Series:
    """Exported names by split and rendered image."""
    index = pd.MultiIndex.from_product([[split], images], names=["split", "image"])
    return pd.Series(names.to_numpy(object), index=index, name="name")


def _write(path: Path, lines: Iterable[str]) -> None:
    """A text file with Unix line ends."""
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
