"""Tables of a paper as data: named rows, each a change to a base configuration; ours stand beside the printed.

A row is a set of runs, one a seed. :func:`collect` looks records up and never computes; :func:`configurations` says
which runs would fill the tables.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from reidpapers.run import runs
from reidpapers.run.config import Config, ConfigError
from reidpapers.run.datasets import BENCHMARKS, LABELS
from reidpapers.run.provenance import CHECKOUT
from reidpapers.run.records import Record
from reidpapers.run.release import not_the_release
from reidpapers.run.runs import STALE, UNVERIFIED
from reidpapers.run.tuning import applied
from reidpapers.show import ran, standing
from reidpapers.show.claims import by_place, common, interval, metric_name, origin, score
from reidpapers.show.templates import macros

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

BESIDE = 2  # columns at most, that a printed number may stand beside ours
Results = Mapping[str, Sequence[Record]]


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: as shown, and as claims call it; the same in every table where the same runs stand.
        changes: to the base configuration; None for a row that has no runs of its own.
        own: a row that the paper lacks.
        minus: names of two rows whose difference, paired by seed, this row shows.
        seeds: at most so many of the wanted seeds are run, as for one of many values of a parameter; None: all.
        tuned_as: the row whose tuning it has; empty: its own.
    """

    name: str
    changes: Mapping[str, Any] | None = field(default_factory=dict)
    own: bool = False
    minus: tuple[str, str] | None = None
    seeds: int | None = None
    tuned_as: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        number: "Table 2".
        title: what it compares.
        rows: its lines.
        columns: metrics, or names of printed columns.
        datasets: those on which its rows are run; empty: any that has the labels.
        labels: what a dataset must have for its rows to be run, in the manifest's columns; its name alone says whether.
        needs: what must be on disk for it to be filled, if the embedded data cannot.
    """

    number: str
    title: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...] = ("mAP", "top1", "top5")
    datasets: tuple[str, ...] = ()
    needs: str | None = None
    labels: tuple[str, ...] = ()

    def fits(self, dataset: str) -> bool:
        """Whether its rows are run on a dataset."""
        return dataset in (self.datasets or (dataset,)) and LABELS[dataset].issuperset(self.labels)


def scope_rows(scope: str, base: Sequence[Row], tables: Sequence[Table], dataset: str) -> tuple[Row, ...]:
    """Which rows a scope fills: the base rows, or those of every table whose rows are run on the dataset."""
    if scope not in ("base", "all"):
        raise ConfigError(f"scope = {scope!r} is refused here: allowed are base, all; `python -m reidlib run` has it")
    if scope == "base":
        return tuple(base)
    everything = (*base, *(row for table in tables if table.fits(dataset) for row in table.rows))
    return tuple({row.name: row for row in everything if row.changes is not None}.values())


def command(paper: str, base: Config, seeds: Sequence[int]) -> str:
    """The command line of a run of the base configuration, without a row's own options."""
    words = [f"python -m reidlib run {paper} --seeds {' '.join(map(str, seeds))}"]
    usual = {"profile": "quick", "dataset": "rendered", "backbone": "small"}
    words += [f"--{name} {value}" for name, default in usual.items() if (value := getattr(base, name)) != default]
    return " ".join(words) + (" --data_root DIR" if base.data_root else "")


def configurations(rows: Iterable[Row], base: Config, seeds: Sequence[int]) -> dict[str, list[Config]]:
    """The runs behind rows, by the row's name: one configuration a seed; in profile study as the row was tuned."""
    named = {row.name: applied(base, row.tuned_as or row.name, row.changes) for row in rows if row.changes is not None}
    counts = {row.name: row.seeds for row in rows}
    return {name: [base.but(**changes, seed=seed) for seed in list(seeds)[: counts[name]]]
            for name, changes in named.items()}  # fmt: skip


def able(wanted: Mapping[str, Sequence[Config]], paper: Paper) -> tuple[dict[str, Sequence[Config]], dict[str, str]]:
    """The runs that the data allow, by row, and why each other row is refused: its method needs what they lack."""
    allowed, refused = {}, {}
    for name, configs in wanted.items():
        try:
            paper.data(configs[0])
            allowed[name] = configs
        except ConfigError as error:
            refused[name] = str(error)
    return allowed, refused


def collect(
    rows: Iterable[Row], base: Config, seeds: Sequence[int], paper: Paper, *, committed: bool = True
) -> dict[str, list[Record]]:
    """The records that are there for rows, by the row's name, one a seed; computes nothing.

    Where there are several of one run, such as a committed one and the user's own, they are taken from the origin of
    which there are most, so that a run of one's own does not stand alone among others that it cannot be paired with.
    """
    wanted = configurations(rows, base, seeds)
    looked_up = {
        name: [runs.candidates(config, paper, committed=committed) for config in configs]
        for name, configs in wanted.items()
    }
    every = [record for found in looked_up.values() for several in found for record in several]
    counts = Counter(origin(record) for record in every)
    return {
        name: [max(several, key=lambda record: counts[origin(record)]) for several in found if several]
        for name, found in looked_up.items()
    }


@cache
def printed(paper: str) -> dict[tuple[str, str, str], str]:
    """Every printed number of a paper by (table, row, column)."""
    path = CHECKOUT / "reidpapers" / paper / "printed.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {(line["table"], line["row"], line["column"]): line["value"] for line in csv.DictReader(file)}


def value(paper: str, table: str, row: str, column: str) -> float | None:
    """One printed score, in points; None where it is lost."""
    text = printed(paper).get((table, row, column))
    return None if text is None else float(text)


def to_html(
    table: Table,
    results: Results,
    paper: str,
    command: str,
    dataset: str = "rendered",
    links: Mapping[str, str] | None = None,
) -> str:
    """A table as HTML: ours (mean ± half of the 95% interval, in percent) beside the printed, the number of seeds.

    Above the rows stands what their worlds let anyone reach without learning, as far as these were looked over.
    No printed number stands beside runs on data that bear a release's name and are not that release.

    Args:
        table: which.
        results: records by row name.
        paper: whose printed numbers.
        command: the command line that fills a row, without the row's own options.
        dataset: which data the results are of; a table of other data shows none of them.
        links: where the records behind a row are, by its name; our numbers lead there.
    """
    fits, lines = table.fits(dataset), []
    ours = results if fits else {}
    foreign = next((words for row in table.rows for record in results.get(row.name, ())
                    if (words := not_the_release(record))), "")  # fmt: skip
    numbers = {} if foreign else printed(paper)
    for row in table.rows:
        records = ours.get(row.name, [])
        lines.append({
            "row": row, "link": (links or {}).get(row.name), "seeds": len(records), "state": state(records),
            "trunk": ran.instead(row.name, behind(row, ours)),
            "cells": [(_ours(row, ours, column), numbers.get((table.number, row.name, column), "–"))
                      for column in table.columns],
            "command": command + options(row.changes) if fits and row.changes is not None and not records else "",
        })  # fmt: skip
    noted = any(line["command"] or line["state"] for line in lines)
    shown = [record for row in table.rows for record in ours.get(row.name, ())]
    return macros("tables.j2").results(
        table, _columns(table, numbers), lines, noted, "" if fits else _fill(table, command), foreign,
        standing.references(shown, table.columns),
    )  # fmt: skip


def _columns(table: Table, numbers: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
    """Each column's title, and where its printed numbers stand: beside ours, or below where columns are many."""
    place = "beside" if len(table.columns) <= BESIDE else "below"
    with_printed = {column for number, _, column in numbers if number == table.number}
    return [
        {"title": metric_name(column), "printed": place if column in with_printed else ""} for column in table.columns
    ]


def _fill(table: Table, command: str) -> str:
    """The one command that fills a table of other data."""
    words = re.sub(r" --(dataset|data_root) \S+", "", command)
    dataset = next(name for name in table.datasets or LABELS if table.fits(name))
    words += f" --scope all --dataset {dataset}" + (" --data_root DIR" if dataset in BENCHMARKS else "")
    return words


def parted(table: Table, results: Results, dataset: str = "rendered") -> tuple[Table, Table]:
    """The rows of a table that have a number of ours, and those that have none, each as a table of its own."""
    found = results if table.fits(dataset) else {}
    ours = [row for row in table.rows if any(_ours(row, found, column) != "–" for column in table.columns)]
    return replace(table, rows=tuple(ours)), replace(table, rows=tuple(row for row in table.rows if row not in ours))


def state(records: Iterable[Record]) -> str:
    """What a reader must know of records' freshness: "stale" or "unverified" if any of them is, else empty."""
    states = {record.freshness for record in records}
    return next((word for word in (STALE, UNVERIFIED) if word in states), "")


def to_text(results: Results, columns: Sequence[str]) -> str:
    """Rows as plain text: number of seeds and mean scores, for a terminal."""
    results = {ran.named(name, records): records for name, records in results.items()}
    width = max(map(len, results))
    heads = "  ".join(f"{metric_name(column):>8}" for column in columns)
    lines = [f"{'':{width}}  seeds  {heads}   (percent, means)"]
    for name, records in results.items():
        scores = [[score(record, column) for record in records if has(record, column)] for column in columns]
        means = [f"{interval(values)[0]:8.1f}" if values else f"{'–':>8}" for values in scores]
        lines.append(f"{name:{width}}  {len(records):5d}  " + "  ".join(means))
    return "\n".join(lines)


def behind(row: Row, results: Results) -> list[Record]:
    """The records of a row, or of the two whose difference it is."""
    return [record for name in row.minus or (row.name,) for record in results.get(name, ())]


def _ours(row: Row, results: Results, column: str) -> str:
    """What stands in a row's cell: its mean, or the difference of the two rows that it is about."""
    return _difference(row.minus, results, column) if row.minus else cell(results.get(row.name, []), column)


def cell(records: Sequence[Record], column: str) -> str:
    """Mean ± half-width over seeds, in percent; "–" where there are no runs."""
    return _summary([score(record, column) for record in records if has(record, column)])


def has(record: Record, column: str) -> bool:
    """Whether a record holds a score."""
    try:
        score(record, column)
    except KeyError:
        return False
    return True


def _difference(rows: tuple[str, str], results: Results, column: str) -> str:
    """Mean difference of two rows over their common seeds, in points."""
    first, second = (by_place(results.get(name, [])) for name in rows)
    places = sorted(common(first, second))
    return _summary([score(first[place], column) - score(second[place], column) for place in places])


def _summary(values: Sequence[float]) -> str:
    if not values:
        return "–"
    mean, half = interval(values)
    text = f"{mean:.1f}".replace("-", "−")
    return text if half is None else f"{text}&nbsp;±&nbsp;{half:.1f}"


def options(changes: Mapping[str, Any]) -> str:
    """A row's changes as options of the command line."""
    words = []
    for name, value in changes.items():
        values = value if isinstance(value, list | tuple) else [value]
        words.append(f" --{name} {' '.join(map(str, values))}")
    return "".join(words)
