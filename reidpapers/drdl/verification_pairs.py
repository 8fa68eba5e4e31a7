"""Pairs for verification, drawn from any dataset that knows models, types and colours, as CompCars comes with its own.

CompCars grades its pairs by how alike two models look. Here: *easy* pairs of different models are of different types,
*medium* ones of one type, *hard* ones of one type and one colour. Pairs of the same model are of two vehicles at every
level. Colour gives no answer away: all hard pairs, those of one model too, share it, and all others differ in it. And
the models of the test pairs are other ones than a network learns from, as CompCars' Part III has none of Part I's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reidlib.data.manifest import COLUMNS, Manifest, Test

LEVELS = ("easy", "medium", "hard")


def learnt_models(manifest: Manifest) -> list[str]:
    """The models that a network learns from: every other one of the training images', by type and name.

    So both halves have types of several models, which pairs of one type need. The paper trains on 431 models and
    verifies 1,145 others.
    """
    rows = manifest.rows("train").dropna(subset=["model"])
    return rows.groupby("model")["type"].first().reset_index().sort_values(["type", "model"])["model"].tolist()[::2]


def verification_tests(
    manifest: Manifest, count: int = 2000, seed: int = 0, levels: Sequence[str] = LEVELS, unseen: bool = True
) -> tuple[Test, ...]:
    """A test for each level, from all images of models that no network learns from.

    As CompCars has one list of training pairs, they share theirs: equal shares of the levels, from training images.

    Args:
        manifest: of vehicles whose model, type and colour are known.
        count: test pairs a level and, as near as even shares come, training pairs; even, at least two a level.
        seed: settles the draw; the rows' order does not matter.
        levels: which; a small dataset may have no pairs of the harder ones.
        unseen: whether models are kept from training, see :func:`learnt_models`, and colours give nothing away; else
            test pairs are of the gallery, of any models and colours.

    Raises:
        ValueError: see :func:`draw_pairs`.
    """
    least = 2 * len(levels)
    if count < least:
        raise ValueError(f"count = {count} is refused: allowed are even numbers from {least}")
    learnt, tested = manifest.rows("train"), manifest.rows("gallery")
    if unseen:
        models, everything = learnt_models(manifest), manifest.rows("train", "gallery")
        learnt, tested = learnt[learnt["model"].isin(models)], everything[~everything["model"].isin(models)]
    training = [draw_pairs(learnt, level, count // least * 2, seed, balanced=unseen) for level in levels]
    shared = pd.concat(training, ignore_index=True)
    return tuple(
        Test(level, "verification", pairs=draw_pairs(tested, level, count, seed, balanced=unseen),
             threshold_pairs=shared)
        for level in levels
    )  # fmt: skip


def toy_pairs(unseen: bool) -> list[float]:
    """The places of both images of each pair that a toy world gives: the part of a probe that sees the draw."""
    place = np.arange(96)
    table = pd.DataFrame({
        "image": [f"{n:02d}" for n in place], "split": np.where(place < 64, "train", "gallery"),
        "vehicle_id": place // 2, "model": place % 16 // 2, "type": place % 16 // 8, "color": place // 16 % 2,
    }).astype("string")  # fmt: skip
    tests = verification_tests(Manifest("toy", table.reindex(columns=COLUMNS), ""), 12, unseen=unseen)
    frames = [*(test.pairs for test in tests), tests[0].threshold_pairs]
    return pd.concat(frames)[["first", "second"]].astype(float).to_numpy().ravel().tolist()


def draw_pairs(table: pd.DataFrame, level: str, count: int, seed: int = 0, *, balanced: bool = True) -> pd.DataFrame:
    """Random pairs of images: half of the same model (of two vehicles), half of different ones as the level wants.

    Every pair of images that a half allows is equally likely, and no pair stands twice. Rows that lack model, type or
    colour take no part.

    Args:
        table: manifest rows.
        level: ``"easy"``, ``"medium"`` or ``"hard"``.
        count: pairs; even.
        seed: settles the draw; the rows' order does not matter.
        balanced: in both halves the vehicles of a hard pair share their colour, and those of any other differ in it;
            else the colours of the same model, and of different models that are not hard, are as they come.

    Returns:
        A frame with columns ``first``, ``second`` (image names) and ``same`` (the model).

    Raises:
        ValueError: an unknown level, an odd count or one below 2, or fewer pairs in the table than are asked for.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}: allowed are {', '.join(LEVELS)}")
    if count < 2 or count % 2:
        raise ValueError(f"count = {count} is refused: allowed are even numbers from 2")
    rows = table.dropna(subset=["model", "type", "color"]).drop_duplicates("image").sort_values("image")
    vehicles = rows.groupby(["vehicle_id", "model", "type", "color"], sort=True)
    images = [rows["image"].to_numpy()[places] for places in vehicles.indices.values()]
    labels = pd.DataFrame(list(vehicles.indices), columns=["vehicle_id", "model", "type", "color"])
    draw = np.random.default_rng((seed, LEVELS.index(level)))
    halves = []
    for same, allowed in zip((True, False), _allowed(labels, level, balanced), strict=True):
        what = f"{level} pairs of {'the same model' if same else 'different models'}"
        halves.append(_drawn(images, allowed, count // 2, draw, what).assign(same=same))
    return pd.concat(halves, ignore_index=True)


def _allowed(labels: pd.DataFrame, level: str, balanced: bool) -> tuple[np.ndarray, np.ndarray]:
    """Which vehicles make a pair of the same model, and which one of different models, each ``[V, V]``."""
    codes = (pd.factorize(labels[column])[0] for column in ("vehicle_id", "model", "type", "color"))
    vehicle, model, kind, color = (code[:, None] == code for code in codes)
    paint = color if level == "hard" else ~color if balanced else np.ones_like(color)
    different = ~model & paint & (~kind if level == "easy" else kind)
    return ~vehicle & model & (paint if balanced else True), ~vehicle & different


def _drawn(
    images: list[np.ndarray], allowed: np.ndarray, count: int, draw: np.random.Generator, what: str
) -> pd.DataFrame:
    """Some of all the pairs of images of two allowed vehicles, found by their number and never listed."""
    left, right = np.nonzero(np.triu(allowed, 1))
    size = np.array([len(names) for names in images], dtype=np.int64)
    last = np.cumsum(size[left] * size[right])
    total = int(last[-1]) if len(last) else 0
    if total < count:
        raise ValueError(f"{count} {what} are asked for, but the images with model, type and colour make {total}")
    number = draw.choice(total, count, replace=False)
    pair = np.searchsorted(last, number, side="right")
    left, right, within = left[pair], right[pair], number - np.concatenate([[0], last])[pair]
    names, start = np.concatenate(images), np.cumsum(size) - size
    first, second = np.divmod(within, size[right])
    return pd.DataFrame({"first": names[start[left] + first], "second": names[start[right] + second]})
