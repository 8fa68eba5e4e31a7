"""C2F-Rank's objective against loops; what starts from what and learns from what; tiny runs of each variant."""

import math

import pandas as pd
import pytest
import torch
from torch import nn

from reidlib import sampler
from reidlib.data import manifest
from reidlib.data.manifest import COLUMNS, Dataset, Manifest
from reidpapers.c2f_rank import loss, paper, samples
from reidpapers.c2f_rank.config import TERMS, C2FConfig
from reidpapers.c2f_rank.paper import PAPER
from reidpapers.run import datasets, evaluate_run, runs
from reidpapers.run.config import ConfigError, configure
from reidpapers.run.training import Batch

TINY = {"profile": "smoke", "image_size": 16, "iterations1": 3, "iterations2": 2}
BATCH = [(i // 2, i // 4) for i in range(12)]  # three models of two vehicles of two images


class Plain(nn.Module):
    """A network whose features are the images, so that the objective stands alone; logits are given."""

    def __init__(self, width, classes=3):
        super().__init__()
        self.trunk, self.model = nn.Identity(), nn.Linear(width, classes)


def plain(seed=0, scale=1.0):
    torch.manual_seed(seed)
    return Plain(5).double(), Batch(scale * torch.randn(12, 5, dtype=torch.float64), torch.tensor(BATCH))


def naive(network, batch, config):
    """Eq. 2 to 5 in loops over images."""
    logits = network.model(batch.images).tolist()
    rows = [[x / math.hypot(*row) for x in row] for row in batch.images.tolist()]
    distance = [[sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) for second in rows] for first in rows]
    entropy, coarse, fine, pair = [], [], [], []
    for i, (v, m) in enumerate(batch.labels.tolist()):
        entropy.append(math.log(sum(map(math.exp, logits[i]))) - logits[i][m])
        others = sorted((n for n in range(len(rows)) if n != i), key=lambda n: distance[i][n])
        label = {n: batch.labels[n].tolist() for n in others}
        same = [n for n in others if label[n][0] == v]
        model = [n for n in others if label[n][0] != v and label[n][1] == m]
        far = [n for n in others if label[n][1] != m][: config.k1]
        coarse += [max(0, distance[i][j] - distance[i][k] + config.margin_coarse) for j in model for k in far]
        fine += [max(0, distance[i][n] - distance[i][j] + config.margin_fine) for n in same for j in model[: config.k2]]
        pair += [distance[i][n] for n in same]
    return {name: sum(values) / len(values) for name, values in zip(TERMS, (entropy, coarse, fine, pair), strict=True)}


@pytest.mark.parametrize("changes", [{}, {"k1": 2, "k2": 1}, {"margin_coarse": 1.0, "margin_fine": 0.0}], ids=str)
def test_the_objective_equals_a_loop(changes):
    config = C2FConfig(**changes)
    network, batch = plain(scale=3.0)
    terms = {name: value.item() for name, value in loss.ranking(network, batch, config).items()}
    # The ranking terms are computed in float32, as features are.
    assert terms == pytest.approx(naive(network, batch, config), rel=1e-5)


def test_classification_sees_lengths_and_the_ranking_does_not():
    config = C2FConfig()
    network, batch = plain()
    longer = Batch(batch.images * torch.rand(12, 1, dtype=torch.float64).add(0.5), batch.labels)
    before, after = (loss.ranking(network, drawn, config) for drawn in (batch, longer))
    assert before["classification"].item() != pytest.approx(after["classification"].item(), rel=1e-3)
    for name in ("coarse", "fine", "pair"):
        assert before[name].item() == pytest.approx(after[name].item(), rel=1e-5)


@pytest.mark.parametrize("terms, wanted", [
    (("fine",), {"coarse": 0.0, "fine": 1000.0, "pair": 0.0}),
    (("coarse", "fine"), {"coarse": 100.0, "fine": 1000.0, "pair": 0.0}),
    (("classification",), {"classification": 1.0, "coarse": 0.0, "fine": 0.0, "pair": 0.0}),
    (TERMS, {"classification": 1.0, "coarse": 100.0, "fine": 1000.0, "pair": 10.0}),
])  # fmt: skip
def test_each_variant_learns_its_terms_and_logs_the_others(terms, wanted):
    config = C2FConfig(terms=terms, image_size=32, device="cpu")
    assert PAPER.term_weights(config) == wanted
    network = PAPER.build(config, {"models": 3})
    batch = Batch(torch.randn(12, 3, 32, 32), torch.tensor(BATCH))
    values = PAPER.objective(config, network, batch)
    assert values.keys() == wanted.keys()
    parameters = list(network.trunk.parameters())
    total = sum(wanted[name] * value for name, value in values.items())
    used = sum(wanted[name] * values[name] for name in terms)
    slopes = [torch.autograd.grad(value, parameters, retain_graph=True) for value in (total, used)]
    for first, second in zip(*slopes, strict=True):
        assert torch.equal(first, second) and first.abs().sum() > 0
    assert hasattr(network, "model") == ("classification" in terms)


def test_the_initial_model_is_plain_classification_of_models():
    network, batch = plain(1)
    values = PAPER.objective(C2FConfig(learning="initial"), network, batch)
    assert values["classification"].item() == pytest.approx(naive(network, batch, C2FConfig())["classification"])
    assert PAPER.term_weights(C2FConfig(learning="initial")) == {"classification": 1.0} and len(values) == 1


def test_features_have_unit_length_and_any_trunk_will_do():
    for name, width in (("small", 128), ("googlenet", 1024)):
        network = PAPER.build(C2FConfig(backbone=name, image_size=32, device="cpu"), {"models": 4}).eval()
        features = network(torch.randn(3, 3, 32, 32))
        assert features.shape == (3, width) and features.norm(dim=1).tolist() == pytest.approx([1] * 3, abs=1e-5)
        assert network.model.weight.shape == (4, width)


def test_what_a_variant_does_not_use_makes_no_other_record():
    def same(first, second):
        return C2FConfig(**first).fingerprint() == C2FConfig(**second).fingerprint()

    assert same({"terms": ["pair", "fine", "classification", "coarse"]}, {})
    for unused in ({"alpha": 5}, {"gamma": 5}, {"k1": 4}, {"margin_coarse": 1}):
        assert same({"terms": ["fine"]}, {"terms": ["fine"], **unused}) and not same({}, unused)
    for unused in ({"beta": 5}, {"k2": 2}, {"margin_fine": 1}, {"normalisation": "active"}, {"rate2": 0.5}):
        assert same({"terms": ["classification"]}, {"terms": ["classification"], **unused}) and not same({}, unused)
    for unused in ({"terms": ["fine"]}, {"iterations2": 7}, {"rate2": 0.5}, {"models": 4}):
        assert same({"learning": "initial"}, {"learning": "initial", **unused}) and not same({}, unused)
    for unused in ({"iterations1": 3}, {"rate1": 0.5}, {"batch": 8}, {"pretrain_seed": 2}, {"pretrain": "own"}):
        assert same({"init": "scratch"}, {"init": "scratch", **unused}) and not same({}, unused)
    assert same({"learning": "initial"}, {"learning": "initial", "init": "scratch"})
    assert same({"test_distance": "cosine"}, {}), "unit-length features rank alike"
    assert same({"pretrain": "own"}, {"pretrain": "own", "pretrain_seed": 9})
    assert same({"dataset": "vehicleid"}, {"dataset": "vehicleid", "pretrain": "own"}), "without CompCars"
    assert not same({"dataset": "vehicleid", "pretrain_root": "x"}, {"dataset": "vehicleid"})
    assert same({"dataset": "vehicleid", "pretrain_root": "x"}, {"dataset": "vehicleid", "pretrain_root": "y"})


@pytest.mark.parametrize("given, said", [
    ({"terms": []}, "terms = [] is refused: allowed is a non-empty list"),
    ({"terms": ["fine", "fine"]}, "allowed are distinct names"),
    ({"terms": ["pull"]}, "allowed is a non-empty list of distinct values, each one of classification, coarse"),
    ({"k1": 136}, "k1 = 136 is refused: a batch of 10 models × 3 vehicles × 5 images holds 135 of other models"),
    ({"k2": 11}, "holds 10 of other vehicles of one model; allowed is a whole number from 1 to 10"),
    ({"models": 2, "vehicles": 2, "images": 2, "k2": 2}, "k1 = 10 is refused"),
    ({"margin_fine": -0.1}, "margin_fine = -0.1 is refused: allowed is a number >= 0"),
    ({"vehicles": 1}, "vehicles = 1 is refused: allowed is a whole number >= 2"),
    ({"normalisation": "none"}, "allowed is one of all, active"),
    ({"dataset": "digits"}, "dataset = 'digits' is refused: the loss needs vehicles and their models"),
    ({"pretrain": "none"}, "pretrain = 'none' is refused: allowed is one of other, own"),
    ({"data_seed": 2**31 - 1}, "allowed is a sum below"),
    ({"alhpa": 5}, "did you mean alpha?"),
])  # fmt: skip
def test_what_no_run_could_mean_is_refused(given, said):
    with pytest.raises(ConfigError, match="nothing was computed") as caught:
        configure(C2FConfig, given)
    assert said in str(caught.value)


def test_a_number_that_the_variant_does_not_use_is_not_in_the_way():
    assert C2FConfig(terms=["fine"], k1=500).canonical().k1 == 10
    assert C2FConfig(learning="initial", k1=500).canonical().k1 == 10


def test_what_starts_from_what_and_learns_from_what():
    config = C2FConfig(iterations1=70, iterations2=50, seed=3, data_seed=4)
    (start,) = PAPER.starts_from(config)
    assert start.learning == "initial" and start.seed == 3 and PAPER.starts_from(start) == ()
    assert [PAPER.steps(stage) for stage in (config, start)] == [50, 70]
    others = [config.but(**changes) for changes in ({"terms": ("fine",)}, {"alpha": 5}, {"models": 4})]
    assert {PAPER.starts_from(other)[0].fingerprint() for other in others} == {start.fingerprint()}, "it is shared"
    assert PAPER.starts_from(config.but(init="scratch")) == ()
    learnt = PAPER.learns_from(start)
    assert (learnt.dataset, learnt.preset, learnt.data_seed) == ("rendered", "small", 5), "other vehicles"
    assert PAPER.learns_from(config).data_seed == 4
    assert PAPER.learns_from(PAPER.starts_from(config.but(pretrain="own"))[0]).data_seed == 4
    official = C2FConfig(dataset="vehicleid", data_root="here", learning="initial")
    assert PAPER.learns_from(official).data_root == "here", "for want of CompCars"
    learnt = PAPER.learns_from(official.but(pretrain_root="there"))
    assert (learnt.dataset, learnt.data_root) == ("compcars", "there")


def test_only_the_trunk_is_taken_over_and_seeds_agree(tmp_path):
    def built(models=4, starts=(), **fields):
        return PAPER.build(C2FConfig(device="cpu", **fields), {"models": models}, starts)

    initial = built(learning="initial", seed=7)
    torch.save({"state": {name: part.state_dict() for name, part in initial.named_children()}}, tmp_path / "start.pt")
    for models in (4, 6):  # as many models or not: they are others
        started = built(models, [tmp_path / "start.pt"])
        for name, value in initial.trunk.state_dict().items():
            assert torch.equal(value, started.trunk.state_dict()[name]), name
        assert torch.equal(started.model.weight, built(models).model.weight)
    trunks = [torch.cat([p.flatten() for p in built(**f).trunk.parameters()]) for f in ({}, {"terms": ("fine",)})]
    assert torch.equal(*trunks)


def test_rates():
    config = C2FConfig(iterations1=40, iterations2=80, rate1=0.1, rate2=0.01, schedule="steps")
    plan = PAPER.schedule(config, 1)
    assert [plan(step) for step in (0, 39, 40, 60)] == pytest.approx([0.01, 0.01, 1e-3, 1e-4])
    assert PAPER.schedule(config.but(learning="initial"), 1)(0) == 0.1
    assert PAPER.schedule(config.but(terms=("classification",)), 1)(0) == 0.1, "the control learns as fast"
    plan = PAPER.schedule(config.but(schedule="cosine"), 1)
    assert max(map(plan, range(80))) == pytest.approx(0.01) and plan(79) < 1e-4


def test_every_image_of_a_batch_meets_all_that_the_loss_compares():
    rows = PAPER.usable(C2FConfig(), datasets.load(C2FConfig(profile="smoke").source).manifest.rows("train"))
    labels, config = PAPER.labels(rows), C2FConfig(profile="smoke")
    drawn = labels[PAPER.draw(config, labels)(0, torch.Generator().manual_seed(0))]
    assert len(drawn) == PAPER.batch_size(config) == 18
    vehicle, model = (drawn[:, [column]] == drawn[:, column] for column in (0, 1))
    for related in (vehicle & ~torch.eye(18, dtype=torch.bool), model & ~vehicle, ~model):
        assert related.any(1).all()
    assert PAPER.draw(config.but(learning="initial"), labels)(0, torch.Generator()).shape == (16,)


def test_images_without_a_model_are_left_out():
    rows = pd.DataFrame({"vehicle_id": ["b", "a", "c"], "model": ["y", pd.NA, "x"]}, dtype="string")
    assert PAPER.labels(PAPER.usable(C2FConfig(), rows)).tolist() == [[0, 1], [1, 0]]


def dataset(models):
    """Two images of each of some vehicles, whose models are given."""
    rows = [(f"{v}-{i}", "train", f"v{v}", model) for v, model in enumerate(models) for i in range(2)]
    table = pd.DataFrame(rows, columns=["image", "split", "vehicle_id", "model"]).reindex(columns=COLUMNS)
    return Dataset(Manifest("made up", table, "nowhere"), None, (manifest.Test("", "vehicleid"),), "")


@pytest.mark.parametrize("models, said", [
    ([None] * 4, "the loss of C2F-Rank is refused: made up has fewer than 2 values of 'model' in its training images"),
    (["a"] * 4, "made up has fewer than 2 values of 'model'"),
    (["a", "a", "b", "c"], "1 models have two vehicles with two images each: a batch needs two such models"),
])  # fmt: skip
def test_data_without_what_a_batch_needs_are_refused_before_anything_is_computed(models, said, monkeypatch):
    monkeypatch.setattr(datasets, "load", lambda source: dataset(models))
    paper._check_batches.cache_clear()
    with pytest.raises(ConfigError) as caught:
        PAPER.check(C2FConfig(init="scratch"))
    assert said in str(caught.value)
    paper._check_batches.cache_clear()


def test_what_the_initial_model_learns_from_is_looked_at_too(monkeypatch):
    whole, poor = datasets.load(C2FConfig(profile="smoke").source), dataset(["a"] * 4)
    monkeypatch.setattr(datasets, "load", lambda source: whole if source.seed == 0 else poor)
    paper._check_batches.cache_clear()
    PAPER.check(C2FConfig(profile="smoke", pretrain="own"))
    with pytest.raises(ConfigError, match="made up has fewer than 2 values of 'model'"):
        PAPER.check(C2FConfig(profile="smoke"))  # its initial model learns other vehicles
    paper._check_batches.cache_clear()


def test_data_that_know_models_are_allowed_whatever_their_name():
    assert C2FConfig(dataset="veriwild").dataset == "veriwild"
    with pytest.raises(ValueError, match="allowed are rendered, vehicleid, veriwild, vehicle1m"):
        C2FConfig(dataset="veri776")  # of whose vehicles no model is known


def test_tests_have_the_papers_sizes():
    names = ["large", "large retrieval", "medium", "medium retrieval", "small", "small retrieval"]
    rendered = datasets.load(C2FConfig(profile="smoke").source)
    for name, protocols in (
        ("rendered", ("vehicleid", "drdl_retrieval")), ("vehicleid", ("vehicleid", "drdl_retrieval")),
        ("vehicle1m", ("vehicle1m_cmc", "vehicle1m_map")),
    ):  # fmt: skip
        config = C2FConfig(profile="smoke", dataset=name)
        tests = PAPER.tests(config, rendered)
        assert [test.name for test in tests] == names and PAPER.protocols(config) == protocols
        assert [test.protocol for test in tests] == [*protocols] * 3


def test_a_sample_batch_is_the_first_that_the_ranking_learns_from():
    config = C2FConfig(**TINY)
    rows = datasets.load(config.source).manifest.rows("train")
    images, drawn = samples.first_batch(config, evaluate_run.prepare(config), rows)
    assert len(images) == len(drawn) == 18 and images[0].shape == (16, 16, 3)
    labels = PAPER.labels(PAPER.usable(config, rows))
    chosen = PAPER.draw(config, labels)(0, sampler.generator(config.seed, PAPER.stream(config), 0))
    vehicles = PAPER.usable(config, rows)["vehicle_id"].to_numpy()[chosen.numpy()]
    assert drawn["vehicle_id"].tolist() == vehicles.tolist()


def test_a_probe_is_repeatable_and_sees_both_stages_and_the_mining():
    config, data = C2FConfig(image_size=32), {"models": 3}
    values = PAPER.probe(config, data)
    assert values == PAPER.probe(config, data)
    parts = {f"{stage} {part}" for stage in ("initial", "ranking") for part in ("rate", "loss", "gradient", "features")}
    assert values.keys() == parts | {"scores", "scores drdl_retrieval", "mining"}
    assert len(values["ranking loss"]) == 3 * 5
    other = PAPER.probe(config.but(k1=11), data)
    assert other["mining"] != values["mining"] and other["initial loss"] == values["initial loss"]
    assert PAPER.probe(config.but(terms=("fine",)), data)["ranking gradient"] != values["ranking gradient"]


VARIANTS = [{"learning": "initial"}, {}, {"terms": ("fine",)}, {"terms": ("coarse", "fine")},
            {"terms": ("coarse", "fine", "pair")}, {"terms": ("classification",)}, {"init": "scratch"},
            {"pretrain": "own"}, {"normalisation": "active"}, {"optimizer": "adamw", "schedule": "steps"},
            {"precision": "bfloat16"}]  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_variant_runs_and_leaves_a_whole_record(variant):
    config = C2FConfig(**{**TINY, **variant})
    steps = []
    record = runs.run(config, PAPER, committed=False, progress=steps.append)
    assert sum(steps) == PAPER.steps(config) == record.cost["iterations"]
    assert record.tests.keys() == {f"{size}{kind}" for size in evaluate_run.SIZES for kind in ("", " retrieval")}
    assert record.scores == record.tests["large"] and 0 < record.scores["mAP"] <= 1
    logged = set(record.history) - {"iteration", "rate", "total"}
    assert logged == PAPER.term_weights(config).keys()
    total = sum(weight * record.history[name][0] for name, weight in PAPER.term_weights(config).items())
    assert record.history["total"][0] == pytest.approx(total, rel=1e-2)
