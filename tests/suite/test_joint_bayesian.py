"""Joint Bayesian against the densities it is made of, naive loops, and covariances that are known."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from reidlib.data import manifest
from reidlib.evaluate import protocols
from reidpapers.run import joint_bayesian, verification
from reidpapers.run.joint_bayesian import fit


def drawn(counts, between, within, seed=0, mean=0.0):
    """Features of identities with ``counts`` images each, from N(μ, S_ε) about identities from N(mean, S_μ)."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = draw.multivariate_normal(np.full(len(between), mean), between, len(counts))
    return centres[labels] + draw.multivariate_normal(np.zeros(len(within)), within, len(labels)), labels


def covariance(width, seed):
    root = np.random.default_rng(seed).standard_normal((width, width))
    return root @ root.T / width + 0.1 * np.eye(width)


def small(seed=0, width=3):
    """A few identities of one to five images."""
    counts = np.random.default_rng(seed).integers(1, 6, 12)
    counts[0] = 2
    return drawn(counts, covariance(width, seed + 1), 0.5 * covariance(width, seed + 2), seed, mean=2.0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**20), width=st.integers(1, 4))
def test_r_is_the_ratio_of_the_two_densities(seed, width):
    model = fit(*small(seed, width))
    s, total = model.between, model.between + model.within
    same = multivariate_normal(np.zeros(2 * width), np.block([[total, s], [s, total]]))
    apart = multivariate_normal(np.zeros(width), total)
    pairs = np.random.default_rng(seed).standard_normal((2, 7, width)) + model.mean
    x, y = pairs - model.mean
    ratio = np.array(
        [same.logpdf(np.concatenate([a, b])) - apart.logpdf(a) - apart.logpdf(b) for a, b in zip(x, y, strict=True)]
    )
    origin = same.logpdf(np.zeros(2 * width)) - 2 * apart.logpdf(np.zeros(width))  # the constant left out
    r = [a @ model.a @ a + b @ model.a @ b - 2 * a @ model.g @ b for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(r, 2 * (ratio - origin), rtol=1e-6, atol=1e-8)
    found = -model.distances(*map(torch.from_numpy, pairs))(slice(0, 7))
    np.testing.assert_allclose(found.diagonal(), r, rtol=1e-8, atol=1e-10)


def test_the_forms_are_those_of_the_paper():
    model = fit(*small())
    inverse = np.linalg.inv
    f, s, e = inverse(model.within), model.between, model.within
    g = -inverse(2 * s + e) @ s @ f
    np.testing.assert_allclose(model.g, g, atol=1e-10)
    np.testing.assert_allclose(model.a, inverse(s + e) - (f + g), atol=1e-10)


def naive_step(x, labels, between, within, floor):
    """One iteration by the stacked Gaussian of each identity's images, and the objective before it."""
    width, value = x.shape[1], -0.5 * len(x) * floor * np.trace(np.linalg.inv(within))
    new_between, new_within = np.zeros_like(between), len(x) * floor * np.eye(width)
    for label in np.unique(labels):
        own = x[labels == label]
        m = len(own)
        stacked = np.kron(np.ones((m, m)), between) + np.kron(np.eye(m), within)
        cross = np.kron(np.ones((1, m)), between)  # of μ with all its images
        value += multivariate_normal(np.zeros(m * width), stacked).logpdf(own.ravel())
        mu = cross @ np.linalg.solve(stacked, own.ravel())
        left = between - cross @ np.linalg.solve(stacked, cross.T)
        new_between += np.outer(mu, mu) + left
        for image in own:
            new_within += np.outer(image - mu, image - mu) + left
    return new_between / len(np.unique(labels)), new_within / len(x), value


@pytest.mark.parametrize("seed", range(4))
def test_iterations_equal_the_naive_ones(seed):
    x, labels = small(seed)
    start = fit(x, labels, iterations=0, ridge=0.01)
    centred = x - x.mean(0)
    floor = 0.01 * np.square(centred).mean()
    between, within, value = start.between, start.within, []
    for _ in range(4):
        *new, objective = naive_step(centred, labels, between, within, floor)
        between, within = new
        value.append(objective)
    found = fit(x, labels, iterations=4, ridge=0.01)
    np.testing.assert_allclose(found.between, between, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.within, within, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.objective[:4], value, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**20), ridge=st.sampled_from([1e-6, 1e-3, 0.1]))
def test_the_objective_never_falls(seed, ridge):
    steps = np.diff(fit(*small(seed), ridge=ridge).objective)
    assert (steps > -1e-8).all() and steps[0] > 0


@pytest.mark.parametrize("counts", [np.full(3000, 3), np.random.default_rng(0).integers(1, 6, 3000)], ids=["3", "1-5"])
def test_known_covariances_are_found(counts):
    between, within = covariance(4, 1), 0.5 * covariance(4, 2)
    model = fit(*drawn(counts, between, within, mean=1.5), ridge=1e-6)
    np.testing.assert_allclose(model.mean, 1.5, atol=0.08)
    np.testing.assert_allclose(model.between, between, atol=0.08 * np.trace(between) / 2)
    np.testing.assert_allclose(model.within, within, atol=0.03 * np.trace(within))


def test_a_fit_is_repeatable_and_knows_no_order_nor_unlabelled_images():
    x, labels = small()
    model, again = fit(x, labels), fit(torch.from_numpy(x), torch.from_numpy(labels))
    assert np.array_equal(model.a, again.a) and np.array_equal(model.g, again.g)
    order = np.random.default_rng(1).permutation(len(x))
    np.testing.assert_allclose(fit(x[order], 7 * labels[order] + 3).a, model.a, atol=1e-9)
    more = fit(np.concatenate([x, np.full((2, 3), np.nan)]), np.append(labels, [-1, -1]))
    assert np.array_equal(more.g, model.g)


def test_columns_without_variance_do_no_harm():
    x, labels = small()
    model, wide = fit(x, labels, ridge=1e-9), fit(np.insert(x, 1, 0.0, axis=1), labels, ridge=1e-9)
    kept = np.ix_([0, 2, 3], [0, 2, 3])
    np.testing.assert_allclose(wide.a[kept], model.a, rtol=1e-5, atol=1e-7)
    assert np.isfinite(wide.a).all() and np.isfinite(wide.g).all()


def test_as_a_distance_it_finds_vehicles_that_a_large_nuisance_hides():
    x, labels = drawn(np.full(200, 4), np.diag([1.0, 1.0, 1.0, 0.0]), np.diag([0.02, 0.02, 0.02, 30.0]))
    model, x = fit(x[:400], labels[:400]), torch.from_numpy(x[400:]).float()
    place = np.arange(400)
    table = pd.DataFrame({"image": place.astype(str), "split": np.where(place % 4, "gallery", "query"),
                          "vehicle_id": labels[400:].astype(str),
                          "camera_id": (place % 4).astype(str)}).astype("string")  # fmt: skip
    plain = protocols.evaluate("veri", x, table)
    found = protocols.evaluate("veri", x, table, distance=model.distances)
    assert plain.top(1) < 0.3 < 0.7 < found.top(1)
    best = protocols.retrieval("veri", x, table, np.array([3]), distance=model.distances, k=5)[0]
    a, b = (x[place].double().numpy() - model.mean for place in (12, int(best["top"][0]["image"])))
    r = a @ model.a @ a + b @ model.a @ b - 2 * a @ model.g @ b
    assert best["top"][0]["distance"] == pytest.approx(-r, abs=1e-5)


def test_verification_takes_it_pair_by_pair():
    x, labels = small()
    model, names = fit(x, labels), np.arange(len(x)).astype(str)
    draw = np.random.default_rng(0)
    first, second = draw.integers(0, len(x), (2, 600))  # more than one block
    pairs = pd.DataFrame({"first": names[first], "second": names[second], "same": labels[first] == labels[second]})
    test = manifest.Test("easy", "verification", pairs=pairs, threshold_pairs=pairs)
    table = pd.DataFrame({"image": names, "split": "gallery"}).astype("string")
    found = verification.assess(test, torch.from_numpy(x), table, distance=model.distances)
    a, b = x[first] - model.mean, x[second] - model.mean
    apart = -((a @ model.a * a) + (b @ model.a * b) - 2 * (a @ model.g * b)).sum(1)
    np.testing.assert_array_equal(found.right, (apart <= found.threshold + 1e-9) == pairs["same"])
    assert found.accuracy == found.threshold_accuracy and np.abs(apart - found.threshold).min() < 1e-9


def test_a_distance_does_not_depend_on_the_slice():
    x, labels = small()
    distances = fit(x, labels).distances(torch.from_numpy(x), torch.from_numpy(np.concatenate([x, x[:3]])))
    whole = distances(slice(0, len(x)))
    assert torch.equal(torch.cat([distances(slice(i, i + 1)) for i in range(len(x))]), whole)
    assert torch.equal(whole[:, :3], whole[:, -3:]), "equal gallery items tie exactly"


@pytest.mark.parametrize("x, labels, options, said", [
    (np.eye(4), [0, 0, 0, 0], {}, "needs images of two identities and more, not of 1"),
    (np.eye(4), [0, 1, 2, -1], {}, "none of 3 identities has two images"),
    (np.eye(4), [-1] * 4, {}, "not of 0"), (np.ones((4, 2)), [0, 0, 1, 1], {}, "all 4 features are equal"),
    ([[1.0], [np.nan], [np.inf], [2.0]], [0, 0, 1, 1], {}, "not finite in 2 of 4 rows"),
    (np.eye(4), [0, 1], {}, r"features \(4, 4\) and labels \(2,\)"), (np.ones(4), [0] * 4, {}, r"features \(4,\)"),
    (np.eye(4), [0, 0, 1, 1], {"ridge": 0.0}, "ridge = 0.0 is refused: allowed is a number > 0"),
])  # fmt: skip
def test_what_cannot_be_fitted_is_refused(x, labels, options, said):
    with pytest.raises(ValueError, match=said):
        joint_bayesian.fit(np.asarray(x, dtype=float), np.asarray(labels), **options)


def test_features_of_another_width_or_not_finite_are_refused():
    model = fit(*small())
    with pytest.raises(ValueError, match=r"gallery features are \(2, 4\): fitted were features of 3 columns"):
        model.distances(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="query features are not finite in 1 of 1 rows"):
        model.distances(torch.full((1, 3), torch.nan), torch.zeros(2, 3))
