"""A rendered benchmark as VehicleID lies on disk: numbers for names, unsorted lists, labels for some vehicles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from reidpapers.vehicles.export.lists import named, numbers, thirds, write_lines
from reidpapers.vehicles.export.source import Source

COLORS = ("black", "blue", "gray", "red", "sliver", "white", "yellow")  # the release's spelling
TESTS = (800, 1600, 2400)
LABELLED = 2  # every second vehicle has colour and model; in the release, two in five
SHUFFLE = 10  # the seed of numbers, test sets and the order of lists


def write(source: Source, folder: Path) -> pd.Series:
    """Write the tree into an empty folder.

    Cameras, times, tracks, boxes, types and fixed queries have no place in this layout, and neither have five of the
    rendered colours. Vehicles are numbered from 0. The lists carry the official names, whatever number of vehicles
    they hold: a third, two thirds and all of the test vehicles.

    Returns:
        The exported names, ``image/0000001.jpg``, by split and rendered image; training and gallery rows only.
    """
    draw = np.random.default_rng(SHUFFLE)
    rows = pd.concat([source.rows("train"), source.rows("gallery")], ignore_index=True)
    rows["number"] = [f"{number:07d}" for number in draw.permutation(len(rows)) + 1]
    rows["vehicle"] = numbers(rows["vehicle_id"])
    names = "image/" + rows["number"] + ".jpg"
    source.copy(rows["image"], names, folder)
    _write_attributes(folder / "attribute", rows)
    rows = rows.sample(frac=1, random_state=SHUFFLE)
    split = folder / "train_test_split"
    write_lines(split / "train_list.txt", _lines(rows[rows["split"] == "train"]))
    test = rows[rows["split"] == "gallery"]
    for size, vehicles in zip(TESTS, thirds(test["vehicle_id"], SHUFFLE), strict=True):
        write_lines(split / f"test_list_{size}.txt", _lines(test[test["vehicle_id"].isin(vehicles)]))
    return named(rows, "image/" + rows["number"] + ".jpg").sort_index()


def _lines(rows: pd.DataFrame) -> pd.Series:
    """Image and vehicle."""
    return rows["number"] + " " + rows["vehicle"].astype(str)


def _write_attributes(folder: Path, rows: pd.DataFrame) -> None:
    """The vehicles of all images, and colour and model of every second vehicle."""
    write_lines(folder / "img2vid.txt", _lines(rows.sort_values("number")))
    models = sorted(rows["model"].dropna().unique())
    vehicles = rows.drop_duplicates("vehicle").sort_values("vehicle")
    vehicles = vehicles[vehicles["vehicle"] % LABELLED == 0]
    for column, names in (("color", [name.replace("sliver", "silver") for name in COLORS]), ("model", models)):
        code = vehicles[column].map({name: str(number) for number, name in enumerate(names)})
        write_lines(folder / f"{column}_attr.txt", (vehicles["vehicle"].astype(str) + " " + code)[code.notna()])
    write_lines(folder / "color_names.txt", [f"{name} {number}" for number, name in enumerate(COLORS)])
    write_lines(folder / "model_names.txt", [f"{name} {number}" for number, name in enumerate(models)])
