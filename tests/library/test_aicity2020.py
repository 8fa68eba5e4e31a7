"""AI City 2020: real and simulated part, tracks, attributes and held-out vehicles; contradictions refused."""

import pickle
import shutil

import pandas as pd
import pytest
import trees
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_export import plain_source

from reidlib.data import aicity2020
from reidlib.data.files import DatasetError
from reidpapers.check.official import remarks
from reidpapers.vehicles import rendered
from reidpapers.vehicles.export import LAYOUTS

REAL, SIMULATED = aicity2020.REAL, aicity2020.SIMULATION
TEXTS = (
    f"{REAL}/train_label.xml", f"{REAL}/name_train.txt", f"{REAL}/train_track_id.txt", f"{REAL}/attributes.csv",
    f"{SIMULATED}/train_label.xml",
)  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("city") / "AIC20_track2"
    folder.mkdir()
    LAYOUTS["aicity2020"](plain_source(), folder)
    return folder


@pytest.fixture
def tree(written, tmp_path):
    return shutil.copytree(written, tmp_path / "AIC20_track2")


def lines(path):
    return path.read_text().split("\n")[:-1]


def put(path, content):
    path.write_text("".join(f"{line}\n" for line in content))


def real(dataset, splits=("train", "gallery")):
    """The rows of real images, queries left out: they are in the gallery, too."""
    table = dataset.manifest.rows(*splits)
    return table[~table["vehicle_id"].str.startswith("sim_")].reset_index(drop=True)


def test_a_fifth_of_the_vehicles_is_held_out(tree):
    dataset = aicity2020.BENCHMARK.load(aicity2020.BENCHMARK.find(tree.parent))
    rows, query = real(dataset), dataset.manifest.rows("query")
    train, gallery = (rows[rows["split"] == split] for split in ("train", "gallery"))
    assert len(rows) == 144 and rows["image"].is_unique
    assert train["vehicle_id"].nunique() == 19 and gallery["vehicle_id"].nunique() == 5
    assert set(train["vehicle_id"]).isdisjoint(gallery["vehicle_id"])
    assert set(query["image"]) <= set(gallery["image"])
    assert len(query) == len(gallery.drop_duplicates(["vehicle_id", "camera_id"]))
    assert not query.duplicated(["vehicle_id", "camera_id"]).any()
    assert [test.protocol for test in dataset.tests] == ["aicity2020"]
    assert pickle.loads(pickle.dumps(dataset.read))(rows["image"][0]).shape == (4, 6, 3)
    assert "114 real and 144 simulated" in dataset.note and "5 training vehicles held out" in dataset.note
    assert aicity2020.load(tree).manifest.digest == dataset.manifest.digest


def test_simulated_vehicles_train_only_and_never_collide(tree):
    rows = aicity2020.load(tree).manifest.table
    simulated = rows[rows["vehicle_id"].str.startswith("sim_")]
    assert len(simulated) == 144 and (simulated["split"] == "train").all()
    assert simulated["color"].notna().all() and simulated["track_id"].isna().all()
    assert set(simulated["camera_id"]).isdisjoint(real(aicity2020.load(tree))["camera_id"])
    without = aicity2020.load(tree, simulated=False)
    pd.testing.assert_frame_equal(without.manifest.rows("train", "gallery"), real(aicity2020.load(tree)))
    pd.testing.assert_frame_equal(without.manifest.rows("query"), aicity2020.load(tree).manifest.rows("query"))
    (tree / SIMULATED / "image_train").rename(tree / SIMULATED / "sys_image_train")
    assert len(aicity2020.load(tree).manifest.table) == len(rows)
    shutil.rmtree(tree / SIMULATED)
    assert len(aicity2020.load(tree).manifest.table) == len(without.manifest.table)


def test_simulated_codes_count_from_zero(tree):
    path = tree / SIMULATED / "train_label.xml"
    item = lines(path)[3]
    name, head = item.split('"')[1], item[: item.index("colorID")]
    for codes, wanted in (('"0" typeID="0"', ("yellow", "sedan")), ('"11" typeID="10"', ("pink", "RV"))):
        changed = f'{head}colorID={codes} orientation="12.5" />'
        put(path, [changed if name in line else line for line in lines(path)])
        row = aicity2020.load(tree).manifest.table.set_index("image").loc[f"{SIMULATED}/image_train/{name}"]
        assert (row["color"], row["type"]) == wanted


def test_the_real_part_may_be_named_itself(tree):
    whole = aicity2020.load(tree).manifest
    assert aicity2020.load(tree / REAL).manifest.digest == whole.digest
    shutil.copytree(tree / REAL, tree.parent / "mine")
    alone = real(aicity2020.load(aicity2020.BENCHMARK.find(tree.parent / "mine")))
    assert len(alone) == 144 and alone["image"].str.startswith("image_train/").all()


def test_without_attributes_colour_and_type_are_missing(tree):
    (tree / REAL / "attributes.csv").unlink()
    assert real(aicity2020.load(tree))[["color", "type"]].isna().all(axis=None)
    put(tree / REAL / "attributes.csv", ["vehicle_id,color,type", "1,red,", "0002, blue ,suv"])
    rows = real(aicity2020.load(tree)).drop_duplicates("vehicle_id").set_index("vehicle_id")
    assert rows.loc["0001", "color"] == "red" and pd.isna(rows.loc["0001", "type"])
    assert (rows.loc["0002", "color"], rows.loc["0002", "type"]) == ("blue", "suv")
    assert rows["color"].notna().sum() == 2


def test_track_numbers_go_before_track_names(tree):
    folder, before = tree / REAL, aicity2020.load(tree)
    # A known copy of the list by names lacks each line's last image.
    put(folder / "train_track.txt", [line.rsplit(" ", 1)[0] for line in lines(folder / "train_track.txt")])
    assert aicity2020.load(tree).manifest.digest == before.manifest.digest
    (folder / "train_track_id.txt").unlink()
    rows = real(aicity2020.load(tree))
    known = rows["track_id"].notna()
    assert 0 < (~known).sum() <= rows["track_id"].nunique()
    assert rows.loc[known, "track_id"].tolist() == real(before).loc[known, "track_id"].tolist()
    (folder / "train_track.txt").unlink()
    assert real(aicity2020.load(tree))["track_id"].isna().all()


def test_a_list_of_tracks_without_each_lines_last_image_is_explained(tree):
    folder = tree / REAL

    def told():
        return remarks("aicity2020", tree, aicity2020.load(tree))

    assert told() == []
    put(folder / "train_track.txt", [line.rsplit(" ", 1)[0] for line in lines(folder / "train_track.txt")])
    (folder / "train_track_id.txt").unlink()
    (remark,) = told()
    assert "of 144 real images have no track: known copies of train_track.txt lack the last image" in remark
    (folder / "train_track.txt").unlink()
    assert told() == ["no image has a track: train_track_id.txt or train_track.txt is needed for that"]
    assert aicity2020.BENCHMARK.find(folder) == folder


def test_the_names_of_2021_are_known(tree):
    before = aicity2020.load(tree).manifest
    (tree / REAL).rename(tree / "AIC21_Track2_ReID")
    (tree / SIMULATED).rename(tree / "AIC21_Track2_ReID_Simulation")
    manifest = aicity2020.load(aicity2020.BENCHMARK.find(tree)).manifest
    assert manifest.counts() == before.counts()
    assert manifest.table["image"].str.startswith("AIC21_Track2_ReID").all()


def edit(name, work):
    return lambda tree: put(tree / name, work(lines(tree / name)))


def cut(name, letters):
    return lambda tree: (tree / name).write_bytes((tree / name).read_bytes()[:-letters])


LABEL, NAMES, TRACKS, COLORS, SIMULATED_LABEL = TEXTS


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (edit(LABEL, lambda old: [*old[:4], old[3], *old[4:]]), r"train_label.xml: 1 of .*a second time \(line 5"),
        (edit(LABEL, lambda old: [*old[:3], *old[4:]]), r"name_train.txt: 1 of .*train_label.xml does not label"),
        (edit(LABEL, lambda old: [old[0], "<!DOCTYPE a>", *old[1:]]), "train_label.xml, line 2: a document type"),
        (cut(LABEL, 30), "train_label.xml, line 147: "),
        (edit(NAMES, lambda old: old[:-1]), r"train_label.xml: 1 of .*name_train.txt does not name"),
        (edit(NAMES, lambda old: [*old, old[0]]), r"name_train.txt: 1 of .*a second time \(line 145"),
        (edit(NAMES, lambda old: ["/000001.jpg", *old[1:]]), "name_train.txt: 1 of .*form.*line 1"),
        (edit(NAMES, lambda old: ["../../000001.jpg", *old[1:]]), "name_train.txt: 1 of .*form.*line 1"),
        (cut(NAMES, 3), "name_train.txt: 1 of .*form.*line 144"),
        (
            edit(TRACKS, lambda old: [old[0] + old[-1], *old[1:-1]]),
            r"train_track_id.txt: 1 of .*several vehicles \(line 1",
        ),
        (edit(TRACKS, lambda old: [old[0] + "999", *old[1:]]), r"train_track_id.txt: 1 of .*does not label \(line 1"),
        (edit(TRACKS, lambda old: [*old, old[0].split()[0]]), r"train_track_id.txt: 1 of .*in a track already"),
        (edit(TRACKS, lambda old: [*old, "x"]), "train_track_id.txt: 1 of .*form"),
        (edit(COLORS, lambda old: [*old, old[1]]), r"attributes.csv: 1 of .*a second time \(line 26"),
        (edit(COLORS, lambda old: [*old, "12,red"]), "attributes.csv: 1 of .*form.*line 26"),
        (
            edit(SIMULATED_LABEL, lambda old: [*old[:3], old[3].replace('typeID="', 'typeID="1'), *old[4:]]),
            r"train_label.xml: 1 of .*typeID.* 0 to 10 \(line 4",
        ),
        (lambda tree: (tree / LABEL).unlink(), "train_label.xml is absent"),
        (lambda tree: shutil.rmtree(tree / REAL / "image_train"), "144 of 288 images of AI City 2020 are not in"),
        (lambda tree: shutil.rmtree(tree / SIMULATED / "image_train"), "neither image_train nor sys_image_train"),
    ],
)
def test_refusals_name_file_and_line(tree, harm, message):
    harm(tree)
    with pytest.raises(DatasetError, match=message):
        aicity2020.load(tree)


def test_a_set_without_enough_vehicles_is_refused(tree):
    label = tree / LABEL
    vehicles = {line.split('"')[3] for line in lines(label) if "<Item " in line}
    kept = sorted(vehicles)[:2]
    put(label, [line for line in lines(label) if "<Item " not in line or line.split('"')[3] in kept])
    for name in (NAMES, TRACKS):
        (tree / name).unlink()
    (tree / REAL / "train_track.txt").unlink()
    with pytest.raises(DatasetError, match="2 vehicles, of which 2 are to be held out"):
        aicity2020.load(tree)


def test_an_absent_dataset_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="AI City 2020, track 2 was not found.*Ask the challenge"):
        aicity2020.BENCHMARK.find(tmp_path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(TEXTS), data=st.data())
def test_mutated_files_load_or_make_one_error(written, name, data):
    with trees.mutated(written, name, data):
        try:
            assert len(aicity2020.load(written).manifest.table) >= 200
        except DatasetError as error:
            assert str(written) in str(error)


def test_labels_survive_a_rendered_preset(tree):
    train = rendered.load("smoke").manifest.rows("train").groupby("vehicle_id")[["color", "type"]].first()
    rows = real(aicity2020.load(tree)).groupby("vehicle_id")[["color", "type"]].first()
    pd.testing.assert_frame_equal(rows, train)
