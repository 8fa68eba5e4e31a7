"""A rendered benchmark as CompCars' web part lies on disk: a folder a model, label files, pairs to be verified."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import savemat

from reidpapers.vehicles.export.lists import named, numbers, write_lines
from reidpapers.vehicles.export.source import Source

# By number from 1. A rendered van, bus or truck is none of these.
TYPES = (
    "MPV", "SUV", "sedan", "hatchback", "minibus", "fastback", "estate", "pickup", "hardtop convertible", "sports",
    "crossover", "convertible",
)  # fmt: skip
YEAR = "2014"
PARTNERS = 2  # pairs of a label that each test image opens, a level
SHUFFLE = 13  # the seed of pairs
HEADER = "model_id maximum_speed displacement door_number seat_number type"


def write(source: Source, folder: Path) -> pd.Series:
    """Write the tree into an empty folder.

    A rendered type is a make, a rendered model a model; vehicles, cameras, colours, times and tracks have no place in
    this layout. Unlike the release's, test and training images show the same models. Each test image is in every list
    of pairs. The different pairs are of two makes (easy), two models (medium), and two models of one make (hard).

    Returns:
        The exported names, ``data/image/1/2/2014/0123456789abcd.jpg``, by split and rendered image; training and
        gallery rows only.
    """
    rows = pd.concat([source.rows("train"), source.rows("gallery")], ignore_index=True)
    rows["make"], rows["number"] = numbers(rows["type"]) + 1, numbers(rows["model"]) + 1
    prefix = rows["make"].astype(str) + "/" + rows["number"].astype(str) + f"/{YEAR}/"
    rows["path"] = prefix + [hashlib.sha256(image.encode()).hexdigest()[:14] + ".jpg" for image in rows["image"]]
    names = "data/image/" + rows["path"]
    source.copy(rows["image"], names, folder)
    data = folder / "data"
    for path, box in zip(rows["path"], rows["bbox"], strict=True):
        x1, y1, x2, y2 = box
        write_lines(data / "label" / f"{path.removesuffix('.jpg')}.txt", ["-1", "1", f"{x1 + 1} {y1 + 1} {x2} {y2}"])
    _write_types(data / "misc", rows)
    split = data / "train_test_split"
    train = rows.loc[rows["split"] == "train", "path"]
    write_lines(split / "classification/train.txt", train.iloc[::2])
    write_lines(split / "classification/test.txt", train.iloc[1::2])
    test = rows[rows["split"] == "gallery"]
    for number, level in enumerate(("easy", "medium", "hard")):
        pairs = _pairs(test, level, np.random.default_rng([SHUFFLE, number]))
        write_lines(split / f"verification/verification_pairs_{level}.txt", pairs)
    return named(rows, names)


def _write_types(folder: Path, rows: pd.DataFrame) -> None:
    """The models' body types by number, 0 where there is none, and their names as a Matlab cell array."""
    models = rows.drop_duplicates("number").sort_values("number")
    code = models["type"].map({name.lower(): number for number, name in enumerate(TYPES, 1)}).fillna(0).astype(int)
    lines = [f"{model} 0 0.0 0 0 {kind}" for model, kind in zip(models["number"], code, strict=True)]
    write_lines(folder / "attributes.txt", [HEADER, *lines])
    savemat(folder / "car_type.mat", {"types": np.array([[name] for name in TYPES], dtype=object)})


def _pairs(test: pd.DataFrame, level: str, draw: np.random.Generator) -> list[str]:
    """Lines ``path path label``: each image with others of its model, and with as many of another one."""
    path, make, model = (test[column].to_numpy() for column in ("path", "make", "number"))
    lines = []
    for place in range(len(test)):
        same = model == model[place]
        other = {"easy": make != make[place], "medium": ~same, "hard": (make == make[place]) & ~same}[level]
        # Few test vehicles may leave a make with a single model.
        for label, fits in ((1, same & (np.arange(len(test)) != place)), (0, other if other.any() else ~same)):
            if fits.any():
                partners = draw.choice(np.flatnonzero(fits), PARTNERS)
                lines += [f"{path[place]} {path[partner]} {label}" for partner in partners]
    return lines
