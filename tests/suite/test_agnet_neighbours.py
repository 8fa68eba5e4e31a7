"""Purity of neighbourhoods against loops and by hand; the map that t-SNE draws."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reidpapers.agnet import neighbours

LINE = torch.tensor([[0.0], [1.0], [5.0], [6.1]])


def naive(points, vehicles, labels, k, others):
    """Mean shares of the k nearest and of all, in loops; ties go to the earlier image."""
    near, everywhere = [], []
    for i, (here, label) in enumerate(zip(points, labels, strict=True)):
        allowed = [j for j in range(len(points)) if j != i and labels[j] >= 0 and label >= 0]
        allowed = [j for j in allowed if not others or vehicles[j] != vehicles[i]]
        if not allowed:
            continue
        nearest = sorted(allowed, key=lambda j: float((points[j] - here).norm()))[:k]
        near.append(np.mean([labels[j] == label for j in nearest]))
        everywhere.append(np.mean([labels[j] == label for j in allowed]))
    return (np.mean(near), np.mean(everywhere)) if near else None


@given(st.integers(0, 10**6), st.integers(2, 25), st.integers(1, 6))
def test_it_equals_a_loop(seed, count, k):
    draws = np.random.default_rng(seed)
    points = torch.from_numpy(draws.normal(size=(count, 3)))
    vehicles, colors = draws.integers(0, 5, count), draws.integers(-1, 3, count)
    found = neighbours.purity(points, vehicles, {"color": colors}, k)
    for name, labels, others in (("identity", vehicles, False), ("color", colors, True)):
        wanted = naive(points, vehicles, labels, k, others)
        assert (name in found) == (wanted is not None)
        if wanted:
            assert (found[name]["purity"], found[name]["chance"]) == pytest.approx(wanted)


def test_by_hand():
    found = neighbours.purity(LINE, np.array([0, 0, 1, 2]), {"color": np.array([0, 0, 1, 0])}, 1)
    # Nearest others: 1, 0, 3 (of vehicle 2), 2; two of them are of the same vehicle.
    assert found["identity"] == pytest.approx({"purity": 0.5, "chance": 2 / 12})
    # Of other vehicles: 2, 2, 3, 2, of another colour each; by chance 1/2, 1/2, 0 and 2/3 share it.
    assert found["color"] == pytest.approx({"purity": 0.0, "chance": (0.5 + 0.5 + 0 + 2 / 3) / 4})


def test_a_label_that_nobody_else_has_or_nobody_knows_is_left_out():
    none = np.full(4, -1)
    assert neighbours.purity(LINE, np.array([0, 0, 1, 2]), {"color": none}, 2).keys() == {"identity"}
    assert neighbours.purity(LINE[:2], np.array([0, 0]), {"color": np.array([1, 1])}, 2).keys() == {"identity"}


def test_the_map_keeps_clusters_apart_and_is_repeatable():
    centres = 20 * torch.eye(4).repeat_interleave(10, 0)
    points = centres + torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    found = neighbours.tsne(points)
    assert found.shape == (40, 2) and np.array_equal(found, neighbours.tsne(points))
    group = np.arange(40) // 10
    shares = neighbours.purity(torch.from_numpy(found), group, {}, 5)["identity"]
    assert shares["purity"] == 1.0
    assert neighbours.tsne(points[:5]).shape == (5, 2)
