"""Samplers: what a batch may hold, how often each image comes, and that a step's batch depends on the step alone."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chisquare

from reidlib.sampler import IdentitySampler, ModelSampler, PairSampler, SetSampler, ShuffledSampler, generator

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


@st.composite
def set_tables(draw):
    """Identity codes in random order with a set size that one identity fills and the others, together, too."""
    size = draw(st.integers(2, 5))
    counts = [draw(st.integers(size, 9)), size, *draw(st.lists(st.integers(1, 6), max_size=6))]
    names = draw(st.permutations(range(-2, len(counts) - 2)))
    codes = np.repeat(names, counts)
    assume(size <= len(codes) - np.bincount(codes + 2).max())
    return np.array(draw(st.permutations(codes.tolist()))), size


def sets_of(identities, batches, *, sets, size, seed=0):
    """Positive and negative sets, ``[batches × sets, size]`` each."""
    sampler = SetSampler(np.asarray(identities), sets=sets, size=size)
    drawn = torch.cat([sampler(step, generator(seed, step)) for step in range(batches)]).numpy()
    return drawn[:, 0], drawn[:, 1]


@given(set_tables(), st.integers(1, 12), st.integers(0, 1000))
def test_sets_are_what_they_claim_to_be(table, sets, seed):
    identities, size = table
    batch = SetSampler(identities, sets=sets, size=size)(0, generator(seed))
    assert batch.shape == (sets, 2, size) and batch.dtype == torch.long
    chosen = []
    for positive, negative in batch.numpy():
        assert len(set(positive)) == len(set(negative)) == size, "no image twice in a set"
        assert len(set(identities[positive])) == 1
        assert identities[positive[0]] not in identities[negative]
        chosen.append(identities[positive[0]])
    codes, counts = np.unique(identities, return_counts=True)
    able = codes[counts >= size]
    times = np.array([chosen.count(code) for code in able])
    assert times.sum() == sets, "only vehicles with enough images give positive sets"
    assert times.max() - times.min() <= 1, "none comes twice while others have not come"


def test_sets_are_uniform():
    identities = np.array([0, 1, 1, 2, 0, 2, 1, 2, 1, 3, 0, 3, 3])  # identity 3 last; 0, 2 and 3 have three, 1 has four
    positive, negative = sets_of(identities, 3000, sets=2, size=3)
    chosen = identities[positive[:, 0]]
    assert chisquare(np.bincount(chosen, minlength=4)).pvalue > 1e-3, "each vehicle is as likely"
    ones = np.bincount(positive[chosen == 1].ravel(), minlength=13)
    assert chisquare(ones[identities == 1]).pvalue > 1e-3, "and each image of it"
    subsets = [tuple(sorted(images)) for images in positive[chosen == 1].tolist()]
    assert chisquare(np.unique(subsets, axis=0, return_counts=True)[1]).pvalue > 1e-3
    assert len(set(subsets)) == 4
    for identity in range(4):
        met = negative[chosen == identity]
        counts = np.bincount(met.ravel(), minlength=13)
        assert chisquare(counts[identities != identity]).pvalue > 1e-3, "any image of any other vehicle is as likely"
        every = {frozenset(trio) for trio in itertools.combinations(np.flatnonzero(identities != identity).tolist(), 3)}
        assert {frozenset(trio) for trio in met.tolist()} == every


def test_the_papers_sets_are_150_images():
    batch = SetSampler(np.arange(600) // 6)(0, generator())
    assert batch.numel() == 150 and batch.shape == (15, 2, 5)


def test_a_positive_set_may_take_all_images_and_a_negative_all_others():
    positive, negative = sets_of([4, 9, 4, 9], 30, sets=3, size=2)
    assert {(*sorted(p), *sorted(n)) for p, n in zip(positive.tolist(), negative.tolist(), strict=True)} == {
        (0, 2, 1, 3),
        (1, 3, 0, 2),
    }


@pytest.mark.parametrize(
    "identities, options, words",
    [
        ([0, 0, 1, 1], {"sets": 0}, "sets = 0 is refused: .* >= 1"),
        ([0, 0, 1, 1], {"size": 1}, "size = 1 is refused: .* >= 2"),
        ([0, 0, 0, 1, 1], {"size": 4}, "size = 4 is refused: no identity has more than 3 images; allowed are 2 to 3"),
        ([0, 0, 0, 1, 1], {"size": 3}, "size = 3 is refused: beside one identity's 3 images there are 2 of others"),
        ([5, 5, 5], {"size": 2}, "1 identities: a negative set needs images of another"),
    ],
)
def test_impossible_sets_are_refused(identities, options, words):
    with pytest.raises(ValueError, match=words):
        SetSampler(np.array(identities), **options)


@st.composite
def model_tables(draw):
    """Vehicle and model codes in random order: two models with two vehicles of two images, the rest as it comes."""
    able = [[draw(st.integers(2, 7)) for _ in range(draw(st.integers(2, 5)))] for _ in range(draw(st.integers(2, 4)))]
    others = draw(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), max_size=3))
    rows, vehicle = [], 0
    for model, counts in enumerate(able + others):
        for images in counts:
            rows += [(vehicle * 7 % 101 - 3, model)] * images  # codes in no order
            vehicle += 1
    rows += [(200 + i // 2, -1) for i in range(draw(st.integers(0, 6)))]
    return tuple(np.array(draw(st.permutations(rows))).T)


@given(model_tables(), st.tuples(*[st.integers(2, 6)] * 3), st.integers(0, 1000))
def test_every_image_meets_its_vehicle_its_model_and_another(table, count, seed):
    vehicles, models = table
    batch = ModelSampler(vehicles, models, count=count)(0, generator(seed)).numpy()
    assert len(batch) == np.prod(count), "the size is always the same"
    assert (models[batch] >= 0).all()
    for image in batch:
        mates = batch[vehicles[batch] == vehicles[image]]
        assert (mates != image).any(), "P"
        assert ((models[batch] == models[image]) & (vehicles[batch] != vehicles[image])).any(), "N_v"
        assert (models[batch] != models[image]).any(), "N_m"
        times = np.unique(mates, return_counts=True)[1]
        assert len(times) == min(len(mates), (vehicles == vehicles[image]).sum()), "twice only where none is left"
        assert times.max() - times.min() <= 1
    for codes in (vehicles[batch], models[batch]):
        assert (codes[1:] != codes[:-1]).sum() + 1 == len(set(codes)), "side by side"


def test_where_there_is_enough_the_counts_are_those_asked_for():
    vehicles = np.random.default_rng(0).permutation(np.arange(480) // 6)  # 80 vehicles of 6 images, 10 a model
    models = vehicles // 10
    for step in range(50):
        batch = ModelSampler(vehicles, models, count=(4, 3, 5))(step, generator(step)).view(4, 3, 5).numpy()
        assert len(np.unique(batch)) == 60
        assert (vehicles[batch] == vehicles[batch[:, :, :1]]).all() and (
            models[batch] == models[batch[:, :1, :1]]
        ).all()
        assert len(np.unique(models[batch[:, 0, 0]])) == 4
        assert all(len(np.unique(vehicles[one[:, 0]])) == 3 for one in batch)


def test_what_is_short_is_dealt_out_evenly():
    vehicles = np.repeat([0, 1, 2, 3, 4], [2, 9, 9, 9, 9])
    models = np.repeat([0, 0, 1, 1, 1], [2, 9, 9, 9, 9])
    batch = ModelSampler(vehicles, models, count=(2, 3, 4))(0, generator()).numpy()
    counts = np.bincount(vehicles[batch], minlength=5)
    assert counts.tolist() == [6, 6, 4, 4, 4], "two vehicles share the places of three"
    assert np.bincount(batch, minlength=2)[:2].tolist() == [3, 3] and np.bincount(batch)[2:].max() == 1
    batch = ModelSampler(vehicles, models, count=(5, 2, 3))(0, generator()).numpy()
    assert np.bincount(models[batch]).tolist() == [15, 15], "two models share the places of five"


def test_models_vehicles_and_images_come_evenly():
    vehicles = np.arange(400) // 4  # 100 vehicles of 4 images
    models = np.where(vehicles < 20, 0, 1 + (vehicles - 20) // 2)  # one model of 20 vehicles, forty of two
    sampler = ModelSampler(vehicles, models, count=(2, 2, 2))
    drawn = torch.stack([sampler(step, generator(step)) for step in range(4000)]).view(-1, 2, 2, 2).numpy()
    first = models[drawn[:, :, 0, 0]]
    # Weights 10 and forty times 1, two models drawn without replacement.
    expected = 10 / 50 + (40 / 50) * (10 / 49)
    assert abs((first == 0).any(1).mean() - expected) < 0.03
    assert chisquare(np.bincount(first[first > 0])[1:]).pvalue > 1e-3, "models of equal size are as likely"
    times = np.bincount(vehicles[drawn[..., 0]].ravel(), minlength=100)  # batches that a vehicle is in
    assert chisquare(times[:20]).pvalue > 1e-3, "each vehicle of a model is as likely"
    assert 0.8 < times[:20].mean() / times[20:].mean() < 1.1, "and those of large models come about as often"
    places = np.bincount(drawn.ravel() % 4, minlength=4)
    assert chisquare(places).pvalue > 1e-3, "each image of a vehicle is as likely"


@pytest.mark.parametrize(
    "vehicles, models, count, words",
    [
        ([0, 0, 1, 1], [0, 0, 0, 0], (1, 2, 2), "models = 1 is refused: .* >= 2"),
        ([0, 0, 1, 1], [0, 0, 0, 0], (2, 1, 2), "vehicles = 1 is refused"),
        ([0, 0, 1, 1], [0, 0, 0, 0], (2, 2, 0), "images = 0 is refused"),
        ([0, 0, 1], [0, 0], (2, 2, 2), "3 vehicle codes and 2 model codes"),
        ([0, 0, 7, 7], [0, 0, 1, 2], (2, 2, 2), "vehicle 7 has images of more than one model"),
        ([0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1], (2, 2, 2), "1 models have two vehicles with two images each"),
        ([0, 0, 1, 1, 2, 2, 3], [0, 0, 0, 0, 1, 1, 1], (2, 2, 2), "1 models have two vehicles"),
        ([0, 0, 1, 1], [-1, -1, -1, -1], (2, 2, 2), "0 models have two vehicles"),
    ],
)
def test_data_without_the_three_kinds_of_pair_is_refused(vehicles, models, count, words):
    with pytest.raises(ValueError, match=words):
        ModelSampler(np.array(vehicles), np.array(models), count=count)


@pytest.mark.parametrize("sampler", [SetSampler, lambda codes: ModelSampler(codes, codes % 9), IdentitySampler])
def test_set_model_and_identity_batches_depend_on_their_generator_alone(sampler):
    codes = np.arange(700) // 7
    first, second = sampler(codes), sampler(codes)
    for step in range(5):
        second(step, generator("elsewhere", step))
    assert torch.equal(first(3, generator(1, 3)), second(8, generator(1, 3)))
    assert not torch.equal(first(3, generator(1, 3)), first(3, generator(1, 4)))


@pytest.mark.parametrize("positive", [1, 3, 7])
def test_pairs_of_any_share_of_one_vehicle(positive):
    vehicles = np.repeat(np.arange(6), 4)
    draws = PairSampler(vehicles, 8, positive)
    for step in range(20):
        first, second = draws(step, generator(0, step))
        same = vehicles[first] == vehicles[second]
        assert first.shape == second.shape == (8,) and (first != second).all()
        assert same.tolist() == [True] * positive + [False] * (8 - positive)


def test_half_of_the_pairs_said_in_words_or_by_default_are_the_same_draws():
    vehicles = np.repeat(np.arange(6), 4)
    found = [PairSampler(vehicles, 8, positive)(0, generator(1)) for positive in (None, 4)]
    assert torch.equal(*found)
    for positive in (0, 8):
        with pytest.raises(ValueError, match=f"positive = {positive} of 8 pairs is refused"):
            PairSampler(vehicles, 8, positive)


def several(codes):
    return len(set(codes)) > 1


@given(st.lists(st.integers(-3, 6), min_size=2, max_size=40).filter(several), st.data(), st.integers(0, 1000))
def test_identities_and_images_are_as_many_as_asked_for(codes, data, seed):
    vehicles = np.array(codes)
    identities = data.draw(st.integers(2, len(set(codes))))
    images = data.draw(st.integers(2, 6))
    batch = IdentitySampler(vehicles, identities=identities, images=images)(0, generator(seed)).numpy()
    assert batch.shape == (identities * images,)
    rows = batch.reshape(identities, images)
    assert (vehicles[rows] == vehicles[rows[:, :1]]).all(), "side by side"
    assert len(set(vehicles[rows[:, 0]])) == identities, "no vehicle twice"
    for row in rows:
        there = (vehicles == vehicles[row[0]]).sum()
        times = np.unique(row, return_counts=True)[1]
        assert len(times) == min(images, there), "an image comes again only where none is left"
        assert times.max() - times.min() <= 1


def test_vehicles_and_their_images_come_evenly():
    vehicles = np.random.default_rng(1).permutation(np.repeat(np.arange(12), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]))
    sampler = IdentitySampler(vehicles, identities=3, images=2)
    drawn = torch.stack([sampler(step, generator(step)) for step in range(6000)]).view(-1, 2).numpy()
    assert chisquare(np.bincount(vehicles[drawn[:, 0]])).pvalue > 1e-3, "whatever the number of its images"
    for vehicle in range(1, 12):
        own = drawn[vehicles[drawn[:, 0]] == vehicle]
        counts = [(own == image).sum() for image in np.flatnonzero(vehicles == vehicle)]
        assert chisquare(counts).pvalue > 1e-3, "each image of a vehicle is as likely"


@pytest.mark.parametrize(
    "codes, options, words",
    [
        ([0, 0, 1, 1], {}, "identities = 64 is refused: allowed are 2 to 2, the vehicles"),
        ([0, 0, 1, 1], {"identities": 1}, "identities = 1 is refused: .* >= 2"),
        ([0, 0, 1, 1], {"identities": 2, "images": 1}, "images = 1 is refused: .* >= 2"),
        ([], {"identities": 2}, "allowed are 2 to 0"),
    ],
)
def test_impossible_identities_are_refused(codes, options, words):
    with pytest.raises(ValueError, match=words):
        IdentitySampler(np.array(codes, dtype=np.int64), **options)
