"""What a trained run is scored by: small and large objects, other backgrounds, attributes, masks, re-ranking."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from reidlib.data.images import ImageStore
from reidlib.data.manifest import Dataset, Test
from reidlib.evaluate import protocols
from reidlib.evaluate.embed import embed
from reidpapers.multiguided import segmentation
from reidpapers.multiguided.config import ATTRIBUTES, EXTRACTORS, MultiGuidedConfig
from reidpapers.multiguided.data import classes, held_out, is_simulated
from reidpapers.multiguided.postprocessing import reranking, thresholds
from reidpapers.multiguided.side_inputs import masks, original_sizes
from reidpapers.run import evaluate_run
from reidpapers.run.evaluate_run import Trained

PROTOCOLS = {"challenge": "aicity2020", "all": "veri"}  # mAP over the first 100 results, and over all
SMALL = 1 / 3  # of the queries, by the pixels of their original pictures
RERANKED, TUNED = 5, 60  # queries before and after re-ranking; training vehicles that thresholds are tried on
MASKS = 12  # that a record of the PSPNet shows


def whole_tests(config: MultiGuidedConfig) -> tuple[Test, ...]:
    """The challenge's mAP and the one over all results; none where nothing is matched."""
    matches = config.learning in ("extractor", "ensemble")
    return tuple(Test(name, protocol) for name, protocol in PROTOCOLS.items()) if matches else ()


def tests(config: MultiGuidedConfig, dataset: Dataset) -> tuple[Test, ...]:
    """The challenge's mAP and the one over all results; of a single extractor also small and large objects apart."""
    whole = whole_tests(config)
    if config.learning != "extractor":
        return whole
    query = dataset.manifest.rows("query")
    pixels = original_sizes(dataset, query).double().prod(1).numpy()
    small = pixels <= np.quantile(pixels, SMALL)
    if small.all():
        return whole
    sides = {"small objects": query["image"][small], "large objects": query["image"][~small]}
    return whole + tuple(Test(name, "aicity2020", query=pd.Index(images)) for name, images in sides.items())


def distance(config: MultiGuidedConfig, trained: Trained) -> protocols.Distance | None:
    """An ensemble's post-processing; None where there is none."""
    if config.learning != "ensemble":
        return None
    attributes = predicted(trained, _tested(trained)) if config.constraint else None
    return reranking(config, attributes)


def measures(config: MultiGuidedConfig, trained: Trained) -> dict[str, dict[str, float]]:
    """What a run is scored by beside its tests."""
    if config.learning == "segmenter":
        overlaps = segmented(trained)[2]
        return {"masks": {"iou": round(float(overlaps.mean()), 6), "images": len(overlaps)}}
    if config.learning == "ensemble":
        features = trained.embed(_tested(trained))
        plain = protocols.evaluate("aicity2020", features.features, features.table)
        return {"plain": evaluate_run.score_fields(plain)}
    scores = {}
    if config.learning == "extractor" and _tested(trained)["mask"].notna().all():
        scores["other backgrounds"] = evaluate_run.score_fields(_among_other_backgrounds(trained))
    return scores | _accuracies(config, trained)


def exhibits(config: MultiGuidedConfig) -> dict[str, Callable[[Trained], Any]]:
    """Masks of the PSPNet; of the whole system some rankings before and after re-ranking, and what θ is chosen by."""
    if config.learning == "segmenter":
        return {"masks": _masks}
    whole = set(config.members) == set(EXTRACTORS) and config.constraint and config.groups == "both"
    if config.learning != "ensemble" or not whole or config.reciprocal or config.literal:
        return {}
    return {"reranked": partial(_before_and_after, config), "thresholds": _thresholds}


def _tested(trained: Trained) -> pd.DataFrame:
    return trained.dataset.manifest.rows("query", "gallery")


# --- attributes ------------------------------------------------------------------------------------------------------


def predicted(trained: Trained, rows: pd.DataFrame) -> pd.DataFrame:
    """Predicted codes of manifest rows' images: columns ``color`` and ``type``, one line an image."""
    codes = trained.embed(rows, trained.network.eval().predicted).features.long().numpy()
    return pd.DataFrame(codes, columns=list(ATTRIBUTES), index=rows["image"]).groupby(level=0).first()


def _accuracies(config: MultiGuidedConfig, trained: Trained) -> dict[str, dict[str, float]]:
    """Share of the test images whose attribute a classifier, or AGN, names right; of those whose attribute is known."""
    rows, names = trained.dataset.manifest.rows("gallery"), classes(config)
    if config.learning.startswith("classifier"):
        attributes = (config.learning.removeprefix("classifier_"),)
        codes = trained.embed(rows).features.argmax(1, keepdim=True)
    elif config.extractor == "agn":
        attributes, codes = ATTRIBUTES, trained.embed(rows, trained.network.eval().predicted).features
    else:
        return {}
    accuracies = {}
    for column, attribute in enumerate(attributes):
        labels = rows[attribute].to_numpy(object)
        labelled = rows[attribute].notna().to_numpy(bool)
        if labelled.any():
            named = np.array(names[f"{attribute}s"], dtype=object)[codes[:, column].long().numpy()]
            right = named[labelled] == labels[labelled]
            accuracies[attribute] = {"accuracy": round(float(right.mean()), 6), "images": int(labelled.sum())}
    return accuracies


# --- masks and backgrounds -------------------------------------------------------------------------------------------


def segmented(trained: Trained) -> tuple[pd.DataFrame, Tensor, Tensor]:
    """The images of held-out training vehicles, the masks predicted for them, and their IoU with the dataset's own.

    Returns:
        manifest rows, masks uint8 ``[N, S, S]``, IoU ``[N]``.
    """
    rows = trained.dataset.manifest.rows("train")
    rows = rows[rows["mask"].notna() & rows["vehicle_id"].isin(held_out(rows))].reset_index(drop=True)
    own = masks(trained.dataset, rows, trained.config.image_size)
    segments = segmentation.predict(trained.network, trained.store, rows, device=trained.config.device)
    return rows, segments, segmentation.iou(segments, own)


def _masks(trained: Trained) -> list[dict[str, Any]]:
    """A few of the masks that the PSPNet predicts, bit by bit."""
    rows, segments, overlaps = segmented(trained)
    chosen = np.unique(np.linspace(0, len(rows) - 1, MASKS).round().astype(int)).tolist()
    return [
        {"image": rows["image"][place], "iou": round(float(overlaps[place]), 4), "mask": packed(segments[place])}
        for place in chosen
    ]


def packed(mask: Tensor) -> str:
    """A mask ``[S, S]`` as text, a bit a pixel."""
    return base64.b64encode(np.packbits(mask.numpy() > 127)).decode()


def unpacked(text: str, size: int) -> np.ndarray:
    """The mask ``[S, S]`` of :func:`packed`, uint8, 0 or 255."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=size * size)
    return bits.reshape(size, size) * np.uint8(255)


def _among_other_backgrounds(trained: Trained) -> Any:
    """Scores where each test vehicle, cut out by the dataset's own mask, stands before another vehicle's whole picture.

    The other vehicle shows where it is not covered. In training its place is filled
    (:class:`~reidpapers.multiguided.augment.Guided`), so this is noise that no extractor has learnt from.
    """
    rows = _tested(trained).drop_duplicates("image").reset_index(drop=True)
    rows = rows.sort_values(["vehicle_id", "image"]).reset_index(drop=True)
    vehicle = masks(trained.dataset, rows, trained.config.image_size).numpy()[..., None] > 127
    pixels = trained.store.pixels[trained.store.places(rows).numpy()]
    # Half the images on, in the order of vehicles: another vehicle's wherever none has half of them.
    pixels = np.where(vehicle, pixels, np.roll(pixels, len(rows) // 2, axis=0))
    store = ImageStore(pixels, {image: place for place, image in enumerate(rows["image"])})
    features = embed(trained.network, store, _tested(trained), device=trained.config.device)
    return protocols.evaluate("aicity2020", features.features, features.table)


# --- re-ranking ------------------------------------------------------------------------------------------------------


def _before_and_after(config: MultiGuidedConfig, trained: Trained) -> list[dict[str, Any]]:
    """Queries whose average precision re-ranking raises most, lowers most and in between; each with both rankings."""
    features = trained.embed(_tested(trained))
    distances = {"before": "euclidean", "after": distance(config, trained)}
    ap, lists = {}, {}
    for name, how in distances.items():
        ap[name] = protocols.evaluate("aicity2020", features.features, features.table, distance=how).ap
    gain = ap["after"] - ap["before"]
    order = np.argsort(-gain, kind="stable")[: int(np.isfinite(gain).sum())]
    chosen = order[np.unique(np.linspace(0, len(order) - 1, RERANKED).round().astype(int))]
    for name, how in distances.items():
        lists[name] = protocols.retrieval("aicity2020", features.features, features.table, chosen, distance=how)
    return [
        {
            "query": lists["before"][place]["query"],
            **{name: lists[name][place]["top"] for name in distances},
            **{f"ap_{name}": round(float(ap[name][query]), 4) for name in distances},
        }
        for place, query in enumerate(chosen)
    ]


def _thresholds(trained: Trained) -> dict[str, dict[str, float]]:
    """mAP of some real training vehicles against θ, by use of it; nothing where they have no tracks."""
    rows = trained.dataset.manifest.rows("train")
    rows = rows[~is_simulated(rows)].reset_index(drop=True)
    vehicles = np.random.default_rng(0).permutation(np.sort(rows["vehicle_id"].unique()))[:TUNED]
    rows = rows[rows["vehicle_id"].isin(vehicles)].reset_index(drop=True)
    if rows["track_id"].isna().all():
        return {}
    curves = thresholds(trained.embed(rows).features, rows)
    return {name: {f"{theta:g}": round(mAP, 4) for theta, mAP in curve.items()} for name, curve in curves.items()}
