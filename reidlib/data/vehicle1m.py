"""Vehicle-1M from its folder: lists of image, vehicle and model.

H. Guo, C. Zhao, Z. Liu, J. Wang, H. Lu: Learning Coarse-to-Fine Structured Feature Embedding for Vehicle
Re-Identification, AAAI 2018. There are no cameras and no fixed queries: the protocol draws both roles from a test set's
images.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from reidlib.data.files import Benchmark, Form, fields, refuse
from reidlib.data.lists import dataset, pool, present, refuse_repeated, refuse_shared, refuse_trained, unended
from reidlib.data.manifest import Dataset, Test

SIZES = {"small": 1000, "medium": 2000, "large": 3000}
FOLDERS = ("image", "image_jpg")
SPLITS = ("train-test-split", "train_test_split")
LISTED = Form(
    r"(?P<image>(?:[\w-]+/)+[\w-]+)(?:\.jpg)?\s+(?P<vehicle_id>\d+)\s+(?P<model>\d+)", "000001/000004.jpg 17 120"
)
NOTE = "Vehicle-1M: {train:,} training images of {vehicles:,} vehicles, {gallery:,} test images in {tests} test sets."


def load(root: Path) -> Dataset:
    """Vehicle-1M: labels only; vehicles and models are called by their numbers.

    Args:
        root: the folder with ``image`` or ``image_jpg``, and ``train-test-split`` or ``train_test_split``; the first
            that is there of either is read.

    Returns:
        Images named ``image/dir/img.jpg``; the images of all test lists that are there as ``gallery``, and test sets
        ``small``, ``medium`` and ``large`` (1,000, 2,000 and 3,000 vehicles).

    Raises:
        DatasetError: a file is absent, damaged or contradicts another; an image is listed but absent; images or
            vehicles are for training and testing.
    """
    root = Path(root)
    folder = _first(root, FOLDERS)
    split = root / _first(root, SPLITS)
    train = _listed(split / "train_list.txt")
    paths = present(split, {name: f"test_{size}.txt" for name, size in SIZES.items()}, "test list")
    tests = {path: _listed(path) for path in paths.values()}
    for path, rows in tests.items():
        refuse_shared(path, rows["image"], split / "train_list.txt", train["image"])
        refuse_trained(path, rows["vehicle_id"], split / "train_list.txt", train["vehicle_id"])
    rows = pd.concat([train.assign(split="train"), pool(tests).assign(split="gallery")], ignore_index=True)
    vehicles = train["vehicle_id"].nunique()
    sets = [
        Test(name, "vehicle1m", None, pd.Index(_name(folder, tests[path]["image"])), vehicles=SIZES[name], size=name)
        for name, path in paths.items()
    ]
    del train
    rows["image"] = _name(folder, rows["image"])
    note = NOTE.format(vehicles=vehicles, tests=len(sets), **rows["split"].value_counts())
    return dataset(root, "Vehicle-1M", rows, sets, note)


def _first(root: Path, names: tuple[str, ...]) -> str:
    """The first of several folders that is there; else the first, which will be told absent."""
    return next((name for name in names if (root / name).is_dir()), names[0])


def _name(folder: str, images: pd.Series) -> pd.Series:
    """Image names from the dataset's folder."""
    return f"{folder}/" + images + ".jpg"


def _listed(path: Path) -> pd.DataFrame:
    """The rows of one list. A model cut off at the end of the file shows in the vehicle's other images."""
    rows = fields(path, LISTED)
    refuse_repeated(path, rows["image"])
    if unended(path):
        last = rows.iloc[-1]
        others = rows["model"].iloc[:-1][rows["vehicle_id"].iloc[:-1] == last["vehicle_id"]]
        if len(others) and last["model"] not in set(others):
            refuse(path, rows["image"].iloc[-1:], f"is cut short: model {last['model']} of a vehicle with another")
    return rows


BENCHMARK = Benchmark(
    name="vehicle1m",
    title="Vehicle-1M",
    folders=("Vehicle-1M", "Vehicle1M"),
    marker=tuple(f"{split}/test_{size}.txt" for split in SPLITS for size in (1000, 2000)),  # VERI-Wild has 3000, too
    ask="Ask its authors for it (Institute of Automation, Chinese Academy of Sciences, "
    "nlpr.ia.ac.cn/iva/homepage/jqwang/Vehicle1M.htm, a form to sign).",
    source="H. Guo, C. Zhao, Z. Liu, J. Wang, H. Lu: Learning Coarse-to-Fine Structured Feature Embedding for Vehicle "
    "Re-Identification, AAAI 2018",
    release={
        "train": {"images": 844571, "vehicles": 50000},
        "small": {"images": 16123, "vehicles": 1000},
        "medium": {"images": 32539, "vehicles": 2000},
        "large": {"images": 49259, "vehicles": 3000},
    },
    load=load,
    protocol="vehicle1m",
    labels=frozenset({"model"}),
    lists=("*", *(f"{split}/*" for split in SPLITS)),
)
