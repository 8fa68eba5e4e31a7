"""The datasets by name: each adapter turns what lies on disk, or a seed, into one validated manifest."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from reidlib.config import Config
from reidlib.datasets import (
    aicity2020,
    compcars,
    digits,
    rendered,
    simulated,
    vehicle1m,
    vehicleid,
    veri776,
    veriwild,
)
from reidlib.datasets.files import Benchmark
from reidlib.manifest import Dataset

BENCHMARKS: dict[str, Benchmark] = {
    module.BENCHMARK.name: module.BENCHMARK
    for module in (veri776, vehicleid, veriwild, vehicle1m, compcars, aicity2020)
}
DATASETS: dict[str, Callable[[Config], Dataset]] = {
    "rendered": lambda config: _rendered(config.preset, config.data_seed),
    "digits": lambda config: _digits(config.data_root, config.digits_train, config.digits_test),
    **{name: lambda config: _benchmark(config.dataset, config.data_root) for name in BENCHMARKS},
}
# The rule by which each dataset's authors score it, known without the data.
PROTOCOLS = {
    "rendered": "veri", "digits": "leave_one_out", "veri776": "veri", "vehicleid": "vehicleid", "veriwild": "veriwild",
    "vehicle1m": "vehicle1m", "compcars": "verification", "aicity2020": "aicity2020",
}  # fmt: skip


def load(config: Config) -> Dataset:
    """The dataset that a configuration names; labels only, pixels are read later.

    Raises:
        FileNotFoundError: the dataset is not on this disk; the message says where it was looked for and whom to ask.
        ValueError: what is there does not make a valid manifest.
    """
    return DATASETS[config.dataset](config)


# Manifests are kept: a grid of runs asks for the same one again and again.
@cache
def _rendered(preset: str, seed: int) -> Dataset:
    street = preset.removesuffix(simulated.SUFFIX)
    return rendered.load(preset, seed) if street == preset else simulated.load(street, seed)


@cache
def _digits(root: str | None, train: int, test: int) -> Dataset:
    return digits.load(root, train=train or None, test=test or None)


@cache
def _benchmark(name: str, root: str | None) -> Dataset:
    return BENCHMARKS[name].load(BENCHMARKS[name].find(root))
