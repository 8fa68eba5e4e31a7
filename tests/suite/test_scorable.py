"""Tests that cannot be scored are told from labels alone, and why."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from reidlib.data.manifest import COLUMNS, Dataset, Manifest, Test
from reidlib.evaluate.metrics import Relevance
from reidpapers.run.scorable import matchless, unscorable

VERI = (Test("", "veri"),)


def dataset(*rows, tests=VERI):
    """From (split, vehicle, camera)."""
    table = pd.DataFrame(rows, columns=["split", "vehicle_id", "camera_id"])
    table["image"] = [str(place) for place in range(len(table))]
    return Dataset(Manifest("toy", table.reindex(columns=list(COLUMNS)), "o"), len, tests, "")


TRAIN = ("train", "t", "1")


def test_a_single_camera_has_junk_alone():
    data = dataset(TRAIN, ("query", "a", "1"), ("gallery", "a", "1"), ("query", "b", "1"), ("gallery", "b", "1"))
    (problem,) = unscorable(data)
    assert "of 2 queries 0 have no gallery image of their vehicle, and for 2 all of these are junk" in problem


def test_strangers_have_no_match():
    (problem,) = unscorable(dataset(TRAIN, ("query", "a", "1"), ("gallery", "b", "2"), ("gallery", "c", "1")))
    assert "of 1 queries 1 have no gallery image of their vehicle, and for 0 all" in problem


def test_one_match_will_do():
    data = dataset(TRAIN, ("query", "a", "1"), ("gallery", "a", "1"), ("gallery", "a", "2"), ("query", "b", "1"))
    assert unscorable(data) == []


def test_every_test_set_is_looked_at_and_named():
    sets = (
        Test("800", "vehicleid", gallery=pd.Index(["1", "2"])),
        Test("1600", "vehicleid", gallery=pd.Index(["1", "3"])),
    )
    rows = (TRAIN, *(("gallery", vehicle, None) for vehicle in "aab"))
    (problem,) = unscorable(dataset(*rows, tests=sets))
    assert problem.startswith("test set 1600: protocol 'vehicleid' leaves no probe")


def test_labels_that_the_rule_needs_are_named():
    (problem,) = unscorable(dataset(TRAIN, ("query", "a", None), ("gallery", "a", "1")))
    assert "needs vehicle_id and camera_id, but of 2 rows lack camera_id of 1" in problem


def test_pairs_must_be_of_both_kinds():
    pairs = pd.DataFrame({"first": ["1"], "second": ["2"], "same": [True]})
    test = Test("easy", "verification", pairs=pairs, threshold_pairs=pairs)
    assert "its pairs are not of both kinds" in unscorable(dataset(TRAIN, tests=(test,)))[0]


codes = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 2)), min_size=1, max_size=6)


@given(codes, codes)
def test_the_loop_agrees(query, gallery):
    (own, junk), (other, other_junk) = np.array(query).T, np.array(gallery).T
    # As in every rule, junk is of the query's own vehicle: a code of both labels.
    joined, other_joined = (np.where(j < 0, -1, 10 * i + j) for i, j in ((own, junk), (other, other_junk)))
    matched = any(
        a == b and a >= 0 and not (j == k and j >= 0)
        for a, j in zip(own, joined, strict=True)
        for b, k in zip(other, other_joined, strict=True)
    )
    assert (matchless(Relevance(own, other, joined, other_joined)) is None) == matched
