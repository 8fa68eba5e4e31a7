"""The door of the official datasets: encodings, lists, names, sizes and pictures, each refusal in one clear error."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from reidlib.data import files, pictures
from reidlib.data.files import Benchmark, DatasetError, Form

PAIR = Form(r"(?P<image>\d{7}) (?P<vehicle>\d+)", "0000001 5")


@pytest.fixture
def listing(tmp_path):
    def write(content):
        path = tmp_path / "list.txt"
        path.write_bytes(content)
        return path

    return write


def picture(mode="RGB", size=(8, 6), form="JPEG"):
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(out, form)
    return out.getvalue()


def huge_png(width, height):
    """A picture whose header claims a size that its data do not bear out."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(b"\0")]
    parts = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def huge_jpeg(width, height):
    """The same as a JPEG."""
    data = bytearray(picture())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def test_text_is_utf8_or_gbk(listing):
    for encoding in ("utf-8", "utf-8-sig", "gbk", "gb2312"):
        assert files.text(listing("五菱荣光 0".encode(encoding))) == "五菱荣光 0"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a\nb\0c", "line 2: binary data"), (b"a\n\n\xff\xff", "line 3: neither UTF-8 nor GBK")],
)
def test_binary_garbage_is_named_with_its_line(listing, content, message):
    path = listing(content)
    with pytest.raises(DatasetError, match=message) as error:
        files.text(path)
    assert str(path) in str(error.value)


def test_an_absent_file_and_a_folder_in_its_place(tmp_path):
    with pytest.raises(DatasetError, match="list.txt is absent"):
        files.text(tmp_path / "list.txt")
    with pytest.raises(DatasetError, match="cannot be read"):
        files.text(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read all")
def test_wrong_permissions_are_said(listing, tmp_path):
    path = listing(b"0000001 1\n")
    path.chmod(0)
    with pytest.raises(DatasetError, match="check its permissions"):
        files.text(path)
    (tmp_path / "shut").mkdir(mode=0)
    with pytest.raises(DatasetError, match="check its permissions"):
        files.sizes(tmp_path, ["shut/a.jpg"], listed_in="a list")


def test_fields_keep_line_numbers(listing):
    found = files.fields(listing(b"\r\n0000001 5\r\n\n  0000002 0  \n0000003 7"), PAIR)
    assert found.to_dict("index") == {
        2: {"image": "0000001", "vehicle": "5"},
        4: {"image": "0000002", "vehicle": "0"},
        5: {"image": "0000003", "vehicle": "7"},
    }


def test_a_header_may_be_there_or_not(listing):
    for head in (b"", b"id/image; camera\n"):
        found = files.fields(listing(head + b"0000001 5\n"), PAIR, header="id/image.*")
        assert found["vehicle"].tolist() == ["5"]
    with pytest.raises(DatasetError, match="line 2: 'id/image; camera'"):
        files.fields(listing(b"0000001 5\nid/image; camera\n"), PAIR, header="id/image.*")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"0000001 5\n000000", "1 of its lines do not have the form '0000001 5' .*line 2: '000000'"),
        (b"x\n" * 12, "12 of its lines .*line 1: 'x'; .*line 10: 'x'\\)$"),
        (b"", "lists nothing"),
        (b"\n \r\n", "lists nothing"),
    ],
)
def test_wrong_lines_are_counted_and_the_first_ten_named(listing, content, message):
    with pytest.raises(DatasetError, match=message):
        files.fields(listing(content), PAIR)


def test_a_list_of_names_has_none_twice(listing):
    assert files.listed(listing(b"a.jpg\nb.jpg\n"), Form(r"\w\.jpg", "a.jpg")).tolist() == ["a.jpg", "b.jpg"]
    with pytest.raises(DatasetError, match=r"1 of its lines name an image a second time \(line 3: 'a.jpg'\)"):
        files.listed(listing(b"a.jpg\nb.jpg\na.jpg\n"), Form(r"\w\.jpg", "a.jpg"))


@given(data=st.one_of(st.binary(max_size=60), st.text(alphabet="0123456789 \n\r\0é/", max_size=60).map(str.encode)))
@settings(max_examples=80)
def test_random_lists_parse_or_make_one_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "random.txt"
    path.write_bytes(data)
    try:
        found = files.fields(path, PAIR)
    except DatasetError as error:
        assert str(path) in str(error)
    else:
        assert found.notna().all(axis=None) and found.index.is_unique


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.jpg", "a/../../b.jpg", "a/..", "C:\\a.jpg", "a\\b.jpg", "a\0b"])
def test_names_that_lead_outside_are_refused(tmp_path, name):
    names = pd.Series(["a/b.jpg", name, "c..d.jpg"], index=[1, 2, 3])
    with pytest.raises(DatasetError, match=r"1 of its lines name a file outside .*line 2"):
        files.refuse_unsafe(tmp_path / "list.txt", names)
    files.refuse_unsafe(tmp_path / "list.txt", names.drop(2))


def test_sizes_count_what_is_absent(tmp_path):
    (tmp_path / "a").mkdir()
    for number in range(3):
        (tmp_path / "a" / f"{number}.jpg").write_bytes(b"x" * number)
    (tmp_path / "top.jpg").write_bytes(b"1234")
    (tmp_path / "a" / "folder.jpg").mkdir()
    assert files.sizes(tmp_path, ["a/2.jpg", "top.jpg", "a/0.jpg"], listed_in="a list").tolist() == [2, 4, 0]
    absent = [f"b/{number}.jpg" for number in range(11)] + ["a/folder.jpg"]
    with pytest.raises(DatasetError, match="12 of 13 images of a list are not in .*: b/0.jpg, .*b/9.jpg$"):
        files.sizes(tmp_path, ["a/1.jpg", *absent], listed_in="a list")


def test_origin_follows_names_and_sizes():
    origins = {
        files.origin("set", ["a.jpg", "b.jpg"], np.array([1, 2])),
        files.origin("set", ["a.jpg", "b.jpg"], np.array([1, 3])),
        files.origin("set", ["a.jpg", "c.jpg"], np.array([1, 2])),
    }
    assert len(origins) == 3


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_pictures_of_any_mode_become_rgb(tmp_path, mode):
    (tmp_path / "a.jpg").write_bytes(picture(mode))
    pixels = pictures.read_image(tmp_path, "a.jpg")
    assert pixels.shape == (6, 8, 3) and pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (picture()[:300], "a.jpg cannot be decoded: (?i:.*truncated)"),
        (picture()[:20], "a.jpg cannot be decoded"),
        (b"", "a.jpg cannot be decoded"),
        (b"no picture at all", "a.jpg cannot be decoded"),
        (huge_png(50_000, 50_000), "a.jpg cannot be decoded: .*2500000000 pixels"),
        (huge_jpeg(50_000, 50_000), "a.jpg cannot be decoded: .*2500000000 pixels"),
        (huge_png(9_000, 9_000), "a.jpg: 9000 x 9000 pixels are refused as too large"),
        (huge_png(11_000, 11_000), "a.jpg: 11000 x 11000 pixels are refused as too large"),
    ],
)
def test_a_bad_picture_is_named(tmp_path, content, message, recwarn):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        pictures.read_image(tmp_path, "a.jpg")
    assert not recwarn.list


def test_an_absent_picture_is_named(tmp_path):
    with pytest.raises(DatasetError, match="a.jpg cannot be decoded: .*No such file"):
        pictures.read_image(tmp_path, "a.jpg")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_pictures_decode_or_make_one_error(tmp_path, data):
    content = bytearray(picture(form=data.draw(st.sampled_from(["JPEG", "PNG"]))))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    (tmp_path / "a.jpg").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        pixels = pictures.read_image(tmp_path, "a.jpg")
    except DatasetError as error:
        assert "a.jpg" in str(error)
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3


def test_masks_lie_beside_their_images(tmp_path):
    images = pd.Series(["a/1.jpg", "a/2.jpg", "b.c/3.jpg"])
    assert pictures.masks(tmp_path, images).isna().all()
    (tmp_path / "a").mkdir()
    (tmp_path / "mask" / "a").mkdir(parents=True)
    (tmp_path / "a" / "1.jpg").write_bytes(picture())
    (tmp_path / "mask" / "a" / "1.png").write_bytes(picture("L", form="PNG"))
    found = pictures.masks(tmp_path, images)
    assert found.isna().tolist() == [False, True, True] and found[0] == pictures.mask_name("a/1.jpg") == "mask/a/1.png"
    for name in ("a/1.jpg", "mask/a/1.png"):
        mask = pictures.read_mask_of(tmp_path, name)
        assert mask.shape == (6, 8) and set(np.unique(mask)) == {0, 255}
    (tmp_path / "mask" / "a" / "1.png").write_bytes(picture("L", size=(6, 8), form="PNG"))
    with pytest.raises(DatasetError, match=r"1.png: the mask has 8x6 pixels, its image \(6, 8\)"):
        pictures.read_mask_of(tmp_path, "mask/a/1.png")


@pytest.fixture
def benchmark():
    return Benchmark("set", "The Set", ("Set_V1",), ("list.txt",), "Ask me.", "A paper.", {}, lambda root: None, "veri")


@pytest.mark.parametrize("below", [".", "set", "Set_V1"])
def test_a_dataset_is_found_in_the_folder_or_just_below(benchmark, tmp_path, below):
    (tmp_path / below).mkdir(exist_ok=True)
    (tmp_path / below / "list.txt").write_text("")
    assert benchmark.find(tmp_path) == tmp_path / below


def test_a_dataset_is_found_where_it_was_unpacked_twice(benchmark, tmp_path):
    (tmp_path / "set" / "set").mkdir(parents=True)
    (tmp_path / "set" / "set" / "list.txt").write_text("")
    assert benchmark.find(tmp_path) == tmp_path / "set" / "set" == benchmark.find(tmp_path / "set")
    (tmp_path / "data" / "data").mkdir(parents=True)
    (tmp_path / "data" / "data" / "list.txt").write_text("")
    with pytest.raises(DatasetError, match="The Set could be any of .*: name its folder"):
        benchmark.find(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"not found: .*empty holds nothing"):
        (tmp_path / "set" / "empty").mkdir()
        benchmark.find(tmp_path / "set" / "empty")


def test_a_dataset_is_looked_for_in_the_data_folder(benchmark, tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="The Set was not found: none of .*Set_V1 holds list.txt. Ask me."):
        benchmark.find()
    (tmp_path / "Set_V1").mkdir()
    (tmp_path / "Set_V1" / "list.txt").write_text("")
    assert benchmark.find() == tmp_path / "Set_V1"
    assert benchmark.find(None) != benchmark.candidates(tmp_path)[0]


def test_what_may_not_be_read_is_named_whoever_runs_this(tmp_path, monkeypatch):
    """As the tests of real permissions say it, which root cannot see fail."""

    def forbidden(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "list.txt").write_text("a.jpg\n")
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(DatasetError, match=r"list\.txt cannot be read: Permission denied; check its permissions"):
        files.text(tmp_path / "list.txt")
    monkeypatch.setattr(files.os, "scandir", forbidden)
    with pytest.raises(DatasetError, match="cannot be read: Permission denied; check its permissions"):
        files.sizes(tmp_path, ["image/a.jpg"], listed_in="a set")
    with pytest.raises(DatasetError, match=r"a\.jpg cannot be decoded: .*Permission denied"):
        pictures.read_image(tmp_path, "a.jpg")
