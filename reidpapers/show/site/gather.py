"""What the site says of one paper, gathered from its records and tables; nothing is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from reidpapers.run import base, runs
from reidpapers.run.config import Config
from reidpapers.run.papers import FOLDER
from reidpapers.run.records import Record
from reidpapers.show import circumstances, deviations, layout
from reidpapers.show.claims import Verdict
from reidpapers.show.judgement import judged
from reidpapers.show.layout import Row, Table
from reidpapers.show.notebook import machine

PROFILE, SEEDS = "quick", range(5)  # of the tables
JUDGED = "study"  # whose runs bear verdicts


@dataclass(frozen=True)
class Paper:
    """A paper as the site shows it.

    Attributes:
        name: of its module.
        short: what it is called, "MLSL".
        title: of the publication.
        citation: authors, place and year; empty for the comparison.
        summary: what it is about, a paragraph.
        tables: all its tables.
        columns: the scores that its command line shows, the principal one first.
        rows: every row that is run, by name.
        found: the records of each row; and of those that are judged in profile study, as :func:`studied` calls them.
        study: the latter alone, by row.
        varied: the same of the main claim's rows under other circumstances.
        claims: verdicts on what the paper says.
        questions: verdicts on what this suite asks.
        notes: what a reader must know of a row, by its name.
        command: the command line that runs it.
        deviations: what is not as it says, or left open, and what each profile sets, as markup; empty likewise.
        page: file name of its rendered notebook, if that is in the site's folder.
        held: what held and what did not, in a few sentences; empty where nobody has written them.
        usual: the profile's configuration, as JSON values.
    """

    name: str
    short: str
    title: str
    citation: str
    summary: str
    tables: tuple[Table, ...]
    columns: tuple[str, ...]
    rows: Mapping[str, Row]
    found: Mapping[str, Sequence[Record]]
    study: Mapping[str, Sequence[Record]]
    varied: Mapping[str, Sequence[Record]]
    claims: tuple[Verdict, ...]
    questions: tuple[Verdict, ...]
    notes: Mapping[str, str]
    command: str
    deviations: str
    page: str | None
    held: str
    usual: Mapping[str, Any]

    @property
    def records(self) -> list[Record]:
        """Every record behind it, once, by key."""
        return list({record.key: record for found in self.found.values() for record in found}.values())

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Claims, then questions."""
        return (*self.claims, *self.questions)


def gather(paper: base.Paper, folder: Path) -> Paper:
    """A paper from the records in ``folder/<name>/records``."""
    name, tables, config = paper.name, paper.tables, paper.Config(profile=PROFILE)
    rows = tables.rows("all", PROFILE)
    found = _found(rows, config, paper, folder)
    study, varied = (
        {row: records for row, records in _found(of_study, paper.Config(profile=JUDGED), paper, folder).items()
         if records and "worlds" in records[0].data}
        for of_study in judged_rows(paper)
    )  # fmt: skip
    judged_on = _apart(found) | study if study else found
    found |= {studied(row): records for row, records in (study | varied).items()}
    page = f"{name}_ablation.html"
    return Paper(
        name=name, short=paper.short, title=paper.title, citation=paper.citation, summary=paper.summary,
        tables=tables.tables(PROFILE),
        columns=tables.COLUMNS, rows={row.name: row for row in rows}, found=found, study=study, varied=varied,
        claims=tuple(judged(tables.CLAIMS, judged_on)),
        questions=tuple(judged(tables.QUESTIONS, judged_on, asked=True)),
        notes=getattr(tables, "NOTES", {}),
        command=layout.command(name, config, SEEDS), deviations=deviations.markup(paper) if paper.citation else "",
        page=page if (folder / name / page).is_file() else None, held=_held(name), usual=config.portable(),
    )  # fmt: skip


def studied(row: str) -> str:
    """What a row's runs in profile study are called among a page's records."""
    return f"{row}, {JUDGED}"


def judged_rows(paper: base.Paper) -> tuple[Sequence[Row], Sequence[Row]]:
    """The rows of profile study, and those of a paper's main claim under other circumstances."""
    others = circumstances.rows(paper, paper.Config(profile=JUDGED)) if hasattr(paper.tables, "MAIN") else ()
    return paper.tables.rows("all", JUDGED), others


def _found(rows: Sequence[Row], config: Config, paper: base.Paper, folder: Path) -> dict[str, list[Record]]:
    """The records of rows around a configuration; data of which there are none are not looked at."""
    inside = [folder / paper.name / "records"]
    wanted = layout.configurations(rows, config, SEEDS)
    return {row: [record for config in configs if (record := next(runs.within(inside, config, paper), None))]
            for row, configs in wanted.items()}  # fmt: skip


def _apart(found: Mapping[str, Sequence[Record]]) -> dict[str, Sequence[Record]]:
    """Rows on data that are the same in every profile, as handwritten digits are."""
    return {row: records for row, records in found.items() if records and records[0].config["dataset"] != "rendered"}


def _held(name: str) -> str:
    path = FOLDER / name / "held.md"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


@dataclass(frozen=True)
class Cost:
    """What the runs of a row cost: medians over its seeds.

    Attributes:
        steps: of training, of this run alone.
        seconds: of training.
        speed: images a second.
        parameters: of the network.
        flops: of an image.
    """

    steps: int
    seconds: float
    speed: float
    parameters: int
    flops: float


def cost(found: Sequence[Record]) -> Cost:
    """Cost of a row's runs."""
    middle = {key: median(record.cost[key] for record in found) for key in found[0].cost}
    return Cost(int(middle["iterations"]), middle["seconds"], middle["images_per_second"], int(middle["parameters"]),
                middle["flops"])  # fmt: skip


def facts(found: Iterable[Record]) -> dict[str, list[str]]:
    """Which data, machines, versions and commits stand behind records, each once."""
    found = sorted(found, key=lambda record: record.created)
    if not found:
        return {}
    return {
        "Data": _once(_data(record) for record in found),
        "Machine": _once(machine(record) for record in found),
        "Versions": _once(", ".join(f"{name} {number}" for name, number in r.versions.items()) for r in found),
        "Commit": _once(record.commit for record in found),
        "Computed": _once(record.created[:10] for record in found),
    }


def _data(record: Record) -> str:
    counts = "; ".join(f"{split} {n['images']:,} images of {n['vehicles']:,} identities" + _cameras(n)
                       for split, n in record.data["counts"].items())  # fmt: skip
    return f"{record.data['name']}: {counts}. {record.data['note']}"


def _cameras(count: Mapping[str, int]) -> str:
    return f" in {count['cameras']} cameras" if count.get("cameras") else ""


def _once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
