"""The committed results: readable, of today's code or proven equal to it, whole, and nothing of one machine."""

from pathlib import Path

import pytest

from reidpapers.run import datasets, records, runs
from reidpapers.run.papers import FOLDER, PAPERS, RUNS, load
from reidpapers.show import layout, site
from reidpapers.show.claims import MIN_SEEDS, metric_name, tally

README = records.COMMITTED.parent / "README.md"
RECORDS = {paper: list(records.read_all(records.COMMITTED / paper / "records")) for paper in RUNS}
EVERY = [pytest.param(paper, record, id=record.key) for paper, found in RECORDS.items() for record in found]
LEAST = {"mlsl": 80, "drdl": 35, "c2f_rank": 35, "agnet": 60, "multiguided": 140, "compared": 45}


def found_in(name):
    """The records of every row of a paper's tables, at quick."""
    paper = load(name)
    return layout.collect(paper.tables.rows("all"), paper.Config(), range(5), paper)


@pytest.mark.parametrize("paper", RUNS)
def test_there_are_records_and_every_file_is_one(paper):
    files = list((records.COMMITTED / paper / "records").glob("*.json"))
    assert len(RECORDS[paper]) == len(files) >= LEAST[paper]


@pytest.mark.parametrize("paper, record", EVERY)
def test_no_record_outlives_its_code(paper, record):
    config = load(paper).Config(**record.config)
    assert records.is_of(record, config)
    assert runs.freshness(record) in (runs.FRESH, runs.BY_PROBE), "run make verify: the code has changed"
    if config.dataset == "rendered":
        assert record.key.startswith(runs.name(config, load(paper))), "but for the weights, which may not be here"


def lines_of(paper):
    """The README's table of a paper: its heads, and its rows by name."""
    section = README.read_text(encoding="utf-8").split(f"<!-- results: {paper} -->")[1].split("<!-- end -->")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    heads, *rows = [line for line in lines if not set(line[0]) <= set("-|")]
    return section, heads, rows


@pytest.mark.parametrize("paper", RUNS)
def test_every_row_that_the_readme_shows_has_its_seeds_or_none(paper):
    found, (_, _, rows) = found_in(paper), lines_of(paper)
    counts = {name: len(found[name]) for name, *_ in rows}
    assert {name: count for name, count in counts.items() if 0 < count < MIN_SEEDS} == {}
    assert sum(count >= MIN_SEEDS for count in counts.values()) >= 5


def test_the_digits_are_real_and_have_their_seeds():
    digits = [record for record in RECORDS["mlsl"] if record.config["dataset"] == "digits"]
    assert all(record.data["counts"]["train"]["images"] == 60_000 for record in digits)
    assert all(record.scores["queries"] == 10_000 for record in digits)
    assert len({record.seed for record in digits}) >= 3


def test_mlsls_main_claim_has_its_worlds():
    own = [record for record in RECORDS["mlsl"] if record.config["preset"] == "study"]
    kinds = {(record.config["learning"], len(record.config["labels"]), record.seed) for record in own}
    assert {(*kind, seed) for kind in (("feature", 1), ("joint", 1), ("joint", 3)) for seed in range(5)} <= kinds
    assert len({record.data["digest"] for record in own}) == 5 and len({record.data["worlds"] for record in own}) == 1


@pytest.mark.parametrize("paper", RUNS)
def test_the_readme_shows_what_the_records_say(paper):
    found, tables = found_in(paper), load(paper).tables
    section, heads, rows = lines_of(paper)
    columns = {metric_name(column): column for column in tables.COLUMNS}
    assert len(rows) >= 5
    for name, *shown in rows:
        ours = [layout.cell(found[name], columns[head]).replace("&nbsp;", " ") for head in heads[1:]]
        assert shown == ours, name
    held = (FOLDER / paper / "held.md").read_text(encoding="utf-8")
    readme = " ".join(README.read_text(encoding="utf-8").split())
    assert " ".join(held.split()) in readme, "the README says it as the site does"
    page = site.gather(load(paper), records.COMMITTED)
    assert tally(page.claims or page.questions) in " ".join(section.split())  # of methods on equal terms none claims


@pytest.mark.parametrize("paper", PAPERS)
def test_the_page_is_small_and_self_contained(paper):
    page = records.COMMITTED / paper / f"{paper}_ablation.html"
    text = page.read_text()
    assert page.stat().st_size < 4_000_000
    assert "<script" not in text and "<math" in text
    for table in load(paper).tables.tables("quick"):
        assert f"{table.number}." in text


@pytest.mark.parametrize("paper", PAPERS)
def test_claims_about_a_dataset_name_it_as_its_manifest_does(paper):
    tables = load(paper).tables
    titles = {"VeRi-776", "VehicleID", "VERI-Wild", "Vehicle-1M", "CompCars", "AI City 2020"}
    assert {name.split(",")[0] for name in (b.title for b in datasets.BENCHMARKS.values())} == titles
    for claim in (*tables.CLAIMS, *tables.QUESTIONS):
        assert {claim.dataset, claim.margin_dataset} - {None} <= titles, claim


def test_nothing_of_one_machine_is_in_the_results():
    home = str(Path.home())
    for record in (record for found in RECORDS.values() for record in found):
        assert "data_root" not in record.config and not record.commit.endswith("+changes")
        assert home not in str(record)
