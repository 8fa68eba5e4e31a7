"""The committed results: readable, of today's code or proven equal to it, whole, and nothing of one machine."""

from pathlib import Path

import pytest

from reidlib import records, runs
from reidlib.claims import judge, tally
from reidlib.papers.mlsl import EXPERIMENT, MLSLConfig
from reidlib.tables import layout, mlsl

README = records.COMMITTED.parent / "README.md"
FOLDER = records.COMMITTED / "mlsl"
RECORDS = list(records.read_all(FOLDER / "records"))


def test_there_are_records_and_every_file_is_one():
    assert len(RECORDS) == len(list((FOLDER / "records").glob("*.json"))) > 80


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.key)
def test_no_record_outlives_its_code(record):
    config = MLSLConfig(**record.config)
    assert config.portable() == record.config
    assert runs.freshness(record) in (runs.FRESH, runs.BY_PROBE), "run make verify: the code has changed"
    if config.dataset == "rendered":
        assert runs.name(config, EXPERIMENT) == record.key


def test_every_row_of_the_ablations_has_its_seeds():
    found = layout.collect(mlsl.rows("all"), MLSLConfig(), range(5), EXPERIMENT)
    assert {name: len(rows) for name, rows in found.items() if len(rows) < 5 and "digits" not in name} == {}


def test_the_digits_are_real_and_have_their_seeds():
    digits = [record for record in RECORDS if record.config["dataset"] == "digits"]
    assert all(record.data["counts"]["train"]["images"] == 60_000 for record in digits)
    assert all(record.scores["queries"] == 10_000 for record in digits)
    assert len({record.seed for record in digits}) >= 3


def test_the_papers_own_trunk_was_trained_too():
    own = [record for record in RECORDS if record.config["backbone"] == "mobilenet_v1"]
    kinds = {(record.config["learning"], record.seed) for record in own}
    assert {(learning, seed) for learning in ("feature", "joint", "continued") for seed in range(3)} <= kinds


def test_the_readme_shows_what_the_records_say():
    found = layout.collect(mlsl.rows("all"), MLSLConfig(), range(5), EXPERIMENT)
    lines = [line.strip("| ").split(" | ") for line in README.read_text().splitlines() if " ± " in line and "|" in line]
    assert len(lines) >= 6
    for name, *shown in lines:
        ours = [layout.cell(found[name], metric).replace("&nbsp;", " ") for metric in ("mAP", "top1", "top5")]
        assert shown == ours, name
    verdicts = [judge(claim, found) for claim in mlsl.CLAIMS]
    assert tally(verdicts) in " ".join(README.read_text().split())


def test_the_page_is_small_and_self_contained():
    page = FOLDER / "mlsl_ablation.html"
    text = page.read_text()
    assert page.stat().st_size < 3_000_000
    assert "<script" not in text and "<math" in text
    for number in range(2, 11):
        assert f"Table {number}." in text


def test_nothing_of_one_machine_is_in_the_results():
    home = str(Path.home())
    for record in RECORDS:
        assert "data_root" not in record.config and not record.commit.endswith("+changes")
        assert home not in str(record)
