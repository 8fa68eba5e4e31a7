"""Losses against naive loops, values by hand and numerical derivatives."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from reidlib import losses

VECTORS = {
    "absolute": lambda a, b: abs(a - b),
    "euclidean": lambda a, b: (a - b) ** 2,
    "multiplication": lambda a, b: a * b,
}
SCALARS = {
    "absolute": lambda a, b: sum(abs(x - y) for x, y in zip(a, b, strict=True)),
    "euclidean": lambda a, b: math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True))),
    "multiplication": lambda a, b: sum(x * y for x, y in zip(a, b, strict=True)),
}
seeded = st.integers(0, 10_000).map(lambda seed: torch.Generator().manual_seed(seed))


def features(generator, pairs=5, width=7):
    return torch.randn((2, pairs, width), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("distance", losses.DISTANCES)
@given(generator=seeded)
def test_vector_distances_equal_a_loop(distance, generator):
    first, second = features(generator)
    found = losses.pair_distance(first, second, distance)
    wanted = [
        [VECTORS[distance](float(a), float(b)) for a, b in zip(*rows, strict=True)]
        for rows in zip(first, second, strict=True)
    ]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("distance", losses.DISTANCES)
@given(generator=seeded)
def test_scalar_distances_equal_a_loop(distance, generator):
    first, second = features(generator)
    found = losses.reduce_distance(losses.pair_distance(first, second, distance), distance)
    wanted = [[SCALARS[distance](a, b)] for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))


def test_distances_by_hand():
    first, second = torch.tensor([[3.0, -1.0]]), torch.tensor([[0.0, 3.0]])
    cases = {"absolute": ([3.0, 4.0], 7.0), "euclidean": ([9.0, 16.0], 5.0), "multiplication": ([0.0, -3.0], -3.0)}
    for distance, (vector, scalar) in cases.items():
        found = losses.pair_distance(first, second, distance)
        assert found.tolist() == [vector]
        assert losses.reduce_distance(found, distance).tolist() == [[scalar]]


@pytest.mark.parametrize("distance", ["absolute", "euclidean"])
def test_identical_images_have_no_distance_and_a_finite_slope(distance):
    same = torch.ones(2, 4, requires_grad=True)
    found = losses.reduce_distance(losses.pair_distance(same, torch.ones(2, 4), distance), distance)
    assert found.max() < 1e-5
    found.sum().backward()
    assert same.grad.isfinite().all()


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("distance", losses.DISTANCES)
def test_scalar_distances_of_half_precision_are_single_and_have_finite_slopes(distance, precision):
    """In float16 alone the least distance, 1e-12, is 0, and a sum of 2,048 squares of 8 is infinite."""
    for first, second in ((torch.ones(3, 8), torch.ones(3, 8)), (torch.full((3, 2048), 9.0), torch.ones(3, 2048))):
        first = first.to(precision).requires_grad_()
        found = losses.reduce_distance(losses.pair_distance(first, second.to(precision), distance), distance)
        assert found.dtype == torch.float32 and found.isfinite().all()
        losses.contrastive(found, torch.tensor([[0.0], [1.0], [1.0]]), margin=1.0).sum().backward()
        assert first.grad.dtype == precision and first.grad.isfinite().all()
        wanted = SCALARS[distance](*([float(row[0, 0])] * row.shape[1] for row in (first, second)))
        assert found.tolist() == [[pytest.approx(wanted, abs=1e-5)]] * 3


def test_distances_refuse_what_they_do_not_know():
    with pytest.raises(ValueError, match="'manhatan' is refused: allowed are absolute, euclidean, multiplication"):
        losses.pair_distance(torch.zeros(2, 3), torch.zeros(2, 3), "manhatan")
    with pytest.raises(ValueError, match="differ in shape"):
        losses.pair_distance(torch.zeros(2, 3), torch.zeros(1, 3), "absolute")  # would broadcast


@given(seeded, st.floats(0.05, 3.0))
def test_contrastive_equals_a_loop(generator, margin):
    output = 2 * torch.rand((6, 3), generator=generator, dtype=torch.float64)
    differs = torch.randint(0, 2, (6, 3), generator=generator).double()
    found = losses.contrastive(output, differs, margin)
    for pair in range(6):
        for unit in range(3):
            d, y = float(output[pair, unit]), float(differs[pair, unit])
            wanted = (1 - y) * 0.5 * d**2 + y * 0.5 * max(0.0, margin - d) ** 2
            assert float(found[pair, unit]) == pytest.approx(wanted, abs=1e-12)


def test_contrastive_by_hand():
    output = torch.tensor([[0.6], [0.6], [0.9], [2.0]])
    differs = torch.tensor([[0.0], [1.0], [1.0], [1.0]])
    found = losses.contrastive(output, differs, margin=1.0)
    # ½·0.36; ½·0.4²; ½·0.1²; beyond the margin nothing pushes.
    assert found.flatten().tolist() == pytest.approx([0.18, 0.08, 0.005, 0.0], abs=1e-7)


def test_contrastive_pulls_what_is_alike_and_pushes_what_differs():
    output = torch.tensor([[0.4], [0.4]], requires_grad=True)
    losses.contrastive(output, torch.tensor([[0.0], [1.0]]), 1.0).sum().backward()
    assert output.grad.flatten().tolist() == pytest.approx([0.4, -0.6])


@pytest.mark.parametrize("distance", losses.DISTANCES)
@pytest.mark.parametrize("scheme", ["vector", "scalar"])
def test_slopes_are_those_of_the_formula(distance, scheme):
    first, second = features(torch.Generator().manual_seed(3), 4, 5)
    differs = torch.tensor([[0.0], [1.0], [0.0], [1.0]], dtype=torch.float64)

    def loss(a, b):
        vector = losses.pair_distance(a, b, distance)
        seen = vector if scheme == "vector" else losses.reduce_distance(vector, distance)
        return losses.contrastive(torch.sigmoid(0.3 * seen.sum(-1, keepdim=True)), differs, 1.0)

    assert gradcheck(loss, (first.requires_grad_(), second.requires_grad_()))


def test_labels_say_what_differs_and_what_is_known():
    first = torch.tensor([[4, 0, -1], [4, 1, 2], [5, -1, 0]])
    second = torch.tensor([[4, 0, 2], [3, 2, 2], [5, -1, -1]])
    differs, known = losses.differs(first, second)
    assert known.tolist() == [[True, True, False], [True, True, True], [True, False, False]]
    assert torch.where(known, differs, -1).tolist() == [[0, 0, -1], [1, 1, 0], [0, -1, -1]]
    assert differs.dtype == torch.float32


@given(seeded)
def test_masked_mean_equals_a_loop(generator):
    values = torch.randn((5, 3), generator=generator, dtype=torch.float64)
    known = torch.rand((5, 3), generator=generator) < 0.5
    found = losses.masked_mean(values, known)
    for unit in range(3):
        kept = [float(values[pair, unit]) for pair in range(5) if known[pair, unit]]
        assert float(found[unit]) == pytest.approx(sum(kept) / len(kept) if kept else 0.0)


def test_an_unknown_label_has_no_slope():
    values = torch.ones(3, 2, requires_grad=True)
    known = torch.tensor([[True, False], [False, False], [True, False]])
    losses.masked_mean(values, known).sum().backward()
    assert values.grad.tolist() == [[0.5, 0], [0, 0], [0.5, 0]]
