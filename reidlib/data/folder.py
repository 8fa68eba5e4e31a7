"""A folder of one's own pictures as a dataset: labelled by a table, by file names, or by one folder a vehicle."""

from __future__ import annotations

import io
import os
import re
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.data.files import SHOWN, DatasetError, origin, refuse, refuse_unsafe, sizes, text
from reidlib.data.manifest import COLUMNS, SPLITS, Dataset, Manifest, Test
from reidlib.data.pictures import image_size, read_image, read_mask
from reidlib.places import data_dir

TABLE, PATTERN = "labels.csv", "pattern.txt"
NAMED = "{vehicle_id}_{camera_id}_*"  # how pictures are named unless pattern.txt says otherwise
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
LABELS = frozenset(COLUMNS) - {"image", "split"}  # that it may have
BOX = r"[\s(\[]*\d+(?:[\s,;]+\d+){3}[\s)\]]*"
NOTE = "Pictures of one's own in {folder}: {images:,} of {vehicles:,} vehicles, {how}."


def load(root: Path, seed: int = 0) -> Dataset:
    """A folder of pictures: labels only.

    Labels come from the first that is there of: ``labels.csv`` with ``image`` and ``vehicle_id`` and any other of the
    manifest's columns (boxes as ``x1 y1 x2 y2``); file names, as ``pattern.txt`` says in one line such as
    ``{vehicle_id}_{camera_id}_*.jpg``; one folder a vehicle; file names of the form :data:`NAMED`.

    Where no splits are given, half of the vehicles are for testing, drawn from the seed among those that can be
    matched: their images are the gallery, and where all cameras are known, the first of each vehicle and camera is a
    query, scored as VeRi-776 is. Without cameras there are no queries, and the rule is VehicleID's.

    Args:
        root: the folder, see :func:`find`.
        seed: of the split.

    Raises:
        DatasetError: there are no pictures, labels are missing or contradict each other, or images are absent.
    """
    rows = (_from_table(root) if (root / TABLE).exists() else _from_names(root)).reindex(columns=list(COLUMNS))
    scored = "veri" if rows["camera_id"].notna().all() else "vehicleid"
    how = "splits as given"
    if rows["split"].isna().all():
        rows, how = _split(root, rows, scored, seed), f"split from seed {seed}"
    _check_apart(root, rows)
    images = rows["image"].to_numpy(object)
    manifest = Manifest("folder", rows, origin("folder", images, sizes(root, images, listed_in=TABLE)))
    masks = dict(rows.loc[rows["mask"].notna(), ["image", "mask"]].itertuples(index=False, name=None))
    number = {"images": rows["image"].nunique(), "vehicles": rows["vehicle_id"].nunique()}
    return Dataset(
        manifest, partial(read_image, root), (Test("", scored),), NOTE.format(folder=root.name, how=how, **number),
        partial(_mask, root, masks) if masks else None, None, partial(image_size, root), root,
    )  # fmt: skip


def find(root: str | Path | None) -> Path:
    """The folder that is meant, by default ``folder`` in the data folder; refused if it is absent."""
    root = Path(root or data_dir() / "folder").expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is no folder: name the one of your pictures with data_root")
    return root


def state(root: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, times and sizes of the folder, of the folders in it, and of its lists: what changes when they do."""
    inner = _folders(root, root.stat().st_mtime_ns)
    paths = [root, *inner, *(path for path in (root / TABLE, root / PATTERN) if path.exists())]
    return tuple((str(path), (found := path.stat()).st_mtime_ns, found.st_size) for path in paths)


@lru_cache(maxsize=8)
def _folders(root: Path, modified: int) -> tuple[Path, ...]:
    """The folders in a folder, listed once as long as it is not modified: it may hold many pictures."""
    del modified
    with os.scandir(root) as entries:
        return tuple(sorted(Path(entry.path) for entry in entries if entry.is_dir()))


def _from_table(root: Path) -> pd.DataFrame:
    """The rows of labels.csv."""
    path = root / TABLE
    try:
        rows = pd.read_csv(io.StringIO(text(path)), dtype="string", skipinitialspace=True, keep_default_na=False)
    except ValueError as error:
        raise DatasetError(f"{path} is no table of comma-separated values: {error}") from error
    rows = rows.set_axis(rows.index + 2).replace("", pd.NA)  # lines of the file; a vehicle may be called NA
    lacking, unknown = {"image", "vehicle_id"} - set(rows), set(rows) - set(COLUMNS)
    if lacking or unknown:
        raise DatasetError(f"{path}: columns {sorted(lacking)} are missing and {sorted(unknown)} unknown; allowed are "
                           f"{', '.join(COLUMNS)}")  # fmt: skip
    for column in ("image", "vehicle_id"):
        refuse(path, rows["image"].fillna("")[rows[column].isna()], f"lack {column}")
    if "split" in rows and rows["split"].notna().any():
        refuse(path, rows["split"].fillna("")[~rows["split"].isin(SPLITS)], f"have a split none of {', '.join(SPLITS)}")
    for column in {"image", "mask"} & set(rows):
        refuse_unsafe(path, rows[column].dropna())
    repeated = rows.duplicated(["image", *(["split"] if "split" in rows else [])])
    refuse(path, rows["image"][repeated], "name an image a second time")
    _to_numbers(path, rows)
    return rows.reset_index(drop=True)


def _to_numbers(path: Path, rows: pd.DataFrame) -> None:
    """Times in seconds and boxes of four numbers, in place."""
    if "time" in rows:
        seconds = pd.to_numeric(rows["time"], errors="coerce")
        refuse(path, rows["time"][seconds.isna() & rows["time"].notna()], "give a time that is no number of seconds")
        rows["time"] = seconds
    if "bbox" in rows:
        good = rows["bbox"].isna() | rows["bbox"].str.fullmatch(BOX).fillna(False)
        refuse(path, rows["bbox"][~good], "give a box that is not x1 y1 x2 y2")
        numbers = rows["bbox"].str.findall(r"\d+")
        rows["bbox"] = [tuple(map(int, box)) if isinstance(box, list) else None for box in numbers]


def _from_names(root: Path) -> pd.DataFrame:
    """Rows from the pictures' names, or from those of their folders."""
    names = pd.Series(sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.suffix.lower() in ENDINGS))
    if names.empty:
        raise DatasetError(f"{root} holds neither {TABLE} nor pictures ({', '.join(ENDINGS)})")
    if not (root / PATTERN).exists() and names.str.contains("/").all():
        return pd.DataFrame({"image": names, "vehicle_id": names.str.partition("/")[0]})
    pattern = text(root / PATTERN).strip() if (root / PATTERN).exists() else NAMED
    labels = (names if "/" in pattern else names.str.rpartition("/")[2]).str.extract(_expression(root, pattern))
    strange = names[labels.isna().any(axis=1)]
    if len(strange):
        examples = ", ".join(strange[:SHOWN])
        raise DatasetError(
            f"{root}: {len(strange)} of {len(names)} pictures are not named {pattern!r} ({examples}): "
            f"put a pattern into {PATTERN}, vehicles into folders, or labels into {TABLE} (image,vehicle_id,…)"
        )
    return labels.assign(image=names)


def _expression(root: Path, pattern: str) -> str:
    """A pattern of names as a regular expression."""
    fields = re.findall(r"\{(\w*)\}", pattern)
    allowed = LABELS - {"time", "bbox", "mask"}
    if "vehicle_id" not in fields or not set(fields) <= allowed or len(set(fields)) < len(fields):
        raise DatasetError(
            f"{root / PATTERN}: {pattern!r} is refused: it must hold {{vehicle_id}}, and may hold each other of "
            f"{', '.join(sorted(allowed))} once"
        )
    parts = re.split(r"(\{\w+\}|\*)", pattern)
    return "^" + "".join(
        ".*" if part == "*" else f"(?P<{part[1:-1]}>[^_/]+?)" if part[:1] == "{" else re.escape(part) for part in parts
    ) + "$"  # fmt: skip


def _split(root: Path, rows: pd.DataFrame, scored: str, seed: int) -> pd.DataFrame:
    """Half of the vehicles for testing, of those that have two images, by two cameras if these are known."""
    views = rows.groupby("vehicle_id")["camera_id" if scored == "veri" else "image"].nunique()
    able = np.sort(views.index[views > 1].to_numpy(object))
    if len(able) < 2 or len(views) < 4:
        raise DatasetError(
            f"{root}: {len(views)} vehicles, {len(able)} of them with two "
            f"{'cameras' if scored == 'veri' else 'images'}: at least four and two are needed for training and testing"
        )
    tested = np.random.default_rng(seed).permutation(able)[: min(len(able), len(views) // 2)]
    held = rows["vehicle_id"].isin(tested)
    test = rows[held]
    parts = [rows[~held].assign(split="train"), test.assign(split="gallery")]
    if scored == "veri":
        parts.append(test[~test.duplicated(["vehicle_id", "camera_id"])].assign(split="query"))
    return pd.concat(parts, ignore_index=True)


def _check_apart(root: Path, rows: pd.DataFrame) -> None:
    """No vehicle is trained on and tested, and there is something to train on."""
    train = rows["split"] == "train"
    if not train.any():
        raise DatasetError(f"{root / TABLE}: no image has the split train")
    both = sorted(set(rows["vehicle_id"][train]) & set(rows["vehicle_id"][~train]))
    if both:
        examples = ", ".join(both[:SHOWN])
        raise DatasetError(f"{root / TABLE}: {len(both)} vehicles are for training and for testing: {examples}")


def _mask(root: Path, masks: dict[str, str], name: str, content: bytes | None = None) -> np.ndarray:
    """The mask of an image, by the image's name."""
    width, height = image_size(root, name)
    return read_mask(root, masks[name], (height, width), content)
