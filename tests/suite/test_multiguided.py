"""The multi-guided system: losses against loops, what starts from what, which data are refused, every kind of run."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reidlib import losses
from reidlib.data.manifest import COLUMNS, Dataset, Manifest
from reidlib.data.manifest import Test as Rule
from reidpapers.__main__ import main
from reidpapers.multiguided import data as data_of
from reidpapers.multiguided import evaluation, loss
from reidpapers.multiguided import network as networks
from reidpapers.multiguided.config import EXTRACTORS, TRUNKS, MultiGuidedConfig, starts_from
from reidpapers.multiguided.data import is_simulated
from reidpapers.multiguided.paper import PAPER
from reidpapers.run import base, datasets, evaluate_run, runs, workers
from reidpapers.run.config import ConfigError, configure
from reidpapers.run.training import Batch, Training
from reidpapers.vehicles.export import export

TINY = {"profile": "smoke", "image_size": 32, "iterations": 3, "iterations_classifier": 2, "iterations_segmenter": 2}
SIZES = {"identities": 6, "colors": ["blue", "red"], "types": ["bus", "suv", "van"]}
ALONE = {"learning": "extractor", "device": "cpu", "image_size": 32, "width": 16}


def built(extractor="res50", seed=0, **changes):
    """An extractor's configuration and network."""
    config = MultiGuidedConfig(**{**ALONE, "extractor": extractor, "seed": seed, **changes})
    return config, PAPER.build(config, SIZES)


def batch(count=8, side=32, seed=0):
    """Random pictures of four identities; one colour and one type are not known."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.tensor([(i // 2, i // 4, i % 3) for i in range(count)])
    labels[0, 1] = labels[3, 2] = -1
    return Batch(torch.randn(count, 3, side, side, generator=draws), labels)


# --- losses ----------------------------------------------------------------------------------------------------------


def naive(network, given, config):
    """Eq. 1, 2, 3 and 5 in loops, from the network's features and logits."""
    network.train()
    f, f_bn = network.features(given.images)
    logits = {name: value.tolist() for name, value in network.logits(f_bn).items()}
    columns = {"identity": 0, "color": 1, "type": 2}

    def entropy(row, label):
        return math.log(sum(math.exp(x - row[label]) for x in row))

    terms = {}
    for name, rows in logits.items():
        labels = given.labels[:, columns[name]].tolist()
        losses = [entropy(row, label) for row, label in zip(rows, labels, strict=True) if label >= 0]
        terms[name] = sum(losses) / len(losses)
    rows, who = f.tolist(), given.labels[:, 0].tolist()
    far = [max(math.dist(rows[i], rows[j]) for j in range(len(rows)) if who[j] == who[i]) for i in range(len(rows))]
    near = [min(math.dist(rows[i], rows[j]) for j in range(len(rows)) if who[j] != who[i]) for i in range(len(rows))]
    terms["triplet"] = sum(max(0, p - n + config.margin) for p, n in zip(far, near, strict=True)) / len(rows)
    pulled = (f if config.center_on == "f" else f_bn).tolist()
    centers = network.centers.values.tolist()
    terms["center"] = 0.5 * sum(math.dist(row, centers[y]) ** 2 for row, y in zip(pulled, who, strict=True))
    return terms


@pytest.mark.parametrize(
    "extractor, changes", [("res50", {}), ("agn", {"margin": 2.0}), ("hrnet", {"center_on": "f_bn"})]
)
def test_the_terms_of_the_loss_equal_loops(extractor, changes):
    config, network = built(extractor, **changes)
    network.centers.values += torch.randn(6, 16, generator=torch.Generator().manual_seed(1))
    wanted = naive(network, batch(), config)
    terms = loss.extraction(network, batch(), config)
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(wanted, rel=1e-4)
    assert terms.keys() == loss.term_weights(config).keys()


def test_an_unknown_attribute_teaches_nothing():
    logits = torch.randn(4, 3, requires_grad=True)
    losses.cross_entropy(logits, torch.tensor([-1, 2, -1, -1])).backward()
    assert logits.grad[[0, 2, 3]].abs().sum() == 0 and logits.grad[1].abs().sum() > 0
    assert losses.cross_entropy(torch.randn(2, 3), torch.tensor([-1, -1])) == 0


def test_centres_follow_their_images_as_wen_et_al_move_them():
    centers = networks.Centers(3, 2)
    start = torch.tensor([[1.0, 0.0], [0.0, 2.0], [5.0, 5.0]])
    centers.values.copy_(start)
    f, who = torch.tensor([[3.0, 0.0], [5.0, 2.0], [0.0, 0.0]]), torch.tensor([0, 0, 1])
    centers.follow(f, who)
    # Of identity 0: ((1,0) − (3,0)) + ((1,0) − (5,2)) = (−6,−2), a third of it, and half of that.
    assert centers.values[0].tolist() == pytest.approx([1 + 6 / 6, 2 / 6])
    assert centers.values[1].tolist() == pytest.approx([0, 1.5]) and centers.values[2].tolist() == [5, 5]
    for _ in range(100):
        centers.follow(f, who)
    assert centers.values[0].tolist() == pytest.approx([4, 1], abs=1e-4)


def test_centres_move_in_training_alone_and_take_no_gradient():
    config, network = built()
    terms = loss.extraction(network, batch(), config)
    moved = network.centers.values.clone()
    assert moved[:4].abs().sum() > 0 and moved[4:].abs().sum() == 0
    terms["center"].backward()
    assert network.embedding.weight.grad.abs().sum() > 0
    loss.extraction(network.eval(), batch(), config)
    assert torch.equal(network.centers.values, moved)


def test_weights_of_the_terms_are_the_papers():
    assert loss.term_weights(MultiGuidedConfig(**ALONE)) == {"identity": 1.0, "triplet": 1.0, "center": 0.0005}
    wanted = {"identity": 1.0, "triplet": 1.0, "center": 0.0005, "color": 1.0, "type": 1.0}
    assert loss.term_weights(MultiGuidedConfig(**{**ALONE, "extractor": "agn"})) == wanted
    assert loss.term_weights(MultiGuidedConfig(learning="classifier_type")) == {"type": 1.0}
    assert loss.term_weights(MultiGuidedConfig(learning="segmenter")) == {"bce": 1.0, "dice": 1.0}


# --- networks --------------------------------------------------------------------------------------------------------


def test_matching_sees_f_bn_at_unit_length_and_f_id_of_agn():
    _, network = built()
    images = batch().images
    network.eval()
    f, f_bn = network.features(images)
    torch.testing.assert_close(network(images), F.normalize(f_bn))
    torch.testing.assert_close(f_bn, network.neck(f))
    assert not network.neck.bias.requires_grad and network.identity.bias is None
    _, network = built("agn")
    network.eval()
    f_bn = network.features(images)[1]
    parts = [F.normalize(network.branches[name](f_bn)) for name in networks.BRANCHES]
    torch.testing.assert_close(network(images), parts[0])
    torch.testing.assert_close(network.signature(images, "f_c"), torch.cat(parts, 1) / 3**0.5)
    logits = network.logits(f_bn)
    assert {name: value.shape[1] for name, value in logits.items()} == {"identity": 6, "color": 2, "type": 3}
    wanted = torch.stack([logits[name].argmax(1) for name in ("color", "type")], 1)
    assert torch.equal(network.predicted(images), wanted)


def test_trunks_are_the_extractors_own():
    for kind, names in TRUNKS.items():
        assert list(names) == [*EXTRACTORS, "classifier"]
        for extractor in EXTRACTORS:
            config = MultiGuidedConfig(learning="extractor", extractor=extractor, trunks=kind, image_size=64)
            assert config.canonical().backbone == names[extractor]
            assert config.but(extractor="hrnet").canonical().backbone == names["hrnet"]
    assert MultiGuidedConfig(members=("res50", "agn"), constraint=False).trunk_names() == ("small_ibn",)


@pytest.mark.parametrize("extractor", ["agn", "dense161bs", "hrnet"])
def test_an_exact_trunk_takes_a_step_at_the_papers_size(extractor):
    given = {"profile": "paper", "learning": "extractor", "pretrained": False, "device": "cpu"}
    config = MultiGuidedConfig(**given, extractor=extractor)
    assert config.image_size == 320 and config.width == 2048
    network = PAPER.build(config, SIZES)
    terms = loss.extraction(network, batch(4, 320), config)
    weights = loss.term_weights(config)
    sum(weights[name] * value for name, value in terms.items()).backward()
    slopes = [p.grad.abs().sum() for p in network.parameters() if p.requires_grad]
    assert all(torch.isfinite(slope) for slope in slopes) and sum(slope > 0 for slope in slopes) > 0.9 * len(slopes)
    stride = {"agn": 16}.get(extractor, 32)  # the last down-sampling of ResNet-50 is removed
    with torch.no_grad():
        assert network.eval().trunk.maps(torch.zeros(1, 3, 64, 64)).shape[2:] == (64 // stride, 64 // stride)


def ensemble(tmp_path, **changes):
    """An ensemble built from files of its members' weights, and these members and classifiers."""
    given = {"device": "cpu", "image_size": 32, "width": 16, "members": ("agn", "hrnet")}
    config = MultiGuidedConfig(**{**given, **changes})
    parts, files = [], []
    for number, start in enumerate(starts_from(config)):
        parts.append(PAPER.build(start.but(seed=number + 5), SIZES).eval())
        files.append(tmp_path / f"{number}.pt")
        torch.save({"state": {name: child.state_dict() for name, child in parts[-1].named_children()}}, files[-1])
    return PAPER.build(config, SIZES, files).eval(), parts


def test_an_ensemble_joins_what_its_members_give(tmp_path):
    joined, (agn, hrnet, color, type_) = ensemble(tmp_path, shares=(3.0, 4.0))
    images = batch().images
    features = joined(images)
    torch.testing.assert_close(features, torch.cat([0.6 * agn(images), 0.8 * hrnet(images)], 1))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(8))
    assert torch.equal(joined.predicted(images), torch.stack([color(images).argmax(1), type_(images).argmax(1)], 1))
    joined, (agn, hrnet) = ensemble(tmp_path, constraint_by="agn", agn_feature="f_c")
    torch.testing.assert_close(joined(images)[:, :48], agn.signature(images, "f_c") / 2**0.5)
    assert torch.equal(joined.predicted(images), agn.predicted(images))


# --- configuration ---------------------------------------------------------------------------------------------------


def test_what_a_run_does_not_use_makes_no_other_record():
    def same(first, second):
        return MultiGuidedConfig(**first).fingerprint() == MultiGuidedConfig(**second).fingerprint()

    for unused in ({"substitute": 0.2}, {"attribute_weight": 2}, {"identities_dense": 7}, {"delta_type": 1}, {"k1": 5},
                   {"members": ["res50"]}, {"iterations_segmenter": 9}, {"crop": 2.0}, {"theta_query": 1}):  # fmt: skip
        assert same(ALONE, {**ALONE, **unused}), unused
    for used in ({"shrink": 0.1}, {"center_on": "f_bn"}, {"rate": 1e-4}, {"simulated": False}, {"width": 8}):
        assert not same(ALONE, {**ALONE, **used}), used
    assert same({**ALONE, "center_weight": 0, "center_on": "f_bn"}, {**ALONE, "center_weight": 0})
    assert same({**ALONE, "shrink": 0, "shrink_above": 9}, {**ALONE, "shrink": 0})
    dense = {**ALONE, "extractor": "dense161bs"}
    assert not same(dense, {**dense, "iterations_segmenter": 9})
    assert same({**dense, "masks": "given"}, {**dense, "masks": "given", "iterations_segmenter": 9})
    few = {"members": ["res50", "hrnet"]}
    assert same(few, {**few, "substitute": 0.2}) and not same({}, {"substitute": 0.2})
    assert not same(few, {"members": ["hrnet", "res50"]}) and not same(few, {**few, "rate_classifier": 1})
    assert same({**few, "constraint": False}, {**few, "constraint": False, "rate_classifier": 1, "literal": True})
    assert same({**few, "groups": "none"}, {**few, "groups": "none", "theta_gallery": 1})
    assert same({**few, "groups": "tracks"}, {**few, "groups": "tracks", "theta_query": 1})
    assert not same({**few, "reciprocal": True}, {**few, "reciprocal": True, "k2": 1})
    assert same({"learning": "segmenter", "rate": 1}, {"learning": "segmenter"})
    assert not same({"learning": "classifier_color"}, {"learning": "classifier_type"})


@pytest.mark.parametrize("wrong, said", [
    ({"members": []}, "members = [] is refused: allowed is a non-empty list"),
    ({"members": ["agn", "agn"]}, "allowed are distinct extractors"),
    ({"members": ["resnet"]}, "each one of res50, agn, dense161bs, dense161, hrnet"),
    ({"shares": [1.0, 2.0]}, "allowed is a number > 0 for each of the 5 members"),
    ({"members": ["agn", "hrnet"], "shares": [1.0, 0.0]}, "allowed is a number > 0"),
    ({"members": ["res50"], "constraint_by": "agn"}, "members = ['res50'] lack agn"),
    ({"dataset": "vehicleid"}, "dataset = 'vehicleid' is refused: the system needs vehicles seen by cameras"),
    ({"learning": "extractor", "backbone": "googlenet"}, "the extractor settles the trunk, here small_ibn"),
    ({"pretrained": True}, "small ones have no ImageNet weights"),
    ({"trunks": "exact", "image_size": 48}, "image_size = 48 is refused: hrnet_w18 needs a multiple of 32"),
    ({"substitute": 0.0}, "substitute = 0.0 is refused: allowed is a number > 0 and <= 1"),
    ({"groups": "all"}, "allowed is one of both, queries, tracks, none"),
    ({"shirnk": 0.1}, "did you mean shrink?"),
])  # fmt: skip
def test_what_no_run_could_mean_is_refused(wrong, said):
    with pytest.raises(ConfigError, match="nothing was computed") as caught:
        configure(MultiGuidedConfig, wrong)
    assert said in str(caught.value)


def test_what_starts_from_what():
    config = MultiGuidedConfig(seed=3, shrink=0.2, theta_query=0.7)
    starts = starts_from(config)
    assert [PAPER.stage(start) for start in starts] == [*EXTRACTORS, "classifier_color", "classifier_type"]
    assert {start.seed for start in starts} == {3} and starts[0].shrink == 0.2
    assert [PAPER.stage(start) for start in starts_from(starts[2])] == ["segmenter"]
    assert all(starts_from(start) == () for start in (*starts[:2], *starts[3:]))
    assert starts_from(starts[2].but(masks="given")) == ()
    assert starts_from(config.but(constraint_by="agn")) == starts[:5] == starts_from(config.but(constraint=False))
    others = [config.but(**changes) for changes in ({"groups": "none"}, {"agn_feature": "f_c"}, {"delta_type": 1})]
    assert all([s.fingerprint() for s in starts_from(o)] == [s.fingerprint() for s in starts] for o in others)


def test_batches_steps_and_rates_are_the_papers():
    config = MultiGuidedConfig(profile="paper", learning="extractor", preset="small_simulated")
    dense, rows = config.but(extractor="dense161"), datasets.load(config.source).manifest.rows("train")
    assert (PAPER.batch_size(config), PAPER.batch_size(dense)) == (64 * 4, 24 * 4)
    images = [PAPER.steps(run) * PAPER.batch_size(run) for run in (config, dense)]
    assert images == pytest.approx([120 * len(rows)] * 2, rel=1e-3)
    plan, epoch = PAPER.schedule(config, 1), PAPER.steps(config) / 120
    assert plan(0) == pytest.approx(3.5e-5) and plan(round(5 * epoch)) == pytest.approx((3.5e-5 + 3.5e-4) / 2, rel=1e-3)
    wanted = {11: 3.5e-4, 39: 3.5e-4, 41: 3.5e-5, 69: 3.5e-5, 71: 3.5e-6, 119: 3.5e-6}
    assert {e: plan(round(e * epoch)) for e in wanted} == pytest.approx(wanted)
    assert PAPER.optimizer(config) == {"optimizer": "adam", "weight_decay": 5e-4}
    assert PAPER.steps(MultiGuidedConfig()) == 0
    assert round(config.pad * config.image_size) == 10 and (config.margin, config.center_weight) == (0.5, 0.0005)


def test_only_dense161bs_sees_other_backgrounds_and_only_extractors_are_shrunk_and_erased():
    images = (torch.rand(8, 32, 32, 3, generator=torch.Generator().manual_seed(0)) * 255).byte()

    def seen(**changes):
        config = MultiGuidedConfig(**{**ALONE, **changes})
        inputs = PAPER.toy_side_inputs(config)
        out = PAPER.augment(config)(images.clone(), inputs, torch.Generator().manual_seed(1))
        return out[0] if isinstance(out, tuple) else out

    def differ(first, second):
        return bool((first - second).abs().max() > 1e-3)

    plain = seen(shrink=0, erase=0)
    assert differ(plain, seen(shrink=1, erase=0)) and differ(plain, seen(shrink=0, erase=1))
    small = torch.arange(8) % 2 == 0
    torch.testing.assert_close(seen(shrink=1, erase=0)[small], plain[small]), "small objects stay as they are"
    assert differ(plain, seen(extractor="dense161bs", shrink=0, erase=0, substitute=1))
    torch.testing.assert_close(plain, seen(extractor="dense161", shrink=0, erase=0, substitute=1))
    for learning in ("classifier_color", "segmenter"):
        torch.testing.assert_close(plain, seen(learning=learning, shrink=1, erase=1))


# --- data ------------------------------------------------------------------------------------------------------------


def smoke(**changes):
    return MultiGuidedConfig(**{"profile": "smoke", **changes})


def test_which_images_each_run_learns_from():
    rows = datasets.load(smoke().source).manifest.rows("train")
    simulated, config = is_simulated(rows), smoke(learning="extractor")
    assert 0 < simulated.sum() < len(rows) == len(data_of.usable(config, rows))
    assert len(data_of.usable(config.but(simulated=False), rows)) == (~simulated).sum()
    held = data_of.held_out(rows)
    learnt = data_of.usable(smoke(learning="segmenter"), rows)
    assert len(held) == round(0.2 * rows["vehicle_id"][~simulated].nunique()) and held == data_of.held_out(rows)
    assert not set(held) & set(learnt["vehicle_id"]) and not any(name.startswith("sim_") for name in held)
    assert set(learnt["vehicle_id"]) | set(held) == set(rows["vehicle_id"])
    rows.loc[3, "color"] = pd.NA
    assert len(data_of.usable(smoke(learning="classifier_color"), rows)) == len(rows) - 1
    codes = data_of.label_codes(rows)
    assert codes.shape == (len(rows), 3) and codes[3, 1] == -1 and codes[:, [0, 2]].min() == 0


def dataset(color=True, kind=True, mask=True, track=True, simulated=True, camera=True):
    """Six real and two simulated vehicles, of which some things are known; two of the real ones are tested."""
    rows = []
    for v in range(6):
        for i in range(4):
            labels = (f"c{v % 2}" if color else None, f"t{v % 3}" if kind else None, f"{v}" if track else None,
                     f"{v}-{i}.png" if mask else None)  # fmt: skip
            split = ("train",) if v < 4 else ("query", "gallery")
            rows += [(f"{v}-{i}", part, f"v{v}", f"k{i}" if camera else None, *labels) for part in split]
    rows += [(f"s{i}", "train", f"sim_{i // 2}", "sim_k", None, None, None, None) for i in range(4 * simulated)]
    names = ["image", "split", "vehicle_id", "camera_id", "color", "type", "track_id", "mask"]
    table = pd.DataFrame(rows, columns=names).reindex(columns=COLUMNS)
    return Dataset(Manifest("made up", table, "nowhere"), None, (Rule("", "aicity2020"),), "")


@pytest.fixture
def with_data(monkeypatch):
    """A function that puts a made-up dataset with the named labels in the place of every other."""

    def put(**labels):
        monkeypatch.setattr(datasets, "load", lambda source: dataset(**labels))
        base._data.cache_clear()

    yield put
    base._data.cache_clear()


FEW = {"identities": 4, "identities_dense": 4}


@pytest.mark.parametrize("labels, run, reason, advice", [
    ({"color": False}, {"learning": "classifier_color"}, "learning = 'classifier_color' needs at least two values of "
     "'color'", "another part of the system would do"),
    ({"kind": False}, {"learning": "extractor", "extractor": "agn"}, "agn needs at least two values of 'type'",
     "another part of the system would do"),
    ({"kind": False}, {"members": ["res50"]}, "constraint = True needs at least two values of 'type'",
     "it runs with --constraint false"),
    ({"color": False}, {"members": ["res50", "agn"], "constraint": False}, "agn needs at least two values of 'color'",
     "it runs with --members res50"),
    ({"color": False}, {"members": ["agn"], "constraint": False}, "agn needs at least two values of 'color'",
     "another part of the system would do"),
    ({"color": False}, {"members": ["hrnet", "agn"], "constraint_by": "agn"}, "constraint = True needs",
     "it runs with --members hrnet --constraint false"),
    ({"mask": False}, {"members": ["dense161bs", "agn"]}, "dense161bs needs a 'mask' of images of more than 2 real",
     "it runs with --members agn"),
    ({"mask": False}, {"learning": "extractor", "extractor": "dense161bs", "masks": "given"},
     "dense161bs with masks = 'given' needs a 'mask' of every training image", "another part of the system would do"),
    ({}, {"learning": "extractor", "extractor": "dense161bs", "masks": "given"}, "a 'mask' of every training image",
     "another part"),
    ({"mask": False}, {"learning": "segmenter"}, "learning = 'segmenter' needs a 'mask'", "another part"),
    ({"track": False}, {}, "groups = 'both' needs a 'track_id' in the gallery", "it runs with --groups queries"),
    ({"track": False}, {"groups": "tracks"}, "groups = 'tracks' needs a 'track_id'", "it runs with --groups none"),
    ({"simulated": False}, {}, "simulated = True needs simulated training images", "it runs with --simulated false"),
    ({}, {"learning": "extractor", "identities": 9}, "identities = 9 needs as many training vehicles, of which it has "
     "6", "it runs with --identities 6"),
    ({"camera": False}, {"learning": "extractor"}, "needs 'camera_id' of all test images", "other data would do"),
])  # fmt: skip
def test_data_without_what_a_run_needs_are_refused_by_the_columns_name(labels, run, reason, advice, with_data):
    with_data(**labels)
    with pytest.raises(ConfigError, match="made up is refused") as caught:
        PAPER.data(MultiGuidedConfig(**{**FEW, **run}))
    text = str(caught.value)
    assert reason in text.partition("Instead, ")[0] and advice in text.partition("Instead, ")[2]


@pytest.mark.parametrize("lacking", [
    ("color", "kind", "mask", "simulated"), ("color", "kind", "mask", "track", "simulated"), ("mask", "track"),
    ("kind",),
])  # fmt: skip
def test_all_that_data_lack_is_said_at_once_and_with_the_named_options_it_runs(lacking, with_data):
    with_data(**dict.fromkeys(lacking, False))
    with pytest.raises(ConfigError) as caught:
        PAPER.data(MultiGuidedConfig(images=2))
    text = str(caught.value).partition("it runs with --")[2]
    assert ("simulated false" in text) == ("simulated" in lacking)
    words = [option.split() for option in text.split(" --")]
    options = {name: values if name == "members" else values[0] for name, *values in words}
    config, _ = configure(MultiGuidedConfig, {**options, "images": 2})
    assert PAPER.data(config)["identities"] == 4 + 2 * ("simulated" not in lacking)
    assert all(PAPER.data(start)["name"] == "made up" for start in starts_from(config))


@pytest.mark.parametrize("labels, run", [
    ({"color": False, "kind": False}, {"members": ["res50", "dense161bs", "hrnet"], "constraint": False}),
    ({"mask": False}, {"members": ["res50", "agn", "dense161", "hrnet"]}),
    ({"track": False}, {"groups": "queries"}),
    ({"simulated": False}, {"simulated": False}),
    ({"color": False, "kind": False, "mask": False, "track": False},
     {"members": ["res50", "dense161", "hrnet"], "constraint": False, "groups": "none"}),
])  # fmt: skip
def test_what_needs_nothing_that_is_lacking_runs(labels, run, with_data):
    with_data(**labels)
    data = PAPER.data(MultiGuidedConfig(**{**FEW, **run}))
    assert data["identities"] == 6 - 2 * (run.get("simulated") is False)
    assert data["colors"] == ([] if labels.get("color") is False else ["c0", "c1"])


def test_the_command_line_stops_at_what_is_refused_and_leaves_out_other_rows(monkeypatch, with_data, capsys):
    with_data(mask=False)
    carried_out = []
    monkeypatch.setattr(workers, "run_all", lambda configs, paper, plan, **_: carried_out.extend(configs))
    arguments = ["run", "multiguided", "--identities", "4", "--identities_dense", "4"]
    assert main(arguments) == 2 and not carried_out
    said = capsys.readouterr().err
    assert "dense161bs needs a 'mask'" in said and "it runs with --members res50 agn dense161 hrnet" in said
    assert main([*arguments, "--scope", "all", "--committed", "false"]) == 0
    said = capsys.readouterr().err
    assert "left out: given configuration: made up" in said and "left out: PSPNet" in said
    assert {config.learning for config in carried_out} == {"ensemble", "extractor", "classifier_color",
                                                           "classifier_type"}  # fmt: skip
    assert not any("dense161bs" in config.members for config in carried_out if config.learning == "ensemble")


# --- masks and backgrounds -------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(0, 99))
def test_a_mask_survives_as_text(side, seed):
    mask = (torch.rand(side, side, generator=torch.Generator().manual_seed(seed)) < 0.3).byte() * 255
    assert np.array_equal(evaluation.unpacked(evaluation.packed(mask), side), mask.numpy())


class Recorder(nn.Module):
    """A network that keeps what it is shown, and whose feature is the picture."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append(images)
        return images.flatten(1)


def test_among_other_backgrounds_vehicles_stay_and_backgrounds_are_of_other_vehicles():
    config = smoke(learning="extractor").canonical()
    network, full = Recorder(), datasets.load(config.source)
    trained = evaluate_run.Trained(config, network, full, evaluate_run.prepare(config))
    evaluation._among_other_backgrounds(trained)
    rows = full.manifest.rows("query", "gallery").drop_duplicates("image")
    rows = rows.assign(place=trained.store.places(rows).numpy()).sort_values("image")
    before = torch.as_tensor(trained.store.pixels[rows["place"].to_numpy()]).permute(0, 3, 1, 2)
    from reidlib.augment import pixels
    from reidpapers.multiguided.side_inputs import masks

    ordered = rows.sort_values(["vehicle_id", "image"])["image"]
    order = ordered.reset_index(drop=True).reset_index().set_index("image")["index"].loc[rows["image"]].to_numpy()
    after = pixels(torch.cat(network.seen))[torch.as_tensor(order.copy())].permute(0, 3, 1, 2)
    inside = masks(full, rows.reset_index(drop=True), config.image_size)[:, None].expand_as(before) > 127
    assert torch.equal(after[inside], before[inside])
    assert (after[~inside] != before[~inside]).float().mean() > 0.9


# --- probes and runs -------------------------------------------------------------------------------------------------


def test_a_probe_is_repeatable_and_sees_each_part():
    data = {**SIZES, "identities": 6}
    config = MultiGuidedConfig(image_size=32, width=16, members=("res50", "agn"))
    values = PAPER.probe(config, data)
    assert values == PAPER.probe(config, data)
    stages = ("res50", "agn", "classifier_color", "classifier_type")
    parts = {f"{stage} {part}" for stage in stages for part in ("rate", "loss", "gradient", "features")}
    assert values.keys() == parts | {"scores", "scores veri", "reranked"}
    other = PAPER.probe(config.but(delta_type=0.2), data)
    assert other["reranked"] != values["reranked"] and other["agn loss"] == values["agn loss"]
    dense = PAPER.probe(MultiGuidedConfig(**{**ALONE, "extractor": "dense161bs"}), data)
    assert {"segmenter loss", "dense161bs loss"} <= dense.keys()


@pytest.fixture(scope="module")
def whole():
    """The record of the whole system at smoke scale."""
    return runs.run(smoke(**TINY), PAPER, committed=False)


def test_the_whole_system_leaves_a_whole_record(whole):
    assert whole.tests.keys() == {"challenge", "all", "plain"} and whole.scores == whole.tests["challenge"]
    assert len(whole.exhibits["reranked"]) == evaluation.RERANKED and len(whole.exhibits["retrieval"]) > 5
    for query in whole.exhibits["reranked"]:
        assert len(query["before"]) == len(query["after"]) == 10 and 0 <= query["ap_after"] <= 1
    for curve in whole.exhibits["thresholds"].values():
        assert len(curve) == 10 and curve["0"] == whole.exhibits["thresholds"]["queries"]["0"]
    assert whole.cost["iterations"] == 0 and whole.history["iteration"] == []


@pytest.mark.parametrize("run, tests", [
    ({"learning": "classifier_color"}, {"color"}),
    ({"learning": "classifier_type"}, {"type"}),
    ({"learning": "segmenter"}, {"masks"}),
    ({"learning": "extractor"}, {"challenge", "all", "small objects", "large objects", "other backgrounds"}),
    ({"learning": "extractor", "extractor": "agn"},
     {"challenge", "all", "small objects", "large objects", "other backgrounds", "color", "type"}),
    ({"learning": "extractor", "extractor": "dense161bs"},
     {"challenge", "all", "small objects", "large objects", "other backgrounds"}),
    ({"members": ("agn", "hrnet"), "constraint_by": "agn", "agn_feature": "f_c"}, {"challenge", "all", "plain"}),
    ({"members": ("hrnet",), "constraint": False, "groups": "none", "reciprocal": True}, {"challenge", "all", "plain"}),
])  # fmt: skip
def test_every_kind_of_run_leaves_its_scores(run, tests, whole):
    config = smoke(**{**TINY, **run})
    record = runs.run(config, PAPER, committed=False)
    assert record.tests.keys() == tests and record.cost["iterations"] == PAPER.steps(config)
    terms = set(record.history) - {"iteration", "rate", "total"}
    assert terms == (loss.term_weights(config).keys() if PAPER.steps(config) else set())
    if run["learning"] == "segmenter" if "learning" in run else False:
        exhibit = record.exhibits["masks"]
        assert 0 <= record.tests["masks"]["iou"] <= 1
        assert evaluation.unpacked(exhibit[0]["mask"], config.image_size).shape == (32, 32)


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """AI City's layout with attributes, masks and simulation."""
    root = export("aicity2020", tmp_path_factory.mktemp("city") / "tree", preset="smoke")
    assert (root / "AIC20_ReID" / "attributes.csv").exists() and (root / "AIC20_ReID_Simulation").is_dir()
    return {**TINY, "dataset": "aicity2020", "data_root": str(root)}


@pytest.mark.parametrize("run", [
    {"extractor": "agn"}, {"extractor": "dense161bs"}, {"learning": "ensemble", "members": ("agn", "dense161bs")}
], ids=str)  # fmt: skip
def test_ai_city_serves_every_part(run, city):
    config = MultiGuidedConfig(**{"learning": "extractor", **city, **run})
    record = runs.run(config, PAPER, committed=False)
    assert record.data["name"] == "AI City 2020" and record.data["identities"] == 19 + 24 and record.data["types"]
    assert 0 < record.scores["mAP"] <= 1 and record.scores["queries"] == 12


def test_small_and_large_objects_are_the_queries_by_their_original_size():
    config = smoke(learning="extractor")
    full = datasets.load(config.source)
    tests = {test.name: test for test in PAPER.tests(config, full)}
    query = full.manifest.rows("query")
    small, large = (set(tests[f"{name} objects"].query) for name in ("small", "large"))
    assert not small & large and small | large == set(query["image"]) and tests["small objects"].gallery is None
    size = {image: math.prod(full.read(image).shape[:2]) for image in query["image"]}
    assert max(map(size.get, small)) < min(map(size.get, large)) and len(small) < len(large)


def test_dense161bs_learns_from_the_masks_of_the_psp_net_it_starts_from(whole):
    config = smoke(**TINY, learning="extractor", extractor="dense161bs").canonical()
    full, store = datasets.load(config.source), evaluate_run.prepare(config)
    rows = data_of.usable(config, full.manifest.rows("train"))
    start = runs.weights(starts_from(config)[0], PAPER, committed=False)
    inputs = PAPER.side_inputs(config, Training(full, rows, store, (start,)))
    assert inputs["size"].shape == (len(rows), 2)
    assert inputs["mask"].shape == (len(rows), 32, 32) and set(inputs["mask"].unique().tolist()) <= {0, 255}
    given = PAPER.side_inputs(config.but(masks="given"), Training(full, rows, store, ()))["mask"]
    assert not torch.equal(given, inputs["mask"]) and 0.1 < (given > 0).float().mean() < 0.9
