"""What AGNet's runs are measured by beside plain matching: neighbourhoods, Fig. 7 and 8, the mask, re-ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.manifest import Dataset, Test, codes
from reidlib.evaluate import metrics, protocols, rerank
from reidpapers.agnet import neighbours
from reidpapers.agnet.config import AGNetConfig
from reidpapers.run.evaluate_run import Trained, one_point

WEIGHTS = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # ω that held-out training vehicles may choose from
DEPTHS, STRIPS = {"veri": 11, "vehicleid": 5}, 4  # Fig. 8
NEAREST = 5  # neighbours of an image
NEIGHBOURS, MAP_POINTS, MASKED, PICTURES, CHANNELS = 2000, 400, 256, 5, 128  # at most so many are looked at, or kept


def kinds(rows: pd.DataFrame) -> pd.Series:
    """The type of each image; where no type is known at all (VehicleID), the model stands for it."""
    return rows["type"] if rows["type"].notna().any() else rows["model"]


def whole_vehicles(trained: Trained, test: Test, count: int) -> pd.DataFrame:
    """All gallery images of some of a test's vehicles, drawn once for all: at most ``count`` images."""
    rows = trained.dataset.manifest.rows("gallery")
    rows = rows[test.rows(rows)]
    order = np.random.default_rng(0).permutation(np.sort(rows["vehicle_id"].unique()))
    sizes = rows["vehicle_id"].value_counts().reindex(order).cumsum()
    return rows[rows["vehicle_id"].isin(order[: max(1, int((sizes <= count).sum()))])].reset_index(drop=True)


def purity(trained: Trained, test: Test) -> dict[str, dict[str, float]]:
    """Purity of test images' neighbourhoods by label, see :func:`reidpapers.agnet.neighbours.purity`."""
    rows = whole_vehicles(trained, test, NEIGHBOURS)
    labels = {"color": codes(rows["color"]), "type": codes(kinds(rows))}
    shares = neighbours.purity(trained.embed(rows).features, codes(rows["vehicle_id"]), labels, NEAREST)
    return {name: {key: round(value, 6) for key, value in scores.items()} for name, scores in shares.items()}


def embedding_map(trained: Trained, test: Test) -> dict[str, list]:
    """Fig. 7: the plane of t-SNE with each test image's vehicle, colour and type (None: unknown).

    Of a model that fell together there is no map, and no image is in it.
    """
    rows = whole_vehicles(trained, test, MAP_POINTS)
    features = trained.embed(rows).features
    if one_point(features):
        return {name: [] for name in ("x", "y", "vehicle", "color", "type")}
    x, y = neighbours.tsne(features).T.tolist()
    labels = {"vehicle": rows["vehicle_id"], "color": rows["color"], "type": kinds(rows)}
    texts = {name: [None if pd.isna(label) else str(label) for label in values] for name, values in labels.items()}
    return {"x": [round(value, 1) for value in x], "y": [round(value, 1) for value in y], **texts}


def mask(trained: Trained, test: Test) -> dict[str, dict[str, float]]:
    """How evenly the mask weighs what it chooses from: exp(entropy) as a share of their number; 1 is no choice."""
    network = trained.network

    def spread(images: Tensor) -> Tensor:
        weights = network.mask(network.trunk.maps(images)).float().flatten(2)  # [N, C, 1] or [N, C, s·s]
        weights = weights if weights.shape[2] > 1 else weights.mT
        weights = weights / weights.sum(2, keepdim=True)
        return (torch.special.entr(weights).sum(2).exp() / weights.shape[2]).mean(1, keepdim=True)

    rows = whole_vehicles(trained, test, MASKED)
    return {"mask": {"spread": round(float(trained.embed(rows, spread).features.mean()), 6)}}


def pictures(trained: Trained, test: Test) -> list[dict[str, Any]]:
    """The mask on one image of each of some vehicles.

    Returns:
        For each its name, its channels' ``weights`` from the largest on, thinned, and how large f_r (``before``) and
        f_m (``after``) are at each position, as shares of the largest.
    """
    rows = (
        whole_vehicles(trained, test, NEIGHBOURS).drop_duplicates("vehicle_id").iloc[:PICTURES].reset_index(drop=True)
    )
    network = trained.network

    def look(images: Tensor) -> Tensor:
        maps = network.trunk.maps(images).float()
        weights = network.mask(maps).float()
        norms = [values.square().sum(1).sqrt().flatten(1) for values in (maps, maps * weights)]  # [N, s·s], twice
        shares = [norm / norm.amax(1, keepdim=True).clamp_min(1e-12) for norm in norms]
        return torch.cat([*shares, weights.mean((2, 3)).sort(1, descending=True).values], 1)

    looks = trained.embed(rows, look).features
    places = (looks.shape[1] - network.trunk.dim) // 2
    side = round(places**0.5)
    thin = torch.linspace(0, network.trunk.dim - 1, min(CHANNELS, network.trunk.dim)).round().long()
    return [
        {
            "image": str(name),
            "weights": _short(values[2 * places :][thin], 4),
            "before": [_short(line, 3) for line in values[:places].view(side, side)],
            "after": [_short(line, 3) for line in values[places : 2 * places].view(side, side)],
        }
        for name, values in zip(rows["image"], looks, strict=True)
    ]


def spatio_temporal(trained: Trained, weight: float) -> protocols.Reranking:
    """PROVID's re-ranking D + ω s, with ω in mean distances of query and gallery, as features have no unit."""

    def distances(query: Tensor, gallery: Tensor, *rows: pd.DataFrame) -> metrics.Distances:
        plain = protocols.DISTANCES[trained.config.test_distance](query, gallery)
        plain = rerank.rooted(plain) if trained.config.test_distance == "euclidean" else plain
        unit = rerank.mean_distance(plain, len(query)) if weight else 0.0
        return rerank.spatio_temporal(plain, *rows, trained.dataset.camera_distances, weight=weight * unit)

    return protocols.Reranking(distances)


def toy_reranking(config: AGNetConfig) -> list[float]:
    """Re-ranked distances of four points at three cameras: the part of a probe that sees the re-ranking."""
    rows = pd.DataFrame({"camera_id": list("abca"), "time": [0.0, 5.0, 9.0, 20.0]})
    apart = pd.DataFrame([[0, 2, 5], [2, 0, 4], [5, 4, 0]], list("abc"), list("abc"))
    toy = Dataset(None, None, (), "", camera_distances=apart)  # type: ignore[arg-type]
    points = torch.arange(8.0).view(4, 2).square()
    reranking = spatio_temporal(Trained(config, None, toy, None), config.str_weight)  # type: ignore[arg-type]
    return reranking.distances(points, points.flip(0), rows, rows)(slice(0, 4)).flatten().tolist()


def placed(dataset: Dataset, rows: pd.DataFrame) -> bool:
    """Whether times, cameras and distances between cameras are known, which the spatio-temporal re-ranking needs."""
    return dataset.camera_distances is not None and bool(rows[["time", "camera_id"]].notna().all(axis=None))


def tuned(trained: Trained, held_out: int) -> dict[str, dict[str, float]]:
    """mAP of training vehicles that the run never learnt from, by VeRi-776's rule, without STR and for each ω.

    This is where learning rate and ω come from. Where the data lack what STR needs, there is ω = 0 alone.
    """
    table = trained.dataset.manifest.holdout(held_out).rows("query", "gallery")
    features = trained.embed(table).features
    weights = WEIGHTS if placed(trained.dataset, table) else WEIGHTS[:1]
    measures = {}
    for weight in weights:
        distance = spatio_temporal(trained, weight) if weight else trained.config.test_distance
        scores = protocols.evaluate("veri", features, table, distance=distance)
        measures[f"held out, ω {weight:g}"] = {"mAP": round(scores.mAP, 6), "top1": round(scores.top(1), 6)}
    return measures


def retrieved(trained: Trained, tests: Sequence[Test]) -> dict[str, list[dict[str, Any]]]:
    """Fig. 8: the gallery images nearest to evenly chosen queries, eleven by VeRi-776's rule, five by VehicleID's."""
    first = {test.protocol: test for test in reversed(tests) if test.protocol in DEPTHS}
    return {protocol: _lists(trained, first[protocol]) for protocol in DEPTHS if protocol in first}


def _lists(trained: Trained, test: Test) -> list[dict[str, Any]]:
    table = trained.dataset.manifest.rows(*protocols.needs(test))
    table = table[protocols.needed(test, table)].reset_index(drop=True)
    # Without query rows all images but one a vehicle are queries.
    count = int((table["split"] == "query").sum()) or len(table) - table["vehicle_id"].nunique()
    queries = np.unique(np.linspace(0, count - 1, STRIPS).round().astype(int))
    return protocols.retrieval(
        test.protocol, trained.embed(table).features, table, queries, distance=trained.config.test_distance,
        k=DEPTHS[test.protocol],
    )  # fmt: skip


def _short(values: Tensor, digits: int) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in values.tolist()]
