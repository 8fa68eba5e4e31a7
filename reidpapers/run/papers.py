"""The papers by name: a folder beside this package's that holds a ``paper.py`` is one."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

FOLDER = Path(__file__).resolve().parents[1]
RUNS = tuple(sorted(path.parent.name for path in FOLDER.glob("*/paper.py")))
"""All that there is to run: the papers, and what compares them."""
PAPERS = tuple(name for name in RUNS if (FOLDER / name / "printed.csv").is_file())
"""Those that print numbers, and have a notebook."""


def load(name: str) -> Paper:
    """A paper; only what it needs is loaded, which takes seconds.

    Raises:
        KeyError: it is none of :data:`RUNS`.
    """
    if name not in RUNS:
        raise KeyError(name)
    return import_module(f"{FOLDER.name}.{name}.paper").PAPER


def load_all() -> list[Paper]:
    """All papers, in the order in which the site has them."""
    return sorted(map(load, RUNS), key=lambda paper: (paper.place, paper.name))
