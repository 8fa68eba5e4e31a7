"""Samplers: what a batch may hold, how often each image comes, and that a step's batch depends on the step alone."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from reidlib.sampler import PairSampler, ShuffledSampler, generator

# Vehicle codes with at least two vehicles, one of them with at least two images; in no order.
TABLES = st.lists(st.integers(-3, 6), min_size=3, max_size=40).filter(
    lambda codes: len(set(codes)) > 1 and len(set(codes)) < len(codes)
)


def draw(vehicles, pairs, batches, seed=0):
    """Pairs ``[2, batches × pairs / 2]`` of each kind."""
    sampler = PairSampler(np.asarray(vehicles), pairs)
    drawn = torch.stack([sampler(step, generator(seed, step)) for step in range(batches)])
    positive, negative = drawn.split(pairs // 2, dim=2)
    return [kind.transpose(0, 1).flatten(1).numpy() for kind in (positive, negative)]


@given(TABLES, st.integers(1, 12), st.integers(0, 1000))
def test_pairs_are_what_they_claim_to_be(vehicles, half, seed):
    vehicles = np.array(vehicles)
    pairs = PairSampler(vehicles, 2 * half)(0, generator(seed)).numpy()
    assert pairs.shape == (2, 2 * half)
    assert pairs.min() >= 0 and pairs.max() < len(vehicles)
    (anchor, partner), (again, other) = pairs[:, :half], pairs[:, half:]
    assert (anchor == again).all(), "three images give both pairs: the anchor is in each"
    assert (vehicles[anchor] == vehicles[partner]).all() and (anchor != partner).all()
    assert (vehicles[again] != vehicles[other]).all()


def test_every_image_may_meet_any_other():
    vehicles = np.array([7, 3, 7, 5, 3, 7, 9])  # vehicles 5 and 9 have one image: never an anchor, but met
    positive, negative = draw(vehicles, 64, 200)
    images = range(len(vehicles))
    anchors = [i for i in images if (vehicles == vehicles[i]).sum() > 1]
    same = {(i, j) for i, j in itertools.permutations(images, 2) if vehicles[i] == vehicles[j]}
    different = {(i, j) for i in anchors for j in images if vehicles[i] != vehicles[j]}
    assert set(zip(*positive.tolist(), strict=True)) == same
    assert set(zip(*negative.tolist(), strict=True)) == different
    met = same | different | {(j, i) for i, j in different}
    assert met >= {(i, j) for i, j in itertools.permutations(images, 2) if i in anchors or j in anchors}


def test_draws_are_uniform():
    vehicles = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3])
    positive, negative = draw(vehicles, 200, 200)
    anchors = [0, 1, 2, 3, 4, 6, 7, 8, 9]  # not image 5, which has no partner
    counts = np.bincount(positive[0], minlength=10)
    assert counts[5] == 0
    assert chisquare(counts[anchors]).pvalue > 1e-3, "every image with a partner is as likely an anchor"
    for anchor in anchors:
        partners = np.bincount(positive[1][positive[0] == anchor], minlength=10)
        mates = (vehicles == vehicles[anchor]) & (np.arange(10) != anchor)
        assert partners[~mates].sum() == 0
        assert mates.sum() == 1 or chisquare(partners[mates]).pvalue > 1e-3
        others = np.bincount(negative[1][negative[0] == anchor], minlength=10)
        assert chisquare(others[vehicles != vehicles[anchor]]).pvalue > 1e-3


def test_the_order_of_images_and_the_codes_do_not_matter():
    positive, _ = draw([100, -5, 100, -5], 8, 20)
    assert {frozenset(pair) for pair in zip(*positive.tolist(), strict=True)} == {frozenset({0, 2}), frozenset({1, 3})}


@pytest.mark.parametrize("pairs", [-2, 0, 1, 3, 25])
def test_odd_or_no_pairs_are_refused(pairs):
    with pytest.raises(ValueError, match=f"pairs = {pairs} .* even number"):
        PairSampler(np.array([0, 0, 1]), pairs)


@pytest.mark.parametrize("vehicles", [[0, 0, 0], [0, 1, 2]])
def test_a_table_without_pairs_is_refused(vehicles):
    with pytest.raises(ValueError, match="no pairs to draw"):
        PairSampler(np.array(vehicles), 2)


def test_a_pair_batch_depends_on_its_generator_alone():
    vehicles = np.arange(60) // 4
    first, second = PairSampler(vehicles, 24), PairSampler(vehicles, 24)
    for step in range(5):
        second(step, generator("elsewhere", step))
    assert torch.equal(first(3, generator(1, 3)), second(3, generator(1, 3)))
    assert not torch.equal(first(3, generator(1, 3)), first(3, generator(1, 4)))


@given(st.integers(1, 40), st.data())
def test_an_epoch_covers_every_image_once(count, data):
    batch = data.draw(st.integers(1, count))
    sampler = ShuffledSampler(count, batch, seed=data.draw(st.integers(0, 99)))
    steps = -(-3 * count // batch)  # three epochs or a little more, across their borders
    batches = [sampler(step, generator(step)) for step in range(steps)]
    assert all(len(one) == batch for one in batches)
    stream = torch.cat(batches)[: 3 * count].view(3, count)
    for epoch in stream:
        assert sorted(epoch.tolist()) == list(range(count))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [ShuffledSampler(50, 50, seed=seed)(epoch, generator()) for seed in (0, 1) for epoch in (0, 1)]
    for one, other in itertools.combinations(orders, 2):
        assert not torch.equal(one, other)


def test_a_shuffled_batch_depends_on_its_step_alone():
    once = ShuffledSampler(10, 4, seed=3)
    straight = [once(step, generator()) for step in range(12)]
    mixed = ShuffledSampler(10, 4, seed=3)
    for step in (7, 3, 11, 2, 7, 0, 4, 5):  # 2, 4 and 7 cross or touch epoch borders
        assert torch.equal(mixed(step, generator("whatever")), straight[step])


@pytest.mark.parametrize("batch", [0, -1, 11])
def test_an_impossible_batch_is_refused(batch):
    with pytest.raises(ValueError, match="allowed are 1 to 10"):
        ShuffledSampler(10, batch, seed=0)


def test_generators_differ_by_every_part():
    parts = [(0, 1, 2), (0, 1, 3), (0, 2, 2), (1, 1, 2), ("0", "12"), (0,), ()]
    draws = [torch.rand(4, generator=generator(*one)) for one in parts]
    assert all(not torch.equal(one, other) for one, other in itertools.combinations(draws, 2))
    assert torch.equal(draws[0], torch.rand(4, generator=generator(0, 1, 2)))
