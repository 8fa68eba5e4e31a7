"""What there is to run: the papers, and all their methods on equal terms; each by the name that commands take."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from reidpapers.run.config import Config

FOLDER = Path(__file__).resolve().parents[1]

PAPERS = ("mlsl", "drdl", "c2f_rank", "agnet", "multiguided")
RUNS = (*PAPERS, "compared")


CONFIGS = {
    "mlsl": "MLSLConfig", "drdl": "DRDLConfig", "c2f_rank": "C2FConfig", "agnet": "AGNetConfig",
    "multiguided": "MultiGuidedConfig", "compared": "ComparedConfig",
}  # fmt: skip


@cache
def parts(name: str) -> tuple[type[Config], Any, Any]:
    """A paper's configuration class, experiment and tables; only what it needs is loaded, which takes seconds.

    Raises:
        KeyError: it is none of :data:`RUNS`.
    """
    paper, tables = import_module(f"reidpapers.{name}.paper"), import_module(f"reidpapers.{name}.tables")
    return getattr(paper, CONFIGS[name]), paper.EXPERIMENT, tables
