"""A dataset as one validated pandas table: what every adapter makes and everything else reads.

A :class:`Manifest` holds one row an image and split; what a dataset does not know is missing, never invented.
A :class:`Dataset` adds how a row becomes pixels and which protocol its authors prescribe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

SPLITS = ("train", "query", "gallery")
TEXT_COLUMNS = ("image", "split", "vehicle_id", "camera_id", "color", "type", "model", "track_id", "mask")
REQUIRED = ("image", "split", "vehicle_id")
COLUMNS = (
    "image", "split", "vehicle_id", "camera_id", "color", "type", "model", "track_id", "time", "bbox", "mask",
)  # fmt: skip

Reader = Callable[..., np.ndarray]


class MissingLabels(ValueError):
    """A dataset lacks labels that a method learns from: the message names the columns and what to do."""


@dataclass(frozen=True)
class Manifest:
    """One dataset, row by row: validated and sorted when made, never changed afterwards.

    Attributes:
        name: the dataset's name, for titles and error messages.
        table: a frame with exactly :data:`COLUMNS`. ``image``, ``split`` and ``vehicle_id`` are always known;
            ``time`` is in seconds, ``bbox`` is ``(x1, y1, x2, y2)`` in pixels, ``mask`` names a mask image.
            One image may stand twice: once as a query and once in the gallery.
        origin: text that fixes the pixels behind the rows (file sizes, or preset, seed and rendered samples).

    Raises:
        ValueError: a column is missing or unknown, a label is neither text nor a whole number (see :func:`labels`), a
            required value is missing, a split is unknown, an image stands twice in one split, or a box is not four
            ordered numbers. The message names the rows.
    """

    name: str
    table: pd.DataFrame
    origin: str

    def __post_init__(self) -> None:
        table = _typed(self.table, self.name)
        _check_rows(table, self.name)
        # Python sorts a million names three times as fast as pandas does.
        images, splits = table["image"].tolist(), table["split"].to_numpy(object)
        order = [place for split in SPLITS for place in sorted(np.flatnonzero(splits == split), key=images.__getitem__)]
        object.__setattr__(self, "table", table.take(order).reset_index(drop=True))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the rows and the pixels' origin: equal digests mean equal data."""
        return hashlib.sha256(f"{self.origin}\n{_csv(self.table)}".encode()).hexdigest()

    def rows(self, *splits: str) -> pd.DataFrame:
        """The rows of the named splits, in manifest order with a fresh index.

        Raises:
            ValueError: a split is not one of :data:`SPLITS`.
        """
        if unknown := set(splits) - set(SPLITS):
            raise ValueError(f"unknown split {sorted(unknown)}: allowed are {', '.join(SPLITS)}")
        return self.table[self.table["split"].isin(splits)].reset_index(drop=True)

    def has(self, *splits: str) -> frozenset[str]:
        """The columns of which any row of the named splits knows something; without names, any row at all."""
        rows = self.rows(*(splits or SPLITS))
        return frozenset(column for column in COLUMNS if rows[column].notna().any())

    def counts(self) -> dict[str, dict[str, int]]:
        """Images, vehicles, cameras and models of each split that has rows; 0 where the dataset does not say."""
        return self._counts

    @cached_property
    def _counts(self) -> dict[str, dict[str, int]]:
        return {
            split: {
                "images": len(rows),
                "vehicles": rows["vehicle_id"].nunique(),
                "cameras": rows["camera_id"].nunique(),
                "models": rows["model"].nunique(),
            }
            for split in SPLITS
            if len(rows := self.rows(split))
        }

    def holdout(self, vehicles: int, seed: int = 0) -> Manifest:
        """Training identities split in two, for tuning without ever touching a test identity.

        Args:
            vehicles: how many training identities become the test side, as query (one image a vehicle and camera)
                and gallery (all their images).
            seed: which ones.

        Raises:
            ValueError: fewer than ``vehicles + 2`` training identities.
        """
        train = self.rows("train")
        identities = np.sort(train["vehicle_id"].unique())
        if not 0 < vehicles <= len(identities) - 2:
            raise ValueError(f"holdout of {vehicles} vehicles: allowed are 1 to {len(identities) - 2} in {self.name}")
        held = set(np.random.default_rng(seed).permutation(identities)[:vehicles])
        test = train[train["vehicle_id"].isin(held)]
        queries = test.groupby(["vehicle_id", "camera_id"], dropna=False, sort=True).head(1)
        parts = [train[~train["vehicle_id"].isin(held)], queries.assign(split="query"), test.assign(split="gallery")]
        return Manifest(f"{self.name} (holdout)", pd.concat(parts), f"{self.origin}\nholdout {vehicles} {seed}")


@dataclass(frozen=True)
class Test:
    """One of a dataset's test sets and the rule that scores it.

    Attributes:
        name: as tables call it: ``800``, ``small``, ``easy``; empty where a dataset has one test set only.
        protocol: a name in :data:`reidlib.evaluate.protocols.PROTOCOLS`.
        query, gallery: names of the images that take part in either role; None: all rows of that split.
        pairs: for verification, a frame with columns ``first``, ``second`` (image names) and ``same`` (bool).
        threshold_pairs: training pairs of the same form, from which verification takes its threshold.
        vehicles: how many vehicles the set of that name holds in the dataset's release; None where that is not said.
        size: what papers call that size: ``small``, ``medium``, ``large``, ``largest``; empty where they do not.
    """

    name: str
    protocol: str
    query: pd.Index | None = None
    gallery: pd.Index | None = None
    pairs: pd.DataFrame | None = None
    threshold_pairs: pd.DataFrame | None = None
    vehicles: int | None = None
    size: str = ""

    def rows(self, table: pd.DataFrame) -> np.ndarray:
        """Which rows of a manifest's table take part, training rows all among them: ``[N]`` booleans."""
        taken = np.ones(len(table), bool)
        for split, names in (("query", self.query), ("gallery", self.gallery)):
            if names is not None:
                taken &= ((table["split"] != split) | table["image"].isin(names)).to_numpy(bool)
        return taken


@dataclass(frozen=True)
class Dataset:
    """A manifest, how its rows become pixels, and how its authors score it.

    Attributes:
        manifest: the rows.
        read: ``read(image)`` returns uint8 pixels, ``[H, W, 3]``; picklable, so that processes can share the work.
        tests: its test sets, the principal one first.
        note: one sentence that says which data this is; it stands on every page made from it.
        read_mask: ``read_mask(image)`` returns a uint8 mask ``[H, W]``, 0 or 255; None where the dataset has none.
        camera_distances: metres between cameras, a square frame by camera name; None where the dataset has none.
        read_size: ``read_size(image)`` returns (width, height) in pixels without decoding the image; None where only
            its pixels tell.
        root: the folder that image names start from, where images are files; None where they are made. Of files both
            readers also take the bytes, where they were read already: ``read(image, content)``.
    """

    manifest: Manifest
    read: Reader
    tests: tuple[Test, ...]
    note: str
    read_mask: Reader | None = None
    camera_distances: pd.DataFrame | None = None
    read_size: Callable[[str], tuple[int, int]] | None = None
    root: Path | None = None

    def sized(self) -> dict[str, Test]:
        """The test sets by what papers call their size, smallest first; empty where the dataset has one set."""
        return {test.size: test for test in self.tests if test.size}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that is given here beside code: rows, pixels, test sets and distances between cameras."""
        parts = [self.manifest.digest, *(part for test in self.tests for part in _parts(test))]
        if self.camera_distances is not None:
            parts.append(_csv(self.camera_distances.reset_index()))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def codes(values: pd.Series) -> np.ndarray:
    """Integer codes of a label column in sorted order of its names; −1 where the label is missing. Shape ``[N]``."""
    return pd.factorize(values, sort=True)[0].astype(np.int64)


def labels(values: pd.Series, column: str) -> pd.Series:
    """A label column as strings: what comes in must be text, or whole numbers that fit into 64 bits, and not both.

    Everything else would be told apart, or taken for equal, by how it happens to be printed: 1.2 and 1.7 cast to whole
    numbers, the camera 1 and the camera "1", a hash beyond 64 bits.

    Args:
        values: the labels, missing ones as None, NaN or NA.
        column: their name, for the message.

    Raises:
        ValueError: a label of another kind, or of another kind than the first.

    Example:
        >>> labels(pd.Series([7, None, 12], dtype="Int64"), "vehicle_id").tolist()
        ['7', <NA>, '12']
    """
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind == "categorical":
        return labels(values.astype(values.cat.categories.dtype), column)
    if kind in ("string", "empty") or values.isna().all():
        return values.astype("string")
    if kind != "integer":
        first = values.dropna().tolist()[0]
        kinds = sorted({type(value).__name__ for value in values.dropna()})
        raise ValueError(
            f"column {column} holds values of type {', '.join(kinds)}, the first of them {first}: allowed are text, "
            "or whole numbers, and not both; read the column as text"
        )
    bounds = np.iinfo(np.int64)
    if len(outside := [value for value in values.dropna() if not bounds.min <= int(value) <= bounds.max]):
        raise ValueError(
            f"column {column} holds {outside[0]}: allowed are whole numbers of at most 64 bits; read the column as text"
        )
    return values.astype("Int64").astype("string")


def _parts(test: Test) -> list[str]:
    """A test set as text: its name, its rule, and what takes part; "-" where that is all."""
    sides = ["-" if names is None else "\n".join(map(str, names)) for names in (test.query, test.gallery)]
    pairs = ["-" if frame is None else _csv(frame) for frame in (test.pairs, test.threshold_pairs)]
    return [test.name, test.protocol, *sides, *pairs]


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.6f", lineterminator="\n")


def _typed(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The same rows with exactly the manifest's columns and types."""
    wrong = set(COLUMNS) ^ set(table.columns)
    if wrong:
        raise ValueError(f"manifest of {name}: columns {sorted(wrong)} are missing or unknown; allowed are {COLUMNS}")
    table = table[list(COLUMNS)].reset_index(drop=True)
    try:
        text = {column: labels(table[column], column) for column in TEXT_COLUMNS}
    except ValueError as error:
        raise ValueError(f"manifest of {name}: {error}") from error
    return table.assign(**text, time=table["time"].astype("Float64"), bbox=table["bbox"].astype(object))


def _check_rows(table: pd.DataFrame, name: str) -> None:
    """Refuse rows that no later stage could make sense of, naming the first of them."""
    if table.empty:
        raise ValueError(f"manifest of {name} is empty")
    boxes = table["bbox"]
    problems = {
        **{f"{column} missing": table[column].isna() for column in REQUIRED},
        f"split not one of {SPLITS}": ~table["split"].isin(SPLITS).fillna(False),
        "image listed twice in one split": table.duplicated(["split", "image"]),
        "bbox not (x1, y1, x2, y2) with x1 < x2 and y1 < y2": boxes.notna() & ~boxes.map(_is_box).astype(bool),
    }
    for problem, rows in problems.items():
        if rows.any():
            examples = ", ".join(f"{i}: {table['image'][i]}" for i in table.index[rows][:10])
            raise ValueError(f"manifest of {name}: {problem} in {int(rows.sum())} rows ({examples})")


def _is_box(box: object) -> bool:
    """Whether a box holds four numbers with a positive width and height."""
    return isinstance(box, tuple) and len(box) == 4 and box[0] < box[2] and box[1] < box[3]
