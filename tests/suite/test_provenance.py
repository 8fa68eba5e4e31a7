"""Where a number comes from: versions, commit, machine."""

import platform
import subprocess

from reidpapers.run import provenance


def test_versions_name_what_can_touch_a_number():
    found = provenance.versions()
    assert found["python"] == platform.python_version() and {"torch", "numpy", "timm", "pillow"} <= found.keys()


def test_the_processor_has_a_name():
    assert provenance.processor().endswith(" cores")


def test_a_commit_says_whether_the_library_differs_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "CHECKOUT", tmp_path)
    (tmp_path / "reidlib").mkdir()
    assert provenance.commit() == "unknown"
    (tmp_path / "reidlib" / "a.py").write_text("x = 1\n")
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    clean = provenance.commit()
    assert len(clean) == 12 and int(clean, 16) >= 0
    (tmp_path / "notes.txt").write_text("not the library")
    assert provenance.commit() == clean
    (tmp_path / "reidlib" / "a.py").write_text("x = 2\n")
    assert provenance.commit() == f"{clean}+changes"


def test_arithmetic_is_of_the_processor_and_of_torch(monkeypatch):
    here = provenance.arithmetic()
    assert len(here) == 12 and here == provenance.arithmetic()
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "0.0"})
    other = provenance.arithmetic()
    assert other != here
    monkeypatch.setattr(provenance, "_cpuinfo", lambda: {"vendor_id": "x", "flags": "avx2"})
    assert provenance.arithmetic() not in (here, other)
