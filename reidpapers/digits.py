"""Handwritten digits as a retrieval set: an identity is a digit, and every test image queries the rest of the test set.

Real MNIST (LeCun et al., 1998) is read from the four files that torchvision publishes and downloads; where they are
not, scikit-learn's small handwritten digits stand in, and the note of the dataset says so.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from reidlib import places
from reidlib.data.manifest import COLUMNS, Dataset, Manifest, Test

if TYPE_CHECKING:
    from torchvision.datasets import MNIST

SOURCES = ("auto", "mnist", "sklearn")
SKLEARN_TRAIN = 1297
SKLEARN_SEED = 0
UBYTE = 0x08  # the element type byte of an IDX header


class Part(NamedTuple):
    """Images, uint8 ``[N, H, W]``, and their digits, ``[N]`` in 0..9."""

    images: np.ndarray
    labels: np.ndarray


class Digits(NamedTuple):
    """Both parts of one source, and the text that fixes their pixels."""

    train: Part
    test: Part
    origin: str


def load(
    root: str | Path | None = None,
    source: str = "auto",
    train: int | None = None,
    test: int | None = None,
    *,
    download: bool = False,
) -> Dataset:
    """MNIST where its files are, else scikit-learn's digits.

    Args:
        root: folder that holds ``MNIST/raw/`` as torchvision lays it out, packed (``.gz``) or unpacked; it is only
            read, unless ``download`` has to fill it. Default: :func:`reidlib.places.data_dir`.
        source: ``"mnist"``, ``"sklearn"``, or ``"auto"``: MNIST if it is there.
        train: keep only the first so many training images; None keeps all.
        test: keep only the first so many test images; None keeps all.
        download: let torchvision fetch MNIST into ``root`` if it is not there (12 MB).

    Returns:
        Images named ``train/00000`` …, ``test/00000`` …, the digit as ``vehicle_id``, every test image as query and in
        the gallery, protocol ``leave_one_out``. ``read`` gives uint8 ``[28, 28, 3]`` (MNIST) or ``[8, 8, 3]``
        (scikit-learn), grey repeated over the channels.

    Raises:
        ValueError: an unknown source, a limit out of range, or a damaged file.
        FileNotFoundError: MNIST was asked for and is absent, or only some of its files are there.
    """
    if source not in SOURCES:
        raise ValueError(f"source {source!r}: allowed are {', '.join(SOURCES)}")
    folder = str(Path(root or places.data_dir()).expanduser())
    source = _choose(folder, source, download)
    digits = _digits(source, folder)
    kept = {"train": _limit("train", train, digits.train), "test": _limit("test", test, digits.test)}
    manifest = Manifest(source, _table(digits, kept), digits.origin)
    return Dataset(manifest, partial(_read, source, folder), (Test("", "leave_one_out"),), _note(source, kept))


def _choose(folder: str, source: str, download: bool) -> str:
    """``mnist`` or ``sklearn``, after any download; a half-filled folder is an error rather than a silent stand-in."""
    if source == "sklearn":
        return source
    missing = _missing(folder)
    if missing and download:
        _published()(folder, download=True)
        missing = _missing(folder)
    if not missing:
        return "mnist"
    if source == "auto" and len(missing) == len(_published().resources):
        return "sklearn"
    raise FileNotFoundError(
        f"MNIST is not complete in {Path(folder, 'MNIST', 'raw')}: {', '.join(missing)} missing. Put the files there, "
        "name their folder with REIDLIB_DATA or root, let torchvision fetch them (download=True), "
        'or take source="sklearn".'
    )


def _published() -> type[MNIST]:
    """torchvision's MNIST; imported where it is needed, since it takes as long as torch to load."""
    from torchvision.datasets import MNIST

    return MNIST


def _missing(folder: str) -> list[str]:
    """Names of the published MNIST files that are there neither packed nor unpacked."""
    return [name for name, _ in _published().resources if not any(path.is_file() for path in _paths(folder, name))]


def _paths(folder: str, name: str) -> tuple[Path, Path]:
    """Where a published file may lie: packed and unpacked."""
    packed = Path(folder, "MNIST", "raw", name)
    return packed, packed.with_suffix("")


def _limit(name: str, limit: int | None, part: Part) -> int:
    """How many images of a part to keep."""
    size = len(part.labels)
    if limit is None:
        return size
    if not 1 <= limit <= size:
        raise ValueError(f"{name} {limit}: allowed are 1 to {size} images, or None for all")
    return limit


def _table(digits: Digits, kept: dict[str, int]) -> pd.DataFrame:
    """The manifest's rows; test images stand in the query and in the gallery."""
    parts = []
    for split, part in (("train", "train"), ("query", "test"), ("gallery", "test")):
        labels = getattr(digits, part).labels[: kept[part]]
        names = [f"{part}/{i:05d}" for i in range(len(labels))]
        parts.append(pd.DataFrame({"image": names, "split": split, "vehicle_id": labels.astype(str)}))
    return pd.concat(parts, ignore_index=True).reindex(columns=list(COLUMNS))


def _note(source: str, kept: dict[str, int]) -> str:
    """One sentence that says which digits these are."""
    counts = f"{kept['train']:,} training and {kept['test']:,} test images"
    if source == "mnist":
        return f"MNIST's handwritten digits: {counts} of 28×28 pixels."
    return f"scikit-learn's handwritten digits, a small stand-in for MNIST: {counts} of 8×8 pixels."


def _read(source: str, folder: str, image: str) -> np.ndarray:
    """Pixels of one image, uint8 ``[H, W, 3]``."""
    part, index = image.split("/")
    grey = getattr(_digits(source, folder), part).images[int(index)]
    return np.repeat(grey[:, :, None], 3, axis=2)


@lru_cache(maxsize=2)
def _digits(source: str, folder: str) -> Digits:
    """Both parts in memory, once a process (55 MB for MNIST)."""
    return _mnist(folder) if source == "mnist" else _sklearn()


def _mnist(folder: str) -> Digits:
    """The four published files, checked; packed and unpacked copies have the same origin."""
    data = {name: _content(folder, name, md5) for name, md5 in _published().resources}
    arrays = [_idx(name, content) for name, content in data.items()]
    parts = [Part(*arrays[:2]), Part(*arrays[2:])]
    for part, name in zip(parts, ("train", "t10k"), strict=True):
        if part.images.ndim != 3 or part.labels.shape != part.images.shape[:1]:
            raise ValueError(f"MNIST {name}: images {part.images.shape} and labels {part.labels.shape} do not match")
    lines = [f"{name} {len(content)} {hashlib.md5(content).hexdigest()}" for name, content in data.items()]
    return Digits(*parts, origin="\n".join(["MNIST", *lines]))


def _content(folder: str, name: str, md5: str) -> bytes:
    """One file's content, unpacked in memory, so that a folder without write permission will do."""
    packed, plain = _paths(folder, name)
    if not packed.is_file():
        return plain.read_bytes()
    data = packed.read_bytes()
    if (actual := hashlib.md5(data).hexdigest()) != md5:
        raise ValueError(f"{packed} is damaged: md5 {actual}, published {md5}; delete it and fetch it again")
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{packed} is damaged: {error}; delete it and fetch it again") from error


def _idx(name: str, content: bytes) -> np.ndarray:
    """The array in an IDX file: 2 zero bytes, element type, rank, a big-endian int32 a dimension, then the elements."""
    rank = content[3] if len(content) > 3 else 0
    start = 4 + 4 * rank
    shape = np.frombuffer(content[4:start], ">i4") if len(content) >= start else np.zeros(0, int)
    if content[:3] != bytes((0, 0, UBYTE)) or rank == 0 or len(content) - start != shape.prod(dtype=np.int64):
        raise ValueError(f"MNIST file {name} is damaged: {len(content)} bytes do not match its header; fetch it again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _sklearn() -> Digits:
    """scikit-learn's 1,797 images of 8×8 pixels, 0..16 stretched to 0..255, split once and for all by a fixed seed."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = (images * 255 / 16).round().astype(np.uint8).reshape(-1, 8, 8)
    order = np.random.default_rng(SKLEARN_SEED).permutation(len(labels))
    train, test = (Part(images[rows], labels[rows]) for rows in np.split(order, [SKLEARN_TRAIN]))
    origin = f"scikit-learn digits {hashlib.md5(images.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()}"
    return Digits(train, test, f"{origin} train {SKLEARN_TRAIN} seed {SKLEARN_SEED}")
