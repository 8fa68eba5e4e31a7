"""The multi-guided augmentation on pixels: what must change changes, nothing else does, each sample by itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_augment import pictures

from reidlib.augment import MEAN, normalise, pixels
from reidlib.sampler import generator
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.mlsl.paper import MLSLPaper
from reidpapers.multiguided import augment_parts as parts
from reidpapers.multiguided.augment import AREA, RATIO, Guided, erased_boxes, median_side
from reidpapers.run.training import batches

OFF = {"pad": 0.0, "shrink": 0.0, "substitute": 0.0, "erase": 0.0}
ALL = {"pad": 0.1, "shrink": 0.5, "target": 20.0, "substitute": 0.5, "erase": 0.5, "flip": True}


def masks(count=4, size=32, seed=0):
    """A box on each picture, of its own place and size."""
    rng = np.random.default_rng(seed)
    found = torch.zeros(count, size, size, dtype=torch.uint8)
    for mask in found:
        x, y = rng.integers(0, size // 2, 2)
        w, h = rng.integers(size // 3, size // 2, 2)
        mask[y : y + h, x : x + w] = 255
    return found


def beside(count=4, size=32, seed=0, sides=(40, 30)):
    return {"mask": masks(count, size, seed), "size": torch.tensor([sides] * count)}


def seen(options, images, known=None, seed=0):
    """The augmented pictures as uint8 ``[N, S, S, 3]``."""
    return pixels(Guided(**{**OFF, **options})(images, known or {}, generator(seed)))


@pytest.mark.parametrize("size", [16, 33, 64])
def test_with_everything_off_the_picture_stays(size):
    images = pictures(5, size)
    found = Guided(**OFF)(images, {}, generator(0))
    assert torch.equal(found, normalise(images))
    assert found.is_contiguous(memory_format=torch.channels_last) and found.dtype == torch.float32


def test_the_same_draws_give_the_same_and_nothing_given_is_changed():
    images, known = pictures(8), beside(8)
    before = images.clone(), {name: values.clone() for name, values in known.items()}
    augment = Guided(**ALL)
    first = augment(images, known, generator(1))
    kept = first.clone()
    other = augment(pictures(8, seed=5), beside(8, seed=5), generator(2))
    assert torch.equal(first, kept), "a batch is not overwritten by the next"
    assert torch.equal(augment(images, known, generator(1)), first) and not torch.equal(first, other)
    assert torch.equal(Guided(**ALL)(images, known, generator(1)), first), "nothing of other batches is seen"
    assert torch.equal(images, before[0]) and all(torch.equal(known[name], before[1][name]) for name in known)


@pytest.mark.parametrize("alone", [{"pad": 0.2}, {"shrink": 1.0, "target": 1.0}, {"erase": 1.0}])
def test_every_sample_has_draws_of_its_own(alone):
    same = pictures(1).expand(8, -1, -1, -1).contiguous()
    found = seen(alone, same, beside(8, sides=(50, 40)))
    assert len(found.flatten(1).unique(dim=0)) > 3, "some may agree by chance, all may not"


def test_one_ingredient_less_changes_no_other_draw():
    images, known = pictures(40), beside(40)
    full = {**ALL, "pad": 0.0, "flip": False}
    with_box, without = seen(full, images, known), seen({**full, "erase": 0.0}, images, known)
    changed = (with_box != without).any(3)
    fill = torch.tensor(MEAN).round().byte()
    assert changed.flatten(1).any(1).sum() > 8
    assert (with_box[changed] == fill).all(), "all but the erased boxes is as it was"


# --- background substitution


def test_substitution_keeps_the_vehicle_and_takes_the_background_of_one_other():
    images, known = pictures(12), beside(12)
    found = seen({"substitute": 1.0}, images, known)
    vehicle = known["mask"] == 255
    assert torch.equal(found[vehicle], images[vehicle])
    for n in range(12):
        donors = []
        for m in range(12):
            free = ~vehicle[n] & ~vehicle[m]
            hidden = ~vehicle[n] & vehicle[m]
            mean = images[m][~vehicle[m]].double().mean(0).round().byte()
            if torch.equal(found[n][free], images[m][free]) and (found[n][hidden] == mean).all():
                donors.append(m)
        assert len(donors) == 1 and donors[0] != n, "another picture's background, and none of its vehicle"


def test_substitution_strikes_with_its_probability_and_draws_every_other():
    images, known = pictures(400, 16), beside(400, 16)
    changed = (seen({"substitute": 0.3}, images, known) != images).flatten(1).any(1)
    assert 90 < int(changed.sum()) < 150
    plain = torch.arange(5, dtype=torch.uint8).mul(40)[:, None, None, None].expand(5, 8, 8, 3).contiguous()
    nothing = torch.zeros(5, 8, 8, dtype=torch.uint8)
    nothing[:, 0, :4] = 255  # the least that counts as a vehicle
    pairs = set()
    for step in range(60):
        found = seen({"substitute": 1.0}, plain, {"mask": nothing}, step)
        pairs |= {(n, int(found[n, 7, 7, 0]) // 40) for n in range(5)}
    assert pairs == {(n, m) for n in range(5) for m in range(5) if n != m}


def test_a_picture_without_a_vehicle_keeps_its_background():
    images, known = pictures(4), beside(4)
    known["mask"][2] = 0
    known["mask"][2, 0, :3] = 255
    found = seen({"substitute": 1.0}, images, known)
    assert torch.equal(found[2], images[2]) and not torch.equal(found[1], images[1])


def test_a_batch_of_one_has_no_other_background():
    images = pictures(1)
    assert torch.equal(seen({"substitute": 1.0}, images, beside(1)), images)


# --- random shrink


def test_only_pictures_larger_than_the_target_shrink():
    images = pictures(4)
    known = {"size": torch.tensor([[50, 50], [49, 50], [20, 125], [10, 10]])}
    found = seen({"shrink": 1.0, "target": 50.0, "factors": (0.4, 0.4)}, images, known)
    assert [torch.equal(a, b) for a, b in zip(found, images, strict=True)] == [True, True, True, True]
    found = seen({"shrink": 1.0, "target": 49.0, "factors": (0.4, 0.4)}, images, known)
    assert [torch.equal(a, b) for a, b in zip(found, images, strict=True)] == [False, False, False, True]
    found = seen({"shrink": 1.0}, images, known)  # the input's side, 32
    assert [torch.equal(a, b) for a, b in zip(found, images, strict=True)] == [False, False, False, True]


def test_shrink_strikes_with_its_probability():
    images = pictures(400, 16)
    known = {"size": torch.tensor([[20, 20], [10, 10]]).repeat(200, 1)}
    changed = (seen({"shrink": 0.5}, images, known) != images).flatten(1).any(1)
    assert not changed[1::2].any() and 75 < int(changed.sum()) < 125


def by_hand(line, side):
    """A line of pixels down to ``side`` by the mean over each small pixel's area, and up by linear interpolation."""
    size, small = len(line), []
    for i in range(side):
        low, high = i * size / side, (i + 1) * size / side
        weights = [max(0.0, min(high, j + 1) - max(low, j)) for j in range(size)]
        small.append(sum(w * v for w, v in zip(weights, line, strict=True)) / (high - low))
    out = []
    for j in range(size):
        place = min(max((j + 0.5) * side / size - 0.5, 0.0), side - 1.0)
        left = min(int(place), side - 1)
        right = min(left + 1, side - 1)
        out.append(small[left] * (1 - place + left) + small[right] * (place - left))
    return out


@given(st.lists(st.tuples(st.integers(1, 24), st.integers(1, 24)), min_size=1, max_size=4), st.integers(2, 14))
@settings(max_examples=25)
def test_shrink_is_the_mean_over_areas_and_linear_interpolation(sides, size):
    images = pictures(len(sides) + 1, size)
    chosen = torch.arange(len(sides))
    found = parts.shrink(images, chosen, torch.tensor(sides))
    assert torch.equal(found[-1], images[-1])
    for n, (width, height) in enumerate(sides):
        picture = images[n].double().numpy()
        for axis, side in ((0, height), (1, width)):
            picture = np.apply_along_axis(by_hand, axis, picture, min(side, size))
        assert np.abs(found[n].numpy() - picture).max() <= 0.5 + 1e-3
        if width >= size and height >= size:
            assert torch.equal(found[n], images[n]), "a picture that needs no shrinking keeps every pixel"


def test_shrink_keeps_the_mean_and_takes_the_detail():
    images = pictures(20, 32)
    found = seen({"shrink": 1.0, "target": 1.0}, images, beside(20, sides=(32, 32)))
    assert (found.double().mean((1, 2)) - images.double().mean((1, 2))).abs().max() < 4
    assert (found.double().std((1, 2)) < 0.6 * images.double().std((1, 2))).all()


# --- padding and crop, mirror


def test_a_crop_is_the_picture_moved_by_whole_pixels_with_black_beyond():
    size, border = 20, 3
    images = pictures(300, size).clamp(min=1)
    found = seen({"pad": border / size}, images)
    padded = torch.zeros(300, size + 2 * border, size + 2 * border, 3, dtype=torch.uint8)
    padded[:, border:-border, border:-border] = images
    moves = set()
    for n in range(300):
        fits = [
            (x, y) for x in range(2 * border + 1) for y in range(2 * border + 1)
            if torch.equal(found[n], padded[n, y : y + size, x : x + size])
        ]  # fmt: skip
        assert len(fits) == 1
        moves |= set(fits)
    assert len(moves) > 0.95 * (2 * border + 1) ** 2, "every place is drawn"


def test_the_paper_pads_ten_pixels_at_320():
    images = pictures(60, 64).clamp(min=1)
    black = (seen({"pad": 10 / 320}, images) == 0).all(3)
    assert black.any(2).sum(1).max() <= 64 and black[:, :, 32].sum(1).max() == 2 and black[:, 32].sum(1).max() == 2


def test_a_flip_mirrors_about_half_of_the_pictures():
    images = pictures(200, 16)
    found = seen({"flip": True}, images)
    kept, turned = (found == images).flatten(1).all(1), (found == images.flip(2)).flatten(1).all(1)
    assert (kept ^ turned).all() and 70 < int(turned.sum()) < 130


def test_masks_move_with_their_pictures():
    count, size = 60, 24
    known = beside(count, size)
    images = known["mask"].unsqueeze(3).expand(-1, -1, -1, 3).contiguous()  # a picture that shows its own mask
    augment = Guided(**{**OFF, "pad": 0.2, "flip": True})
    found, moved = augment.with_masks(images, known, generator(4))
    assert torch.equal(pixels(found), moved["mask"].unsqueeze(3).expand(-1, -1, -1, 3))
    assert torch.equal(moved["size"], known["size"]) and not torch.equal(moved["mask"], known["mask"])
    assert torch.equal(found, augment(images, known, generator(4)))


# --- random erasing


def test_erasing_fills_one_box_with_the_mean():
    images = pictures(300, 32)
    found = seen({"erase": 0.5}, images)
    fill = torch.tensor(MEAN).round().byte()
    erased = 0
    for n in range(300):
        changed = (found[n] != images[n]).any(2)
        if changed.any():
            ys, xs = changed.nonzero().unbind(1)
            assert (found[n, ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] == fill).all()
            erased += 1
    assert 120 < erased < 180


@given(st.integers(8, 80), st.integers(0, 1000))
@settings(max_examples=30)
def test_boxes_have_zhongs_areas_and_ratios_and_lie_inside(size, seed):
    boxes = erased_boxes(torch.rand(4, 4, 200, generator=torch.Generator().manual_seed(seed)), size).double()
    x, y, w, h = boxes.T
    assert (x >= 0).all() and (y >= 0).all() and (x + w <= size).all() and (y + h <= size).all()
    assert (w >= 1).all() and (h >= 1).all()
    # Rounding moves each side by half a pixel at most, or up to the one pixel that there always is.
    area = size**2
    assert ((w + 0.5) * (h + 0.5) >= AREA[0] * area).all() and ((w - 1) * (h - 1) <= AREA[1] * area).all()
    assert ((h + 0.5) / (w - 0.5) >= RATIO[0]).all() and ((h - 1) / (w + 0.5) <= RATIO[1]).all()


def test_boxes_are_drawn_over_their_whole_range():
    x, y, w, h = erased_boxes(torch.rand(4, 4, 4000, generator=torch.Generator().manual_seed(0)), 100).double().T
    share, ratio = w * h / 1e4, h / w
    assert share.min() < 0.03 and share.max() > 0.39 and ratio.min() < 0.35 and ratio.max() > 3.1
    assert abs(share.mean() - 0.2) < 0.02
    assert x.min() == 0 and y.min() == 0 and (x + w).max() == 100 and (y + h).max() == 100


def test_a_batch_holds_the_masks_as_its_images_show_them():
    config, count = MLSLConfig(profile="smoke", learning="feature", batch=8), 20
    known = beside(count, 16)
    images = known["mask"].unsqueeze(3).expand(-1, -1, -1, 3).contiguous()
    labels = torch.arange(count)[:, None] % 5

    class Masked(MLSLPaper):
        def augment(self, config):
            return Guided(**{**OFF, "pad": 0.2, "flip": True}).with_masks

    feed = batches(Masked(), config, lambda places: images[places], torch.arange(count), labels.repeat(1, 3), known)
    for step in range(3):
        batch = feed(step)
        assert (
            batch.images.shape[0]
            == len(batch.labels)
            == len(batch.side_inputs["mask"])
            == len(batch.side_inputs["size"])
        )
        assert torch.equal(pixels(batch.images)[..., 0], batch.side_inputs["mask"])


# --- the rest


@pytest.mark.parametrize(("options", "lacks"), [({"shrink": 0.5}, "size"), ({"substitute": 0.5}, "mask")])
def test_what_is_not_known_beside_the_images_is_named(options, lacks):
    with pytest.raises(ValueError, match=f"'{lacks}' of each image; beside the images are none"):
        seen(options, pictures())


@pytest.mark.parametrize(
    "wrong", [{"shrink": 1.1}, {"erase": -0.1}, {"substitute": 2}, {"pad": 1.0}, {"factors": (0.6, 0.4)},
              {"target": -1.0}, {"factors": (0.0, 0.4)}]
)  # fmt: skip
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="allowed"):
        Guided(**wrong)


def test_the_median_side_by_hand():
    assert median_side(torch.tensor([[10, 10], [4, 9], [100, 100]])) == 10


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: a GPU augments as a CPU does")
def test_a_gpu_augments_as_a_cpu_does():
    images, known = pictures(16, 32), beside(16)
    there = {name: values.cuda() for name, values in known.items()}
    found = pixels(Guided(**ALL)(images.cuda(), there, generator(3))).cpu()
    assert (found.int() - pixels(Guided(**ALL)(images, known, generator(3))).int()).abs().max() <= 1
