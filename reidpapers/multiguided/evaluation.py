"""What a trained run is asked: small and large objects, other backgrounds, attributes, masks, re-ranking."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.images import ImageStore
from reidlib.data.manifest import Dataset, Test
from reidlib.data.side_inputs import masks, original_sizes
from reidlib.evaluate import protocols
from reidlib.evaluate.embed import embed
from reidlib.models import segmentation
from reidpapers.multiguided.config import ATTRIBUTES, EXTRACTORS, MultiGuidedConfig
from reidpapers.multiguided.data import facts, held_out, is_simulated
from reidpapers.multiguided.postprocessing import processed, reranking, thresholds
from reidpapers.run import evaluate_run
from reidpapers.run.evaluate_run import Trained

PROTOCOLS = {"challenge": "aicity2020", "all": "veri"}  # mAP over the first 100 results, and over all
SMALL = 1 / 3  # of the queries, by the pixels of their original pictures
SHOWN, TUNED = 5, 60  # queries before and after re-ranking; training vehicles that thresholds are shown for
MASKS = 12  # that a record of the PSPNet shows


def protocols_of(config: MultiGuidedConfig) -> tuple[str, ...]:
    """The protocols of a configuration's tests."""
    del config
    return tuple(PROTOCOLS.values())


def tests(config: MultiGuidedConfig, dataset: Dataset) -> tuple[Test, ...]:
    """The challenge's mAP and the one over all results; of a single extractor also small and large objects apart."""
    if config.learning not in ("extractor", "ensemble"):
        return ()
    found = tuple(Test(name, protocol) for name, protocol in PROTOCOLS.items())
    if config.learning == "ensemble":
        return found
    query = dataset.manifest.rows("query")
    pixels = original_sizes(dataset, query).double().prod(1).numpy()
    small = pixels <= np.quantile(pixels, SMALL)
    if small.all():
        return found
    sides = {"small objects": query["image"][small], "large objects": query["image"][~small]}
    return found + tuple(Test(name, "aicity2020", query=pd.Index(images)) for name, images in sides.items())


def distance(config: MultiGuidedConfig, trained: Trained) -> protocols.Distance | None:
    """An ensemble's post-processing."""
    if config.learning != "ensemble":
        return None
    attributes = predicted(trained, _tested(trained)) if config.constraint else None
    return reranking(config, attributes)


def measures(config: MultiGuidedConfig, trained: Trained) -> dict[str, dict[str, float]]:
    """What a run is scored by beside its tests."""
    if config.learning == "segmenter":
        return {"masks": segmented(trained)[0]}
    if config.learning == "ensemble":
        features = trained.embed(_tested(trained))
        plain = protocols.evaluate("aicity2020", features.features, features.table)
        return {"plain": evaluate_run.score_fields(plain)}
    found = {}
    if config.learning == "extractor" and _tested(trained)["mask"].notna().all():
        found["other backgrounds"] = evaluate_run.score_fields(_among_other_backgrounds(trained))
    return found | _accuracies(config, trained)


def exhibits(config: MultiGuidedConfig, trained: Trained) -> dict[str, Any] | None:
    """Masks of the PSPNet; of the whole system some rankings before and after re-ranking, and what θ is chosen by."""
    if config.learning == "segmenter":
        return {"masks": segmented(trained)[1]}
    whole = set(config.members) == set(EXTRACTORS) and config.constraint and config.groups == "both"
    if config.learning != "ensemble" or not whole or config.reciprocal or config.literal:
        return None
    rows = trained.dataset.manifest.rows("train")
    rows = rows[~is_simulated(rows)].reset_index(drop=True)
    vehicles = np.random.default_rng(0).permutation(np.sort(rows["vehicle_id"].unique()))[:TUNED]
    rows = rows[rows["vehicle_id"].isin(vehicles)].reset_index(drop=True)
    known = rows["track_id"].notna().any()
    curves = {
        name: {f"{theta:g}": round(mAP, 4) for theta, mAP in curve.items()}
        for name, curve in (thresholds(trained.embed(rows).features, rows) if known else {}).items()
    }
    return {"reranked": _before_and_after(config, trained), "thresholds": curves}


def _tested(trained: Trained) -> pd.DataFrame:
    return trained.dataset.manifest.rows("query", "gallery")


# --- attributes ------------------------------------------------------------------------------------------------------


def predicted(trained: Trained, rows: pd.DataFrame) -> pd.DataFrame:
    """Predicted codes of manifest rows' images: columns ``color`` and ``type``, one line an image."""
    found = trained.embed(rows, trained.network.eval().predicted).features.long().numpy()
    return pd.DataFrame(found, columns=list(ATTRIBUTES), index=rows["image"]).groupby(level=0).first()


def _accuracies(config: MultiGuidedConfig, trained: Trained) -> dict[str, dict[str, float]]:
    """Share of the test images whose attribute a classifier, or AGN, names right; of those whose attribute is known."""
    rows, known = trained.dataset.manifest.rows("gallery"), facts(config)
    if config.learning.startswith("classifier"):
        attributes = (config.learning.removeprefix("classifier_"),)
        codes = trained.embed(rows).features.argmax(1, keepdim=True)
    elif config.extractor == "agn":
        attributes, codes = ATTRIBUTES, trained.embed(rows, trained.network.eval().predicted).features
    else:
        return {}
    found = {}
    for column, name in enumerate(attributes):
        names = np.array({"color": known.colors, "type": known.types}[name], dtype=object)
        labelled = rows[name].notna().to_numpy(bool)
        if labelled.any():
            right = names[codes[:, column].long().numpy()][labelled] == rows[name][labelled].to_numpy(object)
            found[name] = {"accuracy": round(float(right.mean()), 6), "images": int(labelled.sum())}
    return found


# --- masks and backgrounds -------------------------------------------------------------------------------------------


def segmented(trained: Trained) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Mean IoU of predicted masks on held-out training vehicles, and a few of the masks, bit by bit."""
    rows = trained.dataset.manifest.rows("train")
    rows = rows[rows["mask"].notna() & rows["vehicle_id"].isin(held_out(rows))].reset_index(drop=True)
    given = masks(trained.dataset, rows, trained.config.image_size)
    found = segmentation.predict(trained.network, trained.store, rows, device=trained.config.device)
    iou = segmentation.iou(found, given)
    chosen = np.unique(np.linspace(0, len(rows) - 1, MASKS).round().astype(int)).tolist()
    shown = [
        {"image": rows["image"][place], "iou": round(float(iou[place]), 4), "mask": packed(found[place])}
        for place in chosen
    ]
    return {"iou": round(float(iou.mean()), 6), "images": len(rows)}, shown


def packed(mask: Tensor) -> str:
    """A mask ``[S, S]`` as text, a bit a pixel."""
    return base64.b64encode(np.packbits(mask.numpy() > 127)).decode()


def unpacked(text: str, size: int) -> np.ndarray:
    """The mask ``[S, S]`` of :func:`packed`, uint8, 0 or 255."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=size * size)
    return bits.reshape(size, size) * np.uint8(255)


def _among_other_backgrounds(trained: Trained) -> Any:
    """Scores where each test vehicle, cut out by the dataset's own mask, stands before another vehicle's whole picture.

    The other vehicle shows where it is not covered. In training its place is filled (:class:`~reidlib.augment.Guided`),
    so this is noise that no extractor has learnt from.
    """
    rows = _tested(trained).drop_duplicates("image").reset_index(drop=True)
    rows = rows.sort_values(["vehicle_id", "image"]).reset_index(drop=True)
    given = masks(trained.dataset, rows, trained.config.image_size).numpy()[..., None] > 127
    pixels = trained.store.pixels[trained.store.places(rows).numpy()]
    # Half the images on, in the order of vehicles: another vehicle's wherever none has half of them.
    pixels = np.where(given, pixels, np.roll(pixels, len(rows) // 2, axis=0))
    store = ImageStore(pixels, {image: place for place, image in enumerate(rows["image"])})
    found = embed(trained.network, store, _tested(trained), device=trained.config.device)
    return protocols.evaluate("aicity2020", found.features, found.table)


# --- re-ranking ------------------------------------------------------------------------------------------------------


def _before_and_after(config: MultiGuidedConfig, trained: Trained) -> list[dict[str, Any]]:
    """Queries whose average precision re-ranking raises most, lowers most and in between; each with both rankings."""
    features = trained.embed(_tested(trained))
    given = {"before": "euclidean", "after": distance(config, trained)}
    ap, lists = {}, {}
    for name, how in given.items():
        ap[name] = protocols.evaluate("aicity2020", features.features, features.table, distance=how).ap
    gain = ap["after"] - ap["before"]
    order = np.argsort(-gain, kind="stable")[: int(np.isfinite(gain).sum())]
    chosen = order[np.unique(np.linspace(0, len(order) - 1, SHOWN).round().astype(int))]
    for name, how in given.items():
        lists[name] = protocols.retrieval("aicity2020", features.features, features.table, chosen, distance=how)
    return [
        {
            "query": lists["before"][place]["query"],
            **{name: lists[name][place]["top"] for name in given},
            **{f"ap_{name}": round(float(ap[name][query]), 4) for name in given},
        }
        for place, query in enumerate(chosen)
    ]


def synthetic(config: MultiGuidedConfig) -> dict[str, list[float]]:
    """An ensemble's post-processing of synthetic features: the part of a probe that sees it."""
    if config.learning != "ensemble" or reranking(config, None) is None:
        return {}
    place = np.arange(60)
    draws = torch.Generator().manual_seed(0)
    vehicles = torch.as_tensor(place % 12)
    centres = torch.randn(12, 16, generator=draws, dtype=torch.float64)
    features = centres[vehicles] + torch.randn(60, 16, generator=draws, dtype=torch.float64) / 2
    rows = pd.DataFrame({"image": place.astype(str), "track_id": (place % 12 * 3 + place // 20).astype(str)})
    attributes = pd.DataFrame({"color": place % 5, "type": place % 12 // 4}, index=rows["image"])
    query, gallery = rows[:20].reset_index(drop=True), rows[20:].reset_index(drop=True)
    found = processed(config, attributes, features[:20], features[20:], query, gallery)
    # Weighed by column: places in a ranking add up to the same, whichever image has which.
    return {"reranked": (found(slice(0, 20)).double() @ torch.arange(40.0, dtype=torch.float64)).tolist()}
