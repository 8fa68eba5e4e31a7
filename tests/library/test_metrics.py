"""The evaluator against naive loops and scikit-learn, and its refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from reidlib.evaluate import metrics
from reidlib.evaluate.metrics import Relevance, Scores, cosine, counting, distances, euclidean, ranked, score


def table(values):
    """Distances as the evaluator wants them, from a table."""
    values = torch.as_tensor(values, dtype=torch.float32)
    return lambda rows: values[rows]


def naive(distances, relevance, ties, depth=None, divisor="matches"):
    """AP and first rank by the definition: list what is not junk, order it, walk down.

    A match counts within the depth if its rank does; under scikit-learn's rule, if the last of its tied group does.
    """
    ap, first = [], []
    for query in range(len(relevance.query)):
        entries = []
        for item in range(len(relevance.gallery)):
            if relevance.query_junk[query] >= 0 and relevance.query_junk[query] == relevance.gallery_junk[item]:
                continue
            match = relevance.query[query] >= 0 and relevance.query[query] == relevance.gallery[item]
            entries.append((float(distances[query][item]), match))
        entries.sort()  # at equal distance False sorts first: non-matches rank before matches
        ranks = [rank for rank, (_, match) in enumerate(entries, 1) if match]
        first.append(ranks[0] if ranks else 0)
        precisions = []
        for place, rank in enumerate(ranks, 1):
            if ties == "sklearn":
                level = [match for distance, match in entries if distance <= entries[rank - 1][0]]
                place, rank = sum(level), len(level)
            if depth is None or rank <= depth:
                precisions.append(place / rank)
        divided = len(ranks) if divisor == "matches" else max(1, len(precisions))
        ap.append(sum(precisions) / divided if ranks else np.nan)
    return np.array(ap), np.array(first)


def by_sklearn(distances, relevance):
    """The same AP from scikit-learn, one query at a time."""
    ap = []
    for query, code in enumerate(relevance.query_junk):
        kept = (code < 0) | (relevance.gallery_junk != code)
        match = (relevance.gallery == relevance.query[query]) & (relevance.query[query] >= 0)
        scored = match[kept].any()
        ap.append(average_precision_score(match[kept], -distances[query][kept]) if scored else np.nan)
    return np.array(ap)


def cases(most_queries=12, most_items=30, features=False):
    """Random distances (or features) of few different values, so with many ties, and labels with junk and strangers."""

    def make(seed, queries, items):
        draw = np.random.default_rng(seed)
        codes = (draw.integers(-1, 4, size) for size in (queries, items))
        junk = (draw.integers(-1, 6, size) for size in (queries, items))
        if features:
            values = tuple(draw.integers(-1, 2, (size, 3)).astype(np.float32) for size in (queries, items))
        else:
            values = draw.integers(0, draw.integers(1, 20), (queries, items)).astype(np.float32)
        return values, Relevance(*codes, *junk)

    sizes = st.integers(1, most_queries), st.integers(1, most_items)
    return st.builds(make, st.integers(0, 2**32 - 1), *sizes)


def scored(distances, relevance, **options):
    """Scores, or None where no query has a match (which is refused)."""
    try:
        return score(distances, relevance, **options)
    except ValueError as error:
        assert "has a match" in str(error)
        return None


def check_equals_naive(values, relevance, ties, result):
    ap, first = naive(values, relevance, ties)
    if result is None:
        assert not first.any()
        return
    np.testing.assert_allclose(result.ap, ap, rtol=1e-12, equal_nan=True)
    np.testing.assert_array_equal(result.first, first)
    assert result.unmatched == (first == 0).sum()
    assert result.mAP == pytest.approx(np.nanmean(ap))
    assert result.cmc.shape == (50,)
    for k in (1, 2, 5, 50):
        assert result.top(k) == pytest.approx(np.mean(first[first > 0] <= k))


@pytest.mark.parametrize("ties", metrics.TIES)
@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_equals_the_naive_loop(ties, case):
    values, relevance = case
    check_equals_naive(values, relevance, ties, scored(table(values), relevance, ties=ties))


@pytest.mark.parametrize("ties", metrics.TIES)
@pytest.mark.parametrize("divisor", metrics.DIVISORS)
@settings(max_examples=100, deadline=None)
@given(case=cases(), depth=st.integers(1, 35))
def test_with_a_depth_equals_the_naive_loop(ties, divisor, case, depth):
    values, relevance = case
    ap, first = naive(values, relevance, ties, depth, divisor)
    if result := scored(table(values), relevance, ties=ties, depth=depth, divisor=divisor):
        np.testing.assert_allclose(result.ap, ap, rtol=1e-12, equal_nan=True)
        np.testing.assert_array_equal(result.first, first)
        whole = score(table(values), relevance, ties=ties)
        np.testing.assert_array_equal(result.cmc, whole.cmc)  # CMC knows no depth
        if depth >= values.shape[1]:
            np.testing.assert_array_equal(result.ap, whole.ap)


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_inp_and_ap_of_the_first_hundred_equal_naive_loops(case):
    values, relevance = case
    if (result := scored(table(values), relevance)) is None:
        return
    np.testing.assert_allclose(result.ap100, naive(values, relevance, "pessimistic", depth=100)[0], equal_nan=True)
    for query, inp in enumerate(result.inp):
        code, junk = relevance.query[query], relevance.query_junk[query]
        kept = [
            (values[query][item], relevance.gallery[item] == code >= 0)
            for item in range(len(relevance.gallery))
            if junk < 0 or relevance.gallery_junk[item] != junk
        ]
        order = [match for _, match in sorted(kept)]  # at equal distance non-matches come first
        last = max((rank for rank, match in enumerate(order, 1) if match), default=0)
        assert np.isnan(inp) if not last else inp == pytest.approx(sum(order) / last)
    assert result.mINP == pytest.approx(np.nanmean(result.inp))
    assert result.mAP100 == pytest.approx(np.nanmean(result.ap100))


def test_ap_of_the_first_hundred_forgets_what_comes_later():
    places = torch.arange(1.0, 301.0)[None]
    labels = np.ones(300, int)
    labels[[1, 250]] = 0
    scores = score(table(places), Relevance([0], labels))
    assert scores.ap[0] == pytest.approx((1 / 2 + 2 / 251) / 2)
    assert scores.ap100[0] == pytest.approx((1 / 2) / 2)
    assert scores.inp[0] == pytest.approx(2 / 251)


def test_inp_and_ap_of_the_first_hundred_are_means_over_draws():
    draws = [
        Scores.of(np.array([1.0, np.nan]), np.array([1, 0]), inp=np.array([inp, np.nan]), ap100=np.array([ap, np.nan]))
        for inp, ap in ((0.2, 0.5), (0.4, 0.9))
    ]
    mean = Scores.averaged(draws)
    assert (mean.mINP, mean.mAP100) == pytest.approx((0.3, 0.7))
    assert np.isnan(Scores.of(np.array([1.0]), np.array([1])).mINP), "not known where it was not computed"


def clusters(seed=0, identities=40, images=12, width=48):
    """Features of some identities about the origin, ``[N, D]``, and their codes."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(identities).repeat(images)
    centres = torch.randn(identities, width, generator=draw)
    return centres[labels] + 1.4 * torch.randn(len(labels), width, generator=draw), labels.numpy()


@pytest.mark.parametrize("offset", [0.0, 1.0, 30.0, 1000.0, 1e5])
def test_features_far_from_the_origin_score_as_in_double_precision(offset):
    features, labels = clusters()
    features = features + offset
    query, gallery = features[:120], features[120:]
    relevance = Relevance(labels[:120], labels[120:])
    expected = score(lambda rows: torch.cdist(query[rows].double(), gallery.double()), relevance)
    near = score(euclidean(query, gallery), relevance)
    assert near.mAP == pytest.approx(expected.mAP, abs=2e-5)
    np.testing.assert_allclose(near.first, expected.first, atol=1)


@pytest.mark.parametrize("offset", [0.0, 0.125, 1000.0, -4096.125, 2.0**17])
def test_moving_features_to_the_origin_rounds_nothing_off(offset):
    draw = torch.Generator().manual_seed(3)
    query, gallery = (torch.randint(-40, 41, (n, 6), generator=draw) / 8 for n in (70, 300))
    moved = euclidean(query + offset, gallery + offset)(slice(0, 70))
    exact = (query[:, None].double() - gallery.double()).square().sum(2)
    assert torch.equal(moved.double(), exact), "so that ties are ties"


def test_features_near_the_origin_are_not_moved():
    features, _ = clusters()
    assert distances._far_centre(features, features.square().sum(1, keepdim=True)) is None
    far = features + 1000
    centre = distances._far_centre(far, far.square().sum(1, keepdim=True))
    assert (centre - 1000).abs().max() < 2
    assert distances._far_centre(torch.full((5, 3), 7.0), torch.full((5, 1), 147.0)) is None, "no spread, no unit"


def test_a_depth_by_hand():
    distances, relevance = table([[1.0, 2.0, 3.0, 4.0, 5.0]]), Relevance([7], [7, 8, 7, 8, 7])
    found = {depth: score(distances, relevance, depth=depth).mAP for depth in (1, 2, 3, 4, 5)}
    assert found == pytest.approx({1: 1 / 3, 2: 1 / 3, 3: 5 / 9, 4: 5 / 9, 5: (5 / 3 + 3 / 5) / 3})
    found = {depth: score(distances, relevance, depth=depth, divisor="found").mAP for depth in (1, 3, 5)}
    assert found == pytest.approx({1: 1.0, 3: 5 / 6, 5: (5 / 3 + 3 / 5) / 3})


def test_no_match_within_the_depth_is_a_zero_and_not_left_out():
    relevance = Relevance([7, 8, 9], [8, 7])
    for divisor in metrics.DIVISORS:
        scores = score(table([[1.0, 2.0]] * 3), relevance, depth=1, divisor=divisor)
        np.testing.assert_array_equal(scores.ap, [0.0, 1.0, np.nan])
        assert (scores.mAP, scores.unmatched, scores.first.tolist()) == (0.5, 1, [2, 1, 0])


def test_a_tie_across_the_depth_counts_against_the_model():
    relevance = Relevance([7], [7, 8])
    assert score(table([[1.0, 1.0]]), relevance, depth=1).mAP == 0.0
    assert score(table([[1.0, 1.0]]), relevance, depth=1, ties="sklearn").mAP == 0.0
    assert score(table([[1.0, 1.0]]), relevance, depth=2).mAP == 0.5


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_equals_scikit_learn_under_its_rule(case):
    values, relevance = case
    if result := scored(table(values), relevance, ties="sklearn"):
        np.testing.assert_allclose(result.ap, by_sklearn(values, relevance), rtol=1e-9, equal_nan=True)


@pytest.mark.parametrize("ties", metrics.TIES)
@settings(max_examples=60, deadline=None)
@given(case=cases(features=True), chunk=st.integers(1, 8))
def test_from_features_in_any_chunks_equals_the_naive_loop(ties, case, chunk):
    (query, gallery), relevance = case
    values = ((query[:, None] - gallery) ** 2).sum(-1)
    distances = euclidean(torch.from_numpy(query), torch.from_numpy(gallery), reuse=True)
    check_equals_naive(values, relevance, ties, scored(distances, relevance, ties=ties, chunk=chunk))


@pytest.mark.parametrize("ties", metrics.TIES)
@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_whole_rows_count_as_their_near_part_does(ties, case):
    values, relevance = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "DENSE", -1)
        check_equals_naive(values, relevance, ties, scored(table(values), relevance, ties=ties))


@pytest.mark.parametrize("ties", metrics.TIES)
@settings(max_examples=60, deadline=None)
@given(case=cases(features=True), seed=st.integers(0, 1000))
def test_the_gallery_order_changes_nothing(ties, case, seed):
    (query, gallery), relevance = case
    order = np.random.default_rng(seed).permutation(len(gallery))
    shuffled = Relevance(relevance.query, relevance.gallery[order], relevance.query_junk, relevance.gallery_junk[order])
    query, gallery = torch.from_numpy(query), torch.from_numpy(gallery)
    one = scored(euclidean(query, gallery), relevance, ties=ties)
    other = scored(euclidean(query, gallery[order]), shuffled, ties=ties)
    if one or other:
        np.testing.assert_array_equal(one.ap, other.ap)
        np.testing.assert_array_equal(one.first, other.first)


@pytest.mark.parametrize("distance", [euclidean, cosine])
def test_order_and_chunks_change_nothing_in_real_features_either(distance):
    draw = torch.Generator().manual_seed(2)
    query, gallery = torch.randn(100, 33, generator=draw), torch.randn(400, 33, generator=draw)
    codes, labels = np.arange(100) % 20, np.arange(400) % 20
    order = torch.randperm(400, generator=draw).numpy()
    scores = score(distance(query, gallery), Relevance(codes, labels))
    for chunk in (1, 7, 100):
        other = score(distance(query, gallery[order]), Relevance(codes, labels[order]), chunk=chunk)
        # Equal to the last bit where the matrix product keeps a column's bits wherever it stands, as MKL's does.
        np.testing.assert_allclose(other.ap, scores.ap, atol=1e-3)


def test_values_by_hand():
    # Gallery by distance: match 1, other 2, junk 2, match 3 and other 3 (a tie), match 4. Junk counts as absent.
    relevance = Relevance([0], [0, 1, 0, 0, 2, 0], [9], [1, 2, 9, 1, 1, 1])
    values = table([[1.0, 2.0, 2.0, 3.0, 3.0, 4.0]])
    pessimistic, sklearn = score(values, relevance), score(values, relevance, ties="sklearn")
    assert pessimistic.mAP == pytest.approx((1 / 1 + 2 / 4 + 3 / 5) / 3)
    assert sklearn.mAP == pytest.approx((1 / 1 + 2 / 4 + 3 / 5) / 3)
    # Two matches tied with one other at distance 0: orders other, match, match, or one threshold for all three.
    relevance = Relevance([0], [0, 1, 0])
    assert score(table([[0.0, 0.0, 0.0]]), relevance).mAP == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert score(table([[0.0, 0.0, 0.0]]), relevance, ties="sklearn").mAP == pytest.approx(2 / 3)
    assert score(table([[0.0, 0.0, 0.0]]), relevance, ties="sklearn").first.tolist() == [2]


def test_cmc_by_hand_with_an_unmatched_query():
    relevance = Relevance([0, 1, 5, 2], [0, 1, 2])
    scores = score(table([[0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2]]), relevance)
    assert scores.first.tolist() == [1, 2, 0, 3]
    assert (scores.top(1), scores.top(2), scores.top(3), scores.top(50)) == pytest.approx((1 / 3, 2 / 3, 1, 1))
    assert scores.unmatched == 1
    assert np.isnan(scores.ap).tolist() == [False, False, True, False]
    assert scores.mAP == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_one_image_gallery():
    scores = score(table([[7.0]]), Relevance([3], [3]))
    assert (scores.mAP, scores.top(1), scores.first.tolist()) == (1.0, 1.0, [1])


def test_no_tie_rule_beats_the_pessimistic_one_downwards():
    draw = np.random.default_rng(3)
    values = draw.integers(0, 4, (20, 40)).astype(np.float32)
    relevance = Relevance(draw.integers(0, 4, 20), draw.integers(0, 4, 40))
    lowest = score(table(values), relevance).ap
    for _ in range(30):  # break the ties at random
        broken = values + draw.uniform(0, 0.5, values.shape).astype(np.float32)
        assert (score(table(broken), relevance).ap >= lowest - 1e-12).all()


@pytest.mark.parametrize("distance", [euclidean, cosine])
@pytest.mark.parametrize("queries", [1, 3, 70])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_collapsed_model_scores_low(distance, queries, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        same = torch.randn(1, 333, generator=torch.Generator().manual_seed(0))
        relevance = Relevance(np.zeros(queries, int), np.repeat([0, 1], [10, 1047]))
        scores = score(distance(same.expand(queries, -1), same.expand(1057, -1)), relevance)
    finally:
        torch.set_num_threads(before)
    assert (scores.first == 1048).all()  # behind every non-match
    assert scores.mAP < 0.01


def test_equal_gallery_features_have_equal_distances():
    draw = torch.Generator().manual_seed(0)
    few, query = torch.randn(7, 65, generator=draw), torch.randn(2, 65, generator=draw)
    copies = torch.randint(7, (501,), generator=draw)
    for distance in (euclidean, cosine):
        values = distance(query, few[copies])(slice(0, 2))
        for copy in range(7):
            assert (values[:, copies == copy] == values[:, copies == copy][:, :1]).all()


def test_repeated_rows_are_computed_once():
    rows = torch.tensor([[2.0, 0.0], [1.0, 5.0], [2.0, -0.0], [1.0, 6.0], [1.0, 5.0]])
    kept, copies = distances._distinct(rows)
    assert kept.tolist() == [0, 1, 3]
    assert copies.tolist() == [0, 1, 0, 2, 1]
    assert torch.equal(rows[kept][copies], rows)
    assert distances._distinct(rows[:2])[1] is None


def test_few_queries_are_filled_up():
    filled = distances._filled_up(torch.ones(3, 2))
    assert filled.shape == (distances.MIN_ROWS, 2)
    assert filled.sum() == 6
    assert len(distances._filled_up(torch.ones(100, 2))) == 100


def test_zero_and_minus_zero_are_equal_features():
    gallery = torch.tensor([[0.0, 1.0], [-0.0, 1.0], [0.0, 2.0]])
    values = euclidean(torch.tensor([[0.3, 0.7]]), gallery)(slice(0, 1))[0]
    assert values[0] == values[1] != values[2]


def test_rows_that_agree_in_part_stay_apart():
    gallery = torch.zeros(40, 64)
    gallery[range(40), np.arange(40) + 1] = 1  # most agree in the few columns that the hash reads
    values = euclidean(gallery, gallery)(slice(0, 40))
    assert torch.equal(values, 2 - 2 * torch.eye(40))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distances_are_what_they_are_called(dtype):
    draw = torch.Generator().manual_seed(1)
    query, gallery = (torch.randn(n, 9, generator=draw, dtype=dtype) for n in (70, 30))
    every = slice(0, 70)
    torch.testing.assert_close(euclidean(query, gallery)(every), torch.cdist(query, gallery) ** 2, rtol=1e-4, atol=1e-4)
    expected = 1 - torch.nn.functional.cosine_similarity(query[:, None], gallery, dim=-1)
    torch.testing.assert_close(cosine(query, gallery)(every), expected, rtol=1e-4, atol=1e-5)
    assert cosine(torch.zeros(1, 9, dtype=dtype), gallery)(slice(0, 1)).unique().tolist() == [1.0]


def test_distances_are_kept_unless_reuse_is_asked_for():
    draw = torch.Generator().manual_seed(1)
    query, gallery = torch.randn(128, 4, generator=draw), torch.randn(5, 4, generator=draw)
    distances = euclidean(query, gallery)
    first = distances(slice(0, 64))
    kept = first.clone()
    distances(slice(64, 128))
    assert torch.equal(first, kept)
    reused = euclidean(query, gallery, reuse=True)
    assert torch.equal(reused(slice(0, 64)), kept)
    assert torch.equal(reused(slice(64, 128)), distances(slice(64, 128)))


def test_the_callers_distances_are_not_written_to():
    values = torch.rand(5, 9)
    before = values.clone()
    score(lambda rows: values[rows], Relevance([0, 1, 2, 0, 1], [0, 1, 2] * 3, [0] * 5, [0, 1, 1] * 3))
    assert torch.equal(values, before)


@pytest.mark.parametrize("width", [1, 7, 2040, 2041, 5000])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_ways_to_count_agree(width, threads, monkeypatch):
    monkeypatch.setattr(counting, "TILE", 10_000)  # several tiles, the last one cut
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        block = torch.randint(0, 50, (23, width), generator=torch.Generator().manual_seed(width)).float()
        thresholds = torch.randint(-1, 51, (23, 6), generator=torch.Generator().manual_seed(1)).float().sort(1).values
        number = torch.full((23,), 6)
        expected = (block[:, None] <= thresholds[:, :, None]).sum(2)
        for dense, many in ((-1, 1), (1, 10)):  # whole rows, their near part; sorted, compared
            monkeypatch.setattr(counting, "DENSE", dense)
            monkeypatch.setattr(counting, "MANY", many)
            counts, finite = counting.count(block, thresholds, number)
            assert finite and torch.equal(counts, expected)
            assert torch.equal(counting._in_blocks(block, thresholds), expected)
            for bad in (torch.nan, torch.inf, -torch.inf):
                assert not counting.count(block.index_fill(1, torch.tensor([width // 2]), bad), thresholds, number)[1]
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same():
    draw = np.random.default_rng(0)
    query, gallery = (torch.from_numpy(draw.integers(-2, 3, (n, 4)).astype(np.float32)) for n in (90, 300))
    relevance = Relevance(*(draw.integers(0, 9, n) for n in (90, 300, 90, 300)))
    here, there = (score(euclidean(query.to(on), gallery.to(on)), relevance) for on in ("cpu", "cuda"))
    np.testing.assert_array_equal(here.ap, there.ap)


def test_ranked_lists_the_nearest_without_junk():
    relevance = Relevance([0, 0], [0, 1, 0, 2, 0], [9, -1], [1, 1, 9, 1, 1])
    values = table([[3.0, 1.0, 0.0, 2.0, 1.0], [3.0, 1.0, 0.0, 2.0, 1.0]])
    index, distance, match = ranked(values, relevance, [0, 1], k=3)
    assert index.tolist() == [[1, 4, 3], [2, 1, 4]]  # at distance 1 the non-match comes first
    assert distance.tolist() == [[1, 1, 2], [0, 1, 1]]
    assert match.tolist() == [[False, True, False], [True, False, True]]


def test_ranked_fills_up_short_lists():
    index, distance, match = ranked(table([[1.0, 0.0]]), Relevance([0], [0, 1]), [0], k=4)
    assert index.tolist() == [[1, 0, -1, -1]]
    assert np.isnan(distance).tolist() == [[False, False, True, True]]
    assert match.tolist() == [[False, True, False, False]]


@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_ranked_agrees_with_the_first_rank(case):
    values, relevance = case
    if scores := scored(table(values), relevance):
        _, _, match = ranked(table(values), relevance, np.arange(len(values)), k=len(relevance.gallery))
        first = [int(row.argmax()) + 1 if row.any() else 0 for row in match]
        assert first == scores.first.tolist()


GOOD = torch.tensor([[0.0, 1.0], [2.0, 3.0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("distance", [euclidean, cosine])
def test_features_that_are_not_finite_are_refused(bad, distance):
    spoilt = GOOD.clone()
    spoilt[1, 0] = bad
    with pytest.raises(ValueError, match=r"gallery features are not finite in 1 of 2 rows, first in rows \[1\]"):
        distance(GOOD, spoilt)
    with pytest.raises(ValueError, match="query features are not finite"):
        distance(spoilt, GOOD)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_distances_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="distances of queries 0 to 1 are not all finite"):
        score(table([[1.0, 2.0], [bad, 1.0]]), Relevance([0, 1], [0, 1]))


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        (GOOD[:0], GOOD, "query features are"),
        (GOOD, GOOD[:0], "gallery features are"),
        (GOOD[0], GOOD, "query features are"),
        (GOOD.int(), GOOD, "float32 or float64"),
        (GOOD.bfloat16(), GOOD, "float32 or float64"),
        (GOOD, GOOD[:, :1], "query features have 2 columns, gallery features 1"),
    ],
)
def test_features_that_do_not_fit_are_refused(query, gallery, message):
    with pytest.raises(ValueError, match=message):
        euclidean(query, gallery)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (([], [1]), "query codes"),
        (([1], []), "gallery codes"),
        (([1], [1, 2], [1, 2], [1, 2]), "query junk codes"),
        (([1], [1, 2], [1], [1]), "gallery junk codes"),
    ],
)
def test_labels_that_do_not_fit_are_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        Relevance(*codes)


def test_distances_of_another_shape_than_the_labels_are_refused():
    for relevance in (Relevance([0, 1, 2], [0, 1]), Relevance([0, 1], [0, 1, 2])):
        with pytest.raises(ValueError, match="the labels ask for"):
            score(table(np.zeros((2, 2))), relevance)


def test_no_match_at_all_is_refused():
    with pytest.raises(ValueError, match="none of 2 queries has a match"):
        score(table(np.zeros((2, 2))), Relevance([0, 1], [2, 3]))


def test_draws_have_a_mean_and_a_deviation():
    draws = [Scores.of(np.array([ap, 1.0]), np.array([first, 1])) for ap, first in ((0.2, 5), (0.4, 3), (0.9, 1))]
    scores = Scores.averaged(draws)
    assert scores.mAP == pytest.approx((0.6 + 0.7 + 0.95) / 3)
    assert [scores.top(k) for k in (1, 3, 5)] == pytest.approx([2 / 3, 5 / 6, 1.0])
    assert scores.draws == tuple(draws) and scores.ap is draws[0].ap
    assert scores.deviation("mAP") == pytest.approx(np.std([0.6, 0.7, 0.95], ddof=1))
    assert scores.deviation("top1") == pytest.approx(np.std([0.5, 0.5, 1.0], ddof=1))
    assert Scores.averaged(draws[:1]) is draws[0] and np.isnan(draws[0].deviation("mAP"))
    for metric in ("map", "top", "first", "topx"):
        with pytest.raises(ValueError, match=f"deviation of '{metric}': allowed are mAP and top1 to top50"):
            scores.deviation(metric)


def test_unknown_rules_and_ranks_are_refused():
    with pytest.raises(ValueError, match="ties='optimistic': allowed are pessimistic, sklearn"):
        score(table([[0.0]]), Relevance([0], [0]), ties="optimistic")
    with pytest.raises(ValueError, match="divisor='all': allowed are matches, found"):
        score(table([[0.0]]), Relevance([0], [0]), divisor="all")
    with pytest.raises(ValueError, match="depth=0: allowed are 1 and more"):
        score(table([[0.0]]), Relevance([0], [0]), depth=0)
    for k in (0, 51):
        with pytest.raises(ValueError, match="allowed are ranks 1 to 50"):
            Scores.of(np.array([1.0]), np.array([1])).top(k)
