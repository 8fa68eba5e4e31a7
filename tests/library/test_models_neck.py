"""BNNeck: normalised features without a shift, and a bias that training leaves alone."""

import torch

from reidlib.models import BNNeck


def test_features_are_normalised_over_the_batch_and_scaled():
    torch.manual_seed(0)
    neck, features = BNNeck(3), 5 + 2 * torch.randn(16, 3)
    with torch.no_grad():
        neck.weight.copy_(torch.tensor([1.0, 2.0, -0.5]))
    found = neck(features)
    wanted = (features - features.mean(0)) / (features.var(0, unbiased=False) + 1e-5).sqrt()
    assert found.shape == (16, 3)
    torch.testing.assert_close(found, wanted * neck.weight)
    torch.testing.assert_close(found.mean(0), torch.zeros(3), atol=1e-5, rtol=0)


def test_the_bias_is_zero_before_and_after_training():
    torch.manual_seed(1)
    neck = BNNeck(4)
    assert not neck.bias.any() and torch.equal(neck.weight, torch.ones(4))
    optimiser = torch.optim.Adam(neck.parameters(), lr=0.1, weight_decay=5e-4)
    for _ in range(3):
        optimiser.zero_grad()
        (neck(torch.randn(8, 4)) - 3).square().mean().backward()  # which a bias of 3 would please
        optimiser.step()
    assert not neck.bias.any() and neck.bias.grad is None
    assert not torch.equal(neck.weight, torch.ones(4)), "the scale learns"
    assert "bias" in neck.state_dict(), "as in other people's weights"


def test_a_test_image_is_normalised_by_what_training_saw():
    torch.manual_seed(2)
    neck = BNNeck(2)
    for _ in range(200):
        neck(torch.randn(64, 2) * 3 + 7)
    alone = neck.eval()(torch.tensor([[10.0, 7.0]]))
    torch.testing.assert_close(alone, torch.tensor([[1.0, 0.0]]), atol=0.1, rtol=0)
