"""The strong baseline: its loss by loops, the trunk without its last stride, its schedule by hand, and a training."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib import models
from reidpapers.run import training
from reidpapers.run.config import ConfigError, configure
from reidpapers.run.training import Batch, Workspace
from reidpapers.strong_baseline.config import StrongConfig
from reidpapers.strong_baseline.loss import term_weights, terms, untaught
from reidpapers.strong_baseline.method import PAPER
from reidpapers.strong_baseline.network import LAST, Strong, trunk


def by_loops(f, logits, labels, centers, smoothing, margin):
    """The three terms as the paper writes them, image by image."""
    count, images = len(logits[0]), range(len(labels))
    identity = triplet = center = 0.0
    for i in images:
        total = sum(math.exp(value) for value in logits[i])
        for c in range(count):
            share = 1 - (count - 1) / count * smoothing if c == labels[i] else smoothing / count
            identity -= share * math.log(math.exp(logits[i][c]) / total)
        far = max(math.dist(f[i], f[j]) for j in images if j != i and labels[j] == labels[i])
        near = min(math.dist(f[i], f[j]) for j in images if labels[j] != labels[i])
        triplet += max(0.0, far - near + margin)
        center += 0.5 * math.dist(f[i], centers[labels[i]]) ** 2
    return {"identity": identity / len(labels), "triplet": triplet / len(labels), "center": center}


@settings(max_examples=25)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.0, 0.3, 2.0]))
def test_the_loss_equals_loops(seed, smoothing, margin):
    generator = torch.Generator().manual_seed(seed)
    f, f_bn, centers = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (8, 8, 4))
    labels = torch.arange(8) // 2
    network = SimpleNamespace(
        features=lambda images: (f, f_bn), identity=lambda values: values[:, :4], training=False,
        centers=SimpleNamespace(values=centers),
    )  # fmt: skip
    found = terms(network, Batch(None, labels[:, None]), StrongConfig(smoothing=smoothing, margin=margin))
    wanted = by_loops(f.tolist(), f_bn[:, :4].tolist(), labels.tolist(), centers.tolist(), smoothing, margin)
    assert {name: float(value) for name, value in found.items()} == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    assert found.keys() == term_weights(StrongConfig()).keys()


@settings(max_examples=25)
@given(st.lists(st.integers(0, 4), min_size=3, max_size=30), st.sampled_from([0.0, 0.1, 0.9]))
def test_no_guess_that_looks_at_no_image_has_a_lower_loss_than_the_level(codes, smoothing):
    labels = torch.tensor([*codes, *range(5)])  # each of five there
    guesses = torch.randn(50, 1, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shares = (1 - smoothing) * labels.bincount() / len(labels) + smoothing / 5
    values = [
        float(torch.nn.functional.cross_entropy(guess.expand(len(labels), 5), labels, label_smoothing=smoothing))
        for guess in (shares.log().double()[None], *guesses)
    ]
    level = untaught(labels, smoothing)
    assert values[0] == pytest.approx(level, abs=1e-6) and min(values) >= level - 1e-6


@pytest.mark.parametrize("name", LAST)
def test_without_its_last_stride_a_trunk_has_a_map_of_twice_the_side_and_the_same_weights(name):
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    plain = models.build(name, image_size=64).eval()
    torch.manual_seed(0)
    longer = trunk(StrongConfig(backbone=name)).eval()
    torch.manual_seed(0)
    kept = trunk(StrongConfig(backbone=name, last_stride=2)).eval()
    with torch.no_grad():
        sides = [built.maps(images).shape[-1] for built in (plain, kept, longer)]
        assert torch.equal(plain(images), kept(images))
    assert sides[0] == sides[1] and sides[2] == 2 * sides[0]
    longer.load_state_dict(plain.state_dict())


def test_the_rate_warms_up_from_a_tenth_and_drops_twice():
    schedule = PAPER.schedule(StrongConfig(profile="paper", iterations=1200), 10_000)
    rates = {0: 3.5e-5, 50: 1.925e-4, 100: 3.5e-4, 399: 3.5e-4, 400: 3.5e-5, 699: 3.5e-5, 700: 3.5e-6, 1199: 3.5e-6}
    assert {step: schedule(step) for step in rates} == pytest.approx(rates)


def test_a_batch_is_sixteen_vehicles_of_four_images_and_epochs_count_them():
    labels = (torch.arange(40) % 20).repeat_interleave(3)[:, None]
    drawn = labels[PAPER.draw(StrongConfig(), labels)(0, torch.Generator().manual_seed(0)), 0].view(16, 4)
    assert (drawn == drawn[:, :1]).all() and len(drawn[:, 0].unique()) == 16
    config = StrongConfig(epochs=2)
    assert PAPER.steps(config) == round(2 * PAPER.data(config)["counts"]["train"]["images"] / 64)


def test_matching_sees_the_feature_after_the_neck_and_distances_the_one_before():
    network = Strong(StrongConfig(image_size=32), {"identities": 3}).eval()
    network.neck.running_mean += 5
    f, f_bn = network.features(images := torch.rand(2, 3, 32, 32))
    assert torch.equal(network(images), f_bn) and torch.allclose(f - 5, f_bn, atol=1e-3)
    assert network.identity.bias is None and not network.neck.bias.requires_grad
    assert not any(name.startswith("centers") for name, _ in network.named_parameters())


def test_a_training_learns_moves_its_centres_and_says_what_it_knows():
    parts, state = training.compute(PAPER, StrongConfig(profile="smoke"), Workspace())
    assert 0 < parts["scores"]["mAP"] <= 1 and parts["cost"]["iterations"] == 8
    assert set(parts["history"]) == {"iteration", "rate", "total", "identity", "triplet", "center"}
    assert set(parts["fit"]["levels"]) == {"identity", "triplet"} and "identity train" in parts["fit"]["accuracy"]
    assert state["centers"]["values"].abs().sum() > 0


def test_what_cannot_be_drawn_or_matched_is_refused():
    with pytest.raises(ConfigError, match="allowed are 2 to"):
        PAPER.data(StrongConfig(profile="smoke", identities=400))
    with pytest.raises(ConfigError, match="no vehicles"):
        configure(StrongConfig, {"dataset": "compcars"})
