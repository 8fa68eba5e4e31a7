"""From differences to words: Holm's correction by hand, what keeps a run from bearing a verdict, and chance alone."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from bs4 import BeautifulSoup

from reidpapers.mlsl.config import MLSLConfig
from reidpapers.show import alive, claims, judgement, layout, standing
from reidpapers.show.claims import Claim
from reidpapers.show.judgement import holm, judged

WORLDS = range(5)
FLAT = [4.0, 2.0, 1.5, 1.2, 1.1, 1.0, 1.0, 1.0, 1.0, 1.0]


def record(row, seed, points, worlds="study f", preset="study", history=FLAT, levels=None, sha="w", rounds="r"):
    """A run of a row in a world of its own."""
    return SimpleNamespace(
        key=f"{row}-{seed}", seed=seed, scores={"mAP": points / 100}, freshness="fresh", config={"preset": preset},
        tests={}, history={"total": history, "identity": history},
        fit={"levels": levels or {"identity": 6.4}, "whole": {"mAP": points / 100}}, whole=points,
        weights={"mobilenet_v1": {"sha256": sha}},
        data={"name": f"rendered {preset}", "digest": f"world {seed}"} | ({"worlds": worlds} if worlds else {}),
        device={"type": "cpu", "arithmetic": rounds},
    )  # fmt: skip


def rows(first, second, **fields):
    """Two rows' runs, a score a world each."""
    return {name: [record(name, seed, value, **fields) for seed, value in enumerate(values)]
            for name, values in (("A", first), ("B", second))}  # fmt: skip


CLAIM = Claim("§1", "A beats B", "A", "B", "mAP")
HIGH, LOW = [30.0, 31.0, 32.0, 33.0, 34.0], [26.1, 26.9, 28.2, 29.0, 29.8]


@pytest.fixture(autouse=True)
def where_features_stand(monkeypatch):
    """ImageNet's features at 5, model and colour at 25, in every world."""
    monkeypatch.setattr(standing, "of", lambda record: {standing.START: 5.0, standing.KIND: 25.0})


def word(runs, claim=CLAIM):
    (verdict,) = judged([claim], runs)
    return verdict.verdict


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.001, 0.9]) == pytest.approx([1.0, 0.003, 1.0])
    assert holm([]) == [] and holm([0.02]) == [0.02]


def test_the_words_on_a_difference():
    assert word(rows(HIGH, LOW)) == "reproduced"
    assert word(rows(LOW, HIGH)) == "contradicted"
    assert word(rows(HIGH, [value - 0.1 for value in HIGH])) == "no difference"
    assert word(rows(HIGH, [value - 0.8 + 0.001 * place for place, value in enumerate(HIGH)])) == "no difference"
    assert word(rows(HIGH, [34.0, 27.0, 36.0, 29.0, 33.0])) == "open"
    assert word(rows(HIGH[:4], LOW[:4])) == "not run", "five worlds are needed"


def test_one_measure_decides_on_a_statement_and_others_stand_beside_it():
    runs = rows(HIGH, LOW)
    for found in runs.values():
        for one in found:
            one.scores["top1"] = 1 - one.scores["mAP"]
    first, second = judged([CLAIM, Claim("§1", "A beats B", "A", "B", "top1")], runs)
    assert (first.primary, first.verdict) == (True, "reproduced")
    assert not second.primary and second.differences[0].mean < 0
    assert claims.tally([first, second]) == "1 statement: 1 reproduced."


def test_questions_of_ours_are_answered():
    (verdict,) = judged([CLAIM], rows(HIGH, LOW), asked=True)
    assert (verdict.verdict, verdict.said) == ("reproduced", "yes")
    assert claims.tally(judged([CLAIM], rows(LOW, HIGH), asked=True)) == "1 statement: 1 no."


def test_a_statement_must_be_surer_the_more_a_paper_makes():
    almost = rows(HIGH, [28.0, 30.5, 28.5, 32.2, 31.4])  # p = 0.02 by itself
    many = [Claim("§1", f"statement {number}", "A", "B", "mAP") for number in range(6)]
    assert word(almost) == "reproduced"
    assert {verdict.verdict for verdict in judged(many, almost)} == {"open"}
    assert judged(many, almost)[0].p == pytest.approx(6 * judged(many[:1], almost)[0].p)


def test_what_keeps_a_run_from_bearing_a_verdict():
    asleep = rows(HIGH, LOW, history=[4.0] * 10, levels={"identity": 4.0})
    falling = rows(HIGH, LOW, history=[10.0 - place for place in range(10)])
    for runs, said in ((asleep, "where nothing is told apart"), (falling, "still fell by")):
        (verdict,) = judged([CLAIM], runs)
        assert verdict.verdict == "not testable here" and said in verdict.reason
    assert alive.problems(record("A", 0, 30.0)) == []


def test_a_loss_still_falls_only_beyond_the_scatter_of_its_batches():
    noise = [0.2 * (-1) ** place for place in range(100)]
    resting, sinking = [2.0 + up for up in noise], [4.0 - place / 40 + up for place, up in enumerate(noise)]
    lower = [value - 0.12 * (place >= 90) for place, value in enumerate(resting)]  # 6 % below, and within the scatter
    found = [alive.still_falling(record("A", 0, 30.0, history=history)) for history in (resting, lower, sinking)]
    before, after = np.array(sinking[80:90]), np.array(sinking[90:])
    scatter = np.sqrt(before.var(ddof=1) / 10 + after.var(ddof=1) / 10)
    sure = (before.mean() - after.mean() - 2 * scatter) / before.mean()
    assert found[:2] == [0.0, 0.0] and found[2] == pytest.approx(sure) and sure > 0


@pytest.mark.parametrize("preset, first, second, said", [
    ("study", [14.0] * 5, [9.0, 9.1, 9.2, 9.3, 9.4], "less than 10 more"),
    ("study_twins", [24.0] * 5, [19.0, 19.1, 19.2, 19.3, 19.4], "who knows model and colour alone 25.0"),
    ("study", [24.0] * 5, [19.0, 19.1, 19.2, 19.3, 19.4], ""),
])  # fmt: skip
def test_networks_must_know_more_than_what_they_started_from(preset, first, second, said):
    (verdict,) = judged([CLAIM], rows(first, second, preset=preset))
    assert verdict.reason == "" if not said else said in verdict.reason
    assert verdict.verdict == ("not testable here" if said else "reproduced")


def test_where_features_stand_must_be_known(monkeypatch):
    monkeypatch.setattr(standing, "of", lambda record: {})
    assert "python -m reidlib standing" in judged([CLAIM], rows(HIGH, LOW))[0].reason


def test_a_single_world_is_for_trying_out():
    (verdict,) = judged([CLAIM], rows(HIGH, LOW, worlds=None, preset="small"))
    assert verdict.verdict == "not run", "each seed has data of its own, which are no worlds of one kind"
    runs = rows(HIGH, LOW, worlds=None, preset="small")
    for found in runs.values():
        for one in found:
            one.data["digest"] = "the same"
    (verdict,) = judged([CLAIM], runs)
    assert verdict.verdict == "not testable here" and "single world" in verdict.reason


@pytest.mark.parametrize("other", [{"sha": "other"}, {"worlds": "study other"}])
def test_nothing_is_paired_across_weights_or_kinds_of_worlds(other):
    runs = rows(HIGH, LOW)
    runs["B"] = rows(HIGH, LOW, **other)["B"]
    assert word(runs) == "not run"


def test_nothing_is_paired_across_worlds_or_processors():
    runs = rows(HIGH, LOW)
    for one in runs["B"]:
        one.data["digest"] = f"another {one.seed}"
    assert word(runs) == "not run"
    runs = rows(HIGH, LOW)
    runs["B"] = rows(HIGH, LOW, rounds="other")["B"]
    (verdict,) = judged([CLAIM], runs)
    assert not verdict.differences[0].paired, "two processors are two samples"


def test_a_replicate_is_a_world_and_a_training():
    config = MLSLConfig(profile="study", seed=3)
    assert (config.seed, config.data_seed) == (3, 3) and config.but(seed=4).data_seed == 4
    assert config.but(learning="feature").canonical().data_seed == 3
    assert MLSLConfig(profile="study", seed=3, data_seed=7).but(seed=4).data_seed == 7
    assert MLSLConfig(profile="quick", seed=3).data_seed == 0
    assert MLSLConfig(profile="study", seed=3, dataset="veri776").data_seed == 0


def test_by_chance_alone_hardly_any_paper_has_a_word():
    """Ten statements on eleven equal methods: a word that means something in at most 5 % of papers, so is the rule."""
    rng, papers = np.random.default_rng(0), 400
    many = [Claim("§1", f"{number} beats 10", str(number), "10", "mAP") for number in range(10)]
    wrong = 0
    for _ in range(papers):
        scores = 30 + rng.normal(0, 4, (5, 1)) + rng.normal(0, 3, (5, 11))
        runs = {str(row): [record(row, seed, scores[seed, row]) for seed in WORLDS] for row in range(11)}
        words = {verdict.verdict for verdict in judgement.judged(many, runs)}
        wrong += bool(words & {"reproduced", "contradicted"})
    assert wrong / papers <= 0.05 + 2 * (0.05 * 0.95 / papers) ** 0.5


# --- what a table's rows are held against ----------------------------------------------------------------------------


@pytest.fixture
def looked_over(tmp_path, monkeypatch):
    """Two worlds that were looked over, at 5 and 7, 25 and 35 points of mAP."""
    monkeypatch.undo()
    for world in (0, 1):
        scores = {"ImageNet features": 0.05 + 0.02 * world, "model and colour": 0.25 + 0.1 * world}
        rows = {name: {"mAP": value, "top1": value + 0.01} for name, value in scores.items()}
        text = json.dumps({"digest": f"world {world}", "rows": rows})
        (tmp_path / f"study-{world}.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(standing, "FOLDER", tmp_path)


TABLE = layout.Table("Table 1", "A and B", (layout.Row("A"), layout.Row("B")), ("mAP", "top1", "top5"))


def test_a_table_begins_with_what_its_worlds_let_anyone_reach(looked_over):
    runs = rows(HIGH[:2], LOW[:2])
    first, second = standing.references(runs["A"], TABLE.columns)
    assert (first.name, first.cells, first.worlds) == ("ImageNet features as they are", ("6.0", "–", "–"), 2)
    assert (second.name, second.cells) == ("Knowing model and colour, ties by chance", ("30.0", "–", "–"))
    shown = BeautifulSoup(layout.to_html(TABLE, runs, "mlsl", "run"), "html.parser")
    lines = [[cell.text for cell in line("td")] for line in shown.find_all("tr", class_="reference")]
    assert lines == [["6.0", "–", "–", "2"], ["30.0", "–", "–", "2"]]
    assert shown.tbody.find_next_sibling("tbody").th.text == "A", "they stand at the head"


def test_under_another_rule_they_are_said_in_words(looked_over):
    runs = rows(HIGH[:2], LOW[:2])
    for one in runs["A"]:
        one.tests, one.fit["whole"] = {"small": {"top1": 0.9}}, {"mAP": 0.3, "top1": 0.2}
    (row, _) = standing.references(runs["A"], ("small top1",))
    assert row.cells == ("–",) and row.words == "mAP 6.0, Top-1 7.0, by VeRi-776's rule"


def test_worlds_that_nobody_looked_over_leave_a_table_as_it_is(looked_over):
    runs = rows(HIGH, LOW, preset="small")
    for found in runs.values():
        for one in found:
            one.data["digest"] = "elsewhere"
    assert standing.references(runs["A"], TABLE.columns) == []
    assert "learns nothing" not in layout.to_html(TABLE, runs, "mlsl", "run")


def test_simulated_vehicles_are_never_tested_and_change_no_reference(looked_over, monkeypatch):
    one = record("A", 0, 30.0, preset="study_simulated")
    one.config["data_seed"], one.data["digest"] = 0, "with simulated vehicles"
    monkeypatch.setattr(standing, "_street", lambda preset, seed: {("study", 0): "world 0"}[preset, seed])
    assert standing.of(one) == pytest.approx({standing.START: 5.0, standing.KIND: 25.0})
