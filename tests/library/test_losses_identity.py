"""Cross-entropy over labelled images, the batch-hard triplet loss and the centre loss: loops, values by hand, slopes,
and another library's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning import distances, miners, reducers
from pytorch_metric_learning.losses import TripletMarginLoss
from torch.autograd import gradcheck

from reidlib import losses

seeds = st.integers(0, 10_000)
margins = st.sampled_from([0.0, 0.5, 2.0])


def batch(seed, images=12, width=5, identities=4):
    """Features ``[N, D]`` and labels ``[N]``, in no order; an identity may have any number of images."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn((images, width), generator=generator, dtype=torch.float64)
    return features, torch.randint(0, identities, (images,), generator=generator)


def naive_triplet(features, labels, margin):
    """The loss by definition, image by image, and the number of images that have a positive and a negative."""
    rows, codes, values = features.tolist(), labels.tolist(), []
    for a, anchor in enumerate(rows):
        found = {True: [], False: []}
        for b, other in enumerate(rows):
            if b != a:
                found[codes[a] == codes[b]].append(math.dist(anchor, other))
        if found[True] and found[False]:
            values.append(max(0.0, max(found[True]) - min(found[False]) + margin))
    return (sum(values) / len(values) if values else 0.0), len(values)


@given(seeds, margins, st.integers(1, 14), st.integers(1, 5))
def test_the_triplet_loss_equals_a_loop(seed, margin, images, identities):
    features, labels = batch(seed, images, identities=identities)
    wanted, _ = naive_triplet(features, labels, margin)
    assert losses.batch_hard_triplet(features, labels, margin).item() == pytest.approx(wanted, abs=1e-9)


@given(seeds, margins)
def test_the_triplet_loss_and_its_slope_equal_pytorch_metric_learnings(seed, margin):
    features, labels = batch(seed)
    plain = distances.LpDistance(normalize_embeddings=False)
    miner = miners.BatchHardMiner(distance=plain)
    # That library's default is the mean over active triplets; "bag of tricks" takes the mean over all.
    reference = TripletMarginLoss(margin=margin, distance=plain, reducer=reducers.MeanReducer())
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    found = losses.batch_hard_triplet(ours, labels, margin)
    wanted = reference(theirs, labels, miner(theirs, labels))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)
    found.backward(), wanted.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-9)


def test_a_triplet_batch_by_hand():
    features = torch.tensor([[0.0], [1.0], [3.0], [10.0], [4.0]])  # on a line
    labels = torch.tensor([7, 7, 7, 2, 2])
    # d_p: 3, 2, 3, 6, 6; d_n: 4, 3, 1, 7, 1; the hinges at a margin of 0.5: 0, 0, 2.5, 0, 5.5
    assert losses.batch_hard_triplet(features, labels, 0.5).item() == pytest.approx(8 / 5)
    assert losses.batch_hard_triplet(features, labels, 2.0).item() == pytest.approx((1 + 1 + 4 + 1 + 7) / 5)


@given(seeds, margins)
def test_the_order_of_a_batch_does_not_matter(seed, margin):
    features, labels = batch(seed)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(
        losses.batch_hard_triplet(features[order], labels[order], margin),
        losses.batch_hard_triplet(features, labels, margin),
    )


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [4]])
def test_without_positives_or_negatives_nothing_pulls(labels):
    features = torch.randn(len(labels), 3, requires_grad=True)
    value = losses.batch_hard_triplet(features, torch.tensor(labels), 0.5)
    value.backward()
    assert value == 0 and not features.grad.any()


def test_a_collapsed_batch_costs_the_margin_and_has_finite_slopes():
    features = torch.ones(6, 4, requires_grad=True)
    value = losses.batch_hard_triplet(features, torch.tensor([0, 0, 1, 1, 2, 2]), 0.5)
    value.backward()
    assert value.item() == pytest.approx(0.5) and features.grad.isfinite().all()


def test_large_features_keep_near_distances_apart():
    features, labels = batch(3)
    far = features.float() + 1000  # ‖a‖² + ‖b‖² − 2 a·b would lose these distances in float32
    wanted, _ = naive_triplet(far.double(), labels, 0.5)
    near = losses.batch_hard_triplet(far, labels, 0.5).item()
    assert 0 < near <= wanted + 1e-3, "what is mined may be another image, but its distance is exact"


def test_half_precision_is_widened():
    features, labels = batch(4)
    half = features.bfloat16()
    for value in (losses.batch_hard_triplet(half, labels, 0.5), losses.center_loss(half, labels, half[:4])):
        assert value.dtype == torch.float32
    torch.testing.assert_close(
        losses.batch_hard_triplet(half, labels, 0.5), losses.batch_hard_triplet(half.float(), labels, 0.5)
    )


@given(seeds, st.integers(0, 14))
def test_the_centre_loss_equals_a_loop(seed, images):
    features, labels = batch(seed, images)
    centers, _ = batch(seed + 1, 4)
    wanted = sum(0.5 * (f - c) ** 2 for row, y in zip(features, labels, strict=True)
                 for f, c in zip(row.tolist(), centers[y].tolist(), strict=True))  # fmt: skip
    assert losses.center_loss(features, labels, centers).item() == pytest.approx(float(wanted))


@given(seeds)
def test_the_centre_loss_equals_that_of_pytorch_metric_learnings_distances(seed):
    """That library has no centre loss; its squared distances between features and centres make one."""
    features, labels = batch(seed)
    centers, _ = batch(seed + 1, 4)
    squared = distances.LpDistance(normalize_embeddings=False, p=2, power=2)(features, centers)  # [N, C]
    wanted = 0.5 * squared[torch.arange(len(labels)), labels].sum()
    torch.testing.assert_close(losses.center_loss(features, labels, centers), wanted)


@given(seeds)
def test_slopes_of_the_centre_loss_are_differences(seed):
    features, labels = batch(seed)
    centers, _ = batch(seed + 1, 5)  # the fifth has no image
    features.requires_grad_(), centers.requires_grad_()
    losses.center_loss(features, labels, centers).backward()
    torch.testing.assert_close(features.grad, (features - centers[labels]).detach())
    for code, slope in enumerate(centers.grad):
        wanted = sum(((centers[code] - f).detach() for f in features[labels == code]), torch.zeros(5).double())
        torch.testing.assert_close(slope, wanted)


def test_slopes_are_numerical_ones():
    features, labels = batch(11)
    centers, _ = batch(12, 4)
    assert gradcheck(lambda f: losses.batch_hard_triplet(f, labels, 0.5), features.requires_grad_())
    assert gradcheck(lambda f, c: losses.center_loss(f, labels, c), (features, centers.requires_grad_()))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda f, y: losses.batch_hard_triplet(f, y[:2], 0.5), r"\(3, 2\) and labels of shape \(2,\)"),
        (lambda f, y: losses.batch_hard_triplet(f, y[:, None], 0.5), r"labels of shape \(3, 1\)"),
        (lambda f, y: losses.batch_hard_triplet(f, y - 1, 0.5), "2 of 3 images have no identity"),
        (lambda f, y: losses.batch_hard_triplet(f, y, -0.5), "margin = -0.5 is refused"),
        (lambda f, y: losses.center_loss(f, y, torch.zeros(1, 2)), "label 1 has no centre: allowed are 0 to 0"),
        (lambda f, y: losses.center_loss(f, y - 1, torch.zeros(2, 2)), "2 of 3 images have no identity"),
        (lambda f, y: losses.center_loss(f, y, torch.zeros(2, 1)), r"shape \(2, 1\) for features of width 2"),
    ],
)
def test_what_the_losses_refuse(call, words):
    with pytest.raises(ValueError, match=words):
        call(torch.zeros(3, 2), torch.tensor([0, 0, 1]))


@given(seeds, st.integers(1, 9), st.integers(2, 5))
def test_cross_entropy_is_the_mean_over_labelled_images(seed, images, classes):
    draw = np.random.default_rng(seed)
    logits, labels = draw.normal(size=(images, classes)) * 5, draw.integers(-1, classes, images)
    values = [-np.log(np.exp(z[y]) / np.exp(z).sum()) for z, y in zip(logits, labels, strict=True) if y >= 0]
    tensor = torch.tensor(logits, requires_grad=True)
    loss = losses.cross_entropy(tensor, torch.tensor(labels))
    assert float(loss) == pytest.approx(np.mean(values) if values else 0.0, abs=1e-12)
    loss.backward()
    assert (tensor.grad[torch.tensor(labels) < 0] == 0).all()


def test_cross_entropy_in_half_precision_sums_in_float32():
    logits, labels = torch.randn(500, 7).half(), torch.randint(-1, 7, (500,))
    loss = losses.cross_entropy(logits, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, losses.cross_entropy(logits.float(), labels), rtol=0, atol=0)
