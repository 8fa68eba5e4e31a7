"""Which papers run on data as their default options say, and what stops the others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from reidpapers.run.config import ConfigError, configure

if TYPE_CHECKING:
    from reidpapers.run.base import Paper


def lines(dataset: str, root: str | Path | None, papers: Iterable[Paper]) -> list[str]:
    """A line a paper: that its default options would do, or why not and what would."""
    return [f"paper {paper.name}: {_refusal(dataset, root, paper) or 'runs by default'}" for paper in papers]


def _refusal(dataset: str, root: str | Path | None, paper: Paper) -> str | None:
    """Why a paper's default options are refused; None where they are not."""
    try:
        config, _ = configure(paper.Config, {"dataset": dataset, "data_root": root and str(root), "device": "cpu"})
        paper.data(config)
    except ConfigError as error:
        return " ".join(str(error).removeprefix("nothing was computed, because").split())
    return None
