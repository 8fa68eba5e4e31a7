"""Re-ranked distances against values by hand and naive loops, one put into another, and in the evaluator."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.evaluate import metrics, rerank
from reidlib.evaluate.metrics import Relevance, score
from reidlib.evaluate.rerank import reciprocal, units

SEEDS = st.integers(0, 2**32 - 1)


def table(values):
    """Distances as the evaluator wants them, from a table."""
    values = torch.as_tensor(values)
    return lambda rows: values[rows]


def whole(distances, queries):
    """All distances as one array, taken in blocks of two queries."""
    return np.concatenate([distances(slice(i, min(i + 2, queries))).numpy() for i in range(0, queries, 2)])


def drawn(seed, queries=7, gallery=11, width=3, values=4):
    """Features of few whole numbers, so with many ties and copies, whose distances are exact."""
    draw = np.random.default_rng(seed)
    return tuple(torch.from_numpy(draw.integers(0, values, (n, width)).astype(np.float32)) for n in (queries, gallery))


# -- units -------------------------------------------------------------------------------------------------------------


def test_a_root_keeps_the_order_even_of_neighbouring_squares():
    squares = torch.tensor([[-1e-6, 0.0, 1.0, np.nextafter(np.float32(1), np.float32(2)), 16.0]])
    before = squares.clone()
    roots = rerank.rooted(table(squares))(slice(0, 1))
    assert (roots.diff() > 0).all() and roots[0, [1, 2, 4]].tolist() == [0.0, 1.0, 4.0]
    rerank.rooted(table(squares.double()))(slice(0, 1))
    torch.testing.assert_close(squares, before, rtol=0, atol=0)


def test_the_mean_is_that_of_all_pairs():
    values = np.random.default_rng(0).uniform(size=(units.ROWS + 44, 5)).astype(np.float32)
    assert rerank.mean_distance(table(values), len(values)) == pytest.approx(values.astype(float).mean(), rel=1e-9)


def test_a_mean_of_nothing_or_of_infinity_is_refused():
    with pytest.raises(ValueError, match="at least one query"):
        rerank.mean_distance(table([[1.0]]), 0)
    with pytest.raises(ValueError, match="not all finite"):
        rerank.mean_distance(table([[1.0, np.inf]]), 1)


# -- attribute constraint ----------------------------------------------------------------------------------------------


def test_attribute_constraint_by_hand():
    # Gallery: same in both, other type, other color, other in both; mean distance 2.5.
    types, colors = ([0], [0, 1, 0, 1]), ([5], [5, 5, 6, 6])
    old = table([[1.0, 2.0, 3.0, 4.0]])
    one = rerank.attribute_constraint(old, types, colors, type_penalty=0.4, color_penalty=0.2)
    assert one(slice(0, 1)).tolist() == [[1.0, 3.0, 3.5, 5.5]]
    printed = rerank.attribute_constraint(old, types, colors, type_penalty=0.4, color_penalty=0.2, literal=True)
    assert printed(slice(0, 1)).tolist() == [[2.5, 3.0, 3.5, 4.0]]


def naive_constraint(old, types, colors, type_penalty, color_penalty, literal):
    """Eq. 6, pair by pair."""
    new = old.astype(float).copy()
    for i, j in np.ndindex(*old.shape):
        t, c = (types[0][i], types[1][j]), (colors[0][i], colors[1][j])
        unknown = min(t) < 0, min(c) < 0
        if literal:
            if any(unknown) or (t[0] != t[1] and c[0] != c[1]):
                continue
            new[i, j] += type_penalty * old.mean() * (c[0] == c[1]) + color_penalty * old.mean() * (t[0] == t[1])
        else:
            new[i, j] += type_penalty * old.mean() * (not unknown[0] and t[0] != t[1])
            new[i, j] += color_penalty * old.mean() * (not unknown[1] and c[0] != c[1])
    return new


@pytest.mark.parametrize("literal", [False, True])
@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, penalties=st.tuples(st.floats(0, 3), st.floats(0, 3)))
def test_attribute_constraint_equals_the_naive_loop(literal, seed, penalties):
    draw = np.random.default_rng(seed)
    old = draw.uniform(0, 10, (5, 6))
    types, colors = ((np.r_[draw.integers(-1, 3, 4), 1], np.r_[draw.integers(-1, 3, 5), 0]) for _ in range(2))
    new = rerank.attribute_constraint(
        table(old), types, colors, type_penalty=penalties[0], color_penalty=penalties[1], literal=literal
    )
    np.testing.assert_allclose(whole(new, 5), naive_constraint(old, types, colors, *penalties, literal), rtol=1e-12)


def test_an_unknown_attribute_brings_no_penalty():
    types, colors = ([-1, 0], [-1, 1]), ([0, -1], [1, 1])
    values = torch.ones(2, 2)
    new = rerank.attribute_constraint(table(values), types, colors, type_penalty=1.0, color_penalty=2.0)
    assert whole(new, 2).tolist() == [[3.0, 3.0], [1.0, 2.0]]
    new = rerank.attribute_constraint(table(values), types, colors, literal=True)
    assert whole(new, 2).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_attribute_constraint_refusals():
    old, codes, none = table(torch.ones(1, 2)), ([0], [0, 1]), ([0], [-1, -1])
    with pytest.raises(ValueError, match="type_penalty = -1 is refused"):
        rerank.attribute_constraint(old, codes, codes, type_penalty=-1)
    with pytest.raises(ValueError, match="needs 'color', which is not known of any gallery image"):
        rerank.attribute_constraint(old, codes, none)
    rerank.attribute_constraint(old, codes, none, color_penalty=0)
    with pytest.raises(ValueError, match="each image needs both"):
        rerank.attribute_constraint(old, codes, ([0], [0, 1, 2]))
    with pytest.raises(ValueError, match=r"distances are \(1, 2\).*\(1, 3\)"):
        rerank.attribute_constraint(old, ([0], [0, 1, 2]), ([0], [0, 1, 2]))(slice(0, 1))


# -- group re-ranking --------------------------------------------------------------------------------------------------


def test_query_groups_are_chains():
    query = torch.tensor([[10.0], [0.0], [1.0], [10.5], [2.0], [4.0]])
    assert rerank.query_groups(query, 1.5).tolist() == [0, 1, 1, 0, 1, 2]
    assert rerank.query_groups(query, 1.0).tolist() == [0, 1, 2, 0, 3, 4]  # closer than, not as close as
    assert rerank.query_groups(query, 0).tolist() == [0, 1, 2, 3, 4, 5]
    assert rerank.query_groups(query, 100).tolist() == [0] * 6


def test_group_means_by_hand():
    query = torch.tensor([[0.0, 2.0], [9.0, 9.0], [1.0, 4.0]])
    means = rerank.group_means(query, 3)
    assert means.tolist() == [[0.5, 3.0], [9.0, 9.0], [0.5, 3.0]] and means.dtype == query.dtype
    odd = torch.rand(5, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rerank.group_means(odd, 0), odd, rtol=0, atol=0)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, threshold=st.sampled_from([0.0, 0.5, 1.0, 1.2, 2.0, 9.0]), rows=st.sampled_from([1, 3, 256]))
def test_query_groups_equal_the_naive_loop(seed, threshold, rows):
    query = drawn(seed, queries=12)[0]
    groups = list(range(len(query)))
    for i in range(len(query)):
        for j in range(len(query)):
            if ((query[i] - query[j]) ** 2).sum() < threshold**2:
                groups = [groups[i] if code == groups[j] else code for code in groups]
    expected = [list(dict.fromkeys(groups)).index(code) for code in groups]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reidlib.evaluate.rerank.groups.ROWS", rows)
        assert rerank.query_groups(query, threshold).tolist() == expected


def test_tracks_are_inserted_by_hand():
    # By distance: a1 b1 x a2 b2 y. Track a's nearest is nearer than 2, track b's is not.
    old, tracks = table([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]), [0, 1, -1, 0, 1, -1]
    assert rerank.insert_tracks(old, tracks, 2.0)(slice(0, 1)).tolist() == [[0, 2, 3, 1, 4, 5]]
    assert rerank.insert_tracks(old, tracks, 2.5)(slice(0, 1)).tolist() == [[0, 2, 4, 1, 3, 5]]
    assert rerank.insert_tracks(old, tracks, 1.0)(slice(0, 1)).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_a_penalty_does_not_keep_a_near_image_from_bringing_its_track():
    # The first image is at 1, and at 3 with its penalty: there it brings in the third, over the fourth.
    euclidean, penalised = table([[1.0, 2.0, 6.0, 4.0]]), table([[3.0, 2.0, 6.0, 4.0]])
    assert rerank.insert_tracks(penalised, [0, 1, 0, 2], 1.5)(slice(0, 1)).tolist() == [[1, 0, 3, 2]]
    assert rerank.insert_tracks(penalised, [0, 1, 0, 2], 1.5, near=euclidean)(slice(0, 1)).tolist() == [[1, 0, 2, 3]]


def test_inserted_tracks_keep_ties():
    # Two tracks and a lone image begin at the same distance: their first images tie, then the others by distance.
    old, tracks = table([[1.0, 3.0, 1.0, 3.0, 1.0, 2.0]]), [0, 0, 1, 1, -1, -1]
    assert rerank.insert_tracks(old, tracks, 1.5)(slice(0, 1)).tolist() == [[0, 3, 0, 3, 0, 5]]


def naive_tracks(old, tracks, threshold, near=None):
    """Walk down the ranking; a near image brings its track in. Without ties."""
    places, near = np.zeros(old.shape), old if near is None else near
    for i, row in enumerate(old):
        placed = []
        for j in np.argsort(row):
            follow = [k for k in np.argsort(row) if k != j and tracks[k] == tracks[j] >= 0 and near[i, j] < threshold]
            placed += [k for k in [j, *follow] if k not in placed]
        places[i, placed] = np.arange(len(row))
    return places


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, threshold=st.floats(0, 1))
def test_inserted_tracks_equal_the_naive_loop(seed, threshold):
    draw = np.random.default_rng(seed)
    old, tracks = draw.permuted(np.tile(np.arange(12) / 12, (5, 1)), axis=1), np.r_[draw.integers(-1, 4, 11), 0]
    np.testing.assert_array_equal(
        whole(rerank.insert_tracks(table(old), tracks, threshold), 5), naive_tracks(old, tracks, threshold)
    )
    near = draw.uniform(size=old.shape)  # what θ is held against may rank otherwise
    places = whole(rerank.insert_tracks(table(old), tracks, threshold, near=table(near)), 5)
    np.testing.assert_array_equal(places, naive_tracks(old, tracks, threshold, near))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, threshold=st.sampled_from([0.0, 1.0, 2.5, 9.0]))
def test_inserted_tracks_count_what_is_before_whatever_the_order(seed, threshold):
    draw = np.random.default_rng(seed)
    old, tracks = draw.integers(0, 5, (4, 10)).astype(float), np.r_[draw.integers(-1, 3, 9), 0]
    places = whole(rerank.insert_tracks(table(old), tracks, threshold), 4)
    order = draw.permutation(10)
    other = whole(rerank.insert_tracks(table(old[:, order]), tracks[order], threshold), 4)
    np.testing.assert_array_equal(other, places[:, order])
    for row, place in zip(old, places, strict=True):
        least = [min(row[tracks == t]) if t >= 0 else d for t, d in zip(tracks, row, strict=True)]
        keys = [(m if m < threshold else d, d) for m, d in zip(least, row, strict=True)]
        assert place.tolist() == [sum(key < own for key in keys) for own in keys]


def test_group_refusals():
    with pytest.raises(ValueError, match="threshold = -1 is refused"):
        rerank.query_groups(torch.ones(2, 2), -1)
    with pytest.raises(ValueError, match="threshold = nan is refused"):
        rerank.insert_tracks(table([[1.0]]), [0], float("nan"))
    with pytest.raises(ValueError, match="needs 'track_id'"):
        rerank.insert_tracks(table([[1.0, 2.0]]), [-1, -1], 1)
    with pytest.raises(ValueError, match="track codes"):
        rerank.insert_tracks(table([[1.0, 2.0]]), [0, 0, 1], 1)(slice(0, 1))


# -- spatio-temporal ---------------------------------------------------------------------------------------------------


def rows_of(cameras, times):
    return pd.DataFrame({"camera_id": cameras, "time": times}).astype({"camera_id": "string", "time": "Float64"})


APART = pd.DataFrame([[0, 30, 60], [30, 0, 90], [60, 90, 0]], list("abc"), list("abc"))


def test_spatio_temporal_by_hand():
    # The longest time is 100 s (0 to 100), the largest distance 90 m.
    query, gallery = rows_of(["a", "b"], [0, 50]), rows_of(["a", "b", "c"], [100, 20, 60])
    new = rerank.spatio_temporal(table(torch.ones(2, 3)), query, gallery, APART, weight=2.0)
    expected = [[1, 1 + 2 * 0.2 * 30 / 90, 1 + 2 * 0.6 * 60 / 90], [1 + 2 * 0.5 * 30 / 90, 1, 1 + 2 * 0.1]]
    np.testing.assert_allclose(whole(new, 2), expected, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, weight=st.floats(0, 5))
def test_spatio_temporal_equals_the_naive_loop(seed, weight):
    draw = np.random.default_rng(seed)
    old, cameras = draw.uniform(size=(4, 6)), list("abc")
    query, gallery = (rows_of(draw.choice(cameras, n), draw.integers(0, 50, n)) for n in (4, 6))
    apart = APART.sample(frac=1, random_state=seed % 1000)  # rows in another order than columns
    longest = max(abs(t - u) for t in query["time"] for u in gallery["time"]) or 1
    expected = old.copy()
    for i, j in np.ndindex(4, 6):
        q, g = query.iloc[i], gallery.iloc[j]
        expected[i, j] += weight * abs(q["time"] - g["time"]) / longest * APART.loc[q["camera_id"], g["camera_id"]] / 90
    new = whole(rerank.spatio_temporal(table(old), query, gallery, apart, weight=weight), 4)
    np.testing.assert_allclose(new, expected, rtol=1e-9)


def test_one_time_or_one_place_adds_nothing():
    query, gallery = rows_of(["a"], [5]), rows_of(["b", "c"], [5, 5])
    assert whole(rerank.spatio_temporal(table([[1.0, 2.0]]), query, gallery, APART, weight=1), 1).tolist() == [[1, 2]]
    gallery["time"] += 7
    new = rerank.spatio_temporal(table([[1.0, 2.0]]), query, gallery, APART * 0, weight=1)
    assert whole(new, 1).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": rows_of(["a"], [None])}, "needs 'time', which the dataset lacks in its query rows"),
        ({"gallery": rows_of([None, None], [1, 2])}, "needs 'camera_id', which the dataset lacks in its gallery rows"),
        ({"gallery": rows_of(["a", "b"], [1, None])}, r"missing in 1 of 2 gallery rows \(first in rows 1\)"),
        ({"gallery": rows_of(["a", "b"], [1, 2]).drop(columns="time")}, "needs 'time'"),
        ({"gallery": rows_of(["a", "b"], [1, np.inf])}, "'time' of the gallery rows is not finite"),
        ({"camera_distances": None}, "needs camera distances, which the dataset lacks"),
        ({"camera_distances": APART.drop(columns="c")}, "square frame"),
        ({"camera_distances": APART.loc[["a", "c"], ["a", "c"]]}, r"lack the cameras b \(1 in all\)"),
        ({"camera_distances": APART.where(APART != 30, -1)}, "finite, at least 0 and the same both ways"),
        ({"camera_distances": APART + np.triu(np.ones((3, 3)))}, "finite, at least 0 and the same both ways"),
        ({"weight": -0.5}, "weight = -0.5 is refused"),
    ],
)
def test_spatio_temporal_refusals(change, message):
    given = {"query": rows_of(["a"], [0]), "gallery": rows_of(["a", "b"], [1, 2])}
    given |= {"camera_distances": APART, "weight": 1.0} | change
    with pytest.raises(ValueError, match=message):
        rerank.spatio_temporal(table([[1.0, 2.0]]), **given)


def test_spatio_temporal_of_other_rows_is_refused():
    new = rerank.spatio_temporal(table([[1.0, 2.0]]), rows_of(["a"], [0]), rows_of(["a"], [1]), APART, weight=1)
    with pytest.raises(ValueError, match="manifest rows"):
        new(slice(0, 1))


# -- k-reciprocal encoding ---------------------------------------------------------------------------------------------


def dense_k_reciprocal(query, gallery, k1, k2, weight, literal):
    """The authors' way, on dense tables with a loop over images; in double precision."""
    features = np.concatenate([query, gallery]).astype(float)
    number = len(features)
    squares = ((features[:, None] - features[None]) ** 2).sum(-1)
    own = np.where(np.eye(number, dtype=bool), -1.0, squares)
    rank = np.argsort(own, axis=1, kind="stable")
    scaled = squares / np.where(squares.max(1) > 0, squares.max(1), 1)[:, None]

    def mutual(p, k):
        return {int(g) for g in rank[p, : k + 1] if p in rank[g, : k + 1]}

    encoding = np.zeros((number, number))
    for p in range(number):
        members = set(first := mutual(p, k1))
        for q in first:
            half = mutual(q, int(np.around(k1 / 2)))
            common = 3 * len(half & first)
            if common > 2 * len(half) or (literal and common == 2 * len(half)):
                members |= half
        members = sorted(members)
        encoding[p, members] = np.exp(-scaled[p, members])
        if not literal:
            encoding[p] /= encoding[p].sum()
    encoding = np.stack([encoding[rank[p, :k2]].mean(0) for p in range(number)])
    result = np.zeros((len(query), len(gallery)))
    for p, g in np.ndindex(*result.shape):
        a, b = encoding[p], encoding[len(query) + g]
        jaccard = 1 - np.minimum(a, b).sum() / np.maximum(a, b).sum()
        result[p, g] = (1 - weight) * jaccard + weight * scaled[p, len(query) + g]
    return result


def clustered(seed, queries, gallery, width=24, vehicles=9):
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(vehicles, width))
    return tuple(
        torch.from_numpy((centres[draw.integers(vehicles, size=n)] + 0.8 * draw.normal(size=(n, width))).astype("f4"))
        for n in (queries, gallery)
    )


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 6, 0.3), (7, 1, 0.0), (6, 9, 0.5), (1, 1, 1.0)])
def test_k_reciprocal_equals_the_dense_reference(literal, k1, k2, weight):
    query, gallery = clustered(0, 23, 120)
    expected = dense_k_reciprocal(query.numpy(), gallery.numpy(), k1, k2, weight, literal)
    with pytest.MonkeyPatch.context() as patch:  # several blocks of each kind
        for name, value in {"ROWS": 64, "PAIRS": 500, "GATHERED": 2000}.items():
            patch.setattr(reciprocal, name, value)
        found = rerank.k_reciprocal(query, gallery, k1=k1, k2=k2, weight=weight, literal=literal)
        np.testing.assert_allclose(whole(found, 23), expected, atol=1e-5)


@pytest.mark.parametrize("literal", [False, True])
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, k1=st.integers(1, 9), k2=st.integers(1, 9), gallery=st.integers(1, 12))
def test_k_reciprocal_with_ties_and_copies_equals_the_dense_reference(literal, seed, k1, k2, gallery):
    query, gallery = drawn(seed, queries=4, gallery=gallery, width=2)
    found = rerank.k_reciprocal(query, gallery, k1=k1, k2=k2, literal=literal)
    expected = dense_k_reciprocal(query.numpy(), gallery.numpy(), k1, k2, 0.3, literal)
    np.testing.assert_allclose(whole(found, 4), expected, atol=1e-5)


@pytest.mark.parametrize("spare", [1, 3, 8])
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, count=st.integers(1, 20), different=st.integers(1, 30))
def test_nearest_are_the_first_in_a_stable_order(spare, seed, count, different):
    block = torch.from_numpy(np.random.default_rng(seed).integers(0, different, (5, 20)).astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reciprocal, "SPARE", spare)
        assert torch.equal(reciprocal._nearest(block, count), block.argsort(dim=1, stable=True)[:, :count])


def test_k_reciprocal_by_hand():
    # On a line: query 0, gallery at 1 and 10. k1 = 1: 0 and 1 have each other, 10 has only itself (1 is nearer to 0).
    found = rerank.k_reciprocal(torch.tensor([[0.0]]), torch.tensor([[1.0], [10.0]]), k1=1, k2=1)
    near, far = np.exp(-1 / 100), np.exp(-1 / 81)  # d(0, 1) and d(1, 0), each by its row's largest
    common = min(1 / (1 + near), far / (1 + far)) + min(near / (1 + near), 1 / (1 + far))
    expected = [0.7 * (1 - common / (2 - common)) + 0.3 / 100, 0.7 + 0.3]
    np.testing.assert_allclose(found(slice(0, 1))[0], expected, atol=1e-6)


def test_two_thirds_count_only_when_read_literally():
    # Twelve points on a circle, k1 = 4: R(0, 4) is 0 with two on either side, R(q, 2) is q with one on either side.
    # Of R(2, 2) = {1, 2, 3} two are within R(0, 4): exactly ⅔.
    angles = torch.arange(12) * 2 * np.pi / 12
    features = torch.stack([angles.cos(), angles.sin()], 1).double()
    nearest = np.array([[i, (i + 1) % 12, (i - 1) % 12, (i + 2) % 12, (i - 2) % 12] for i in range(12)])
    strict, literal = (reciprocal._expanded(nearest, 4, option) for option in (False, True))
    assert sorted(strict[[0]].indices) == [0, 1, 2, 10, 11]
    assert sorted(literal[[0]].indices) == [0, 1, 2, 3, 9, 10, 11]
    default, printed = (rerank.k_reciprocal(features[:2], features[2:], k1=4, literal=o) for o in (False, True))
    assert not np.allclose(whole(default, 2), whole(printed, 2))


def test_k_reciprocal_does_not_depend_on_the_slices():
    query, gallery = clustered(1, 70, 90)
    distances = rerank.k_reciprocal(query, gallery)
    at_once = distances(slice(0, 70))
    for step in (1, 33):
        parts = torch.cat([distances(slice(i, min(i + step, 70))) for i in range(0, 70, step)])
        torch.testing.assert_close(parts, at_once, rtol=0, atol=1e-6)


def test_k_reciprocal_of_a_collapsed_model_is_finite():
    same = torch.full((6, 3), 0.3)
    assert np.isfinite(whole(rerank.k_reciprocal(same[:2], same[2:], k1=2), 2)).all()


def test_k_reciprocal_is_bounded():
    query, gallery = clustered(2, 10, 60)
    values = whole(rerank.k_reciprocal(query, gallery), 10)
    assert values.min() > -1e-6 and values.max() < 1 + 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [({"k1": 0}, "k1 = 0"), ({"k2": 0}, "k2 = 0"), ({"weight": 1.5}, "weight = 1.5"), ({"weight": np.nan}, "weight =")],
)
def test_k_reciprocal_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        rerank.k_reciprocal(torch.ones(2, 2), torch.ones(3, 2), **options)


# -- together, and in the evaluator ------------------------------------------------------------------------------------


def test_constraint_then_group_by_hand():
    # Two near queries share the feature 1. Distances to the gallery: 1, 2, 3, 5; mean 2.75.
    query, gallery = torch.tensor([[0.0], [2.0]]), torch.tensor([[2.0], [3.0], [4.0], [6.0]])
    means = rerank.group_means(query, 2.5)
    distances = rerank.rooted(metrics.euclidean(means, gallery))
    assert whole(distances, 2).tolist() == [[1, 2, 3, 5]] * 2
    # The first image is of another color for the first query, which takes it beyond the threshold and after the second;
    # the second brings in the fourth, of its track.
    colors = ([0, 1], [1, 0, 0, 0])
    constrained = rerank.attribute_constraint(distances, ([0, 0], [0] * 4), colors, color_penalty=4 / 2.75)
    np.testing.assert_allclose(whole(constrained, 2), [[5, 2, 3, 5], [1, 6, 7, 9]], rtol=1e-6)
    places = rerank.insert_tracks(constrained, [0, 1, 0, 1], 2.5)
    assert whole(places, 2).tolist() == [[3, 0, 2, 1], [0, 2, 1, 3]]


def ways():
    """Each re-ranking of the same features, by name."""
    query, gallery = clustered(3, 30, 90)
    draw = np.random.default_rng(3)
    codes = [(draw.integers(-1, 3, 30), draw.integers(-1, 3, 90)) for _ in range(2)]
    sides = [rows_of(draw.choice(list("abc"), n), draw.uniform(0, 100, n)) for n in (30, 90)]
    tracks = draw.integers(-1, 20, 90)
    plain = metrics.euclidean(query, gallery, reuse=True)
    root = rerank.rooted(plain)
    constrained = rerank.attribute_constraint(root, *codes)
    return {
        "plain": plain,
        "rooted": root,
        "constraint": constrained,
        "means": metrics.euclidean(rerank.group_means(query, 4.0), gallery),
        "tracks": rerank.insert_tracks(root, tracks, 4.0),
        "constraint, tracks": rerank.insert_tracks(constrained, tracks, 4.0),
        "spatio-temporal": rerank.spatio_temporal(plain, *sides, APART, weight=3.0),
        "k-reciprocal": rerank.k_reciprocal(query, gallery),
        "k-reciprocal, constraint": rerank.attribute_constraint(rerank.k_reciprocal(query, gallery), *codes),
    }


WAYS = ways()


@pytest.mark.parametrize("name", list(WAYS))
def test_the_evaluator_takes_each_in_any_chunks(name):
    draw = np.random.default_rng(4)
    relevance = Relevance(draw.integers(9, size=30), draw.integers(9, size=90))
    scores = score(WAYS[name], relevance)
    held = torch.cat([WAYS[name](slice(i, i + 1)).clone() for i in range(30)])
    for chunk in (1, 7, 30):
        np.testing.assert_allclose(score(WAYS[name], relevance, chunk=chunk).ap, scores.ap, atol=1e-9)
    np.testing.assert_allclose(score(table(held), relevance).ap, scores.ap, atol=1e-9)
    if name == "rooted":
        np.testing.assert_array_equal(scores.ap, score(WAYS["plain"], relevance).ap)


def test_mutual_neighbours_raise_the_score():
    draw = np.random.default_rng(5)
    centres, labels = draw.normal(size=(12, 24)), np.repeat(np.arange(12), 14)
    features = torch.from_numpy((centres[labels] + 1.1 * draw.normal(size=(len(labels), 24))).astype("f4"))
    query = np.arange(len(labels)) % 14 < 3
    relevance = Relevance(labels[query], labels[~query])
    plain = score(metrics.euclidean(features[query], features[~query]), relevance).mAP
    assert score(rerank.k_reciprocal(features[query], features[~query], k1=10, k2=4), relevance).mAP > plain + 0.03
