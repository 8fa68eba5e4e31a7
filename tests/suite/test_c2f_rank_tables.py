"""C2F-Rank's tables and claims as data: rows, printed numbers, and the orders that they print."""

from types import SimpleNamespace

import pytest

from reidpapers.c2f_rank import tables
from reidpapers.c2f_rank.config import TERMS, C2FConfig
from reidpapers.run import datasets
from reidpapers.show import layout
from reidpapers.show.sides import rows_of, value_of

TABLES = {table.number: table for table in tables.tables()}


@pytest.mark.parametrize("profile", ["smoke", "quick", "study", "paper"])
def test_every_row_is_a_valid_configuration_of_its_own(profile):
    base = C2FConfig(profile=profile, backbone="small", pretrained=False, image_size=64)
    runs = layout.configurations(tables.rows("all", profile), base, [0])
    prints = {name: configs[0].fingerprint() for name, configs in runs.items()}
    same = {"given configuration", "C2F-Rank", "alpha 100", "gamma 10", "Z of all tuples"}  # one run under five names
    assert len({prints[name] for name in same}) == 1
    rest = [value for name, value in prints.items() if name not in same]
    assert len(set(rest)) == len(rest) == 12


def test_rows_keep_their_meaning_around_another_configuration():
    base = C2FConfig(terms=["pair"], alpha=7, learning="initial")
    runs = layout.configurations(tables.rows("all"), base, [3, 4])
    assert runs["C2F-Rank"][0].terms == TERMS and runs["C2F-Rank"][0].learning == "ranking"
    assert runs["C2F-Rank"][0].alpha == 7 and runs["alpha 500"][0].alpha == 500
    assert [config.seed for config in runs["FGR"]] == [3, 4]
    assert [config.seed for config in runs["gamma 50"]] == [3, 4] == [config.seed for config in runs["alpha 50"]]


@pytest.mark.parametrize("dataset, absent", [
    ("rendered", {"Table 2", "Table 3", "Table 4", "Table 5"}),
    ("vehicleid", {"Table 2 here", "Table 3 here", "Table 4", "Table 5"}),
    ("vehicle1m", {"Table 2 here", "Table 3 here", "Table 2", "Table 3"}),
])  # fmt: skip
def test_a_table_is_filled_on_its_own_data_alone_and_all_variants_run_on_each(dataset, absent):
    assert {number for number, table in TABLES.items() if not table.fits(dataset)} == absent
    names = {row.name for row in tables.rows("all", dataset=dataset)}
    assert {"Initial model", "FGR", "C+FGR", "C+FGR+P", "C2F-Rank", "Classification"} <= names
    assert {f"alpha {a}" for a in (50, 100, 200, 500)} | {f"gamma {g}" for g in (5, 10, 20, 50)} <= names


def test_printed_numbers_stand_in_their_tables():
    value = layout.value
    assert value("c2f_rank", "Table 2", "C2F-Rank", "small top1") == 61.1
    assert value("c2f_rank", "Table 3", "DRDL", "medium retrieval mAP") == 48.1
    assert value("c2f_rank", "Table 4", "Initial model", "large top5") == 50.5
    assert value("c2f_rank", "Table 5", "C+FGR+P", "small retrieval mAP") == 86.6
    for number, columns in (("Table 2", 6), ("Table 3", 3), ("Table 4", 6), ("Table 5", 3)):
        rows = [row.name for row in TABLES[number].rows if not row.own]
        assert len(rows) == (6 if number in ("Table 2", "Table 3") else 5)
        numbers = [value("c2f_rank", number, row, column) for row in rows for column in TABLES[number].columns]
        assert None not in numbers and len(numbers) == columns * len(rows)


def test_every_claim_about_two_rows_holds_in_each_table_that_it_names():
    checked = 0
    for claim in (claim for claim in tables.CLAIMS if claim.source.startswith("Table")):
        for number in claim.source.removeprefix("Tables ").removeprefix("Table ").split(", "):
            if number.isdigit() and claim.metric in TABLES[f"Table {number}"].columns:
                better, worse = (
                    layout.value("c2f_rank", f"Table {number}", row, claim.metric)
                    for row in (claim.better, *claim.rivals)
                )
                assert better > worse, (claim, number)
                checked += 1
    assert checked == 2 * 36 - 1 + 9 + 6


def test_what_the_text_says_and_the_tables_do_not():
    def gain(table, after, before, columns):
        values = [layout.value("c2f_rank", table, row, column) for column in columns for row in (after, before)]
        return sum(values[::2]) / len(columns) - sum(values[1::2]) / len(columns)

    assert gain("Table 5", "FGR", "Initial model", tables.RETRIEVAL) == pytest.approx(14.67, abs=0.01)  # "5%"
    assert gain("Table 3", "C2F-Rank", "C+FGR+P", tables.RETRIEVAL) == pytest.approx(1.7, abs=0.01)  # "3%"
    assert gain("Table 2", "C2F-Rank", "DRDL", tables.MATCH) == pytest.approx(11.15, abs=0.01)  # "12.7%"
    assert gain("Table 2", "C2F-Rank", "DRDL", tables.MATCH[:3]) == pytest.approx(12.9, abs=0.01)
    assert gain("Table 2", "C+FGR+P", "C+FGR", ["medium top5"]) == 0
    assert gain("Table 4", "C+FGR", "FGR", tables.MATCH) == pytest.approx(1.75, abs=0.001)  # "1.9%"
    assert gain("Table 3", "C2F-Rank", "DRDL", tables.RETRIEVAL) == pytest.approx(9.43, abs=0.01)  # "9.3%"


def test_claims_compare_rows_that_are_run_with_scores_that_they_have():
    names = {row.name for row in tables.rows("all")}
    metrics = {*tables.MATCH, *tables.RETRIEVAL, "small top20"}
    for claim in (*tables.CLAIMS, *tables.QUESTIONS):
        rows = {row for side in (claim.better, *claim.rivals) for row in rows_of(side)}
        assert claim.metric in metrics and (rows <= names or claim.printed is not None), claim


def test_the_data_at_hand_stand_below_the_printed_datasets():
    page = tables.compared({"embedded": datasets.load(C2FConfig(profile="smoke").source).manifest.table}).data
    assert "936,051" in page and "26,267" in page
    assert page.endswith(
        '<tr><th scope="row">embedded</th><td class="number">216</td><td class="number">36</td>'
        '<td class="number">13</td></tr></tbody></table>'
    )


def test_ratios_of_the_terms_are_those_of_their_means():
    terms = ({"classification": 3.0, "coarse": 0.1, "fine": 0.2, "pair": 1.0}, dict.fromkeys(TERMS, 1.0))
    records = [SimpleNamespace(history={name: [value, 0.0] for name, value in values.items()}) for values in terms]
    facts = tables.ratios(records)
    assert facts["classification, mean over seeds"] == "2.000" and facts["C / P, about 10"] == "2.0"
    assert facts["C / R_f, about 1000"] == "3.3" and facts["C / R_c, about 100 in the paper"] == "3.6"


def test_the_largest_gain_is_printed_in_the_tables_of_its_paragraph():
    claims = [claim for claim in tables.CLAIMS if "largest gain" in claim.statement]
    assert [claim.metric for claim in claims] == list(tables.COLUMNS)
    for claim in claims:
        table = "Table 5" if claim.metric in tables.RETRIEVAL else "Table 4"

        def printed(side, table=table, column=claim.metric):
            return value_of(side, [layout.value("c2f_rank", table, row, column) for row in rows_of(side)])

        assert all(printed(claim.better) > printed(rival) for rival in claim.rivals), claim


def test_slight_changes_are_ranges_over_the_papers_weights():
    claims = [claim for claim in tables.CLAIMS if claim.within]
    assert {rows_of(claim.better) for claim in claims} == {
        ("alpha 50", "alpha 100", "alpha 200", "alpha 500"), ("gamma 5", "gamma 10", "gamma 20", "gamma 50")
    }  # fmt: skip
    assert all(rows_of(claim.better) == rows_of(claim.worse) for claim in claims) and len(claims) == 4
