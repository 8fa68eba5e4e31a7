"""What is learnt on rendered vehicles, tried on photographs: matched across cameras only, and by a command."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from reidpapers import photographs, trained, transfer
from reidpapers.__main__ import main
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.mlsl.paper import PAPER as MLSL
from reidpapers.run import records, runs
from reidpapers.show import photographs as scores_read
from reidpapers.show.site import study
from reidpapers.transfer import Photographs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four vehicles of a colour of their own, each by two cameras of which one sees everything darker."""
    root, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    rows = []
    for vehicle, color in enumerate(rng.integers(60, 250, (4, 3))):
        for camera, light in (("a", 1.0), ("b", 0.8)):
            picture = np.clip(color * light + rng.normal(0, 4, (24, 30, 3)), 0, 255).astype(np.uint8)
            name = f"{vehicle}_{camera}.png"
            Image.fromarray(picture).save(root / name)
            rows.append((name, f"v{vehicle}", camera))
    pd.DataFrame(rows, columns=["image", "vehicle_id", "camera_id"]).to_csv(root / "labels.csv", index=False)
    return root


def test_pictures_of_one_camera_never_come_before_those_of_another(folder):
    pictures = Photographs.load(folder)
    camera = pictures.table["camera_id"].eq("a").to_numpy()
    vehicle = pictures.table["vehicle_id"].str[1:].astype(int).to_numpy()
    # Nearest by features are those of the own camera; across cameras the right vehicle.
    features = torch.zeros(len(camera), 6)
    features[np.arange(len(camera)), vehicle] = 1.0
    features[:, 4], features[:, 5] = torch.tensor(3.0 * camera), torch.tensor(3.0 * ~camera)
    assert pictures.score_features(features).top(1) == 1
    wrong = features[:, [1, 0, 2, 3, 4, 5]].clone()
    wrong[torch.tensor(camera)] = features[torch.tensor(camera)]
    scores = pictures.score_features(wrong)
    assert scores.top(1) == pytest.approx(0.5) and len(scores.ap) == 8


def test_a_share_of_the_vehicles_can_be_kept_aside(folder):
    parts = transfer.thirds(["v0", "v1", "v2", "v3"])
    assert sorted(parts.values()) == [0, 0, 1, 2] and parts == transfer.thirds(["v3", "v1", "v0", "v2", "v2"])
    kept = [vehicle for vehicle, part in parts.items() if part < 2]
    assert set(Photographs.load(folder, kept).table["vehicle_id"]) == set(kept)


def test_pictures_that_cannot_be_matched_are_refused(folder):
    with pytest.raises(ValueError, match="seen by two"):
        Photographs.load(folder, ["nobody's"])


def test_the_command_trains_and_says_what_it_found(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "table.csv"
    given = [
        "--data_root",
        str(folder),
        "--preset",
        "study_smoke",
        "--trunks",
        "small",
        "--steps",
        "2",
        "--worlds",
        "0",
    ]
    assert main(["transfer", *given, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "pixels, 16" in said and "small after 2 steps, study_smoke, world 0" in said
    rows = pd.read_csv(out)
    assert list(rows["features"]) == ["pixels, 16 × 16", "small as it is", "small after 2 steps"]
    assert rows[["Top-1", "Top-5", "mAP"]].notna().all().all()
    assert transfer.means(rows)["worlds"].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("given", "said"),
    [(["--preset", "tiny"], "preset"), (["--steps", "0"], "steps"), (["--trunks", "vgg"], "trunks"),
     (["--data_root", "nowhere"], "nowhere")],
)  # fmt: skip
def test_refusals(folder, given, said, capsys):
    assert main(["transfer", "--data_root", str(folder), *given]) == 2
    assert said in capsys.readouterr().err


# --- a paper's runs on photographs -----------------------------------------------------------------------------------

TINY = {"profile": "study", "preset": "study_smoke", "backbone": "small", "pretrained": False, "image_size": 32,
        "learning": "feature", "iterations1": 20, "batch": 8, "device": "cpu"}  # fmt: skip


@pytest.fixture(scope="module")
def run():
    """One run in profile study, whose weights are kept."""
    return runs.run(MLSLConfig(**TINY), MLSL)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A results folder of the test's own, and a trunk without weights in the place of MobileNet."""
    monkeypatch.setattr(scores_read, "FOLDER", tmp_path)
    monkeypatch.setattr(photographs, "STUDY", {"backbone": "small"})
    scores_read._shown.cache_clear()
    yield tmp_path
    scores_read._shown.cache_clear()


def test_runs_are_scored_on_photographs_once(folder, run, results, capsys):
    assert main(["photographs", "mlsl", "--data_root", str(folder)]) == 0
    assert f"{run.key}, seed 0: mAP" in capsys.readouterr().out
    lines = scores_read.lines("mlsl")
    assert sorted(line.what for line in lines) == sorted([run.key, "colour histogram", "ImageNet features"])
    network = trained.of_name(run.key)
    scores = Photographs.load(folder, size=32).score(network.module, "euclidean")
    assert scores_read.of("mlsl", run) == pytest.approx(100 * scores.mAP, abs=0.01)
    assert scores_read.of("mlsl", "colour histogram") > scores_read.of("mlsl", "ImageNet features") / 2 > 0
    assert main(["photographs", "mlsl", "--data_root", str(folder)]) == 0
    assert run.key not in capsys.readouterr().out and scores_read.lines("mlsl") == lines


def test_scores_are_of_this_run_and_of_one_folder(folder, run, results):
    photographs.write("mlsl", folder, show=lambda line: None)
    anew = replace(run, created="later")
    assert scores_read.of("mlsl", run) is not None and scores_read.of("mlsl", anew) is None
    here, lines = scores_read.folder("mlsl"), scores_read.lines("mlsl")
    scores_read.keep("mlsl", [*lines, replace(lines[0], folder="other", mAP=1.0)])
    assert scores_read.folder("mlsl") == here and scores_read.of("mlsl", lines[0].what) != 1


def test_runs_without_weights_are_left_out_and_counted(folder, run, results, monkeypatch):
    monkeypatch.setattr(runs, "kept_weights", lambda config, paper: None)
    said = []
    photographs.write("mlsl", folder, show=said.append)
    committed = sum(record.config["preset"].startswith("study")
                    for record in records.read_all(records.COMMITTED / "mlsl" / "records"))  # fmt: skip
    assert len(said) == 1 and f"left out: {1 + committed} runs" in said[0] and "not in the cache" in said[0]
    assert scores_read.of("mlsl", run) is None


def test_the_page_shows_them_where_there_are_some(folder, run, results):
    paper = SimpleNamespace(
        name="mlsl", study={"FL": [run]}, varied={}, claims=(), found={"FL, study": [run]}, tables=()
    )
    assert "mAP on photographs" not in study.section(paper)
    photographs.write("mlsl", folder, show=lambda line: None)
    shown = study.section(paper)
    assert "mAP on photographs" in shown and f"{scores_read.of('mlsl', run):.1f}" in shown
