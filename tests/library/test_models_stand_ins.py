"""The CPU stand-ins: each keeps the trait of the trunk it stands in for, at about the cost of ``small``."""

import functools

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from reidlib import models
from reidlib.models import IBN
from reidlib.models.stand_ins import DenseLayer

STAND_INS = ("small_ibn", "small_dense", "small_hr")


class Concatenations(TorchDispatchMode):
    """Channels and side of every concatenation of two maps or more."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.cat.default and len(args[0]) > 1:
            self.found.append((result.shape[1], result.shape[2]))
        return result


@functools.cache
def built(name):
    return models.build(name).eval()


@torch.no_grad()
def concatenations(name):
    """Of one forward pass of images of 64 pixels."""
    with Concatenations() as mode:
        built(name)(torch.zeros(1, 3, 64, 64))
    return mode.found


@torch.no_grad()
def side(name):
    """Of the last map for images of 64 pixels."""
    return built(name).maps(torch.zeros(1, 3, 64, 64)).shape[2]


@pytest.mark.parametrize("name", STAND_INS)
def test_a_stand_in_is_about_as_dear_as_small(name):
    trunk = models.build(name)
    share = models.flops(trunk, (1, 3, 64, 64)) / models.flops(models.build("small"), (1, 3, 64, 64))
    assert 0.5 <= share <= 1.5 and trunk.dim == models.small().dim


@pytest.mark.parametrize("name", STAND_INS)
def test_a_feature_is_the_mean_over_the_last_map(name):
    trunk = models.build(name).eval()
    images = torch.randn(3, 3, 64, 64)
    maps = trunk.maps(images)
    assert maps.shape == ((3, 128, 8, 8) if name == "small_ibn" else (3, 128, 4, 4))
    torch.testing.assert_close(trunk(images), maps.flatten(2).sum(2) / maps[0, 0].numel())


@pytest.mark.parametrize("name", STAND_INS)
def test_gradients_reach_every_layer_at_a_sensible_scale(name):
    torch.manual_seed(0)
    trunk = models.build(name)
    features = trunk(torch.randn(8, 3, 64, 64))
    assert 0.01 < features.std() < 10, "neither faded nor blown up on its way through the layers"
    features.square().mean().backward()
    for label, value in trunk.named_parameters():
        assert value.grad.isfinite().all() and value.grad.any(), label


@pytest.mark.parametrize("name", STAND_INS)
def test_a_stand_in_learns_to_tell_patterns_apart(name):
    torch.manual_seed(0)
    trunk = models.build(name)
    head = nn.Linear(trunk.dim, 4)
    labels = torch.arange(16) % 4
    patterns = torch.randn(4, 3, 32, 32)[labels]
    optimiser = torch.optim.AdamW([*trunk.parameters(), *head.parameters()], lr=2e-3)
    for _ in range(15):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(head(trunk(patterns + 0.5 * torch.randn_like(patterns))), labels)
        loss.backward()
        optimiser.step()
    assert loss < 0.4, "chance is 1.39"


def plain_after(name):
    """Layers with IBN, and those normalised by batch alone that come after the last of them."""
    layers = [module for module in built(name).modules() if isinstance(module, IBN | nn.BatchNorm2d)]
    parts = {id(module.BN) for module in layers if isinstance(module, IBN)}
    kinds = [isinstance(module, IBN) for module in layers if id(module) not in parts]
    return sum(kinds), kinds[::-1].index(True), kinds[0]


@pytest.mark.parametrize("name, sibling", [("resnet50_ibn", "resnet50"), ("small_ibn", "small")])
def test_ibn_and_the_removed_stride_are_kept(name, sibling):
    with_ibn, after, first = plain_after(name)
    assert with_ibn == {"resnet50_ibn": 13, "small_ibn": 4}[name]
    assert after >= 3 and not first, "batch normalisation alone at the start and where features are most specific"
    for module in built(name).modules():
        if isinstance(module, IBN):
            assert module.IN.num_features == module.BN.num_features
    assert side(name) == 2 * side(sibling)


@pytest.mark.parametrize(
    "name, blocks, growth",
    [("densenet161", (6, 12, 36, 24), {48}), ("small_dense", (2, 4, 4), {16, 24})],
)
def test_dense_links_are_kept(name, blocks, growth):
    found = concatenations(name)
    sides = [16 // 2**number for number in range(len(blocks))]
    assert sorted({side for _, side in found}, reverse=True) == sides
    for depth, own in zip(blocks, sides, strict=True):
        channels = [channels for channels, side in found if side == own]
        assert len(channels) == depth, "one concatenation a layer"
        assert {after - before for before, after in zip(channels, channels[1:], strict=False)} <= growth
        assert channels == sorted(set(channels)), "channels grow"
    assert found[-1] == (built(name).dim, side(name)), "all that a block found is in the feature"
    with torch.no_grad():
        assert built(name).maps(torch.randn(1, 3, 64, 64)).min() == 0, "normalised and rectified once more at the end"
    assert not concatenations("small") and not concatenations("resnet50")


def test_a_dense_layer_passes_on_what_came_in():
    torch.manual_seed(1)
    layer, maps = DenseLayer(5, 3), torch.randn(2, 5, 4, 4)
    found = layer(maps.clone())
    assert found.shape == (2, 8, 4, 4) and torch.equal(found[:, :5], maps)
    with torch.no_grad():
        normal = (maps - maps.mean((0, 2, 3), keepdim=True)) / (
            maps.var((0, 2, 3), correction=0, keepdim=True) + 1e-5
        ) ** 0.5
        torch.testing.assert_close(found[:, 5:], nn.functional.conv2d(normal.relu(), layer.conv.weight, padding=1))


@torch.no_grad()
def resolutions(name):
    """Sides of the branches that run side by side at the end, finest first, for images of 64 pixels."""
    trunk, images = built(name), torch.zeros(1, 3, 64, 64)
    if name == "small_hr":
        return [maps.shape[2] for maps in trunk.layers.branches(images)]
    found = []
    trunk.layers.stage4.register_forward_hook(lambda _, given, maps: found.extend(maps))
    trunk(images)
    return [maps.shape[2] for maps in found]


@pytest.mark.parametrize("name, sides", [("hrnet_w18", [16, 8, 4, 2]), ("small_hr", [16, 8])])
def test_parallel_resolutions_are_kept(name, sides):
    assert resolutions(name) == sides
    kinds = {type(module) for module in built(name).modules()}
    assert nn.BatchNorm2d in kinds and not kinds & {IBN, nn.InstanceNorm2d}, "plain BN"


def test_branches_hear_from_each_other():
    torch.manual_seed(2)
    exchange = models.small_hr().layers.exchanges[0].eval()
    fine, coarse = torch.randn(1, 24, 16, 16), torch.randn(1, 48, 8, 8)
    before = exchange((fine, coarse))
    assert [maps.shape for maps in before] == [fine.shape, coarse.shape]
    for changed in ((fine + 1, coarse), (fine, coarse + 1)):
        after = exchange(changed)
        assert all(not torch.allclose(*pair) for pair in zip(before, after, strict=True)), "both branches change"


def test_an_exchange_is_the_sum_of_both_branches():
    torch.manual_seed(3)
    exchange = models.small_hr().layers.exchanges[1].eval()
    fine, coarse = exchange.fine(torch.randn(1, 24, 6, 6)), exchange.coarse(torch.randn(1, 48, 3, 3))
    exchange.fine, exchange.coarse = nn.Identity(), nn.Identity()
    found = exchange((fine, coarse))
    lifted = exchange.up(coarse)
    for y in range(6):
        for x in range(6):
            wanted = (fine[..., y, x] + lifted[..., y // 2, x // 2]).relu()
            torch.testing.assert_close(found[0][..., y, x], wanted)
    torch.testing.assert_close(found[1], (coarse + exchange.down(fine)).relu())


@pytest.mark.parametrize("name", STAND_INS)
def test_a_stand_in_has_no_weights_to_load(name):
    with pytest.raises(ValueError, match=f"'{name}' has no ImageNet weights for pretrained = True"):
        models.build(name, pretrained=True)
