"""The check of a folder: counts beside the release's, images decoded, and a last line that says what to do."""

import shutil
from dataclasses import replace

import pytest
from PIL import Image

from reidlib.data.files import DatasetError
from reidpapers.check.official import check, overview
from reidpapers.run.datasets import BENCHMARKS
from reidpapers.vehicles.export import LAYOUTS, rendered_source

COUNTS = {
    "train": {"images": 144, "vehicles": 24, "cameras": 4},
    "query": {"images": 30},
    "gallery": {"images": 72, "vehicles": 12, "tracks": 30},
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("check") / "veri776"
    root.mkdir()
    LAYOUTS["veri776"](rendered_source("smoke", 0), root)
    return root


@pytest.fixture
def tree(exported, tmp_path):
    """A copy that a test may harm."""
    return shutil.copytree(exported, tmp_path / "VeRi")


def release(monkeypatch, counts):
    monkeypatch.setitem(BENCHMARKS, "veri776", replace(BENCHMARKS["veri776"], release=counts))


def test_a_folder_that_is_the_release_is_ready(exported, monkeypatch):
    release(monkeypatch, COUNTS)
    report, usable = check("veri776", exported)
    assert usable and report.splitlines()[-1] == "ready" and "deviation" not in report
    assert "VeRi-776 in" in report and "144 (144)" in report and "12 (12)" in report
    assert "200 of 200 sampled ones can be decoded" in report
    known = next(line for line in report.splitlines() if line.startswith("train") and "%" in line).split()
    assert known[1:] == ["100.0%", "100.0%", "100.0%", "0.0%", "100.0%", "100.0%", "100.0%"]  # no model in this layout


def test_every_deviation_is_named_and_the_rest_can_be_used(exported, monkeypatch):
    release(monkeypatch, COUNTS | {"query": {"images": 31, "vehicles": 12}, "extra": {"images": 5}})
    report, usable = check("veri776", exported)
    assert usable
    assert [line for line in report.splitlines() if line.startswith("deviation")] == [
        "deviation: query has 30 images, the release 31",
        "deviation: extra has 0 images, the release 5",
    ]
    assert report.splitlines()[-1].startswith("ready to run, but this is not the release as published (2 deviations")


def test_an_exported_tree_is_not_the_release(exported):
    report, usable = check("veri776", exported)
    assert usable and "train has 144 images, the release 37,778" in report and "ready to run, but" in report


def test_a_truncated_image_is_found_and_makes_it_unusable(tree):
    image = next((tree / "image_train").iterdir())
    image.write_bytes(image.read_bytes()[:-200])
    report, usable = check("veri776", tree, sample=10**6)
    assert not usable and "245 of 246 sampled ones can be decoded" in report and image.name in report
    assert report.splitlines()[-1].startswith("not ready: fetch the images named above again")


def test_the_sample_is_even_and_as_large_as_asked(tree):
    for image in (tree / "image_train").iterdir():
        Image.new("RGB", (4, 4)).save(image, "JPEG")
    assert "7 of 7 sampled ones" in check("veri776", tree, sample=7)[0]
    images = sorted(path.name for path in (tree / "image_train").iterdir())
    (tree / "image_train" / images[-1]).write_bytes(b"")  # the last of all, by name
    assert "6 of 7 sampled ones" in check("veri776", tree, sample=7)[0]


def test_an_absent_image_and_an_absent_folder_are_errors(tree):
    image = next((tree / "image_query").iterdir())
    image.unlink()
    with pytest.raises(DatasetError, match=f"1 of .*images.*{image.name}"):
        check("veri776", tree)
    with pytest.raises(FileNotFoundError, match="VeRi-776 was not found"):
        check("veri776", tree / "image_train")


def test_the_overview_says_where_each_is_or_whom_to_ask(exported, monkeypatch):
    monkeypatch.setenv("REIDLIB_DATA", str(exported.parent))
    text = overview()
    assert f"veri776: VeRi-776, found in {exported}" in text and str(exported.parent) in text.splitlines()[0]
    for name, benchmark in BENCHMARKS.items():
        assert name == "veri776" or f"{name}: {benchmark.title}, not found (as {name}, " in text
        assert name == "veri776" or benchmark.ask in text
