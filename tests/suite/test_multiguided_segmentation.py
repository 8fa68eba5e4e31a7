"""The segmenter: its shapes, its losses and its score against plain formulas, and that it learns from pixels."""

import math
import socket

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.augment import normalise
from reidlib.data.images import ImageStore
from reidpapers.multiguided import segmentation
from reidpapers.multiguided.segmentation import Segmenter, iou, losses, predict


def random_masks(count, size, seed):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 2, (count, size, size), dtype=np.uint8) * 255)


def logits(count, size, seed):
    return torch.randn(count, size, size, generator=torch.Generator().manual_seed(seed)) * 3


@pytest.fixture(scope="module")
def light():
    torch.manual_seed(0)
    return Segmenter()


@pytest.mark.parametrize("size", [16, 32, 64])
def test_one_logit_a_pixel(light, size):
    light.eval()
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert light.maps(images).shape == (2, size, size)
        assert torch.equal(light(images).view(2, size, size), light.maps(images))


def test_a_side_that_the_network_cannot_halve_is_refused(light):
    with pytest.raises(ValueError, match="20 pixels a side: allowed are multiples of 8"):
        light.maps(torch.zeros(1, 3, 20, 20))


@pytest.mark.parametrize("wrong", [{"encoder": "vgg16"}, {"depth": 2}, {"depth": 6}])
def test_other_encoders_are_refused(wrong):
    with pytest.raises(ValueError, match="allowed are"):
        Segmenter(**wrong)


def test_the_light_one_has_no_parameter_that_it_does_not_use(light):
    light.train()
    light.maps(torch.randn(4, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in light.parameters())
    assert sum(p.numel() for p in light.parameters()) < 100_000
    assert list(dict(light.named_children())) == ["encoder", "decoder", "head"]


def test_the_paper_one_keeps_an_eighth_of_the_side_through_all_of_resnet50():
    torch.manual_seed(0)
    network = Segmenter("resnet50", depth=5, channels=512)
    images = torch.randn(2, 3, 48, 48)
    features = network.encoder(images)
    assert [(f.shape[1], f.shape[2]) for f in features[1:]] == [(64, 24), (256, 12), (512, 6), (1024, 6), (2048, 6)]
    found = losses(network.maps(images), random_masks(2, 48, 0))
    sum(found.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    # ResNet-50 without its classifier, four pyramid levels, the joining convolution and the head.
    pyramid = 4 * 2048 * 512 + 512 + 3 * 2 * 512  # the level of one place has a bias, the others a normalisation
    joined, head = 4096 * 512 + 2 * 512, 512 * 9 + 1
    assert sum(p.numel() for p in network.parameters()) == 23_508_032 + pyramid + joined + head


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=15)
def test_losses_are_their_formulas(count, size, seed):
    given_logits, masks = logits(count, size, seed), random_masks(count, size, seed)
    cross, dice = 0.0, 0.0
    for n in range(count):
        both = either = 0.0
        for i in range(size):
            for j in range(size):
                p, y = 1 / (1 + math.exp(-float(given_logits[n, i, j]))), float(masks[n, i, j] > 0)
                cross -= (y * math.log(p) + (1 - y) * math.log(1 - p)) / (count * size * size)
                both, either = both + p * y, either + p + y
        dice += (1 - (2 * both + 1) / (either + 1)) / count
    found = losses(given_logits, masks)
    assert float(found["bce"]) == pytest.approx(cross, rel=1e-4)
    assert float(found["dice"]) == pytest.approx(dice, rel=1e-4, abs=1e-6)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=15)
def test_iou_is_counted_image_by_image(count, size, seed):
    given_logits, masks = logits(count, size, seed), random_masks(count, size, seed)
    for n, found in enumerate(iou(given_logits, masks).tolist()):
        a, b = (
            {(i, j) for i, j in (given_logits[n] > 0).nonzero().tolist()},
            {(i, j) for i, j in masks[n].nonzero().tolist()},
        )
        assert found == pytest.approx(len(a & b) / len(a | b) if a | b else 1.0)
    assert torch.equal(iou((given_logits > 0).byte() * 255, masks), iou(given_logits, masks)), "logits or masks"


def test_iou_by_hand():
    masks = torch.zeros(3, 2, 2, dtype=torch.uint8)
    masks[0, 0] = 255
    masks[1, 0, 0] = 255
    shown = torch.tensor([[[1.0, -1], [1, -1]], [[-1, -1], [-1, 1]], [[-1, -1], [-1, -1]]])
    assert iou(shown, masks).tolist() == pytest.approx([1 / 3, 0, 1])


def test_losses_fall_to_nothing_for_the_right_mask():
    masks = random_masks(3, 8, 1)
    right = torch.where(masks > 0, 30.0, -30.0)
    found, opposite = losses(right, masks), losses(-right, masks)
    assert max(float(value) for value in found.values()) < 1e-3
    assert float(opposite["bce"]) > 20 and float(opposite["dice"]) > 0.9


def test_predictions_are_the_networks_signs_in_the_rows_order(light):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)
    store = ImageStore(pixels, {str(n): n for n in range(7)})
    rows = pd.DataFrame({"image": ["5", "0", "6", "5", "2"]})
    light.train()
    found = predict(light, store, rows, batch=2)
    assert not light.training and found.dtype == torch.uint8
    with torch.no_grad():
        wanted = light.maps(normalise(torch.from_numpy(pixels[[5, 0, 6, 5, 2]]))) > 0
    assert torch.equal(found > 127, wanted) and set(found.unique().tolist()) <= {0, 255}


def test_it_learns_to_tell_a_bright_vehicle_from_its_background():
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(48, 32, 32, dtype=torch.uint8)
    for mask in masks:
        x, y = torch.randint(0, 16, (2,), generator=generator).tolist()
        mask[y : y + 16, x : x + 16] = 255
    noise = torch.randint(0, 90, (48, 32, 32, 3), dtype=torch.uint8, generator=generator)
    images = normalise(noise + (masks > 0).byte().unsqueeze(3) * 120)
    torch.manual_seed(0)
    network = Segmenter(channels=16)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    before = 0.0
    for _ in range(25):
        found = losses(network.maps(images[:32]), masks[:32])
        before = before or found["bce"].item()
        optimizer.zero_grad()
        sum(found.values()).backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        held = iou(network.maps(images[32:]), masks[32:]).mean()
    assert found["bce"].item() < before / 2 and held > 0.6


def test_nothing_is_downloaded(monkeypatch):
    def refuse(*_):
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    torch.manual_seed(0)
    kernels = [next(Segmenter(encoder).parameters()) for encoder in (segmentation.LIGHT, "resnet18", "resnet18")]
    assert not torch.equal(kernels[1], kernels[2]), "random weights"
