"""The door through which a dataset's files come in: folders found, lists read line by line, images counted.

Files of a dataset are somebody else's: nothing in them is trusted. Every refusal is one :class:`DatasetError` that
names the file, the line where there is one, and what to do.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib.data.manifest import Dataset
from reidlib.places import data_dir

SHOWN = 10  # examples that a message names
DEPTH, BREADTH = 2, 64  # how far below a folder a dataset is looked for, and in folders of how many folders at most
ENCODINGS = ("utf-8-sig", "gb18030")  # the second holds GBK and gb2312


class DatasetError(ValueError):
    """A dataset's files are not what they should be: the message names file, line and what to do."""


class Form(NamedTuple):
    """How a line of a list, or a value in it, must look.

    Attributes:
        pattern: a regular expression that all of it must match.
        example: what a reader is told instead.
    """

    pattern: str
    example: str


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
        labels: the manifest's columns that its release has something to say of, beside image, split and vehicle.
        lists: patterns of the files, and folders of images, by whose times and sizes a change shows.
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
    labels: frozenset[str] = frozenset()
    lists: tuple[str, ...] = ("*",)
    parts: Callable[[pd.DataFrame], Mapping[str, pd.Series]] = lambda table: {}

    def candidates(self, given: str | Path | None) -> list[Path]:
        """Where the dataset is looked for: in the given folder or just below it, else in the data folder."""
        names = (self.name, *self.folders)
        if given is not None:
            given = Path(given).expanduser()
            return [given, *(given / name for name in names)]
        return [data_dir() / name for name in names]

    def find(self, given: str | Path | None = None) -> Path:
        """The dataset's folder, also where it was unpacked into a folder of its own name.

        Raises:
            FileNotFoundError: it is in none of the places, or they may not be read; the message lists them, says what
                is there instead, and whom to ask.
            DatasetError: several folders below could be it.
        """
        places = self.candidates(given)
        for place in places:
            if self.is_in(place):
                return place
        below = dict.fromkeys(folder for place in places for folder in _folders(place, DEPTH) if self.is_in(folder))
        depth = min((len(folder.parts) for folder in below), default=0)
        nested = [folder for folder in below if len(folder.parts) == depth]
        if len(nested) > 1:
            raise DatasetError(f"{self.title} could be any of {', '.join(map(str, nested))}: name its folder")
        if nested:
            return nested[0]
        raise FileNotFoundError(
            f"{self.title} was not found: none of {', '.join(map(str, places))} holds {' or '.join(self.marker)}. "
            f"{self.ask} Then name its folder with data_root, or put it into the folder that REIDLIB_DATA names."
            + _holdings(places)
        )

    def is_in(self, folder: Path) -> bool:
        """Whether one of its markers lies in a folder."""
        return any(os.path.exists(folder / marker) for marker in self.marker)

    def state(self, root: Path) -> tuple[tuple[str, int, int], ...]:
        """Names, times and sizes of its lists, and of its folders: what changes when they do."""
        paths = [root, *sorted(path for pattern in self.lists for path in root.glob(pattern))]
        return tuple((str(path), (found := path.stat()).st_mtime_ns, found.st_size) for path in paths)


def _folders(place: Path, depth: int) -> Iterator[Path]:
    """The folders in a folder and below, but none in those that hold many."""
    try:
        with os.scandir(place) as entries:
            inner = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return
    for name in inner if len(inner) <= BREADTH else []:
        yield place / name
        if depth > 1:
            yield from _folders(place / name, depth - 1)


def _holdings(places: Sequence[Path]) -> str:
    """What the first of some folders that is there holds instead."""
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        return ""
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f" ({folder} holds {', '.join(names[:SHOWN]) or 'nothing'}{more}.)"


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


def fields(path: Path, form: Form, *, header: str | None = None) -> pd.DataFrame:
    r"""The lines of a list as a frame of strings, one column a named group, with the line numbers as its index.

    Args:
        path: the list; empty lines are left out, spaces and carriage returns at both ends of a line removed.
        form: of a line.
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
    pattern = re.compile(form.pattern)
    rows = [match.groups() if (match := pattern.fullmatch(line)) else None for line in lines]
    wrong = [place for place, row in enumerate(rows) if row is None]
    bad = pd.Series([lines[place] for place in wrong], index=[numbers[place] for place in wrong], dtype=str)
    refuse(path, bad, f"do not have the form {form.example!r}")
    return pd.DataFrame(rows, index=pd.Index(numbers), columns=list(pattern.groupindex), dtype=str)


def listed(path: Path, form: Form) -> pd.Series:
    """The lines of a list of names, by line number.

    Raises:
        DatasetError: as for :func:`fields`, or a name stands twice.
    """
    names = fields(path, Form(f"(?P<name>{form.pattern})", form.example))["name"].astype("string")
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
        examples = "; ".join(f"line {number}: {str(line)[:80]!r}" for number, line in lines.head(SHOWN).items())
        raise DatasetError(f"{path}: {len(lines)} of its lines {problem} ({examples})")


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
    """File sizes of images in bytes, ``[N]``.

    Raises:
        DatasetError: images are listed but absent; all are counted, the first ten named.
    """
    result = stamps(root, names)[:, 0]
    if (result < 0).any():
        # An image may be a query and in the gallery; it is absent once.
        absent = list(dict.fromkeys(name for name, size in zip(names, result, strict=True) if size < 0))
        examples = ", ".join(absent[:SHOWN])
        raise DatasetError(f"{len(absent)} of {len(set(names))} images of {listed_in} are not in {root}: {examples}")
    return result


def stamps(root: Path, names: Sequence[str]) -> np.ndarray:
    """Size in bytes and time of the last change in nanoseconds of files, ``[N, 2]``; −1 where there is none.

    Each folder is scanned once, however many images it holds.
    """
    present: dict[str, tuple[int, int]] = {}
    for folder in dict.fromkeys(name.rpartition("/")[0] for name in names):
        present.update(scan(root, folder))
    return np.array([present.get(name, (-1, -1)) for name in names], dtype=np.int64).reshape(-1, 2)


def scan(root: Path, folder: str) -> dict[str, tuple[int, int]]:
    """Size and time of the plain files in one folder, by their name from the root; empty if there is no such folder."""
    try:
        with os.scandir(root / folder) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise DatasetError(f"{root / folder} cannot be read: {error.strerror}; check its permissions") from error
    return {f"{folder}/{name}" if folder else name: (status.st_size, status.st_mtime_ns) for name, status in files}


def origin(name: str, images: Sequence[str], bytes_each: np.ndarray) -> str:
    """What fixes the pixels of a real dataset: its images' names and file sizes, hashed."""
    digest = hashlib.sha256("\n".join(images).encode())
    digest.update(np.ascontiguousarray(bytes_each, dtype="<i8").tobytes())
    return f"{name} {len(images)} files {digest.hexdigest()}"
