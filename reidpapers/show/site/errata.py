"""Where the papers contradict themselves or their own mathematics, as data: ``errata.csv`` of each paper."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reidpapers.run.papers import FOLDER, PAPERS

KINDS = {
    "mathematics": "a formula, or what is said of one, does not hold",
    "numbers": "printed numbers do not fit each other, or the text does not fit its tables",
    "words": "two places say different things, or a word means nothing",
}


@dataclass(frozen=True)
class Erratum:
    """One place where a paper is wrong.

    Attributes:
        paper: its name.
        where: section, equation or table.
        kind: one of :data:`KINDS`.
        printed: what stands there.
        problem: what contradicts it.
        decision: what is done here.
        tests: those that prove it, ``tests/test_x.py::test_y``; none where there is nothing to compute.
    """

    paper: str
    where: str
    kind: str
    printed: str
    problem: str
    decision: str
    tests: tuple[str, ...]


def read_all(papers: Iterable[str] = PAPERS) -> list[Erratum]:
    """The errata of papers, by their names."""
    return [erratum for paper in papers for erratum in read(FOLDER / paper / "errata.csv", paper)]


def read(path: Path, paper: str) -> list[Erratum]:
    """A paper's errata in the order of its file; none where there is no file.

    Raises:
        ValueError: a line lacks a field or has an unknown kind.
    """
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, strict=True))
    errata = []
    for number, line in enumerate(lines, 2):
        fields = {name: (text or "").strip() for name, text in line.items() if name}
        lacks = [name for name in ("where", "printed", "problem", "decision") if not fields.get(name)]
        if lacks or fields.get("kind") not in KINDS:
            raise ValueError(
                f"{path}:{number}: each line needs where, printed, problem, decision, and a kind of "
                f"{', '.join(KINDS)}; this one lacks {', '.join(lacks) or 'the kind'}"
            )
        errata.append(Erratum(paper=paper, **{**fields, "tests": tuple(fields["tests"].split())}))
    return errata
