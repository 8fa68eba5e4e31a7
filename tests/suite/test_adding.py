"""ADDING.md is true: a paper is a folder and a notebook, a dataset a file and a line, and nothing old turns stale."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SIXTH = Path(__file__).with_name("sixth")
ADAPTER = '''"""A dataset of one's own."""

import numpy as np
import pandas as pd

from reidlib.data.files import Benchmark
from reidlib.data.manifest import COLUMNS, Dataset, Manifest, Test


def load(root):
    """Pictures that are made up."""
    rows = [(f"{split}{v}{c}", split, f"{split == 'train'}{v}", f"c{c}")
            for split in ("train", "query", "gallery") for v in range(4) for c in range(2)]
    table = pd.DataFrame(rows, columns=["image", "split", "vehicle_id", "camera_id"]).reindex(columns=list(COLUMNS))
    read = lambda image: np.full((9, 9, 3), sum(image.encode()) % 251, np.uint8)
    return Dataset(Manifest("further", table, "made up"), read, (Test("", "veri"),), "Made up.")


BENCHMARK = Benchmark(name="further", title="Further", folders=("further",), marker=("marker",), ask="Nobody.",
                      source="None", release={}, load=load, protocol="veri", labels=frozenset({"camera_id"}))
'''
CODES = """
import json
from reidpapers.run import papers, runs
print(json.dumps({name: runs.code(name) for name in papers.RUNS}))
"""
LOOK = """
import json
from reidlib import data
from reidpapers.run import papers, runs
from reidpapers.grid import plan
from reidpapers.show import site
settings = {"papers": "sixth", "profile": "smoke", "out": "out", "seeds": [0]}
every = papers.load_all()
texts = site.texts(papers.FOLDER.parent / "results", every)
print(json.dumps({
    "papers": papers.PAPERS, "order": [paper.name for paper in every], "codes": {n: runs.code(n) for n in papers.RUNS},
    "jobs": sorted(plan.make(settings)["jobs"]), "pages": list(plan.make(settings)["pages"]),
    "index": "A Strong Baseline of Identity and Triplets" in texts["index.html"],
    "page": "Triplets help" in texts["sixth/index.html"], "datasets": list(data.DATASETS),
}))
"""


def python(tree, *arguments, code=0):
    environment = {**os.environ, "PYTHONPATH": str(tree), "REIDLIB_CACHE": str(tree / "cache")}
    done = subprocess.run([sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """The codes of the papers that are there."""
    return json.loads(python(ROOT, "-c", CODES))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the tree with one folder, one notebook, one file and one line more."""
    tree = tmp_path_factory.mktemp("adding")
    for name in ("reidlib", "reidpapers", "notebooks", "workflow"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "results").mkdir()
    shutil.copy(ROOT / "results" / "rendered_pixels.json", tree / "results")
    shutil.copytree(SIXTH, tree / "reidpapers" / "sixth", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tree / "reidpapers" / "sixth").glob("*.py"):
        path.write_text(
            path.read_text(encoding="utf-8").replace("from sixth.", "from reidpapers.sixth."), encoding="utf-8"
        )
    shutil.copy(tree / "notebooks" / "mlsl_ablation.ipynb", tree / "notebooks" / "sixth_ablation.ipynb")
    (tree / "reidlib" / "data" / "further.py").write_text(ADAPTER, encoding="utf-8")
    face = tree / "reidlib" / "data" / "__init__.py"
    lines = face.read_text(encoding="utf-8").replace("import aicity2020,", "import further, aicity2020,")
    face.write_text(re.sub(r"in \((veri776)", r"in (further, \1", lines), encoding="utf-8")
    return tree


def test_a_paper_is_a_folder_and_a_notebook(tree, before):
    assert "sixth" in python(tree, "-m", "reidlib", "run", "--help")
    found = json.loads(python(tree, "-c", LOOK))
    assert "sixth" in found["papers"] and found["order"][-1] == "sixth"
    assert found["jobs"] == ["sixth/seed0"] and found["pages"] == ["sixth"] and found["index"] and found["page"]
    assert {name: code for name, code in found["codes"].items() if name != "sixth"} == before, "no record turns stale"


def test_it_runs_on_the_embedded_vehicles_and_on_a_dataset_of_one_file_and_one_line(tree):
    shown = python(tree, "-m", "reidlib", "run", "sixth", "--profile", "smoke", "--scope", "all")
    assert "identity and triplets" in shown and "identity alone" in shown
    (tree / "further").mkdir()
    (tree / "further" / "marker").touch()
    assert "further" in python(tree, "-m", "reidlib", "data", "list")
    shown = python(
        tree, "-m", "reidlib", "run", "sixth", "--profile", "smoke", "--dataset", "further", "--data_root", "further"
    )
    assert "identity and triplets" in shown


def test_every_file_that_adding_names_is_there():
    text = (ROOT / "ADDING.md").read_text(encoding="utf-8")
    paths = [path for path in re.findall(r"`([\w./]+)`", text) if "/" in path]
    assert len(paths) > 15 and not [path for path in paths if not (ROOT / path).exists()]
    names = [name for name in re.findall(r"`(\w+\.py|\w+\.csv)`", text) if name not in ("figures.py", "errata.csv")]
    assert set(names) <= {path.name for path in (ROOT / "reidpapers" / "mlsl").iterdir()}
    assert len(text.splitlines()) < 40, "one screen"
