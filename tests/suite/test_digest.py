"""The code digest: which definitions a root reaches, what changes it, and what does not."""

import pytest

from reidpapers import digest
from reidpapers.digest import code_digest, reached

SOURCES = {
    "reidlib/__init__.py": '"""A package."""\n',
    "reidlib/top.py": '"""Top."""\nfrom reidlib import face, middle\nfrom reidlib.deep.leaf import RATE\n\n\n'
    'def f(x, middle=middle.ONE):\n    """Doc."""\n    y = x * RATE\n    return face.half(y) + middle\n\n\n'
    "def unused(x):\n    return x\n",
    "reidlib/middle.py": "import reidlib.late\n\nONE = reidlib.late.g()\nTWO = 2\n",
    "reidlib/late.py": "def g(x: int = 0) -> int:\n    from .deep import leaf\n\n    return leaf.Thing.width\n",
    "reidlib/deep/__init__.py": "from .side import SIDE\n",
    "reidlib/deep/leaf.py": "import numpy\n\nnumpy.seterr(all='raise')\nRATE = 0.5\nOTHER = 1\n\n\n"
    "class Thing:\n    '''Doc.'''\n\n    width = 3\n",
    "reidlib/deep/side.py": "SIDE = 1\n",
    "reidlib/face/__init__.py": "from reidlib.face.parts import half, third\n",
    "reidlib/face/parts.py": "from reidlib import deep\n\n\ndef half(x):\n    return x / 2 + deep.SIDE\n\n\n"
    "def third(x):\n    return x / 3\n",
    "reidlib/whole.py": "from reidlib import face\n\n\ndef by_name(name):\n    return getattr(face, name)\n",
    "reidlib/branch.py": "try:\n    import fast\nexcept ImportError:\n    SPEED = 1\n\n\ndef f():\n    return SPEED\n",
    "reidpapers/__init__.py": "",
}


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Small packages in place of the library; write to them, then ask for the digest."""
    monkeypatch.setattr(digest, "FOLDER", tmp_path)
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    forget()
    yield tmp_path
    forget()


def forget():
    for cached in (digest.reached, digest.source, digest.module_path, digest._uses, digest._text):
        cached.cache_clear()
    digest._BARE.clear()


def digest_of(*roots, **options):
    forget()
    return code_digest(*roots, **options)


def names(*roots, **options):
    return {f"{module.removeprefix('reidlib.')}:{name}" for module, name in reached(*roots, **options) if name != "-"}


def test_names_are_followed_through_every_form_of_import(packages):
    expected = {
        "top:f",
        "middle:ONE",
        "late:g",
        "deep.leaf:RATE",
        "deep.leaf:Thing",
        "face.parts:half",
        "deep.side:SIDE",
    }
    assert names("reidlib.top:f") == expected
    assert names("reidlib.top") == expected | {"top:unused"}
    assert names("reidlib.branch:f") == {"branch:f", "branch:SPEED"}


def test_a_module_that_is_handed_on_counts_as_a_whole(packages):
    assert names("reidlib.whole") == {"whole:by_name", "face.parts:half", "face.parts:third", "deep.side:SIDE"}


def test_the_search_ends_where_it_is_told_to(packages):
    assert names("reidlib.top:f", without=("reidlib.deep",)) == {"top:f", "middle:ONE", "late:g", "face.parts:half"}
    assert names("reidlib.top:f", without=("reidlib.middle", "reidlib.face")) == {"top:f", "deep.leaf:RATE"}


CHANGES = {
    "a constant": ("deep/leaf.py", "RATE = 0.5", "RATE = 0.25"),
    "a constant of a class": ("deep/leaf.py", "width = 3", "width = 4"),
    "an operator": ("top.py", "x * RATE", "x + RATE"),
    "a default": ("late.py", "= 0", "= 1"),
    "what stands behind a face": ("face/parts.py", "x / 2", "x / 4"),
    "a relative import's module": ("deep/side.py", "SIDE = 1", "SIDE = 2"),
    "an import inside a function": ("late.py", "return leaf.Thing.width", "return -leaf.Thing.width"),
    "what happens on import": ("deep/leaf.py", "'raise'", "'warn'"),
    "a name": ("top.py", "y", "total"),
}
NO_CHANGES = {
    "a comment": ("top.py", "    return face", "    # why\n    return face"),
    "a module's docstring": ("top.py", '"""Top."""', '"""Top, said otherwise."""'),
    "a function's docstring": ("top.py", '"""Doc."""', '"""Another."""'),
    "a class's docstring": ("deep/leaf.py", "'''Doc.'''", "'''Another.'''"),
    "a docstring taken away": ("top.py", '    """Doc."""\n', ""),
    "an annotation": ("late.py", "x: int = 0) -> int", "x: float = 0) -> float"),
    "blank lines and layout": ("deep/leaf.py", "RATE = 0.5", "RATE = (\n    0.5\n)\n\n"),
    "a function that nobody calls": ("top.py", "return x\n", "return 2 * x\n"),
    "a constant that nobody uses": ("middle.py", "TWO = 2", "TWO = 3"),
    "a further function behind a face": ("face/parts.py", "x / 3", "x / 5"),
    "an import of what is there already": ("face/__init__.py", "half, third", "third, half"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_the_digest(packages, what):
    assert changed(packages, *CHANGES[what])


@pytest.mark.parametrize("what", NO_CHANGES)
def test_what_leaves_the_digest(packages, what):
    assert not changed(packages, *NO_CHANGES[what])


def changed(packages, name, old, new):
    before, path = digest_of("reidlib.top:f"), packages / "reidlib" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return digest_of("reidlib.top:f") != before


@pytest.mark.parametrize("name", ["reidlib.nothing", "reidlib.deep.nothing", "numpy", "os.path"])
def test_an_unknown_module_is_refused(packages, name):
    with pytest.raises(ModuleNotFoundError, match=name):
        code_digest(name)


def test_an_unknown_name_is_refused(packages):
    with pytest.raises(KeyError, match="reidlib.top defines no g"):
        code_digest("reidlib.top:g")


def test_a_papers_digest_covers_all_that_makes_its_numbers_and_nothing_else():
    from reidpapers.run import runs

    modules = {module for module, _ in reached("reidpapers.mlsl.paper:PAPER", *runs.DECODING, without=runs.PINNED)}
    stages = {
        "reidlib.data.images", "reidlib.data.pictures", "reidlib.augment.affine", "reidlib.sampler",
        "reidlib.losses.multi_label",
        "reidlib.models.trunks", "reidlib.train", "reidlib.evaluate.embed", "reidlib.evaluate.metrics.counting",
        "reidpapers.mlsl.config", "reidpapers.mlsl.network", "reidpapers.mlsl.loss", "reidpapers.run.training",
    }  # fmt: skip
    assert stages <= modules
    others = ("reidlib.losses.sets", "reidlib.data.veri776", "reidpapers.vehicles", "reidpapers.show",
              "reidpapers.drdl",
              "reidpapers.mlsl.tables", "reidpapers.run.workers", "reidpapers.run.records")  # fmt: skip
    assert not [module for module in modules if module.startswith(others)]
