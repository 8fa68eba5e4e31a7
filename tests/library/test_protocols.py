"""Each benchmark's rule on a handful of rows whose scores are known by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib.data.manifest import COLUMNS, Manifest
from reidlib.evaluate import metrics, protocols
from reidlib.evaluate.protocols import evaluate, retrieval


def rows(*entries):
    """A table of (split, image, vehicle, camera) rows."""
    table = pd.DataFrame(entries, columns=["split", "image", "vehicle_id", "camera_id"])
    return table.astype("string")


def at(*positions):
    """Features on a line."""
    return torch.tensor(positions, dtype=torch.float32)[:, None]


VERI = rows(
    ("query", "q0", "a", "c1"),
    ("query", "q1", "b", "c1"),
    ("gallery", "q0", "a", "c1"),  # the query's own image: junk
    ("gallery", "g1", "a", "c1"),  # same vehicle, same camera: junk
    ("gallery", "g2", "a", "c2"),
    ("gallery", "g3", "b", "c2"),
    ("gallery", "g4", "b", "c3"),
)
PLACES = at(0, 10, 0, 1, 5, 3, 9)


def test_veri_leaves_out_the_same_vehicle_at_the_same_camera():
    scores = evaluate("veri", PLACES, VERI)
    # q0 at 0: b at 3, then a at 5 (its match), b at 9. q1 at 10: b at 9, a at 5, b at 3, two of a it never met.
    assert scores.first.tolist() == [2, 1]
    assert scores.ap.tolist() == pytest.approx([1 / 2, (1 / 1 + 2 / 3) / 2])
    assert (scores.mAP, scores.top(1), scores.top(2), scores.unmatched) == pytest.approx((2 / 3, 0.5, 1.0, 0))


def test_veri_counts_another_vehicle_at_the_same_camera_as_a_mistake():
    table = rows(("query", "q", "a", "c1"), ("gallery", "x", "b", "c1"), ("gallery", "y", "a", "c2"))
    assert evaluate("veri", at(0, 1, 2), table).first.tolist() == [2]


def test_a_query_seen_by_one_camera_only_is_unmatched():
    table = pd.concat([VERI, rows(("query", "q2", "c", "c1"), ("gallery", "q2", "c", "c1"))], ignore_index=True)
    scores = evaluate("veri", at(0, 10, 0, 1, 5, 3, 9, 50, 50), table)
    assert scores.unmatched == 1
    assert scores.first.tolist() == [2, 1, 0]
    assert scores.mAP == pytest.approx(2 / 3)


def test_rows_in_any_order_and_of_other_splits_change_nothing():
    table = pd.concat([rows(("train", "t", "a", None)), VERI], ignore_index=True)
    features = torch.cat([at(0), PLACES])
    order = np.random.default_rng(0).permutation(len(table))
    shuffled = evaluate("veri", features[order], table.iloc[order])
    assert shuffled.mAP == evaluate("veri", PLACES, VERI).mAP


def test_a_manifest_is_scored_as_it_is():
    entries = VERI.reindex(columns=list(COLUMNS)).assign(bbox=[(0, 0, 2, 2)] * len(VERI))
    manifest = Manifest("toy", entries, "by hand")
    table = manifest.rows(*protocols.splits("veri"))
    places = dict(zip(VERI["split"] + VERI["image"], PLACES[:, 0].tolist(), strict=True))
    features = at(*(table["split"] + table["image"]).map(places))
    assert evaluate("veri", features, table).mAP == pytest.approx(2 / 3)


DIGITS = rows(
    *[("train", f"t{i}", label, None) for i, label in enumerate("0011")],
    *[(split, f"d{i}", label, None) for split in ("query", "gallery") for i, label in enumerate("0101")],
)


def test_leave_one_out_searches_all_but_the_image_itself():
    # Images 0, 1, 2, 3 of labels 0, 1, 0, 1 at 0, 1, 3, 4: nearest others are d1, d0, d3, d2, and then the right ones,
    # but d1 ties d0 (distance 1) with nothing and meets its own label at 3, behind d2 at 2.
    features = at(*[0] * 4, 0, 1, 3, 4, 0, 1, 3, 4)
    scores = evaluate("leave_one_out", features, DIGITS)
    assert scores.first.tolist() == [2, 3, 3, 2]
    assert (scores.top(1), scores.top(2), scores.top(3)) == (0.0, 0.5, 1.0)


def test_leave_one_out_wants_each_query_in_the_gallery():
    table = DIGITS[~((DIGITS["split"] == "gallery") & (DIGITS["image"] == "d2"))]
    with pytest.raises(ValueError, match="1 of 4 query images are not in the gallery"):
        evaluate("leave_one_out", torch.zeros(len(table), 1), table)


def test_test_to_train_searches_the_training_images():
    features = at(0, 2, 5, 9, 1, 8, 4, 3, 1, 8, 4, 3)
    scores = evaluate("test_to_train", features, DIGITS)  # training: 0s at 0 and 2, 1s at 5 and 9
    # d0, a 0 at 1: 0 and 2 first. d1, a 1 at 8: 9 first. d2, a 0 at 4: 5, then 2. d3, a 1 at 3: 2, then 5.
    assert scores.first.tolist() == [1, 1, 2, 2]
    assert protocols.splits("test_to_train") == ("train", "query")


def test_distance_and_ties_are_passed_on():
    table = rows(("query", "q", "a", "c1"), ("gallery", "x", "a", "c2"), ("gallery", "y", "b", "c2"))
    features = torch.tensor([[1.0, 0.0], [9.0, 1.0], [1.0, 1.0]])
    assert evaluate("veri", features, table).first.tolist() == [2]
    assert evaluate("veri", features, table, distance="cosine").first.tolist() == [1]
    collapsed = torch.ones(3, 2)
    assert evaluate("veri", collapsed, table).mAP == 0.5
    table = pd.concat([table, rows(("gallery", "z", "a", "c2"))], ignore_index=True)
    assert evaluate("veri", torch.ones(4, 2), table).mAP == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert evaluate("veri", torch.ones(4, 2), table, ties="sklearn").mAP == pytest.approx(2 / 3)


def test_draws_are_averaged(monkeypatch):
    veri = protocols.PROTOCOLS["veri"]

    def twice(table):
        task = veri.tasks(table)[0]
        other = protocols.Task(task.query, task.gallery[::-1], metrics.Relevance([0, 1], [0, 0, 0, 1, 1]))
        return [task, other]

    drawn = protocols.Protocol("drawn", "", "", veri.splits, veri.metrics, twice)
    monkeypatch.setitem(protocols.PROTOCOLS, "drawn", drawn)
    first, both = evaluate("veri", PLACES, VERI), evaluate("drawn", PLACES, VERI)
    other = metrics.score(metrics.euclidean(PLACES[:2], PLACES[2:].flip(0)), metrics.Relevance([0, 1], [0, 0, 0, 1, 1]))
    assert both.mAP == pytest.approx((first.mAP + other.mAP) / 2)
    np.testing.assert_allclose(both.cmc, (first.cmc + other.cmc) / 2)
    np.testing.assert_array_equal(both.ap, first.ap)
    assert [draw.mAP for draw in both.draws] == [first.mAP, other.mAP] and not first.draws


def test_retrieval_lists_what_a_record_shows():
    found = retrieval("veri", PLACES, VERI, [0], k=2)
    assert found == [
        {
            "query": {"image": "q0", "vehicle": "a", "camera": "c1"},
            "top": [
                {"image": "g3", "vehicle": "b", "camera": "c2", "match": False, "distance": 3.0},
                {"image": "g2", "vehicle": "a", "camera": "c2", "match": True, "distance": 5.0},
            ],
        }
    ]
    (digits,) = retrieval("leave_one_out", at(*[0] * 4, 0, 1, 3, 4, 0, 1, 3, 4), DIGITS, np.array([1]))
    assert digits["query"]["camera"] is None
    assert [item["image"] for item in digits["top"]] == ["d0", "d2", "d3"]  # no more than there are


@pytest.mark.parametrize("name", list(protocols.PROTOCOLS))
def test_every_protocol_names_itself_and_its_source(name):
    protocol = protocols.PROTOCOLS[name]
    assert protocol.name == name
    assert protocol.title and protocol.source and protocol.metrics
    assert set(protocol.splits) <= {"train", "query", "gallery"}


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="unknown protocol 'very': allowed are veri, leave_one_out, test_to_train"):
        evaluate("very", PLACES, VERI)
    with pytest.raises(ValueError, match="unknown distance 'manhatan': allowed are euclidean, cosine"):
        evaluate("veri", PLACES, VERI, distance="manhatan")
    with pytest.raises(ValueError, match="6 features for 7 rows"):
        evaluate("veri", PLACES[1:], VERI)
    with pytest.raises(ValueError, match="not finite in 1 of 5 rows"):
        evaluate("veri", torch.cat([PLACES[:6], at(np.nan)]), VERI)
    for split in ("query", "gallery"):
        kept = (VERI["split"] != split).to_numpy(bool)
        with pytest.raises(ValueError, match=f"needs rows of split '{split}'"):
            evaluate("veri", PLACES[kept], VERI[kept])


def test_a_missing_camera_is_refused_only_where_it_is_needed():
    table = VERI.assign(camera_id=VERI["camera_id"].where(VERI["image"] != "g3"))
    with pytest.raises(ValueError, match="'veri' needs vehicle_id and camera_id, but of 7 rows lack camera_id of 1"):
        evaluate("veri", PLACES, table)
    assert evaluate("leave_one_out", at(*[0] * 4, 0, 1, 3, 4, 0, 1, 3, 4), DIGITS).unmatched == 0
