"""Datasets that come as plain lists: whatever is wrong with a file ends with one error that names it."""

import importlib
import os
import re
import shutil
import struct
import tempfile
import zlib
from pathlib import Path

import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reidlib.data.files import DatasetError

LISTS = {
    "vehicleid": ("train_test_split/train_list.txt", "train_test_split/test_list_800.txt", "attribute/img2vid.txt",
                  "attribute/color_attr.txt", "attribute/model_attr.txt", "attribute/color_names.txt",
                  "attribute/model_names.txt"),
    "veriwild": ("train_test_split/train_list.txt", "train_test_split/test_3000.txt",
                 "train_test_split/test_3000_query.txt", "train_test_split/vehicle_info.txt"),
    "vehicle1m": ("train-test-split/train_list.txt", "train-test-split/test_1000.txt"),
    "compcars": ("data/train_test_split/classification/train.txt", "data/train_test_split/classification/test.txt",
                 "data/train_test_split/verification/verification_pairs_hard.txt", "data/misc/attributes.txt"),
}  # fmt: skip
FILES = [(name, path) for name, paths in LISTS.items() for path in paths]
IMAGES = {"vehicleid": "image/0000001.jpg", "veriwild": "images/00001/000004.jpg", "vehicle1m": "image/01/0001.jpg",
          "compcars": "data/image/1/11/2010/aa01.jpg"}  # fmt: skip


def load(name, root):
    return importlib.import_module(f"reidlib.data.{name}").load(root)


@pytest.fixture(scope="module")
def made():
    """Each tree once; tests that change one copy it."""
    with tempfile.TemporaryDirectory() as folder:
        for name in LISTS:
            getattr(trees, name)(Path(folder, name))
        yield Path(folder)


@pytest.fixture
def tree(made, tmp_path):
    def copied(name):
        return Path(shutil.copytree(made / name, tmp_path / name))

    return copied


def contents(folder):
    return {path: path.stat().st_size for path in folder.rglob("*")}


@pytest.mark.parametrize("name", LISTS)
def test_what_is_no_folder_of_the_dataset_is_not_found(name, made, tmp_path):
    benchmark = importlib.import_module(f"reidlib.data.{name}").BENCHMARK
    assert benchmark.find(made / name) == made / name
    for other in set(LISTS) - {name}:  # four datasets of train_list.txt are told apart
        with pytest.raises(FileNotFoundError, match=f"{benchmark.title} was not found.*Ask"):
            benchmark.find(made / other)


@pytest.mark.parametrize(("name", "path"), FILES)
@pytest.mark.parametrize("line", ["/etc/passwd 1 1", "../../secret/0000001.jpg 1 1", "C:\\a.jpg 1 1"])
def test_a_path_out_of_the_folder_is_refused_with_its_line(name, path, line, tree):
    root = tree(name)
    lines = (root / path).read_text().splitlines()
    trees.write(root / path, [*lines[:1], line, *lines[1:]])
    if path.endswith("_names.txt"):  # names are no paths
        line = lines[-1].rpartition(" ")[0]
        trees.write(root / path, [*lines[:1], line, *lines[1:]])
    before = contents(root)
    with pytest.raises(DatasetError, match=rf"{Path(path).name}.*line 2"):
        load(name, root)
    assert contents(root) == before


@pytest.mark.parametrize(("name", "path"), FILES)
@pytest.mark.parametrize("garbage", [b"\x00\x01\x02", b"\xff\xfe\xff\n", b"", b"\n\n"])
def test_binary_and_empty_files_are_refused(name, path, garbage, tree):
    root = tree(name)
    (root / path).write_bytes(garbage)
    with pytest.raises(DatasetError, match=Path(path).name):
        load(name, root)


@pytest.mark.parametrize(("name", "path"), FILES)
def test_a_last_line_cut_anywhere_is_refused_or_changes_nothing(name, path, tree):
    root = tree(name)
    whole, good = load(name, root).manifest, (root / path).read_bytes()
    start = good.rstrip(b"\n").rfind(b"\n") + 1
    (root / path).write_bytes(good.rstrip(b"\n"))
    assert load(name, root).manifest.digest == whole.digest  # a missing line end alone is fine
    refused = 0
    for end in range(start + 1, len(good) - 1):
        (root / path).write_bytes(good[:end])
        try:
            assert load(name, root).manifest.digest == whole.digest, good[start:end]
        except DatasetError as error:
            assert Path(path).name in str(error)
            refused += 1
    assert refused


@pytest.mark.parametrize(("name", "path"), [f for f in FILES if "_names" not in f[1] and "_pairs_" not in f[1]])
def test_an_image_or_a_vehicle_listed_twice_is_refused(name, path, tree):
    root = tree(name)
    lines = (root / path).read_text().splitlines()
    if path.endswith("_attr.txt"):
        lines.append(lines[-1][:-1] + "0" if not lines[-1].endswith("0") else lines[-1][:-1] + "1")
    else:
        lines.append(lines[-1])
    trees.write(root / path, lines)
    with pytest.raises(DatasetError, match=rf"{Path(path).name}: 1 of its lines .*second.*line {len(lines)}"):
        load(name, root)


@pytest.mark.parametrize("name", LISTS)
def test_an_image_for_training_and_for_testing_is_refused(name, tree):
    root = tree(name)
    train, test = LISTS[name][:2]
    if name == "compcars":
        test = LISTS[name][2]
        line = f"{trees.COMPCARS_TRAIN[0]} {trees.COMPCARS_TRAIN[1]} 1"
    else:
        line = (root / train).read_text().splitlines()[0]
    lines = (root / test).read_text().splitlines()
    trees.write(root / test, [*lines, line])
    with pytest.raises(DatasetError, match=rf"{Path(test).name}.*lists, too.*line {len(lines) + 1}"):
        load(name, root)


@pytest.mark.parametrize("name", LISTS)
def test_absent_images_are_counted_and_the_first_ten_named(name, tree):
    root = tree(name)
    images = sorted(set(load(name, root).manifest.table["image"]))
    (root / images[0]).unlink()
    with pytest.raises(DatasetError, match=rf"1 of \d+ images .* are not in .*{re.escape(images[0])}"):
        load(name, root)
    shutil.rmtree(root / ("data/image" if name == "compcars" else images[0].split("/")[0]))
    with pytest.raises(DatasetError, match=rf"{len(images)} of {len(images)} images"):
        load(name, root)


@pytest.mark.parametrize(("name", "path"), FILES)
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(name, path, tree):
    root = tree(name)
    (root / path).chmod(0)
    with pytest.raises(DatasetError, match=f"{Path(path).name} cannot be read"):
        load(name, root)


@pytest.mark.parametrize("name", LISTS)
def test_a_damaged_or_enormous_image_is_named_when_it_is_read(name, tree):
    root, image = tree(name), IMAGES[name]
    assert load(name, root).read(image).shape == (4, 6, 3)
    (root / image).write_bytes((root / image).read_bytes()[:-40])
    with pytest.raises(DatasetError, match=Path(image).name):
        load(name, root).read(image)
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (root / image).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(DatasetError, match="50000 x 50000 pixels are refused|cannot be decoded"):
        load(name, root).read(image)


@pytest.mark.parametrize("name", LISTS)
def test_a_mask_of_another_size_is_refused(name, tree):
    root, image = tree(name), IMAGES[name]
    mask = root / "mask" / Path(image).with_suffix(".png")
    mask.parent.mkdir(parents=True)
    Image.new("L", (6, 4), 255).save(mask)
    dataset = load(name, root)
    assert dataset.manifest.table["mask"].notna().sum() == 1
    assert (dataset.read_mask(image) == 255).all() and dataset.read_mask(image).shape == (4, 6)
    Image.new("L", (5, 4), 255).save(mask)
    with pytest.raises(DatasetError, match=mask.name):
        load(name, root).read_mask(image)


@st.composite
def damaged(draw, good):
    """A file with a few of its bytes changed, removed, doubled or put in; or any bytes at all."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.binary(max_size=60))
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 3))):
        place, other = draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))
        inserted = draw(st.sampled_from([b"", b"/", b"..", b" ", b"\n", b";", b"0", b"9", b"\0", b"\xe4", b"1 1\n"]))
        data[min(place, other) : max(place, other) if draw(st.booleans()) else min(place, other)] = inserted
    return bytes(data)


@pytest.mark.parametrize(("name", "path"), FILES)
def test_damaged_lists_make_a_valid_manifest_or_one_error(name, path, tree):
    root = tree(name)
    good = (root / path).read_bytes()

    @settings(max_examples=15)
    @given(damaged(good))
    def check(content):
        (root / path).write_bytes(content)
        before = contents(root)
        try:
            table = load(name, root).manifest.table
        except DatasetError as error:
            assert str(root) in str(error)
        else:
            assert all((root / image).resolve().is_relative_to(root.resolve()) for image in table["image"])
        assert contents(root) == before

    check()
