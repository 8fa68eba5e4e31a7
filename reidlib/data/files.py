"""The door through which an official dataset comes in: folders found, lists read line by line, images opened safely.

Files of a dataset are somebody else's: nothing in them is trusted. Every refusal is one :class:`DatasetError` that
names the file, the line where there is one, and what to do.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import pandas as pd
from PIL import Image

from reidlib import places
from reidlib.data.manifest import Dataset

T = TypeVar("T")

SHOWN = 10  # examples that a message names
MASKS = "mask"  # the folder that holds masks, which no official dataset has; exported ones do
LARGEST_IMAGE = 64_000_000  # pixels; the largest photographs of these datasets have about 5 million
ENCODINGS = ("utf-8-sig", "gb18030")  # the second holds GBK and gb2312


class DatasetError(ValueError):
    """A dataset's files are not what they should be: the message names file, line and what to do."""


@dataclass(frozen=True)
class Benchmark:
    """An official dataset: its name, whom to ask for it, and what its release holds.

    Attributes:
        name: as ``dataset`` in a configuration, and the folder looked for in :func:`reidlib.places.data_dir`.
        title: as its authors write it.
        folders: other names its folder goes by.
        marker: files or folders of which one must be there for a folder to be this dataset.
        ask: whom to ask for it.
        source: the paper that published it.
        release: what the release holds, by split or test set: ``{"train": {"images": 37778, "vehicles": 576}}``.
        load: from the dataset's folder to its manifest.
        protocol: the rule by which its authors score it, known without the data.
        parts: rows of a manifest's table that the release counts apart from splits and test sets, by name.
    """

    name: str
    title: str
    folders: tuple[str, ...]
    marker: tuple[str, ...]
    ask: str
    source: str
    release: Mapping[str, Mapping[str, int]]
    load: Callable[[Path], Dataset]
    protocol: str
    parts: Callable[[pd.DataFrame], Mapping[str, pd.Series]] = lambda table: {}

    def candidates(self, given: str | Path | None) -> list[Path]:
        """Where the dataset is looked for: in the given folder or just below it, else in the data folder."""
        names = (self.name, *self.folders)
        if given is not None:
            given = Path(given).expanduser()
            return [given, *(given / name for name in names)]
        return [places.data_dir() / name for name in names]

    def find(self, given: str | Path | None = None) -> Path:
        """The dataset's folder.

        Raises:
            FileNotFoundError: it is in none of the places, or they may not be read; the message lists them and says
                whom to ask.
        """
        places = self.candidates(given)
        for place in places:
            if any(os.path.exists(place / marker) for marker in self.marker):
                return place
        raise FileNotFoundError(
            f"{self.title} was not found: none of {', '.join(map(str, places))} holds {' or '.join(self.marker)}. "
            f"{self.ask} Then name its folder with data_root, or put it into the folder that REIDLIB_DATA names."
        )


def text(path: Path) -> str:
    """A text file, UTF-8 or GBK, with or without a byte-order mark.

    Raises:
        DatasetError: the file is absent, may not be read, or is no text.
    """
    data = content(path)
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise DatasetError(f"{path}, line {line}: binary data where text is expected; fetch the file again")
    for encoding in ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
    raise DatasetError(f"{path}, line {line}: neither UTF-8 nor GBK text; fetch the file again")


def content(path: Path) -> bytes:
    """A file's bytes; absent and forbidden files are named."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DatasetError(f"{path} is absent: the dataset is not complete; fetch it again") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}; check its permissions") from error


def fields(path: Path, pattern: str, *, header: str | None = None) -> pd.DataFrame:
    r"""The lines of a list as a frame of strings, one column a named group, with the line numbers as its index.

    Args:
        path: the list; empty lines are left out, spaces and carriage returns at both ends of a line removed.
        pattern: a regular expression that a whole line must match.
        header: a regular expression of a first line that may be there and is then left out.

    Raises:
        DatasetError: a line does not match (an unfinished last line, too), or the list is empty.
    """
    lines = [line.strip() for line in text(path).split("\n")]
    numbers = [number for number, line in enumerate(lines, 1) if line]
    lines = [line for line in lines if line]
    if header and lines and re.fullmatch(header, lines[0]):
        numbers, lines = numbers[1:], lines[1:]
    if not lines:
        raise DatasetError(f"{path} lists nothing; fetch the file again")
    # One pass of a compiled expression: the string methods of pandas take eight times as long on a million lines.
    form = re.compile(pattern)
    rows = [found.groups() if (found := form.fullmatch(line)) else None for line in lines]
    wrong = [place for place, row in enumerate(rows) if row is None]
    bad = pd.Series([lines[place] for place in wrong], index=[numbers[place] for place in wrong], dtype=str)
    refuse(path, bad, f"does not have the form {pattern}")
    return pd.DataFrame(rows, index=pd.Index(numbers), columns=list(form.groupindex), dtype=str)


def listed(path: Path, pattern: str) -> pd.Series:
    """The lines of a list of names, by line number.

    Raises:
        DatasetError: as for :func:`fields`, or a name stands twice.
    """
    names = fields(path, f"(?P<name>{pattern})")["name"].astype("string")
    refuse(path, names[names.duplicated()], "name an image a second time")
    return names


def refuse(path: Path, lines: pd.Series, problem: str) -> None:
    """Stop if any lines are wrong: all are counted, the first named by number.

    Args:
        path: their file.
        lines: the wrong lines, by line number.
        problem: what is wrong with each.
    """
    if len(lines):
        shown = "; ".join(f"line {number}: {str(line)[:80]!r}" for number, line in lines.head(SHOWN).items())
        raise DatasetError(f"{path}: {len(lines)} of its lines {problem} ({shown})")


def refuse_unsafe(path: Path, names: pd.Series) -> None:
    """Stop at names that lead out of the dataset's folder: absolute ones, and those with ``..``."""
    suspicious = names[names.str.contains(r"\.\.|^/|\\|:|\0", regex=True)]
    bad = suspicious[[not _inside(name) for name in suspicious]]
    refuse(path, bad, "name a file outside the dataset's folder")


def _inside(name: str) -> bool:
    """Whether a name stays within the folder it is looked up in, on any system."""
    parts = PurePosixPath(name).parts
    return bool(parts) and ".." not in parts and not name.startswith("/") and not set(name) & set("\\:\0")


def sizes(root: Path, names: Sequence[str], *, listed_in: str) -> np.ndarray:
    """File sizes of images in bytes, ``[N]``: each folder is scanned once, however many images it holds.

    Raises:
        DatasetError: images are listed but absent; all are counted, the first ten named.
    """
    found: dict[str, int] = {}
    for folder in dict.fromkeys(name.rpartition("/")[0] for name in names):
        found.update(_scan(root, folder))
    result = np.array([found.get(name, -1) for name in names], dtype=np.int64)
    if (result < 0).any():
        # An image may be a query and in the gallery; it is absent once.
        absent = list(dict.fromkeys(name for name, size in zip(names, result, strict=True) if size < 0))
        shown = ", ".join(absent[:SHOWN])
        raise DatasetError(f"{len(absent)} of {len(set(names))} images of {listed_in} are not in {root}: {shown}")
    return result


def _scan(root: Path, folder: str) -> dict[str, int]:
    """Sizes of the plain files in one folder, by their name from the root; empty if there is no such folder."""
    try:
        with os.scandir(root / folder) as entries:
            return {f"{folder}/{e.name}" if folder else e.name: e.stat().st_size for e in entries if e.is_file()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise DatasetError(f"{root / folder} cannot be read: {error.strerror}; check its permissions") from error


def mask_name(image: str) -> str:
    """Where an image's mask lies: ``mask/dir/file.png`` for ``dir/file.jpg``."""
    return f"{MASKS}/{image.rpartition('.')[0]}.png"


def masks(root: Path, images: pd.Series) -> pd.Series:
    """Names of the images' mask files, as :func:`mask_name` gives them; missing where there is no such file."""
    if not os.path.isdir(root / MASKS):
        return pd.Series(pd.NA, index=images.index, dtype="string")
    names = f"{MASKS}/" + images.astype("string").str.replace(r"\.[^./]*$", ".png", regex=True)
    found: dict[str, int] = {}
    for folder in pd.unique(names.str.rpartition("/")[0]):
        found.update(_scan(root, folder))
    return names.where(names.isin(found.keys()))


def origin(name: str, images: Sequence[str], bytes_each: np.ndarray) -> str:
    """What fixes the pixels of a real dataset: its images' names and file sizes, hashed."""
    digest = hashlib.sha256("\n".join(images).encode())
    digest.update(np.ascontiguousarray(bytes_each, dtype="<i8").tobytes())
    return f"{name} {len(images)} files {digest.hexdigest()}"


def read_image(root: Path, name: str) -> np.ndarray:
    """Pixels of one image file, uint8 ``[H, W, 3]``.

    Raises:
        DatasetError: it is truncated, no image, too large to be one of these, or may not be read.
    """
    return _pixels(root / name, "RGB")


def image_size(root: Path, name: str) -> tuple[int, int]:
    """Width and height of one image file, from its header.

    Raises:
        DatasetError: it is no image, too large to be one of these, or may not be read.
    """
    return _opened(root / name, lambda picture: picture.size)


def read_mask(root: Path, name: str, size: tuple[int, int]) -> np.ndarray:
    """A mask file as uint8 ``[H, W]``, 0 or 255; ``size`` is its image's (H, W).

    Raises:
        DatasetError: as for an image, or its size is not its image's.
    """
    mask = _pixels(root / name, "L")
    if mask.shape != size:
        raise DatasetError(f"{root / name}: the mask has {mask.shape[0]}x{mask.shape[1]} pixels, its image {size}")
    return np.where(mask >= 128, 255, 0).astype(np.uint8)


def read_mask_of(root: Path, name: str) -> np.ndarray:
    """The mask of a ``.jpg`` image, by the image's name or the mask's, as :func:`read_mask` gives it.

    Raises:
        DatasetError: as for :func:`read_mask`.
    """
    image = name.removeprefix(f"{MASKS}/").removesuffix(".png").removesuffix(".jpg") + ".jpg"
    width, height = image_size(root, image)
    return read_mask(root, mask_name(image), (height, width))


def _pixels(path: Path, mode: str) -> np.ndarray:
    """A file's pixels in a mode of Pillow."""
    return _opened(path, lambda picture: np.asarray(picture.convert(mode)))


def _opened(path: Path, look: Callable[[Image.Image], T]) -> T:
    """What there is to see in an image file, if it is not too large; the decoder's complaints get the file's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is the narrower limit
            with Image.open(path) as picture:
                if picture.width * picture.height <= LARGEST_IMAGE:
                    return look(picture)
                size = f"{picture.width} x {picture.height}"
    # Decoders fed with garbage raise nearly anything.
    except Exception as error:
        raise DatasetError(f"{path} cannot be decoded: {error}") from error
    raise DatasetError(f"{path}: {size} pixels are refused as too large; allowed are {LARGEST_IMAGE:,} in all")
