"""VehicleID from its folder: lists of image and vehicle, colours and models of a part of the vehicles.

H. Liu, Y. Tian, Y. Wang, L. Pang, T. Huang: Deep Relative Distance Learning: Tell the Difference Between Similar
Vehicles, CVPR 2016. There are no cameras and no fixed queries: the protocol draws both roles from a test set's images.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from reidlib.data.files import Benchmark, Form, fields, refuse
from reidlib.data.lists import dataset, pool, present, refuse_repeated, refuse_shared, refuse_trained
from reidlib.data.manifest import Dataset, Test

COLORS = ("black", "blue", "gray", "red", "silver", "white", "yellow")  # by number, where the names are not there
MENDED = {"sliver": "silver"}  # the release's spelling
SIZES = {800: "small", 1600: "medium", 2400: "large", 3200: "largest", 6000: "", 13164: ""}
OWNERS = "attribute/img2vid.txt"
LISTED = Form(r"(?P<image>\d{7})(?:\.jpg)?\s+(?P<vehicle_id>\d+)", "0279029 23781")
CODED = Form(r"(?P<vehicle_id>\d+)\s+(?P<code>\d+)", "23781 2")
NAMED = Form(r"(?P<name>\S(?:.*\S)?)\s+(?P<code>\d+)", "gray 2")
NOTE = "VehicleID: {train:,} training images of {vehicles:,} vehicles, {gallery:,} test images in {tests} test sets."


def load(root: Path) -> Dataset:
    """VehicleID: labels only.

    Vehicles are called by their numbers, 0 among them. Most have neither colour nor model, which are then missing.
    Colours carry the release's names, but ``sliver`` is mended to ``silver``. Two models of one name get their numbers
    added.

    Args:
        root: the folder with ``image``, ``train_test_split`` and, where it is there, ``attribute``.

    Returns:
        Images named ``image/0279029.jpg``; the images of all test lists that are there as ``gallery``, and for each
        list a test set named after its vehicles: ``800``, ``1600``, …

    Raises:
        DatasetError: a file is absent, damaged or contradicts another; an image is listed but absent; images or
            vehicles are for training and testing.
    """
    root = Path(root)
    split = root / "train_test_split"
    owners = _owners(root / OWNERS)
    train = _listed(split / "train_list.txt", owners)
    paths = present(split, {str(size): f"test_list_{size}.txt" for size in SIZES}, "test list")
    tests = {path: _listed(path, owners) for path in paths.values()}
    for path, rows in tests.items():
        refuse_shared(path, rows["image"], split / "train_list.txt", train["image"])
        refuse_trained(path, rows["vehicle_id"], split / "train_list.txt", train["vehicle_id"])
    rows = pd.concat([train.assign(split="train"), pool(tests).assign(split="gallery")], ignore_index=True)
    rows["image"] = _name(rows["image"])
    for column, names in (("color", _colors(root / "attribute")), ("model", _models(root / "attribute"))):
        rows[column] = rows["vehicle_id"].map(_attribute(root / f"attribute/{column}_attr.txt", names))
    sets = [
        Test(
            name, "vehicleid", gallery=pd.Index(_name(tests[path]["image"])), vehicles=int(name), size=SIZES[int(name)]
        )
        for name, path in paths.items()
    ]
    counts = rows["split"].value_counts()
    note = NOTE.format(vehicles=train["vehicle_id"].nunique(), tests=len(tests), **counts)
    return dataset(root, "VehicleID", rows, sets, note)


def _name(images: pd.Series) -> pd.Series:
    """Image names from the dataset's folder."""
    return "image/" + images + ".jpg"


def _owners(path: Path) -> pd.Series | None:
    """The vehicle of every image, by image; None without the file."""
    if not path.exists():
        return None
    rows = fields(path, LISTED)
    refuse_repeated(path, rows["image"])
    return rows.set_index("image")["vehicle_id"]


def _listed(path: Path, owners: pd.Series | None) -> pd.DataFrame:
    """The rows of one list, which must agree with the vehicle of every image (a cut number shows here)."""
    rows = fields(path, LISTED)
    refuse_repeated(path, rows["image"])
    if owners is None:
        return rows
    expected = rows["image"].map(owners)
    wrong = rows["image"] + " " + rows["vehicle_id"]
    refuse(path, wrong[expected != rows["vehicle_id"]], f"name another vehicle than {OWNERS} does, or an unknown image")
    return rows


def _attribute(path: Path, names: pd.Series | None) -> pd.Series:
    """The label of each vehicle that has one, by vehicle; the number as text where there are no names."""
    if not path.exists():
        return pd.Series(dtype=str)
    rows = fields(path, CODED)
    rows = rows[~rows.duplicated()]
    refuse(path, rows["vehicle_id"][rows["vehicle_id"].duplicated()], "give a vehicle a second, other label")
    label = rows["code"] if names is None else rows["code"].map(names)
    refuse(path, (rows["vehicle_id"] + " " + rows["code"])[label.isna()], "use a number that has no name")
    return pd.Series(label.array, index=pd.Index(rows["vehicle_id"].array), dtype=str)


def _colors(folder: Path) -> pd.Series:
    """Colour names by number."""
    names = _names(folder / "color_names.txt")
    return pd.Series(dict(zip(map(str, range(len(COLORS))), COLORS, strict=True))) if names is None else names


def _models(folder: Path) -> pd.Series | None:
    """Model names by number; None where they are not there."""
    return _names(folder / "model_names.txt")


def _names(path: Path) -> pd.Series | None:
    """Names by number, from lines that end with the number: names may hold spaces."""
    if not path.exists():
        return None
    rows = fields(path, NAMED)
    refuse(path, rows["name"][rows["code"].duplicated()], "name a number a second time")
    names = rows["name"].replace(MENDED)
    names = names.where(~names.duplicated(keep=False), names + " (" + rows["code"] + ")")
    return pd.Series(names.array, index=pd.Index(rows["code"].array))


BENCHMARK = Benchmark(
    name="vehicleid",
    title="VehicleID",
    folders=("VehicleID_V1.0", "VehicleID"),
    marker=(OWNERS, *(f"train_test_split/test_list_{size}.txt" for size in SIZES)),
    ask="Ask its authors for it (PKU-VehicleID, pkuml.org/resources/pku-vehicleid.html, a form to sign).",
    source="H. Liu, Y. Tian, Y. Wang, L. Pang, T. Huang: Deep Relative Distance Learning: Tell the Difference Between "
    "Similar Vehicles, CVPR 2016",
    release={
        "train": {"images": 113346, "vehicles": 13164},
        "800": {"images": 6493, "vehicles": 800},
        "1600": {"images": 13377, "vehicles": 1600},
        "2400": {"images": 19777, "vehicles": 2400},
    },
    load=load,
    protocol="vehicleid",
    labels=frozenset({"color", "model"}),
    lists=("*", "attribute/*", "train_test_split/*"),
)
