"""Runs that begin with ImageNet weights: which ones their records name, and that other weights are another run."""

import json
from dataclasses import replace

import pytest
import torch

from reidlib import models
from reidlib.models.weights import read_weights
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.mlsl.paper import PAPER
from reidpapers.multiguided.config import MultiGuidedConfig
from reidpapers.multiguided.paper import PAPER as MULTIGUIDED
from reidpapers.run import imagenet, records, runs, workers
from reidpapers.run.config import Plan

TINY = {"profile": "smoke", "learning": "feature", "iterations1": 1, "batch": 4, "image_size": 32}
NAMES = {"squeezenet1_1": "squeezenet1_1_imagenet.safetensors"}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Nothing in torch's own cache, and no committed records."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(records, "COMMITTED", tmp_path / "results")
    return tmp_path


def weights_in(folder, trunk="squeezenet1_1", seed=0):
    """A file of a trunk's weights where they are found without being named."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    torch.save(models.build(trunk).layers.state_dict(), folder / f"{trunk}.pth")
    return folder / f"{trunk}.pth"


def test_a_record_names_its_weights_and_other_weights_are_another_run(tmp_path, monkeypatch):
    config, found = MLSLConfig(**TINY, backbone="squeezenet1_1", pretrained=True), {}
    for seed, folder in enumerate("ab"):
        weights_in(tmp_path / folder / "weights", seed=seed)
        monkeypatch.setenv("REIDLIB_DATA", str(tmp_path / folder))
        assert runs.lookup(config, PAPER) is None, "a record of other weights is none of this run"
        (found[folder],) = workers.run_all([config], PAPER, Plan(workers=1), progress=False)
        content = read_weights(tmp_path / folder / "weights" / "squeezenet1_1.pth")
        named = {"sha256": content.sha256, "source": "squeezenet1_1.pth"}
        assert found[folder].weights == {"squeezenet1_1": named}
    first, second = found["a"], found["b"]
    assert first.key != second.key and not imagenet.agree(first.weights, second.weights)
    assert first.key.rpartition("-")[0] == second.key.rpartition("-")[0], "configuration and data are the same"
    path = records.stores("mlsl")[0] / f"{first.key}.json"
    assert json.loads(path.read_text())["weights"] == first.weights == records.read(path).weights
    assert runs.kept_weights(config, PAPER).stem == second.key, "and so are trained weights and checkpoints"

    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path / "elsewhere"))  # a reader without any weights
    shown = runs.run(config, PAPER)
    assert shown.key in (first.key, second.key) and shown.freshness == runs.FRESH
    assert runs.status_for(first, config, PAPER) == runs.status_for(second, config, PAPER) == runs.FRESH
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path / "b"))
    assert runs.run(config, PAPER) == second and runs.status_for(first, config, PAPER) is None


def test_a_record_of_data_that_changed_is_stale_whatever_it_began_with(tmp_path, monkeypatch):
    weights_in(tmp_path / "weights")
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    config = MLSLConfig(**TINY, backbone="squeezenet1_1", pretrained=True)
    record = runs.run(config, PAPER)
    run, _, weights = record.key.split("-")
    other = replace(record, key=f"{run}-00000000-{weights}")
    assert runs.status_for(record, config, PAPER) == runs.FRESH
    assert runs.status_for(other, config, PAPER) == runs.STALE


def test_the_same_weights_in_another_file_have_the_same_hash_but_for_another_padding(tmp_path):
    state = models.build("mobilenet_v1").layers.state_dict()
    hashes = []
    for number, notes in enumerate(({}, {"source": "elsewhere"}, {"padding": "same", "epsilon": "0.001"})):
        file = models.weights.save(models.weights.Weights(tmp_path, state, notes), tmp_path / f"{number}.safetensors")
        hashes.append(read_weights(file).sha256)
    assert hashes[0] == hashes[1] != hashes[2]
    torch.save(state, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").sha256 == hashes[0]


def test_a_file_that_does_not_fit_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    def prepare(*given):
        raise AssertionError("images are decoded")

    monkeypatch.setattr(type(PAPER), "prepare", prepare)
    config = MLSLConfig(**TINY, backbone="mobilenet_v1", weights=str(weights_in(tmp_path)))
    with pytest.raises(ValueError, match="does not fit mobilenet_v1: it lacks"):
        workers.run_all([config], PAPER, Plan(workers=1), progress=False)


def test_every_trunk_of_an_ensemble_is_asked_for_at_the_door(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    monkeypatch.setattr(type(MULTIGUIDED), "prepare", lambda *given: pytest.fail("images are decoded"))
    config = MultiGuidedConfig(profile="smoke", trunks="exact", pretrained=True, members=("res50", "hrnet"))
    trunks = {"resnet50_ibn", "hrnet_w18", "resnet50"}
    assert set(config.imagenet()) == trunks and set(config.member("hrnet").imagenet()) == {"hrnet_w18"}
    assert config.but(learning="segmenter", pretrained=False).imagenet() == {}
    weights_in(tmp_path / "weights", "resnet50")
    assert imagenet.origins(config) is None and imagenet.origins(config.but(learning="classifier_type"))
    with pytest.raises(ValueError, match="weights of hrnet_w18 are in none of .* weights get hrnet_w18"):
        workers.run_all([config], MULTIGUIDED, Plan(workers=1), progress=False)
    own = config.but(pretrained=False, weights=str(tmp_path / "ibn.pth"))
    assert own.imagenet() == {"resnet50_ibn": own.weights}, "a file that is named is for ResNet-50-IBN alone"
