"""AGNet's loss of pairs: values by hand, a loop, its parameters' ends, and what the paper gets wrong."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reidlib import losses
from reidlib.losses import attribute_smoothing, pair_weights, share_attributes

THREE = torch.tensor([True, False, False]), torch.tensor([True, True, False])  # one vehicle, a hard pair, an easy one


def logits_for(q, same):
    """Logits that give the true class of each pair the probability q."""
    chosen = torch.log(torch.as_tensor(q, dtype=torch.float64))
    other = torch.log1p(-torch.as_tensor(q, dtype=torch.float64))
    return torch.stack([torch.where(same, other, chosen), torch.where(same, chosen, other)], 1)


def test_the_three_kinds_of_pair_by_hand():
    same, alike = THREE
    found = attribute_smoothing(logits_for([0.5] * 3, same), same, alike, theta=0.3, beta=0.5, alpha=0.1)
    # −log 0.5 = 0.693147; −log 0.6 = 0.510826, times β ε: 0.35 for one vehicle, 0.15 for a hard pair, 0 for others
    assert found.tolist() == pytest.approx([0.693147 + 0.178789, 0.693147 + 0.076624, 0.693147], abs=1e-6)
    assert pair_weights(same, alike, 0.3).tolist() == pytest.approx([0.7, 0.3, 0.0])


def test_beta_0_is_cross_entropy():
    same, alike = THREE
    logits = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    found = attribute_smoothing(logits, same, alike, theta=0.3, beta=0.0, alpha=0.1)
    torch.testing.assert_close(found, F.cross_entropy(logits, same.long(), reduction="none"))


def test_theta_0_is_not_cross_entropy_though_the_paper_says_so():
    same, alike = THREE
    logits = torch.zeros(3, 2, dtype=torch.float64)
    found = attribute_smoothing(logits, same, alike, theta=0.0, beta=0.5, alpha=0.1)
    entropy = F.cross_entropy(logits, same.long(), reduction="none")
    assert (found - entropy).tolist() == pytest.approx([-0.5 * math.log(0.6), 0, 0])
    assert pair_weights(same, alike, 0.0)[0] == 1


def test_alpha_0_weighs_the_cross_entropy_and_a_sure_pair_may_go_below_zero():
    same, alike = THREE
    logits = logits_for([0.2, 0.7, 0.4], same)
    entropy = F.cross_entropy(logits, same.long(), reduction="none")
    found = attribute_smoothing(logits, same, alike, theta=0.3, beta=0.5, alpha=0.0)
    torch.testing.assert_close(found, entropy * torch.tensor([1.35, 1.15, 1.0], dtype=torch.float64))
    sure = attribute_smoothing(logits_for([1 - 1e-12] * 3, same), same, alike, theta=0.3, beta=0.5, alpha=0.1)
    assert sure.tolist() == pytest.approx([-0.35 * math.log(1.1), -0.15 * math.log(1.1), 0], abs=1e-9)


@given(
    st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.booleans(), st.booleans()), min_size=1, max_size=8),
    st.floats(0, 1), st.floats(0, 5), st.floats(0.001, 5),
)  # fmt: skip
def test_it_equals_a_loop_and_its_bound_holds(pairs, theta, beta, alpha):
    logits = torch.tensor([pair[:2] for pair in pairs], dtype=torch.float64, requires_grad=True)
    same, alike = (torch.tensor([pair[i] for pair in pairs]) for i in (2, 3))
    found = attribute_smoothing(logits, same, alike, theta=theta, beta=beta, alpha=alpha)
    for value, (no, yes, one, like) in zip(found.tolist(), pairs, strict=True):
        q = 1 / (1 + math.exp(no - yes)) if one else 1 / (1 + math.exp(yes - no))
        epsilon = 1 - theta if one else theta if like else 0
        assert value == pytest.approx(-math.log(q) - beta * epsilon * math.log(alpha + q), rel=1e-6, abs=1e-9)
        assert value >= -beta * epsilon * math.log(1 + alpha) - 1e-9
    found.sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_slopes_stay_finite_where_a_pair_is_quite_wrong(alpha):
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    one = torch.tensor([True])
    attribute_smoothing(logits, one, one, theta=0.3, beta=0.5, alpha=alpha).sum().backward()
    # With α = 0 the slope is that of (1 + β ε) times cross-entropy; with α the second part has let go of the pair.
    assert logits.grad.tolist()[0] == pytest.approx([1.35, -1.35] if alpha == 0 else [1.0, -1.0], rel=1e-5)


def test_an_unknown_attribute_is_not_shared():
    first = torch.tensor([[1, 2], [1, 2], [-1, 2], [1, -1], [-1, -1]])
    second = torch.tensor([[1, 2], [1, 3], [-1, 2], [1, -1], [-1, -1]])
    assert share_attributes(first, second).tolist() == [True, False, False, False, False]
    assert share_attributes(first, second, every=False).tolist() == [True, True, True, True, False]
    assert losses.share_attributes is share_attributes
