"""The exact trunks of AGNet and the multi-guided system: traits, published sizes, one step at the printed sizes."""

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from reidlib import models
from reidlib.backbones import MULTIPLES, SMALLEST, check_trunk
from reidlib.models import IBN

DEPTHS = (3, 4, 6, 3)  # blocks of ResNet-50's four layers
WHOLE = {  # the published networks, with their classifiers
    "resnet50": torchvision.models.resnet50,
    "densenet161": torchvision.models.densenet161,
    "hrnet_w18": lambda: timm.create_model("hrnet_w18"),
}


def count(network):
    return sum(value.numel() for value in network.parameters())


def conv(before, after, size, *, bias=False):
    """Parameters of a convolution and the batch normalisation after it."""
    return after * (before * size**2 + bias) + 2 * after


def bottleneck(before, width):
    """Parameters of a residual block 1×1, 3×3, 1×1, with a convolution in its short cut where channels change."""
    own = conv(before, width, 1) + conv(width, width, 3) + conv(width, 4 * width, 1)
    return own + (conv(before, 4 * width, 1) if before != 4 * width else 0)


def resnet50_parameters():
    total, before = conv(3, 64, 7), 64
    for width, depth in zip((64, 128, 256, 512), DEPTHS, strict=True):
        for _ in range(depth):
            total, before = total + bottleneck(before, width), 4 * width
    return total


def densenet161_parameters():
    total, channels, growth = conv(3, 96, 7), 96, 48
    for number, depth in enumerate((6, 12, 36, 24)):
        if number:  # normalisation comes first here
            total += 2 * channels + channels * channels // 2
            channels //= 2
        for _ in range(depth):
            total += 2 * channels + channels * 4 * growth + 2 * 4 * growth + 4 * growth * growth * 9
            channels += growth
    return total + 2 * channels


def hrnet_parameters():
    widths, heads = (18, 36, 72, 144), (128, 256, 512, 1024)
    total = conv(3, 64, 3) + conv(64, 64, 3) + bottleneck(64, 64) + 3 * bottleneck(256, 64)
    total += conv(256, 18, 3) + conv(256, 36, 3) + conv(36, 72, 3) + conv(72, 144, 3)  # a branch more each time
    for branches, modules in ((2, 1), (3, 4), (4, 3)):
        module = sum(8 * conv(width, width, 3) for width in widths[:branches])  # four blocks of two layers
        for to in range(branches):
            module += sum(conv(widths[above], widths[to], 1) for above in range(to + 1, branches))
            for below in range(to):  # stride 2 again and again; the last one changes the width
                module += (to - below - 1) * conv(widths[below], widths[below], 3) + conv(widths[below], widths[to], 3)
        total += modules * module
    total += sum(bottleneck(width, head // 4) for width, head in zip(widths, heads, strict=True))
    total += sum(conv(before, after, 3, bias=True) for before, after in zip(heads, heads[1:], strict=False))
    return total + conv(1024, 2048, 1, bias=True)


@pytest.mark.parametrize(
    "name, parameters, published",
    [
        ("resnet50", resnet50_parameters, 25_557_032),
        ("resnet50_ibn", resnet50_parameters, 25_557_032),
        ("densenet161", densenet161_parameters, 28_681_000),
        ("hrnet_w18", hrnet_parameters, 21_299_004),
    ],
)
def test_parameters_are_those_of_the_published_network_less_its_classifier(name, parameters, published):
    with torch.device("meta"):
        trunk = models.build(name)
        whole = WHOLE[name.removesuffix("_ibn")]()
    assert count(trunk) == parameters() == published - 1000 * (trunk.dim + 1)
    assert count(whole) == published


@pytest.mark.parametrize(
    "name, size, side",
    [("resnet50", 224, 7), ("resnet50_ibn", 320, 20), ("densenet161", 320, 10), ("hrnet_w18", 320, 10)],
)
def test_one_step_at_the_printed_resolution(name, size, side):
    torch.manual_seed(0)
    trunk = models.build(name, image_size=size)
    maps = trunk.maps(torch.randn(2, 3, size, size))
    assert maps.shape == (2, trunk.dim, side, side) and maps.isfinite().all()
    F.cross_entropy(maps.mean((2, 3)), torch.tensor([0, 1])).backward()
    for label, value in trunk.named_parameters():
        assert value.grad.isfinite().all() and value.grad.any(), label


def naive_resnet50_ibn(state, images):
    """The last map in training mode, from a state dict with the authors' names, written out with functions alone."""

    def batch(maps, name):
        return F.batch_norm(maps, None, None, state[f"{name}.weight"], state[f"{name}.bias"], training=True)

    def instance(maps, name):
        mean, variance = maps.mean((2, 3), keepdim=True), maps.var((2, 3), unbiased=False, keepdim=True)
        scale, shift = (state[f"{name}.{part}"][:, None, None] for part in ("weight", "bias"))
        return (maps - mean) / (variance + 1e-5).sqrt() * scale + shift

    def first(maps, name):
        if f"{name}.IN.weight" not in state:
            return batch(maps, name)
        half = maps.shape[1] // 2
        return torch.cat([instance(maps[:, :half], f"{name}.IN"), batch(maps[:, half:], f"{name}.BN")], 1)

    maps = batch(F.conv2d(images, state["conv1.weight"], stride=2, padding=3), "bn1").relu()
    maps = F.max_pool2d(maps, 3, 2, 1)
    for layer, depth in enumerate(DEPTHS, 1):
        for number in range(depth):
            name, stride = f"layer{layer}.{number}", 2 if layer in (2, 3) and not number else 1
            inner = first(F.conv2d(maps, state[f"{name}.conv1.weight"]), f"{name}.bn1").relu()
            inner = batch(F.conv2d(inner, state[f"{name}.conv2.weight"], stride=stride, padding=1), f"{name}.bn2")
            inner = batch(F.conv2d(inner.relu(), state[f"{name}.conv3.weight"]), f"{name}.bn3")
            if not number:
                maps = F.conv2d(maps, state[f"{name}.downsample.0.weight"], stride=stride)
                maps = batch(maps, f"{name}.downsample.1")
            maps = (maps + inner).relu()
    return maps


def test_resnet50_ibn_equals_its_layers_one_by_one():
    torch.manual_seed(2)
    trunk = models.build("resnet50_ibn").double()
    for name, value in trunk.named_parameters():
        if ".IN." in name or ".BN." in name:
            nn.init.uniform_(value, 0.5, 1.5)  # scales and shifts that tell one channel from another
    images = torch.randn(2, 3, 64, 64).double()
    with torch.no_grad():
        found = trunk.maps(images)
        assert found.shape == (2, 2048, 4, 4), "twice the side that the last stride would leave"
        torch.testing.assert_close(found, naive_resnet50_ibn(trunk.layers.state_dict(), images))


def test_ibn_stands_after_the_first_convolution_of_layers_1_to_3():
    layers = models.resnet50_ibn().layers
    places = {name: module for name, module in layers.named_modules() if isinstance(module, IBN)}
    assert set(places) == {f"layer{a}.{b}.bn1" for a in (1, 2, 3) for b in range(DEPTHS[a - 1])}
    for name, module in places.items():
        width = 64 * 2 ** (int(name[5]) - 1)
        assert module.IN.num_features == module.BN.num_features == width / 2
        assert module.IN.affine and not module.IN.track_running_stats
    assert not any(isinstance(module, IBN) for module in models.resnet50().modules())


def test_ibn_normalises_one_half_by_image_and_the_other_by_batch():
    torch.manual_seed(3)
    norm, maps = IBN(6), torch.randn(4, 6, 5, 5)
    changed = maps.clone()
    changed[0] = 3 * changed[0] + 2  # another light on one image
    before, after = norm(maps), norm(changed)
    torch.testing.assert_close(before[:, :3], after[:, :3], rtol=1e-4, atol=1e-4)
    assert not torch.isclose(before[1:, 3:], after[1:, 3:], atol=1e-2).all(), "the batch's other images feel it"
    torch.testing.assert_close(before[:, :3].mean((2, 3)), torch.zeros(4, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(before[:, 3:].mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    assert before[:, 3:].mean((2, 3)).abs().max() > 0.05, "one image's mean is left in"


def seen(trunk, places, size):
    """Shapes of what enters and leaves each of a trunk's named parts, in the order of computation."""
    entering, leaving = [], []

    def note(part, given, found):
        entering.append(tuple(given[0].shape[1:]) if torch.is_tensor(given[0]) else None)
        leaving.append([tuple(maps.shape[1:]) for maps in found] if isinstance(found, list) else None)

    for name, part in trunk.layers.named_modules():
        if places(name):
            part.register_forward_hook(note)
    with torch.no_grad():
        trunk.eval()(torch.zeros(1, 3, size, size))
    return entering, leaving


def test_densenet161_links_each_layer_to_all_before_it_in_its_block():
    trunk = models.build("densenet161")
    entering, _ = seen(trunk, lambda name: name.endswith(".norm1"), 64)
    wanted, channels = [], 96
    for depth, side in zip((6, 12, 36, 24), (16, 8, 4, 2), strict=True):  # its last down-sampling is kept
        wanted += [(channels + 48 * number, side, side) for number in range(depth)]
        channels = (channels + 48 * depth) // 2
    assert entering == wanted and 2 * channels == trunk.dim


def test_hrnet_keeps_four_resolutions_side_by_side():
    trunk = models.build("hrnet_w18")
    _, leaving = seen(trunk, lambda name: name in ("stage2", "stage3", "stage4"), 64)
    branches = [(18, 16, 16), (36, 8, 8), (72, 4, 4), (144, 2, 2)]
    assert leaving == [branches[:2], branches[:3], branches]
    assert not any(isinstance(module, IBN | nn.InstanceNorm2d) for module in trunk.modules()), "plain BN"


@pytest.mark.parametrize("name", sorted({*SMALLEST, *MULTIPLES} - {"vgg_cnn_m_1024"}))
def test_the_sizes_that_are_refused_are_those_that_fail(name):
    trunk = models.build(name)
    fits = []
    for size in (16, 17, 28, 29, 32, 48, 64):
        try:
            check_trunk(name, pretrained=False, weights=None, image_size=size)
        except ValueError as refusal:
            assert f"image_size = {size} is refused: {name} needs a" in str(refusal)
            if name == "hrnet_w18" and size == 29:
                continue  # its branches fit by luck
            with pytest.raises((ValueError, RuntimeError)):
                trunk(torch.zeros(2, 3, size, size))
        else:
            fits.append(size)
            assert trunk(torch.randn(2, 3, size, size)).isfinite().all()
    assert fits
