"""Tables and claims as data: rows, printed numbers, and what a cell shows."""

import re
from types import SimpleNamespace

import pytest

from reidpapers.mlsl import tables as mlsl
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.mlsl.paper import PAPER
from reidpapers.show import layout
from reidpapers.show.claims import metric_name


def record(seed, mAP, freshness="fresh", test="", **data):
    scores = {"mAP": mAP, "top1": mAP, "top5": mAP, "cmc": [mAP] * 50}
    return SimpleNamespace(
        seed=seed, scores=scores, tests={test: scores} if test else {}, freshness=freshness, device={"type": "cpu"},
        weights={}, data={"name": "VERI-Wild", "digest": "d", **data},
    )  # fmt: skip


def cells(page):
    return [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", page)]


def test_every_variant_of_the_ablations_is_a_row():
    names = {row.name for row in mlsl.rows("all")}
    assert {"FL", "SL", "SLSL", "MLSL", "No-ML", "FL continued"} <= names
    assert {f"{d}, {s}" for d in mlsl.DISTANCES for s in mlsl.SCHEMES} <= names
    assert {f"dropout {rate:g}" for rate in (0, 0.1, 0.3, 0.5, 0.7, 0.9)} <= names
    assert {"digits FL", "digits SL", "digits joint", "digits FL continued"} <= names


@pytest.mark.parametrize("profile", ["smoke", "quick", "study", "paper"])
def test_every_row_is_a_valid_configuration_of_its_own(profile):
    base = MLSLConfig(profile=profile, backbone="small", pretrained=False, image_size=64)
    runs = layout.configurations(mlsl.rows("all", profile), base, [0])
    prints = {name: configs[0].fingerprint() for name, configs in runs.items()}
    same = {"given configuration", "MLSL", "dropout 0.5", "absolute, vector"}  # one run under four names
    assert len({prints[name] for name in same}) == 1
    rest = [value for name, value in prints.items() if name not in same]
    assert len(set(rest)) == len(rest)


def test_rows_keep_their_meaning_around_another_configuration():
    base = MLSLConfig(labels=["id"], dropout=0.3, learning="similarity")
    runs = layout.configurations(mlsl.rows("all"), base, [7])
    assert runs["MLSL"][0].labels == ("id", "color", "type") and runs["MLSL"][0].learning == "joint"
    assert runs["MLSL"][0].dropout == 0.3 and runs["dropout 0.9"][0].dropout == 0.9
    assert {configs[0].seed for configs in runs.values()} == {7}


def test_feature_learning_is_read_both_ways():
    """As stage 1 leaves it, or as it goes on for as long as what it is compared with, which the claim is about."""
    rivals = {claim.rivals for claim in mlsl.CLAIMS if claim.statement.startswith("Joint learning beats feature")}
    asked = {claim.rivals for claim in mlsl.QUESTIONS if claim.statement.startswith("Joint learning beats feature")}
    assert rivals == {("FL continued",)} and asked == {("FL",)}
    (table,) = (table for table in mlsl.tables() if table.number == "Table 3")
    assert {"FL", "FL continued", "SLSL minus FL", "SLSL minus FL continued"} <= {row.name for row in table.rows}
    found = {"SLSL": [record(s, 0.5) for s in range(3)], "FL": [record(s, 0.4) for s in range(3)],
             "FL continued": [record(s, 0.45) for s in range(3)]}  # fmt: skip
    page = layout.to_html(table, found, "mlsl", "c")
    assert {"10.0", "5.0"} <= {cell.partition("&nbsp;")[0] for cell in cells(page)} and page.count("&gt; 4") == 2


def test_every_claim_can_be_decided():
    """By runs of both rows, or by a printed number."""
    runnable = {row.name for row in mlsl.rows("all")}
    for claim in (*mlsl.CLAIMS, *mlsl.QUESTIONS):
        assert claim.printed is not None or {claim.better, *claim.rivals} <= runnable, claim


def test_rivals_stand_with_their_printed_number_or_none():
    tables = {table.number: table for table in mlsl.tables()}
    counts = {
        number: sum(row.changes is None for row in tables[number].rows) for number in ("Table 8", "Table 9", "Table 10")
    }
    assert counts == {"Table 8": 23, "Table 9": 10, "Table 10": 7}
    for (number, name, column), value in layout.printed("mlsl").items():
        assert name in {row.name for row in tables[number].rows} and column in tables[number].columns, value
    page = layout.to_html(tables["Table 8"], {}, "mlsl", "c", "veri776")
    assert "Chain MRF model" in page and "python" not in page.partition("Chain MRF model")[2].partition("</tr>")[0]


def test_a_row_without_runs_shows_the_command_that_fills_it():
    table = layout.Table("Table 2", "t", (mlsl.SLSL,))
    page = layout.to_html(table, {}, "mlsl", "python -m reidlib run mlsl --seeds 0")
    assert cells(page)[:4] == ["–", "–", "–", "–"]
    assert "--seeds 0 --learning joint --mapping sigmoid --labels id" in page


def test_a_cell_is_the_mean_and_half_its_interval_in_percent():
    table = layout.Table("Table 2", "t", (mlsl.SLSL,), ("mAP",))
    found = {"SLSL": [record(s, v) for s, v in enumerate((0.40, 0.42, 0.44))]}
    # deviation 2 points, t(2, 97.5%) = 4.3027: 4.3027 * 2 / sqrt(3) = 4.97
    assert cells(layout.to_html(table, found, "mlsl", ""))[:2] == ["42.0&nbsp;±&nbsp;5.0", "3"]
    assert cells(layout.to_html(table, {"SLSL": [record(0, 0.4)]}, "mlsl", ""))[0] == "40.0"


def test_stale_records_are_marked_as_such():
    table = layout.Table("Table 2", "t", (mlsl.SLSL,), ("mAP",))
    assert "stale" in layout.to_html(table, {"SLSL": [record(0, 0.4, "stale")]}, "mlsl", "")


def test_printed_numbers_stand_beside_ours():
    tables = {table.number: table for table in mlsl.tables()}
    page = layout.to_html(tables["Table 10"], {}, "mlsl", "")
    for number in ("86.03", "46.32", "64.03", "35.11"):
        assert number in page
    assert layout.printed("mlsl")["Table 9", "MLSL", "800 top1"] == "74.21"


def test_no_printed_number_stands_beside_data_that_bear_a_releases_name():
    tables = {table.number: table for table in mlsl.tables()}
    other = record(
        0,
        0.5,
        test="small",
        deviations=["train has 12 images, the release 277,797", "large has 0 images, the release 138,517"],
    )
    page = layout.to_html(tables["Table 10"], {"MLSL": [other]}, "mlsl", "", "veriwild")
    assert "86.03" not in page and "46.32" not in page and "50.0" in page
    assert "VERI-Wild here is not the release: train has 12 images, the release 277,797 and 1 more deviations" in page
    assert "86.03" in layout.to_html(tables["Table 10"], {"MLSL": [record(0, 0.5)]}, "mlsl", "", "veriwild")


def test_collect_computes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    base = MLSLConfig(profile="smoke")
    found = layout.collect(mlsl.BASE_ROWS, base, [123], PAPER, committed=False)
    assert found == {"given configuration": [], "FL": [], "FL continued": []}


def test_printed_numbers_stand_beside_ours_or_where_columns_are_many_below_them():
    found = {"MLSL": [record(0, 0.5)]}
    few = layout.Table("Table 10", "t", (mlsl.MLSL,), ("mAP", "small mAP"))
    assert cells(layout.to_html(few, found, "mlsl", "c"))[:3] == ["50.0", "–", "46.32"]
    many = layout.Table("Table 10", "t", (mlsl.MLSL,), ("small mAP", "small top1", "mAP"))
    page = layout.to_html(many, found, "mlsl", "c")
    assert cells(page)[:3] == ["–46.32", "–86.03", "50.0"] and "In each cell ours" in page


def test_a_table_of_other_data_shows_no_run_and_one_command():
    table = layout.Table("Table 8", "t", (mlsl.MLSL, mlsl.FL), datasets=("veri776",))
    command = "python -m reidlib run mlsl --seeds 0 --dataset vehicleid --data_root DIR"
    page = layout.to_html(table, {"MLSL": [record(0, 0.5)]}, "mlsl", command, "vehicleid")
    assert "50.0" not in page and page.count("<code>") == 1
    assert "run mlsl --seeds 0 --scope all --dataset veri776 --data_root DIR<" in page
    assert "50.0" in layout.to_html(table, {"MLSL": [record(0, 0.5)]}, "mlsl", command, "veri776")


def test_scores_of_a_terminal():
    text = layout.to_text({"FL": [record(0, 0.25), record(1, 0.75)], "SL": []}, ("mAP", "large top5"))
    assert text.splitlines()[1].split() == ["FL", "2", "50.0", "–"] and "large Top-5" in text


def test_columns_are_headed_as_the_field_writes_them():
    assert [metric_name(name) for name in ("mAP", "top1", "small top20")] == ["mAP", "Top-1", "small Top-20"]
