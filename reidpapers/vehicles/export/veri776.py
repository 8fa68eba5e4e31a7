"""A rendered benchmark as VeRi-776 lies on disk: CRLF lines, a gb2312 header, numbers from 1."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.data.veri776 import COLORS, FOLDERS, LABELS, LISTS, TYPES
from reidpapers.vehicles.export.source import Source

HEADER = '<?xml version="1.0" encoding="gb2312" ?>'


def write(source: Source, folder: Path) -> pd.Series:
    """Write the tree into an empty folder.

    Boxes and models have no place in this layout, and frame numbers hold times to a 25th of a second.

    Returns:
        The exported names, ``image_train/0001_c002_00012345_6.jpg``, by split and rendered image.
    """
    table = source.table
    # The rendered name ends with a number of five digits, the official one with a short one.
    files = table["image"].str.replace(r"_0*(\d+\.jpg)$", r"_\1", regex=True)
    names = table["split"].map(FOLDERS) + "/" + files
    source.copy(table["image"], names, folder)
    table = table.assign(file=files)
    split = {name: rows.reset_index(drop=True) for name, rows in table.groupby("split")}
    for name, rows in split.items():
        _write(folder / LISTS[name], rows["file"])
    _write(folder / LABELS["train"], _xml(split["train"]))
    _write(folder / LABELS["test"], _xml(split["gallery"]))
    _write(folder / "test_track.txt", _tracks(split["gallery"]))
    _write_indices(folder, split["query"], split["gallery"])
    _write(folder / "list_color.txt", [f"{number} {name}" for number, name in enumerate(COLORS, 1)])
    _write(folder / "list_type.txt", [f"{number} {name}" for number, name in enumerate(TYPES, 1)])
    _write(folder / "camera_ID.txt", source.camera_distances.index)
    _write(
        folder / "camera_Dist.txt", [" ".join(map(repr, row)) for row in source.camera_distances.to_numpy().tolist()]
    )
    return pd.Series(names.to_numpy(object), index=pd.MultiIndex.from_frame(table[["split", "image"]]), name="name")


def _xml(rows: pd.DataFrame) -> list[str]:
    """The lines of a label file; both of them call their root ``TrainingImages``."""
    color = rows["color"].map({name: number for number, name in enumerate(COLORS, 1)}).fillna(0).astype(int)
    kind = rows["type"].map({name: number for number, name in enumerate(TYPES, 1)}).fillna(0).astype(int)
    lines = [
        f'<Item imageName="{file}" vehicleID="{vehicle}" cameraID="{camera}" colorID="{c}" typeID="{t}" />'
        for file, vehicle, camera, c, t in zip(
            rows["file"], rows["vehicle_id"], rows["camera_id"], color, kind, strict=True
        )
    ]
    return [HEADER, '<TrainingImages Version="1.0">', f'<Items number="{len(lines)}">', *lines, "</Items>",
            "</TrainingImages>"]  # fmt: skip


def _tracks(test: pd.DataFrame) -> list[str]:
    """One line a track: its name and its images in order of time."""
    tracks = test.sort_values(["track_id", "time", "file"]).groupby("track_id")["file"]
    return [f"{track}_1 {' '.join(images)}" for track, images in tracks]


def _write_indices(folder: Path, query: pd.DataFrame, test: pd.DataFrame) -> None:
    """Places, from 1, in the test list: each query's right answers, and its junk."""
    vehicle = test.groupby("vehicle_id").indices
    camera = test["camera_id"].to_numpy(object)
    right, junk = [], []
    for own, seen in zip(query["vehicle_id"], query["camera_id"], strict=True):
        places = vehicle[own]
        same = camera[places] == seen
        right.append(_numbers(places[~same]))
        junk.append(_numbers(places[same]))
    _write(folder / "gt_index.txt", right)
    _write(folder / "jk_index.txt", junk)


def _numbers(places: np.ndarray) -> str:
    """Places from 1 in one line."""
    return " ".join(map(str, places + 1))


def _write(path: Path, lines: Iterable[str]) -> None:
    """A text file with Windows line ends."""
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("gb2312"))
