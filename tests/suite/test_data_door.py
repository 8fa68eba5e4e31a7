"""What is refused of data before anything is computed; data that change are looked at again."""

import numpy as np
import pandas as pd
import pytest
import trees

from reidlib.data.images import ImageStore
from reidpapers.check.papers import lines
from reidpapers.run import datasets, evaluate_run
from reidpapers.run.config import Config, ConfigError
from reidpapers.run.papers import load
from reidpapers.show import notebook
from reidpapers.show.explore.run import Run

MLSL = load("mlsl")


@pytest.fixture
def root(tmp_path):
    trees.pictures(tmp_path, [f"v{vehicle}_c{camera}_0.jpg" for vehicle in range(6) for camera in (1, 2)])
    return tmp_path


def config(root, **values):
    return MLSL.Config(profile="smoke", dataset="folder", data_root=str(root), device="cpu", **values)


def labelled(root, camera):
    """A table in which vehicle 0 to 2 are trained on, and the others seen by one camera, or by both."""
    rows = [
        (f"v{vehicle}_c{number}_0.jpg", vehicle, camera or number, split)
        for vehicle in range(6)
        for number in (1, 2)
        for split in (["train"] if vehicle < 3 else ["query", "gallery"])
    ]
    trees.write(root / "labels.csv", ["image,vehicle_id,camera_id,split", *(",".join(map(str, row)) for row in rows)])


def test_a_test_without_matches_is_refused_and_accepted_once_it_is_mended(root):
    labelled(root, camera=1)
    with pytest.raises(ConfigError, match="folder is refused, as it cannot be scored: .* for 6 all of these are junk"):
        MLSL.data(config(root))
    labelled(root, camera=None)
    assert MLSL.data(config(root))["identities"] == 3


def test_a_folder_that_grew_is_looked_at_again(root):
    before, first = MLSL.data(config(root)), datasets.load(config(root).source)
    assert datasets.load(config(root).source) is first
    trees.pictures(root, [f"v{vehicle}_c{camera}_1.jpg" for vehicle in range(8) for camera in (1, 2)])
    after = MLSL.data(config(root))
    assert (before["identities"], after["identities"]) == (3, 4) and before["digest"] != after["digest"]


def test_the_seed_of_the_split_makes_other_runs(root):
    one, other = config(root), config(root, data_seed=1)
    assert one.fingerprint() != other.fingerprint() and MLSL.data(one)["digest"] != MLSL.data(other)["digest"]
    digits = MLSL.Config(dataset="digits", device="cpu")
    assert digits.fingerprint() == digits.but(data_seed=1).fingerprint()


@pytest.mark.parametrize(("paper", "few"), [
    ("mlsl", {"identities": 2}), ("agnet", {"identities": 2, "colors": 1, "types": 1}),
    ("c2f_rank", {"identities": 2, "models": 1}),
])  # fmt: skip
def test_no_data_break_a_probe(paper, few):
    paper = load(paper)
    config = paper.Config(profile="smoke", device="cpu")
    probe = paper.probe(config, paper.data(config) | few)
    assert all(value == value for values in probe.values() for value in values)


def test_a_record_says_that_its_data_are_not_the_release(tmp_path):
    trees.vehicleid(tmp_path)
    data = evaluate_run.data(Config(dataset="vehicleid", data_root=str(tmp_path)))
    assert "800 has 2 vehicles, the release 800" in data["deviations"]
    page = notebook.about(Config(dataset="vehicleid"), data).data
    assert "These are not the data as released" in page and "the release 800" in page and "no printed number" in page
    assert "deviations" not in evaluate_run.data(Config(preset="smoke"))


def test_section_four_speaks_of_the_data_at_hand(root):
    own = config(root)
    assert "pictures of your own" in notebook.about(own, MLSL.data(own), "Clean ones.").data
    assert "small renderer" in notebook.about(Config(), {"note": ""}, "Clean ones.").data
    assert "Huang" in notebook.about(Config(dataset="vehicleid"), {"note": "", "name": "VehicleID"}).data


def test_explorers_show_a_picture_once_whatever_files_hold_it():
    pixels = np.zeros((3, 2, 2, 3), np.uint8)
    pixels[1] = 9
    run = object.__new__(Run)
    run.store = ImageStore(pixels, {"query/a.jpg": 0, "gallery/b.jpg": 1, "gallery/a.jpg": 2})
    rows = pd.DataFrame({"image": ["query/a.jpg", "gallery/a.jpg", "gallery/b.jpg", "gallery/b.jpg"]})
    assert run._once(rows).tolist() == [True, False, True, False]


def test_a_check_says_which_papers_run_and_what_would(root):
    labelled(root, camera=None)
    mlsl, agnet = lines("folder", root, [MLSL, load("agnet")])
    assert mlsl == "paper mlsl: runs by default" and "branches = 'only_id' needs neither colour nor type" in agnet
