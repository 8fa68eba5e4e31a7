"""The check of a folder of pictures: twins, lone vehicles, a contact sheet, and what is not ready."""

import os
from pathlib import Path

import pytest
import trees
from PIL import Image

from reidpapers.__main__ import main
from reidpapers.check.folder import check

NAMES = [f"v{vehicle}_c{camera}_{shot}.jpg" for vehicle in range(6) for camera in (1, 2) for shot in (0, 1)]
PHOTOGRAPHS = Path(os.environ["REIDLIB_OWN_DATA"], "photographs")


@pytest.fixture
def root(tmp_path):
    trees.pictures(tmp_path, NAMES)
    return tmp_path


def test_the_check_names_twins_and_lone_vehicles_and_draws_a_sheet(root, capsys):
    (root / "v5_c2_1.jpg").write_bytes((root / "v5_c2_0.jpg").read_bytes())
    Image.new("RGB", (5, 5)).save(root / "v9_c1_0.jpg")
    sheet = root.parent / "sheet.png"
    assert main(["data", "check", "folder", "--data_root", str(root), "--sheet", str(sheet)]) == 0
    printed = capsys.readouterr().out
    assert "vehicles with one picture: 1 (v9)" in printed and "v5_c2_0.jpg = v5_c2_1.jpg" in printed
    assert printed.splitlines()[-1] == "ready" and Image.open(sheet).size[0] == 768
    (root / "v0_c1_0.jpg").write_bytes(b"no picture")
    report, usable = check(root)
    assert not usable and "v0_c1_0.jpg cannot be decoded" in report


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no photographs in REIDLIB_DATA")
def test_real_photographs(tmp_path):
    report, usable = check(PHOTOGRAPHS, tmp_path / "sheet.png")
    assert usable and "218 of 109 vehicles" in report and "tests by the rule 'veri'" in report
    assert "train       110 images, 55 vehicles, 2 cameras" in report
    assert "gallery     108 images, 54 vehicles, 2 cameras" in report
    assert "vehicles with one picture: 0" in report and Image.open(tmp_path / "sheet.png").height == 12 * 96
