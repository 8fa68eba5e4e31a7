"""VERI-Wild: values by hand, both flavours of the lists, and rendered vehicles there and back."""

import numpy as np
import pandas as pd
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


@pytest.fixture
def numbered(tmp_path_factory):
    root = tmp_path_factory.mktemp("numbered")
    trees.veriwild(root, numbered=True)
    return root


def cameras(root):
    return veriwild.load(root).manifest.table["camera_id"].fillna("-").tolist()


def test_both_flavours_give_the_same(root, numbered):
    plain, other = veriwild.load(root), veriwild.load(numbered)
    last = plain.manifest.table["camera_id"].isna()  # vehicle_info.txt does not hold it, but a numbered list does
    assert last.tolist() == [False] * 5 + [True] and other.manifest.table["camera_id"].iloc[-1] == "7"
    pd.testing.assert_frame_equal(plain.manifest.table[~last], other.manifest.table[~last])
    assert [list(test.gallery) for test in plain.tests] == [list(test.gallery) for test in other.tests]


def test_a_partial_file_of_information_takes_no_camera_away(numbered):
    path = numbered / "train_test_split/vehicle_info.txt"
    trees.write(path, trees.INFO[:2])
    assert cameras(numbered) == ["14", "3", "2", "14", "150", "7"]
    assert veriwild.load(numbered).manifest.table["color"].notna().sum() == 2


def test_cameras_of_two_numberings_are_not_mixed(numbered):
    path = numbered / "train_test_split/vehicle_info.txt"
    trees.write(path, [line.replace(";14;", ";99;") for line in trees.INFO])
    assert cameras(numbered) == ["14", "3", "2", "14", "150", "7"], "the lists know all images"
    trees.write(path, [*(line.replace(";14;", ";99;") for line in trees.INFO), "00002/000003;99;;;;"])
    assert cameras(numbered) == ["99", "3", "2", "99", "150", "99"], "here vehicle_info.txt does, too, and goes first"


def test_lists_without_information(root, numbered):
    for tree in (root, numbered):
        (tree / "train_test_split/vehicle_info.txt").unlink()
    assert cameras(root) == ["-"] * 6 and cameras(numbered) == ["14", "3", "2", "14", "150", "7"]
    for path in (numbered / "train_test_split").iterdir():  # both flavours side by side: one of them knows the cameras
        (root / "train_test_split" / path.name).write_bytes(path.read_bytes())
    assert cameras(root) == cameras(numbered)


@pytest.mark.parametrize("flavour", ["root", "numbered"])
def test_lists_may_lie_in_the_root(request, flavour):
    tree = request.getfixturevalue(flavour)
    before = veriwild.load(tree)
    for path in (tree / "train_test_split").iterdir():
        path.rename(tree / path.name)
    (tree / "train_test_split").rmdir()
    assert veriwild.BENCHMARK.find(tree.parent / tree.name) == tree
    assert veriwild.load(tree).digest == before.digest


def test_a_vehicle_that_is_trained_on_is_not_tested(root):
    with (root / "train_test_split/train_list.txt").open("a") as file:
        file.write("00002/000009\n")
    with pytest.raises(DatasetError, match="3000_query.txt: 1 .*hold a vehicle that train_list.txt trains on.*'00002'"):
        veriwild.load(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("00001/000004;14;2018-02-30 10:30:58;Changan;SUV;white", r"give no time of the form .*line 2"),
        ("00001/000004;14;noon;Changan;SUV;white", r"give no time of the form .*line 2"),
        ("00001/000004;14;2018-03-11 10:30:58;Changan;SUV", r"do not have the form .*line 2"),
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
