"""Tables and claims as data: rows, printed numbers, and what a cell shows."""

import re
from types import SimpleNamespace

import pytest

from reidlib.papers.mlsl import EXPERIMENT, MLSLConfig
from reidlib.tables import layout, mlsl


def record(seed, mAP, freshness="fresh"):
    return SimpleNamespace(
        seed=seed, scores={"mAP": mAP, "top1": mAP, "top5": mAP, "cmc": [mAP] * 50}, freshness=freshness
    )


def cells(page):
    return [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", page)]


def test_every_variant_of_the_ablations_is_a_row():
    names = {row.name for row in mlsl.rows("all")}
    assert {"FL", "SL", "SLSL", "MLSL", "No-ML", "FL continued"} <= names
    assert {f"{d}, {s}" for d in mlsl.DISTANCES for s in mlsl.SCHEMES} <= names
    assert {f"dropout {rate:g}" for rate in (0, 0.1, 0.3, 0.5, 0.7, 0.9)} <= names
    assert {"digits FL", "digits SL", "digits joint"} <= names


@pytest.mark.parametrize("profile", ["smoke", "quick", "paper"])
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


def test_claims_compare_rows_that_exist_or_need_other_data():
    names = {row.name for row in (*mlsl.rows("all"), *mlsl.TRUNK_ROWS)}
    for claim in (*mlsl.CLAIMS, *mlsl.QUESTIONS):
        if "VehicleID" in claim.statement or "VERI-Wild" in claim.statement:
            continue
        assert {claim.better, *claim.rivals} <= names, claim


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


def test_collect_computes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    base = MLSLConfig(profile="smoke")
    found = layout.collect(mlsl.BASE_ROWS, base, [123], EXPERIMENT, committed=False)
    assert found == {"given configuration": [], "FL": [], "FL continued": []}
