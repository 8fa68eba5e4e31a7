"""All datasets that a run can name: those on disk, and the embedded vehicles."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from reidlib import data
from reidlib.data import BENCHMARKS, DataSource
from reidlib.data.manifest import Dataset
from reidpapers import digits, vehicles

DATASETS: dict[str, Callable[[DataSource], Dataset]] = {
    "rendered": lambda source: vehicles.load(source.preset, source.seed),
    "digits": lambda source: digits.load(source.root, train=source.train or None, test=source.test or None),
    **data.DATASETS,
}
# The rule by which each dataset's authors score it, known without the data.
PROTOCOLS = {"rendered": "veri", "digits": "leave_one_out", **data.PROTOCOLS}
# The labels that each dataset's release has, known without the data: the manifest's columns.
LABELS = {"rendered": vehicles.LABELS, "digits": frozenset(), **data.LABELS}
__all__ = ["BENCHMARKS", "DATASETS", "LABELS", "PROTOCOLS", "DataSource", "load"]


def load(source: DataSource) -> Dataset:
    """The dataset that is asked for; labels only, pixels are read later.

    It is made once a process; one on disk again when its lists or folders have changed.

    Raises:
        FileNotFoundError: the dataset is not on this disk; the message says where it was looked for and whom to ask.
        ValueError: what is there does not make a valid manifest.
    """
    return data.load(source) if source.dataset in data.DATASETS else _made(source)


@cache
def _made(source: DataSource) -> Dataset:
    """Embedded data."""
    return DATASETS[source.dataset](source)
