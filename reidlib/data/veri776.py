"""VeRi-776 from its folder: file names, two label files, three lists, tracks and camera distances.

X. Liu, W. Liu, T. Mei, H. Ma: A Deep Learning-Based Approach to Progressive Vehicle Re-identification for Urban
Surveillance, ECCV 2016. A file name holds vehicle, camera and frame: ``0002_c002_00030600_0.jpg``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.data.files import SHOWN, Benchmark, DatasetError, Form, fields, listed, refuse, text
from reidlib.data.items import coded, items
from reidlib.data.lists import dataset, refuse_trained
from reidlib.data.manifest import Dataset, Test

COLORS = ("yellow", "orange", "green", "gray", "red", "blue", "white", "golden", "brown", "black")
TYPES = ("sedan", "suv", "van", "hatchback", "mpv", "pickup", "bus", "truck", "estate")
FPS = 25
FOLDERS = {"train": "image_train", "query": "image_query", "gallery": "image_test"}
LISTS = {"train": "name_train.txt", "query": "name_query.txt", "gallery": "name_test.txt"}
LABELS = {"train": "train_label.xml", "test": "test_label.xml"}
NAME = Form(r"[^\W_]+_c\d+_\d{1,12}_\d+\.jpg", "0002_c002_00030600_0.jpg")
PARTS = r"^(?P<vehicle_id>[^_]+)_(?P<camera_id>c\d+)_(?P<frame>\d+)_"
SEEN = r"^([^_]+_c\d+)"  # vehicle and camera
ITEM = {
    "imageName": NAME, "vehicleID": Form(r"[^\W_]{1,20}", "0002"), "cameraID": Form(r"c\d+", "c002"),
    "colorID": Form(r"\d{1,2}", "1"), "typeID": Form(r"\d{1,2}", "4"),
}  # fmt: skip
TRACK = Form(
    rf"(?P<track>[^\W_]+_c\d+\w*(?:\.jpg)?)(?P<images>(?:\s+{NAME.pattern})*)",
    "0002_c002_1 0002_c002_00030600_0.jpg 0002_c002_00030605_1.jpg",
)
NOTE = "VeRi-776: {train:,} training images of {vehicles} vehicles, {query:,} queries on {gallery:,} test images."


def load(root: Path) -> Dataset:
    """VeRi-776: labels only.

    Colour and type come from the label files; without them they are missing. A training image that lists and labels
    miss takes vehicle and camera from its name, and its vehicle's colour and type. Where a list of names is absent, the
    images of its folder stand in. Type number 0 (old releases, vehicles 3, 7 and 41) is unknown. ``time`` is the frame
    number divided by 25, as if frames were numbered at 25 a second: it orders what the set shows, and no more is known
    of it. A track is a line of ``test_track.txt``; where that says nothing, as for all training images, a vehicle at a
    camera.

    Args:
        root: the folder with ``image_train``, ``image_query``, ``image_test`` and, where they are there, the lists.

    Returns:
        Images named ``image_train/…``, ``image_query/…``, ``image_test/…``; all queries are in the gallery too.

    Raises:
        DatasetError: a file is absent, damaged or contradicts another; images or vehicles are for training and testing.
    """
    root = Path(root)
    lists = {split: _names(root, split) for split in FOLDERS}
    labels = {part: _labels(root / name) for part, name in LABELS.items()}
    _check_lists(root, lists, labels["test"])
    # The official training list misses some images of its folder.
    training = [lists["train"], labels["train"].index.to_series(), _folder(root, FOLDERS["train"])]
    names = {**lists, "train": pd.concat(training).drop_duplicates()}
    rows = pd.concat([_rows(split, names[split], labels) for split in FOLDERS], ignore_index=True)
    _check_apart(root, lists, rows)
    rows["track_id"] = rows["vehicle_id"] + "_" + rows["camera_id"]
    _add_tracks(root / "test_track.txt", rows)
    if all((root / LISTS[split]).exists() for split in ("query", "gallery")):
        for name, same_camera in (("gt_index.txt", False), ("jk_index.txt", True)):
            _check_index(root / name, rows[rows["split"] == "query"], rows[rows["split"] == "gallery"], same_camera)
    distances = _camera_distances(root / "camera_Dist.txt", rows["camera_id"])
    counts = rows["split"].value_counts()
    note = NOTE.format(vehicles=rows.loc[rows["split"] == "train", "vehicle_id"].nunique(), **counts)
    return dataset(root, "VeRi-776", rows, (Test("", "veri", vehicles=200),), note, distances)


def _names(root: Path, split: str) -> pd.Series:
    """The images of a split: those of its list, or of its folder where there is no list."""
    if (root / LISTS[split]).exists():
        return listed(root / LISTS[split], NAME)
    names, strange = _folder(root, FOLDERS[split]), _folder(root, FOLDERS[split], other=True)
    if names.empty:
        raise DatasetError(f"{root} holds neither {LISTS[split]} nor images in {FOLDERS[split]}; fetch it again")
    refuse(root / FOLDERS[split], strange, f"do not have the form {NAME.example!r}")
    return names


def _check_apart(root: Path, lists: dict[str, pd.Series], rows: pd.DataFrame) -> None:
    """No image of the training folder, and no vehicle trained on, is tested."""
    train = rows[rows["split"] == "train"]
    tested = train["image"].str.rpartition("/")[2]
    for split in ("gallery", "query"):
        shared = tested[tested.isin(lists[split])]
        if len(shared):
            raise DatasetError(
                f"{len(shared)} images in {root / FOLDERS['train']} are tested: {LISTS[split]} or {FOLDERS[split]} has "
                f"them, too ({', '.join(shared[:SHOWN])}); take them out"
            )
        vehicles = lists[split].str.extract(PARTS)["vehicle_id"]
        refuse_trained(root / LISTS[split], vehicles, root / LISTS["train"], train["vehicle_id"])


def _labels(path: Path) -> pd.DataFrame:
    """Colour and type by image, none without the file; it must agree with the names of its images."""
    if not path.exists():
        return pd.DataFrame({"color": pd.Series(dtype="string"), "type": pd.Series(dtype="string")})
    labels = items(path, ITEM, optional=("colorID", "typeID"))
    names = labels["imageName"]
    refuse(path, names[names.duplicated()], "label an image a second time")
    parts = names.str.extract(PARTS)
    wrong = (labels["vehicleID"].str.zfill(4) != parts["vehicle_id"].str.zfill(4)) | (
        labels["cameraID"] != parts["camera_id"]
    )
    refuse(path, names[wrong], "give an image another vehicle or camera than its name does")
    color, kind = coded(path, labels["colorID"], COLORS, 1), coded(path, labels["typeID"], TYPES, 1)
    return pd.DataFrame({"color": color.array, "type": kind.array}, index=pd.Index(names.array))


def _check_lists(root: Path, lists: dict[str, pd.Series], labels: pd.DataFrame) -> None:
    """No image is for training and for testing, and the test list holds all that is labelled and there."""
    for split in ("query", "gallery"):
        both = lists[split][lists[split].isin(lists["train"])]
        refuse(root / LISTS[split], both, f"name an image that {LISTS['train']} lists, too")
    left = labels.index.difference(pd.Index(lists["gallery"]))
    left = left[left.isin(_folder(root, FOLDERS["gallery"]))]
    if len(left):
        raise DatasetError(
            f"{root / LISTS['gallery']} ends early: {len(left)} images of {LABELS['test']} and of {FOLDERS['gallery']} "
            f"are not in it ({', '.join(left[:10])}); fetch the file again"
        )


def _folder(root: Path, folder: str, *, other: bool = False) -> pd.Series:
    """The images in a folder, sorted, or those of ``other`` names; none if it is absent, which the lists will show."""
    path = root / folder
    try:
        names = pd.Series(sorted(entry.name for entry in path.iterdir()), dtype="string")
    except (FileNotFoundError, NotADirectoryError):
        return pd.Series(dtype="string")
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}; check its permissions") from error
    good = names.str.fullmatch(NAME.pattern)
    return names[names.str.lower().str.endswith(".jpg") & ~good] if other else names[good]


def _rows(split: str, names: pd.Series, labels: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The manifest's rows of one split."""
    names = names.astype("string").reset_index(drop=True)
    table = labels["train" if split == "train" else "test"]
    labelled = table.reindex(names).reset_index(drop=True)
    parts = names.str.extract(PARTS)
    rows = pd.DataFrame({
        "image": f"{FOLDERS[split]}/" + names,
        "split": split,
        "vehicle_id": parts["vehicle_id"],
        "camera_id": parts["camera_id"],
        "time": parts["frame"].astype("int64") / FPS,
    })  # fmt: skip
    unlabelled = ~names.isin(table.index)
    for column in ("color", "type"):
        # What its other images say of a vehicle holds for one that the label file misses.
        own = labelled[column].groupby(rows["vehicle_id"]).transform("first")
        rows[column] = labelled[column].where(~unlabelled, own)
    return rows


def _add_tracks(path: Path, rows: pd.DataFrame) -> None:
    """Put the track names of a list into the test rows, in place; a line without a name takes its first image's."""
    if not path.exists():
        return
    lines = fields(path, TRACK).astype("string")
    unnamed = lines["track"].str.endswith(".jpg")
    images = lines["images"].fillna("").where(~unnamed, lines["track"] + lines["images"].fillna(""))
    track = lines["track"].str.replace(r"_\d+\.jpg$", "", regex=True)
    names = images.str.split().explode().dropna()
    owners = track.reindex(names.index)
    strange = names.str.extract(SEEN)[0] != owners.str.extract(SEEN)[0]
    refuse(path, names[strange], "hold an image of another vehicle or camera")
    refuse(path, names[names.duplicated()], "hold an image that is in a track already")
    by_image = pd.Series(owners.array, index=names.array)
    test = rows["split"] != "train"
    tracks = rows["image"].str.rpartition("/")[2].map(by_image)
    rows.loc[test, "track_id"] = tracks[test].fillna(rows["track_id"])


def _check_index(path: Path, query: pd.DataFrame, test: pd.DataFrame, same_camera: bool) -> None:
    """Compare a list of right answers (``gt``) or junk (``jk``) with the labels, if it is there.

    Line i belongs to query i and holds 1-based places in the test list: the same vehicle, by other cameras or by the
    query's own.
    """
    if not path.exists():
        return
    # A line may be empty (a vehicle that no other camera saw), so only the last line's end is taken off.
    lines = pd.Series(text(path).removesuffix("\n").split("\n")).str.strip()
    lines.index += 1
    refuse(path, lines[~lines.str.fullmatch(r"\d{1,9}(\s+\d{1,9})*|")], "are no row of numbers")
    if len(lines) != len(query):
        raise DatasetError(f"{path}: {len(lines)} lines for {len(query)} queries; fetch the file again")
    counts = lines.str.split().str.len().to_numpy(int)
    places = np.array(" ".join(lines).split(), dtype=np.int64) - 1
    owner = np.repeat(np.arange(len(lines)), counts)
    valid = (places >= 0) & (places < len(test))
    places = np.where(valid, places, 0)
    vehicle = [side["vehicle_id"].to_numpy(object) for side in (query, test)]
    camera = [side["camera_id"].to_numpy(object) for side in (query, test)]
    valid &= vehicle[0][owner] == vehicle[1][places]
    valid &= (camera[0][owner] == camera[1][places]) == same_camera
    wrong = np.unique(owner[~valid])
    refuse(path, lines.iloc[wrong], "name a test image that the labels do not bear out")
    seen = test.groupby(["vehicle_id", "camera_id"]).size()
    near = pd.MultiIndex.from_frame(query[["vehicle_id", "camera_id"]]).map(seen).fillna(0).to_numpy(int)
    all_ = query["vehicle_id"].map(test["vehicle_id"].value_counts()).fillna(0).to_numpy(int)
    short = counts != (near if same_camera else all_ - near)
    refuse(path, lines[short], "do not name each test image once that the labels call for")


def _camera_distances(path: Path, cameras: pd.Series) -> pd.DataFrame | None:
    """Metres between cameras c001, c002, … from a square of numbers; None if the file is absent.

    One half of the square may be left at 0: the distance counts both ways.
    """
    if not path.exists():
        return None
    number = r"\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?"
    form = Form(rf"(?P<row>{number}(?:[\s,]+{number})*)", "0 12.5 301")
    lines = fields(path, form)["row"].str.split(r"[\s,]+", regex=True)
    refuse(path, lines[lines.str.len() != len(lines)].str.join(" "), f"have not {len(lines)} numbers, one a line")
    metres = np.array(lines.tolist(), dtype=np.float64)
    names = [f"c{camera + 1:03d}" for camera in range(len(metres))]
    if unknown := sorted(set(cameras) - set(names)):
        raise DatasetError(f"{path}: distances of {len(names)} cameras, none of {', '.join(unknown)}")
    if not np.isfinite(metres).all():
        raise DatasetError(f"{path}: a distance is not finite; fetch the file again")
    return pd.DataFrame(np.maximum(metres, metres.T), index=names, columns=names)


BENCHMARK = Benchmark(
    name="veri776",
    title="VeRi-776",
    folders=("VeRi", "VeRi_with_plate", "VeRi-776"),
    marker=("name_train.txt", "image_train"),
    ask="Ask its authors for it (vehiclereid.github.io/VeRi, a form to sign).",
    source="X. Liu, W. Liu, T. Mei, H. Ma: A Deep Learning-Based Approach to Progressive Vehicle Re-identification for "
    "Urban Surveillance, ECCV 2016",
    release={
        "train": {"images": 37778, "vehicles": 576, "cameras": 20},
        "query": {"images": 1678, "vehicles": 200, "cameras": 19},
        "gallery": {"images": 11579, "vehicles": 200, "cameras": 19},
    },
    load=load,
    protocol="veri",
    labels=frozenset({"camera_id", "color", "type", "track_id", "time"}),
)
