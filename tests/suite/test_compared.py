"""The comparison: equal terms, each paper's own recipe, and records that say both."""

import pickle
from types import SimpleNamespace

import pytest

from reidlib import models, sampler
from reidlib.train import Schedule
from reidpapers.compared import cost, paper, tables
from reidpapers.compared.config import EQUAL, ComparedConfig, own
from reidpapers.compared.entrants import ENTRANTS
from reidpapers.compared.paper import PAPER
from reidpapers.compared.recipe import Stretch
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
    "strong_baseline": ("rate", "margin", "center_weight", "smoothing", "erase", "identities", "images", "last_stride"),
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
    acting = paper.on_equal_terms(ComparedConfig(method=name))
    (test,) = acting.tests(configs[0], dataset)
    assert test == dataset.tests[0] and acting.protocols(configs[0]) == ("veri",)
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
    ({"method": "best"}, "one of classification, mlsl"), ({"recipe": "mine"}, "one of own, equal"),
    ({"recipe": "equal", "rate": 0}, "> 0"),
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


@pytest.mark.parametrize("profile", ["quick", "study"])
def test_every_method_is_a_row_and_in_profile_study_one_with_the_equal_recipe_beside(profile):
    rows = tables.rows("all", profile)
    own_recipe = {row.changes["method"]: row for row in rows if "recipe" not in row.changes}
    equal = {row.changes["method"]: row for row in rows if row.changes.get("recipe") == "equal"}
    assert set(own_recipe) == set(ENTRANTS) and rows == tables.rows("base", profile)
    assert len({row.name for row in rows}) == len(rows) == len(own_recipe) + len(equal)
    assert set(equal) == (set(ENTRANTS) - {"multiguided_ensemble"} if profile == "study" else set())
    assert all(row.name == f"{own_recipe[method].name}, equal recipe" for method, row in equal.items())


def test_each_method_meets_the_reference_and_the_baseline_meets_each_by_either_recipe():
    """And one statement a method and recipe, one more a recipe of the baseline: few, since Holm counts them."""
    asked = [(claim.better, rival) for claim in tables.QUESTIONS if claim.metric == "mAP" for rival in claim.rivals]
    expected = []
    for end in ("", ", equal recipe"):
        methods = [f"{row.name}{end}" for row in tables.METHODS]
        expected += [(name, f"Classification{end}") for name in [*methods, f"Strong baseline{end}"]]
        expected += [(f"Strong baseline{end}", name) for name in methods]
    assert asked == expected
    statements = [claim.statement for claim in tables.QUESTIONS]
    assert len(set(statements)) == 14 == len(statements) / len(tables.ASKED)
    assert {claim.metric for claim in tables.QUESTIONS[::2]} == {"mAP"}, "mAP decides"


def test_the_equal_recipe_is_tuned_alike():
    arms = {arm.row: arm.settings() for arm in tables.ARMS}
    assert list(arms) == [row.name for row in tables.EQUAL_ROWS]
    (settings,) = {str(settings) for settings in arms.values()}
    assert settings.count("rate") == len(tables.RATES) >= 9
    usual = ComparedConfig.model_fields["rate"].default
    assert min(tables.RATES) < usual < max(tables.RATES)


# --- the recipe that is equal for all


def stages(config):
    """A run and the first of those that it starts from, with the paper that acts, the first to be trained first."""
    line = ENTRANTS[config.method].line(own(config))
    return paper.on_equal_terms(config), [
        stage for stage in reversed(line) if ENTRANTS[config.method].paper.steps(stage)
    ]


@pytest.mark.parametrize("name", ENTRANTS)
@pytest.mark.parametrize("profile", ["quick", "study", "paper"])
def test_by_the_equal_recipe_the_rate_depends_on_the_share_of_images_seen_alone(name, profile):
    config = ComparedConfig(profile=profile, method=name, recipe="equal", rate=2e-3, preset="small", data_seed=0)
    acting, line = stages(config)
    found, seen = {}, 0
    for stage in line:
        schedule, images = acting.schedule(stage, 10_000), acting.distinct(stage)
        assert schedule.iterations == ENTRANTS[name].paper.steps(stage)
        assert acting.optimizer(stage) == {"optimizer": "adam"}
        found |= {(seen + images * (step + 0.5)) / config.images: schedule(step) for step in range(schedule.iterations)}
        seen += images * schedule.iterations
    whole = Schedule(100_000, 2e-3, warmup=5_000, cosine=True)  # one stage of as many steps
    for share in (0.01, 0.04, 0.1, 0.3, 0.5, 0.59, 0.61, 0.8, 0.99):
        nearest = min(found, key=lambda place: abs(place - share))
        assert found[nearest] == pytest.approx(whole(round(nearest * 100_000)), abs=4e-6), share
    assert max(found.values()) == pytest.approx(2e-3, rel=0.01)


def test_a_stretch_beyond_all_images_ends_at_nothing():
    assert Stretch(2, 1.0, begins=0.9, share=0.2)(1) == 0.0


@pytest.mark.parametrize("name", ENTRANTS)
def test_recipes_differ_in_optimizer_and_schedule_alone(name):
    mine, theirs = (paper.on_equal_terms(ComparedConfig(method=name, recipe=recipe)) for recipe in ("own", "equal"))
    hooks = {hook for hook in dir(mine) if callable(getattr(type(mine), hook)) and not hook.startswith("__")}
    assert {hook for hook in hooks if getattr(type(mine), hook) is not getattr(type(theirs), hook)} == {
        "optimizer", "schedule",
    }  # fmt: skip
    assert own(ComparedConfig(method=name)) == own(ComparedConfig(method=name, recipe="equal", rate=1e-2))


def test_a_rate_names_another_run_where_it_is_used():
    config = ComparedConfig(method="drdl", recipe="equal")
    assert config.fingerprint() != config.but(rate=2e-3).fingerprint() != config.but(recipe="own").fingerprint()
    assert config.but(recipe="own", rate=2e-3).fingerprint() == ComparedConfig(method="drdl").fingerprint()


@pytest.mark.parametrize("given, before", [
    ({}, "68c759aa7338cc73"), ({"method": "mlsl", "seed": 3}, "a5a10961f27f4bfc"),
    ({"method": "mlsl", "stage": [0]}, "a97789500344d40a"),
    ({"profile": "study", "method": "drdl", "seed": 2, "device": "cpu"}, "7d5e75befdb18e5b"),
    ({"profile": "paper", "method": "multiguided_ensemble", "device": "cpu"}, "4b58a2a95522b578"),
    ({"profile": "smoke", "method": "agnet", "images": 300}, "2f80f3ab09cde8d6"),
])  # fmt: skip
def test_new_options_leave_the_names_of_older_runs(given, before):
    assert ComparedConfig(**given).fingerprint()[:16] == before


@pytest.mark.parametrize("name", ["mlsl", "strong_baseline", "drdl"])
def test_a_run_by_the_equal_recipe_says_so(name):
    config = ComparedConfig(profile="smoke", image_size=16, images=200, method=name, recipe="equal", rate=3e-3)
    record = runs.run(config, PAPER)
    shown = record.exhibits["configuration"]
    assert (shown["recipe"], shown["rate"]) == ("equal", 3e-3) and not {"rate1", "decay_every", "optimizer"} & set(
        shown
    )
    assert 0 < record.scores["mAP"] <= 1 and record.fit["levels"] and max(record.history["rate"]) < 3e-3
    assert runs.replay(record, config, PAPER)[0] == runs.BY_PROBE
    assert runs.name(config.but(recipe="own"), PAPER) != record.key


# --- what it costs


# Steps times places of a batch, all stages; at quick, so that each has 48,000 different images.
PASSES = {
    "classification": 1000 * 48, "mlsl": 600 * 48 + 533 * 48, "drdl": 600 * 80, "c2f_rank": 320 * 75 + 160 * 150,
    "agnet": 2000 * 32, "multiguided": 750 * 64, "multiguided_ensemble": 750 * 64, "strong_baseline": 750 * 64,
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRANTS)
def test_costs_are_counted_over_every_image_that_passes_the_network(name):
    config = ComparedConfig(method=name)
    assert cost.passes(config) == PASSES[name]
    record = SimpleNamespace(config=config.portable(), cost={"flops": 40_000_000})
    seen, each, whole = cost.counted(record).values()
    assert (seen, each, whole) == (f"{PAPER.images_seen(config):,}", "20.0", f"{PASSES[name] * 20 / 1e6:.2f}")


def test_an_ensembles_operations_are_those_of_all_its_members():
    config = own(ComparedConfig(profile="smoke", method="multiguided_ensemble"))
    paper = ENTRANTS["multiguided_ensemble"].paper
    whole, *members = (
        models.flops(paper.build(run, paper.data(run)), (1, 3, 32, 32)) for run in (config, *paper.starts_from(config))
    )
    assert whole == sum(members)


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
