"""MLSL's network and objective against loops and values by hand; what starts from what; tiny runs of each variant."""

import math

import pandas as pd
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from reidpapers.mlsl import loss, tables
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.mlsl.network import MLSL, SigmoidalUnits
from reidpapers.mlsl.paper import PAPER
from reidpapers.run import datasets, evaluate_run, runs
from reidpapers.run.config import ConfigError, configure
from reidpapers.run.training import Batch, batches

TINY = {"profile": "smoke", "dataset": "digits", "backbone": "small", "image_size": 16, "digits_train": 60,
        "digits_test": 40, "iterations1": 3, "iterations2": 2}  # fmt: skip


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def units(weights, biases, **fields):
    """Sigmoidal units with given weights."""
    found = SigmoidalUnits(len(weights[0]) if fields.get("scheme", "vector") == "vector" else 2, MLSLConfig(**fields))
    for unit, weight, bias in zip(found.maps, weights, biases, strict=True):
        unit.weight.data = torch.tensor([weight], dtype=torch.float32)
        unit.bias.data = torch.tensor([bias], dtype=torch.float32)
    return found


class Plain(nn.Module):
    """A network whose features are the images, so that the objective stands alone; logits are given."""

    def __init__(self, config, width, classes=5):
        super().__init__()
        self.identity = nn.Linear(width, classes)
        self.units = SigmoidalUnits(width, config)

    def forward(self, images):
        return images


def test_a_sigmoidal_unit_by_hand():
    found = units([[1.0, -2.0]], [0.5], labels=["id"]).eval()
    first, second = torch.tensor([[3.0, 1.0], [0.0, 0.0]]), torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    # |3−1| · 1 + |1−2| · (−2) + 0.5 = 0.5; two equal images leave the bias alone.
    assert found(first, second).flatten().tolist() == pytest.approx([sigmoid(0.5), sigmoid(0.5)])
    found = units([[0.3, 0.4]], [-1.0], labels=["id"]).eval()
    assert found(first, second).flatten().tolist() == pytest.approx([sigmoid(0.6 + 0.4 - 1), sigmoid(-1.0)])


@pytest.mark.parametrize(
    "distance, vector, scalar", [("absolute", 2.5, 7.0), ("euclidean", 8.5, 5.0), ("multiplication", -1.5, -3.0)]
)
def test_distances_and_schemes_by_hand(distance, vector, scalar):
    first, second = torch.tensor([[3.0, -1.0]]), torch.tensor([[0.0, 3.0]])
    seen = units([[-0.5, 1.0]], [0.0], labels=["id"], distance=distance).eval()(first, second)
    expected = {"absolute": -1.5 + 4, "euclidean": -4.5 + 16, "multiplication": 0 - 3}[distance]
    assert seen.item() == pytest.approx(sigmoid(expected), abs=1e-6)
    bare = {"labels": ["id"], "distance": distance, "scheme": "scalar", "scalar": "bare"}
    seen = units([[0.1]], [0.2], **bare).eval()(first, second)
    assert seen.item() == pytest.approx(sigmoid(0.1 * scalar + 0.2), abs=1e-6)


def test_one_unit_an_attribute_in_the_papers_order():
    assert len(SigmoidalUnits(4, MLSLConfig(labels=["type", "id"])).maps) == 2
    found = units([[1.0], [2.0], [3.0]], [0.0] * 3).eval()(torch.ones(2, 1), torch.zeros(2, 1))
    assert found[0].tolist() == found[1].tolist() == pytest.approx([sigmoid(1), sigmoid(2), sigmoid(3)])


@pytest.mark.parametrize("scheme", ["vector", "scalar"])
def test_each_unit_drops_elements_of_its_own(scheme):
    torch.manual_seed(0)
    width = 64 if scheme == "vector" else 1
    found = units([[0.01] * width] * 3, [0.0] * 3, dropout=0.5, scheme=scheme, scalar="bare").train()
    outputs = found(torch.ones(2000, 64), torch.zeros(2000, 64))
    assert not torch.equal(outputs[:, 0], outputs[:, 1]) and not torch.equal(outputs[:, 1], outputs[:, 2])
    kept = torch.logit(outputs.detach()) / 0.01 / 2  # what is kept counts twice
    assert kept.sub(kept.round()).abs().max() < 1e-2
    assert kept.mean().item() == pytest.approx(32, abs=0.5) and kept.std().item() == pytest.approx(4, abs=0.3)


def test_dropout_may_be_left_out_of_the_scalar_scheme_and_never_touches_evaluation():
    first, second = torch.randn(5, 8), torch.randn(5, 8)
    fields = {"labels": ["id"], "scheme": "scalar", "scalar": "bare", "dropout": 0.9}
    without = units([[0.1]], [0.0], scalar_dropout=False, **fields)
    assert torch.equal(without.train()(first, second), without.eval()(first, second))
    found = SigmoidalUnits(8, MLSLConfig(dropout=0.9)).eval()
    assert torch.equal(found(first, second), found(first, second))


@pytest.mark.parametrize("distance, sign", [("absolute", 1), ("euclidean", 1), ("multiplication", -1)])
def test_a_scalar_unit_sees_its_number_against_the_batchs_other_pairs(distance, sign):
    """σ((s − mean) / deviation) before any training: far pairs differ, whatever the features' width and scale."""
    torch.manual_seed(3)
    config = MLSLConfig(labels=["id"], distance=distance, scheme="scalar", dropout=0)
    first, second = torch.rand(6, 40), torch.rand(6, 40)
    found = SigmoidalUnits(40, config).train()(first, second).flatten().tolist()
    pairs = [list(zip(a, b, strict=True)) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    numbers = {
        "absolute": [sum(abs(x - y) for x, y in pair) for pair in pairs],
        "euclidean": [math.sqrt(sum((x - y) ** 2 for x, y in pair)) for pair in pairs],
        "multiplication": [sum(x * y for x, y in pair) for pair in pairs],
    }[distance]
    mean = sum(numbers) / 6
    deviation = math.sqrt(sum((s - mean) ** 2 for s in numbers) / 6 + 1e-5)
    assert found == pytest.approx([sigmoid(sign * (s - mean) / deviation) for s in numbers], abs=1e-5)
    wide = SigmoidalUnits(40, config).train()(100 * first, 100 * second).flatten().tolist()
    assert wide == pytest.approx(found, abs=1e-3)


def terms_after_training(**fields):
    """What is left of the three terms, as shares of what the best constant output has, after 60 steps on toy images.

    Twelve vehicles of three colours and four types are points with noise; a linear trunk of 64 features learns.
    """
    torch.manual_seed(0)
    config = MLSLConfig(scheme="scalar", learning="similarity", dropout=0.0, **fields)
    network = Plain(config, 64)
    network.trunk = nn.Sequential(nn.Linear(16, 64), nn.ReLU())
    labels = torch.tensor([[v, v % 3, v // 3] for v in range(12)])
    centres = 3 * torch.randn(12, 16)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(60):
        first = torch.randint(12, (48,))
        second = torch.where(torch.arange(48) < 24, first, torch.randint(12, (48,)))
        chosen = torch.cat([first, second])
        features = network.trunk(centres[chosen] + 0.3 * torch.randn(96, 16))
        terms = loss.pairwise(network, Batch(features, labels[chosen]), config)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    differs = (labels[first] != labels[second]).double().mean(0)
    least = 0.5 * differs * (1 - differs)  # ½ (1 − q) q² + ½ q (1 − q)² at the best constant, d = q
    return {name: (value / floor).item() for (name, value), floor in zip(terms.items(), least, strict=True)}


@pytest.mark.parametrize("distance", ["absolute", "euclidean", "multiplication"])
def test_the_scalar_schemes_terms_leave_their_no_op_level(distance):
    """A bare sum saturates the sigmoid: a term stays above what a unit that looks at nothing has."""
    assert max(terms_after_training(distance=distance).values()) < 0.5
    assert max(terms_after_training(distance=distance, scalar="bare").values()) > 1


@pytest.mark.parametrize("distance", ["absolute", "euclidean", "multiplication"])
@pytest.mark.parametrize("scheme", ["vector", "scalar"])
def test_slopes_of_the_units(distance, scheme):
    torch.manual_seed(1)
    found = SigmoidalUnits(4, MLSLConfig(distance=distance, scheme=scheme)).double().eval()
    first, second = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    assert gradcheck(found, (first.requires_grad_(), second.requires_grad_()))


def test_the_objective_equals_a_loop():
    torch.manual_seed(2)
    config = MLSLConfig(alpha=0.3, weight_color=0.7, weight_type=0.2, margin=0.6)
    network = Plain(config, 6).eval()
    features = torch.randn(8, 6)
    labels = torch.tensor([[0, 0, 1], [0, -1, 1], [1, 2, 0], [2, 1, -1], [0, 0, 1], [0, 1, 1], [3, 2, 0], [4, 1, 0]])
    terms = loss.pairwise(network, Batch(features, labels), config)
    logits, outputs = network.identity(features).tolist(), network.units(features[:4], features[4:]).tolist()
    entropy = [
        math.log(sum(map(math.exp, row))) - row[int(label)] for row, label in zip(logits, labels[:, 0], strict=True)
    ]
    wanted = {"identity": sum(entropy[:4]) / 4 + sum(entropy[4:]) / 4}
    for m, name in enumerate(("id", "color", "type")):
        parts = []
        for pair in range(4):
            a, b = int(labels[pair, m]), int(labels[pair + 4, m])
            y, d = int(a != b), outputs[pair][m]
            if a >= 0 and b >= 0:
                parts.append((1 - y) * 0.5 * d**2 + y * 0.5 * max(0.0, 0.6 - d) ** 2)
        wanted[name] = sum(parts) / len(parts)
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(wanted, abs=1e-6)
    assert loss.term_weights(config) == {"identity": 0.3, "id": 1.0, "color": 0.7, "type": 0.2}


def test_the_total_of_one_pair_by_hand():
    config = MLSLConfig(labels=["id"], dropout=0.0)
    network = Plain(config, 2, classes=2)
    network.identity.weight.data, network.identity.bias.data = torch.eye(2), torch.zeros(2)
    network.units = units([[1.0, 1.0]], [-2.0], labels=["id"], dropout=0.0)
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    batch = Batch(features, torch.tensor([[0, 0, 0], [1, 0, 0]]))  # two vehicles: Y = 1; d = σ(1 + 1 − 2) = ½
    terms = loss.pairwise(network, batch, config)
    total = sum(loss.term_weights(config)[name] * value for name, value in terms.items())
    entropy = math.log(1 + math.exp(-1))
    assert total.item() == pytest.approx(0.1 * (entropy + entropy) + 0.5 * (1 - 0.5) ** 2, abs=1e-6)
    same = loss.pairwise(network, Batch(features, torch.zeros(2, 3, dtype=torch.long)), config)
    assert same["id"].item() == pytest.approx(0.5 * 0.25, abs=1e-6), "Y = 0 where a pair shares the vehicle"


@pytest.mark.parametrize("distance, scalar", [("absolute", 7.0), ("euclidean", 5.0)])
def test_without_mapping_the_loss_is_on_the_distance_itself(distance, scalar):
    features = torch.tensor([[3.0, -1.0], [3.0, -1.0], [0.0, 3.0], [0.0, 3.0]])
    labels = torch.tensor([[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]])
    mean = {"absolute": 3.5, "euclidean": math.sqrt(12.5)}[distance]
    for fields, far, seen in [({"plain": "sum", "plain_margin": 9.0}, 9.0, scalar), ({"margin": 0.9}, 0.9, mean)]:
        config = MLSLConfig(mapping="none", distance=distance, weight_id=0.5, **fields)
        terms = loss.pairwise(Plain(MLSLConfig(), 2), Batch(features, labels), config)
        assert loss.term_weights(config) == {"identity": 0.1, "id": 0.5} and terms.keys() == {"identity", "id"}
        assert terms["id"].item() == pytest.approx((0.5 * seen**2 + 0.5 * max(0, far - seen) ** 2) / 2, rel=1e-6)
        assert not hasattr(PAPER.build(config.but(image_size=16, device="cpu"), {"identities": 3}), "units")


def test_the_plain_distance_weighs_as_much_as_classification():
    """At the start: the bare sum of 128 features is some hundred times the classification, their mean is not."""
    torch.manual_seed(4)
    features, vehicles = 0.5 * torch.rand(48, 128), torch.arange(24)
    labels = torch.stack([torch.cat([vehicles, torch.where(vehicles < 12, vehicles, (vehicles + 1) % 24)])] * 3, 1)
    shares = {}
    for plain in ("mean", "sum"):
        config = MLSLConfig(mapping="none", plain=plain)
        terms = loss.pairwise(Plain(config, 128, classes=24), Batch(features, labels), config)
        shares[plain] = (terms["id"] / (config.alpha * terms["identity"])).item()
    assert 0.1 < shares["mean"] < 2 < 50 < shares["sum"], shares


@pytest.mark.parametrize("learning, terms", [
    ("feature", {"identity": 1.0}), ("continued", {"identity": 0.1}),
    ("similarity", {"id": 1.0, "color": 1.0, "type": 1.0}),
    ("joint", {"identity": 0.1, "id": 1.0, "color": 1.0, "type": 1.0}),
])  # fmt: skip
def test_each_way_of_learning_has_its_terms(learning, terms):
    config = MLSLConfig(learning=learning, image_size=32, device="cpu")
    network = PAPER.build(config, {"identities": 4})
    batch = Batch(torch.randn(8, 3, 32, 32), torch.randint(0, 4, (8, 3)))
    found = PAPER.objective(config, network, batch)
    assert found.keys() == terms.keys() and loss.term_weights(config) == terms
    sum(found.values()).backward()
    assert (network.identity[1].weight.grad is not None) == ("identity" in terms)
    assert all(parameter.grad is not None for parameter in network.trunk.parameters())


def test_one_seed_has_one_set_of_initial_weights_in_every_variant(tmp_path):
    def trunk(**fields):
        return torch.cat(
            [p.flatten() for p in PAPER.build(MLSLConfig(device="cpu", **fields), {"identities": 4}).trunk.parameters()]
        )

    assert torch.equal(trunk(), trunk(mapping="none")) and torch.equal(trunk(), trunk(learning="feature"))
    assert not torch.equal(trunk(), trunk(seed=1))
    network = PAPER.build(MLSLConfig(device="cpu", learning="feature", seed=7), {"identities": 4})
    torch.save({"state": {name: child.state_dict() for name, child in network.named_children()}}, tmp_path / "start.pt")
    started = PAPER.build(MLSLConfig(device="cpu"), {"identities": 4}, [tmp_path / "start.pt"])
    for name, value in network.state_dict().items():
        assert torch.equal(value, started.state_dict()[name]), name


def test_building_leaves_the_callers_random_state_alone():
    before = torch.get_rng_state()
    PAPER.build(MLSLConfig(device="cpu"), {"identities": 4})
    assert torch.equal(before, torch.get_rng_state())


def test_what_starts_from_what_and_for_how_long():
    config = MLSLConfig(iterations1=70, iterations2=50, seed=3, dropout=0.2)
    (start,) = PAPER.starts_from(config)
    assert start.learning == "feature" and start.seed == 3 and PAPER.starts_from(start) == ()
    others = [config.but(**changes) for changes in ({"dropout": 0.0}, {"mapping": "none"}, {"learning": "similarity"},
              {"learning": "continued"}, {"labels": ("id",)}, {"pairs": 8}, {"iterations2": 9})]  # fmt: skip
    assert {PAPER.starts_from(other)[0].fingerprint() for other in others} == {start.fingerprint()}, "stage 1 is shared"
    assert PAPER.starts_from(config.but(batch=9))[0].fingerprint() != start.fingerprint()
    assert PAPER.starts_from(config.but(init="scratch")) == ()
    assert [PAPER.steps(c) for c in (config, start, config.but(init="scratch"))] == [50, 70, 120]


def test_schedules_of_the_paper():
    config = MLSLConfig(profile="paper")
    stage2 = PAPER.schedule(config, 37_778)
    assert [stage2(step) for step in (0, 23_999, 24_000, 35_999, 36_000, 47_999)] == pytest.approx(
        [1e-3] * 2 + [1e-4] * 2 + [1e-5] * 2
    )
    # 100 steps an epoch: 48 images a step in stage 1, and as many of 36 in stage 2, as three images are two pairs
    stage1 = PAPER.schedule(config.but(learning="feature", iterations1=78_000), 4_800)
    assert [stage1(step) for step in (0, 9_999, 10_000, 20_000)] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])
    epochs = PAPER.schedule(config.but(schedule2="epochs"), 3_600)
    assert [epochs(step) for step in (0, 4_999, 5_000, 10_000)] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])


@pytest.mark.parametrize("changes, drop", [
    ({"learning": "feature"}, 100), ({"learning": "feature", "preset": "smoke"}, 100), ({**MLSLConfig.IN_EPOCHS}, 50),
])  # fmt: skip
def test_a_schedule_in_epochs_counts_the_datas_own_and_its_drop_comes(changes, drop):
    config = MLSLConfig(profile="paper", **{"preset": "small", **changes})
    images = len(datasets.load(config.source).manifest.rows("train"))
    (at,) = PAPER.schedule(config, images).drops
    assert at == round(drop * images / PAPER.distinct(config)) and PAPER.steps(config) == pytest.approx(2 * at, abs=1)


def test_steps_that_are_asked_for_cut_a_profiles_epochs():
    given = MLSLConfig(profile="paper", iterations1=7)
    assert (given.epochs1, given.iterations1) == (0, 7) and MLSLConfig(profile="paper").epochs1 == 200
    assert MLSLConfig(profile="paper").but(iterations1=7).fingerprint() == given.fingerprint()
    assert MLSLConfig(**given.model_dump()) == given and MLSLConfig(**MLSLConfig(profile="paper").model_dump()).epochs1
    with pytest.raises(ConfigError, match="iterations1 = 7 and epochs1 = 3 both say how long: give one of them"):
        configure(MLSLConfig, {"iterations1": 7, "epochs1": 3})
    whole = MLSLConfig(epochs1=2, iterations1=9, device="cpu").canonical()
    assert (whole.epochs1, whole.iterations1) == (2, 700), "steps that epochs stand for are in no record's name"
    feature = MLSLConfig(profile="paper", **MLSLConfig.IN_EPOCHS, learning="feature").canonical()
    assert (feature.epochs1, feature.epochs2) == (200, 0)


@pytest.mark.parametrize("dataset, second", [("veri776", "steps"), ("vehicleid", "epochs"), ("veriwild", "epochs"),
                                             ("digits", "steps")])  # fmt: skip
def test_the_papers_tables_have_their_schedules(dataset, second):
    config = MLSLConfig(profile="paper", dataset=dataset)
    assert config.schedule2 == second and bool(config.epochs2) == (second == "epochs")
    assert bool(config.epochs1) == (dataset != "digits")
    row = tables.of_table_8("paper")
    assert MLSLConfig(profile="paper", dataset="veri776").but(**row.changes).schedule2 == "epochs"
    assert tables.of_table_8("quick") == tables.MLSL


def test_batches_hold_pairs_and_their_labels():
    labels = torch.tensor([[i // 3, i // 6, -1] for i in range(12)])
    pixels = torch.arange(12, dtype=torch.uint8).view(12, 1, 1, 1).expand(12, 16, 16, 3).contiguous() * 20
    config = MLSLConfig(pairs=8, batch=5, crop=1, rotation=0, brightness=0, image_size=16)
    for learning, count in (("joint", 16), ("feature", 5)):
        feed = batches(PAPER, config.but(learning=learning), lambda places: pixels[places], torch.arange(12), labels)
        batch = feed(3)
        assert batch.images.shape == (count, 3, 16, 16) and batch.labels.shape == (count, 3)
        shown = (batch.images[:, 0, 8, 8] * 58.395 + 123.675).div(20).round().long()
        assert torch.equal(labels[shown], batch.labels), "labels stay with their images"
        assert torch.equal(feed(3).images, batch.images) and not torch.equal(feed(4).images, batch.images)
    first, second = (
        batches(PAPER, config, lambda places: pixels[places], torch.arange(12), labels)(0).labels[:, 0].chunk(2)
    )
    assert (first[:4] == second[:4]).all() and (first[4:] != second[4:]).all()


def test_label_codes_take_the_model_where_there_is_no_type():
    rows = pd.DataFrame(
        {
            "vehicle_id": ["b", "a", "b"],
            "color": ["red", pd.NA, "blue"],
            "type": [pd.NA] * 3,
            "model": ["x", "y", pd.NA],
        },
        dtype="string",
    )
    assert PAPER.labels(rows).tolist() == [[1, 1, 0], [0, -1, 1], [1, 0, -1]]
    assert PAPER.labels(rows.assign(type=pd.Series(["van", "bus", pd.NA], dtype="string")))[:, 2].tolist() == [
        1,
        0,
        -1,
    ]


def test_a_probe_is_repeatable_and_sees_both_stages():
    config = MLSLConfig(image_size=32)
    found = PAPER.probe(config, {"identities": 10})
    assert found == PAPER.probe(config, {"identities": 10})
    parts = {f"{stage} {part}" for stage in ("feature", "joint") for part in ("rate", "loss", "gradient", "features")}
    assert found.keys() == parts | {"scores", "contrastive"}
    assert len(found["joint rate"]) == 20 and len(found["joint loss"]) == 3 * 5
    other = PAPER.probe(config.but(mapping="none"), {"identities": 10})
    assert other["feature loss"] == found["feature loss"] and other["joint loss"] != found["joint loss"]


VARIANTS = [{"learning": "feature"}, {"learning": "continued"}, {"learning": "similarity"}, {"mapping": "none"},
            {"init": "scratch"}, {"scheme": "scalar", "distance": "euclidean"}, {"scheme": "scalar", "scalar": "bare"},
            {"mapping": "none", "plain": "sum"}, {"distance": "multiplication"},
            {"digits_protocol": "test_to_train"}, {"backbone": "digits", "image_size": 28}, {"precision": "bfloat16"},
            {"test_distance": "cosine"}]  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_variant_runs_and_leaves_a_whole_record(variant):
    config = MLSLConfig(**{**TINY, **variant})
    steps = []
    record = runs.run(config, PAPER, committed=False, progress=steps.append)
    assert sum(steps) == PAPER.steps(config) == record.cost["iterations"]
    assert record.scores["queries"] == len(record.queries["ap"]) == 40 and 0 < record.scores["mAP"] <= 1
    assert record.history["total"] and len(record.history["total"]) == len(record.history["rate"])
    assert record.cost["parameters"] > 0 and record.cost["flops"] > 0
    assert ("map" in record.exhibits) == (config.backbone == "digits")
    assert record.data["identities"] == 10 and evaluate_run.data(config)["digest"] == record.data["digest"]


@pytest.mark.parametrize("name, width", [("small", 128), ("mobilenet_v1", 1024)])
def test_the_network_takes_any_trunk(name, width):
    network = MLSL(MLSLConfig(backbone=name, image_size=32), 6).eval()
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, width)
    assert network.identity[1].weight.shape == (6, width)


def test_car_models_are_no_vehicles():
    with pytest.raises(ValueError, match="dataset = 'compcars' is refused"):
        MLSLConfig(dataset="compcars")
