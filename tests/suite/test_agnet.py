"""AGNet: its mask, branches and objective against loops; what shares a record and a training; tiny runs of each."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reidlib import sampler
from reidlib.data import manifest
from reidlib.data.manifest import COLUMNS, Dataset, Manifest
from reidpapers.agnet import evaluation, figures
from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.loss import pair_losses, term_weights, terms
from reidpapers.agnet.network import AGNet, AttributeMask, embedding
from reidpapers.agnet.paper import PAPER
from reidpapers.run import datasets, evaluate_run, runs
from reidpapers.run.base import _data
from reidpapers.run.config import ConfigError, configure
from reidpapers.run.training import Batch
from reidpapers.show.explore.embedding_map import flat
from reidpapers.vehicles.export import export

TINY = {"profile": "smoke", "image_size": 32, "width": 8, "iterations": 2, "pairs": 4}
PLAIN = {**TINY, "embedding": "linear"}
SIZES = {"identities": 4, "colors": 3, "types": 2}
LABELS = torch.tensor([(0, 0, 0), (1, 1, 1), (2, 2, 0), (3, -1, 1), (0, 0, 0), (2, 1, 1), (3, 2, 1), (1, 1, -1)])


def network(seed=0, **changes):
    """A network at float64 whose trunk gives the images back as its map, three channels of them."""
    torch.manual_seed(seed)
    made = AGNet(AGNetConfig(**{**PLAIN, **changes}), **SIZES)
    made.trunk.maps, made.trunk.dim = lambda images: images, 3
    for name in ("category", "attribute"):
        if hasattr(made, name):
            setattr(made, name, nn.Linear(3, 8))
    if made.mask is not None:
        made.mask, made.guide = AttributeMask(3, made.mask.kind), nn.Conv2d(3, 3, 1)
    return made.double()


def images(count=8, side=4):
    return torch.randn(count, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# --- the mask and the network


def test_the_mask_is_a_softmax_over_channels_of_the_pooled_map():
    mask, maps = AttributeMask(3, "literal").double(), images()
    weight, bias = mask.weigh.weight[:, :, 0, 0], mask.weigh.bias
    for n, found in enumerate(mask(maps)):
        pooled = [maps[n, c].mean().item() for c in range(3)]
        logits = [bias[c].item() + sum(weight[c, d].item() * pooled[d] for d in range(3)) for c in range(3)]
        wanted = [math.exp(x) / sum(map(math.exp, logits)) for x in logits]
        assert found.shape == (3, 1, 1) and found.flatten().tolist() == pytest.approx(wanted)


def test_every_mask_but_the_printed_one_leaves_the_maps_scale():
    maps, means = images(), {}
    for kind in ("literal", "scaled", "spatial"):
        torch.manual_seed(0)
        means[kind] = AttributeMask(3, kind).double()(maps)
    assert means["literal"].sum(1).flatten().tolist() == pytest.approx([1] * 8)
    torch.testing.assert_close(means["scaled"], 3 * means["literal"])
    assert means["spatial"].shape == maps.shape
    assert means["spatial"].mean((2, 3)).flatten().tolist() == pytest.approx([1] * 24)


@pytest.mark.parametrize("kind", ["literal", "scaled", "spatial", "none"])
def test_the_branches_follow_the_equations(kind):
    made, maps = network(mask=kind), images()
    category, attribute = made.embeddings(maps)
    weights = torch.ones_like(maps) if kind == "none" else made.mask(maps).expand_as(maps)
    guided = torch.zeros_like(maps)
    if kind != "none":
        guided = torch.einsum("dc,nchw->ndhw", made.guide.weight[:, :, 0, 0], weights) + made.guide.bias[:, None, None]
    torch.testing.assert_close(attribute, made.attribute((maps * weights).mean((2, 3))))
    torch.testing.assert_close(category, made.category((maps + maps * guided).mean((2, 3))))


def test_test_features_are_those_of_eq_5():
    category, attribute = network().embeddings(images())
    assert torch.equal(network(feature="id")(images()), category)
    assert torch.equal(network(feature="attr")(images()), attribute)
    found = network(alpha_feature=0.25)(images())
    assert torch.equal(found, torch.cat([attribute, 0.75 * category], 1))
    assert torch.equal(network(branches="only_id")(images()), network(branches="only_id").embeddings(images())[0])


def test_normalised_embeddings_do_not_know_the_scale_of_the_map():
    maps = torch.randn(8, 128, generator=torch.Generator().manual_seed(0))
    found = {}
    for kind in ("normalised", "linear"):
        torch.manual_seed(0)
        layer = embedding(128, AGNetConfig(**{**TINY, "embedding": kind}))
        found[kind] = [layer(scale * maps).std(0).mean().item() for scale in (1, 1 / 8)]
    assert found["normalised"][1] == pytest.approx(found["normalised"][0], rel=0.01)
    assert found["linear"][1] == pytest.approx(found["linear"][0] / 8, rel=0.01)


def test_each_variant_has_its_parts_alone():
    parts = {
        name: {part for part, _ in AGNet(AGNetConfig(**TINY, **changes), **SIZES).named_children()}
        for name, changes in {
            "full": {}, "unmasked": {"mask": "none"}, "alone": {"branches": "only_id"},
            "masked": {"branches": "masked_id"}, "paired": {"branches": "only_id", "only_id_verification": True},
        }.items()
    }  # fmt: skip
    alone = {"trunk", "category", "identity"}
    assert parts["alone"] == alone and parts["paired"] == {*alone, "verification"}
    assert parts["masked"] == {*alone, "mask", "guide"}
    assert parts["unmasked"] == {*alone, "attribute", "color", "kind", "verification"}
    assert parts["full"] == {*parts["unmasked"], "mask", "guide"}


def test_the_papers_own_network_takes_a_step_at_its_size():
    config = AGNetConfig(profile="paper", pretrained=False, device="cpu", pairs=2)
    made = PAPER.build(config, {"identities": 576, "colors": 10, "types": 9})
    sizes = {name: tuple(part.weight.shape) for name, part in made.named_children() if hasattr(part, "weight")}
    assert sizes == {"identity": (576, 4096), "color": (10, 4096), "kind": (9, 4096), "verification": (2, 4096),
                     "guide": (2048, 2048, 1, 1)}  # fmt: skip
    batch = Batch(torch.randn(4, 3, 224, 224), torch.tensor([(0, 0, 0), (1, 1, 1), (0, 0, 0), (2, 1, 1)]))
    assert made.trunk.maps(batch.images[:1]).shape == (1, 2048, 7, 7)
    found = PAPER.objective(config, made, batch)
    sum(PAPER.term_weights(config)[name] * value for name, value in found.items()).backward()
    slopes = [parameter.grad for parameter in made.parameters()]
    assert all(slope is not None and slope.isfinite().all() for slope in slopes)
    assert made.eval()(batch.images[:1]).shape == (1, 2 * 4096)


# --- the objective


def naive(made, config):
    """Eq. 2, 4 and 6 in loops over images and pairs, from the network's own embeddings and heads."""
    category, attribute = made.embeddings(images())
    entropy = {}
    for name, head, column in (("identity", made.identity, 0), ("color", made.color, 1), ("type", made.kind, 2)):
        logits = head(category if column == 0 else attribute).tolist()
        known = [(row, label) for row, label in zip(logits, LABELS[:, column].tolist(), strict=True) if label >= 0]
        each = [math.log(sum(map(math.exp, row))) - row[label] for row, label in known]
        entropy[name] = sum(each) / len(each)
    each = []
    for i in range(4):
        a, b = LABELS[i].tolist(), LABELS[i + 4].tolist()
        no, yes = made.verification((category[i] - category[i + 4]) ** 2).tolist()
        one = a[0] == b[0]
        q = 1 / (1 + math.exp((no - yes) if one else (yes - no)))
        alike = [x == y and x >= 0 for x, y in zip(a[1:], b[1:], strict=True)]
        like = all(alike) if config.alike == "both" else any(alike)
        epsilon = 1 - config.theta if one else config.theta if like else 0
        beta = config.beta if config.verification == "asl" else 0
        each.append(-math.log(q) - beta * epsilon * math.log(config.alpha_smooth + q))
    return {**entropy, "verification": sum(each) / 4}


def test_two_vehicles_alike_get_most_attention():
    """The slope to q, by default, is steepest for two vehicles alike, then one vehicle, then two others."""
    labels = torch.tensor([(0, 0, 0)] * 3 + [(1, 0, 0), (0, 0, 0), (1, 0, 1)])
    logits = torch.zeros(3, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(pair_losses(logits, labels, AGNetConfig()).sum(), logits)
    alike, one, other = slope.abs()[:, 0].tolist()
    assert alike > one > other
    swapped = pair_losses(logits, labels, AGNetConfig(theta=0.3))
    assert swapped[0] < swapped[1], "at θ below one half it is the other way round"


def looks(count=24):
    """Codes of six vehicles of four images: two pairs that look alike, one of a look of its own, one unknown."""
    vehicle = torch.arange(count) % 6
    look = torch.tensor([(0, 0), (0, 0), (0, 1), (0, 1), (1, 1), (1, -1)])
    return torch.cat([vehicle[:, None], look[vehicle]], 1)


@pytest.mark.parametrize("hard", [0.0, 0.25, 0.5, 1.0])
def test_hard_pairs_are_two_vehicles_alike_wherever_there_are(hard):
    labels, plain = looks(), sampler.PairSampler(looks()[:, 0].numpy(), 16, 8)
    draw, twins, met = PAPER.draw(AGNetConfig(hard=hard), labels), {0: 1, 1: 0, 2: 3, 3: 2}, set()
    for step in range(150):
        generators = [sampler.generator(0, step) for _ in range(2)]
        drawn, came = draw(step, generators[0]), plain(step, generators[1])
        assert torch.equal(drawn[0], came[0]), "anchors, and what they meet in positive pairs, are as they come"
        harder = slice(8, 8 + round(8 * hard))
        for place in range(16):
            first, second = labels[drawn[:, place]][:, 0].tolist()
            if place in range(16)[harder] and first in twins:
                assert second == twins[first]
                met.add(tuple(drawn[:, place].tolist()))
            else:
                assert drawn[1, place] == came[1, place]
        assert hard or torch.equal(generators[0].get_state(), generators[1].get_state())
    everyone = {(a, b) for a in range(24) for b in range(24) if twins.get(a % 6) == b % 6}
    assert met == (everyone if hard == 1 else met & everyone)


def test_a_probe_sees_how_pairs_are_drawn():
    config, data = AGNetConfig(**TINY), {"identities": 4, "colors": 3, "types": 2}
    found, less = PAPER.probe(config, data), PAPER.probe(config.but(hard=0.25), data)
    assert found["draw"] != less["draw"] and "draw" not in PAPER.probe(config.but(hard=0), data)


@pytest.mark.parametrize("changes", [{}, {"verification": "ce"}, {"alike": "either", "theta": 0.6, "beta": 2.0},
                                     {"mask": "spatial", "alpha_smooth": 0.0}], ids=str)  # fmt: skip
def test_the_objective_equals_a_loop(changes):
    config, made = AGNetConfig(**TINY, **changes), network(**changes)
    found = terms(made, Batch(images(), LABELS), config)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(naive(made, config), rel=1e-5)
    assert term_weights(config) == {"identity": 0.5, "color": 0.5, "type": 0.5, "verification": 1.0}


def test_every_part_learns_and_the_mask_is_taught_by_both_branches():
    config, made = AGNetConfig(**TINY), network()
    found = terms(made, Batch(images(), LABELS), config)
    for name, parameter in made.named_parameters():
        if not name.startswith("trunk"):
            slopes = [torch.autograd.grad(found[t], parameter, retain_graph=True, allow_unused=True)[0] for t in found]
            taught = {
                term for term, slope in zip(found, slopes, strict=True) if slope is not None and slope.abs().sum()
            }
            part = name.split(".")[0]
            wanted = {"category": {"identity", "verification"}, "guide": {"identity", "verification"},
                      "attribute": {"color", "type"}, "mask": set(found), "kind": {"type"}}  # fmt: skip
            if name == "category.bias":  # a difference does not see it
                wanted["category"] = {"identity"}
            assert taught == wanted.get(part, {part}), name


def test_images_without_attributes_teach_identity_and_no_attribute():
    unknown = LABELS.clone()
    unknown[:, 1:] = -1
    found = terms(network(), Batch(images(), unknown), AGNetConfig(**TINY))
    assert found["color"].item() == found["type"].item() == 0 and found["identity"].item() > 0
    assert not pair_losses(torch.zeros(4, 2), unknown, AGNetConfig(beta=2.0))[1:].sub(math.log(2)).any()


def test_the_identity_branch_alone_is_classification_and_with_pairs_cross_entropy_too():
    for pairs, names in ((False, {"identity"}), (True, {"identity", "verification"})):
        changes = {"branches": "only_id", "only_id_verification": pairs, "verification": "ce"}
        config, made = AGNetConfig(**TINY, **changes), network(**changes)
        found = terms(made, Batch(images(), LABELS), config)
        assert found.keys() == names == term_weights(config).keys()
        logits = made.identity(made.category(images().mean((2, 3))))
        assert found["identity"].item() == pytest.approx(F.cross_entropy(logits, LABELS[:, 0]).item(), rel=1e-5)


# --- configurations


def test_what_a_variant_does_not_use_makes_no_other_record():
    def same(first, second):
        return AGNetConfig(**first).fingerprint() == AGNetConfig(**second).fingerprint()

    smooth = ({"theta": 0.6}, {"alpha_smooth": 0.7}, {"alike": "either"})
    for unused in (*smooth, {"beta": 0.7}):
        assert same({"verification": "ce"}, {"verification": "ce", **unused}) and not same({}, unused)
    assert same({"verification": "ce"}, {"beta": 0.0}), "β = 0 is cross-entropy"
    assert same({}, {"only_id_verification": True})
    alone = {"branches": "only_id"}
    for unused in (*smooth, {"mask": "spatial"}, {"feature": "attr"}, {"alpha_feature": 0.1}, {"weight_attribute": 2.0},
                   {"weight_verification": 2.0}, {"verification": "ce"}):  # fmt: skip
        assert same(alone, {**alone, **unused}) and not same({}, unused)
    assert not same(alone, {**alone, "only_id_verification": True}) and not same(alone, {"branches": "masked_id"})
    paired = {**alone, "only_id_verification": True}
    assert not same(paired, {**paired, "verification": "ce"})
    assert same({"feature": "id"}, {"feature": "id", "alpha_feature": 0.1})
    assert same({"held_out": 5}, {"held_out": 5, "feature": "id", "str_weight": 1.0})
    assert same({"mask": "none"}, {"mask": "none", "profile": "quick"})


def test_test_features_and_reranking_share_one_training():
    base = AGNetConfig(seed=3)
    for changes in ({"feature": "id"}, {"feature": "attr"}, {"alpha_feature": 0.9}, {"str_weight": 1.0}):
        run = base.but(**changes)
        (start,) = PAPER.starts_from(run)
        assert start.fingerprint() == base.fingerprint() and PAPER.steps(run) == 0
        assert PAPER.schedule(run, 100).iterations == 0
    assert PAPER.starts_from(base) == () and PAPER.steps(base) == 600
    assert PAPER.starts_from(base.but(branches="only_id", feature="id")) == ()
    assert PAPER.starts_from(base.but(held_out=5, feature="id")) == ()
    assert [each.whole() for each in (base, base.but(width=16), base.but(theta=0.1), base.but(feature="id"))] == [
        True, True, False, False,
    ]  # fmt: skip


def test_the_rate_falls_after_two_thirds_and_the_papers_epochs_count_different_images():
    paper = AGNetConfig(profile="paper", preset="small")
    assert (paper.backbone, paper.image_size, paper.width, paper.rate) == ("resnet50", 224, 4096, 0.1)
    assert paper.epochs == 75 == AGNetConfig(profile="paper", dataset="vehicleid").epochs
    images = len(PAPER.usable(paper, datasets.load(paper.source).manifest.rows("train")))
    steps = PAPER.steps(paper)
    assert (
        PAPER.distinct(paper) == 24
        and steps == 75 * images // 24
        and PAPER.schedule(paper, 0).drops == (steps * 2 // 3,)
    )
    assert (paper.optimizer, paper.schedule, paper.weight_decay, paper.pairs) == ("sgd", "steps", 5e-4, 16)
    plan = PAPER.schedule(paper.but(iterations=75), 0)
    assert [plan(step) for step in (0, 49, 50, 74)] == pytest.approx([0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("given, said", [
    ({"theta": 1.1}, "theta = 1.1 is refused: allowed is a number >= 0 and <= 1"),
    ({"mask": "soft"}, "allowed is one of literal, spatial, scaled, none"),
    ({"branches": "both"}, "allowed is one of only_id, masked_id, full"),
    ({"positive": 0.01}, "positive = 0.01 is refused: of 16 pairs both kinds need one or more"),
    ({"positive": 1.0}, "allowed is a number > 0 and < 1"),
    ({"dataset": "digits"}, "dataset = 'digits' is refused: it has no vehicles that are seen again"),
    ({"dataset": "compcars"}, "dataset = 'compcars' is refused"),
    ({"str_weight": -1}, "str_weight = -1 is refused: allowed is a number >= 0"),
    ({"alpah_feature": 0.5}, "did you mean alpha_feature?"),
])  # fmt: skip
def test_what_no_run_could_mean_is_refused(given, said):
    with pytest.raises(ConfigError, match="nothing was computed") as caught:
        configure(AGNetConfig, given)
    assert said in str(caught.value)


# --- data


def rows(*labels):
    """Training rows of (vehicle, colour, type, model); two images each."""
    each = [(f"{n}-{i}", *label) for n, label in enumerate(labels) for i in range(2)]
    return pd.DataFrame(each, columns=["image", "vehicle_id", "color", "type", "model"], dtype="string").assign(
        split="train"
    )


def test_images_without_labels_are_dropped_and_the_model_stands_for_a_type_that_none_has():
    found = PAPER.usable(AGNetConfig(), rows(("b", "red", None, "x"), ("a", None, None, "y"), ("c", "blue", None, "y")))
    assert PAPER.labels(found).tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 1], [1, 0, 1]]
    kept = PAPER.usable(AGNetConfig(unlabelled="keep"), rows(("b", "red", "t", "x"), ("a", None, "t", None)))
    assert PAPER.labels(kept).tolist() == [[1, 0, 0], [1, 0, 0], [0, -1, 0], [0, -1, 0]]
    bare = rows(("b", None, None, None), ("a", None, None, None))
    assert len(PAPER.usable(AGNetConfig(), bare)) == 4, "nothing is known of any image, so nothing is dropped"


def made_up(labels, camera_distances=None, **columns):
    table = rows(*labels)
    test = table.assign(split="gallery")
    table = pd.concat([table, test.assign(image="t" + test["image"])]).assign(**columns).reindex(columns=COLUMNS)
    return Dataset(
        Manifest("made up", table, "nowhere"),
        None,
        (manifest.Test("", "vehicleid"),),
        "",
        camera_distances=camera_distances,
    )


@pytest.fixture
def given_data(monkeypatch):
    """Makes a dataset the only one there is."""

    def give(dataset):
        monkeypatch.setattr(datasets, "load", lambda config: dataset)
        _data.cache_clear()

    yield give
    _data.cache_clear()


LABELLED = (("a", "red", "van", "x"), ("b", "red", "bus", "y"))


@pytest.mark.parametrize("labels, lacking", [
    ((("a", None, "van", "x"), ("b", None, "bus", "y")), "'color'"),
    ((("a", "red", None, None), ("b", "red", None, None)), "'type' and 'model'"),
    ((("a", None, None, None), ("b", None, None, None)), "'color'"),
])  # fmt: skip
def test_a_column_that_the_data_lack_is_named_and_the_identity_branch_runs_without(labels, lacking, given_data):
    given_data(made_up(labels))
    for changes in ({}, {"branches": "only_id", "only_id_verification": True}):
        with pytest.raises(
            ConfigError, match=f"made up lacks {lacking} in its training images; branches = 'only_id' needs neither"
        ):
            PAPER.data(AGNetConfig(**changes))
    for changes in ({}, {"only_id_verification": True, "verification": "ce"}, {"branches": "masked_id"}):
        assert PAPER.data(AGNetConfig(**{"branches": "only_id", **changes}))["identities"] == 2


def test_reranking_names_what_the_data_lack_and_the_rest_runs(given_data):
    given_data(made_up(LABELLED))
    with pytest.raises(
        ConfigError, match="made up lacks 'time' for some of its query and gallery images; allowed is 0"
    ):
        PAPER.data(AGNetConfig(str_weight=0.5))
    assert PAPER.data(AGNetConfig())["colors"] == 1
    given_data(made_up(LABELLED, time=1.0, camera_id=["c1"] * 7 + [None]))
    with pytest.raises(ConfigError, match="made up lacks 'camera_id' for some of its query"):
        PAPER.data(AGNetConfig(str_weight=0.5))
    given_data(made_up(LABELLED, time=1.0, camera_id="c1"))
    with pytest.raises(ConfigError, match="made up lacks the distances between its cameras; allowed is 0"):
        PAPER.data(AGNetConfig(str_weight=0.5))
    given_data(made_up(LABELLED, pd.DataFrame([[0.0]], ["c1"], ["c1"]), time=1.0, camera_id="c1"))
    assert PAPER.data(AGNetConfig(str_weight=0.5))["types"] == 2


def test_data_without_pairs_are_refused(given_data):
    given_data(made_up(LABELLED[:1]))
    with pytest.raises(ConfigError, match="made up is refused: 1 vehicles"):
        PAPER.data(AGNetConfig())
    given_data(made_up(LABELLED))
    with pytest.raises(ConfigError, match="holdout of 2 vehicles"):
        PAPER.data(AGNetConfig(held_out=2))


def test_held_out_vehicles_are_learnt_from_by_nobody_and_tested_alone():
    config = AGNetConfig(**TINY, held_out=6)
    dataset = datasets.load(config.source)
    held = dataset.manifest.holdout(6)
    learnt = set(PAPER.usable(config, dataset.manifest.rows("train"))["vehicle_id"])
    assert learnt == set(held.rows("train")["vehicle_id"]) and len(learnt) == 18
    assert PAPER.tests(config, dataset) == () and PAPER.data(config)["identities"] == 18
    assert not learnt & set(held.rows("query")["vehicle_id"])


def test_tests_have_both_papers_shapes():
    config = AGNetConfig(**TINY)
    found = PAPER.tests(config, datasets.load(config.source))
    assert [(test.name, test.protocol) for test in found] == [
        ("", "veri"), ("large", "vehicleid"), ("medium", "vehicleid"), ("small", "vehicleid"),
    ]  # fmt: skip
    lists = tuple(
        manifest.Test(size, "vehicleid", gallery=pd.Index([size])) for size in ("800", "1600", "2400", "3200", "6000")
    )
    several = PAPER.tests(config, Dataset(made_up(LABELLED).manifest, None, lists, ""))
    assert [(test.name, list(test.gallery)) for test in several] == [
        ("largest", ["3200"]), ("large", ["2400"]), ("medium", ["1600"]), ("small", ["800"]),
    ]  # fmt: skip
    for kept, wanted in (([lists[0]], [("small", ["800"])]), ([lists[2], lists[4]], [("large", ["2400"])]),
                         ([lists[4]], [("6000", ["6000"])])):  # fmt: skip
        several = PAPER.tests(config, Dataset(made_up(LABELLED).manifest, None, tuple(kept), ""))
        assert [(test.name, list(test.gallery)) for test in several] == wanted, "a list is what its name says"
    for name in ("rendered", "veri776", "vehicleid", "veriwild", "vehicle1m", "aicity2020"):
        sized = name in ("vehicleid", "veriwild", "vehicle1m")
        assert len(PAPER.protocols(AGNetConfig(dataset=name))) == (1 if sized else 2)


# --- the re-ranking, and what records hold beside scores


def test_reranking_adds_omega_times_the_mean_distance():
    config = AGNetConfig(**TINY, str_weight=0.5)
    apart = pd.DataFrame([[0.0, 30.0], [30.0, 0.0]], ["a", "b"], ["a", "b"])
    trained = evaluate_run.Trained(config, None, made_up(LABELLED, apart), None)
    query, gallery = (
        pd.DataFrame({"camera_id": ["a"], "time": [0.0]}),
        pd.DataFrame({"camera_id": ["a", "b", "b"], "time": [40.0, 10.0, 40.0]}),
    )
    features = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 5.0]])
    found = PAPER.distance(config, trained).distances(torch.zeros(1, 2), features, query, gallery)(slice(0, 1))
    # Plain 3, 4, 5, mean 4; s = 0 at one camera, 10/40 and 1 at the other.
    assert found.tolist()[0] == pytest.approx([3, 4 + 0.5 * 4 * 0.25, 5 + 0.5 * 4])
    assert PAPER.distance(AGNetConfig(**TINY), trained) == "euclidean"


@pytest.mark.parametrize("kind, wanted", [("literal", 1 / 3), ("spatial", 1 / 16)])
def test_a_mask_that_takes_one_of_all_has_that_spread(kind, wanted):
    made = network(mask=kind)
    sharp = images(2)
    if kind == "literal":
        made.mask.weigh.bias.data = torch.tensor([0.0, 100.0, 0.0], dtype=torch.float64)
    else:
        sharp[:, :, 1, 2] += 1000
        made.mask.weigh.weight.data = torch.eye(3, dtype=torch.float64)[:, :, None, None]

    class Stand:
        network, config = made, AGNetConfig(**TINY)

        def embed(self, rows, network):
            return evaluate_run.Embeddings(network(sharp).detach().float(), pd.DataFrame({"image": ["a", "b"]}))

    Stand.dataset = made_up(LABELLED)
    found = evaluation.mask(Stand(), manifest.Test("", "veri"))
    assert found["mask"]["spread"] == pytest.approx(wanted, abs=1e-5)


# --- runs


def test_a_probe_is_repeatable_and_sees_what_a_run_of_no_steps_compares():
    config, data = AGNetConfig(**TINY), {"identities": 4, "colors": 3, "types": 2}
    found = PAPER.probe(config, data)
    assert found == PAPER.probe(config, data)
    trained = {f"training {part}" for part in ("rate", "loss", "gradient", "features")}
    assert found.keys() == {*trained, "draw", "scores", "scores vehicleid", "pairs -1", "pairs 0", "pairs 3"}
    other = PAPER.probe(config.but(theta=0.9), data)
    assert other["pairs 0"] != found["pairs 0"] and other["training gradient"] != found["training gradient"]
    by_feature = {each: PAPER.probe(config.but(feature=each), data)["feature"] for each in ("id", "attr")}
    assert by_feature["id"] != by_feature["attr"]
    one, more = (PAPER.probe(config.but(str_weight=weight), data)["str"] for weight in (0.5, 1.0))
    assert one != more
    assert "feature" not in found and "pairs 0" not in PAPER.probe(config.but(branches="only_id"), data)


VARIANTS = [{}, {"feature": "attr"}, {"feature": "id"}, {"str_weight": 0.5}, {"branches": "only_id"},
            {"branches": "masked_id", "mask": "spatial"}, {"branches": "only_id", "only_id_verification": True},
            {"mask": "spatial"}, {"mask": "none", "verification": "ce", "positive": 0.25}, {"held_out": 6},
            {"optimizer": "adamw", "schedule": "cosine", "precision": "bfloat16"},
            {"test_distance": "cosine", "str_weight": 0.5}]  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_variant_runs_and_leaves_a_whole_record(variant):
    config = AGNetConfig(**{**TINY, **variant})
    record = runs.run(config, PAPER, committed=False)
    assert record.cost["iterations"] == PAPER.steps(config)
    if config.held_out:
        assert record.tests.keys() == {f"held out, ω {weight:g}" for weight in evaluation.WEIGHTS}
        assert record.scores == {} and record.exhibits == {}
        return
    kinds = {"identity", "color", "type"}
    assert record.tests.keys() >= {"", "large", "medium", "small", *kinds} and record.scores == record.tests[""]
    assert all(0 <= record.tests[name]["purity"] <= 1 for name in kinds)
    paired = config.verifies() and PAPER.steps(config) > 0
    assert ("pairs" in record.tests) == paired and (not paired or 0 < record.tests["pairs"]["alike"] < 1)
    masked = config.masks() and PAPER.steps(config) > 0
    assert ("masks" in record.exhibits) == ("mask" in record.tests) == masked
    assert ("tsne" in record.exhibits) == config.whole()
    if masked:
        assert 0 < record.tests["mask"]["spread"] <= 1
        for each in record.exhibits["masks"]:
            assert max(max(line) for line in each["after"]) == pytest.approx(1)
            mean = sum(each["weights"]) / len(each["weights"])
            assert mean == pytest.approx(1 / 128 if config.mask == "literal" else 1, rel=1e-3)
    if config.whole():
        points = record.exhibits["tsne"]
        assert len({len(values) for values in points.values()}) == 1 and set(points) == {"x", "y", "vehicle", "color",
                                                                                        "type"}  # fmt: skip
        depths = {name: {len(one["top"]) for one in found} for name, found in record.exhibits["fig8"].items()}
        assert depths == {"veri": {11}, "vehicleid": {5}}
    logged = set(record.history) - {"iteration", "rate", "total"}
    assert logged == (term_weights(config).keys() if PAPER.steps(config) else set())


def test_attr_id_and_all_are_one_network():
    found = {}
    for name, changes in {"all": {}, "id": {"feature": "id"}, "attr": {"feature": "attr"},
                          "alpha 1": {"alpha_feature": 1.0}}.items():  # fmt: skip
        found[name] = runs.run(AGNetConfig(**TINY, seed=1, **changes), PAPER, committed=False)
    assert found["id"].queries["ap"] != found["attr"].queries["ap"] == found["alpha 1"].queries["ap"]
    assert found["id"].cost["iterations"] == 0 and found["all"].cost["iterations"] == 2


@pytest.mark.parametrize("layout", ["veri776", "vehicleid"])
def test_official_layouts_run(layout, tmp_path):
    export(layout, tmp_path / "tree", preset="smoke")
    base = AGNetConfig(**{**TINY, "dataset": layout, "data_root": str(tmp_path / "tree")})
    record = runs.run(base, PAPER, committed=False)
    assert {"large", "medium", "small"} <= record.tests.keys() and "type" in record.tests
    known = PAPER.data(base)
    if layout == "vehicleid":  # half of the vehicles have labels, and models stand for types
        assert 0 < known["identities"] < known["counts"]["train"]["vehicles"]
        with pytest.raises(ConfigError, match="VehicleID lacks 'time' for some of its query and gallery images"):
            runs.run(base.but(str_weight=0.5), PAPER, committed=False)
    else:
        assert known["identities"] == known["counts"]["train"]["vehicles"]
        runs.run(base.but(str_weight=0.5), PAPER, committed=False)


@pytest.mark.parametrize("features", [torch.zeros(7, 8), torch.full((7, 8), 0.3) + 1e-8 * torch.eye(7, 8)])
def test_a_model_that_fell_together_has_no_map_and_says_so(features, monkeypatch):
    """t-SNE would end the process: its native code goes astray on what is not a number."""
    monkeypatch.setattr(evaluation, "MAP_POINTS", 7)
    monkeypatch.setattr(evaluation.neighbours, "tsne", lambda features: pytest.fail("t-SNE was called"))
    stand = SimpleNamespace(dataset=made_up(LABELLED), embed=lambda rows: SimpleNamespace(features=features))
    points = evaluation.embedding_map(stand, manifest.Test("", "veri"))
    assert points == {name: [] for name in ("x", "y", "vehicle", "color", "type")}
    picture = figures.embedding_map(points)
    assert [text.get_text() for text in picture.texts] == ["no map: the features of all images are one point"]
    assert (flat(features) == 0).all() and flat(features).shape == (7, 2)
    assert not evaluate_run.one_point(torch.eye(7)) and not evaluate_run.one_point(features + 1e-5 * torch.eye(7, 8))
