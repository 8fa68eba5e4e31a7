"""CompCars, its web part: cars told apart by model, verified on given pairs.

L. Yang, P. Luo, C. C. Loy, X. Tang: A Large-Scale Car Dataset for Fine-Grained Categorization and Verification, CVPR
2015. Part I (431 models) trains, part III (1,145 other models) is verified. ``verification_train.txt`` lists the images
of part II, which the reproduced papers leave aside; it is not read, and neither is the surveillance part.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.data.files import Benchmark, DatasetError, Form, content, fields, refuse, text
from reidlib.data.lists import dataset, present, refuse_repeated, refuse_shared
from reidlib.data.manifest import Dataset, Test

LEVELS = ("easy", "medium", "hard")
PATH = r"\d+/\d+/[\w-]+/\w+\.jpg"  # make/model/year/hash.jpg
LISTED = Form(rf"(?P<image>{PATH})", "78/1/2014/3ac218c0c6c378.jpg")
PAIR = Form(
    rf"(?P<first>{PATH})\s+(?P<second>{PATH})\s+(?P<same>[01])",
    f"{LISTED.example} 78/2/2013/29c4dd2b51cbd3.jpg 0",
)
ATTRIBUTES = Form(
    r"(?P<model>\d+)\s+(?P<speed>[\d.]+)\s+(?P<displacement>[\d.]+)\s+(?P<doors>\d+)\s+(?P<seats>\d+)\s+(?P<type>\d+)",
    "1 235 1.8 4 5 3",
)
HEADER = r"\D.*"
BOX = r"-?\d+\s+1\s+(\d{1,6}) (\d{1,6}) (\d{1,6}) (\d{1,6})\s*"  # viewpoint, one box, x1 y1 x2 y2
THRESHOLD_PAIRS, THRESHOLD_SEED = 4000, 0
LARGEST_TABLE = 1_000_000  # bytes of car_type.mat; the release's has some hundred
READ_CELLS = """import io, json, sys, numpy as np
from scipy.io import loadmat
tables = [value for name, value in loadmat(io.BytesIO(sys.stdin.buffer.read())).items() if not name.startswith("__")]
print(json.dumps([str(np.asarray(cell).item()).strip() for cell in tables[0].ravel()]))
"""
NOTE = "CompCars (web): {train:,} training images of {models:,} car models, {gallery:,} images in {pairs:,} test pairs."


def load(root: Path) -> Dataset:
    """CompCars: labels only.

    Nobody knows which images show one vehicle: the car *model* is what is told apart. So ``vehicle_id`` is the model's
    number as text and ``model`` is ``make/model`` by their numbers. ``type`` is the body type from ``attributes.txt``,
    by name where ``car_type.mat`` is there, else the number as text; 0 is unknown. ``bbox`` comes from the label files:
    pixels from 0, right and lower edge beyond the box.

    The threshold is to be taken from training pairs, which the release does not give for part I: 4,000 are drawn from a
    fixed seed, half of one model and half of two, see :func:`draw_pairs`.

    Args:
        root: the folder ``data`` with ``image``, ``label``, ``misc`` and ``train_test_split``, or the one above it.

    Returns:
        Images named ``data/image/make/model/year/hash.jpg`` (without ``data`` where ``root`` is that folder): both
        lists of the classification task as ``train``, all images of the pairs as ``gallery``; test sets ``easy``,
        ``medium`` and ``hard``.

    Raises:
        DatasetError: a file is absent, damaged or contradicts another; an image is listed but absent.
    """
    root = Path(root)
    base = "data/" if (root / "data").is_dir() else ""
    split = root / f"{base}train_test_split"
    train = _training(split / "classification")
    pairs = {
        level: (path, _pairs(path))
        for level, path in present(
            split / "verification", {level: f"verification_pairs_{level}.txt" for level in LEVELS}, "list of pairs"
        ).items()
    }
    for path, rows in pairs.values():
        for side in ("first", "second"):
            refuse_shared(path, rows[side], Path("classification"), train)
    images = {level: _images(rows) for level, (_, rows) in pairs.items()}
    test = pd.concat(list(images.values())).drop_duplicates()
    rows = pd.concat([train.to_frame("image").assign(split="train"), test.to_frame("image").assign(split="gallery")])
    rows = _labelled(root / base, rows.reset_index(drop=True))
    name = f"{base}image/"
    rows["image"] = name + rows["image"]
    training = draw_pairs(rows[rows["split"] == "train"], THRESHOLD_PAIRS, THRESHOLD_SEED)
    tests = [
        Test(
            level,
            "verification",
            gallery=pd.Index(name + images[level]),
            pairs=own.assign(first=name + own["first"], second=name + own["second"]).reset_index(drop=True),
            threshold_pairs=training,
        )
        for level, (_, own) in pairs.items()
    ]
    models = rows.loc[rows["split"] == "train", "vehicle_id"].nunique()
    listed = sum(len(own) for _, own in pairs.values())
    note = NOTE.format(models=models, pairs=listed, **rows["split"].value_counts())
    return dataset(root, "CompCars", rows, tests, note)


def draw_pairs(rows: pd.DataFrame, number: int, seed: int) -> pd.DataFrame:
    """Pairs of images, the first half of one vehicle (here: model), the second of two; ``first``, ``second``, ``same``.

    A pair's first image is drawn evenly from all images whose vehicle has another one, its partner evenly from the
    others that fit. Pairs may recur.

    Raises:
        DatasetError: there are not two vehicles, or none has two images.
    """
    rows = rows.sort_values(["vehicle_id", "image"])
    vehicle, start, size = np.unique(rows["vehicle_id"].to_numpy(str), return_index=True, return_counts=True)
    if len(vehicle) < 2 or size.max() < 2:
        raise DatasetError("training images make no pairs: needed are two models and one with two images")
    owner = np.repeat(np.arange(len(vehicle)), size)
    draw = np.random.default_rng(seed)
    half = number // 2
    first = draw.choice(np.flatnonzero(size[owner] > 1), half)
    # Steps of 1 … size - 1 around the vehicle's own images reach every other one equally often.
    own, begin = size[owner[first]], start[owner[first]]
    second = begin + (first - begin + draw.integers(1, own)) % own
    other = draw.integers(len(rows), size=number - half)
    own, begin = size[owner[other]], start[owner[other]]
    # All images but the vehicle's own, counted from behind its last.
    stranger = (begin + own + draw.integers(len(rows) - own)) % len(rows)
    images = rows["image"].to_numpy(object)
    return pd.DataFrame({
        "first": images[np.concatenate([first, other])],
        "second": images[np.concatenate([second, stranger])],
        "same": np.arange(number) < half,
    })  # fmt: skip


def _training(folder: Path) -> pd.Series:
    """The images of part I: those of the classification task's two lists."""
    lists = {path: fields(path, LISTED)["image"] for path in (folder / "train.txt", folder / "test.txt")}
    for path, images in lists.items():
        refuse_repeated(path, images)
    (train, trained), (test, tested) = lists.items()
    refuse_shared(test, tested, train, trained)
    return pd.concat([trained, tested], ignore_index=True)


def _pairs(path: Path) -> pd.DataFrame:
    """The pairs of one list, whose labels must agree with the models in the image names."""
    rows = fields(path, PAIR)
    same = _model(rows["first"]) == _model(rows["second"])
    wrong = (rows["same"] == "1") != same
    refuse(path, (rows["first"] + " " + rows["second"] + " " + rows["same"])[wrong], "belie the models of their images")
    return rows.assign(same=same)


def _images(pairs: pd.DataFrame) -> pd.Series:
    """Each image of the pairs once."""
    return pd.concat([pairs["first"], pairs["second"]]).drop_duplicates()


def _model(images: pd.Series) -> pd.Series:
    """Model numbers from image names."""
    return images.str.extract(r"^\d+/(\d+)/", expand=False)


def _labelled(folder: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with model, type and box."""
    rows["vehicle_id"] = _model(rows["image"])
    rows["model"] = rows["image"].str.extract(r"^(\d+/\d+)/", expand=False)
    rows["type"] = rows["vehicle_id"].map(_types(folder / "misc"))
    rows["bbox"] = _boxes(folder / "label", rows["image"])
    return rows


def _types(folder: Path) -> pd.Series:
    """Body type by model number."""
    path = folder / "attributes.txt"
    rows = fields(path, ATTRIBUTES, header=HEADER)
    refuse(path, rows["model"][rows["model"].duplicated()], "describe a model a second time")
    rows = rows[rows["type"] != "0"]
    label = rows["type"]
    if (folder / "car_type.mat").exists():
        names = _type_names(folder / "car_type.mat")
        label = label.map({str(number): name for number, name in enumerate(names, 1)})
        refuse(path, rows["type"][label.isna()], "use a type that car_type.mat does not name")
    return pd.Series(label.array, index=pd.Index(rows["model"].array), dtype=str)


def _type_names(path: Path) -> list[str]:
    """The names in car_type.mat, a Matlab file with one cell array."""
    table = content(path)
    if len(table) > LARGEST_TABLE:
        raise DatasetError(f"{path} is refused: larger than {LARGEST_TABLE:,} bytes; fetch it again")
    names, why = _cells(table)
    if why:
        raise DatasetError(f"{path} cannot be read as a Matlab table of names: {why}; fetch it again")
    return list(names)


@cache
def _cells(table: bytes) -> tuple[tuple[str, ...], str]:
    """Names of a Matlab file's cells, or why there are none; SciPy's reader, which garbage may crash, runs apart."""
    try:
        run = subprocess.run([sys.executable, "-c", READ_CELLS], input=table, capture_output=True, timeout=60)
    except subprocess.TimeoutExpired:
        return (), "its reader comes to no end"
    if run.returncode:
        last = run.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return (), last[0] if last and run.returncode > 0 else "it makes its reader crash"
    return tuple(json.loads(run.stdout)), ""


def _boxes(folder: Path, images: pd.Series) -> pd.Series:
    """Boxes from the label files, one an image; missing where there is none."""
    boxes = pd.Series(None, index=images.index, dtype=object)
    paths = folder.as_posix() + "/" + images.str.removesuffix(".jpg") + ".txt"
    files = pd.Series({i: text(Path(path)) for i, path in paths.items() if Path(path).exists()}, dtype=str)
    if files.empty:
        return boxes
    corners = files.str.extract(f"^{BOX}$").astype("Int64")
    x1, y1, x2, y2 = (corners[column].fillna(0) for column in range(4))
    wrong = corners.isna().any(axis=1) | (x1 < 1) | (y1 < 1) | (x2 < x1) | (y2 < y1)
    if wrong.any():
        raise DatasetError(
            f"{paths[files.index[wrong][0]]}: no viewpoint, 1 and box x1 y1 x2 y2 on three lines; "
            f"{int(wrong.sum())} of {len(files)} label files are so; fetch them again"
        )
    values = zip((x1 - 1).tolist(), (y1 - 1).tolist(), x2.tolist(), y2.tolist(), strict=True)
    boxes[files.index] = pd.Series(list(values), index=files.index)
    return boxes


BENCHMARK = Benchmark(
    name="compcars",
    title="CompCars",
    folders=("CompCars",),
    marker=("data/train_test_split/verification", "train_test_split/verification"),
    ask="Ask its authors for it (mmlab.ie.cuhk.edu.hk/datasets/comp_cars, a form to sign).",
    source="L. Yang, P. Luo, C. C. Loy, X. Tang: A Large-Scale Car Dataset for Fine-Grained Categorization and "
    "Verification, CVPR 2015",
    release={"train": {"images": 30955, "vehicles": 431}},
    load=load,
    protocol="verification",
    labels=frozenset({"model", "type", "bbox"}),
    lists=(
        "*",
        "data/*",
        *(f"{base}{folder}" for base in ("", "data/") for folder in ("misc/*", "train_test_split/*/*")),
    ),
)
