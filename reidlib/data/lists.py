"""What the datasets that come as plain lists share: checks between lists, and the dataset made of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from reidlib.data.files import DatasetError, origin, refuse, sizes
from reidlib.data.manifest import COLUMNS, Dataset, Manifest, Test
from reidlib.data.pictures import image_size, masks, read_image, read_mask_of


def refuse_repeated(path: Path, images: pd.Series) -> None:
    """Stop if a list names an image twice.

    Args:
        path: the list.
        images: what it names, by line number.
    """
    refuse(path, images[images.duplicated()], "name an image a second time")


def refuse_shared(path: Path, images: pd.Series, other: Path, others: pd.Series) -> None:
    """Stop if a list names images that another one holds and that must not be in both."""
    # The longer list is looked up in the shorter one: a tenth of the time where one has a million names.
    if others.isin(images).any():
        refuse(path, images[images.isin(others)], f"name an image that {other.name} lists, too")


def refuse_trained(path: Path, vehicles: pd.Series, train: Path, trained: pd.Series) -> None:
    """Stop if a test list holds vehicles that are trained on: by its line numbers, and named."""
    both = vehicles[vehicles.isin(trained.unique())]
    refuse(path, both, f"hold a vehicle that {train.name} trains on")


def unended(path: Path) -> bool:
    """Whether a file's last line has no end, which may be all that tells of a cut in the middle of its last field."""
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read() != b"\n"


def pool(tests: Mapping[Path, pd.DataFrame]) -> pd.DataFrame:
    """The rows of several test lists, each image once.

    Args:
        tests: for each list a frame with ``image`` and labels, by line number.

    Raises:
        DatasetError: two lists say different things of an image.
    """
    rows = pd.concat(list(tests.values()), keys=range(len(tests))).drop_duplicates()
    again = rows[rows["image"].duplicated()]
    for number, path in enumerate(tests):
        if number in again.index.get_level_values(0):
            refuse(path, again.loc[number]["image"], "give an image other labels than another list does")
    return rows.reset_index(drop=True)


def present(folder: Path, names: Mapping[str, str], what: str) -> dict[str, Path]:
    """Those of several lists that are there, in their order.

    Args:
        folder: where they lie.
        names: file names by what each is called.
        what: what they are, for the message.

    Raises:
        DatasetError: none is there.
    """
    paths = {key: folder / name for key, name in names.items() if (folder / name).exists()}
    if not paths:
        raise DatasetError(f"{folder} holds no {what}: needed is at least one of {', '.join(names.values())}")
    return paths


def dataset(
    root: Path,
    title: str,
    rows: pd.DataFrame,
    tests: Sequence[Test],
    note: str,
    camera_distances: pd.DataFrame | None = None,
) -> Dataset:
    """A dataset of listed images, each of which must be there.

    Args:
        root: the folder that image names start from.
        title: its name.
        rows: some of the manifest's columns, image names from ``root``.
        tests: its test sets.
        note: which data this is.
        camera_distances: metres between cameras.

    Raises:
        DatasetError: images are absent, or may not be looked at.
    """
    images = rows["image"].to_numpy(object)
    bytes_each = sizes(root, images, listed_in=title)
    rows = rows.assign(mask=masks(root, rows["image"]))
    return Dataset(
        Manifest(title, rows.reindex(columns=list(COLUMNS)), origin(title, images, bytes_each)),
        partial(read_image, root),
        tuple(tests),
        note,
        partial(read_mask_of, root) if rows["mask"].notna().any() else None,
        camera_distances,
        partial(image_size, root),
        root,
    )
