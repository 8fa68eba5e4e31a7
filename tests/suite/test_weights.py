"""ImageNet weights onto this machine: listed, fetched from a server, converted, found, or refused."""

import hashlib
import json
import os
import struct
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reidlib import augment, models
from reidlib.backbones import BACKBONES, PUBLISHED, find
from reidlib.models.tfjs import read_tfjs
from reidlib.models.weights import TENSORFLOW, Weights, save
from reidpapers import weights
from reidpapers.__main__ import main

GOOGLES = Path(os.environ.get("REIDLIB_PUBLISHED", "nowhere")) / "mobilenet_v1_1.0_224"


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """A cache and a data folder of this test's own."""
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def test_every_trunk_is_listed(capsys):
    assert main(["weights", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.partition(":")[0] for line in lines[1:] if not line.startswith(" ")} == set(BACKBONES)
    for published in PUBLISHED.values():
        assert any(published.address in line for line in lines)
    assert sum("here: no; python -m reidlib weights get" in line for line in lines) == len(PUBLISHED)


def state(name, seed=0):
    torch.manual_seed(seed)
    trunk = models.build(name)
    return getattr(trunk, "layers", trunk).state_dict()


def test_a_state_dict_is_converted_found_without_being_named_and_loaded(folders, capsys):
    tensors = state("squeezenet1_1", 7)
    torch.save({f"module.{name}": values for name, values in tensors.items()}, folders / "mine.pth")
    assert main(["weights", "convert", str(folders / "mine.pth"), "--name", "squeezenet1_1"]) == 0
    written = folders / "cache" / "weights" / "squeezenet1_1.safetensors"
    assert str(written) in capsys.readouterr().out and find("squeezenet1_1") == written
    trunk = models.build("squeezenet1_1", pretrained=True)
    assert all(torch.equal(values, tensors[name]) for name, values in trunk.layers.state_dict().items())
    assert models.weights.read_weights(written).source == "mine.pth"


@pytest.mark.parametrize("damage, words", [
    (lambda tensors: tensors.pop("0.weight"), "does not fit squeezenet1_1: it lacks 0.weight"),
    (lambda tensors: tensors.update(extra=torch.ones(3)), "too many are extra"),
    (lambda tensors: tensors.clear(), "it lacks 0.weight"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_with_names_and_writes_nothing(folders, capsys, damage, words):
    tensors = dict(state("squeezenet1_1"))
    damage(tensors)
    torch.save(tensors, folders / "wrong.pth")
    assert main(["weights", "convert", str(folders / "wrong.pth"), "--name", "squeezenet1_1"]) == 2
    assert words in capsys.readouterr().err and not (folders / "cache" / "weights").exists()


@pytest.fixture
def server(folders):
    """A local server of a folder."""
    (folders / "served").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folders / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield folders / "served", f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def test_a_file_whose_hash_is_not_the_published_one_is_refused(server, capsys):
    served, address = server
    name = PUBLISHED["squeezenet1_1"].address.rpartition("/")[2]
    torch.save(state("squeezenet1_1"), served / name)
    assert main(["weights", "get", "squeezenet1_1", "--base_url", address]) == 2
    assert "sha256" in capsys.readouterr().err.lower().replace("-", "") and find("squeezenet1_1") is None


@pytest.mark.skipif(not GOOGLES.is_dir(), reason="REIDLIB_PUBLISHED names no folder with Google's published files")
def test_googles_files_are_fetched_checked_and_converted(server, capsys):
    served, address = server
    served.rmdir()
    served.symlink_to(GOOGLES)
    assert main(["weights", "get", "mobilenet_v1", "--base_url", address]) == 0
    trunk = models.build("mobilenet_v1", pretrained=True).eval()
    assert trunk(torch.zeros(1, 3, 224, 224)).isfinite().all()


# --- MobileNet v1 as TensorFlow.js has it ----------------------------------------------------------------------------

OUT = (64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)  # channels of the thirteen separable layers
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)


def published_arrays():
    """Numbers of a MobileNet v1 in Keras' layout, by TensorFlow.js' names, so that TensorFlow's epsilon matters."""
    draw, arrays = np.random.default_rng(0), {}

    def kernel(name, *shape):
        arrays[name] = draw.normal(0, (2 / np.prod(shape[:2]) / (shape[2] if shape[3] > 1 else 1)) ** 0.5, shape)

    def norm(name, channels):
        for part, low, high in (("gamma", 0.03, 0.08), ("beta", 0, 0.3), ("moving_mean", -0.02, 0.02),
                                ("moving_variance", 5e-4, 2e-3)):  # fmt: skip
            arrays[f"{name}_bn/{part}"] = draw.uniform(low, high, channels)

    kernel("conv1/kernel", 3, 3, 3, 32)
    norm("conv1", 32)
    for number, (before, after) in enumerate(zip((32, *OUT), OUT, strict=False), 1):
        kernel(f"conv_dw_{number}/depthwise_kernel", 3, 3, before, 1)
        norm(f"conv_dw_{number}", before)
        kernel(f"conv_pw_{number}/kernel", 1, 1, before, after)
        norm(f"conv_pw_{number}", after)
    kernel("conv_preds/kernel", 1, 1, 1024, 10)
    arrays["conv_preds/bias"] = draw.normal(size=10)
    return {name: values.astype("<f4") for name, values in arrays.items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder of TensorFlow.js made from these numbers: two groups, each of two shards that part a tensor."""
    folder, arrays, groups = tmp_path_factory.mktemp("tfjs"), published_arrays(), []
    for number, names in enumerate((list(arrays)[:40], list(arrays)[40:])):
        content, paths = b"".join(arrays[name].tobytes() for name in names), [f"g{number}-shard{i}" for i in (1, 2)]
        for path, part in zip(paths, (content[:12345], content[12345:]), strict=True):
            (folder / path).write_bytes(part)
        tensors = [{"name": name, "shape": list(arrays[name].shape), "dtype": "float32"} for name in names]
        groups.append({"paths": paths, "weights": tensors})
    (folder / "model.json").write_text(json.dumps({"weightsManifest": groups}))
    return folder, arrays


def keras(arrays, pixels):
    """What TensorFlow computes of uint8 pixels ``[N, S, S, 3]`` up to the mean: written out with functions alone."""
    maps = pixels.permute(0, 3, 1, 2).double() / 127.5 - 1

    def layer(maps, kernel, norm, stride, depthwise=False):
        weight = torch.from_numpy(arrays[kernel]).double().permute(*((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)))
        total = max((-(-maps.shape[2] // stride) - 1) * stride + weight.shape[2] - maps.shape[2], 0)
        border = (total // 2, total - total // 2) * 2  # "same": the odd pixel at the right and at the bottom
        maps = F.conv2d(F.pad(maps, border), weight, stride=stride, groups=maps.shape[1] if depthwise else 1)
        gamma, beta, mean, variance = (
            torch.from_numpy(arrays[f"{norm}_bn/{part}"]).double()[:, None, None]
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return ((maps - mean) / (variance + 1e-3).sqrt() * gamma + beta).clamp(0, 6)

    maps = layer(maps, "conv1/kernel", "conv1", 2)
    for number, stride in enumerate(STRIDES, 1):
        maps = layer(maps, f"conv_dw_{number}/depthwise_kernel", f"conv_dw_{number}", stride, depthwise=True)
        maps = layer(maps, f"conv_pw_{number}/kernel", f"conv_pw_{number}", 1)
    return maps.mean((2, 3))


def test_mobilenet_v1_computes_what_tensorflow_does(published, folders):
    folder, arrays = published
    state = {**read_tfjs(folder)}
    assert torch.equal(state["classifier.weight"], torch.from_numpy(arrays["conv_preds/kernel"][0, 0].T))
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    features = {}
    for name, notes in (("as trained", TENSORFLOW), ("another epsilon", {"padding": "same", "epsilon": "1e-5"}),
                        ("another border", {"epsilon": "0.001"})):  # fmt: skip
        file = save(Weights(folder, state, notes), folders / "w.safetensors")
        trunk = models.build("mobilenet_v1", weights=str(file)).eval()
        with torch.no_grad():
            features[name] = trunk(augment.normalise(pixels)).double()
    wanted = keras(arrays, pixels)
    assert wanted.std(0).mean() > 0.01, "features tell the pictures apart"
    torch.testing.assert_close(features.pop("as trained"), wanted, rtol=1e-3, atol=1e-4)
    assert all((values - wanted).abs().mean() > 0.01 for values in features.values())


def test_a_set_of_shards_is_fetched_checked_converted_and_found(published, server, monkeypatch, capsys):
    (folder, arrays), (served, address) = published, server
    get = ["weights", "get", "mobilenet_v1", "--base_url", address]
    for path in folder.iterdir():
        (served / path.name).write_bytes(path.read_bytes())
    assert main(get) == 2 and "SHA-256 of its numbers is" in capsys.readouterr().err, "they are not Google's"
    sums = hashlib.sha256()
    for name, values in arrays.items():
        sums.update(f"{name} {values.shape}".encode() + values.tobytes())
    monkeypatch.setitem(PUBLISHED, "mobilenet_v1", replace(PUBLISHED["mobilenet_v1"], sha256=sums.hexdigest()))
    (served / "g1-shard2").write_bytes(b"1234")
    assert main(get) == 2 and "hold" in capsys.readouterr().err and find("mobilenet_v1") is None
    (served / "g1-shard2").write_bytes((folder / "g1-shard2").read_bytes())
    assert main(get) == 0
    weights = models.weights.read_weights(find("mobilenet_v1"))
    assert weights.source == PUBLISHED["mobilenet_v1"].address and weights.notes["padding"] == "same"
    assert weights.sha256 == models.weights.read_weights(folder).sha256, "the folder itself is the same weights"
    assert all(torch.equal(values, weights.tensors[name]) for name, values in read_tfjs(folder).items())
    models.build("mobilenet_v1", pretrained=True)


# --- the Caffe model of VGG-CNN-M-1024 -------------------------------------------------------------------------------


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def message(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def blob(values, legacy):
    numbers = message(5, values.astype("<f4").tobytes())
    if legacy:
        return b"".join(varint(field << 3) + varint(size) for field, size in enumerate(values.shape, 1)) + numbers
    return numbers + message(7, message(1, b"".join(map(varint, values.shape))))


@pytest.mark.parametrize("legacy", [True, False])
def test_arrays_of_a_caffe_model_are_read_by_layer(tmp_path, legacy):
    draw = np.random.default_rng(0)
    shapes = {"conv1": [(2, 3, 3, 3), (1, 1, 1, 2)], "fc6": [(1, 1, 5, 300)]}
    arrays = {name: [draw.normal(size=size) for size in sizes] for name, sizes in shapes.items()}
    layer_field, name_field, blob_field = (2, 4, 6) if legacy else (100, 1, 7)
    layers = []
    for name, blobs in arrays.items():
        parts = [message(blob_field, blob(values, legacy)) for values in blobs]
        layers.append(message(name_field, name.encode()) + b"".join(parts))
    file = tmp_path / "net.caffemodel"
    other = varint(9 << 3) + varint(300) + varint(10 << 3 | 5) + struct.pack("<f", 1.5)  # fields that are passed over
    file.write_bytes(message(1, b"net") + other + b"".join(message(layer_field, layer) for layer in layers))
    found = weights.read_caffe(file)
    assert found.keys() == arrays.keys()
    for name, blobs in arrays.items():
        for mine, theirs in zip(found[name], blobs, strict=True):
            np.testing.assert_array_equal(mine, theirs.astype(np.float32))
    for length in (1, 40, len(file.read_bytes()) - 1):
        cut = tmp_path / "cut.caffemodel"
        cut.write_bytes(file.read_bytes()[:length])
        with pytest.raises(ValueError, match="cut.caffemodel cannot be read"):
            weights.read_caffe(cut)
