"""What a finished training leaves in its record, whatever the paper: scores, exhibits, history, cost.

Also what papers share before training: what is known of the data without reading pixels, and decoding it once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from reidlib import models, parallel
from reidlib.data.images import ImageStore, open_store
from reidlib.data.manifest import Dataset, Test
from reidlib.evaluate import metrics, protocols
from reidlib.evaluate.embed import Embeddings, embed
from reidlib.train import History, Schedule
from reidpapers import vehicles
from reidpapers.run import datasets, joint_bayesian, provenance, verification
from reidpapers.run.config import Config
from reidpapers.run.release import deviations

SIZES = ("small", "medium", "large")
ROUNDING = 1e-6  # relative, of features in float32
LEARNT = "joint_bayesian"  # the test distance that training features teach
STRIPS, MAP_POINTS, HISTORY_POINTS, QUERIES = 12, 2000, 200, 2_000


def data(config: Config) -> dict[str, Any]:
    """What is known of a dataset without reading pixels: name, digest, note, counts; training vehicles and models.

    Where its counts are not those of the release of its name, also in what they deviate. Of a world that stands beside
    others, as replicates in profile study, also what these have in common.
    """
    dataset = datasets.load(config.source)
    counts, differences = dataset.manifest.counts(), deviations(config.dataset, dataset)
    worlds = vehicles.worlds(config.preset) if config.dataset == "rendered" else ""
    return {
        "name": dataset.manifest.name,
        "digest": dataset.digest,
        "note": dataset.note,
        "counts": counts,
        "identities": counts["train"]["vehicles"],
        "models": counts["train"]["models"],
        **({"deviations": differences} if differences else {}),
        **({"worlds": worlds} if worlds else {}),
    }


def prepare(config: Config, workers: int = 1, progress: bool = False) -> ImageStore:
    """The decoded images of a configuration's dataset, made first if they are not in the user's cache."""
    return open_store(datasets.load(config.source), config.image_size, workers=workers, progress=progress)


@dataclass(frozen=True)
class Trained:
    """A trained network, and what it is tested on.

    Attributes:
        config: its data and device.
        network: in place, on its device.
        dataset: of the tests.
        store: its images.
    """

    config: Config
    network: nn.Module
    dataset: Dataset
    store: ImageStore
    _seen: dict[tuple[str, ...], Tensor] = field(default_factory=dict, repr=False, compare=False)

    def embed(self, rows: pd.DataFrame, network: Callable[[Tensor], Tensor] | None = None) -> Embeddings:
        """Features of manifest rows from the network, once for the same images; or from a part, ``images → [N, D]``."""
        if network:
            return embed(network, self.store, rows, device=self.config.device)
        images = tuple(rows["image"])
        if images not in self._seen:
            self._seen[images] = embed(self.network, self.store, rows, device=self.config.device).features
        return Embeddings(self._seen[images], rows)


def distance(
    trained: Trained,
    usable: Callable[[pd.DataFrame], pd.DataFrame],
    identities: Callable[[pd.DataFrame], Tensor],
) -> protocols.Distance:
    """How a configuration compares features: a distance by name, or one that training features teach.

    Args:
        trained: the network and its configuration.
        usable: the training rows that can be learnt from, ``rows → rows``.
        identities: codes of what matching tells apart, ``rows → [N]``.
    """
    if trained.config.test_distance != LEARNT:
        return trained.config.test_distance
    rows = usable(trained.dataset.manifest.rows("train"))
    return learnt(trained.embed(rows).features, identities(rows))


def assess(trained: Trained, tests: Sequence[Test], distance: protocols.Distance) -> dict[str, Any]:
    """Scores, per-query results and exhibits of a trained network: all of the first test, scores of the others.

    Args:
        trained: the network, its data and device.
        tests: the principal one first; none for a network that matches nothing.
        distance: between features.
    """
    if not tests:
        return {"scores": {}, "queries": {}, "exhibits": {}, "tests": {}}
    table = trained.dataset.manifest.rows(*{split for test in tests for split in protocols.needs(test)})
    used = np.any([protocols.needed(test, table) for test in tests], axis=0)
    table = table[used].reset_index(drop=True)
    embeddings = trained.embed(table)
    found = {test.name: verification.assess(test, embeddings.features, table, distance=distance) for test in tests}
    first = found[tests[0].name]
    parts = {"scores": score_fields(first), "queries": {}, "exhibits": {}}
    if isinstance(first, metrics.Scores):
        rows = tests[0].rows(table)
        seen = Embeddings(embeddings.features[torch.as_tensor(rows)], table[rows].reset_index(drop=True))
        parts["queries"] = query_fields(first)
        parts["exhibits"] = _exhibits(seen, first, tests[0].protocol, distance)
    several = {name: score_fields(scores) for name, scores in found.items()}
    return {**parts, "tests": several if len(tests) > 1 else {}}


def one_point(features: Tensor) -> bool:
    """Whether a model fell together: all features ``[N, D]`` are one point, but for the rounding of float32.

    Nothing has neighbours then, and t-SNE, which divides by their spread, would end the process.
    """
    points = features.double()
    return bool((points - points[:1]).abs().max() <= ROUNDING * points.abs().max())


def learnt(features: Tensor, labels: Tensor) -> protocols.Distance:
    """The distance that is learnt from training features ``[N, D]`` and their labels ``[N]``: Joint Bayesian's."""
    return joint_bayesian.fit(features, labels).distances


def query_fields(scores: metrics.Scores) -> dict[str, Any]:
    """Each query's average precision and first match; of very many every ``every``-th, so that a record stays small."""
    every = -(-len(scores.ap) // QUERIES)
    ap = [None if np.isnan(ap) else round(float(ap), 4) for ap in scores.ap[::every]]
    thinned = {"every": every} if every > 1 else {}
    return {"ap": ap, "first": [int(rank) for rank in scores.first[::every]], **thinned}


def tests_by_size(dataset: Dataset, kinds: Mapping[str, str]) -> tuple[Test, ...]:
    """A small, a medium and a large test set, as papers on VehicleID and Vehicle-1M report them.

    A dataset's own test sets are taken by what papers call their size, as far as they are there; if none has a size,
    by their names. One nameless set is parted: a third, two thirds and all of its gallery vehicles, in an order that
    is drawn once for all. Roles are drawn by the protocols, from gallery images.

    Args:
        dataset: which.
        kinds: protocols by what is put after the size in a test's name; "" puts nothing.

    Returns:
        The tests ``small``, ``small <kind>``, …, the principal one first: the largest under the first protocol.
    """
    own = dataset.sized()
    pools = {size: own[size].gallery for size in SIZES if size in own}
    pools = pools or {test.name: test.gallery for test in dataset.tests if test.name} or _thirds(dataset)
    return tuple(
        Test(f"{size} {kind}".strip(), protocol, gallery=pool)
        for size, pool in reversed(pools.items())
        for kind, protocol in kinds.items()
    )


def _thirds(dataset: Dataset) -> dict[str, pd.Index]:
    """Gallery images of a third, two thirds and all of the gallery's vehicles, by size."""
    gallery = dataset.manifest.rows("gallery")
    vehicles = np.random.default_rng(0).permutation(np.sort(gallery["vehicle_id"].unique()))
    shares = {size: vehicles[: round(len(vehicles) * (i + 1) / len(SIZES))] for i, size in enumerate(SIZES)}
    return {size: pd.Index(gallery["image"][gallery["vehicle_id"].isin(share)]) for size, share in shares.items()}


def score_fields(scores: metrics.Scores | verification.Verification) -> dict[str, Any]:
    """Scores as they stand in a record: fractions of 1, but for a verification's threshold; deviations over draws."""
    if isinstance(scores, verification.Verification):
        names = ("accuracy", "auc", "threshold", "threshold_accuracy")
        return {**{name: round(float(getattr(scores, name)), 6) for name in names}, "pairs": len(scores.right)}
    top = {f"top{k}": round(scores.top(k), 6) for k in (1, 2, 5, 10)}
    cmc = [round(float(value), 4) for value in scores.cmc]
    count = {"queries": len(scores.ap), "unmatched": scores.unmatched}
    drawn = {name: round(scores.deviation(name), 6) for name in ("mAP", "top1", "top5")} if scores.draws else {}
    spread = {"draws": len(scores.draws), "deviation": drawn} if drawn else {}
    return {"mAP": round(scores.mAP, 6), **top, "cmc": cmc, **count, **spread}


def _exhibits(
    embeddings: Embeddings, scores: metrics.Scores, protocol: str, distance: protocols.Distance
) -> dict[str, Any]:
    """Retrieval lists of a dozen queries from the worst to the best, and a map where features are points."""
    order = np.argsort(scores.ap, kind="stable")[: len(scores.ap) - scores.unmatched]  # nan sorts last
    chosen = order[np.unique(np.linspace(0, len(order) - 1, STRIPS).round().astype(int))]
    lists = protocols.retrieval(protocol, embeddings.features, embeddings.table, chosen, distance=distance, k=10)
    strips = [{**item, "ap": round(float(scores.ap[query]), 4)} for item, query in zip(lists, chosen, strict=True)]
    exhibits: dict[str, Any] = {"retrieval": strips}
    if embeddings.features.shape[1] == 2:
        exhibits["map"] = _map(embeddings)
    return exhibits


def _map(embeddings: Embeddings) -> dict[str, Any]:
    """At most :data:`MAP_POINTS` two-dimensional features of the test images, with their identity."""
    first = embeddings.table.drop_duplicates("image").index.to_numpy()
    chosen = first[np.unique(np.linspace(0, len(first) - 1, min(MAP_POINTS, len(first))).astype(int))]
    points = embeddings.features[torch.as_tensor(chosen.copy())]
    x, y = ([round(float(value), 3) for value in axis] for axis in points.T)
    return {"x": x, "y": y, "label": embeddings.table["vehicle_id"].iloc[chosen].tolist()}


def history(log: History, schedule: Schedule) -> dict[str, list[float]]:
    """Loss terms over training, thinned to :data:`HISTORY_POINTS` means of equal stretches, and the rate.

    A run that trains nothing has no terms and no iterations.
    """
    values = log.table()
    if not len(values):
        return {"iteration": [], "rate": []}
    stretches = torch.tensor_split(values, min(HISTORY_POINTS, len(values)))
    starts = np.cumsum([0, *(len(part) for part in stretches[:-1])])
    means = torch.stack([part.mean(0) for part in stretches])
    terms = {term: _rounded(means[:, column]) for column, term in enumerate(["total", *log.terms[1:]])}
    return {"iteration": starts.tolist(), **terms, "rate": [float(f"{schedule(int(s)):.4g}") for s in starts]}


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{value:.4g}") for value in values.tolist()]


def cost(network: nn.Module, config: Config, images: int, seconds: float, iterations: int) -> dict[str, float]:
    """Time and throughput of a training (of its last sitting, if it was resumed), and the network's size."""
    return {
        "seconds": round(seconds, 2),
        "images_per_second": round(images / max(seconds, 1e-9), 1),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "flops": models.flops(network, (1, 3, config.image_size, config.image_size)),
        "iterations": iterations,
    }


def anatomy(network: nn.Module, config: Config) -> dict[str, str]:
    """What a network is, in numbers: input, width of its features, parameters of each part, FLOPs."""
    parts = {name: sum(p.numel() for p in child.parameters()) for name, child in network.named_children()}
    size = config.image_size
    return {
        "trunk": config.backbone,
        "input": f"3 × {size} × {size}",
        "features x": f"{network.trunk.dim} numbers",
        "parameters": ", ".join(f"{name} {count:,}" for name, count in parts.items()),
        "FLOPs an image": f"{models.flops(network, (1, 3, size, size)) / 1e6:.0f} million (two a multiply-add)",
    }


def device_fields(device: str) -> dict[str, Any]:
    """Where a run was computed, and by how many processes if several shared each batch."""
    named = torch.cuda.get_device_name() if device == "cuda" else provenance.processor()
    threads = torch.get_num_threads()
    several = {"processes": parallel.processes()} if parallel.processes() > 1 else {}
    return {"type": device, "name": named, "threads": threads, "arithmetic": provenance.arithmetic(), **several}
