"""MobileNet v2, EfficientNet-Lite0 and SqueezeNet 1.1; and what published weights see in a few photographs."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image

from reidlib import augment, models
from reidlib.backbones import find
from reidlib.models.weights import read_weights

WHOLE = {  # the published networks with their classifiers, and their parameters
    "mobilenet_v2": (torchvision.models.mobilenet_v2, 3_504_872),
    "efficientnet_lite0": (lambda: timm.create_model("tf_efficientnet_lite0"), 4_652_008),
    "squeezenet1_1": (torchvision.models.squeezenet1_1, 1_235_496),
}
DIM = {"mobilenet_v2": 1280, "efficientnet_lite0": 1280, "squeezenet1_1": 512}
PUBLISHED = Path(os.environ["REIDLIB_PUBLISHED"])
# ImageNet's numbers of the words that a viewer would name, by photograph.
WORDS = {
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg": {652},  # military uniform
    "sklearn/datasets/images/china.jpg": {698},  # palace
    "skimage/data/chelsea.png": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    "skimage/data/coffee.png": {967},  # espresso
    "skimage/data/rocket.jpg": {657},  # missile
    "skimage/data/camera.png": {872},  # tripod
}


@pytest.fixture(scope="module", params=WHOLE)
def network(request):
    """A name, and a network of random weights whose running statistics are those of a batch."""
    torch.manual_seed(0)
    whole = WHOLE[request.param][0]()
    for layer in whole.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    whole.train()(torch.randn(8, 3, 64, 64))
    return request.param, whole.eval()


def last_maps(name, whole, images):
    return whole.forward_features(images) if name == "efficientnet_lite0" else whole.features(images)


def test_a_trunk_is_the_published_network_up_to_its_last_map(network, tmp_path):
    name, whole = network
    torch.save({f"module.{key}": values for key, values in whole.state_dict().items()}, tmp_path / "w.pth")
    trunk = models.build(name, weights=str(tmp_path / "w.pth")).eval()
    head = 1000 * (DIM[name] + 1)
    assert trunk.dim == DIM[name] and sum(p.numel() for p in trunk.parameters()) == WHOLE[name][1] - head
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    mean, deviation = ((127.5,) * 3,) * 2 if name == "efficientnet_lite0" else (augment.MEAN, augment.DEVIATION)
    images = torchvision.transforms.functional.normalize(pixels.permute(0, 3, 1, 2).float(), mean, deviation)
    with torch.no_grad():
        wanted, maps = last_maps(name, whole, images), trunk.maps(augment.normalise(pixels))
        torch.testing.assert_close(maps, wanted, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(trunk(augment.normalise(pixels)), wanted.mean((2, 3)), rtol=1e-3, atol=1e-4)
    assert (wanted[0] - wanted[1]).abs().mean() > 0.01, "the pictures are told apart"
    assert maps.shape == (2, DIM[name], *(2, 2)) or name == "squeezenet1_1" and maps.shape == (2, 512, 3, 3)


def test_partial_and_other_files_are_refused_by_name(network, tmp_path):
    name, whole = network
    state = whole.state_dict()
    lost = next(key for key in state if key.endswith(".weight"))
    torch.save({key: values for key, values in state.items() if key != lost}, tmp_path / "partial.pth")
    with pytest.raises(ValueError, match=f"does not fit {name}: it lacks {lost.removeprefix('features.')}$"):
        models.build(name, weights=str(tmp_path / "partial.pth"))
    torch.save(models.build("small").layers.state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=f"does not fit {name}: it lacks .*; too many are [01][.]"):
        models.build(name, weights=str(tmp_path / "other.pth"))


def test_only_efficientnet_pads_as_tensorflow_does():
    padded = {name: any("Same" in type(layer).__name__ for layer in models.build(name).modules()) for name in WHOLE}
    assert padded == {"mobilenet_v2": False, "efficientnet_lite0": True, "squeezenet1_1": False}


def photograph(path):
    """An installed package's photograph as uint8 ``[224, 224, 3]``, its middle; None where it is not installed."""
    package, _, inside = path.partition("/")
    found = importlib.util.find_spec(package)
    if not found:
        return None
    image = Image.open(Path(found.origin).parent / inside).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    return torch.from_numpy(np.array(image.crop((left, top, left + 224, top + 224))))


def logits(name, trunk, images):
    """The published classifier, which trunks leave in the file, on a trunk's features: ``[N, 1000]``."""
    head = read_weights(find(name)).tensors
    if name == "squeezenet1_1":  # it classifies each place of the map, then takes the mean
        scores = F.conv2d(trunk.maps(images), head["classifier.1.weight"], head["classifier.1.bias"])
        return scores.relu().mean((2, 3))
    return F.linear(trunk(images), head["classifier.weight"], head["classifier.bias"])


@pytest.mark.parametrize("name", ["mobilenet_v1", "efficientnet_lite0", "squeezenet1_1"])
def test_the_five_likeliest_words_hold_the_obvious_one(name, monkeypatch):
    """MobileNet v2's file has no classifier."""
    monkeypatch.setenv("REIDLIB_DATA", str(PUBLISHED.parent))
    if PUBLISHED.name != "weights" or not find(name):
        pytest.skip("no ImageNet weights in REIDLIB_DATA/weights")
    seen = {path: image for path in WORDS if (image := photograph(path)) is not None}
    trunk = models.build(name, pretrained=True).eval()
    with torch.no_grad():
        best = logits(name, trunk, augment.normalise(torch.stack(list(seen.values())))).topk(5).indices
    missed = [path for path, words in zip(seen, best.tolist(), strict=True) if not WORDS[path] & set(words)]
    assert missed == [] and len(seen) >= 2
