"""Augmentation: what it leaves alone, how far each change goes, and draws of each sample's own."""

import math

import numpy as np
import pytest
import torch

from reidlib.augment import DEVIATION, MEAN, Augment, normalise
from reidlib.sampler import generator

OFF = {"crop": 1.0, "rotation": 0.0, "brightness": 0.0}


def pictures(count=4, size=32, seed=0):
    return torch.randint(
        0, 256, (count, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def pixels(output):
    """Back to 0..255: ``[N, 3, S, S]``."""
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return output * deviation + mean


def ramp(count, size, axis):
    """Pictures whose value is the coordinate of the pixel's centre in [−1, 1], along x or y, scaled to 0..250."""
    line = ((torch.arange(size) * 2 + 1) / size + 0) * 125
    image = line.view(1, -1) if axis == "x" else line.view(-1, 1)
    return image.expand(size, size).round().byte()[None, :, :, None].repeat(count, 1, 1, 3)


def test_normalise_by_hand():
    images = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    images[0, 0, 1] = torch.tensor([255, 116, 7], dtype=torch.uint8)
    found = normalise(images)
    assert found.shape == (1, 3, 2, 2)
    wanted = [(255 - 123.675) / 58.395, (116 - 116.28) / 57.12, (7 - 103.53) / 57.375]
    assert found[0, :, 0, 1].tolist() == pytest.approx(wanted, abs=1e-6)
    assert found[0, :, 1, 0].tolist() == pytest.approx([-m / d for m, d in zip(MEAN, DEVIATION, strict=True)], abs=1e-6)


@pytest.mark.parametrize("count", [1, 5])
def test_normalise_is_one_product_and_one_sum_a_value_to_the_last_bit(count):
    images = pictures(count, 20)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    found = normalise(images)
    assert torch.equal(found, images.permute(0, 3, 1, 2).float() * (1 / deviation) + -mean / deviation)
    assert torch.equal(normalise(images[:, :, 2:17]), found[..., 2:17]), "any strides, any shape"
    assert found.is_contiguous(memory_format=torch.channels_last) and found.stride() == (1200, 1, 60, 3)


@pytest.mark.parametrize("size", [16, 28, 32, 64])
def test_with_everything_off_the_picture_stays(size):
    images = pictures(size=size)
    found = Augment(**OFF)(images, generator(0))
    torch.testing.assert_close(found, normalise(images), rtol=0, atol=2e-4 if size == 28 else 1e-6)


def test_shapes_types_and_layout():
    found = Augment()(pictures(5, 48), generator(0))
    assert found.shape == (5, 3, 48, 48) and found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last), "what convolutions on a CPU are fastest on"


def test_the_same_draws_give_the_same_batch_and_others_do_not():
    augment, images = Augment(), pictures()
    once = augment(images, generator(1, 2))
    assert torch.equal(once, augment(images, generator(1, 2)))
    assert torch.equal(once, Augment()(images, generator(1, 2))), "nothing is remembered between batches"
    assert not torch.equal(once, augment(images, generator(1, 3)))


def test_each_sample_has_draws_of_its_own():
    same = pictures(1).expand(6, -1, -1, -1)
    for options in ({"crop": 1.3}, {"rotation": 10.0}, {"brightness": 0.3}):
        found = Augment(**{**OFF, **options})(same, generator(0))
        assert all(not torch.equal(found[i], found[j]) for i in range(6) for j in range(i)), options


def test_a_batch_is_not_overwritten_by_the_next():
    augment = Augment()
    first = augment(pictures(seed=1), generator(1))
    kept = first.clone()
    augment(pictures(seed=2), generator(2))
    assert torch.equal(first, kept)


def test_nothing_of_one_batch_is_seen_in_the_next():
    augment = Augment()
    augment(pictures(8, 32, seed=1), generator(1))
    augment(pictures(3, 16, seed=3), generator(3))
    again = augment(pictures(8, 32, seed=2), generator(2))
    assert torch.equal(again, Augment()(pictures(8, 32, seed=2), generator(2)))


def test_the_pictures_given_are_not_changed():
    images = pictures()
    before = images.clone()
    Augment()(images, generator(0))
    assert torch.equal(images, before)


def test_brightness_multiplies_by_a_factor_in_range():
    grey = torch.full((400, 16, 16, 3), 100, dtype=torch.uint8)
    found = pixels(Augment(**{**OFF, "brightness": 0.2})(grey, generator(0)))
    factors = found / 100
    assert torch.allclose(factors, factors[:, :1, :1, :1].expand_as(factors), atol=1e-5), "one factor a picture"
    factors = factors[:, 0, 0, 0]
    assert 0.8 - 1e-5 <= factors.min() < 0.81 and 1.19 < factors.max() <= 1.2 + 1e-5
    assert abs(factors.mean() - 1) < 0.02


@pytest.mark.parametrize("crop", [1.1, 2.0])
def test_a_crop_keeps_its_share_of_each_side_and_stays_inside(crop):
    size, sides = 64, []
    for axis in ("x", "y"):
        found = pixels(Augment(**{**OFF, "crop": crop})(ramp(300, size, axis), generator(5)))[:, 0]
        line = (found[:, 0] if axis == "x" else found[:, :, 0]) / 125 - 1  # source coordinate of each pixel
        middle = line[:, 8:-8]
        slope = (middle[:, -1] - middle[:, 0]) / (2 * (size - 17) / size)  # kept share of the side
        sides.append(slope)
        assert slope.min() > 1 / crop - 0.02 and slope.max() < 1.02
        assert slope.min() < 1 / crop + 0.03 * crop and slope.max() > 1 - 0.03 * crop, "all shares are drawn"
        centre = line.mean(1)
        assert (centre.abs() <= 1 - slope + 0.02).all(), "no border is made up"
        assert centre.min() < -0.4 * (1 - 1 / crop) and centre.max() > 0.4 * (1 - 1 / crop), "every place is drawn"
    assert torch.allclose(sides[0], sides[1], atol=0.03), "both sides shrink alike: the aspect is kept"


def test_a_rotation_turns_about_the_centre_by_at_most_its_angle():
    size, most = 64, 20.0
    along = {
        axis: pixels(Augment(**{**OFF, "rotation": most})(ramp(300, size, axis), generator(5)))[:, 0] / 125 - 1
        for axis in "xy"
    }
    part = slice(size // 4, -size // 4)  # where no border is near
    step = 2 * (size // 2 - 1) / size
    # x_source = cos · x − sin · y: its slope along y tells the angle.
    sine = (along["x"][:, part, size // 2][:, -1] - along["x"][:, part, size // 2][:, 0]) / step
    other = (along["y"][:, size // 2, part][:, -1] - along["y"][:, size // 2, part][:, 0]) / step
    assert torch.allclose(sine, -other, atol=0.02), "a turn, not a shear"
    angles = torch.rad2deg(torch.asin(sine))
    assert angles.abs().max() < most + 1 and angles.max() > most - 2 and angles.min() < -most + 2
    middle = along["x"][:, size // 2 - 1 : size // 2 + 1, size // 2 - 1 : size // 2 + 1].mean((1, 2))
    assert middle.abs().max() < 0.02


def test_a_flip_mirrors_about_half_of_the_pictures():
    images = pictures(200, 16)
    found = Augment(**OFF, flip=True)(images, generator(3))
    straight = normalise(images)
    kept = torch.tensor([torch.allclose(a, b, atol=1e-5) for a, b in zip(found, straight, strict=True)])
    turned = torch.tensor([torch.allclose(a, b, atol=1e-5) for a, b in zip(found, straight.flip(3), strict=True)])
    assert (kept ^ turned).all() and 70 < int(turned.sum()) < 130
    assert not Augment(**OFF)(images, generator(3)).sub(straight).abs().gt(1e-5).any()


def test_against_a_naive_affine_map():
    size, augment = 12, Augment(crop=1.5, rotation=30.0, brightness=0.4, flip=True)
    images = pictures(6, size)
    found = augment(images, generator(9))
    affine, gain = augment._draw(6, generator(9))
    for n in range(6):
        source = images[n].double().numpy()
        for i, j in ((0, 0), (3, 7), (11, 11), (6, 2)):
            x, y, one = (2 * j + 1) / size - 1, (2 * i + 1) / size - 1, 1.0
            u, v = (affine[n].double().numpy() @ np.array([x, y, one]) + 1) * size / 2 - 0.5
            u, v = min(max(u, 0.0), size - 1.0), min(max(v, 0.0), size - 1.0)
            left, top = min(math.floor(u), size - 2), min(math.floor(v), size - 2)
            a, b = u - left, v - top
            value = (source[top, left] * (1 - a) + source[top, left + 1] * a) * (1 - b)
            value = value + (source[top + 1, left] * (1 - a) + source[top + 1, left + 1] * a) * b
            wanted = (float(gain[n]) * value - MEAN) / DEVIATION
            assert found[n, :, i, j].tolist() == pytest.approx(wanted.tolist(), abs=1e-4)
