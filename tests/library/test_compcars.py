"""CompCars: values by hand, drawn pairs, and rendered vehicles there and back."""

import numpy as np
import pandas as pd
import pytest
import trees
from scipy.io import savemat

from reidlib.data import compcars
from reidlib.data.files import DatasetError
from reidpapers.vehicles import rendered
from reidpapers.vehicles.export import compcars as layout
from reidpapers.vehicles.export.source import rendered_source


@pytest.fixture
def root(tmp_path):
    trees.compcars(tmp_path)
    return tmp_path


def test_lists_and_labels_by_hand(root):
    dataset = compcars.load(root)
    table = dataset.manifest.table
    assert table["image"].tolist() == [
        f"data/image/{name}" for name in [*trees.COMPCARS_TRAIN, *trees.COMPCARS_REST,
        "3/31/2010/bb01.jpg", "3/31/2010/bb02.jpg", "3/32/2012/bb03.jpg"]
    ]  # fmt: skip
    assert table["split"].tolist() == ["train"] * 4 + ["gallery"] * 3
    assert table["vehicle_id"].tolist() == ["11", "11", "12", "21", "31", "31", "32"]
    assert table["model"].tolist() == ["1/11", "1/11", "1/12", "2/21", "3/31", "3/31", "3/32"]
    assert table["type"].fillna("-").tolist() == ["3", "3", "-", "-", "2", "2", "-"]  # 0 is unknown
    assert table["bbox"][0] == (1, 0, 5, 4) and table["bbox"][1:].isna().all()  # 2 1 5 4, counted from 1
    assert table[["camera_id", "color", "track_id", "time", "mask"]].isna().all(axis=None)
    assert [(test.name, test.protocol) for test in dataset.tests] == [
        ("easy", "verification"), ("medium", "verification"), ("hard", "verification"),
    ]  # fmt: skip
    pairs = dataset.tests[0].pairs
    assert pairs["same"].tolist() == [True, False, True]
    assert pairs.iloc[1].tolist() == ["data/image/3/31/2010/bb01.jpg", "data/image/3/32/2012/bb03.jpg", False]
    assert len(dataset.tests[0].gallery) == 3
    assert dataset.note == "CompCars (web): 4 training images of 3 car models, 3 images in 9 test pairs."


def test_the_inner_folder_will_do_and_types_have_names_where_the_table_is(root):
    savemat(root / "data/misc/car_type.mat", {"types": np.array([["MPV"], ["SUV"], ["sedan"]], dtype=object)})
    table = compcars.load(root / "data").manifest.table
    assert table["image"][0] == "image/1/11/2010/aa01.jpg"
    assert table["type"].fillna("-").tolist() == ["sedan", "sedan", "-", "-", "SUV", "SUV", "-"]
    savemat(root / "data/misc/car_type.mat", {"types": np.array([["MPV"]], dtype=object)})
    with pytest.raises(DatasetError, match=r"attributes.txt.*a type that car_type.mat does not name \(line 2"):
        compcars.load(root)
    for garbage in (b"", b"MATLAB 5.0", b"\x00" * 200, (root / "data/misc/car_type.mat").read_bytes()[:-9]):
        (root / "data/misc/car_type.mat").write_bytes(garbage)
        with pytest.raises(DatasetError, match="car_type.mat cannot be read as a Matlab table"):
            compcars.load(root)


@pytest.mark.parametrize("place, bit", [(144, 4), (144, 8), (200, 128)])
def test_a_changed_byte_of_the_table_of_names_never_takes_the_process_along(root, place, bit):
    """At the first two SciPy 1.17's reader crashes."""
    path = root / "data/misc/car_type.mat"
    savemat(path, {"types": np.array([["MPV"], ["SUV"], ["sedan"]], dtype=object)})
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= bit
    path.write_bytes(damaged)
    try:
        assert len(compcars.load(root).manifest.table) == 7
    except DatasetError as error:
        assert "car_type.mat" in str(error)


def test_a_label_that_belies_the_models_is_refused(root):
    path = root / "data/train_test_split/verification/verification_pairs_medium.txt"
    trees.write(path, [trees.PAIRS[0], trees.PAIRS[1][:-1] + "1"])
    with pytest.raises(DatasetError, match=r"medium.txt: 1 of its lines belie the models .*line 2"):
        compcars.load(root)


@pytest.mark.parametrize("lines", [["4", "1", "2 1 1 4"], ["4", "1", "0 1 5 4"], ["4", "1", "2 1 5"], ["4"], ["x"] * 3])
def test_a_label_file_without_a_box_is_refused(root, lines):
    trees.write(root / "data/label/1/11/2010/aa01.txt", lines)
    with pytest.raises(DatasetError, match=r"aa01.txt: no viewpoint, 1 and box.*1 of 1 label files"):
        compcars.load(root)


def test_drawn_pairs_are_what_they_say_and_reach_every_image():
    rows = pd.DataFrame({"image": list("abcdefg"), "vehicle_id": ["2", "1", "2", "1", "3", "2", "1"]})
    owner = rows.set_index("image")["vehicle_id"]
    pairs = compcars.draw_pairs(rows, 2001, 0)
    assert len(pairs) == 2001 and pairs["same"].sum() == 1000
    assert ((pairs["first"].map(owner) == pairs["second"].map(owner)) == pairs["same"]).all()
    assert (pairs["first"] != pairs["second"]).all()
    for _, half in pairs.groupby("same"):
        for side in ("first", "second"):
            counts = half[side].value_counts()
            assert counts.max() < 1.5 * counts.min() or side == "second"
    seen = pairs.groupby("same")[["first", "second"]].nunique()
    assert seen.loc[True].tolist() == [6, 6] and seen.loc[False].tolist() == [7, 7]  # e is alone of its vehicle
    assert pairs.equals(compcars.draw_pairs(rows.sample(frac=1, random_state=1), 2001, 0))
    assert not pairs.equals(compcars.draw_pairs(rows, 2001, 1))
    with pytest.raises(DatasetError, match="make no pairs"):
        compcars.draw_pairs(rows[rows["vehicle_id"] == "1"], 10, 0)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("compcars")
    return root, layout.write(rendered_source("smoke", 0), root)


def test_rendered_vehicles_come_back(exported):
    root, names = exported
    before = rendered.load("smoke").manifest.table.set_index(["split", "image"]).loc[names.index]
    dataset = compcars.load(root)
    after = dataset.manifest.table.set_index(["split", "image"])
    after = after.loc[list(zip(names.index.get_level_values(0), names, strict=True))]
    assert len(after) == len(dataset.manifest.table) == 216
    pairs = pd.DataFrame({"before": before["model"].array, "after": after["vehicle_id"].array}).drop_duplicates()
    assert pairs["before"].is_unique and pairs["after"].is_unique
    official = before["type"].isin([name.lower() for name in layout.TYPES])  # no van, bus, truck
    assert (after["type"].notna().to_numpy() == official.to_numpy()).all()
    assert after["type"].str.lower()[official.to_numpy()].tolist() == before["type"][official].tolist()
    assert before["bbox"].tolist() == after["bbox"].tolist()
    owner = after.reset_index().set_index("image")[["vehicle_id", "model"]]
    make = owner["model"].str.partition("/")[0]
    assert [test.name for test in dataset.tests] == ["easy", "medium", "hard"]
    for test in dataset.tests:
        model = [test.pairs[side].map(owner["vehicle_id"]) for side in ("first", "second")]
        assert ((model[0] == model[1]) == test.pairs["same"]).all() and test.pairs["same"].mean() == 0.5
        assert set(test.gallery) == set(dataset.manifest.rows("gallery")["image"])
        assert set(test.threshold_pairs["first"]) <= set(dataset.manifest.rows("train")["image"])
    different = dataset.tests[0].pairs[~dataset.tests[0].pairs["same"]]
    assert (different["first"].map(make) != different["second"].map(make)).all()


def test_pixels_come_back(exported):
    root, names = exported
    source, dataset = rendered.load("smoke"), compcars.load(root)
    for (_, image), name in names.iloc[::40].items():
        assert np.array_equal(dataset.read(name), source.read(image))
        assert np.array_equal(dataset.read_mask(name), source.read_mask(image))
