"""The comparison: equal terms, each paper's own recipe, and records that say both."""

import pickle

import pytest

from reidlib import sampler
from reidpapers.compared import paper, tables
from reidpapers.compared.config import EQUAL, ComparedConfig, own
from reidpapers.compared.entrants import ENTRANTS
from reidpapers.compared.paper import PAPER
from reidpapers.run import datasets, runs
from reidpapers.run.config import ConfigError, configure
from reidpapers.show import layout
from reidpapers.show.measure import judge

RECIPE = {
    "mlsl": ("rate1", "rate2", "schedule1", "schedule2", "optimizer", "labels", "dropout", "alpha", "pairs", "batch"),
    "drdl": ("rate", "decay", "weight_decay", "sets", "set_size", "margin", "network", "loss", "center", "embedding"),
    "c2f_rank": ("rate1", "rate2", "schedule", "optimizer", "terms", "alpha", "beta", "gamma", "models", "batch"),
    "agnet": ("rate", "schedule", "optimizer", "theta", "beta", "mask", "branches", "verification", "pairs", "width"),
    "multiguided": ("rate", "schedule", "margin", "center_weight", "shrink", "erase", "identities", "images", "width"),
}


@pytest.mark.parametrize("name", ENTRANTS)
@pytest.mark.parametrize("profile, images", [("quick", 48_000), ("paper", 4_800_000), ("smoke", 480)])
def test_every_method_sees_the_same_number_of_images(name, profile, images):
    config = ComparedConfig(profile=profile, method=name)
    whole = images * (5 if name == "multiguided_ensemble" else 1)
    assert PAPER.images_seen(config) == pytest.approx(whole, rel=0.003 if profile != "smoke" else 0.05)


@pytest.mark.parametrize("name", ENTRANTS)
def test_images_that_count_are_the_different_ones_of_a_batch(name):
    paper, config = ENTRANTS[name].paper, own(ComparedConfig(method=name))
    for stage in (config, *paper.starts_from(config)):
        if paper.steps(stage):
            rows = paper.usable(stage, datasets.load(paper.learns_from(stage).source).manifest.rows("train"))
            draw = paper.draw(stage, paper.labels(rows))
            drawn = [draw(step, sampler.generator("counted", step)).flatten() for step in range(20)]
            most = max(len(batch.unique()) for batch in drawn)
            # By chance one image comes twice; by construction none, beyond the anchors that pairs share.
            assert {len(batch) for batch in drawn} == {paper.batch_size(stage)}
            assert paper.distinct(stage) * 0.97 <= most <= paper.distinct(stage)


@pytest.mark.parametrize("name", RECIPE)
def test_a_method_keeps_its_papers_recipe(name):
    mine, theirs = own(ComparedConfig(method=name)), ENTRANTS[name].paper.Config()
    assert {field: getattr(mine, field) for field in RECIPE[name]} == {f: getattr(theirs, f) for f in RECIPE[name]}
    differs = {field for field, value in mine if value != getattr(theirs, field)}
    assert differs <= {*ENTRANTS[name].lengths, *ENTRANTS[name].drops, *ENTRANTS[name].changes, *EQUAL}


@pytest.mark.parametrize("name", ENTRANTS)
def test_all_have_one_trunk_one_dataset_and_one_test(name):
    configs = [own(ComparedConfig(method=method)) for method in (name, "classification")]
    for field in ("backbone", "image_size", "preset", "data_seed", "precision", "pretrained", "crop", "brightness"):
        assert len({getattr(config, field) for config in configs}) == 1, field
    dataset = datasets.load(configs[0].source)
    (test,) = paper.on_equal_terms(name).tests(configs[0], dataset)
    assert test == dataset.tests[0] and paper.on_equal_terms(name).protocols(configs[0]) == ("veri",)
    assert PAPER.data(ComparedConfig(method=name))["digest"] == dataset.digest


def test_stages_are_runs_of_their_own_and_end_at_the_first():
    whole = ComparedConfig(method="mlsl", seed=3)
    (first,) = PAPER.starts_from(whole)
    assert first.stage == (0,) and first.seed == 3 and PAPER.starts_from(first) == ()
    assert own(first).learning == "feature" and own(whole).learning == "joint"
    assert PAPER.steps(first) * 48 + PAPER.steps(whole) * 36 == pytest.approx(48_000, abs=36)
    assert runs.name(first, PAPER) != runs.name(whole, PAPER)


def test_the_initial_model_of_c2f_rank_sees_the_same_vehicles_as_all():
    (first,) = PAPER.starts_from(ComparedConfig(method="c2f_rank"))
    learnt = ENTRANTS["c2f_rank"].paper.learns_from(own(first))
    assert (learnt.preset, learnt.data_seed) == ("small", 0)


@pytest.mark.parametrize("given, said", [
    ({"dataset": "veri776"}, "allowed is rendered"), ({"crop": 1.5}, "keeps its own"),
    ({"test_distance": "cosine"}, "keeps its own"), ({"stage": [0, 0]}, "no such run"), ({"images": 3}, ">= 200"),
    ({"method": "best"}, "one of classification, mlsl"),
])  # fmt: skip
def test_what_would_set_one_method_apart_is_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        configure(ComparedConfig, {"method": "mlsl", **given})


@pytest.mark.parametrize("name", ENTRANTS)
def test_every_method_runs_and_its_record_shows_the_papers_own_configuration(name):
    config = ComparedConfig(profile="smoke", image_size=16, images=200, method=name)
    record = runs.run(config, PAPER)
    assert record.paper == "compared" and record.config["method"] == name and 0 < record.scores["mAP"] <= 1
    shown = record.exhibits["configuration"]
    assert shown == own(config).portable() and ENTRANTS[name].paper.Config(**shown).portable() == shown
    assert record.data["digest"] == datasets.load(config.source).digest and not record.tests
    assert runs.replay(record, config, PAPER)[0] == runs.BY_PROBE


def test_a_paper_is_sent_to_other_processes_by_its_name():
    sent = pickle.dumps(PAPER)
    assert pickle.loads(sent) is PAPER and b"compute" not in sent


def test_every_method_is_a_row_and_meets_the_reference_and_every_older_one():
    named = {row.changes["method"]: row.name for row in tables.rows("all")}
    assert set(named) == set(ENTRANTS) and tables.rows("all") == tables.rows("base")
    assert named["multiguided_ensemble"] not in {claim.better for claim in tables.QUESTIONS}
    asked = {(claim.better, rival) for claim in tables.QUESTIONS for rival in claim.rivals}
    methods = [row.name for row in tables.METHODS]
    assert asked == {(new, old) for i, new in enumerate(methods) for old in ["Classification", *methods[:i]]}
    assert {claim.metric for claim in tables.QUESTIONS} == {"mAP", "top1"}


def test_every_row_says_how_long_it_learns():
    assert set(tables.NOTES) == {row.name for row in tables.ROWS}
    assert tables.NOTES["DRDL"] == "600 steps of 80 images"
    pairs = "533 steps of 36 images in 48 places, since pairs share some"
    assert tables.NOTES["MLSL"] == f"600 steps of 48 images, then {pairs}; schedule1 = cosine instead of epochs"
    assert "optimizer = adamw instead of sgd" in tables.NOTES["AGNet-ASL"]
    assert "rate = 0.002 instead of 0.1" in tables.NOTES["AGNet-ASL"]
    assert "rate = 0.002 instead of 0.00035" in tables.NOTES["Multi-guided, one extractor"]


@pytest.mark.parametrize("name", ENTRANTS)
def test_at_the_papers_sizes_every_method_trains_as_its_paper_does(name):
    config = own(ComparedConfig(method=name, profile="paper"))
    assert paper.recipe(ENTRANTS[name], ENTRANTS[name].line(config)) == {}
    assert "five times the images" in tables.NOTES["Multi-guided, ensemble of five"]


def test_questions_are_judged_on_records_of_one_dataset():
    config = ComparedConfig(profile="smoke", image_size=16, images=200)
    found = {row.name: [runs.run(config.but(**row.changes, seed=seed), PAPER) for seed in range(3)]
             for row in tables.rows("all")[:2]}  # fmt: skip
    verdict = judge(tables.QUESTIONS[0], found)
    assert len(verdict.differences[0].seeds) == 3 and verdict.dataset == "rendered smoke"
    assert "DRDL" in layout.to_text(found, tables.COLUMNS)
