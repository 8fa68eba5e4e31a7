"""VeRi-776: quirks of the official files are read, contradictions refused with file and line."""

import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
import trees
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_export import plain_source

from reidlib.data import pictures, veri776
from reidlib.data.files import DatasetError
from reidpapers.vehicles import rendered
from reidpapers.vehicles.export import LAYOUTS

TEXTS = (
    "name_train.txt", "name_query.txt", "name_test.txt", "train_label.xml", "test_label.xml", "gt_index.txt",
    "jk_index.txt", "test_track.txt", "camera_Dist.txt",
)  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("veri") / "VeRi"
    folder.mkdir()
    LAYOUTS["veri776"](plain_source(), folder)
    return folder


@pytest.fixture
def tree(written, tmp_path):
    """A copy that a test may change; pictures are links."""
    return shutil.copytree(written, tmp_path / "VeRi", copy_function=shutil.copy)


def change(path, old, new, count=1):
    content = path.read_bytes().decode()
    assert old in content
    path.write_bytes(content.replace(old, new, count).encode())


def lines(path):
    return path.read_bytes().decode().split("\r\n")[:-1]


def put(path, content):
    path.write_bytes("".join(f"{line}\r\n" for line in content).encode())


def test_rows(tree):
    dataset = veri776.BENCHMARK.load(veri776.BENCHMARK.find(tree.parent))
    rows = dataset.manifest.table
    counts = {split: {**found, "models": 0} for split, found in rendered.load("smoke").manifest.counts().items()}
    assert dataset.manifest.counts() == counts, "the layout names no models"
    row = rows.iloc[0]
    vehicle, camera, frame, _ = row["image"].removeprefix("image_train/").split("_")
    assert (row["vehicle_id"], row["camera_id"], row["time"]) == (vehicle, camera, int(frame) / 25)
    assert row["track_id"] == f"{vehicle}_{camera}"
    assert rows.loc[rows["split"] == "gallery", "track_id"].str.fullmatch(r"\d{4}_c\d{3}_1").all()
    assert [test.protocol for test in dataset.tests] == ["veri"] and "144 training images" in dataset.note
    assert dataset.read(row["image"]).shape == (4, 6, 3)
    assert pickle.loads(pickle.dumps(dataset.read_mask))(row["mask"]).shape == (4, 6)


def test_numbers_are_one_based_and_type_zero_is_unknown(tree):
    label = tree / "train_label.xml"
    original = {item.split('"')[1]: item for item in lines(label) if "<Item " in item}
    name, item = next(iter(original.items()))
    head = item[: item.index("colorID")]
    change(label, item, f'{head}colorID="10" typeID="0" />')
    row = veri776.load(tree).manifest.table.set_index("image").loc[f"image_train/{name}"]
    assert row["color"] == "black" and pd.isna(row["type"])
    change(label, f'{head}colorID="10" typeID="0" />', f'{head}colorID="01" typeID="9" />')
    row = veri776.load(tree).manifest.table.set_index("image").loc[f"image_train/{name}"]
    assert (row["color"], row["type"]) == ("yellow", "estate")


def test_training_images_that_lists_and_labels_miss_take_labels_from_their_names(tree):
    before = veri776.load(tree).manifest.table
    name = lines(tree / "name_train.txt")[3]
    put(tree / "name_train.txt", [line for line in lines(tree / "name_train.txt") if line != name])
    put(tree / "train_label.xml", [line for line in lines(tree / "train_label.xml") if name not in line])
    (tree / "image_train" / "Thumbs.db").write_bytes(b"no picture")
    pd.testing.assert_frame_equal(veri776.load(tree).manifest.table, before)


def test_what_no_file_says_is_missing(tree):
    for name in ("test_track.txt", "camera_Dist.txt", "gt_index.txt", "jk_index.txt"):
        (tree / name).unlink()
    shutil.rmtree(tree / "mask")
    label = tree / "test_label.xml"
    label.write_bytes(label.read_bytes().replace(b"colorID=", b"paint="))
    dataset = veri776.load(tree)
    test = dataset.manifest.rows("query", "gallery")
    assert test["color"].isna().all() and test["type"].notna().all() and dataset.manifest.table["mask"].isna().all()
    assert (test["track_id"] == test["vehicle_id"] + "_" + test["camera_id"]).all()
    assert dataset.camera_distances is None and dataset.read_mask is None


def test_tracks_may_be_named_or_not(tree):
    path = tree / "test_track.txt"
    named = veri776.load(tree).manifest.rows("gallery")["track_id"]
    put(path, [line.split(" ", 1)[1] for line in lines(path)])
    unnamed = veri776.load(tree).manifest.rows("gallery")
    assert np.array_equal(pd.factorize(named)[0], pd.factorize(unnamed["track_id"])[0])
    assert unnamed["track_id"].str.fullmatch(r"\d{4}_c\d{3}_\d{8}").all()


def test_distances_may_fill_half_of_their_square(tree):
    whole = veri776.load(tree).camera_distances
    half = np.triu(whole.to_numpy())
    put(tree / "camera_Dist.txt", [" ".join(map(repr, row)) for row in half.tolist()])
    assert np.array_equal(veri776.load(tree).camera_distances, whole)


def test_unix_lines_utf8_and_a_missing_last_line_end_are_fine(tree):
    before = veri776.load(tree).manifest
    for name in TEXTS:
        content = (tree / name).read_bytes().replace(b"\r\n", b"\n").replace(b"gb2312", b"utf-8")
        (tree / name).write_bytes(content.rstrip(b"\n"))
    assert veri776.load(tree).manifest.digest == before.digest


def test_the_digest_tells_other_pixels(tree):
    before = veri776.load(tree).manifest
    (tree / before.table["image"][0]).write_bytes(b"shorter")
    assert veri776.load(tree).manifest.digest != before.digest


def first_item(tree, name):
    return next(line for line in lines(tree / name) if "<Item " in line)


def duplicate_line(name):
    return lambda tree: put(tree / name, [*lines(tree / name), lines(tree / name)[0]])


def cut(name, letters):
    return lambda tree: (tree / name).write_bytes((tree / name).read_bytes()[: -2 - letters])


def first_line(name, new):
    def work(tree):
        old = lines(tree / name)
        put(tree / name, [new(old[0]), *old[1:]])

    return work


def label(name, new):
    def work(tree):
        item = first_item(tree, name)
        change(tree / name, item, new(item))

    return work


def train_image_in_test(tree):
    put(tree / "name_test.txt", [*lines(tree / "name_test.txt"), lines(tree / "name_train.txt")[0]])


def without_queries(tree):
    (tree / "name_query.txt").unlink()
    shutil.rmtree(tree / "image_query")


def without_pictures(tree):
    for path in sorted((tree / "image_test").iterdir())[:12]:
        path.unlink()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (duplicate_line("name_train.txt"), r"name_train.txt: 1 of .* a second time \(line 145"),
        (duplicate_line("name_query.txt"), r"name_query.txt: 1 of .* a second time \(line 31"),
        (train_image_in_test, r"name_test.txt: 1 of .* name_train.txt lists, too \(line 73"),
        (cut("name_test.txt", 2), r"name_test.txt: 1 of .* form .*line 72"),
        (lambda tree: put(tree / "name_query.txt", lines(tree / "name_query.txt")[:-1]), "30 lines for 29 queries"),
        (
            lambda tree: put(tree / "name_test.txt", lines(tree / "name_test.txt")[:-1]),
            r"name_test.txt ends early: 1 im",
        ),
        (first_line("name_train.txt", lambda _: "/etc/passwd"), "name_train.txt: 1 of .*line 1: '/etc/passwd'"),
        (first_line("name_train.txt", lambda old: f"../{old}"), r"name_train.txt: 1 of .*line 1: '\.\./"),
        (first_line("gt_index.txt", lambda old: f"{old} 73"), r"gt_index.txt: 1 of .*not bear out \(line 1"),
        (first_line("gt_index.txt", lambda old: f"{old} 0"), r"gt_index.txt: 1 of .*not bear out \(line 1"),
        (first_line("gt_index.txt", lambda old: old.split(" ", 1)[1]), r"gt_index.txt: 1 of .*once .*\(line 1"),
        (first_line("jk_index.txt", lambda old: "x"), "jk_index.txt: 1 of .*no row of numbers.*line 1"),
        (
            first_line("test_track.txt", lambda old: f"{old} 9999_c001_00000001_1.jpg"),
            r"test_track.txt: .*another vehicle",
        ),
        (
            first_line("test_track.txt", lambda old: f"{old} {old.split()[1]}"),
            r"test_track.txt: 1 of .*already \(line 1",
        ),
        (cut("test_track.txt", 3), "test_track.txt: 1 of .*form"),
        (first_line("camera_Dist.txt", lambda old: f"{old} 5"), r"camera_Dist.txt: 1 of .*not 4 numbers.*line 1"),
        (first_line("camera_Dist.txt", lambda old: f"nan {old}"), "camera_Dist.txt: 1 of .*form.*line 1"),
        (
            first_line("camera_Dist.txt", lambda old: f"1e999{old[1:]}" if old[1] == " " else "1e999 0 0 0"),
            "not finite",
        ),
        (lambda tree: put(tree / "camera_Dist.txt", ["0"]), "camera_Dist.txt: distances of 1 cameras, none of c002"),
        (label("train_label.xml", lambda item: item + item), r"train_label.xml: 1 of .*a second time \(line 4"),
        (
            label("train_label.xml", lambda item: item.replace('ID="c', 'ID="x')),
            "train_label.xml: 1 of .*cameraID.*line 4",
        ),
        (
            label("train_label.xml", lambda item: item.replace('vehicleID="0', 'vehicleID="9')),
            r"train_label.xml: 1 of .*another vehicle or camera .*line 4",
        ),
        (
            label("test_label.xml", lambda item: item.replace('typeID="', 'typeID="1')),
            r"test_label.xml: 1 of .* typeID that is none of 1 to 9 \(line 4",
        ),
        (cut("test_label.xml", 10), "test_label.xml, line .*: "),
        (without_queries, "holds neither name_query.txt nor images in image_query"),
        (lambda tree: (tree / "name_query.txt").write_bytes(b"\x89PNG\n\0"), "name_query.txt, line 2: binary data"),
        (without_pictures, r"12 of 246 images of VeRi-776 are not in .*: (image_test/[^,]*, ){9}image_test/[^,]*$"),
        (lambda tree: shutil.rmtree(tree / "image_train"), "144 of 246 images"),
    ],
)
def test_refusals_name_file_and_line(tree, harm, message):
    harm(tree)
    with pytest.raises(DatasetError, match=message):
        veri776.load(tree)


def test_an_absent_dataset_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="VeRi-776 was not found.* or image_train. Ask its authors"):
        veri776.BENCHMARK.find(tmp_path)


def test_images_alone_are_read_by_their_names(tree):
    whole = veri776.load(tree).manifest.table
    for name in TEXTS:
        (tree / name).unlink()
    dataset = veri776.BENCHMARK.load(veri776.BENCHMARK.find(tree))
    columns = ["image", "split", "vehicle_id", "camera_id", "time"]
    pd.testing.assert_frame_equal(dataset.manifest.table[columns], whole[columns])
    assert dataset.manifest.has() == {*columns, "track_id", "mask"}
    (tree / "image_query" / "photo.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"image_query: 1 .*form '0002_c002_00030600_0.jpg' .*photo.jpg"):
        veri776.load(tree)


def test_unusual_vehicles_and_cameras_are_read(tree):
    before = veri776.load(tree).manifest.counts()
    names = {"0001_c001": "00001_c0001", "0002_c001": "A17_c12"}
    for path in sorted(tree.rglob("*.*"), reverse=True):
        new = path.name
        for old, changed in names.items():
            new = new.replace(old, changed)
        path.rename(path.with_name(new))
    for name in TEXTS:
        (tree / name).unlink()
    seen = veri776.load(tree).manifest.table[["vehicle_id", "camera_id"]].drop_duplicates()
    assert {("00001", "c0001"), ("A17", "c12")} <= set(seen.itertuples(index=False, name=None))
    assert veri776.load(tree).manifest.counts()["train"]["images"] == before["train"]["images"]


def test_a_merged_folder_of_training_images_is_refused(tree):
    for path in (tree / "image_test").iterdir():
        shutil.copy(path, tree / "image_train" / path.name)
    with pytest.raises(
        DatasetError, match=r"72 images in .*image_train are tested: name_test.txt or image_test has them"
    ):
        veri776.load(tree)


def test_a_vehicle_that_is_trained_on_is_not_tested(tree):
    name = lines(tree / "name_test.txt")[0]
    (tree / "image_train" / f"{name[:-5]}9.jpg").write_bytes((tree / "image_test" / name).read_bytes())
    with pytest.raises(
        DatasetError, match=rf"name_test.txt: .*hold a vehicle that name_train.txt trains on.*'{name[:4]}'"
    ):
        veri776.load(tree)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(TEXTS), data=st.data())
def test_mutated_files_load_or_make_one_error(written, name, data):
    with trees.mutated(written, name, data):
        try:
            assert len(veri776.load(written).manifest.table) >= 246
        except DatasetError as error:
            assert str(written) in str(error)


def test_a_mask_of_another_size_is_refused(tree):
    dataset = veri776.load(tree)
    name = dataset.manifest.table["mask"][0]
    (tree / name).write_bytes(rendered.encode(np.zeros((5, 6), np.uint8), "PNG"))
    with pytest.raises(DatasetError, match=r"the mask has 5x6 pixels, its image \(4, 6\)"):
        dataset.read_mask(name)
    assert pictures.mask_name(dataset.manifest.table["image"][0]) == name
