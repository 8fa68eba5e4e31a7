"""Vehicle-1M: values by hand, both spellings of its folders, and rendered vehicles there and back."""

import numpy as np
import pandas as pd
import pytest
import trees

from reidlib.data import vehicle1m
from reidlib.data.files import DatasetError
from reidpapers.vehicles import rendered
from reidpapers.vehicles.export import vehicle1m as layout
from reidpapers.vehicles.export.source import rendered_source


@pytest.mark.parametrize("folder", ["image", "image_jpg"])
@pytest.mark.parametrize("split", ["train-test-split", "train_test_split"])
def test_lists_by_hand(tmp_path, folder, split):
    trees.vehicle1m(tmp_path, folder, split)
    assert vehicle1m.BENCHMARK.find(tmp_path) == tmp_path
    dataset = vehicle1m.load(tmp_path)
    table = dataset.manifest.table
    names = ["01/0001", "01/0002", "02/0003", "03/0004", "03/0005", "04/0006", "04/0007"]
    assert table["image"].tolist() == [f"{folder}/{name}.jpg" for name in names]
    assert table["split"].tolist() == ["train"] * 3 + ["gallery"] * 4
    assert table["vehicle_id"].tolist() == ["7", "7", "8", "9", "9", "10", "10"]
    assert table["model"].tolist() == ["120", "120", "33", "41", "41", "250", "250"]
    assert table.drop(columns=["image", "split", "vehicle_id", "model"]).isna().all(axis=None)
    assert [(test.name, test.protocol, len(test.gallery)) for test in dataset.tests] == [
        ("small", "vehicle1m", 2), ("medium", "vehicle1m", 3),
    ]  # fmt: skip
    assert dataset.note == "Vehicle-1M: 3 training images of 2 vehicles, 4 test images in 2 test sets."


def test_lists_that_contradict_each_other_are_refused(tmp_path):
    trees.vehicle1m(tmp_path)
    trees.write(tmp_path / "train-test-split/test_2000.txt", ["04/0006 10 250", "03/0005 11 41"])
    with pytest.raises(DatasetError, match=r"test_2000.txt: .*other labels than another list.*line 2: '03/0005'"):
        vehicle1m.load(tmp_path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("vehicle1m")
    return root, layout.write(rendered_source("smoke", 0), root)


def test_rendered_vehicles_come_back(exported):
    root, names = exported
    before = rendered.load("smoke").manifest.table.set_index(["split", "image"]).loc[names.index]
    dataset = vehicle1m.load(root)
    after = dataset.manifest.table.set_index(["split", "image"])
    after = after.loc[list(zip(names.index.get_level_values(0), names, strict=True))]
    assert len(after) == len(dataset.manifest.table) == 216
    assert before["vehicle_id"].astype(int).tolist() == after["vehicle_id"].astype(int).tolist()
    pairs = pd.DataFrame({"before": before["model"].array, "after": after["model"].array}).drop_duplicates()
    assert pairs["before"].is_unique and pairs["after"].is_unique
    assert [(test.name, len(test.gallery)) for test in dataset.tests] == [("small", 24), ("medium", 48), ("large", 72)]


def test_pixels_come_back(exported):
    root, names = exported
    source, dataset = rendered.load("smoke"), vehicle1m.load(root)
    for (_, image), name in names.iloc[::40].items():
        assert np.array_equal(dataset.read(name), source.read(image))
        assert np.array_equal(dataset.read_mask(name), source.read_mask(image))
