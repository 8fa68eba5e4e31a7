"""A rendered benchmark as VERI-Wild lies on disk: a folder a vehicle, one query a vehicle, one file with all labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from reidpapers.vehicles.export.lists import named, numbers, thirds, write_lines
from reidpapers.vehicles.export.source import Source

TESTS = (3000, 5000, 10000)
START = pd.Timestamp("2018-03-11")  # the rendered clock's 0
SHUFFLE = 11  # the seed of numbers, test sets and the order of lists
HEADER = "id/image;Camera ID;Time;Model;Type;Color"


def write(source: Source, folder: Path) -> pd.Series:
    """Write the tree into an empty folder.

    Tracks and boxes have no place in this layout, and times are full seconds. A vehicle's first query is its only one,
    and it is not in the gallery. The lists carry the official names, whatever number of vehicles they hold: a third,
    two thirds and all of the test vehicles.

    Returns:
        The exported names, ``images/00001/000001.jpg``, by split and rendered image, for the rows that are used.
    """
    draw = np.random.default_rng(SHUFFLE)
    query = source.rows("query").drop_duplicates("vehicle_id")
    gallery = source.rows("gallery")
    gallery = gallery[~gallery["image"].isin(query["image"])]
    rows = pd.concat([source.rows("train"), query, gallery], ignore_index=True)
    rows["vehicle"] = [f"{number:05d}" for number in numbers(rows["vehicle_id"]) + 1]
    rows["path"] = rows["vehicle"] + [f"/{number:06d}" for number in draw.permutation(len(rows)) + 1]
    names = "images/" + rows["path"] + ".jpg"
    source.copy(rows["image"], names, folder)
    split = folder / "train_test_split"
    write_lines(split / "vehicle_info.txt", [HEADER, *_info(rows.sort_values("path"))])
    write_lines(split / "train_list.txt", rows.loc[rows["split"] == "train", "path"])
    for size, vehicles in zip(TESTS, thirds(query["vehicle_id"], SHUFFLE), strict=True):
        part = rows[rows["vehicle_id"].isin(vehicles)]
        write_lines(split / f"test_{size}_query.txt", part.loc[part["split"] == "query", "path"])
        write_lines(split / f"test_{size}.txt", part.loc[part["split"] == "gallery", "path"])
    return named(rows, names)


def _info(rows: pd.DataFrame) -> pd.Series:
    """Lines of all that is known; what is missing is left empty."""
    seconds = pd.to_timedelta(rows["time"].astype(float).round(), unit="s")
    fields = {
        "camera": rows["camera_id"].str.extract(r"^\D*0*(\d+)$", expand=False),
        "time": (START + seconds).dt.strftime("%Y-%m-%d %H:%M:%S"),
        **{column: rows[column] for column in ("model", "type", "color")},
    }
    lines = rows["path"].astype(object)
    for values in fields.values():
        lines = lines + ";" + values.astype(object).fillna("")
    return lines
