"""Verification against loops over every threshold, and the pairs that are drawn for it."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from reidlib.data import manifest
from reidlib.evaluate.protocols import needed, needs
from reidpapers.drdl.verification_pairs import LEVELS, draw_pairs, learnt_models, verification_tests
from reidpapers.run.verification import assess, verify
from reidpapers.vehicles import rendered


def pairs(*entries):
    """A frame of (first, second, same) pairs."""
    return pd.DataFrame(entries, columns=["first", "second", "same"])


def images(count):
    """Rows of images "0", "1", … in an order of their own."""
    names = [str(n) for n in np.random.default_rng(0).permutation(count)]
    return pd.DataFrame({"image": names, "split": "gallery"}).astype("string")


def drawn(draw, count, number):
    """Random pairs of images, both kinds among them."""
    first, second = draw.integers(0, count, (2, number)).astype(str)
    same = draw.random(number) < 0.5
    same[:2] = True, False
    return pd.DataFrame({"first": first, "second": second, "same": same})


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), number=st.integers(2, 25))
def test_equals_the_naive_loop(seed, number):
    draw = np.random.default_rng(seed)
    table = images(8)
    features = torch.from_numpy(draw.integers(0, 3, (8, 2)).astype(np.float32))  # few values, so with many ties
    place = {name: features[i].numpy() for i, name in enumerate(table["image"])}
    test = manifest.Test("easy", "verification", pairs=drawn(draw, 8, number), threshold_pairs=drawn(draw, 8, number))

    def measured(frame):
        return [
            (float(np.sqrt(((place[a] - place[b]) ** 2).astype(np.float64).sum())), bool(same))
            for a, b, same in frame.itertuples(index=False)
        ]

    def accuracy(found, threshold):
        return sum((apart <= threshold) == same for apart, same in found) / len(found)

    training, tested = measured(test.threshold_pairs), measured(test.pairs)
    levels = sorted({apart for apart, _ in training})
    thresholds = [np.nextafter(levels[0], -1.0), *levels]
    best = max(thresholds, key=lambda threshold: accuracy(training, threshold))  # the first, so the smallest
    found = verify(features, table, test)
    assert found.threshold_accuracy == accuracy(training, best)
    assert found.accuracy == accuracy(tested, best) == found.right.mean()
    assert found.threshold == pytest.approx(best, rel=1e-12)
    same, different = ([apart for apart, kind in tested if kind is wanted] for wanted in (True, False))
    assert found.auc == pytest.approx(np.mean([near < far for near in same for far in different]))


def test_values_by_hand():
    table = pd.DataFrame({"image": list("abcdef"), "split": "gallery"})
    features = torch.tensor([[0.0], [1.0], [3.0], [6.0], [10.0], [15.0]])
    training = pairs(("a", "b", True), ("b", "c", True), ("c", "d", False), ("a", "c", False), ("d", "e", True))
    # At 1, 2, 3, 3, 4: same, same, different twice, same. Up to 2: four right. Up to 4: three.
    tested = pairs(("b", "a", True), ("a", "d", True), ("e", "f", False), ("b", "c", False))  # at 1, 6, 5, 2
    found = verify(features, table, manifest.Test("", "verification", pairs=tested, threshold_pairs=training))
    assert (found.threshold, found.threshold_accuracy, found.accuracy) == (2.0, 0.8, 0.5)
    assert found.right.tolist() == [True, False, True, False]
    assert found.auc == 0.5  # the same pair at 1 is nearer than both, that at 6 than neither


def test_the_area_is_scikit_learns_without_ties():
    draw = np.random.default_rng(4)
    table, features = images(40), torch.from_numpy(draw.normal(size=(40, 5)))
    first = draw.permutation(40)
    tested = pd.DataFrame({"first": first.astype(str), "second": ((first + 1) % 40).astype(str)})
    tested["same"] = draw.random(40) < 0.4
    test = manifest.Test("", "verification", pairs=tested, threshold_pairs=tested)
    row = pd.Series(np.arange(40), index=table["image"])
    for distance in ("euclidean", "cosine"):
        one, other = (features[row[tested[side]].to_list()] for side in ("first", "second"))
        apart = (one - other).norm(dim=1) if distance == "euclidean" else -torch.cosine_similarity(one, other)
        found = verify(features, table, test, distance)
        assert found.auc == pytest.approx(roc_auc_score(tested["same"], -apart.numpy()))
        assert found.accuracy == found.threshold_accuracy  # on the pairs that it was taken from


def test_a_collapsed_model_is_right_on_one_kind_only():
    table = images(6)
    tested = pairs(("0", "1", True), ("2", "3", True), ("1", "2", False), ("4", "5", False))
    for features in (torch.zeros(6, 3), torch.full((6, 3), 0.1)):
        found = verify(features, table, manifest.Test("", "verification", pairs=tested, threshold_pairs=tested))
        assert (found.accuracy, found.auc) == (0.5, 0.0)
        assert found.right.tolist() == [False, False, True, True]  # the smallest threshold: nothing is the same


def test_order_changes_nothing():
    draw = np.random.default_rng(1)
    table, features = images(30), torch.from_numpy(draw.normal(size=(30, 4)))
    test = manifest.Test("", "verification", pairs=drawn(draw, 30, 50), threshold_pairs=drawn(draw, 30, 50))
    order = draw.permutation(30)
    shuffled = manifest.Test("", "verification", pairs=test.pairs, threshold_pairs=test.threshold_pairs.iloc[::-1])
    one, other = verify(features, table, test), verify(features[order], table.iloc[order], shuffled)
    assert (one.accuracy, one.threshold, one.auc) == (other.accuracy, other.threshold, other.auc)


def test_what_is_not_whole_is_refused():
    table, features = images(4), torch.zeros(4, 2)
    good = pairs(("0", "1", True), ("2", "3", False))

    def refused(message, tested=good, training=good, values=features, **options):
        with pytest.raises(ValueError, match=message):
            verify(values, table, manifest.Test("", "verification", pairs=tested, threshold_pairs=training), **options)

    refused("needs the test's pairs: there are none", tested=None)
    refused("needs the test's threshold_pairs: there are none", training=None)
    refused(
        "pairs name 2 images that have no row in the table: 8, 9", tested=pairs(("0", "9", True), ("8", "1", False))
    )
    refused(r"pairs: column \['same'\] missing", tested=good.drop(columns="same"))
    refused(r"threshold_pairs: column \['first'\] missing", training=good.assign(first=[None, "1"]))
    refused("column 'same' holds .*: allowed are True, False", tested=good.assign(same=[1, 2]))
    refused("pairs: 2 of 2 pairs are the same: both kinds are needed", tested=good.assign(same=True))
    refused("3 features for 4 rows", values=features[:3])
    refused("not finite in 1 of 2 pairs", values=features.index_fill(0, torch.tensor([0]), torch.nan))
    refused("unknown distance 'angle': allowed are euclidean, cosine", distance="angle")


VEHICLES = {  # vehicle: model, type, colour, images
    "v1": ("sedan-1", "sedan", "red", 3),
    "v2": ("sedan-1", "sedan", "blue", 2),
    "v3": ("sedan-2", "sedan", "red", 2),
    "v4": ("suv-1", "suv", "red", 2),
    "v5": ("suv-1", "suv", "red", 1),
}


def labelled():
    """Rows of the vehicles above."""
    rows = [
        (f"{vehicle}_{n}", "gallery", vehicle, *labels)
        for vehicle, (*labels, count) in VEHICLES.items()
        for n in range(count)
    ]
    return pd.DataFrame(rows, columns=["image", "split", "vehicle_id", "model", "type", "color"]).astype("string")


def every_pair(level, balanced):
    """All pairs of images that a level allows, by its words: of the same model, of different models."""
    same, different = set(), set()
    for (_, a), (_, b) in combinations(labelled().iterrows(), 2):
        if a["vehicle_id"] == b["vehicle_id"] or (balanced and (a["color"] == b["color"]) != (level == "hard")):
            continue
        alike = {column: a[column] == b[column] for column in ("model", "type", "color")}
        if alike["model"]:
            same.add(frozenset((a["image"], b["image"])))
        elif {"easy": not alike["type"], "medium": alike["type"], "hard": alike["type"] and alike["color"]}[level]:
            different.add(frozenset((a["image"], b["image"])))
    return same, different


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("level", LEVELS)
def test_pairs_are_what_the_level_says_and_every_one_can_come(level, balanced):
    allowed = every_pair(level, balanced)
    most = min(map(len, allowed))
    seen = set(), set()
    for seed in range(60):
        found = draw_pairs(labelled(), level, 2 * most, seed, balanced=balanced)
        for same, side, into in zip((True, False), allowed, seen, strict=True):
            half = [frozenset(pair) for pair in found.loc[found["same"] == same, ["first", "second"]].to_numpy()]
            assert len(half) == len(set(half)) == most and set(half) <= side
            into.update(half)
    assert seen == allowed
    with pytest.raises(ValueError, match=rf"{most + 1} {level} pairs of .* are asked for, but .* make {most}"):
        draw_pairs(labelled(), level, 2 * most + 2, balanced=balanced)


def test_pairs_depend_on_the_seed_and_not_on_the_rows_order():
    table = labelled()
    one = draw_pairs(table, "easy", 8, seed=5)
    pd.testing.assert_frame_equal(one, draw_pairs(table.iloc[::-1], "easy", 8, seed=5))
    assert not one.equals(draw_pairs(table, "easy", 8, seed=6))


def test_colour_tells_nothing_of_balanced_pairs_and_misleads_on_others():
    """A judge who sees colours alone is right on half of the balanced pairs, and on few hard ones as they come."""
    table = rendered.load("small").manifest.rows("train")
    paint = table.set_index("image")["color"]

    def right(level, balanced):
        pairs = draw_pairs(table, level, 600, balanced=balanced)
        alike = paint[pairs["first"]].to_numpy() == paint[pairs["second"]].to_numpy()
        return float((alike == pairs["same"]).mean())

    assert [right(level, balanced=True) for level in LEVELS] == [0.5] * 3
    assert right("hard", balanced=False) < 0.25


def test_rows_without_labels_take_no_part():
    table = labelled()
    table.loc[table["vehicle_id"] == "v2", "color"] = pd.NA
    found = draw_pairs(table, "medium", 4, balanced=False)
    assert not found[["first", "second"]].stack().str.startswith("v2").any()
    with pytest.raises(ValueError, match="1 easy pairs of the same model are asked for, but .* make 0"):
        draw_pairs(table.assign(type=pd.NA), "easy", 2)


def test_wrong_numbers_of_pairs_are_refused():
    for count in (0, 3, -2):
        with pytest.raises(ValueError, match=f"count = {count} is refused: allowed are even numbers"):
            draw_pairs(labelled(), "easy", count)
    with pytest.raises(ValueError, match="unknown level 'worst': allowed are easy, medium, hard"):
        draw_pairs(labelled(), "worst", 2)
    with pytest.raises(ValueError, match="count = 4 is refused: allowed are even numbers from 6"):
        verification_tests(rendered.load("smoke").manifest, 4)


def test_the_rendered_vehicles_have_all_three_levels():
    vehicles = rendered.load("small").manifest
    tests, learnt = verification_tests(vehicles, 600, seed=1), learnt_models(vehicles)
    assert len(learnt) == 14 and vehicles.rows("train")["model"].nunique() == 27
    assert [test.name for test in tests] == list(LEVELS)
    label = vehicles.table.drop_duplicates("image").set_index("image")
    for test in tests:
        assert len(test.pairs) == 600 and len(test.threshold_pairs) == 600 and test.pairs["same"].mean() == 0.5
        assert test.threshold_pairs is tests[0].threshold_pairs
        for frame, seen in ((test.pairs, False), (test.threshold_pairs, True)):
            first, second = (label.loc[frame[side]] for side in ("first", "second"))
            assert (first["model"].isin(learnt) == seen).all() and (second["model"].isin(learnt) == seen).all()
            assert not seen or set(first["split"]) == {"train"} == set(second["split"])
            models = first["model"].to_numpy() == second["model"].to_numpy()
            np.testing.assert_array_equal(models, frame["same"])
        assert needs(test) == ("train", "query", "gallery")
        used = needed(test, vehicles.table)
        names = pd.concat([test.pairs, test.threshold_pairs])[["first", "second"]].stack().unique()
        assert set(vehicles.table["image"][used]) == set(names)
        # Features that tell the models apart exactly are right on every pair.
        code = pd.factorize(vehicles.table["model"], sort=True)[0]
        found = assess(test, torch.from_numpy(code[:, None].astype(np.float32)), vehicles.table)
        assert (found.accuracy, found.threshold, found.auc) == (1.0, 0.0, 1.0)


def test_levels_may_be_left_out():
    manifest = rendered.load("smoke").manifest  # of twelve test vehicles no two make a hard pair
    tests = verification_tests(manifest, 24, levels=("easy", "medium"), unseen=False)
    assert [test.name for test in tests] == ["easy", "medium"] and len(tests[0].threshold_pairs) == 24
    assert set(tests[0].pairs["first"]) <= set(manifest.rows("gallery")["image"])
    with pytest.raises(ValueError, match="hard"):
        verification_tests(manifest, 24, unseen=False)
    with pytest.raises(ValueError, match="even numbers from 4"):
        verification_tests(manifest, 2, levels=("easy", "medium"))
