"""Scores of anyone's features: ``python -m reidlib evaluate FEATURES --labels labels.csv --protocol veri``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import normalize

from reidlib.data.manifest import SPLITS
from reidlib.evaluate import protocols, rerank
from reidlib.evaluate.metrics import TIES, Scores

NEEDED = ("image", "vehicle_id")
OPTIONAL = ("camera_id", "model")
CHOICES = tuple(name for name, protocol in protocols.PROTOCOLS.items() if protocol.tasks)
ARRAY, NAMES = "features", "image"  # what a file with several arrays or columns calls them


class Features(NamedTuple):
    """Features of a file.

    Attributes:
        values: float32 or float64 ``[N, D]``, finite.
        names: each row's image, where the file says it; else None.
    """

    values: Tensor
    names: np.ndarray | None


# --- features --------------------------------------------------------------------------------------------------------


def read_features(path: Path) -> Features:
    """Features of a file, one row an image.

    Args:
        path: ``.npy``; ``.npz`` or ``.safetensors`` with one array of numbers, or one that is called ``features``;
            ``.parquet`` or ``.csv``, a column a dimension. An array (``.npz``) or column ``image`` names the rows.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another kind of file, one that cannot be read, no numbers ``[N, D]`` with at least one column, or
            numbers that are not finite.
    """
    if path.suffix not in READERS:
        raise ValueError(f"{path}: files of type {path.suffix!r} are refused: allowed are {', '.join(READERS)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        values, names = READERS[path.suffix](path)
    except Exception as error:  # what a damaged file raises depends on where the damage is
        raise ValueError(f"{path} cannot be read as {path.suffix}: {error}") from error
    values = _numbers(path, np.asarray(values))
    if names is not None and len(names) != len(values):
        raise ValueError(f"{path} names {len(names)} images for {len(values)} rows of features")
    return Features(values, None if names is None else np.asarray(names).astype(str))


def _numbers(path: Path, values: np.ndarray) -> Tensor:
    """Finite numbers ``[N, D]`` in float32, or in float64 where they have more than 32 bits."""
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiu":
        raise ValueError(f"{path} holds {values.dtype} {values.shape}: needed are numbers [N, D], one row an image")
    wide = values.dtype.itemsize > 4
    numbers = torch.from_numpy(np.array(values, np.float64 if wide else np.float32))
    if bad := (~numbers.isfinite().all(1)).nonzero()[:, 0].tolist():
        raise ValueError(f"{path}: {len(bad)} of {len(numbers)} rows hold NaN or infinity, the first is row {bad[0]}")
    return numbers


def _npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    with np.load(path, allow_pickle=False) as arrays:
        return _single(list(arrays), arrays.__getitem__), arrays.get(NAMES)


def _safetensors(path: Path) -> tuple[np.ndarray, None]:
    from safetensors.torch import load_file

    tensors = load_file(path)
    return _single(list(tensors), lambda name: _as_array(tensors[name])), None


def _as_array(tensor: Tensor) -> np.ndarray:
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()  # NumPy has no bfloat16


def _single(names: list[str], read: Callable[[str], np.ndarray]) -> np.ndarray:
    names = [name for name in names if name != NAMES]
    if len(names) != 1 and ARRAY not in names:
        raise ValueError(f"it holds {', '.join(names) or 'nothing'}; needed is one array, or one called {ARRAY!r}")
    return read(ARRAY if ARRAY in names else names[0])


def _frame(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray | None]:
    """Numbers of a table, and the images that it names."""
    names = table.pop(NAMES).to_numpy(str) if NAMES in table else None
    if texts := [str(column) for column in table if not pd.api.types.is_numeric_dtype(table[column])]:
        raise ValueError(f"column {texts[0]!r} holds no numbers; allowed beside them is a column {NAMES!r}")
    return table.to_numpy(), names


def _csv(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """A table with a line of names above it, or without: a first line of numbers is a row."""
    first = pd.read_csv(path, header=None, nrows=1)
    headless = all(pd.api.types.is_numeric_dtype(kind) for kind in first.dtypes)
    return _frame(pd.read_csv(path, header=None if headless else "infer", dtype={NAMES: "string"}))


READERS: dict[str, Callable[[Path], tuple[np.ndarray, np.ndarray | None]]] = {
    ".npy": lambda path: (np.load(path, allow_pickle=False), None),
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".parquet": lambda path: _frame(pd.read_parquet(path)),
    ".csv": _csv,
}


# --- labels ----------------------------------------------------------------------------------------------------------


def read_labels(path: Path, protocol: str) -> pd.DataFrame:
    """Labels of images: ``image, vehicle_id``, and as the protocol needs them ``camera_id``, ``model``; ``split``.

    All are read as text, so that 07 and 7 are two cameras. Without ``split`` each image takes every part that the
    protocol has: under ``veri`` each is a query, and all of them are the gallery.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no table; a needed column is missing; a split is unknown or missing; an image stands twice in
            one split.
    """
    try:
        table = pd.read_csv(path, dtype="string", keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    if absent := [column for column in NEEDED if column not in table]:
        raise ValueError(f"{path} lacks column {', '.join(absent)}: needed are {', '.join(NEEDED)}")
    table = table.reindex(columns=[*table.columns, *(name for name in OPTIONAL if name not in table)])
    if "split" not in table:
        table = pd.concat([table.assign(split=split) for split in protocols.splits(protocol)], ignore_index=True)
    if not table["split"].isin(SPLITS).all():
        wrong = table["split"][~table["split"].isin(SPLITS)].iloc[0]
        raise ValueError(f"{path}: split {wrong!r} is refused: allowed are {', '.join(SPLITS)}")
    if (twice := table.duplicated(["split", "image"])).any():
        raise ValueError(f"{path}: {int(twice.sum())} images stand twice in one split: {table['image'][twice].iloc[0]}")
    return table


def matched(features: Features, table: pd.DataFrame) -> Tensor:
    """A feature for each row of labels: by its image's name where the features have names, else by its place.

    Raises:
        ValueError: an image has no feature or two, or nameless features are not as many as the labelled images.
    """
    images = pd.Index(table["image"].astype(str))
    if features.names is None:
        if len(features.values) == len(table):
            return features.values
        order, unique = pd.factorize(images)
        if len(features.values) != len(unique):
            raise ValueError(f"{len(features.values)} features for {len(unique)} labelled images: one each is needed")
        return features.values[torch.from_numpy(order)]
    names = pd.Index(features.names)
    if names.has_duplicates:
        raise ValueError(f"the features name {names[names.duplicated()][0]} twice")
    if len(absent := images.difference(names)):
        raise ValueError(f"{len(absent)} labelled images have no feature: {', '.join(absent[:3])}")
    return features.values[torch.from_numpy(names.get_indexer(images))]


# --- scores ----------------------------------------------------------------------------------------------------------


def per_query(scores: Scores, table: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """AP, INP, AP of the first 100 results, and first match's rank of each query; of several draws the first's."""
    queries = table.iloc[protocols.PROTOCOLS[protocol].tasks(table)[0].query].reset_index(drop=True)
    results = {"ap": scores.ap, "inp": scores.inp, "ap100": scores.ap100, "first_match": scores.first}
    return queries[["image", "vehicle_id", "camera_id"]].assign(**results)


def described(scores: Scores, protocol: str) -> str:
    """Scores in percent, and what they are of."""
    names = {"mAP": scores.mAP, "mINP": scores.mINP, "mAP@100": scores.mAP100}
    names |= {f"top{k}": scores.top(k) for k in (1, 5, 10, 20)}
    draws = f", mean of {len(scores.draws)} draws" if scores.draws else ""
    return (
        "  ".join(f"{name} {100 * value:.2f}" for name, value in names.items())
        + f"\n{len(scores.ap):,} queries, {scores.unmatched:,} without a match; protocol {protocol}{draws}"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``evaluate``; ``command`` is set, which takes what was parsed."""
    parser.add_argument("features", type=Path, help="npy, npz, safetensors, parquet or csv, one row an image")
    columns = ", ".join((*NEEDED, *OPTIONAL, "split"))
    parser.add_argument("--labels", type=Path, required=True, metavar="CSV", help=f"columns {columns}")
    parser.add_argument("--protocol", choices=CHOICES, default="veri", help="who may match whom (default: %(default)s)")
    parser.add_argument("--distance", choices=tuple(protocols.DISTANCES), default="euclidean")
    parser.add_argument("--ties", choices=TIES, default="pessimistic", help="(default: %(default)s)")
    parser.add_argument("--rerank", action="store_true", help="k-reciprocal re-ranking (Zhong et al., CVPR 2017)")
    for name, kind, default, help in (
        ("k1", int, 20, "neighbours that encode an image"),
        ("k2", int, 6, "images whose encodings are averaged"),
        ("weight", float, 0.3, "of the plain distance, 0 to 1"),
    ):
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"{help} (default: %(default)s)")
    parser.add_argument("--queries", type=Path, metavar="CSV", help="write each query's results there")
    parser.set_defaults(command=_evaluate)


def _evaluate(given: argparse.Namespace) -> int:
    table = read_labels(given.labels, given.protocol)
    features, distance = matched(read_features(given.features), table), given.distance
    if given.rerank:
        features = normalize(features) if distance == "cosine" else features  # of unit length both rank alike
        distance = partial(rerank.k_reciprocal, k1=given.k1, k2=given.k2, weight=given.weight)
    scores = protocols.evaluate(given.protocol, features, table, distance=distance, ties=given.ties)
    print(described(scores, given.protocol))
    if given.queries:
        per_query(scores, table, given.protocol).to_csv(given.queries, index=False)
        print(f"wrote {given.queries}")
    return 0


def write_features(path: Path, features: Tensor, images: Sequence[str]) -> None:
    """Features ``[N, D]`` and their images' names as a ``.npz`` that :func:`read_features` reads."""
    from reidlib.places import draft_of

    with draft_of(path) as draft, draft.open("wb") as file:
        np.savez(file, **{ARRAY: features.numpy(), NAMES: np.asarray(images, str)})
