"""The renderer: the same bytes from a seed, labels that are true, paint that tells no identity."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reidpapers.vehicles.render import Marks, Vehicle, backdrop, catalogue, draw, image, plan, portrait, sheet
from reidpapers.vehicles.render.catalogue import MODELS, PAINTS, TYPES
from reidpapers.vehicles.render.image import Scene
from reidpapers.vehicles.render.sheet import VIEWS, pixel_digest, studio
from reidpapers.vehicles.rendered import PRESETS

SMOKE = plan(PRESETS["smoke"], 0)


def picture(number: int) -> bytes:
    pixels, mask = draw(plan(PRESETS["smoke"], 0).scene(number))
    return pixels.tobytes() + mask.tobytes()


def test_pictures_are_the_same_bytes_in_any_order_and_process():
    numbers = [5, 0, 17, 140]
    here = {number: picture(number) for number in numbers}
    assert {number: picture(number) for number in reversed(numbers)} == here
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert dict(zip(numbers, pool.map(picture, numbers), strict=True)) == here


def test_another_seed_is_another_benchmark():
    assert picture(0) != b"".join(part.tobytes() for part in draw(plan(PRESETS["smoke"], 1).scene(0)))


def test_there_are_27_models_three_of_each_type():
    assert len(MODELS) == 27 and len(TYPES) == 9 and len(PAINTS) == 10
    assert all(sum(model.type == kind for model in MODELS) == 3 for kind in TYPES)


@pytest.mark.parametrize("number", range(0, 144, 12))
def test_the_box_is_around_the_mask(number):
    scene = replace(SMOKE.scene(number), chance=None)  # nothing in the way
    _, mask = draw(scene)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    assert np.abs(seen - SMOKE.box[number]).max() <= 2


def body_hue(model: str, color: str, view: str) -> np.ndarray:
    """The commonest direction of colour among the saturated pixels, in light or shade."""
    pixels = portrait(model, color, view=view, size=64).reshape(-1, 3).astype(float) / 255
    saturation = (pixels.max(1) - pixels.min(1)) / pixels.max(1).clip(0.05)
    vivid = pixels[saturation > 0.5]
    return np.median(vivid / vivid.sum(1, keepdims=True), axis=0)


@pytest.mark.parametrize("model", [model.name for model in MODELS])
def test_the_colour_label_is_what_is_seen(model):
    """Also on trucks: a red truck's load is red, not white."""
    for view in VIEWS:
        for color in ("red", "blue", "green"):
            seen = body_hue(model, color, view)
            wanted = np.array(PAINTS[color])
            assert seen.argmax() == wanted.argmax(), (model, color, view)


def test_body_colour_is_a_function_of_the_label_unless_asked_otherwise():
    for jitter, same in ((0.0, True), (0.2, False)):
        vehicles = plan(PRESETS["small"], 0, jitter).vehicles
        shades = {}
        for vehicle in vehicles:
            shades.setdefault(vehicle.color, set()).add(vehicle.paint)
        assert all((len(found) == 1) == same for found in shades.values() if len(found) > 1 or same)
        assert same or any(len(found) > 1 for found in shades.values())


def test_vehicles_of_one_model_and_colour_differ_in_their_marks_alone():
    kinds = {}
    for vehicle in plan(PRESETS["small"], 0).vehicles:
        kinds.setdefault((vehicle.model, vehicle.color), []).append(vehicle)
    twins = [group for group in kinds.values() if len(group) > 1]
    assert len(twins) > 20
    for group in twins:
        assert len({vehicle.marks for vehicle in group}) == len(group)
        assert len({replace(vehicle, marks=Marks()) for vehicle in group}) == 1


@pytest.mark.parametrize(
    ("module", "name"), [(image, "GLINT"), (image, "EXPOSURE"), (backdrop, "KERB"), (catalogue, "PAINTS")]
)
def test_a_changed_constant_changes_the_pixel_digest(module, name, monkeypatch):
    before = pixel_digest()
    assert pixel_digest() == before
    if name == "PAINTS":
        monkeypatch.setitem(PAINTS, "red", (0.80, 0.06, 0.08))
    else:
        monkeypatch.setattr(module, name, 1.1 * getattr(module, name))
    assert pixel_digest() != before


@settings(max_examples=25)
@given(
    model=st.sampled_from([model.name for model in MODELS]), color=st.sampled_from(sorted(PAINTS)),
    x=st.floats(-3, 3), angle=st.floats(-3.1, 3.1), size=st.integers(16, 64), seed=st.integers(0, 2**31),
)  # fmt: skip
def test_any_scene_can_be_drawn_and_shows_its_vehicle(model, color, x, angle, size, seed):
    camera = studio((9.0, 7.0, 4.0), size)
    place = (x, 0.0, float(np.cos(angle)), float(np.sin(angle)))
    window = (-0.8, -0.8, size / 1.6)
    pixels, mask = draw(Scene(Vehicle(model, color), camera, place, window, (size, size), (seed,)))
    assert pixels.shape == (size, size, 3) and pixels.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 255} and mask.any()


def test_a_sheet_holds_every_picture():
    page = sheet([np.zeros((4, 6, 3), np.uint8), np.zeros((5, 3, 3), np.uint8)], columns=2, gap=1)
    assert page.shape == (1 * 6 + 1, 2 * 7 + 1, 3)
    assert (page == 0).all(2).sum() == 4 * 6 + 5 * 3
