"""Trained networks by name: features of a folder of pictures, and networks for use elsewhere."""

import json
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from reidlib import models
from reidlib.data.images import ImageStore
from reidlib.evaluate.embed import embed
from reidlib.models.weights import Weights, save
from reidpapers import embedding, export, trained
from reidpapers.__main__ import main
from reidpapers.mlsl.paper import PAPER, MLSLConfig
from reidpapers.run import runs
from reidpapers.run.config import ConfigError

SIZE = 32


@pytest.fixture(scope="module")
def record():
    """A run of two steps, whose weights are kept."""
    config = MLSLConfig(profile="smoke", learning="feature", iterations1=2, device="cpu")
    return runs.run(config, PAPER, committed=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures of several sizes and kinds, one of them in a folder, and a file that is none."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "b").mkdir()
    draw = np.random.default_rng(0)
    for name, shape in {"a.jpg": (40, 50, 3), "b/x.PNG": (64, 32), "c.webp": (20, 20, 3)}.items():
        Image.fromarray(draw.integers(0, 255, shape, dtype=np.uint8)).save(root / name)
    (root / "notes.txt").write_text("no picture")
    return root


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    """A file of weights of SqueezeNet."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "trunk.safetensors"
    return save(Weights(path, models.build("squeezenet1_1").layers.state_dict(), {"source": "drawn at random"}), path)


def refused(capsys, *arguments):
    """What a refused command says, in one line."""
    assert main(list(map(str, arguments))) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_records_network_embeds_a_folder_as_it_embeds_stored_images(record, folder, tmp_path, capsys):
    out = tmp_path / "features.npz"
    assert main(["embed", record.key[:10], str(folder), "--out", str(out), "--device", "cpu"]) == 0
    assert "3 features of 128 numbers, by MLSL, record" in capsys.readouterr().out
    saved = np.load(out)
    assert saved["image"].tolist() == ["a.jpg", "b/x.PNG", "c.webp"]
    network = trained.of_record(record.key)
    opened = [Image.open(folder / name).convert("RGB") for name in saved["image"]]
    squares = [picture.resize((network.size,) * 2, Image.Resampling.BILINEAR) for picture in opened]
    pixels = np.stack([np.asarray(square) for square in squares])
    store = ImageStore(pixels, {name: place for place, name in enumerate(saved["image"])})
    own = embed(network.module, store, pd.DataFrame({"image": saved["image"]})).features
    torch.testing.assert_close(torch.from_numpy(saved["features"]), own)
    assert network.module.training is False and network.record.key == record.key


def test_embedded_pictures_are_scored(record, folder, tmp_path, capsys):
    labels = pd.DataFrame({"image": ["c.webp", "a.jpg"], "vehicle_id": "v", "camera_id": ["1", "2"]})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    assert main(["embed", record.key, str(folder), "--out", str(tmp_path / "f.npz"), "--device", "cpu"]) == 0
    assert main(["evaluate", str(tmp_path / "f.npz"), "--labels", str(tmp_path / "labels.csv")]) == 0
    assert "mAP 100.00" in capsys.readouterr().out


def test_a_trunks_weights_embed_a_folder(trunk, folder, tmp_path):
    out = tmp_path / "f.npz"
    arguments = ["embed", str(trunk), str(folder), "--backbone", "squeezenet1_1", "--image_size", str(SIZE)]
    assert main([*arguments, "--out", str(out), "--device", "cpu"]) == 0
    pixels, problems = embedding.squares(folder, np.load(out)["image"], SIZE)
    assert not problems
    build = models.build("squeezenet1_1", weights=str(trunk)).eval()
    store = ImageStore(pixels, {str(place): place for place in range(3)})
    own = embed(build, store, pd.DataFrame({"image": ["0", "1", "2"]})).features
    torch.testing.assert_close(torch.from_numpy(np.load(out)["features"]), own)


def test_what_cannot_be_embedded_is_refused_in_a_line(record, folder, trunk, tmp_path, capsys):
    out = ["--out", tmp_path / "f.npz", "--device", "cpu"]
    assert "names no record" in refused(capsys, "embed", "0123456789", folder, *out)
    assert "is no folder of pictures" in refused(capsys, "embed", record.key, folder / "absent", *out)
    assert "holds no picture" in refused(capsys, "embed", record.key, tmp_path, *out)
    assert "ends in .npz" in refused(capsys, "embed", record.key, folder, "--out", tmp_path / "f.csv")
    assert "goes with --backbone alone" in refused(capsys, "embed", record.key, folder, "--image_size", 64, *out)
    error = refused(capsys, "embed", trunk, folder, "--backbone", "mobilenet_v2", *out)
    assert "does not fit mobilenet_v2" in error
    runs.weights_path(MLSLConfig(**record.config), PAPER).rename(hidden := tmp_path / "hidden.pt")
    assert "are not in the cache" in refused(capsys, "embed", record.key, folder, *out)
    hidden.rename(runs.weights_path(MLSLConfig(**record.config), PAPER))


def test_all_unreadable_pictures_are_named(record, tmp_path):
    for name in ("x.jpg", "y.png"):
        (tmp_path / name).write_bytes(b"none")
    network = trained.of_record(record.key)
    with pytest.raises(ValueError, match=r"2 of 2 pictures cannot be read:\n.*x.jpg.*\n.*y.png"):
        embedding.features(network, tmp_path, embedding.pictures(tmp_path))


def test_an_exported_record_embeds_without_data_and_cache(record, folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "exported"
    assert main(["export", record.key, "--out", str(out)]) == 0
    assert "network.safetensors, checked on two pictures" in capsys.readouterr().out
    names = embedding.pictures(folder)
    expected = embedding.features(trained.of_record(record.key), folder, names)
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "empty"))
    torch.testing.assert_close(embedding.features(trained.of_export(out), folder, names), expected, rtol=0, atol=0)
    card = (out / "README.md").read_text(encoding="utf-8")
    for part in (PAPER.title, "| preset | smoke |", record.key, record.data["note"], "mAP", "seed 0", "uint8 [N, "):
        assert part in card
    assert json.loads((out / "record.json").read_text())["key"] == record.key
    assert "allowed is an absent or empty folder" in refused(capsys, "export", out, "--out", out)


def test_an_export_that_changes_or_collapses_is_refused(record, tmp_path, monkeypatch):
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    export.check_same(features, features + 1e-5, tmp_path)
    for other in (features[[0, 0]], features[[1, 0]], features + 1e-2, features * torch.nan):
        with pytest.raises(ConfigError, match="off the network's"):
            export.check_same(features, other, tmp_path)
    with pytest.raises(ConfigError, match="it has collapsed"):
        export.check_same(features[[0, 0]], features[[0, 0]], tmp_path)
    wrong = torch.zeros(2, 128)
    monkeypatch.setattr(export, "_through_safetensors", lambda network, pictures, path: path.touch() or wrong)
    with pytest.raises(ConfigError, match="off the network's"):
        export.export(trained.of_record(record.key), "safetensors", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(any(find_spec(name) is None for name in export.NEEDED), reason="ONNX is not installed")
def test_onnx_gives_the_same_features_for_batches_of_any_size(record, tmp_path):
    import onnxruntime

    network = trained.of_record(record.key)
    path = export.export(network, "onnx", tmp_path)
    session = onnxruntime.InferenceSession(path)
    pixels = np.random.default_rng(1).integers(0, 255, (5, network.size, network.size, 3), dtype=np.uint8)
    for count in (1, 5):
        own = export.FromPixels(network.module)(torch.from_numpy(pixels[:count]))
        (features,) = session.run(None, {"images": pixels[:count]})
        torch.testing.assert_close(torch.from_numpy(features), own.detach(), rtol=1e-4, atol=1e-5)
    assert "onnxruntime.InferenceSession" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_onnx_without_its_packages_is_refused_with_the_extra(record, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, "NEEDED", ("onnx", "no_such_package"))
    error = refused(capsys, "export", record.key, "--format", "onnx", "--out", tmp_path / "out")
    assert "no_such_package" in error and "reidpapers[export]" in error and not (tmp_path / "out").exists()
