"""The rules that draw at random, the camera rules and the first hundred, each against a naive loop over its words."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.data import manifest
from reidlib.evaluate.protocols import PROTOCOLS, SEEDS, assess, evaluate, needed, needs, retrieval, rules, splits

DRAWN = ("vehicleid", "vehicle1m_cmc", "vehicle1m_map", "drdl_retrieval", "drdl_retrieval_literal")
CAMERAS = ("veri", "veriwild", "aicity2020", "aicity2020_found")


def benchmark(seed, vehicles=6, most=9):
    """A table of gallery, query and training rows and features of few different values, so with many ties."""
    draw = np.random.default_rng(seed)
    vehicle = np.repeat(np.arange(vehicles), draw.integers(1, most + 1, vehicles))
    names = draw.permutation(len(vehicle))
    table = pd.DataFrame({
        "split": "gallery",
        "image": [f"{name:03d}.jpg" for name in names],
        "vehicle_id": [f"v{v}" for v in vehicle],
        "camera_id": [f"c{c}" for c in draw.integers(0, 3, len(vehicle))],
        "model": [None if v == 5 else f"m{v // 2}" for v in vehicle],
    })  # fmt: skip
    other = table.iloc[::3]
    table = pd.concat([other.assign(split="train"), table, other.assign(split="query")], ignore_index=True)
    features = torch.from_numpy(draw.integers(0, 3, (len(table), 2)).astype(np.float32))
    return table.astype("string"), features


def average_precision(probe, gallery, is_match, is_junk, place, depth=None, found=False):
    """One probe's AP and first rank: order the gallery with non-matches first among equals, then walk down."""
    items = [item for item in gallery if not is_junk(probe, item)]
    apart = dict(zip(items, ((place[items] - place[probe]) ** 2).sum(1), strict=True))
    ranked = sorted(items, key=lambda item: (apart[item], is_match(probe, item)))
    ranks = [rank for rank, item in enumerate(ranked, 1) if is_match(probe, item)]
    if not ranks:
        return None, None
    terms = [number / rank for number, rank in enumerate(ranks, 1) if depth is None or rank <= depth]
    return sum(terms) / (max(1, len(terms)) if found else len(ranks)), ranks[0]


def naive_draw(protocol, table, seed):
    """Probes and gallery of one draw, row by row as the benchmark's authors word it."""
    literal = protocol == "drdl_retrieval_literal"
    pool = [i for i in range(len(table)) if table["split"][i] == "gallery"]
    if literal:
        pool = [i for i in pool if not pd.isna(table["model"][i])]
    pool.sort(key=lambda i: table["image"][i])
    chance = dict(zip(pool, np.random.default_rng(seed).random(len(pool)), strict=True))
    groups = {}
    for i in pool:
        groups.setdefault(table["model" if literal else "vehicle_id"][i], []).append(i)
    probes, gallery = [], []
    for members in groups.values():
        by_chance = sorted(members, key=chance.get)
        size = {
            "drdl_retrieval": min(6, len(members) - 1),
            "drdl_retrieval_literal": min(len(members), max(6, len(members) - 1)),
        }.get(protocol, 1)
        first, rest = by_chance[:size], by_chance[size:]
        gallery += rest if protocol == "vehicle1m_map" else first
        probes += first if protocol == "vehicle1m_map" else rest
    return probes, gallery


def naive_draws(protocol, table, features):
    """mAP and CMC of every draw; None where no probe has a match."""
    results, vehicle = [], table["vehicle_id"].tolist()

    def same(a, b):
        return vehicle[a] == vehicle[b]

    for seed in SEEDS:
        probes, gallery = naive_draw(protocol, table, seed)
        found = [average_precision(p, gallery, same, lambda a, b: False, features.numpy()) for p in probes]
        found = [(ap, first) for ap, first in found if ap is not None]
        if not found:
            return None
        ap, first = np.array(found).T
        results.append((ap.mean(), np.array([(first <= k).mean() for k in range(1, 51)])))
    return results


@pytest.mark.parametrize("protocol", DRAWN)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_galleries_equal_the_naive_loop(protocol, seed):
    table, features = benchmark(seed)
    expected = naive_draws(protocol, table, features)
    if expected is None:
        with pytest.raises(ValueError, match="has a match|leaves no probe"):
            evaluate(protocol, features, table)
        return
    scores = evaluate(protocol, features, table)
    assert len(scores.draws) == 10
    for draw, (mean_ap, cmc) in zip(scores.draws, expected, strict=True):
        assert draw.mAP == pytest.approx(mean_ap)
        np.testing.assert_allclose(draw.cmc, cmc)
    assert scores.mAP == pytest.approx(np.mean([ap for ap, _ in expected]))
    assert scores.deviation("mAP") == pytest.approx(np.std([ap for ap, _ in expected], ddof=1))
    assert scores.top(1) == pytest.approx(np.mean([cmc[0] for _, cmc in expected]))


@pytest.mark.parametrize("protocol", CAMERAS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_camera_rules_equal_the_naive_loop(protocol, seed):
    table, features = benchmark(seed, most=8 if protocol.startswith("veri") else 60)
    vehicle, camera = table["vehicle_id"].tolist(), table["camera_id"].tolist()
    sides = [[i for i in range(len(table)) if table["split"][i] == split] for split in ("query", "gallery")]
    cut = {"depth": 100, "found": protocol.endswith("found")} if protocol.startswith("aicity") else {}
    found = [
        average_precision(
            query, sides[1],
            lambda a, b: vehicle[a] == vehicle[b] and camera[a] != camera[b],
            lambda a, b: vehicle[a] == vehicle[b] and camera[a] == camera[b],
            features.numpy(), **cut,
        )
        for query in sides[0][:12]
    ]  # fmt: skip
    if all(ap is None for ap, _ in found):
        return
    kept = np.ones(len(table), bool)
    kept[sides[0][12:]] = False
    scores = evaluate(protocol, features, table, rows=kept)
    np.testing.assert_allclose(scores.ap, [np.nan if ap is None else ap for ap, _ in found], equal_nan=True)
    assert scores.first.tolist() == [first or 0 for _, first in found]


@pytest.mark.parametrize("protocol", [*DRAWN, "vehicle1m"])
def test_rows_in_any_order_give_the_same_bits(protocol):
    table, features = benchmark(3, vehicles=8)
    order = np.random.default_rng(0).permutation(len(table))
    one, other = evaluate(protocol, features, table), evaluate(protocol, features[order], table.iloc[order])
    assert one.mAP == other.mAP
    np.testing.assert_array_equal(one.cmc, other.cmc)
    np.testing.assert_array_equal(one.ap, other.ap)
    np.testing.assert_array_equal(one.first, other.first)


def test_vehicle1m_takes_cmc_and_map_from_their_own_forms():
    table, features = benchmark(11)
    whole, cmc, mean_ap = (evaluate(f"vehicle1m{form}", features, table) for form in ("", "_cmc", "_map"))
    assert whole.mAP == mean_ap.mAP != cmc.mAP
    np.testing.assert_array_equal(whole.cmc, cmc.cmc)
    assert (whole.cmc != mean_ap.cmc).any()
    assert whole.deviation("mAP") == mean_ap.deviation("mAP") and whole.deviation("top1") == cmc.deviation("top1")


def gallery(*vehicles):
    """Gallery rows of these vehicles, one image each."""
    names = [f"{n:02d}.jpg" for n in range(len(vehicles))]
    rows = {"split": "gallery", "image": names, "vehicle_id": list(vehicles), "model": [v[0] for v in vehicles]}
    return pd.DataFrame(rows).astype("string")


def sizes(protocol, table):
    """Probes and gallery images of each vehicle in each draw."""
    names = table["vehicle_id"].to_numpy()
    for task in PROTOCOLS[protocol].tasks(table):
        assert sorted([*task.query, *task.gallery]) == list(range(len(table)))
        yield {v: (int((names[task.query] == v).sum()), int((names[task.gallery] == v).sum())) for v in set(names)}


def test_how_many_images_go_where():
    table = gallery(*["a1"] * 9, *["a2"] * 2, *["b1"] * 4, "b2")
    expected = {
        "vehicleid": {"a1": (8, 1), "a2": (1, 1), "b1": (3, 1), "b2": (0, 1)},  # a lone image is in the gallery
        "vehicle1m_cmc": {"a1": (8, 1), "a2": (1, 1), "b1": (3, 1), "b2": (0, 1)},
        "vehicle1m_map": {"a1": (1, 8), "a2": (1, 1), "b1": (1, 3), "b2": (1, 0)},  # a lone image is a probe
        "drdl_retrieval": {"a1": (3, 6), "a2": (1, 1), "b1": (1, 3), "b2": (1, 0)},
    }
    for protocol, counts in expected.items():
        assert list(sizes(protocol, table)) == [counts] * 10
    for counts in sizes("drdl_retrieval_literal", table):  # eleven images of model a leave one probe, five of b none
        assert counts["a1"][0] + counts["a2"][0] == 1
        assert counts["b1"] == (0, 4) and counts["b2"] == (0, 1)


def test_the_literal_gallery_takes_six_of_six_and_six_of_seven():
    table = gallery(*["a1"] * 6, *["b1"] * 7)
    assert list(sizes("drdl_retrieval_literal", table)) == [{"a1": (0, 6), "b1": (1, 6)}] * 10


def test_draws_differ_and_every_image_is_as_likely():
    table = gallery(*["a1"] * 4, *["b1"] * 2)
    tasks = PROTOCOLS["vehicleid"].tasks(table)
    assert len({tuple(task.gallery) for task in tasks}) > 3
    group, size = np.array([0] * 4 + [1] * 2), np.array([1] * 4 + [1] * 2)
    share = np.mean([rules._drawn(group, size, seed) for seed in range(4000)], axis=0)
    np.testing.assert_allclose(share, [1 / 4] * 4 + [1 / 2] * 2, atol=0.03)


def test_the_first_draw_of_vehicleid_by_hand():
    table, key = gallery("a", "a", "b", "b"), np.random.default_rng(0).random(4)
    assert key.round(3).tolist() == [0.637, 0.27, 0.041, 0.017]  # so images 1 and 3 are the gallery
    (task, *_) = PROTOCOLS["vehicleid"].tasks(table)
    assert (task.query.tolist(), task.gallery.tolist()) == ([0, 2], [1, 3])
    features = torch.tensor([[0.0], [1.0], [2.0], [5.0]])  # 0 finds 1 of its own; 2 finds 1 before 5
    assert evaluate("vehicleid", features, table).draws[0].first.tolist() == [1, 2]


def test_the_first_hundred_by_hand():
    # A match at rank 1, 99 strangers, a match at rank 101: half or all of what counts is found.
    vehicles = ["a", "a", *["b"] * 99, "a"]
    rows = {
        "split": ["query", *["gallery"] * 101],
        "image": [f"{n:03d}" for n in range(102)],
        "vehicle_id": vehicles,
        "camera_id": ["c1", *["c2"] * 101],
    }
    table, features = pd.DataFrame(rows).astype("string"), torch.arange(102.0)[:, None]
    assert evaluate("aicity2020", features, table).mAP == 0.5
    assert evaluate("aicity2020_found", features, table).mAP == 1.0
    assert evaluate("veri", features, table).mAP == pytest.approx((1 + 2 / 101) / 2)


def test_what_a_rule_cannot_do_without_is_refused():
    alone = gallery("a1", "b1", "c1")
    for protocol in ("vehicleid", "vehicle1m_cmc", "drdl_retrieval_literal"):
        with pytest.raises(ValueError, match=f"'{protocol}' leaves no probe: 3 rows of 3 vehicles"):
            evaluate(protocol, torch.zeros(3, 1), alone)
    for protocol in ("vehicle1m_map", "drdl_retrieval"):
        with pytest.raises(ValueError, match=f"'{protocol}' leaves no gallery image: 3 rows of 3 vehicles"):
            evaluate(protocol, torch.zeros(3, 1), alone)
    queries = alone.assign(split="query")
    with pytest.raises(ValueError, match="'vehicleid' needs rows of split 'gallery': there are none"):
        evaluate("vehicleid", torch.zeros(3, 1), queries)
    with pytest.raises(ValueError, match="needs rows of split 'gallery' that have a model: there are none"):
        evaluate("drdl_retrieval_literal", torch.zeros(3, 1), alone.assign(model=pd.NA))
    nameless = alone.assign(vehicle_id=["a1", None, "c1"])
    with pytest.raises(ValueError, match="needs image and vehicle_id, but of 3 rows lack vehicle_id of 1"):
        evaluate("drdl_retrieval", torch.zeros(3, 1), nameless)
    for protocol in ("veriwild", "aicity2020"):
        table, features = benchmark(0)
        with pytest.raises(ValueError, match=f"'{protocol}' needs vehicle_id and camera_id, but"):
            evaluate(protocol, features, table.assign(camera_id=pd.NA))
    with pytest.raises(ValueError, match="'verification' scores pairs of images"):
        evaluate("verification", torch.zeros(3, 1), alone)


def test_a_test_scores_its_own_rows():
    table, features = benchmark(5, vehicles=8)
    in_gallery = table["split"] == "gallery"
    few = table["image"][in_gallery & table["vehicle_id"].isin(["v1", "v2", "v3"])]
    subset = manifest.Test("few", "vehicleid", gallery=pd.Index(few))
    kept = (in_gallery & table["image"].isin(few)).to_numpy(bool)
    assert (needed(subset, table) == kept).all() and needs(subset) == splits("vehicleid") == ("gallery",)
    own = evaluate("vehicleid", features[np.flatnonzero(kept)], table[kept].reset_index(drop=True))
    scores = assess(subset, features, table)
    assert scores.mAP == own.mAP and len(scores.ap) == len(own.ap) == len(few) - 3
    assert assess(manifest.Test("", "vehicleid"), features, table).mAP == evaluate("vehicleid", features, table).mAP
    (shown,) = retrieval("vehicleid", features, table, [0], rows=subset.rows(table))
    assert {item["vehicle"] for item in shown["top"]} == {"v1", "v2", "v3"}


def test_a_test_passes_distance_and_ties_on():
    table, features = benchmark(5, vehicles=8)
    features = features + 1
    plain, cosine = (assess(manifest.Test("", "veri"), features, table, distance=d) for d in ("euclidean", "cosine"))
    assert plain.mAP != cosine.mAP
    assert assess(manifest.Test("", "veri"), features, table, ties="sklearn").mAP > plain.mAP


def test_a_test_of_images_that_are_not_there_is_refused():
    table, features = benchmark(5)
    with pytest.raises(ValueError, match="test '800': 2 gallery images have no row in the table: x.jpg, y.jpg"):
        names = pd.Index([*table["image"][table["split"] == "gallery"], "x.jpg", "y.jpg"])
        assess(manifest.Test("800", "vehicleid", gallery=names), features, table)
    with pytest.raises(ValueError, match="test 'small': 1 query images have no row"):
        assess(manifest.Test("small", "veri", query=pd.Index(["x.jpg"])), features, table)
