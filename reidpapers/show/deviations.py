"""Where a paper's runs are not what the paper says, or what it leaves open: rows of ``deviations.csv``, and options.

A row says what was decided; the values and meanings of its options come from the configuration itself, and an option
that no row names is listed by its own description: so nothing that can be turned is silent.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.display import HTML
from markupsafe import Markup

from reidpapers.run.config import Config
from reidpapers.run.papers import FOLDER
from reidpapers.show.templates import macros

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

STATED, UNUSED = "stated", "unused"
KINDS = {
    "other": "Other than the paper says",
    "reading": "Where the paper can be read in several ways, or contradicts itself",
    "silent": "Where the paper is silent",
    "own": "Options that the paper does not have",
    STATED: "As the paper says",
}
# Which data, on which machine, at which scale: what every run is asked, and no paper's matter.
ELSEWHERE = frozenset(
    {"profile", "dataset", "data_root", "preset", "data_seed", "digits_train", "digits_test", "device", "seed"}
)
PROFILES = ("smoke", "quick", "study", "paper")


@dataclass(frozen=True)
class Deviation:
    """One decision.

    Attributes:
        kind: one of :data:`KINDS`; or ``unused``, for options that are no part of the paper's runs at its own sizes.
        where: section, equation or subject.
        paper: what the paper says of it.
        here: what is done; empty where the options say it.
        options: names of the fields that hold it.
    """

    kind: str
    where: str
    paper: str
    here: str
    options: tuple[str, ...]


def deviations(paper: Paper) -> tuple[Deviation, ...]:
    """Every decision of a paper, and a row for each option that its file does not name."""
    rows = read(FOLDER / paper.name / "deviations.csv", paper.Config)
    named = ELSEWHERE.union(*(row.options for row in rows))
    fields = (name for name in paper.Config.model_fields if name not in named)
    return (*rows, *(Deviation("own", name, "not mentioned", "", (name,)) for name in fields))


@cache
def read(path: Path, config: type[Config]) -> tuple[Deviation, ...]:
    """The rows of a file; none where there is no file.

    Raises:
        ValueError: a row lacks what it needs, or names an option that is none or that another row has.
    """
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            Deviation(**{**line, "options": tuple(line["options"].split())})
            for line in csv.DictReader(file, strict=True)
        ]
    named: set[str] = set()
    for number, row in enumerate(rows, 2):
        wrong = [*_faults(row), *(f"{name} is named before" for name in row.options if name in named)]
        wrong += [f"{name} is no option" for name in row.options if name not in config.model_fields]
        if wrong:
            raise ValueError(f"{path}:{number}: {', '.join(wrong)}")
        named |= set(row.options)
    return tuple(rows)


def _faults(row: Deviation) -> Iterator[str]:
    """What is wrong with a row by itself."""
    if row.kind not in {*KINDS, UNUSED} - {"own"}:
        yield f"kind {row.kind!r} is none of {', '.join(KINDS)}, {UNUSED}"
    if row.kind != UNUSED and not (row.where and row.paper):
        yield "where or paper is empty"
    if row.kind not in (STATED, UNUSED) and not row.here:
        yield "here is empty"


def table(paper: Paper, config: Config | None = None) -> HTML:
    """All of a paper's decisions by their kind, with the options' values at the paper's own sizes and here.

    Args:
        paper: whose.
        config: a run, whose values are shown where they differ; None: none.
    """
    rows = deviations(paper)
    options = {row: [_option(paper, name, config) for name in row.options] for row in rows}
    groups = {title: [(row, options[row]) for row in rows if row.kind == kind] for kind, title in KINDS.items()}
    return HTML(macros("deviations.j2").deviations({title: found for title, found in groups.items() if found}))


def markup(paper: Paper) -> Markup:
    """Both tables, for a page."""
    return Markup(table(paper).data + profiles(paper).data)


def _option(paper: Paper, name: str, config: Config | None) -> Mapping[str, str]:
    """An option's value, and its own description."""
    value, here = getattr(paper.Config(profile="paper"), name), getattr(config, name, None)
    differs = config is not None and here != value
    description = paper.Config.model_fields[name].description
    return {"name": name, "value": shown(value), "here": shown(here) if differs else "", "description": description}


def profiles(paper: Paper) -> HTML:
    """What each profile sets, and what it leaves at its default."""
    values = {profile: paper.Config(profile=profile).model_dump() for profile in PROFILES}
    names = [name for name in paper.Config.model_fields
             if name != "profile" and len({shown(values[profile][name]) for profile in PROFILES}) > 1]  # fmt: skip
    lines = [
        (name, [shown(values[profile][name]) for profile in PROFILES], paper.Config.model_fields[name].description)
        for name in names
    ]
    return HTML(macros("deviations.j2").profiles(PROFILES, lines))


def shown(value: Any) -> str:
    """A value of an option as a reader sees it: ``0.0035``, ``id, color``, ``none``."""
    if isinstance(value, tuple):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else f"{value:,}" if type(value) is int else str(value)
