"""Tables as files: what a program reads is what the page shows."""

import csv
import io

import numpy as np
import pytest
from test_plots import rows

from reidpapers.__main__ import main
from reidpapers.show import files, layout
from reidpapers.show.layout import Row, Table

TABLE = Table("Table 2", "two of 100 %", (Row("A_1"), Row("B", own=True), Row("A − B", None, minus=("A_1", "B"))),
              columns=("mAP", "top1"))  # fmt: skip


@pytest.fixture
def data(monkeypatch):
    monkeypatch.setattr(layout, "printed", lambda paper: {("Table 2", "A_1", "mAP"): "57.2"})
    return files.frame(TABLE, {"A_1": rows(0.2, 0.4), "B": rows(0.1, 0.2)}, "toy")


def test_a_table_is_ours_its_interval_and_the_printed(data):
    assert list(data.index) == ["A_1", "B", "A − B"] and list(data["", "seeds"]) == [2, 2, 0]
    assert data.loc["A_1", ("mAP", "ours")] == pytest.approx(30) and data.loc["A_1", ("mAP", "printed")] == 57.2
    assert data.loc["A_1", ("mAP", "±")] == pytest.approx(12.7062 * np.std([20, 40], ddof=1) / np.sqrt(2), rel=1e-4)
    assert data.loc["A − B", ("mAP", "ours")] == pytest.approx(15) and np.isnan(data.loc["B", ("mAP", "printed")])


def test_csv_has_a_line_a_row_and_score(data):
    lines = list(csv.DictReader(io.StringIO(files.to_csv(TABLE, data))))
    assert {(line["table"], line["row"], line["score"]) for line in lines} == {
        ("Table 2", row.name, score) for row in TABLE.rows for score in ("mAP", "Top-1")
    }
    first = next(line for line in lines if (line["row"], line["score"]) == ("A_1", "mAP"))
    assert (first["ours"], first["printed"], first["seeds"]) == ("30.0", "57.2", "2")


def test_latex_escapes_and_keeps_the_printed_in_brackets(data):
    text = files.to_latex(TABLE, data)
    assert r"A\_1 & $30.0 \pm 127.1$ (57.2) &" in text and r"two of 100 \%" in text and r"\toprule" in text
    assert text.count(r"\\") == 1 + len(TABLE.rows)


def test_the_command_prints_committed_tables_and_refuses_an_unknown_one(capsys):
    assert main(["tables", "c2f_rank"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len({line["table"] for line in lines}) > 3 and any(line["ours"] for line in lines)
    assert main(["tables", "c2f_rank", "--table", lines[0]["table"]]) == 0
    assert {line["table"] for line in csv.DictReader(io.StringIO(capsys.readouterr().out))} == {lines[0]["table"]}
    assert main(["tables", "c2f_rank", "--table", "Table 99"]) == 2
    assert "Table 99" in capsys.readouterr().err
