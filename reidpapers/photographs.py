"""What was learnt on rendered vehicles, tried on photographs: ``python -m reidlib photographs PAPER --data_root DIR``.

Every run in profile ``study`` whose weights are kept matches a folder of real pictures across cameras, as
:mod:`reidpapers.transfer` does, by the distance that the run compares features by; post-processing that needs more of
an image than its pixels is left out. Nothing is ever learnt from the photographs. All scores of a paper are one small
file of the results, beside those of a colour histogram and of ImageNet's features as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from reidlib.evaluate.metrics import Scores
from reidlib.evaluate.protocols import DISTANCES
from reidpapers import trained
from reidpapers.run import records
from reidpapers.run.config import STUDY, ConfigError
from reidpapers.run.records import Record
from reidpapers.show import photographs
from reidpapers.show.photographs import Line
from reidpapers.show.standing import HISTOGRAM, START
from reidpapers.transfer import SIZE, Photographs, untrained
from reidpapers.vehicles.bounds import histograms


def write(paper: str, root: str | Path, show: Callable[[str], None] = print) -> Path:
    """Score a paper's runs on a folder of photographs and write them down; what is there already stays as it is.

    Args:
        paper: its name.
        root: the folder, see :meth:`reidpapers.transfer.Photographs.load`.
        show: called with a line on each run that is scored, and one on those that are left out.

    Returns:
        The file.

    Raises:
        DatasetError: the folder holds no photographs that can be matched.
    """
    at = cache(lambda size: Photographs.load(root, size=size))
    folder, there = at(SIZE).digest[:16], {line.about: line for line in photographs.lines(paper)}
    refused: list[str] = []
    for line in _references(folder, at(SIZE)):
        there[line.about] = line
    for record in _studied(paper):
        if (folder, record.key, record.created) in there:
            continue
        try:
            scores = _scored(trained.restored(record), at)
        except ConfigError as error:
            refused.append(str(error))
            continue
        there = {about: line for about, line in there.items() if about[:2] != (folder, record.key)}
        line = _line(folder, record.key, scores, record.created, str(record.seed))
        there[line.about] = line
        show(f"{record.key}, seed {record.seed}: mAP {line.mAP:.1f}, Top-1 {line.top1:.1f}")
        photographs.keep(paper, there.values())
    if refused:
        show(f"left out: {len(refused)} runs, the first because {refused[0]}")
    return photographs.keep(paper, there.values())


def _studied(paper: str) -> Iterator[Record]:
    """The runs in profile study that match vehicles, the user's own first; those of one world follow each other."""
    found: dict[str, Record] = {}
    for folder in records.stores(paper):
        for record in records.read_all(folder):
            if "worlds" in record.data and "mAP" in record.scores:
                found.setdefault(record.key, record)
    yield from sorted(found.values(), key=lambda record: (record.data["digest"], record.key))


def _scored(network: trained.Network, at: Callable[[int], Photographs]) -> Scores:
    """Scores of a trained network's features.

    Raises:
        ConfigError: its distance was learnt from training features, so that it is no plain one.
    """
    if network.distance not in DISTANCES:
        raise ConfigError(f"{network.title} compares features by a distance that was learnt on its own images")
    return at(network.size).score(network.module, network.distance)


def _references(folder: str, pictures: Photographs) -> Iterator[Line]:
    """What is reached without learning from any vehicle."""
    colours = histograms(pictures.store, pictures.table)
    yield _line(folder, HISTOGRAM, pictures.score_features(colours, "euclidean"))
    yield _line(folder, START, pictures.score(untrained(STUDY["backbone"]), "euclidean"))


def _line(folder: str, what: str, scores: Scores, computed: str = "", seed: str = "") -> Line:
    return Line(folder, what, computed, seed, round(100 * scores.mAP, 2), round(100 * scores.top(1), 2))
