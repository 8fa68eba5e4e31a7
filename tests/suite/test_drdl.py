"""DRDL's network and objective against loops and values by hand; what is refused; tiny runs of each variant."""

import math
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from reidlib import losses
from reidlib.data import manifest
from reidlib.evaluate import protocols
from reidlib.evaluate.embed import embed
from reidpapers.drdl import loss, samples
from reidpapers.drdl.config import MAKE, MODEL, VEHICLE, DRDLConfig
from reidpapers.drdl.network import DRDL, unit
from reidpapers.drdl.paper import PAPER
from reidpapers.mlsl.paper import MLSLConfig
from reidpapers.run import datasets, evaluate_run, joint_bayesian, runs
from reidpapers.run.config import ConfigError, configure
from reidpapers.run.training import Batch, batches
from reidpapers.show import notebook, plots
from reidpapers.vehicles import rendered

SMOKE = {"profile": "smoke"}
KNOWN = {"classes": 4}


def network(**fields):
    return PAPER.build(DRDLConfig(device="cpu", image_size=32, embedding=8, **fields), KNOWN)


def sets(count, size, seed=0):
    """Random features of length 1 as one batch has them, and as nested lists ``[count][2][size]``."""
    features = unit(torch.randn(count * 2 * size, 6, generator=torch.Generator().manual_seed(seed)))
    return features, features.view(count, 2, size, 6).tolist()


def apart(first, second):
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("margin", [0.0, 0.2, 3.0])
def test_coupled_clusters_of_a_batch_equal_a_loop(margin):
    features, nested = sets(4, 3)
    value = loss.relative(features, DRDLConfig(loss="ccl", sets=4, set_size=3, margin=margin))
    wanted = []
    for positives, negatives in nested:
        centre = [sum(values) / 3 for values in zip(*positives, strict=True)]
        far = min(apart(negative, centre) for negative in negatives)
        wanted.append(sum(max(0.0, apart(positive, centre) + margin - far) / 2 for positive in positives))
    assert value.item() == pytest.approx(sum(wanted) / 4, abs=1e-6)


@pytest.mark.parametrize("reduction, factor", [("mean", 1.0), ("sum", 3 * 2 * 3)])
def test_triplets_of_a_batch_equal_a_loop(reduction, factor):
    features, nested = sets(4, 3, seed=1)
    config = DRDLConfig(loss="triplet", sets=4, set_size=3, margin=0.4, reduction=reduction)
    total = 0.0
    for positives, negatives in nested:
        for i, anchor in enumerate(positives):
            for j, positive in enumerate(positives):
                for negative in negatives if i != j else ():
                    total += max(0.0, apart(anchor, positive) + 0.4 - apart(anchor, negative))
    assert loss.relative(features, config).item() == pytest.approx(total / (4 * 18) * factor, rel=1e-5)


def test_the_softmax_leaves_out_images_without_a_model():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [5.0, -5.0]])
    value = losses.cross_entropy(logits, torch.tensor([0, 0, -1]))
    wanted = (math.log(1 + math.exp(-2)) + math.log(1 + math.e)) / 2
    assert value.item() == pytest.approx(wanted, abs=1e-6)
    none = losses.cross_entropy(logits.requires_grad_(), torch.full((3,), -1))
    none.backward()
    assert none.item() == 0 and logits.grad.abs().max() == 0


def test_the_mixed_network_is_figure_6():
    mixed, images = network(), torch.randn(3, 3, 32, 32)
    mixed.eval()
    parts, shared = mixed.branches(images), mixed.trunk(images)
    upper, lower = mixed.fc7_1(shared).relu(), mixed.fc7_2(shared)
    both = mixed.fc8(torch.cat([upper, lower.relu()], 1))
    assert torch.allclose(parts["logits"], mixed.model(upper)) and parts["logits"].shape == (3, 4)
    assert torch.allclose(parts["lower"], lower / lower.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.allclose(parts["mixed"], both / both.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.equal(mixed(images), parts["mixed"]), "fc8 is the feature that is retrieved with"


@pytest.mark.parametrize("kind, layers", [
    ("single", {"trunk", "fc7"}), ("upper", {"trunk", "fc7_1", "model"}),
    ("mixed", {"trunk", "fc7_1", "fc7_2", "fc8", "model"}),
])  # fmt: skip
@pytest.mark.parametrize("backbone, size", [("small", 32), ("vgg_cnn_m_1024", 41)])
def test_features_have_length_one_and_layers_are_those_of_the_variant(kind, layers, backbone, size):
    variant = DRDL(DRDLConfig(network=kind, backbone=backbone, image_size=size, embedding=8), 4).eval()
    features = variant(torch.randn(2, 3, size, size))
    assert features.shape == (2, 8) and features.norm(dim=1).tolist() == pytest.approx([1, 1])
    assert {name for name, _ in variant.named_children()} == layers


def test_dropout_acts_in_training_on_what_classifier_and_fc8_see():
    mixed, images = network(dropout=0.5), torch.randn(3, 3, 32, 32)
    mixed.trunk.eval()  # batch normalisation aside, training differs in dropout alone
    torch.manual_seed(0)
    first, second = mixed.branches(images), mixed.branches(images)
    same = {name for name in first if torch.equal(first[name], second[name])}
    assert same == {"upper", "lower"} and first.keys() - same == {"logits", "mixed"}
    mixed.eval()
    assert torch.equal(mixed(images), mixed(images))
    before = torch.random.get_rng_state()
    plain = network()
    plain.trunk.eval()
    assert torch.equal(plain(images), plain.eval()(images)) and torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("fields, names", [
    ({"network": "single", "loss": "triplet"}, {"lower"}), ({"network": "single"}, {"lower"}),
    ({"network": "mixed"}, {"model", "lower", "mixed"}), ({"network": "upper"}, {"model"}),
    ({"network": "mixed", "center": "full"}, {"model", "lower", "mixed"}),
    ({"network": "mixed", "task": "verification"}, {"model", "lower", "mixed"}),
])  # fmt: skip
def test_every_layer_learns_from_every_variant(fields, names):
    config = DRDLConfig(device="cpu", image_size=32, embedding=8, sets=2, set_size=3, margin=1.0, **fields)
    variant = PAPER.build(config, KNOWN)
    batch = Batch(torch.randn(12, 3, 32, 32), torch.randint(0, 4, (12, 3)))
    values = PAPER.objective(config, variant, batch)
    assert values.keys() == names == PAPER.term_weights(config).keys()
    sum(PAPER.term_weights(config)[name] * value for name, value in values.items()).backward()
    assert all(parameter.grad is not None for parameter in variant.parameters())
    silent = {name for name, parameter in variant.named_parameters() if parameter.grad.abs().max() == 0}
    assert not silent


def test_the_weights_are_those_printed_and_each_counts():
    assert PAPER.term_weights(DRDLConfig()) == {"model": 0.5, "lower": 0.5, "mixed": 1.0}
    config = DRDLConfig(weight_model=0.1, weight_lower=0.2, weight_mixed=0.3)
    assert PAPER.term_weights(config) == {"model": 0.1, "lower": 0.2, "mixed": 0.3}


def test_the_centres_gradient_is_the_only_difference_of_the_modes():
    features, _ = sets(3, 4, seed=2)
    outcomes = {}
    for center in ("detach", "full"):
        leaf = features.clone().requires_grad_()
        value = loss.relative(leaf, DRDLConfig(sets=3, set_size=4, margin=2.0, center=center))
        outcomes[center] = (value.item(), torch.autograd.grad(value, leaf)[0])
    assert outcomes["detach"][0] == outcomes["full"][0]
    assert not torch.allclose(outcomes["detach"][1], outcomes["full"][1], atol=1e-3)


def test_one_seed_has_one_trunk_in_every_variant():
    def trunk(**fields):
        return torch.cat([p.flatten() for p in network(**fields).trunk.parameters()])

    assert torch.equal(trunk(), trunk(network="single")) and torch.equal(trunk(), trunk(network="upper"))
    assert not torch.equal(trunk(), trunk(seed=1))


def test_a_file_of_weights_fills_the_trunk_and_every_fc7(tmp_path):
    start = DRDL(DRDLConfig(network="single", backbone="vgg_cnn_m_1024", image_size=41, embedding=1024), 4)
    path = tmp_path / "vgg.pt"
    torch.save({**start.trunk.state_dict(), "fc7.weight": start.fc7.weight, "fc7.bias": start.fc7.bias}, path)
    config = DRDLConfig(backbone="vgg_cnn_m_1024", image_size=41, embedding=1024, weights=str(path), device="cpu")
    filled = PAPER.build(config, KNOWN)
    for layer in (filled.fc7_1, filled.fc7_2):
        assert torch.equal(layer.weight, start.fc7.weight) and torch.equal(layer.bias, start.fc7.bias)
    assert torch.equal(filled.trunk.fc6.weight, start.trunk.fc6.weight)
    other = PAPER.build(config.but(embedding=16), KNOWN)
    assert torch.equal(other.trunk.fc6.weight, start.trunk.fc6.weight), "another width has an fc7 of its own"


def test_weights_that_were_found_fill_every_fc7_too_and_a_file_without_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    single = {"network": "single", "backbone": "vgg_cnn_m_1024", "image_size": 41, "embedding": 1024, "device": "cpu"}
    start = DRDL(DRDLConfig(**single), 4)
    state = {name: value.contiguous() for name, value in start.trunk.state_dict().items()}
    file = tmp_path / "weights" / "vgg_cnn_m_1024.safetensors"
    save_file({**state, "fc7.weight": start.fc7.weight.data, "fc7.bias": start.fc7.bias.data}, file)
    config = DRDLConfig(**single, pretrained=True)
    assert torch.equal(PAPER.build(config, KNOWN).fc7.weight, start.fc7.weight)
    save_file(state, file)
    with pytest.raises(ValueError, match="does not fit fc7.: it lacks weight, bias"):
        PAPER.build(config, KNOWN)


def test_schedule_and_sizes_of_the_paper():
    config = DRDLConfig(profile="paper")
    plan = PAPER.schedule(config, 110_178)
    assert [plan(step) for step in (0, 7_999, 8_000, 24_000)] == pytest.approx([0.01, 0.01, 0.007, 0.01 * 0.7**3])
    assert PAPER.batch_size(config) == 150 and (config.sets, config.set_size, config.embedding) == (15, 5, 1024)
    assert (config.pretrained, config.dropout, DRDLConfig().dropout) == (True, 0.5, 0.0)
    assert config.backbone == "vgg_cnn_m_1024" and PAPER.optimizer(config) == {"optimizer": "sgd", "weight_decay": 2e-4}


def test_labels_of_datasets_that_know_more_or_less():
    rows = pd.DataFrame(
        {"vehicle_id": ["b", "a", "c"], "model": ["Audi/A4", "Audi/A6", pd.NA], "type": [pd.NA] * 3}, dtype="string"
    )
    assert PAPER.labels(rows).tolist() == [[1, 0, 0], [0, 1, 0], [2, -1, -1]]
    own = rows.assign(model=pd.Series(["m1", "m2", "m3"], dtype="string"), type=["van", "van", "bus"])
    assert PAPER.labels(own)[:, 1:].tolist() == [[0, 1], [1, 1], [2, 0]], "a type stands for the make"
    typed = own.assign(model=pd.Series([pd.NA] * 3, dtype="string"))
    assert PAPER.labels(typed)[:, MODEL].tolist() == [1, 1, 0], "and for the model where none is known"


def test_batches_hold_sets_of_one_vehicle_against_others():
    config = DRDLConfig(image_size=16, sets=3, set_size=2)
    labels = torch.tensor([[i // 3, i // 6, 0] for i in range(12)])
    pixels = torch.zeros(12, 16, 16, 3, dtype=torch.uint8)
    for task, column in (("reid", VEHICLE), ("verification", MODEL)):
        feed = batches(PAPER, config.but(task=task), lambda places: pixels[places], torch.arange(12), labels)
        positives, negatives = feed(0).labels[:, column].view(3, 2, 2).unbind(1)
        assert (positives == positives[:, :1]).all() and (negatives != positives[:, :1]).all()


def test_models_are_verified_where_there_are_no_vehicles():
    config, _ = configure(DRDLConfig, {"dataset": "compcars", "profile": "smoke"})
    assert config.task == "verification" and config.identity() == VEHICLE and config.coarse() == MAKE
    config, _ = configure(DRDLConfig, {"dataset": "vehicleid", "profile": "smoke"})
    assert config.task == "reid" and config.identity() == VEHICLE and config.coarse() == MODEL
    assert DRDLConfig(task="verification").identity() == MODEL


@pytest.mark.parametrize("given, said", [
    ({"set_size": 1}, "set_size = 1 is refused: allowed is a whole number >= 2"),
    ({"sets": 0}, "sets = 0 is refused"), ({"margin": -0.1}, "margin = -0.1 is refused: allowed is a number >= 0"),
    ({"center": "moving"}, "center = 'moving' is refused: allowed is one of detach, full"),
    ({"pairs": 7}, "pairs = 7 is refused"), ({"dataset": "digits"}, "allowed are the vehicle datasets"),
    ({"dataset": "vehicleid", "task": "verification"}, "lacks type; pairs of models are graded by color, model, type"),
    ({"dataset": "compcars", "task": "reid"}, "it knows models and no vehicles"),
    ({"levels": ["easy", "easy"]}, "distinct names of levels"), ({"levels": []}, "levels = [] is refused"),
])  # fmt: skip
def test_what_no_run_could_mean_is_refused(given, said):
    with pytest.raises(ConfigError) as caught:
        configure(DRDLConfig, given)
    assert said in str(caught.value)


@pytest.mark.parametrize("given, said", [
    ({"set_size": 7}, "set_size = 7 does not fit rendered smoke: size = 7 is refused: no identity has more than 6"),
    ({"task": "verification", "levels": ["hard"]}, "task = 'verification' does not fit rendered smoke"),
    ({"task": "verification", "verified": "unseen"}, "make 0; verified = 'all' asks for less"),
])  # fmt: skip
def test_what_the_data_cannot_give_is_refused_before_a_picture_is_decoded(given, said, monkeypatch):
    monkeypatch.setattr(evaluate_run, "open_store", lambda *args, **kwargs: pytest.fail("pictures were decoded"))
    with pytest.raises(ConfigError, match="fit") as caught:
        runs.run(DRDLConfig(**SMOKE, **given), PAPER, committed=False)
    assert said in str(caught.value)


@pytest.mark.parametrize("fields, lost, said", [
    ({"network": "mixed"}, ["model", "type"], "has no model or type; allowed is single"),
    ({"network": "single", "literal": True}, ["model"], "lacks 'model' in its gallery images; allowed is False"),
])  # fmt: skip
def test_a_variant_that_needs_a_missing_column_is_refused(fields, lost, said, monkeypatch):
    whole = rendered.load("smoke")
    table = whole.manifest.table.assign(**{column: pd.NA for column in lost})
    bare = replace(whole, manifest=replace(whole.manifest, table=table))
    monkeypatch.setattr(datasets, "load", lambda source: bare)
    with pytest.raises(ConfigError) as caught:
        PAPER.check(DRDLConfig(**SMOKE, **fields))
    assert said in str(caught.value)
    PAPER.check(DRDLConfig(**SMOKE, network="single"))


def test_equal_runs_have_one_record():
    def same(first, second):
        return DRDLConfig(**first).fingerprint() == DRDLConfig(**second).fingerprint()

    assert same({"network": "single", "weight_model": 0.1}, {"network": "single"})
    assert same({"network": "single", "dropout": 0.5}, {"network": "single"}) and not same({"dropout": 0.5}, {})
    assert same({"network": "upper", "loss": "triplet", "margin": 0.5, "center": "full"}, {"network": "upper"})
    assert same({"loss": "triplet", "center": "full"}, {"loss": "triplet"})
    assert same({"reduction": "sum"}, {}) and not same({"loss": "triplet", "reduction": "sum"}, {"loss": "triplet"})
    assert same({"pairs": 10, "levels": ["easy"]}, {}) and not same({"center": "full"}, {})
    verified = {"task": "verification"}
    assert same({**verified, "literal": True}, verified) and not same({**verified, "pairs": 10}, verified)
    assert same({"verified": "all"}, {}) and not same({**verified, "verified": "all"}, verified)
    assert same({"dataset": "compcars", "pairs": 10, "verified": "all"}, {"dataset": "compcars"})


def test_tests_are_those_of_the_sections():
    dataset = rendered.load("smoke")
    tests = PAPER.tests(DRDLConfig(**SMOKE), dataset)
    assert [test.name for test in tests] == ["large", "large retrieval", "medium", "medium retrieval", "small",
                                             "small retrieval"]  # fmt: skip
    assert [test.protocol for test in tests[:2]] == ["vehicleid", "drdl_retrieval"]
    assert PAPER.tests(DRDLConfig(**SMOKE, literal=True), dataset)[1].protocol == "drdl_retrieval_literal"
    pairs = PAPER.tests(DRDLConfig(**SMOKE, task="verification"), dataset)
    assert [(test.name, test.protocol, len(test.pairs)) for test in pairs] == [
        ("easy", "verification", 24), ("medium", "verification", 24)
    ]  # fmt: skip
    own = (manifest.Test("easy", "verification"),)
    assert PAPER.tests(DRDLConfig(dataset="compcars"), replace(dataset, tests=own)) == own


@pytest.mark.parametrize("fields", [{}, {"loss": "triplet"}, {"network": "upper"}, {"task": "verification"}], ids=str)
def test_a_probe_is_repeatable_and_sees_the_loss(fields):
    config = DRDLConfig(**SMOKE, **fields)
    values = PAPER.probe(config, KNOWN)
    assert values == PAPER.probe(config, KNOWN)
    assert ("distances" in values) == (config.network != "upper")
    assert np.isfinite([value for series in values.values() for value in series]).all()


def test_models_to_be_verified_are_kept_from_training_and_from_joint_bayesian(monkeypatch):
    """Half of the models are learnt, 14 of 27; what is fitted to training features sees no other one, too."""
    config = DRDLConfig(task="verification", device="cpu")
    dataset, fitted = rendered.load("small"), []
    rows = PAPER.usable(config, dataset.manifest.rows("train"))
    tested = pd.concat([test.pairs for test in PAPER.tests(config, dataset)])
    models = dataset.manifest.table.drop_duplicates("image").set_index("image")["model"]
    assert rows["model"].nunique() == 14 and not set(rows["model"]) & set(models[tested["first"]])
    assert len(PAPER.usable(config.but(verified="all"), dataset.manifest.rows("train"))) == 2400
    assert len(PAPER.usable(config.but(task="reid"), dataset.manifest.rows("train"))) == 2400
    assert PAPER.data(config)["classes"] == 9, "makes"
    trained = SimpleNamespace(
        config=config.but(test_distance="joint_bayesian"), dataset=dataset,
        embed=lambda rows: SimpleNamespace(features=torch.zeros(len(rows), 2)),
    )  # fmt: skip
    monkeypatch.setattr(evaluate_run, "learnt", lambda features, labels: fitted.append(labels) or "learnt")
    assert PAPER.distance(trained.config, trained) == "learnt"
    assert torch.equal(fitted[0], PAPER.labels(rows)[:, MODEL])


def test_a_probe_sees_which_pairs_are_verified():
    config = DRDLConfig(**SMOKE, task="verification")
    first, second = (PAPER.probe(config.but(verified=how), KNOWN) for how in ("unseen", "all"))
    assert {name for name in first if first[name] != second[name]} == {"pairs"}


def test_a_probe_sees_what_the_gradient_of_the_centre_is():
    first, second = (PAPER.probe(DRDLConfig(**SMOKE, center=center), KNOWN) for center in ("detach", "full"))
    assert first["distances"][0] == second["distances"][0] and first["distances"] != second["distances"]
    assert first["mixed loss"] != second["mixed loss"]


VARIANTS = [
    {"network": "single", "loss": "triplet"}, {"network": "single"}, {}, {"center": "full"}, {"network": "upper"},
    {"literal": True}, {"precision": "bfloat16"},
]  # fmt: skip
LEARNT = {"test_distance": "joint_bayesian"}


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_variant_runs_and_leaves_a_whole_record(variant):
    config = DRDLConfig(**{**SMOKE, "iterations": 3, **variant})
    done = []
    record = runs.run(config, PAPER, committed=False, progress=done.append)
    assert sum(done) == config.iterations == record.cost["iterations"]
    assert record.scores["queries"] == len(record.queries["ap"]) == 72 - 12 and 0 < record.scores["mAP"] <= 1
    assert record.tests.keys() == {f"{size}{kind}" for size in evaluate_run.SIZES for kind in ("", " retrieval")}
    assert len(record.tests["small"]["cmc"]) == 50 and len(record.exhibits["retrieval"]) > 3
    assert len(record.history["total"]) == config.iterations and record.data["classes"] == 10


@pytest.mark.parametrize("fields", [{}, {"network": "single", "loss": "triplet"}], ids=str)
def test_verification_runs_and_leaves_accuracies(fields):
    config = DRDLConfig(**{**SMOKE, "iterations": 3, "task": "verification", **fields})
    record = runs.run(config, PAPER, committed=False)
    assert record.tests.keys() == {"easy", "medium"} and record.scores == record.tests["easy"]
    assert all(0 <= scores["accuracy"] <= 1 and scores["pairs"] == 24 for scores in record.tests.values())
    assert record.data["classes"] == 7  # makes


@pytest.mark.parametrize("network", ["upper", "single"])
def test_joint_bayesian_takes_the_features_of_a_finished_run(network, monkeypatch):
    config = DRDLConfig(**{**SMOKE, "iterations": 3, "network": network, **LEARNT})
    plain = config.but(test_distance="euclidean")
    before, done = runs.run(plain, PAPER, committed=False), []
    fit, seen = joint_bayesian.fit, []
    monkeypatch.setattr(joint_bayesian, "fit", lambda x, labels: seen.append((x, labels)) or fit(x, labels))
    record = runs.run(config, PAPER, committed=False, progress=done.append)
    assert sum(done) == 0 == record.cost["iterations"] and record.history == {"iteration": [], "rate": []}
    assert record.tests.keys() == before.tests.keys() and record.scores != before.scores
    assert len(plots.history([record]).axes) == 0

    dataset = rendered.load("smoke")
    rows, data = dataset.manifest.rows("train"), PAPER.data(plain)
    trained = PAPER.build(plain.canonical(), data, [runs.weights(plain, PAPER, committed=False)])
    features = embed(trained, evaluate_run.prepare(plain), rows).features
    taught = seen[-1]  # a probe's fit comes before
    assert torch.equal(taught[0], features) and torch.equal(taught[1], PAPER.labels(rows)[:, VEHICLE])
    fresh = PAPER.build(plain.canonical(), data)
    assert not torch.equal(features, embed(fresh, evaluate_run.prepare(plain), rows).features)
    kept = torch.load(runs.kept_weights(config, PAPER), weights_only=True)["state"]
    for part, state in kept.items():
        assert all(torch.equal(value, trained.get_submodule(part).state_dict()[name]) for name, value in state.items())

    table = dataset.manifest.rows("gallery")
    tested = embed(trained, evaluate_run.prepare(plain), table).features
    first = PAPER.tests(config, dataset)[0]
    scores = protocols.assess(first, tested, table, distance=fit(*taught).distances)
    assert record.scores == evaluate_run.score_fields(scores)


def test_joint_bayesian_verifies_models():
    config = DRDLConfig(**{**SMOKE, "iterations": 3, "task": "verification", **LEARNT})
    record = runs.run(config, PAPER, committed=False)
    assert record.tests.keys() == {"easy", "medium"} and 0 <= record.scores["accuracy"] <= 1
    assert PAPER.identity(config) == MODEL


def test_joint_bayesian_changes_no_other_runs_name():
    config = DRDLConfig(**LEARNT)
    assert config.fingerprint() != DRDLConfig().fingerprint() == PAPER.starts_from(config)[0].fingerprint()
    assert PAPER.starts_from(DRDLConfig()) == () and PAPER.steps(DRDLConfig()) == 250 and PAPER.steps(config) == 0
    with pytest.raises(ConfigError, match="allowed is one of euclidean, cosine, joint_bayesian"):
        configure(DRDLConfig, {"test_distance": "bayesian"})
    with pytest.raises(ConfigError, match="allowed is one of euclidean, cosine"):
        configure(MLSLConfig, LEARNT)


@pytest.mark.parametrize("fields", [{}, {"network": "upper"}, {"task": "verification"}], ids=str)
def test_a_probe_of_joint_bayesian_sees_its_start_and_the_fit(fields, monkeypatch):
    config = DRDLConfig(**SMOKE, **LEARNT, **fields)
    learnt, plain = PAPER.probe(config, KNOWN), PAPER.probe(*PAPER.starts_from(config), KNOWN)
    assert learnt == PAPER.probe(config, KNOWN) and learnt.keys() == plain.keys()
    assert {name for name in learnt if learnt[name] != plain[name]} == {name for name in learnt if "scores" in name}
    whole = joint_bayesian.fit
    monkeypatch.setattr(joint_bayesian, "fit", lambda x, labels: whole(x, labels, iterations=0))
    assert PAPER.probe(config, KNOWN) != learnt


def test_the_paper_can_be_sent_to_other_processes():
    assert pickle.loads(pickle.dumps(PAPER)) is PAPER and PAPER.name == "drdl"


def test_counts_of_the_data_at_hand():
    config = DRDLConfig(profile="smoke")
    dataset = rendered.load("smoke")
    counts = notebook.split_counts(dataset.manifest)
    assert counts["Training"].tolist() == [144, 0, 144] and counts["Testing"].tolist() == [72, 0, 72]
    sizes = notebook.test_counts(dataset.manifest, PAPER.tests(config, dataset))
    assert sizes.columns.tolist() == ["small", "medium", "large"] and sizes["large"].tolist() == [12, 72, 12, 60]
    pairs = notebook.pair_counts(PAPER.tests(config.but(task="verification"), dataset))
    assert pairs["easy"].tolist() == [12, 12, 24]


def test_samples_are_of_the_first_batch():
    config = DRDLConfig(**SMOKE)
    rows, store = rendered.load("smoke").manifest.rows("train"), evaluate_run.prepare(config)
    images, captions = samples.set_pairs(config, store, rows, count=2)
    assert len(images) == len(captions) == 2 * 2 * config.set_size and images[0].shape == (32, 32, 3)
    assert [caption.split("\n")[0] for caption in captions] == (["positive"] * 2 + ["negative"] * 2) * 2
    assert captions[0] == captions[1] != captions[2].replace("negative", "positive")
    angles = samples.gradient_angles(config, network(network="single"), store, rows)
    assert len(angles) == config.sets and all(0 <= angle <= 180 for angle in angles)


def test_data_are_judged_by_their_labels():
    assert DRDLConfig(dataset="veriwild", task="verification").identity() == MODEL
    needed = PAPER.needs(DRDLConfig(dataset="veriwild", task="verification"))
    assert [need.column for need in needed] == ["color", "model", "type"]
    assert PAPER.needs(DRDLConfig(dataset="compcars")) == () == PAPER.needs(DRDLConfig())
