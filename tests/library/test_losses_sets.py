"""DRDL's losses against naive loops, the paper's printed gradients and pytorch-metric-learning."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.reducers import DoNothingReducer, SumReducer
from torch.autograd import gradcheck

from reidlib import losses

margins = st.floats(0, 3)
sizes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(2, 9))
seeds = st.integers(0, 10_000)


def sets(seed, shape=(3, 5, 4, 8), spread=1.0):
    """Unit-length features of set pairs ``[B, P, D]`` and ``[B, N, D]``; a small spread brings all sets together."""
    draw = torch.Generator().manual_seed(seed)
    pairs, positives, negatives, width = shape
    found = spread * torch.randn((pairs, positives + negatives, width), generator=draw, dtype=torch.float64)
    found[..., 0] += 1
    return torch.nn.functional.normalize(found, dim=2).split([positives, negatives], 1)


def square(first, second):
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True))


def naive_triplets(positives, negatives, margin):
    """The hinges of one set pair's triplets, in the order anchor, positive, negative."""
    return [
        max(0.0, square(a, p) + margin - square(a, n))
        for i, a in enumerate(positives)
        for j, p in enumerate(positives)
        if i != j
        for n in negatives
    ]


def naive_clusters(positives, negatives, margin):
    """Eq. 4–6 for one set pair: centre, active positives, the nearest negative and the loss."""
    center = [sum(values) / len(positives) for values in zip(*positives, strict=True)]
    star = min(range(len(negatives)), key=lambda n: square(negatives[n], center))
    hinges = [max(0.0, square(p, center) + margin - square(negatives[star], center)) for p in positives]
    return center, [i for i, value in enumerate(hinges) if value > 0], star, 0.5 * sum(hinges)


@given(seeds, sizes, margins)
def test_triplets_of_sets_equal_a_loop(seed, shape, margin):
    positives, negatives = sets(seed, shape)
    wanted = [naive_triplets(p, n, margin) for p, n in zip(positives.tolist(), negatives.tolist(), strict=True)]
    means = [sum(values) / max(1, len(values)) for values in wanted]
    torch.testing.assert_close(losses.set_triplets(positives, negatives, margin).tolist(), means)
    sums = losses.set_triplets(positives, negatives, margin, reduction="sum")
    torch.testing.assert_close(sums.tolist(), [math.fsum(values) for values in wanted])


@given(seeds, margins)
def test_triplets_of_sets_are_those_of_the_triplet_loss(seed, margin):
    positives, negatives = sets(seed)
    anchor, other, negative = torch.cartesian_prod(*map(torch.arange, (5, 5, 4))).unbind(1)
    anchor, other, negative = (index[anchor != other] for index in (anchor, other, negative))
    sums = losses.set_triplets(positives, negatives, margin, reduction="sum")
    for first, second, found in zip(positives, negatives, sums, strict=True):
        values = losses.triplet(first[anchor], first[other], second[negative], margin)
        torch.testing.assert_close(values.tolist(), naive_triplets(first.tolist(), second.tolist(), margin))
        torch.testing.assert_close(values.sum(), found)


@given(seeds, st.floats(0.05, 1.5))
def test_triplets_equal_those_of_pytorch_metric_learning(seed, margin):
    (positives,), (negatives,) = sets(seed, (1, 6, 7, 8), spread=0.4)
    features = torch.cat([positives, negatives]).requires_grad_()
    draw = torch.Generator().manual_seed(seed)
    anchor = torch.randint(6, (20,), generator=draw)
    positive = (anchor + 1 + torch.randint(5, (20,), generator=draw)) % 6
    triplets = anchor, positive, 6 + torch.randint(7, (20,), generator=draw)
    labels = torch.cat([torch.zeros(6), 1 + torch.arange(7)])
    squared = LpDistance(normalize_embeddings=False, p=2, power=2)

    theirs = TripletMarginLoss(margin, distance=squared, reducer=DoNothingReducer())(features, labels, triplets)
    ours = losses.triplet(*(features[index] for index in triplets), margin)
    torch.testing.assert_close(ours, theirs["loss"]["losses"])
    total = TripletMarginLoss(margin, distance=squared, reducer=SumReducer())(features, labels, triplets)
    torch.testing.assert_close(*(torch.autograd.grad(loss, features)[0] for loss in (ours.sum(), total)))


@given(seeds, sizes, margins, st.sampled_from(losses.CENTERS))
def test_coupled_clusters_equal_a_loop(seed, shape, margin, center):
    positives, negatives = sets(seed, shape)
    found = losses.coupled_clusters(positives, negatives, margin, center=center)
    wanted = [naive_clusters(p, n, margin)[3] for p, n in zip(positives.tolist(), negatives.tolist(), strict=True)]
    torch.testing.assert_close(found.tolist(), wanted)


def test_coupled_clusters_by_hand():
    positives = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]]])  # c = (1, 1), distances 2, 2 and 4
    negatives = torch.tensor([[[1.0, -1.0], [3.0, 3.0]]])  # distances 4 and 8
    assert losses.coupled_clusters(positives, negatives, 1.0).tolist() == [0.5]  # ½ (4 + 1 − 4), the third alone
    assert losses.coupled_clusters(positives, negatives, 3.0).tolist() == [2.5]  # ½ (1 + 1 + 3)
    assert losses.coupled_clusters(positives, negatives + 9, 3.0).tolist() == [0]


@given(seeds, sizes, st.floats(0.05, 1.0))
def test_a_detached_centre_gives_the_papers_gradients(seed, shape, margin):
    """Eq. 7: f(x_i) − c for an active positive. Eq. 8: c − f(x_*) once for each of them; nothing for the others."""
    positives, negatives = sets(seed, shape, spread=0.5)
    found = losses.center_gradients(positives, negatives, margin, center="detach")
    for pair, (first, second) in enumerate(zip(positives, negatives, strict=True)):
        center, active, star, _ = naive_clusters(first.tolist(), second.tolist(), margin)
        center, wanted = torch.tensor(center, dtype=torch.float64), [torch.zeros_like(first), torch.zeros_like(second)]
        for i in active:
            wanted[0][i] = first[i] - center
        wanted[1][star] = len(active) * (center - second[star])
        for ours, papers in zip(found, wanted, strict=True):
            torch.testing.assert_close(ours[pair], papers, rtol=0, atol=1e-6)


@given(seeds, st.floats(0.05, 1.0))
def test_the_full_gradient_also_moves_the_centre(seed, margin):
    """∂L/∂c = Σ over active positives of f(x_*) − f(x_i), of which each positive takes one part in P."""
    positives, negatives = sets(seed, (1, 5, 5, 8), spread=0.5)
    detached, full = (losses.center_gradients(positives, negatives, margin, center=center) for center in losses.CENTERS)
    _, active, star, _ = naive_clusters(positives[0].tolist(), negatives[0].tolist(), margin)
    moved = (negatives[0, star] - positives[0, active]).sum(0) / 5
    torch.testing.assert_close(full[0] - detached[0], moved.expand(1, 5, -1))
    torch.testing.assert_close(full[1], detached[1])


def test_the_full_gradient_is_that_of_the_value():
    positives, negatives = (part.requires_grad_() for part in sets(1, spread=0.5))
    assert gradcheck(lambda *parts: losses.coupled_clusters(*parts, 0.3, center="full"), (positives, negatives))


def test_the_angle_between_both_gradients():
    # One coordinate. c = 0; both positives active; the negative at 3.
    positives = torch.tensor([[[-1.0], [1.0]]])
    negatives = torch.tensor([[[3.0]]])
    # Detached: −1, 1 and 2 · −3. Full: (−1, 1) + (3 + 1 + 3 − 1) / 2 and −6.
    found = losses.gradient_angle(positives, negatives, 9.0)
    wanted = math.degrees(math.acos((-2 + 4 + 36) / math.sqrt(38 * (4 + 16 + 36))))
    assert found.tolist() == pytest.approx([wanted], abs=1e-4)
    assert losses.gradient_angle(positives, negatives, 1.0).isnan().all()  # 1 + 1 < 9: nothing is active


@given(seeds, st.floats(0.05, 1.0))
def test_both_gradients_differ_wherever_there_is_one(seed, margin):
    positives, negatives = sets(seed, spread=0.3)
    angle = losses.gradient_angle(positives, negatives, margin)
    assert torch.equal(angle.isnan(), losses.coupled_clusters(positives, negatives, margin) == 0)
    assert ((angle > 1e-3) & (angle < 90))[~angle.isnan()].all()


@given(seeds)
def test_the_mean_over_triplets_steps_about_as_far_as_coupled_clusters(seed):
    positives, negatives = sets(seed, (15, 5, 5, 32), spread=0.2)

    def length(loss):
        leaves = [part.clone().requires_grad_() for part in (positives, negatives)]
        return torch.cat(torch.autograd.grad(loss(*leaves).mean(), leaves), 1).norm()

    mean, total, clusters = (
        length(loss)
        for loss in (
            lambda *parts: losses.set_triplets(*parts, 0.2),
            lambda *parts: losses.set_triplets(*parts, 0.2, reduction="sum"),
            lambda *parts: losses.coupled_clusters(*parts, 0.2),
        )
    )
    assert 0.2 < mean / clusters < 0.5 and 20 < total / clusters < 50


@pytest.mark.parametrize("shape", [(3, 4, 2, 5), (1, 1, 1, 3)])
def test_where_nothing_is_active_nothing_pulls(shape):
    positives, negatives = torch.zeros(shape[0], shape[1], shape[3]), 2 + torch.zeros(shape[0], shape[2], shape[3])
    leaves = positives.requires_grad_(), negatives.requires_grad_()
    total = losses.coupled_clusters(*leaves, 0.2).sum() + losses.set_triplets(*leaves, 0.2).sum()
    assert total == 0
    assert not any(gradient.any() for gradient in torch.autograd.grad(total, leaves))


def test_of_equally_near_negatives_one_alone_is_pushed():
    positives = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
    negatives = torch.tensor([[[0.0, 1.0], [0.0, -1.0], [0.0, 1.0]]])
    _, pushed = losses.center_gradients(positives, negatives, 0.5)
    assert pushed.abs().sum(2).flatten().tolist() == [2, 0, 0]


def test_one_positive_makes_no_triplet():
    positives, negatives = sets(0, (2, 1, 3, 4))
    for reduction in losses.REDUCTIONS:
        assert losses.set_triplets(positives, negatives, 5.0, reduction=reduction).tolist() == [0, 0]


def test_what_the_losses_refuse():
    positives, negatives = sets(0)
    with pytest.raises(ValueError, match="center = 'mean' is refused: allowed are detach, full"):
        losses.coupled_clusters(positives, negatives, 0.2, center="mean")
    with pytest.raises(ValueError, match="reduction = 'all' is refused: allowed are mean, sum"):
        losses.set_triplets(positives, negatives, 0.2, reduction="all")
    with pytest.raises(ValueError, match="differ in shape"):
        losses.triplet(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(1, 3), 0.2)  # would broadcast
    for loss in (losses.coupled_clusters, losses.set_triplets):
        for margin in (-0.1, math.nan):
            with pytest.raises(ValueError, match=f"margin = {margin} is refused: allowed are numbers >= 0"):
                loss(positives, negatives, margin)
        for first, second in (
            (positives[:1], negatives),  # would broadcast
            (positives[..., :1], negatives),
            (positives[0], negatives),
            (positives[:, :0], negatives),
            (positives, negatives[:, :0]),
        ):
            with pytest.raises(ValueError, match="are no set pairs: needed are positives"):
                loss(first, second, 0.2)
