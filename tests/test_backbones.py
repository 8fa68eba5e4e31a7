"""Trunks: shapes, the papers' layers counted, local weights, operations counted by hand."""

import pytest
import timm
import torch
from torch import nn

from reidlib import backbones


def convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize(
    "name, dim, size", [("small", 128, 64), ("small", 128, 32), ("digits", 2, 28), ("mobilenet_v1", 1024, 64)]
)
def test_images_become_features(name, dim, size):
    trunk = backbones.build(name).eval()
    found = trunk(torch.randn(2, 3, size, size))
    assert found.shape == (2, dim) and trunk.dim == dim and found.isfinite().all()
    assert all(layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in convolutions(trunk))


def test_a_feature_is_the_mean_over_the_last_map():
    trunk = backbones.small().eval()
    images = torch.randn(3, 3, 64, 64)
    maps = trunk.layers(images)
    assert maps.shape == (3, 128, 4, 4)
    torch.testing.assert_close(trunk(images), maps.flatten(2).sum(2) / 16)


def test_mobilenet_v1_is_the_papers():
    layers = convolutions(backbones.build("mobilenet_v1"))
    depthwise = [layer for layer in layers if layer.groups > 1]
    pointwise = [layer for layer in layers if layer.kernel_size == (1, 1)]
    assert len(depthwise) == len(pointwise) == 13 and len(layers) == 27
    assert all(
        layer.groups == layer.in_channels == layer.out_channels and layer.kernel_size == (3, 3) for layer in depthwise
    )
    assert [layer.out_channels for layer in pointwise] == [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    assert sum(layer.stride == (2, 2) for layer in layers) == 5
    parameters = sum(parameter.numel() for parameter in backbones.build("mobilenet_v1").parameters())
    assert parameters == 3_206_976, "4,231,976 of the published network less its classifier's 1,025,000"


def test_the_digits_network_has_the_papers_filters():
    for reduction in ("stride", "pool"):
        layers = convolutions(backbones.build("digits", reduction=reduction))
        assert [layer.out_channels for layer in layers] == [128, 128, 128, 2]
        assert {layer.kernel_size for layer in layers} == {(3, 3)}
    strided, pooled = (backbones.digits(reduction=reduction) for reduction in ("stride", "pool"))
    assert [layer.stride for layer in convolutions(strided)] == [(2, 2)] * 3 + [(1, 1)]
    assert {layer.stride for layer in convolutions(pooled)} == {(1, 1)}
    assert sum(isinstance(module, nn.MaxPool2d) for module in pooled.modules()) == 3
    assert not isinstance(strided.layers[-1], nn.ReLU), "a 2-D feature may be negative"


def test_the_small_trunk_has_eight_layers_of_16_to_128_channels():
    layers = convolutions(backbones.build("small"))
    assert [layer.out_channels for layer in layers] == [16, 32, 32, 64, 64, 96, 96, 128]
    assert sum(isinstance(module, nn.BatchNorm2d) for module in backbones.small().modules()) == 8


def test_local_weights_are_loaded(tmp_path):
    torch.manual_seed(3)
    source = timm.create_model("mobilenetv1_100", pretrained=False)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    trunk = backbones.build("mobilenet_v1", weights=str(tmp_path / "weights.pth"))
    expected = source.state_dict()
    for name, value in trunk.model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    images = torch.randn(2, 3, 64, 64)
    features = source.eval().forward_head(source.forward_features(images), pre_logits=True)
    torch.testing.assert_close(trunk.eval()(images), features)


def test_the_seed_settles_the_initial_weights():
    def weights(seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return torch.cat([parameter.flatten() for parameter in backbones.build("small").parameters()])

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"name": "resnet"}, ValueError, "'resnet' is refused: allowed are small, digits, mobilenet_v1"),
        ({"name": "small", "pretrained": True}, ValueError, "small has no ImageNet weights"),
        (
            {"name": "mobilenet_v1", "weights": "missing.pth"},
            FileNotFoundError,
            "weights = 'missing.pth': no such file",
        ),
        ({"name": "digits", "reduction": "dilate"}, ValueError, "'dilate' is refused: allowed are stride, pool"),
    ],
)
def test_refusals(options, error, words):
    with pytest.raises(error, match=words):
        backbones.build(**options)


def test_weights_of_another_trunk_are_refused(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"")
    with pytest.raises(ValueError, match="small has no ImageNet weights"):
        backbones.build("small", weights=str(tmp_path / "w.pth"))


def test_operations_of_the_small_trunk_by_hand():
    widths, sides = (3, 16, 32, 32, 64, 64, 96, 96, 128), (32, 16, 16, 8, 8, 4, 4, 4)
    wanted = sum(
        2 * 9 * before * after * side**2 for before, after, side in zip(widths, widths[1:], sides, strict=False)
    )
    trunk = backbones.build("small")
    assert backbones.flops(trunk, (1, 3, 64, 64)) == wanted
    assert backbones.flops(trunk, (5, 3, 64, 64)) == 5 * wanted
    assert trunk.training, "counting leaves the mode as it was"


def test_counting_changes_nothing():
    trunk = backbones.build("small")
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    backbones.flops(trunk, (1, 3, 32, 32))
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())
