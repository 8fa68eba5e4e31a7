"""Weights of the exact trunks of AGNet and the multi-guided system: files and downloads, read whole or refused."""

import pytest
import torch
from test_models_exact import DEPTHS, WHOLE

from reidlib import models


@pytest.mark.parametrize("name", ["resnet50", "densenet161", "hrnet_w18"])
def test_a_trunk_is_the_published_network_up_to_its_mean(name, monkeypatch, tmp_path):
    """Its file is found where data lie, without being named."""
    torch.manual_seed(1)
    whole = WHOLE[name]()
    whole.train()(torch.randn(4, 3, 32, 32))  # running statistics that are not the initial ones
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    torch.save(whole.state_dict(), tmp_path / "weights" / f"{name}.pth")
    trunk = models.build(name, pretrained=True).eval()
    images = torch.randn(2, 3, 64, 64).double()
    pooled = []
    head = whole.classifier if hasattr(whole, "classifier") else whole.fc
    head.register_forward_hook(lambda layer, given, found: pooled.append(given[0]))
    with torch.no_grad():
        whole.double().eval()(images)
        torch.testing.assert_close(trunk.double()(images), pooled[0])
        torch.testing.assert_close(trunk.maps(images).mean((2, 3)), pooled[0])


def authors_ibn_names():
    """Names and shapes of the IBN-Net authors' file, classifier included."""
    shapes = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 2048), "fc.bias": (1000,)}

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            if not (".IN" in name and "running" in part):
                shapes[f"{name}.{part}"] = (channels,)

    norm("bn1", 64)
    before = 64
    for layer, depth in enumerate(DEPTHS, 1):
        width = 32 * 2**layer
        for number in range(depth):
            name = f"layer{layer}.{number}"
            for part, shape in enumerate(((width, before, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)), 1):
                shapes[f"{name}.conv{part}.weight"] = shape
            if not number:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, before, 1, 1)
                norm(f"{name}.downsample.1", 4 * width)
            for part in ("bn1.IN", "bn1.BN") if layer < 4 else ("bn1",):
                norm(f"{name}.{part}", width // 2 if layer < 4 else width)
            norm(f"{name}.bn2", width)
            norm(f"{name}.bn3", 4 * width)
            before = 4 * width
    return shapes


def whole_names(name):
    if name == "resnet50_ibn":
        return authors_ibn_names()
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in WHOLE[name]().state_dict().items()}


def save(path, shapes):
    """A file of weights that says of each tensor which one it is; of every tensor it holds one number alone."""
    content = {name: torch.tensor(float(number)).expand(shape) for number, (name, shape) in enumerate(shapes.items())}
    torch.save({"state_dict": {f"module.{name}": value for name, value in content.items()}}, path)
    assert path.stat().st_size < 1e6
    return content


@pytest.mark.parametrize("name", ["resnet50", "resnet50_ibn", "densenet161", "hrnet_w18"])
def test_a_file_of_weights_is_read_whole(name, tmp_path):
    shapes = whole_names(name)
    if name == "densenet161":  # as torchvision's own file has it
        olds = {key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): key for key in shapes}
        assert sum(old != key for old, key in olds.items()) == 78 * 6, "four and a count of norm1, one of conv2"
        shapes = {old: shapes[key] for old, key in olds.items()}
    else:
        olds = {key: key for key in shapes}
    content = save(tmp_path / "w.pth", shapes)
    trunk = models.build(name, weights=str(tmp_path / "w.pth"))
    own, known = trunk.layers.state_dict(), {olds[old]: value for old, value in content.items()}
    for key, value in own.items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, known[key]), key
    heads = {key for key in known if key.startswith(("fc.", "classifier."))}
    assert len(heads) == 2 and len(own) >= len(known) - 2


@pytest.mark.parametrize(
    "name, other, words",
    [
        ("resnet50_ibn", "resnet50", r"resnet50_ibn: it lacks layer1.0.bn1.IN.weight, .*too many are layer1"),
        ("resnet50", "resnet50_ibn", r"resnet50: it lacks layer1.0.bn1.weight, .*too many are layer1"),
        ("densenet161", "resnet50", r"densenet161: it lacks features.conv0.weight, .*too many are conv1"),
        ("hrnet_w18", "resnet50", r"hrnet_w18: it lacks conv2.weight, .*too many are layer2"),
    ],
)
def test_weights_of_another_network_are_refused(name, other, words, tmp_path):
    save(tmp_path / "w.pth", whole_names(other))
    with pytest.raises(ValueError, match=r"weights = '.*w.pth' does not fit " + words):
        models.build(name, weights=str(tmp_path / "w.pth"))


def test_weights_that_are_nowhere_are_refused_with_both_ways_out():
    with pytest.raises(ValueError, match="weights of resnet50_ibn are in none of .*weights get resnet50_ibn"):
        models.build("resnet50_ibn", pretrained=True)
