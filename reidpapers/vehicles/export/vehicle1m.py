"""A rendered benchmark as Vehicle-1M lies on disk: lists of image, vehicle and model."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from reidpapers.vehicles.export.lists import named, numbers, thirds, write_lines
from reidpapers.vehicles.export.source import Source

TESTS = (1000, 2000, 3000)
SHUFFLE = 12  # the seed of the test sets


def write(source: Source, folder: Path) -> pd.Series:
    """Write the tree into an empty folder.

    Of the labels only vehicle and model have a place in this layout, both as numbers; there are no fixed queries. The
    lists carry the official names, whatever number of vehicles they hold: a third, two thirds and all of the test
    vehicles.

    Returns:
        The exported names, ``image/000001/000001.jpg``, by split and rendered image; training and gallery rows only.
    """
    rows = pd.concat([source.rows("train"), source.rows("gallery")], ignore_index=True)
    rows["vehicle"] = numbers(rows["vehicle_id"]) + 1
    places = zip(rows["vehicle"], range(1, len(rows) + 1), strict=True)
    rows["path"] = [f"{vehicle:06d}/{number:06d}.jpg" for vehicle, number in places]
    names = "image/" + rows["path"]
    source.copy(rows["image"], names, folder)
    rows["line"] = rows["path"] + " " + rows["vehicle"].astype(str) + " " + numbers(rows["model"]).astype(str)
    split = folder / "train-test-split"
    write_lines(split / "train_list.txt", rows.loc[rows["split"] == "train", "line"])
    test = rows[rows["split"] == "gallery"]
    for size, vehicles in zip(TESTS, thirds(test["vehicle_id"], SHUFFLE), strict=True):
        write_lines(split / f"test_{size}.txt", test.loc[test["vehicle_id"].isin(vehicles), "line"])
    return named(rows, names)
