"""ImageNet weights onto this machine: listed, fetched from a server, converted, found, or refused."""

import os
import struct
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from reidlib import models
from reidlib.backbones import BACKBONES, PUBLISHED, find
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
