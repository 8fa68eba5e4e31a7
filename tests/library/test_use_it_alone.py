"""The thin library by itself: the README's example runs without anything of the suite."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = ("pydantic", "IPython", "snakemake", "ipywidgets", "matplotlib", "papermill", "jinja2", "reidpapers")
BLOCKED = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FORBIDDEN!r}:
            raise ModuleNotFoundError(f"{{name}} is not there")

sys.meta_path.insert(0, Blocker())
"""


def pictures(folder, vehicles=32, cameras=4):
    """Crops of made-up vehicles: each has its own two colours, each camera its own brightness."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    for vehicle in range(vehicles):
        upper, lower = draw.integers(40, 200, (2, 3))
        for camera in range(cameras):
            picture = np.vstack([np.tile(upper, (20, 48, 1)), np.tile(lower, (28, 48, 1))]) * (0.7 + 0.1 * camera)
            picture = np.clip(picture + draw.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{vehicle:04d}_c{camera}_{vehicle}.jpg")


def test_the_readmes_example_learns_without_the_suite(tmp_path):
    pictures(tmp_path / "crops")
    (code,) = re.findall(
        r"```python\n(from functools.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "example.py").write_text(BLOCKED + code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REIDLIB_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    mAP, top1, top5 = map(float, re.fullmatch(r"mAP ([\d.]+), Top-1 ([\d.]+), Top-5 ([\d.]+)\n", done.stdout).groups())
    assert mAP > 0.5 and top1 > 0.5 and top5 >= top1, "by chance mAP would be about 0.2"


def test_its_command_line_says_that_the_suite_is_not_there(tmp_path):
    (tmp_path / "reidlib").symlink_to(ROOT / "reidlib")
    start = "import sys, runpy; sys.path.insert(0, '.'); runpy.run_module('reidlib', run_name='__main__')"
    command = [sys.executable, "-S", "-c", start]  # without installed packages
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert done.returncode == 1 and "reidpapers, which is not installed" in done.stderr
