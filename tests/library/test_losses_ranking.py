"""C2F-Rank's terms against naive loops, the corrected gradients and the printed ones."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib import losses

ALPHA, BETA, GAMMA = 100, 1000, 10  # α, β, γ of the paper
PAPER = {"coarse_margin": 0.2, "fine_margin": 0.2, "coarse_nearest": 10, "fine_nearest": 3}
seeds = st.integers(0, 10_000)
options = st.fixed_dictionaries(
    {
        "coarse_margin": st.floats(0, 2),
        "fine_margin": st.floats(0, 2),
        "coarse_nearest": st.integers(1, 30),
        "fine_nearest": st.integers(1, 30),
    }
)


def batch(seed, images=None, width=4, models=3, vehicles=3, spread=1.0):
    """Unit-length features and labels: every vehicle has one model; some have one image, some models one vehicle."""
    draw = torch.Generator().manual_seed(seed)
    images = int(torch.randint(1, 21, (), generator=draw)) if images is None else images
    features = spread * torch.randn((images, width), generator=draw, dtype=torch.float64)
    features[:, 0] += 1
    vehicle = torch.randint(models * vehicles, (images,), generator=draw)
    return torch.nn.functional.normalize(features, dim=1), vehicle, vehicle % models


def square(first, second):
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True))


def naive_tuples(features, vehicles, models, coarse_nearest, fine_nearest):
    """The tuples (i, j, k) of eq. 3, (i, l, j) of eq. 4 and (i, l) of eq. 5, in loops over a batch's images."""
    rows, vehicles, models = features.tolist(), vehicles.tolist(), models.tolist()
    coarse, fine, pairs = [], [], []
    for i in range(len(rows)):
        others = sorted((n for n in range(len(rows)) if n != i), key=lambda n: square(rows[i], rows[n]))
        same = [n for n in others if vehicles[n] == vehicles[i]]
        model = [n for n in others if vehicles[n] != vehicles[i] and models[n] == models[i]]
        other = [n for n in others if models[n] != models[i]]
        coarse += [(i, j, k) for j in model for k in other[:coarse_nearest]]
        fine += [(i, l, j) for l in same for j in model[:fine_nearest]]  # noqa: E741
        pairs += [(i, l) for l in same]  # noqa: E741
    return coarse, fine, pairs


def naive_terms(features, tuples, coarse_margin, fine_margin, normalisation):
    coarse, fine, pairs = tuples
    rows = features.tolist()
    found = {}
    for name, triples, margin in (("coarse", coarse, coarse_margin), ("fine", fine, fine_margin)):
        values = [max(0.0, square(rows[i], rows[n]) - square(rows[i], rows[f]) + margin) for i, n, f in triples]
        count = len(values) if normalisation == "all" else sum(value > 0 for value in values)
        found[name] = math.fsum(values) / max(1, count)
    found["pair"] = math.fsum(square(rows[i], rows[n]) for i, n in pairs) / max(1, len(pairs))
    return found


def weighted(terms):
    return ALPHA * terms["coarse"] + BETA * terms["fine"] + GAMMA * terms["pair"]


def tangential(features, gradient):
    """What is left of a gradient to unit-length features once it has passed through their normalisation."""
    return gradient - (gradient * features).sum(-1, keepdim=True) * features


@pytest.mark.parametrize("normalisation", losses.NORMALISATIONS)
@given(seed=seeds, chosen=options)
def test_terms_equal_triple_loops(normalisation, seed, chosen):
    features, vehicles, models = batch(seed)
    found = losses.coarse_to_fine(features, vehicles, models, **chosen, normalisation=normalisation)
    tuples = naive_tuples(features, vehicles, models, chosen["coarse_nearest"], chosen["fine_nearest"])
    wanted = naive_terms(features, tuples, chosen["coarse_margin"], chosen["fine_margin"], normalisation)
    assert {name: float(value) for name, value in found.items()} == pytest.approx(wanted, abs=1e-9)


@given(seeds)
def test_every_pair_of_images_has_one_relation(seed):
    _, vehicles, models = batch(seed)
    masks = losses.relations(vehicles, models)
    assert torch.equal(torch.stack(masks).sum(0), 1 - torch.eye(len(vehicles), dtype=torch.long))
    assert all(torch.equal(mask, mask.T) for mask in masks)


@given(seeds, st.integers(1, 40))
def test_no_other_image_is_nearer_than_those_mined(seed, k):
    features, vehicles, models = batch(seed)
    distances = losses.squared_distances(features, features)
    for among in losses.relations(vehicles, models):
        found, there = losses.nearest(distances, among, k)
        assert there.sum(1).tolist() == among.sum(1).clamp_max(k).tolist()
        for i, (images, real) in enumerate(zip(found, there, strict=True)):
            taken = images[real].tolist()
            assert len(set(taken)) == len(taken) and among[i, taken].all()
            assert distances[i, taken].tolist() == sorted(distances[i, taken].tolist())
            left = [n for n in range(len(features)) if among[i, n] and n not in taken]
            assert not taken or all(distances[i, n] >= distances[i, taken[-1]] for n in left)


def test_ties_go_to_the_image_that_comes_first():
    distances = torch.full((5, 5), 0.5)
    among = torch.tensor([[False, True, False, True, True]] * 5)
    found, there = losses.nearest(distances, among, 2)
    assert found.tolist() == [[1, 3]] * 5 and there.all()


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_a_collapsed_batch_costs_its_margins(k):
    vehicles = torch.arange(12) // 2
    features = torch.nn.functional.normalize(torch.ones(12, 4), dim=1).requires_grad_()
    found = losses.coarse_to_fine(
        features, vehicles, vehicles // 3, coarse_margin=0.3, fine_margin=0.1, coarse_nearest=k, fine_nearest=k
    )
    assert [float(value.detach()) for value in found.values()] == pytest.approx([0.3, 0.1, 0], abs=1e-6)


@given(seeds, options)
def test_the_order_of_a_batch_does_not_matter(seed, chosen):
    features, vehicles, models = batch(seed)
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
    found = losses.coarse_to_fine(features, vehicles, models, **chosen)
    mixed = losses.coarse_to_fine(features[order], vehicles[order], models[order], **chosen)
    torch.testing.assert_close(found, mixed)


def single(features):
    """The weighted loss where each term has one tuple alone: (i, j, k), (i, l, j) and (i, l), images 0, 1, 2, 3."""
    distances = losses.squared_distances(features, features)
    i, j, k, l = range(4)  # noqa: E741
    masks = torch.zeros(4, 4, 4, dtype=torch.bool)
    masks[0, i, j] = masks[1, i, k] = masks[2, i, l] = masks[3, i, j] = True
    terms = {
        "coarse": losses.ranking(distances, masks[0], masks[1], 4.0, 1),
        "fine": losses.ranking(distances, masks[2], masks[3], 4.0, 1),
        "pair": distances[i, l],
    }
    return weighted(terms)


def corrected(f_i, f_j, f_k, f_l):
    """The gradients that eq. 7–10 should be, of one tuple of each term with active hinges."""
    return torch.stack(
        [
            2 * ALPHA * (f_k - f_j) + 2 * BETA * (f_j - f_l) + 2 * GAMMA * (f_i - f_l),
            2 * ALPHA * (f_j - f_i) + 2 * BETA * (f_i - f_j),
            2 * ALPHA * (f_i - f_k),
            2 * (BETA + GAMMA) * (f_l - f_i),
        ]
    )


def printed(f_i, f_j, f_k, f_l):
    """Eq. 7–10 as printed, of the same tuples."""
    return torch.stack(
        [
            2 * ALPHA * (f_k - f_j) + 2 * BETA * (f_j - f_l) + 2 * GAMMA * f_i,
            -2 * ALPHA * f_j + 2 * BETA * f_j,
            2 * ALPHA * f_k,
            -2 * BETA * f_l - 2 * GAMMA * f_l,
        ]
    )


@given(seeds)
def test_autograd_gives_the_corrected_gradients(seed):
    features, _, _ = batch(seed, images=4)
    features.requires_grad_()
    (found,) = torch.autograd.grad(single(features), features)
    torch.testing.assert_close(found, corrected(*features))


@given(seeds)
def test_through_the_normalisation_their_tangential_part_arrives(seed):
    unit, _, _ = batch(seed, images=4)
    features = (unit * torch.tensor([[0.5], [1.0], [2.0], [7.0]], dtype=torch.float64)).requires_grad_()
    (found,) = torch.autograd.grad(single(torch.nn.functional.normalize(features, dim=1)), features)
    wanted = tangential(unit, corrected(*unit)) / features.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found, wanted)


@given(seeds)
def test_the_printed_gradients_vanish_after_normalisation(seed):
    """Eq. 8–10 and the pair term of eq. 7 point along the feature itself; the corrected ones do not."""
    unit, _, _ = batch(seed, images=4)
    f_i, f_j, f_k, f_l = unit
    found = tangential(unit, printed(*unit))
    torch.testing.assert_close(found[1:], torch.zeros_like(found[1:]), rtol=0, atol=1e-10)
    wanted = tangential(unit, corrected(*unit))
    assert (wanted[1:].norm(dim=1) > 1e-3).all()
    # In eq. 7 all but the pair term is right: it lacks −2γ f(x_l), and what it has instead of it vanishes.
    torch.testing.assert_close(found[0] - wanted[0], tangential(f_i, 2 * GAMMA * f_l))


@given(seeds)
def test_the_printed_gradients_with_mended_subscripts_are_the_corrected_ones(seed):
    """With f(x_i) for f(x_j), f(x_k) and f(x_l) in eq. 8–10, and −f(x_l) for f(x_i) in eq. 7's pair term."""
    unit, _, _ = batch(seed, images=4)
    f_i, f_j, f_k, f_l = unit
    mended = torch.stack(
        [
            2 * ALPHA * (f_k - f_j) + 2 * BETA * (f_j - f_l) - 2 * GAMMA * f_l,
            -2 * ALPHA * f_i + 2 * BETA * f_i,
            2 * ALPHA * f_i,
            -2 * BETA * f_i - 2 * GAMMA * f_i,
        ]
    )
    torch.testing.assert_close(tangential(unit, mended), tangential(unit, corrected(*unit)))


@settings(max_examples=25)
@given(seeds, options)
def test_a_batchs_gradient_is_the_mean_of_the_corrected_ones(seed, chosen):
    features, vehicles, models = batch(seed)
    coarse, fine, pairs = naive_tuples(features, vehicles, models, chosen["coarse_nearest"], chosen["fine_nearest"])
    wanted = torch.zeros_like(features)
    for triples, margin, weight in (
        (coarse, chosen["coarse_margin"], ALPHA),
        (fine, chosen["fine_margin"], BETA),
    ):
        for i, n, f in triples:
            if square(features[i], features[n]) - square(features[i], features[f]) + margin > 0:
                scale = 2 * weight / len(triples)
                wanted[i] += scale * (features[f] - features[n])
                wanted[n] += scale * (features[n] - features[i])
                wanted[f] += scale * (features[i] - features[f])
    for i, n in pairs:
        wanted[i] += 2 * GAMMA / len(pairs) * (features[i] - features[n])
        wanted[n] += 2 * GAMMA / len(pairs) * (features[n] - features[i])
    features.requires_grad_()
    (found,) = torch.autograd.grad(weighted(losses.coarse_to_fine(features, vehicles, models, **chosen)), features)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("vehicles", "models", "empty"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], {"coarse", "fine", "pair"}),  # nothing alike
        ([0, 0, 0, 0], [0, 0, 0, 0], {"coarse", "fine"}),  # one vehicle: no N_v, no N_m
        ([0, 0, 1, 1], [0, 0, 1, 1], {"coarse", "fine"}),  # one vehicle a model: no N_v
        ([0, 1, 2, 3], [0, 0, 0, 0], {"coarse", "fine", "pair"}),  # no P, no N_m
        ([0, 1, 2, 3], [0, 0, 1, 1], {"fine", "pair"}),  # no P
        ([0, 0, 1, 1], [0, 0, 0, 0], {"coarse"}),  # no N_m
        ([5], [2], {"coarse", "fine", "pair"}),
    ],
)
def test_a_term_without_tuples_is_0_and_pulls_nothing(vehicles, models, empty):
    features = batch(1, images=len(vehicles))[0].requires_grad_()
    for normalisation in losses.NORMALISATIONS:
        chosen = {**PAPER, "coarse_margin": 4.0, "fine_margin": 4.0, "normalisation": normalisation}
        terms = losses.coarse_to_fine(features, torch.tensor(vehicles), torch.tensor(models), **chosen)
        for name, value in terms.items():
            (gradient,) = torch.autograd.grad(value, features, retain_graph=True)
            assert gradient.isfinite().all()
            assert (float(value.detach()) == 0 and not gradient.any()) == (name in empty)


def test_inactive_tuples_count_in_all_but_not_in_active():
    # On a line: i = 0, its positive at 1; two of N_v, at 1.1 and 9.
    features = torch.tensor([[0.0], [1.0], [1.1], [9.0]])
    distances = losses.squared_distances(features, features)
    near, far = torch.zeros(2, 4, 4, dtype=torch.bool)
    near[0, 1] = far[0, 2] = far[0, 3] = True
    found = [float(losses.ranking(distances, near, far, 0.5, 2, normalisation=n)) for n in losses.NORMALISATIONS]
    assert found == pytest.approx([(1 - 1.21 + 0.5) / 2, 1 - 1.21 + 0.5], abs=1e-5)


def test_half_precision_training_keeps_near_distances_apart():
    unit = batch(3, images=40, spread=0.02, width=16)[0].float()
    exact = losses.squared_distances(unit.double(), unit.double())
    with torch.autocast("cpu", torch.bfloat16):
        found = losses.squared_distances(unit, unit)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-6)
    assert losses.squared_distances(unit.bfloat16(), unit.bfloat16()).dtype == torch.float32


def test_a_lost_feature_is_not_hidden():
    features, vehicles, models = batch(2, images=12)
    features[0, 0] = math.nan
    terms = losses.coarse_to_fine(features, torch.arange(12) // 2, torch.arange(12) // 6, **PAPER)
    assert all(value.isnan() for value in terms.values())


def test_what_the_terms_refuse():
    features, vehicles, models = batch(0, images=6)
    with pytest.raises(ValueError, match="2 of 6 images have no model: leave them out of the batch"):
        losses.coarse_to_fine(features, vehicles, torch.tensor([0, -1, 0, -1, 1, 1]), **PAPER)
    with pytest.raises(ValueError, match="1 of 6 images have no vehicle"):
        losses.relations(torch.tensor([0, 1, 2, -1, 4, 5]), models)
    with pytest.raises(ValueError, match="vehicle 7 appears under two models"):
        losses.relations(torch.tensor([1, 7, 7]), torch.tensor([0, 0, 1]))
    with pytest.raises(ValueError, match="normalisation = 'none' is refused: allowed are all, active"):
        losses.coarse_to_fine(features, vehicles, models, **PAPER, normalisation="none")
    for name in ("coarse_margin", "fine_margin"):
        with pytest.raises(ValueError, match="margin = -0.2 is refused: allowed are numbers >= 0"):
            losses.coarse_to_fine(features, vehicles, models, **{**PAPER, name: -0.2})
    for name in ("coarse_nearest", "fine_nearest"):
        with pytest.raises(ValueError, match="k = 0 nearest images is refused: allowed are integers >= 1"):
            losses.coarse_to_fine(features, vehicles, models, **{**PAPER, name: 0})
