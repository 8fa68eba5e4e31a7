"""What the layouts of plain lists share: test sets by share of the vehicles, lines, and the map of names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd


def thirds(vehicles: Iterable[str], seed: int) -> list[set[str]]:
    """A third, two thirds and all of the test vehicles, the first two drawn apart: as in the releases, not nested."""
    names = np.sort(np.unique(np.asarray(list(vehicles), dtype=object)))
    draw = np.random.default_rng(seed)
    counts = (max(1, len(names) // 3), max(1, 2 * len(names) // 3), len(names))
    return [set(draw.permutation(names)[:count]) for count in counts]


def numbers(names: pd.Series) -> pd.Series:
    """0, 1, 2, … for each of several names in sorted order."""
    return pd.Series(pd.factorize(names, sort=True)[0], index=names.index)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A UTF-8 text file with Unix line ends, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


def named(rows: pd.DataFrame, names: pd.Series) -> pd.Series:
    """Exported names by split and rendered image."""
    return pd.Series(names.to_numpy(object), index=pd.MultiIndex.from_frame(rows[["split", "image"]]), name="name")
