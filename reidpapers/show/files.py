"""A paper's tables as files for one's own text: CSV for programs and spreadsheets, LaTeX (booktabs) for a paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reidpapers.run.config import Config
from reidpapers.run.records import Record
from reidpapers.show import layout, ran
from reidpapers.show.claims import interval, metric_name, score
from reidpapers.show.layout import Table

if TYPE_CHECKING:
    from reidpapers.run.base import Paper


SEEDS = range(5)


def written(tables: Sequence[Table], config: Config, paper: Paper, form: str) -> str:
    """Tables as one text, from the records that are there: one CSV with a single head, or one ``table`` after another.

    Args:
        tables: of the paper.
        config: the base of their rows.
        paper: whose.
        form: a name in :data:`FORMATS`.
    """
    rows = [row for table in tables for row in table.rows]
    results = layout.collect(rows, config, SEEDS, paper)
    texts = [FORMATS[form](table, frame(table, results, paper.name, config.dataset)) for table in tables]
    return "\n".join(texts) if form == "latex" else texts[0] + "".join(text.partition("\n")[2] for text in texts[1:])


def frame(table: Table, results: Mapping[str, Sequence[Record]], paper: str, dataset: str = "rendered") -> pd.DataFrame:
    """A table as data: a line a row; for each column our mean, half of its 95 % interval, and the printed, in percent.

    Args:
        table: which.
        results: records by row name.
        paper: whose printed numbers.
        dataset: which data the results are of; a table of other data has none of ours.

    Returns:
        Indexed by row, with the columns ``(score, "ours" | "±" | "printed")`` and ``("", "seeds")``; what is not there
        is missing.
    """
    numbers, lines = layout.printed(paper), []
    for row in table.rows:
        records = results.get(row.name, []) if table.fits(dataset) else []
        line: dict[tuple[str, str], object] = {}
        for column in table.columns:
            values = _values(row.minus, results, column) if row.minus else _scores(records, column)
            mean, half = interval(values) if values else (np.nan, None)
            printed = numbers.get((table.number, row.name, column))
            name = metric_name(column)
            line |= {(name, "ours"): mean, (name, "±"): np.nan if half is None else half}
            line[name, "printed"] = np.nan if printed is None else float(printed)
        lines.append(line | {("", "seeds"): len(records)})
    index = pd.Index([ran.named(row.name, layout.behind(row, results)) for row in table.rows], name="row")
    return pd.DataFrame(lines, index=index, columns=pd.MultiIndex.from_tuples(lines[0]))


def _scores(records: Sequence[Record], column: str) -> list[float]:
    return [score(record, column) for record in records if layout.has(record, column)]


def _values(rows: tuple[str, str], results: Mapping[str, Sequence[Record]], column: str) -> list[float]:
    """Differences of two rows over their common seeds."""
    first, second = ({r.seed: score(r, column) for r in results.get(n, []) if layout.has(r, column)} for n in rows)
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]


def to_csv(table: Table, data: pd.DataFrame) -> str:
    """One line a row and score, so that tables of several shapes can be put together."""
    tidy = (
        data.drop(columns=[("", "seeds")]).stack(level=0, future_stack=True).rename_axis(["row", "score"]).reset_index()
    )
    tidy.insert(0, "table", table.number)
    tidy["seeds"] = tidy["row"].map(data["", "seeds"])
    order = ["table", "row", "score", "ours", "±", "printed", "seeds"]
    return tidy[order].round(3).to_csv(index=False, lineterminator="\n")


def to_latex(table: Table, data: pd.DataFrame) -> str:
    """A ``table`` with booktabs' rules: ours as mean ± half interval, the printed in brackets."""
    columns = list(dict.fromkeys(name for name, _ in data.columns if name))
    text = pd.DataFrame({name: [_latex_cell(line) for _, line in data[name].iterrows()] for name in columns},
                        index=[_escaped(row) for row in data.index])  # fmt: skip
    text["seeds"] = data["", "seeds"].to_numpy()
    caption = _escaped(
        f"{table.number}. {table.title}. Ours, mean ± half of the 95 % interval; in brackets the printed."
    )
    return text.to_latex(caption=caption, column_format="l" + "r" * len(text.columns), escape=False)


def _latex_cell(line: pd.Series) -> str:
    ours = "--" if np.isnan(line["ours"]) else f"${line['ours']:.1f}$"
    if not np.isnan(line["±"]):
        ours = f"${line['ours']:.1f} \\pm {line['±']:.1f}$"
    return ours if np.isnan(line["printed"]) else f"{ours} ({line['printed']:g})"


def _escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    for sign in "&%#_":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("±", "$\\pm$")


FORMATS: Mapping[str, Callable[[Table, pd.DataFrame], str]] = {"csv": to_csv, "latex": to_latex}
