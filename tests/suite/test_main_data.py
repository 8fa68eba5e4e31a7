"""The commands on data: exit code 0 for what can be used, 1 for what cannot, 2 for what makes no sense."""

import json
import struct

import pytest

from reidpapers.__main__ import main
from reidpapers.run.datasets import BENCHMARKS
from reidpapers.vehicles.export import LAYOUTS


@pytest.fixture
def tree(tmp_path, capsys):
    """The smoke preset as the command exports it, for a test to harm."""
    assert main(["data", "export", "rendered", "--layout", "veri776", "--preset", "smoke", "--workers", "1", "--out",
                 str(tmp_path / "VeRi")]) == 0  # fmt: skip
    assert f"wrote {tmp_path / 'VeRi'}" in capsys.readouterr().out
    return tmp_path / "VeRi"


def test_an_exported_tree_is_listed_and_checked(tree, monkeypatch, capsys):
    monkeypatch.setenv("REIDLIB_DATA", str(tree.parent))
    assert main(["data", "list"]) == 0
    printed = capsys.readouterr().out
    assert f"veri776: VeRi-776, found in {tree}" in printed
    assert all(f"{name}: {benchmark.title}" in printed for name, benchmark in BENCHMARKS.items())
    assert main(["data", "check", "veri776"]) == 0
    assert "200 of 200 sampled ones" in capsys.readouterr().out
    assert main(["data", "check", "veri776", "--root", str(tree), "--sample", "5"]) == 0
    assert "5 of 5 sampled ones" in capsys.readouterr().out


def test_a_truncated_image_is_not_ready_and_an_absent_one_is_an_error(tree, capsys):
    image = sorted((tree / "image_test").iterdir())[0]
    image.write_bytes(image.read_bytes()[:-200])
    assert main(["data", "check", "veri776", "--root", str(tree), "--sample", "1000"]) == 1
    printed = capsys.readouterr().out
    assert image.name in printed and printed.splitlines()[-1].startswith("not ready")
    image.unlink()
    assert main(["data", "check", "veri776", "--root", str(tree)]) == 2
    assert image.name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "veri"], f"dataset = 'veri' is refused: allowed is folder, {', '.join(BENCHMARKS)}"),
        (["check", "veri776", "--root", "nowhere"], "VeRi-776 was not found: none of nowhere"),
        (["check", "veri776", "--sample", "0"], "--sample = 0 is refused: allowed is a whole number > 0"),
        (["export", "rendered", "--layout", "veri", "--out", "x"], f"allowed is {', '.join(LAYOUTS)}"),
        (["export", "rendered", "--layout", "veri776", "--preset", "tiny", "--out", "x"], "allowed is smoke, small"),
        (["export", "rendered", "--layout", "veri776", "--workers", "0", "--out", "x"], "a whole number > 0"),
        (["export", "rendered", "--layout", "veri776", "--seed", "-1", "--out", "x"], "a whole number >= 0"),
    ],
)
def test_wrong_arguments_are_refused_by_name(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["data", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_export_leaves_a_full_folder_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    out = ["--out", str(tmp_path)]
    assert main(["data", "export", "rendered", "--layout", "veri776", "--preset", "smoke", *out]) == 2
    assert "is not empty" in capsys.readouterr().err and [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def enormous(jpeg: bytes) -> bytes:
    """A JPEG whose header speaks of 50,000 x 50,000 pixels."""
    place = jpeg.index(b"\xff\xc0") + 5  # marker, length, precision; then height and width
    return jpeg[:place] + struct.pack(">HH", 50_000, 50_000) + jpeg[place + 4 :]


def test_a_run_on_corrupt_images_names_them_all_and_writes_nothing(tree, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    harmed = [*sorted((tree / "image_train").iterdir())[:2], *sorted((tree / "image_query").iterdir())[:2]]
    whole = [path.read_bytes() for path in harmed]
    for path, content in zip(harmed, (whole[0][:-200], enormous(whole[1]), b"", b"no picture"), strict=True):
        path.write_bytes(content)
    run = ["run", "mlsl", "--profile", "smoke", "--dataset", "veri776", "--data_root", str(tree), "--workers", "1"]
    assert main([*run, "--learning", "feature", "--committed", "false"]) == 2
    message = capsys.readouterr().err
    assert "4 of 246 images cannot be read" in message and all(path.name in message for path in harmed)
    assert "2500000000 pixels" in message and "Traceback" not in message
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix in (".npy", ".json")]
    for path, content in zip(harmed, whole, strict=True):
        path.write_bytes(content)
    assert main([*run, "--learning", "feature", "--committed", "false"]) == 0
    record = json.loads(next((tmp_path / "cache").rglob("records/mlsl/*.json")).read_text())
    assert record["data"]["name"] == "VeRi-776"
