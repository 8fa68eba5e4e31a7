"""The code digest: what it covers, what changes it, and what does not."""

import platform
import subprocess

import pytest

from reidpapers.run import provenance
from reidpapers.run.provenance import code_digest, direct_imports, import_closure

SOURCES = {
    "__init__.py": '"""A package."""\n',
    "top.py": '"""Top."""\nfrom reidlib import middle\nfrom reidlib.deep.leaf import RATE\n\n\n'
    'def f(x):\n    """Doc."""\n    y = x * RATE\n    return y + middle.ONE\n',
    "middle.py": "import os\nimport reidlib.late\n\nONE = 1\n",
    "late.py": "def g():\n    from .deep import leaf\n\n    return leaf.RATE\n",
    "deep/__init__.py": "from . import side\n",
    "deep/leaf.py": "RATE = 0.5\n\n\nclass Thing:\n    '''Doc.'''\n\n    width = 3\n",
    "deep/side.py": "SIDE = 1\n",
    "apart.py": "OTHER = 1\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in place of the library; write to it, then ask for the digest."""
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "reidlib")
    for name, text in SOURCES.items():
        path = tmp_path / "reidlib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "reidlib"


def digest():
    provenance._tree.cache_clear()
    return code_digest("reidlib.top")


def test_the_closure_follows_every_form_of_import(package):
    expected = {"top", "middle", "late", "deep", "deep.leaf", "deep.side"}
    assert import_closure("reidlib.top") == {f"reidlib.{name}" for name in expected}
    assert set(direct_imports("reidlib.late")) == {"reidlib.deep", "reidlib.deep.leaf"}
    assert import_closure("reidlib.apart") == {"reidlib.apart"}


CHANGES = {
    "a constant": ("deep/leaf.py", "RATE = 0.5", "RATE = 0.25"),
    "a constant of a class": ("deep/leaf.py", "width = 3", "width = 4"),
    "an operator": ("top.py", "x * RATE", "x + RATE"),
    "a package's own file": ("deep/__init__.py", "import side", "import side, leaf"),
    "a relative import's module": ("deep/side.py", "SIDE = 1", "SIDE = 2"),
    "an import inside a function": ("late.py", "return leaf.RATE", "return -leaf.RATE"),
    "a text that is no docstring": ("middle.py", "ONE = 1", "ONE = 1\nNAME = 'a'"),
    "a name": ("top.py", "y", "total"),
}
NO_CHANGES = {
    "a comment": ("top.py", "    return", "    # why\n    return"),
    "a module's docstring": ("top.py", '"""Top."""', '"""Top, said otherwise."""'),
    "a function's docstring": ("top.py", '"""Doc."""', '"""Another."""'),
    "a class's docstring": ("deep/leaf.py", "'''Doc.'''", "'''Another.'''"),
    "a docstring taken away": ("top.py", '    """Doc."""\n', ""),
    "blank lines and layout": ("deep/leaf.py", "RATE = 0.5", "RATE = (\n    0.5\n)\n\n"),
    "a module that is not imported": ("apart.py", "OTHER = 1", "OTHER = 2"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_the_digest(package, what):
    name, old, new = CHANGES[what]
    before = digest()
    path = package / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert digest() != before


@pytest.mark.parametrize("what", NO_CHANGES)
def test_what_leaves_the_digest(package, what):
    name, old, new = NO_CHANGES[what]
    before = digest()
    path = package / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert digest() == before


def test_a_file_that_appears_under_an_imported_name_counts(package):
    (package / "middle.py").write_text("from reidlib import plugin\n\nONE = 1\n")
    before = digest()
    (package / "plugin.py").write_text("x = 1\n")
    assert digest() != before and "reidlib.plugin" in import_closure("reidlib.top")


@pytest.mark.parametrize("name", ["reidlib.nothing", "reidlib.deep.nothing", "numpy", "os.path"])
def test_an_unknown_module_is_refused(package, name):
    with pytest.raises(ModuleNotFoundError, match=name):
        code_digest(name)


def test_a_papers_digest_covers_all_that_makes_its_numbers():
    closure = {name.removeprefix("reidlib.") for name in import_closure("reidpapers.mlsl.paper")}
    stages = {"manifest", "images", "augment", "sampler", "losses", "backbones", "train", "embed", "metrics",
              "protocols", "outcome", "datasets", "datasets.rendered", "render", "runs", "records",
              "config"}  # fmt: skip
    assert stages <= closure
    shown = {"claims", "plots", "report", "tables", "explore", "__main__"}
    assert not {name.partition(".")[0] for name in closure} & shown, "what a paper claims makes no run stale"


def test_versions_name_what_can_touch_a_number():
    found = provenance.versions()
    assert found["python"] == platform.python_version() and {"torch", "numpy", "timm", "pillow"} <= found.keys()


def test_the_processor_has_a_name():
    assert provenance.processor().endswith(" cores")


def test_a_commit_says_whether_the_library_differs_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "reidlib")
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
