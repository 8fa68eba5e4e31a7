"""VehicleID: values by hand, every quirk of the release, and rendered vehicles there and back."""

import shutil

import numpy as np
import pandas as pd
import pytest
import trees

from reidlib.data import DataSource, load, vehicleid
from reidlib.data.files import DatasetError
from reidpapers.run import release
from reidpapers.vehicles import rendered
from reidpapers.vehicles.export import vehicleid as layout
from reidpapers.vehicles.export.source import rendered_source


@pytest.fixture
def root(tmp_path):
    trees.vehicleid(tmp_path)
    return tmp_path


def test_lists_and_labels_by_hand(root):
    dataset = vehicleid.load(root)
    table = dataset.manifest.table.set_index("image")
    assert list(table.index) == [f"image/{number:07d}.jpg" for number in range(1, 9)]
    assert table["split"].tolist() == ["train"] * 3 + ["gallery"] * 5
    assert table["vehicle_id"].tolist() == ["0", "15", "0", "20", "20", "16", "31", "31"]
    assert table["color"].fillna("-").tolist() == ["silver", "-", "silver", "black", "black", "-", "-", "-"]
    assert table["model"].fillna("-").tolist() == [
        "五菱荣光2008款", "Audi A4 L", "五菱荣光2008款", "-", "-", "-", "-", "-",
    ]  # fmt: skip
    assert table[["camera_id", "type", "track_id", "time", "bbox", "mask"]].isna().all(axis=None)
    assert [(test.name, test.protocol, test.query) for test in dataset.tests] == [
        ("800", "vehicleid", None), ("1600", "vehicleid", None),
    ]  # fmt: skip
    assert sorted(dataset.tests[1].gallery) == [f"image/{number:07d}.jpg" for number in (4, 7, 8)]
    assert dataset.note == "VehicleID: 3 training images of 2 vehicles, 5 test images in 2 test sets."
    assert dataset.read_mask is None


def test_names_of_models_in_gbk_and_of_one_name(root):
    names = root / "attribute/model_names.txt"
    whole = vehicleid.load(root).manifest.digest
    names.write_bytes(names.read_text(encoding="utf-8").encode("gbk"))
    assert vehicleid.load(root).manifest.digest == whole
    trees.write(names, ["Audi 0", "Audi 1"])
    assert set(vehicleid.load(root).manifest.table["model"].dropna()) == {"Audi (0)", "Audi (1)"}


def test_endings_and_line_ends_are_tolerated(root):
    whole = vehicleid.load(root).manifest.digest
    for path in (*root.glob("train_test_split/*.txt"), root / "attribute/img2vid.txt"):
        path.write_bytes(path.read_bytes().replace(b" ", b".jpg ").replace(b"\n", b"\r\n"))
    assert vehicleid.load(root).manifest.digest == whole


def test_without_attributes_labels_are_missing_and_without_names_numbers(root):
    (root / "attribute/model_names.txt").unlink()
    (root / "attribute/color_names.txt").unlink()
    table = vehicleid.load(root).manifest.table
    assert set(table["model"].dropna()) == {"0", "1"} and set(table["color"].dropna()) == {"silver", "black"}
    (root / "attribute/color_attr.txt").unlink()
    assert vehicleid.load(root).manifest.table["color"].isna().all()


@pytest.mark.parametrize(
    ("file", "lines", "message"),
    [
        ("train_test_split/train_list.txt", ["0000001 0", "0000002 1"], r"another vehicle than .*line 2: '0000002 1'"),
        ("train_test_split/test_list_800.txt", ["0000099 20"], "unknown image"),
        ("attribute/color_attr.txt", ["0 4", "15 9"], r"a number that has no name \(line 2"),
        ("attribute/color_names.txt", ["black 0", "sliver 4", "white 4"], r"name a number a second time \(line 3"),
    ],
)
def test_contradictions_are_refused(root, file, lines, message):
    trees.write(root / file, lines)
    with pytest.raises(DatasetError, match=message):
        vehicleid.load(root)


def test_without_the_folder_of_attributes_only_labels_are_missing(root):
    whole = vehicleid.load(root)
    shutil.rmtree(root / "attribute")
    bare = vehicleid.load(vehicleid.BENCHMARK.find(root))
    assert whole.manifest.has() - bare.manifest.has() == {"color", "model"}
    columns = ["image", "split", "vehicle_id"]
    pd.testing.assert_frame_equal(bare.manifest.table[columns], whole.manifest.table[columns])


def test_a_set_is_named_by_its_vehicles_whichever_lists_are_there(root):
    trees.write(root / "train_test_split/test_list_2400.txt", trees.VEHICLEID["1600"])
    (root / "train_test_split/test_list_1600.txt").unlink()
    sets = vehicleid.load(root).sized()
    assert {size: (test.name, test.vehicles) for size, test in sets.items()} == {
        "small": ("800", 800), "large": ("2400", 2400),
    }  # fmt: skip


def test_a_vehicle_that_is_trained_on_is_not_tested(root):
    path = root / "train_test_split/test_list_800.txt"
    trees.write(path, [*trees.VEHICLEID["800"], "0000010 15"])
    trees.write(
        root / "attribute/img2vid.txt", ["0000010 15", *(root / "attribute/img2vid.txt").read_text().split("\n")]
    )
    with pytest.raises(
        DatasetError, match=r"test_list_800.txt: 1 .*vehicle that train_list.txt trains on \(line 4: '15'"
    ):
        vehicleid.load(root)


def test_a_folder_without_test_lists_is_refused(root):
    for path in root.glob("train_test_split/test_list_*"):
        path.unlink()
    with pytest.raises(DatasetError, match="holds no test list.*test_list_800.txt"):
        vehicleid.load(root)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("vehicleid")
    return root, layout.write(rendered_source("smoke", 0), root)


def test_rendered_vehicles_come_back(exported):
    root, names = exported
    source, dataset = rendered.load("smoke"), vehicleid.load(root)
    before = source.manifest.rows("train", "gallery")
    after = dataset.manifest.table.set_index(["split", "image"])
    after = after.loc[list(zip(before["split"], names.loc[list(zip(before["split"], before["image"], strict=True))],
                               strict=True))].reset_index()  # fmt: skip
    assert len(after) == len(dataset.manifest.table) == len(before)
    pairs = pd.DataFrame({"before": before["vehicle_id"], "after": after["vehicle_id"]}).drop_duplicates()
    assert pairs["before"].is_unique and pairs["after"].is_unique and "0" in set(pairs["after"])
    labelled = after["vehicle_id"].astype(int) % 2 == 0  # the rest has no labels in this layout
    known = labelled & before["color"].isin(vehicleid.COLORS)
    assert known.any() and (after["color"].notna() == known).all() and (after["model"].notna() == labelled).all()
    assert (after["color"] == before["color"])[known].all() and (after["model"] == before["model"])[labelled].all()
    assert [len(test.gallery) for test in dataset.tests] == [24, 48, 72]
    assert {test.name for test in dataset.tests} == {"800", "1600", "2400"}


def test_pixels_and_bytes_come_back(exported):
    root, names = exported
    source, dataset = rendered.load("smoke"), vehicleid.load(root)
    for (_, image), name in names.iloc[::40].items():
        assert np.array_equal(dataset.read(name), source.read(image))
        assert np.array_equal(dataset.read_mask(name), source.read_mask(image))
        assert (root / name).read_bytes() == rendered.world("smoke").jpeg(image)


def test_a_dataset_is_parsed_again_only_when_its_files_changed(root):
    source = DataSource("vehicleid", str(root))
    first = load(source)
    assert load(source) is first
    trees.write(root / "train_test_split/test_list_1600.txt", trees.VEHICLEID["1600"][:2])
    assert len(load(source).tests[1].gallery) == 2 and load(source) is not first


def test_whoever_has_other_counts_is_told_so(root):
    differences = release.deviations("vehicleid", vehicleid.load(root))
    assert "800 has 2 vehicles, the release 800" in differences and len(differences) == 8
    assert release.deviations("rendered", rendered.load("smoke")) == []
