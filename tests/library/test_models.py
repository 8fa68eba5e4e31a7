"""Trunks: shapes, the papers' layers counted, local weights, operations counted by hand."""

import pickle
from typing import get_args

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from reidlib import augment, models
from reidlib.backbones import DOWNLOADS, LOADS, SMALLEST
from reidpapers.run.config import Config


def convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize(
    "name, dim, size",
    [("small", 128, 64), ("small", 128, 32), ("digits", 2, 28), ("mobilenet_v1", 1024, 64),
     ("vgg_cnn_m_1024", 4096, 64), ("vgg_cnn_m_1024", 4096, 41), ("googlenet", 1024, 64), ("googlenet", 1024, 32),
     ("resnet50", 2048, 64), ("resnet50", 2048, 16), ("resnet50_ibn", 2048, 33), ("densenet161", 2208, 64),
     ("densenet161", 2208, 29), ("hrnet_w18", 2048, 64), ("small_ibn", 128, 64), ("small_dense", 128, 64),
     ("small_hr", 128, 64), ("small_ibn", 128, 16), ("small_dense", 128, 17), ("small_hr", 128, 19)],
)  # fmt: skip
def test_images_become_features(name, dim, size):
    trunk = models.build(name, image_size=size).eval()
    found = trunk(torch.randn(2, 3, size, size))
    assert found.shape == (2, dim) and trunk.dim == dim and found.isfinite().all()
    assert all(layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in convolutions(trunk))


def test_a_feature_is_the_mean_over_the_last_map():
    trunk = models.small().eval()
    images = torch.randn(3, 3, 64, 64)
    maps = trunk.layers(images)
    assert maps.shape == (3, 128, 4, 4)
    torch.testing.assert_close(trunk(images), maps.flatten(2).sum(2) / 16)


def test_mobilenet_v1_is_the_papers():
    layers = convolutions(models.build("mobilenet_v1"))
    depthwise = [layer for layer in layers if layer.groups > 1]
    pointwise = [layer for layer in layers if layer.kernel_size == (1, 1)]
    assert len(depthwise) == len(pointwise) == 13 and len(layers) == 27
    assert all(
        layer.groups == layer.in_channels == layer.out_channels and layer.kernel_size == (3, 3) for layer in depthwise
    )
    assert [layer.out_channels for layer in pointwise] == [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    assert sum(layer.stride == (2, 2) for layer in layers) == 5
    parameters = sum(parameter.numel() for parameter in models.build("mobilenet_v1").parameters())
    assert parameters == 3_206_976, "4,231,976 of the published network less its classifier's 1,025,000"


def test_the_digits_network_has_the_papers_filters():
    for reduction in ("stride", "pool"):
        layers = convolutions(models.build("digits", reduction=reduction))
        assert [layer.out_channels for layer in layers] == [128, 128, 128, 2]
        assert {layer.kernel_size for layer in layers} == {(3, 3)}
    strided, pooled = (models.digits(reduction=reduction) for reduction in ("stride", "pool"))
    assert [layer.stride for layer in convolutions(strided)] == [(2, 2)] * 3 + [(1, 1)]
    assert {layer.stride for layer in convolutions(pooled)} == {(1, 1)}
    assert sum(isinstance(module, nn.MaxPool2d) for module in pooled.modules()) == 3
    assert not isinstance(strided.layers[-1], nn.ReLU), "a 2-D feature may be negative"


def test_the_small_trunk_has_eight_layers_of_16_to_128_channels():
    layers = convolutions(models.build("small"))
    assert [layer.out_channels for layer in layers] == [16, 32, 32, 64, 64, 96, 96, 128]
    assert sum(isinstance(module, nn.BatchNorm2d) for module in models.small().modules()) == 8


def test_local_weights_are_loaded(tmp_path):
    torch.manual_seed(3)
    source = timm.create_model("mobilenetv1_100", pretrained=False)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    trunk = models.build("mobilenet_v1", weights=str(tmp_path / "weights.pth"))
    expected = source.state_dict()
    for name, value in trunk.layers.state_dict().items():
        assert torch.equal(value, expected[name]), name
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    images = pixels.permute(0, 3, 1, 2) / 127.5 - 1  # what the weights expect
    features = source.eval().forward_head(source.forward_features(images), pre_logits=True)
    torch.testing.assert_close(trunk.eval()(augment.normalise(pixels)), features, rtol=1e-4, atol=1e-5)


def test_the_seed_settles_the_initial_weights():
    def weights(seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return torch.cat([parameter.flatten() for parameter in models.build("small").parameters()])

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"name": "resnet"}, ValueError, "'resnet' is refused: allowed are small, mobilenet_v1, digits"),
        (
            {"name": "small", "pretrained": True},
            ValueError,
            "'small' has no ImageNet weights for pretrained = True; allowed are mobilenet_v1, vgg_cnn_m_1024, ",
        ),
        ({"name": "vgg_cnn_m_1024", "pretrained": True}, ValueError, "weights of vgg_cnn_m_1024 are in none of"),
        ({"name": "vgg_cnn_m_1024", "image_size": 40}, ValueError, "image_size = 40 is refused: .* number >= 41"),
        ({"name": "googlenet", "weights": "missing.pth"}, FileNotFoundError, "weights = 'missing.pth': no such file"),
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
        models.build(**options)


def test_weights_of_another_trunk_are_refused(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"")
    with pytest.raises(ValueError, match="'small' has no ImageNet weights for weights = .* vgg_cnn_m_1024, googlenet"):
        models.build("small", weights=str(tmp_path / "w.pth"))


def test_operations_of_the_small_trunk_by_hand():
    widths, sides = (3, 16, 32, 32, 64, 64, 96, 96, 128), (32, 16, 16, 8, 8, 4, 4, 4)
    wanted = sum(
        2 * 9 * before * after * side**2 for before, after, side in zip(widths, widths[1:], sides, strict=False)
    )
    trunk = models.build("small")
    assert models.flops(trunk, (1, 3, 64, 64)) == wanted
    assert models.flops(trunk, (5, 3, 64, 64)) == 5 * wanted
    assert trunk.training, "counting leaves the mode as it was"


def test_counting_changes_nothing():
    trunk = models.build("small")
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    models.flops(trunk, (1, 3, 32, 32))
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())


def test_the_configuration_knows_every_trunk():
    names = get_args(Config.model_fields["backbone"].annotation)
    with pytest.raises(ValueError) as refusal:
        models.build("none")
    assert set(str(refusal.value).split("allowed are ")[1].split(", ")) == set(names)
    assert set(DOWNLOADS) < set(LOADS) < set(names)


def naive_normalisation(maps):
    """Caffe's local response normalisation, channel by channel: x / (k + alpha / n · Σ x²)^beta over n = 5 channels."""
    found = torch.empty_like(maps)
    for channel in range(maps.shape[1]):
        near = maps[:, max(0, channel - 2) : channel + 3]
        found[:, channel] = maps[:, channel] / (2 + 5e-4 / 5 * (near**2).sum(1)) ** 0.75
    return found


def naive_pooling(maps):
    """3×3 maxima at every second pixel; the last window may be incomplete, as in Caffe."""
    side = maps.shape[2]
    places = range(0, side - 1, 2)  # ceil((side − 3) / 2) + 1 windows
    assert len(places) == -(-(side - 3) // 2) + 1
    rows = [torch.stack([maps[:, :, y : y + 3, x : x + 3].amax((2, 3)) for x in places], -1) for y in places]
    return torch.stack(rows, 2)


@pytest.mark.parametrize("size", [64, 75, 90])
def test_vgg_equals_its_layers_one_by_one(size):
    torch.manual_seed(1)
    trunk = models.build("vgg_cnn_m_1024", image_size=size).eval()
    images = torch.randn(2, 3, size, size) * 30  # so large that normalisation tells: Σ x² is not small beside k
    with torch.no_grad():
        first = F.conv2d(images, trunk.conv1.weight, trunk.conv1.bias, stride=2).relu()
        maps = naive_pooling(naive_normalisation(first))
        assert (naive_normalisation(first) / first).nan_to_num(1).amin() < 0.5 * 2**-0.75
        maps = F.conv2d(maps, trunk.conv2.weight, trunk.conv2.bias, stride=2, padding=1).relu()
        maps = naive_pooling(naive_normalisation(maps))
        for layer in (trunk.conv3, trunk.conv4, trunk.conv5):
            maps = F.conv2d(maps, layer.weight, layer.bias, padding=1).relu()
        expected = F.linear(naive_pooling(maps).flatten(1), trunk.fc6.weight, trunk.fc6.bias).relu()
        torch.testing.assert_close(trunk(images), expected, rtol=1e-4, atol=1e-4)


def shapes(trunk, size):
    """Output shape of each layer with weights, without computing anything."""
    found = {}
    for name, layer in trunk.named_children():
        layer.register_forward_hook(lambda _, images, maps, name=name: found.update({name: tuple(maps.shape[1:])}))
    trunk(torch.empty(1, 3, size, size, device="meta"))
    return found


def test_vgg_at_224_pixels_has_the_authors_shapes_and_parameters():
    with torch.device("meta"):
        trunk = models.VGGCNNM1024(224)
    assert shapes(trunk, 224) == {
        "conv1": (96, 109, 109),
        "conv2": (256, 26, 26),
        "conv3": (512, 13, 13),
        "conv4": (512, 13, 13),
        "conv5": (512, 13, 13),
        "fc6": (4096,),
    }
    assert trunk.fc6.in_features == 512 * 6 * 6
    by_hand = {
        "conv1": 96 * (3 * 49 + 1),
        "conv2": 256 * (96 * 25 + 1),
        "conv3": 512 * (256 * 9 + 1),
        "conv4": 512 * (512 * 9 + 1),
        "conv5": 512 * (512 * 9 + 1),
        "fc6": 4096 * (18432 + 1),
    }
    counted = {name: sum(value.numel() for value in layer.parameters()) for name, layer in trunk.named_children()}
    assert counted == by_hand and sum(by_hand.values()) == 82_030_208


def test_vgg_takes_every_size_from_the_smallest_on():
    smallest = SMALLEST["vgg_cnn_m_1024"]
    with torch.device("meta"):
        for size in range(smallest, 130):
            assert models.VGGCNNM1024(size)(torch.empty(1, 3, size, size)).shape == (1, 4096)
        for size in range(1, smallest):
            with pytest.raises(ValueError, match=f"image_size = {size} is refused: allowed is a number >= {smallest}"):
                models.VGGCNNM1024(size)


def test_vgg_refuses_images_of_another_size():
    with pytest.raises(ValueError, match=r"images of \(72, 72\) pixels: this trunk was made for 64"):
        models.build("vgg_cnn_m_1024", image_size=64)(torch.zeros(1, 3, 72, 72))


def test_vgg_drops_half_of_its_features_in_training_alone():
    torch.manual_seed(2)
    trunk = models.build("vgg_cnn_m_1024", image_size=64)
    images = torch.randn(4, 3, 64, 64)
    whole, dropped = trunk.eval()(images), trunk.train()(images)
    alive = whole > 0
    kept = dropped[alive] > 0
    assert 0.45 < kept.float().mean() < 0.55 and not dropped[~alive].any()
    torch.testing.assert_close(dropped[alive][kept], 2 * whole[alive][kept])


@pytest.mark.parametrize("name", ["vgg_cnn_m_1024", "googlenet"])
def test_gradients_reach_every_layer_at_a_sensible_scale(name):
    torch.manual_seed(0)
    trunk = models.build(name, image_size=64)
    features = trunk(torch.randn(4, 3, 64, 64))
    assert 0.1 < features.std() < 10, "neither faded nor blown up on its way through the layers"
    features.square().mean().backward()
    for label, value in trunk.named_parameters():
        assert value.grad.isfinite().all() and value.grad.any(), label


@pytest.fixture(scope="module")
def vgg_file():
    """A whole network's weights, as a converted file has them: the trunk at 64 pixels, fc7 and fc8."""
    torch.manual_seed(7)
    state = models.VGGCNNM1024(64).state_dict()
    for layer, shape in (("fc7", (1024, 4096)), ("fc8", (10, 1024))):
        state |= {f"{layer}.weight": torch.randn(shape), f"{layer}.bias": torch.randn(shape[0])}
    return state


@pytest.mark.parametrize("kind", ["plain", "nested", "safetensors"])
def test_vgg_reads_a_file_of_weights(vgg_file, tmp_path, kind):
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(vgg_file, path)
    else:
        torch.save({"state_dict": vgg_file} if kind == "nested" else vgg_file, path)
    trunk = models.build("vgg_cnn_m_1024", image_size=64, weights=str(path))
    assert len(trunk.state_dict()) == 12
    for name, value in trunk.state_dict().items():
        assert torch.equal(value, vgg_file[name]), name
    head = nn.Linear(4096, 1024)
    models.load_weights(head, path, prefix="fc7.")
    assert torch.equal(head.weight, vgg_file["fc7.weight"]) and torch.equal(head.bias, vgg_file["fc7.bias"])


@pytest.mark.parametrize(
    "change, size, words",
    [
        (lambda state: state.pop("conv3.bias"), 64, "does not fit vgg_cnn_m_1024: it lacks conv3.bias$"),
        (lambda state: state.update({"conv6.bias": torch.zeros(2)}), 64, "vgg_cnn_m_1024: too many are conv6.bias$"),
        (
            lambda state: state.update({"conv1.weight": torch.zeros(96, 1, 7, 7)}),
            64,
            r"conv1.weight is \[96, 1, 7, 7\], allowed is \[96, 3, 7, 7\]$",
        ),
        (lambda state: None, 96, r": fc6.weight is \[4096, 512\], allowed is \[4096, 2048\]$"),
        (lambda state: state.clear(), 64, "it lacks conv1.weight, .* conv3.weight and 7 more$"),
        (lambda state: state.update({"epoch": 3}), 64, "holds something else than tensors"),
    ],
)
def test_weights_that_do_not_fit_are_named(vgg_file, tmp_path, change, size, words):
    state = dict(vgg_file)
    change(state)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=words):
        models.build("vgg_cnn_m_1024", image_size=size, weights=str(tmp_path / "w.pth"))


class Harmful:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return type(self.mark).touch, (self.mark,)  # unpacking this would make the file


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_and_harmful_files_are_refused(tmp_path, suffix):
    mark, path = tmp_path / "mark", tmp_path / f"w.{suffix}"
    for content in (b"", b"no weights", pickle.dumps({"conv1.weight": Harmful(mark)}, 2)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read: allowed is a state dict"):
            models.load_weights(nn.Linear(1, 1), path)
    torch.save({"conv1.weight": Harmful(mark)}, path)
    with pytest.raises(ValueError, match="cannot be read"):
        models.load_weights(nn.Linear(1, 1), path)
    assert not mark.exists()
    with pytest.raises(FileNotFoundError, match="no such file"):
        models.load_weights(nn.Linear(1, 1), tmp_path / "missing.pth")


@pytest.fixture(scope="module")
def torchvisions():
    """torchvision's own network with its classifiers, expecting images normalised as ours are."""
    torch.manual_seed(4)
    network = torchvision.models.GoogLeNet(num_classes=10, aux_logits=True, transform_input=True, init_weights=False)
    network.train()(torch.randn(4, 3, 64, 64))  # running statistics that are not the initial ones
    return network.eval()


@pytest.mark.parametrize("way", ["file", "found"])
def test_googlenet_is_torchvisions_up_to_pool5(torchvisions, tmp_path, monkeypatch, way):
    state = torchvisions.state_dict()
    state = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}  # an old file
    if way == "file":
        torch.save(state, tmp_path / "w.pth")
        trunk = models.build("googlenet", weights=str(tmp_path / "w.pth"))
    else:
        monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
        (tmp_path / "weights").mkdir()
        torch.save(state, tmp_path / "weights" / "googlenet.pth")
        trunk = models.build("googlenet", pretrained=True)
    pool5 = []
    torchvisions.avgpool.register_forward_hook(lambda layer, given, found: pool5.append(found.flatten(1)))
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torchvisions(images)
        torch.testing.assert_close(trunk.eval()(images), pool5[-1], rtol=1e-4, atol=1e-5)


def test_googlenet_has_nine_inceptions_and_the_published_parameters():
    trunk = models.build("googlenet")
    assert sum(type(module).__name__ == "Inception" for module in trunk.modules()) == 9
    parameters = sum(parameter.numel() for parameter in trunk.parameters())
    assert parameters == 5_599_904, "6,624,904 of the published network less its classifier's 1,025,000"
    assert {name.partition(".")[0] for name in trunk.state_dict()} == {"layers"}, "the scale is no part of the weights"
    assert torch.equal(trunk.train()(images := torch.randn(3, 3, 32, 32)), trunk(images)), "no dropout in the trunk"


def test_googlenet_undoes_the_normalisation_of_images():
    pixels = torch.tensor([[[[0, 0, 0], [255, 255, 255]], [[51, 102, 204], [255, 0, 128]]]], dtype=torch.uint8)
    trunk = models.build("googlenet")
    expected = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1  # what torchvision's weights expect
    torch.testing.assert_close(augment.normalise(pixels) * trunk.scale + trunk.shift, expected)


def test_googlenet_of_another_network_is_refused(tmp_path):
    torch.save(timm.create_model("mobilenetv1_100").state_dict(), tmp_path / "w.pth")
    with pytest.raises(
        ValueError, match="does not fit googlenet: it lacks conv1.conv.weight,.* more; too many are conv_stem.weight"
    ):
        models.build("googlenet", weights=str(tmp_path / "w.pth"))
