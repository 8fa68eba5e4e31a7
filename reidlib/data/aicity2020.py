"""AI City Challenge 2020, track 2, from its folder: the real training part and, where it is there, the simulated one.

Real: Z. Tang et al.: CityFlow, CVPR 2019. Simulated: Y. Yao et al.: Simulating Content Consistent Vehicle Datasets with
Attribute Descent (VehicleX), ECCV 2020. The labels of the official queries and test images are closed: training
identities are held out instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.data.files import Benchmark, DatasetError, Form, fields, listed, refuse
from reidlib.data.items import coded, items
from reidlib.data.lists import dataset
from reidlib.data.manifest import Dataset, Test
from reidlib.data.veri776 import COLORS, TYPES

REAL, SIMULATION = "AIC20_ReID", "AIC20_ReID_Simulation"
REALS = (REAL, "AIC21_Track2_ReID")  # each beside its simulated part, if that is there
SIMULATED_FOLDERS = ("image_train", "sys_image_train")  # the second since 2021
SIMULATED_COLORS = (*COLORS, "purple", "pink")
SIMULATED_TYPES = (*TYPES, "sportscar", "RV")
PREFIX = "sim_"
HELD_OUT = 0.2  # of the training identities, at least two
SEED = 0  # which ones
NAME = Form(r"\d{6}\.jpg", "021284.jpg")
VEHICLE, CAMERA = Form(r"\d{1,6}", "0347"), Form(r"c\d{3}", "c026")
ITEM = {"imageName": NAME, "vehicleID": VEHICLE, "cameraID": CAMERA}
SIMULATED_ITEM = {
    "imageName": Form(r"\d+_c\d+_\d+\.jpg", "00001_c006_1.jpg"), "vehicleID": VEHICLE, "cameraID": CAMERA,
    "colorID": Form(r"\d{1,2}", "3"), "typeID": Form(r"\d{1,2}", "4"),
}  # fmt: skip
TRACKS = {"train_track_id.txt": r"\d{1,6}", "train_track.txt": NAME.pattern}  # the preferred one first
NOTE = (
    "AI City 2020, track 2: {train:,} real and {simulated:,} simulated training images; {held} training vehicles held "
    "out as {query:,} queries on {gallery:,} images, since the official test labels are closed."
)


def load(root: Path, simulated: bool = True) -> Dataset:
    """The challenge's training data: labels only.

    A fifth of the real training vehicles (:data:`HELD_OUT`, drawn from :data:`SEED`) become the test side: all their
    images are the gallery, and the first of each vehicle and camera is a query, too. The real part has neither colour
    nor type, unless an ``attributes.csv`` (``vehicle_id,color,type``) lies beside its lists. Simulated images are for
    training only; their vehicles and cameras carry the prefix ``sim_``, since the numbers of the real ones come again
    there.

    Args:
        root: the folder that holds ``AIC20_ReID``, or that folder itself; or ``AIC21_Track2_ReID``, as it is called
            since 2021.
        simulated: take the simulated part beside it in, if it is there.

    Returns:
        Images named ``AIC20_ReID/image_train/…`` and ``AIC20_ReID_Simulation/…/…``; no times.

    Raises:
        DatasetError: a file is absent, damaged or contradicts another; fewer than three vehicles.
    """
    base, part = _places(Path(root))
    rows = _hold_out(base / part / "train_label.xml", _real(base, part))
    simulation = f"{part or REAL}_Simulation"
    if simulated and os.path.isdir(base / simulation):
        rows = pd.concat([rows, _simulated(base, simulation)], ignore_index=True)
    return dataset(base, "AI City 2020", rows, (Test("", "aicity2020"),), _note(rows))


def _places(root: Path) -> tuple[Path, str]:
    """The folder that image names start from, and the real part within it."""
    for part in REALS:
        if os.path.isdir(root / part):
            return root, part
    root = root.absolute()
    return (root.parent, root.name) if root.name in REALS else (root, "")


def _note(rows: pd.DataFrame) -> str:
    """One sentence on which data this is."""
    synthetic = rows["vehicle_id"].str.startswith(PREFIX)
    counts = rows.loc[~synthetic, "split"].value_counts()
    held = rows.loc[rows["split"] == "gallery", "vehicle_id"].nunique()
    return NOTE.format(simulated=int(synthetic.sum()), held=held, **counts)


def _real(base: Path, part: str) -> pd.DataFrame:
    """The labelled real images, as training rows sorted by name."""
    folder = base / part
    path = folder / "train_label.xml"
    labels = items(path, ITEM)
    names = labels["imageName"]
    refuse(path, names[names.duplicated()], "label an image a second time")
    _check_list(folder / "name_train.txt", path, names)
    rows = pd.DataFrame({
        "image": "image_train/" + names if not part else f"{part}/image_train/" + names,
        "split": "train",
        "vehicle_id": labels["vehicleID"].str.zfill(4),
        "camera_id": labels["cameraID"],
        "track_id": names.map(_tracks(folder, names, labels["vehicleID"])).astype("string"),
    })  # fmt: skip
    attributes = _attributes(folder / "attributes.csv")
    for column in attributes:
        rows[column] = rows["vehicle_id"].map(attributes[column]).astype("string")
    return rows.sort_values("image").reset_index(drop=True)


def _check_list(path: Path, labels: Path, names: pd.Series) -> None:
    """The list of training images, if it is there, must name those that have labels."""
    if not path.exists():
        return
    listing = listed(path, NAME)
    refuse(path, listing[~listing.isin(names)], f"name an image that {labels.name} does not label")
    refuse(labels, names[~names.isin(listing)], f"label an image that {path.name} does not name")


def _tracks(folder: Path, names: pd.Series, vehicles: pd.Series) -> pd.Series:
    """Track by image name: the number of its line, from 1; empty without a track file.

    Known copies of ``train_track.txt`` lack each line's last image, so the list by numbers goes first; an image without
    a track has none.
    """
    for name, pattern in TRACKS.items():
        path = folder / name
        if not path.exists():
            continue
        form = Form(rf"(?P<images>{pattern}(?:\s+{pattern})*)", "its images' names or numbers in a line")
        lines = fields(path, form)["images"]
        images = lines.str.split().explode().str.removesuffix(".jpg").str.zfill(6) + ".jpg"
        refuse(path, images[images.duplicated()], "hold an image that is in a track already")
        refuse(path, images[~images.isin(names)], "hold an image that train_label.xml does not label")
        owner = images.map(pd.Series(vehicles.array, index=names.array))
        mixed = owner.groupby(level=0).nunique() > 1
        refuse(path, lines[mixed.reindex(lines.index)], "hold images of several vehicles")
        return pd.Series([f"{line:04d}" for line in images.index], index=images.array, dtype="string")
    return pd.Series(dtype="string")


def _attributes(path: Path) -> pd.DataFrame:
    """Colour and type by vehicle, from a file of the reader's own; no columns if there is none."""
    if not path.exists():
        return pd.DataFrame()
    form = Form(r"(?P<vehicle_id>\d{1,6}),(?P<color>[^,]*),(?P<type>[^,]*)", "0347,red,sedan")
    rows = fields(path, form, header="vehicle_id,color,type").astype("string")
    rows["vehicle_id"] = rows["vehicle_id"].str.zfill(4)
    refuse(path, rows["vehicle_id"][rows["vehicle_id"].duplicated()], "describe a vehicle a second time")
    values = rows.set_index("vehicle_id").apply(lambda column: column.str.strip())
    return values.mask(values == "")


def _hold_out(path: Path, train: pd.DataFrame) -> pd.DataFrame:
    """Some training vehicles as query and gallery."""
    vehicles = np.sort(train["vehicle_id"].unique())
    count = max(2, round(HELD_OUT * len(vehicles)))
    if len(vehicles) <= count:
        raise DatasetError(f"{path}: {len(vehicles)} vehicles, of which {count} are to be held out; fetch it again")
    held = train["vehicle_id"].isin(np.random.default_rng(SEED).permutation(vehicles)[:count])
    test = train[held]
    query = test[~test.duplicated(["vehicle_id", "camera_id"])]
    return pd.concat([train[~held], query.assign(split="query"), test.assign(split="gallery")], ignore_index=True)


def _simulated(base: Path, part: str) -> pd.DataFrame:
    """The simulated images, all for training."""
    folder = base / part
    images = next((name for name in SIMULATED_FOLDERS if os.path.isdir(folder / name)), None)
    if images is None:
        raise DatasetError(
            f"{folder} holds neither {' nor '.join(SIMULATED_FOLDERS)}: the simulated part is incomplete"
        )
    path = folder / "train_label.xml"
    labels = items(path, SIMULATED_ITEM, optional=("colorID", "typeID"))
    names = labels["imageName"]
    refuse(path, names[names.duplicated()], "label an image a second time")
    return pd.DataFrame({
        "image": f"{part}/{images}/" + names,
        "split": "train",
        "vehicle_id": PREFIX + labels["vehicleID"].str.zfill(4),
        "camera_id": PREFIX + labels["cameraID"],
        "color": coded(path, labels["colorID"], SIMULATED_COLORS, 0),
        "type": coded(path, labels["typeID"], SIMULATED_TYPES, 0),
    })  # fmt: skip


def parts(table: pd.DataFrame) -> dict[str, pd.Series]:
    """The rows of the real training part, held-out ones among them, and of the simulated one."""
    simulated = table["vehicle_id"].str.startswith(PREFIX)
    return {"train": ~simulated, "simulated": simulated}


BENCHMARK = Benchmark(
    name="aicity2020",
    title="AI City 2020, track 2",
    folders=("AIC20_track2", "AIC21_Track2", *REALS),
    marker=(*REALS, *TRACKS, "train_label.xml"),
    ask="Ask the challenge's organisers for it (aicitychallenge.org, a form to sign).",
    source="Z. Tang et al.: CityFlow: A City-Scale Benchmark for Multi-Target Multi-Camera Vehicle Tracking and "
    "Re-Identification, CVPR 2019; M. Naphade et al.: The 4th AI City Challenge, CVPR Workshops 2020",
    # Of the training part as released, before the hold-out; the simulated part apart.
    release={
        "train": {"images": 36935, "vehicles": 333, "cameras": 36, "tracks": 1897},
        "simulated": {"images": 192150, "vehicles": 1362},
    },
    load=load,
    protocol="aicity2020",
    labels=frozenset({"camera_id", "track_id"}),  # colour and type are those of the simulated part alone
    lists=("*", *(f"{part}{kind}/*" for part in REALS for kind in ("", "_Simulation"))),
    parts=parts,
)
