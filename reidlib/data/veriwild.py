"""VERI-Wild from its folder: lists of images, a folder a vehicle, and one file with all that is known of each image.

Y. Lou, Y. Bai, J. Liu, S. Wang, L.-Y. Duan: VERI-Wild: A Large Dataset and a New Method for Vehicle Re-Identification
in the Wild, CVPR 2019. Two flavours of the lists are about: names alone (``train_list.txt``), and names with numbers of
identity and camera (``train_list_start0.txt``). The names are used first, but where only the others know the cameras;
the vehicle is always the folder's.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from reidlib.data.files import Benchmark, Form, fields, refuse
from reidlib.data.lists import dataset, pool, present, refuse_repeated, refuse_shared, refuse_trained, unended
from reidlib.data.manifest import Dataset, Test

SIZES = {"small": 3000, "medium": 5000, "large": 10000}
LISTED = Form(r"(?P<image>\d{5}/\d{6})(?:\.jpg)?", "20342/209530")
NUMBERED = Form(rf"{LISTED.pattern}\s+\d+\s+(?P<camera_id>\d+)", "11542/119083.jpg 0 23")
KNOWN = ("camera_id", "time", "model", "type", "color")
INFO = Form(
    LISTED.pattern + "".join(rf"\s*;\s*(?P<{name}>[^;]*?)" for name in KNOWN) + r"\s*",
    "00001/000004;14;2018-03-11 10:30:58;Changan;SUV;white",
)
FOLDER = "train_test_split"  # of the lists, which some copies have in the root
HEADER = r"\D.*"
NOTE = "VERI-Wild: {train:,} training images of {vehicles:,} vehicles, {query:,} queries on {gallery:,} test images."


def load(root: Path) -> Dataset:
    """VERI-Wild: labels only.

    ``time`` is in seconds since 1970-01-01 00:00 on the cameras' clocks, read as if they showed UTC. Cameras come from
    ``vehicle_info.txt``; what it does not say, the numbered lists do, if both number the cameras alike. Where they do
    not, all cameras are those of the source that knows every image. Other fields that ``vehicle_info.txt`` leaves
    empty, images that it does not hold, and all of them where there is no such file, have their labels missing.

    Args:
        root: the folder with ``images`` and ``train_test_split``, or with ``images`` and the lists.

    Returns:
        Images named ``images/20342/209530.jpg``; queries and gallery of all test lists that are there, and test sets
        ``small``, ``medium`` and ``large`` (3,000, 5,000 and 10,000 vehicles) with their own.

    Raises:
        DatasetError: a file is absent, damaged or contradicts another; an image is listed but absent; images or
            vehicles are for training and testing.
    """
    root = Path(root)
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    info = next((path for path in (folder / "vehicle_info.txt", root / "vehicle_info.txt") if path.exists()), None)
    numbered = info is None  # then only the numbered lists know the cameras
    paths = {"train": _either(folder, "train_list.txt", "train_list_start0.txt", numbered)}
    train = _listed(paths["train"])
    sides: dict[str, dict[str, Path]] = {"query": {}, "gallery": {}}
    for name in _sets(folder):
        size = SIZES[name]
        sides["query"][name] = _either(folder, f"test_{size}_query.txt", f"test_{size}_id_query.txt", numbered)
        sides["gallery"][name] = _either(folder, f"test_{size}.txt", f"test_{size}_id.txt", numbered)
    lists = {path: _listed(path) for side in sides.values() for path in side.values()}
    for path, rows in lists.items():
        refuse_shared(path, rows["image"], paths["train"], train["image"])
        refuse_trained(path, rows["image"].str[:5], paths["train"], train["image"].str[:5])
    pooled = [pool({path: lists[path] for path in side.values()}).assign(split=s) for s, side in sides.items()]
    rows = pd.concat([train.assign(split="train"), *pooled], ignore_index=True)
    rows = rows if info is None else _with_info(rows, _info(info))
    rows["vehicle_id"] = rows["image"].str[:5]
    rows["image"] = _name(rows["image"])
    tests = [
        Test(  # type: ignore[misc]
            name,
            "veriwild",
            *(pd.Index(_name(lists[sides[side][name]]["image"])) for side in ("query", "gallery")),
            vehicles=SIZES[name],
            size=name,
        )
        for name in sides["query"]
    ]
    note = NOTE.format(vehicles=train["image"].str[:5].nunique(), **rows["split"].value_counts())
    return dataset(root, "VERI-Wild", rows, tests, note)


def _name(images: pd.Series) -> pd.Series:
    """Image names from the dataset's folder."""
    return "images/" + images + ".jpg"


def _either(folder: Path, plain: str, numbered: str, prefer_numbered: bool) -> Path:
    """Whichever of two lists is there; if both are, the one of plain names unless the other is preferred."""
    first, second = (numbered, plain) if prefer_numbered else (plain, numbered)
    return folder / (second if (folder / second).exists() and not (folder / first).exists() else first)


def _sets(folder: Path) -> list[str]:
    """The test sets of which a list is there, the smallest first."""
    names = {f"test_{size}{kind}.txt": name for name, size in SIZES.items() for kind in ("", "_id", "_query")}
    return list(dict.fromkeys(names[name] for name in present(folder, {name: name for name in names}, "test list")))


def _listed(path: Path) -> pd.DataFrame:
    """The rows of one list: names, and cameras where it is of the numbered kind."""
    rows = fields(path, NUMBERED if "_id" in path.name or "_start0" in path.name else LISTED)
    refuse_repeated(path, rows["image"])
    return rows


def _with_info(rows: pd.DataFrame, info: pd.DataFrame) -> pd.DataFrame:
    """The rows with all that is known of their images."""
    labels = info.reindex(rows["image"]).reset_index(drop=True)
    if "camera_id" in rows:
        own, listed = labels["camera_id"], rows["camera_id"]
        both = own.notna() & listed.notna()
        if (own == listed)[both].all():
            labels["camera_id"] = own.fillna(listed)
        elif own.isna().any() and listed.notna().all():
            labels["camera_id"] = listed
    return rows.assign(**{column: labels[column] for column in KNOWN})


def _info(path: Path) -> pd.DataFrame:
    """Camera, time in seconds, model, type and colour by image."""
    rows = fields(path, INFO, header=HEADER)
    refuse_repeated(path, rows["image"])
    for column in KNOWN:
        rows[column] = rows[column].where(rows[column] != "")
    last = rows["color"].iloc[-1:]
    if unended(path) and len(rows) > 1 and not last.isin(rows["color"].iloc[:-1]).all():
        refuse(path, last.fillna(""), "is cut short: a colour that no other line has")
    time = pd.to_datetime(rows["time"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    refuse(path, rows["time"][time.isna() & rows["time"].notna()], "give no time of the form 2018-03-11 10:30:58")
    rows["time"] = (time - pd.Timestamp(0)) / pd.Timedelta(seconds=1)
    return rows.set_index("image")


BENCHMARK = Benchmark(
    name="veriwild",
    title="VERI-Wild",
    folders=("VERI-Wild", "VERI_Wild"),
    marker=(
        *(f"{folder}vehicle_info.txt" for folder in (f"{FOLDER}/", "")),
        *(
            f"{folder}test_{size}{kind}.txt"
            for folder in (f"{FOLDER}/", "")
            for size in SIZES.values()
            for kind in ("_query", "_id_query")
        ),
    ),
    ask="Ask its authors for it (github.com/PKU-IMRE/VERI-Wild, a form to sign).",
    source="Y. Lou, Y. Bai, J. Liu, S. Wang, L.-Y. Duan: VERI-Wild: A Large Dataset and a New Method for Vehicle "
    "Re-Identification in the Wild, CVPR 2019",
    release={
        "train": {"images": 277797, "vehicles": 30671},
        "small": {"images": 41861, "vehicles": 3000},
        "medium": {"images": 69389, "vehicles": 5000},
        "large": {"images": 138517, "vehicles": 10000},
    },
    load=load,
    protocol="veriwild",
    labels=frozenset(KNOWN),
    lists=("*", f"{FOLDER}/*"),
)
