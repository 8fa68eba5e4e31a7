"""Scores on photographs, read: how runs on rendered vehicles, and what learns nothing, match a folder of real pictures.

:mod:`reidpapers.photographs` computes them. A folder is known by the digest of its pictures, so that those of two are
never taken for one; where a file holds several, the one with the most runs is shown.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

from reidlib.places import write_atomically
from reidpapers.run.records import Record
from reidpapers.show.standing import FOLDER


@dataclass(frozen=True)
class Line:
    """One line of the file.

    Attributes:
        folder: digest of the photographs, its first 16 digits.
        what: a record's name, or what learns nothing.
        computed: when the record was, since its name alone does not tell a run from the same one made anew.
        seed: of the record.
        mAP, top1: in percent.
    """

    folder: str
    what: str
    computed: str
    seed: str
    mAP: float
    top1: float

    @property
    def about(self) -> tuple[str, str, str]:
        """What there is one line of."""
        return self.folder, self.what, self.computed


def path_of(paper: str) -> Path:
    """Where a paper's scores are."""
    return FOLDER / f"photographs-{paper}.csv"


def lines(paper: str) -> list[Line]:
    """All that was found; nothing where there is no file."""
    path = path_of(paper)
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [Line(**{**line, "mAP": float(line["mAP"]), "top1": float(line["top1"])})
                for line in csv.DictReader(file)]  # fmt: skip


def keep(paper: str, found: Iterable[Line]) -> Path:
    """Write lines down, in an order of their own."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Line)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(line) for line in sorted(found, key=lambda line: line.about))
    write_atomically(path_of(paper), text.getvalue())
    _shown.cache_clear()
    return path_of(paper)


def folder(paper: str) -> str:
    """The digest of the photographs that a paper's page shows; empty where there are none."""
    return next((line.folder for line in _shown(paper).values()), "")


def of(paper: str, what: str | Record, measure: str = "mAP") -> float | None:
    """A run's score on these photographs, or that of what learns nothing, in percent; None where it has none."""
    about = (what, "") if isinstance(what, str) else (what.key, what.created)
    line = _shown(paper).get(about)
    return None if line is None else getattr(line, measure)


@cache
def _shown(paper: str) -> dict[tuple[str, str], Line]:
    """The lines of the folder with the most."""
    found = lines(paper)
    counts = Counter(line.folder for line in found)
    most = max(sorted(counts), key=lambda name: counts[name], default="")
    return {(line.what, line.computed): line for line in found if line.folder == most}
