"""VERI-Wild: values by hand, both flavours of the lists, and rendered vehicles there and back."""

import numpy as np
import pytest
import trees

from reidlib.data import veriwild
from reidlib.data.files import DatasetError
from reidpapers.vehicles import rendered
from reidpapers.vehicles.export import veriwild as layout
from reidpapers.vehicles.export.source import rendered_source


@pytest.fixture
def root(tmp_path):
    trees.veriwild(tmp_path)
    return tmp_path


def test_lists_and_labels_by_hand(root):
    dataset = veriwild.load(root)
    table = dataset.manifest.table
    assert table["image"].tolist() == [
        "images/00001/000004.jpg", "images/00001/000007.jpg", "images/00003/000011.jpg", "images/00002/000001.jpg",
        "images/00002/000002.jpg", "images/00002/000003.jpg",
    ]  # fmt: skip
    assert table["split"].tolist() == ["train"] * 3 + ["query"] + ["gallery"] * 2
    assert table["vehicle_id"].tolist() == ["00001", "00001", "00003", "00002", "00002", "00002"]
    assert table["camera_id"].fillna("-").tolist() == ["14", "3", "2", "14", "150", "-"]  # the last is in no line
    assert table["color"].fillna("-").tolist() == ["white", "white", "white", "black", "black", "-"]
    assert table["type"].fillna("-").tolist() == ["SUV", "SUV", "sedan", "sedan", "sedan", "-"]
    assert table["model"].fillna("-").tolist() == ["Changan", "Changan", "Audi", "-", "Audi", "-"]
    day = 17601 * 86400.0  # 2018-03-11 is 17,601 days after 1970-01-01
    assert table["time"].fillna(-1).tolist() == [day + 37858, day + 86401, -1, day + 37860, 10, -1]
    assert table[["track_id", "bbox", "mask"]].isna().all(axis=None)
    (test,) = dataset.tests
    assert (test.name, test.protocol) == ("small", "veriwild")
    assert list(test.query) == ["images/00002/000001.jpg"] and len(test.gallery) == 2
    assert dataset.note == "VERI-Wild: 3 training images of 2 vehicles, 1 queries on 2 test images."


@pytest.mark.parametrize("header", ["id/image;Camera ID;Time;Model;Type;Color", "id/image; camera; time; m; t; c"])
def test_the_header_is_optional(root, header):
    whole = veriwild.load(root).manifest.digest
    trees.write(root / "train_test_split/vehicle_info.txt", [header, *trees.INFO])
    assert veriwild.load(root).manifest.digest == whole


def test_both_flavours_give_the_same(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("numbered")
    trees.veriwild(other, numbered=True)
    plain, numbered = veriwild.load(root), veriwild.load(other)
    assert plain.manifest.digest == numbered.manifest.digest
    assert [list(test.gallery) for test in plain.tests] == [list(test.gallery) for test in numbered.tests]
    (other / "train_test_split/vehicle_info.txt").unlink()
    table = veriwild.load(other).manifest.table  # cameras are then the lists' own
    assert table["camera_id"].tolist() == ["23", "24", "25", "23", "23", "24"] and table["time"].isna().all()
    (root / "train_test_split/vehicle_info.txt").unlink()
    with pytest.raises(DatasetError, match="vehicle_info.txt is absent"):
        veriwild.load(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("00001/000004;14;2018-02-30 10:30:58;Changan;SUV;white", r"give no time of the form .*line 2"),
        ("00001/000004;14;noon;Changan;SUV;white", r"give no time of the form .*line 2"),
        ("00001/000004;14;2018-03-11 10:30:58;Changan;SUV", r"does not have the form .*line 2"),
        (trees.INFO[0], r"name an image a second time \(line 2"),
    ],
)
def test_damaged_information_is_refused(root, line, message):
    trees.write(root / "train_test_split/vehicle_info.txt", [trees.INFO[0], line, *trees.INFO[1:]])
    if line[:12] == trees.INFO[0][:12] and line != trees.INFO[0]:
        trees.write(root / "train_test_split/vehicle_info.txt", ["00009/000099;;;;;", line, *trees.INFO[1:]])
    with pytest.raises(DatasetError, match=message):
        veriwild.load(root)


def test_a_test_set_without_its_queries_is_refused(root):
    (root / "train_test_split/test_3000_query.txt").unlink()
    with pytest.raises(DatasetError, match="test_3000_query.txt is absent"):
        veriwild.load(root)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("veriwild")
    return root, layout.write(rendered_source("smoke", 0), root)


def test_rendered_vehicles_come_back(exported):
    root, names = exported
    before = rendered.load("smoke").manifest.table.set_index(["split", "image"])
    dataset = veriwild.load(root)
    after = dataset.manifest.table.set_index(["split", "image"])
    before = before.loc[names.index]
    after = after.loc[list(zip(names.index.get_level_values(0), names, strict=True))]
    assert len(after) == len(dataset.manifest.table) == len(names) == 216
    for column in ("color", "type", "model"):
        assert before[column].tolist() == after[column].tolist()
    assert before["vehicle_id"].astype(int).tolist() == after["vehicle_id"].astype(int).tolist()
    assert before["camera_id"].str[1:].astype(int).tolist() == after["camera_id"].astype(int).tolist()
    start = layout.START.timestamp()
    assert (after["time"].to_numpy(float) - start == before["time"].to_numpy(float).round()).all()
    query = dataset.manifest.rows("query")
    assert query["vehicle_id"].is_unique and not set(query["image"]) & set(dataset.manifest.rows("gallery")["image"])
    assert [(test.name, len(test.query), len(test.gallery)) for test in dataset.tests] == [
        ("small", 4, 20), ("medium", 8, 40), ("large", 12, 60),
    ]  # fmt: skip


def test_pixels_come_back(exported):
    root, names = exported
    source, dataset = rendered.load("smoke"), veriwild.load(root)
    for (_, image), name in names.iloc[::40].items():
        assert np.array_equal(dataset.read(name), source.read(image))
        assert np.array_equal(dataset.read_mask(name), source.read_mask(image))
