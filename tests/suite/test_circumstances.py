"""What a main claim depends on: rows at other lengths and in other worlds, words on each, and one picture."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from reidpapers.__main__ import main
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.run import tuning
from reidpapers.run.config import ConfigError
from reidpapers.run.papers import PAPERS, load
from reidpapers.run.records import Record
from reidpapers.show import circumstances, layout, photographs, standing
from reidpapers.show.circumstances import called, wanted
from reidpapers.show.claims import MIN_SEEDS
from reidpapers.show.judgement import judged
from reidpapers.show.sides import Side
from reidpapers.show.site import circumstances as site
from reidpapers.vehicles import rendered

MLSL = load("mlsl")
FLAT = [4.0, 2.0, 1.5, 1.2, 1.1, 1.0, 1.0, 1.0, 1.0, 1.0]
ALL = (*circumstances.TIMES, *circumstances.WORLDS)


# --- what is run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAPERS)
def test_both_rows_of_a_main_claim_are_run_under_each_circumstance(name):
    paper = load(name)
    claim, base = paper.tables.MAIN, paper.Config(profile="study")
    assert claim == next(one for one in paper.tables.CLAIMS if one.statement == claim.statement), "it decides"
    sides = (claim.better, *claim.rivals)
    assert not any(isinstance(side, Side) for side in sides)
    found = layout.configurations(wanted(paper, "circumstances", base), base, range(5))
    assert list(found) == [called(side, circumstance) for side in sides for circumstance in ALL]
    usual = layout.configurations(paper.tables.rows("all", "study"), base, range(5))
    for side in sides:
        half, twice, few, twins = (found[called(side, circumstance)] for circumstance in ALL)
        assert [len(half), len(twice), len(few), len(twins)] == [circumstances.REPLICATES] * 4
        assert [config.data_seed for config in few] == [0, 1, 2]
        for field in paper.tables.LENGTHS:
            steps = getattr(usual[side][0], field)
            assert (getattr(half[0], field), getattr(twice[0], field)) == (round(steps / 2), 2 * steps)
        street = usual[side][0].preset
        assert few[0].preset == street.replace("study", "study_few")
        assert twins[0].preset == street.replace("study", "study_twins")
        changed = {*paper.tables.LENGTHS, "preset"}
        for config in (half[1], twice[1], few[1], twins[1]):
            other, mine = (one.model_dump(exclude=changed) for one in (usual[side][1], config))
            assert mine == other, "all else is the row's own"


def test_a_row_is_tuned_as_it_is_where_it_is_judged(monkeypatch):
    monkeypatch.setattr(tuning, "tuned", lambda paper, row: {"rate2": 7e-5} if row == "MLSL" else {})
    base = MLSLConfig(profile="study")
    found = layout.configurations(circumstances.rows(MLSL, base), base, [0])
    assert {found[called("MLSL", name)][0].rate2 for name in ALL} == {7e-5}
    assert 7e-5 not in {found[called("SLSL", name)][0].rate2 for name in ALL}


def test_lengths_in_epochs_are_scaled_in_epochs_and_other_data_have_no_other_worlds():
    base = MLSLConfig(profile="paper", dataset="veri776")
    rows = {row.name: row for row in circumstances.rows(MLSL, base)}
    assert set(rows) == {called(side, name) for side in ("MLSL", "SLSL") for name in circumstances.TIMES}
    half = base.but(**rows["MLSL, half the length"].changes)
    assert (half.epochs1, half.iterations2) == (100, 24_000)


def test_there_are_fewer_vehicles_with_as_many_pictures_each():
    study, few = rendered.PRESETS["study"], rendered.PRESETS["study_few"]
    assert (few.train.vehicles, few.test) == (150, study.test)
    assert few.train.images / few.train.vehicles == study.train.images / study.train.vehicles
    assert few.train.tracks / few.train.vehicles == study.train.tracks / study.train.vehicles
    assert (few.twins, few.models, few.style) == (study.twins, study.models, study.style)


def test_scopes_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="has no main claim; allowed are base, all"):
        wanted(load("compared"), "circumstances", load("compared").Config(profile="study"))
    with pytest.raises(ConfigError, match="is refused here"):
        MLSL.tables.rows("circumstances", "study")


def test_the_ordinary_command_runs_them(capsys, monkeypatch):
    monkeypatch.setattr(circumstances, "TIMES", {"half the length": 0.5})
    given = "--scope circumstances --seeds 0 --image_size 16 --iterations1 4 --iterations2 4 --batch 8 --workers 1"
    assert main(["run", "mlsl", "--profile", "smoke", *given.split()]) == 0
    said = capsys.readouterr().out
    assert "MLSL, half the length " in said and "SLSL, half the length " in said
    assert "training vehicles" not in said, "smoke has no other worlds"


# --- what is said ----------------------------------------------------------------------------------------------------


def record(row, seed, points, preset="study", history=FLAT):
    """A run of a row in a world of its own."""
    return Record(
        schema=1, paper="mlsl", key=f"{row}-{seed}", config={"preset": preset, "data_seed": seed}, seed=seed,
        data={"name": f"rendered {preset}", "digest": f"{preset} {seed}", "worlds": preset},
        scores={"mAP": points / 100}, queries={}, history={"total": history}, cost={},
        device={"type": "cpu", "arithmetic": "r"}, versions={}, commit="c", code="c", created=f"then {seed}", probe={},
        exhibits={}, fit={"whole": {"mAP": points / 100, "top1": points / 100}}, freshness="fresh",
    )  # fmt: skip


def runs(better, worse, circumstance="", **fields):
    """The runs of MLSL and SLSL, a score a world each."""
    names = [called(row, circumstance) if circumstance else row for row in ("MLSL", "SLSL")]
    return {name: [record(name, seed, value, **fields) for seed, value in enumerate(values)]
            for name, values in zip(names, (better, worse), strict=True)}  # fmt: skip


STUDY = runs([30.0, 31.0, 32.0, 33.0, 34.0], [26.1, 26.9, 28.2, 29.0, 29.8])
HALF = runs([30.0, 31.0, 32.0], [34.1, 35.0, 36.1], "half the length")
TWICE = runs([30.0, 31.0], [26.0, 27.0], "twice the length")
TWINS = runs([24.0, 24.5, 25.5], [20.0, 20.6, 21.5], ALL[3], preset="study_twins")
FEW = runs([30.0, 31.0, 32.0], [29.95, 31.02, 32.03], ALL[2], preset="study_few", history=[9.0 - i for i in range(10)])


@pytest.fixture(autouse=True)
def where_features_stand(monkeypatch, tmp_path):
    """ImageNet's features at 5, model and colour at 26, in every world; no photographs."""
    monkeypatch.setattr(standing, "of", lambda record: {standing.START: 5.0, standing.KIND: 26.0})
    monkeypatch.setattr(photographs, "FOLDER", tmp_path)
    photographs._shown.cache_clear()
    yield
    photographs._shown.cache_clear()


def on_photographs(scores):
    """Scores on photographs of the judged runs, as a file has them."""
    lines = [photographs.Line("f", one.key, one.created, str(one.seed), value, value)
             for row in ("MLSL", "SLSL") for one, value in zip(STUDY[row], scores[row], strict=True)]  # fmt: skip
    photographs.keep("mlsl", lines)


def test_each_circumstance_has_a_word_by_the_rule_of_verdicts():
    on_photographs({"MLSL": [70.1, 71.3, 69.8, 70.4, 72.0], "SLSL": [70.0, 71.2, 70.0, 70.3, 71.9]})
    found = circumstances.verdicts("mlsl", MLSL.tables.MAIN, STUDY, HALF | TWICE | TWINS | FEW)
    words = {verdict.claim.statement: verdict for verdict in found}
    assert words["half the length"].verdict == "contradicted" and words["twice the length"].verdict == "not run"
    assert "model and colour alone 26.0" in words[ALL[3]].reason, "the gate of the world with twins"
    assert "still fell" in words[ALL[2]].reason
    real = words["on photographs"]
    assert (real.verdict, real.differences[0].seeds) == ("no difference", (0, 1, 2, 3, 4))
    assert real.differences[0].mean == pytest.approx(0.04)
    assert words["half the length"].p == pytest.approx(2 * 2 * words["half the length"].differences[0].below, rel=0.01)


def test_three_worlds_are_enough_here_and_five_where_a_claim_is_judged():
    few = {row: records[:MIN_SEEDS] for row, records in STUDY.items()}
    assert judged([MLSL.tables.MAIN], few)[0].verdict == "not run"
    lines = circumstances.verdicts("mlsl", MLSL.tables.MAIN, few, HALF)
    assert [verdict.verdict for verdict in lines if verdict.differences[0].measured] == ["contradicted"]


def page(study, varied):
    claims = tuple(judged([MLSL.tables.MAIN], study))
    paper = SimpleNamespace(name="mlsl", study=study, varied=varied, claims=claims)
    return BeautifulSoup(site.picture(paper), "html.parser")


def test_the_picture_has_a_line_a_circumstance_and_the_verdicts_own_on_top():
    shown = page(STUDY, HALF)
    first, second = shown.find("figure", class_="forest").find_all("li")
    assert "as it is judged" in first.text and "+4.0" in first.text and "reproduced" in first.text
    assert "half the length" in second.text and "−4.1" in second.text and "3 worlds" in second.text
    label = shown.ol["aria-label"]
    assert label.startswith("MLSL minus SLSL in mAP, points: as it is judged +4.0") and "contradicted" in label
    assert len(shown.figcaption.text) > 40 and MLSL.tables.MAIN.statement in shown.figcaption.text


def test_a_reason_that_all_lines_share_is_said_once():
    asleep = {"levels": {"total": 1.0}, "whole": {"mAP": 0.3}}
    study, varied = ({name: [replace(one, fit=asleep) for one in found] for name, found in some.items()}
                     for some in (STUDY, HALF))  # fmt: skip
    shown = page(study, varied).find("figure")
    assert shown.text.count("where nothing is told apart") == 1 and len(shown("li")) == 2


def test_what_was_not_run_is_one_line_with_what_runs_it():
    (note,) = page(STUDY, HALF).find_all("p")
    assert note.text.startswith("Not run: twice the length; 150 training vehicles instead of 600; 2.5 vehicles")
    assert [code.text for code in note("code")] == [
        "python -m reidlib run mlsl --profile study --scope circumstances --seeds 0 1 2",
        "python -m reidlib photographs mlsl --data_root DIR",
    ]
    assert not page(STUDY, {}).find_all("li")[1:], "the verdict's own line stands alone"
    assert site.picture(SimpleNamespace(name="mlsl", study={}, varied={}, claims=())) == ""
    assert site.picture(SimpleNamespace(name="compared", study=STUDY, varied={}, claims=())) == ""
