"""DRDL's tables: every row a run of its own, every claim about rows that exist, printed numbers that add up."""

import csv
from pathlib import Path

import pytest

from reidpapers.drdl import tables as drdl
from reidpapers.drdl.config import DRDLConfig
from reidpapers.show import layout

DATASETS = ("rendered", "vehicleid", "vehicle1m", "veri776", "veriwild", "aicity2020", "compcars")


@pytest.mark.parametrize("profile", ["smoke", "quick", "study", "paper"])
@pytest.mark.parametrize("dataset", DATASETS)
def test_every_row_is_a_valid_configuration_of_its_own(profile, dataset):
    base = DRDLConfig(profile=profile, dataset=dataset)
    runs = layout.configurations(drdl.rows("all", profile, dataset), base, [0, 1])
    prints = {name: configs[0].fingerprint() for name, configs in runs.items()}
    whole, control = (
        ("models: Mixed + CCL", "models: VGG + triplet") if dataset == "compcars" else ("Mixed + CCL", "VGG + triplet")
    )
    assert prints.pop("given configuration") == prints[whole]
    assert prints.pop("given, VGG + triplet") == prints[control]
    assert prints.pop("margin 0.2", prints[whole]) == prints[whole]
    assert len(set(prints.values())) == len(prints)
    tasks = {config.task for configs in runs.values() for config in configs}
    wanted = {"rendered": {"reid", "verification"}, "veriwild": {"reid", "verification"}, "compcars": {"verification"}}
    assert tasks == wanted.get(dataset, {"reid"})


def test_parameter_sweeps_take_one_seed():
    runs = layout.configurations(drdl.rows("all"), DRDLConfig(), [3, 4, 5])
    assert {name: len(configs) for name, configs in runs.items() if len(configs) != 3} == {
        f"margin {a:g}": 1 for a in drdl.MARGINS
    }
    assert runs["margin 0.8"][0].seed == 3 and runs["margin 0.8"][0].margin == 0.8


def test_claims_compare_rows_that_exist_by_columns_of_their_tables():
    tables = drdl.tables()
    names = {row.name for row in drdl.rows("all")}
    columns = {column for table in tables for column in table.columns}
    for claim in (*drdl.CLAIMS, *drdl.QUESTIONS):
        assert claim.better in names and claim.metric in columns, claim
        assert set(claim.rivals) <= names or claim.printed is not None, claim


def test_every_claimed_order_is_that_of_the_printed_numbers():
    for claim in drdl.CLAIMS:
        number = claim.source.split(",")[0]
        pair = [layout.printed("drdl").get((number, name, claim.metric)) for name in (claim.better, *claim.rivals)]
        if None not in pair and "/" not in pair:
            assert float(pair[0]) > float(pair[1]), claim


def test_printed_numbers_stand_where_the_tables_look_for_them():
    with (Path(drdl.__file__).parent / "printed.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * 4 + 9 + 18 + 4 + 4 + 1
    tables = {table.number: table for table in drdl.tables()}
    for line in lines:
        table = tables[line["table"]]
        assert line["row"] in {row.name for row in table.rows} and line["column"] in table.columns
        assert line["where"].startswith(line["table"])
    assert layout.value("drdl", "Table 6", "Mixed + CCL", "small top5") == 73.5


@pytest.mark.parametrize("number, dataset", [("Table 4", "compcars"), ("Table 3", "vehicleid")])
def test_a_table_that_data_cannot_fill_says_what_fills_it(number, dataset):
    table = next(table for table in drdl.tables() if table.number == number)
    assert not table.fits(dataset)
    page = layout.to_html(table, {}, "drdl", "python -m reidlib run drdl --seeds 0", dataset)
    assert "--scope all --dataset rendered<" in page
