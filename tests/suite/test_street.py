"""The street's style: the same bytes from a seed, true labels, marks that are counted, observers who know them."""

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reidpapers.vehicles import bounds, rendered
from reidpapers.vehicles.render import Preset, Share, draw, plan
from reidpapers.vehicles.render.mesh import CREASE, unit
from reidpapers.vehicles.render.preset import STYLES
from reidpapers.vehicles.render.sheet import without_chance
from reidpapers.vehicles.render.street import image, scenery, skin, traffic, vehicles, weather
from reidpapers.vehicles.render.street.chart import Chart, pack
from reidpapers.vehicles.render.street.image import mesh_of, pixels_seen
from reidpapers.vehicles.rendered import PRESETS

SMOKE = plan(PRESETS["study_smoke"], 0)


def picture(number: int) -> bytes:
    pixels, mask = draw(plan(PRESETS["study_smoke"], 0).scene(number))
    return pixels.tobytes() + mask.tobytes()


def test_pictures_are_the_same_bytes_in_any_order_and_process():
    numbers = [3, 90, 215]
    here = {number: picture(number) for number in numbers}
    skin.atlas.cache_clear()
    assert {number: picture(number) for number in reversed(numbers)} == here
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert dict(zip(numbers, pool.map(picture, numbers), strict=True)) == here


@pytest.mark.parametrize("number", range(0, 216, 18))
def test_the_box_is_around_the_mask(number):
    _, mask = draw(without_chance(SMOKE.scene(number)))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    visible = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    assert np.abs(visible - SMOKE.box[number]).max() <= 2


@pytest.mark.parametrize(("preset", "wanted"), [("study", 1.3), ("study_twins", 2.5)])
def test_as_many_share_a_model_and_colour_as_the_preset_says(preset, wanted):
    world = traffic.sample_vehicles(PRESETS[preset], 0, 0.0)
    for side in (world[:600], world[600:]):
        kinds = Counter((vehicle.model, vehicle.color) for vehicle in side)
        assert len(side) / len(kinds) == pytest.approx(wanted, rel=0.02)
    assert len({vehicle.model for vehicle in world}) > 100
    assert len({vehicle.type for vehicle in world}) == 9
    for panel in range(5):
        assert np.mean([any(panel in mark.panels for mark in vehicle.marks) for vehicle in world]) > 0.8


def test_twins_share_shape_and_paint_and_no_set_of_marks():
    kinds = {}
    for vehicle in traffic.sample_vehicles(replace(PRESETS["study_smoke"], twins=3.0), 0, 0.0):
        kinds.setdefault((vehicle.model, vehicle.color), []).append(vehicle)
    for group in kinds.values():
        assert len({(vehicle.spec, vehicle.paint) for vehicle in group}) == 1
        assert len({vehicle.marks for vehicle in group}) == len(group)


def test_pixels_of_sides_and_marks_add_up_to_the_mask():
    for number in range(0, 216, 40):
        scene = SMOKE.scene(number)
        marks, sides = pixels_seen(scene)
        area = (draw(scene)[1] > 0).sum()
        assert marks.sum() == pytest.approx(area, rel=0.12, abs=6)
        assert sides.sum() <= marks.sum() + 1e-6


def test_a_vehicle_without_marks_shows_none():
    scene = SMOKE.scene(7)
    bare = replace(scene.vehicle, marks=(), carried="none", wing=False)
    assert pixels_seen(replace(scene, vehicle=bare))[0][1:].sum() == 0


def test_normals_are_the_mean_of_gentle_corners_by_a_plain_loop():
    mesh = mesh_of(SMOKE.vehicles[2])
    corners, flat = mesh.corners.reshape(-1, 3), np.repeat(mesh.flat, 3, axis=0)
    part = np.repeat(mesh.part, 3)
    for at in range(0, len(corners), 97):
        here = [flat[k] for k in range(len(corners)) if part[k] == part[at]
                and np.array_equal(np.rint(corners[k] * 1000), np.rint(corners[at] * 1000))]  # fmt: skip
        mean = unit(np.sum(here, axis=0))
        wanted = mean if mean @ flat[at] > CREASE else flat[at]
        assert np.allclose(mesh.normals.reshape(-1, 3)[at], wanted, atol=1e-9)


def test_a_point_finds_the_texel_that_was_painted_for_it():
    charts = [Chart((-2.0, 0.0), (2.0, 2.0), 10, (0, 0, 0)) for _ in range(2)]
    charts += [Chart((-2.0, -1.0), (2.0, 1.0), 10, (0, 0, 0))]
    charts += [Chart((-1.0, 0.0), (1.0, 2.0), 10, (0, 0, 0)) for _ in range(2)]
    places = ((1.0, 0.5), (-1.0, 0.5), (1.5, -0.5), (0.5, 1.5), (-0.5, 1.5))  # on each chart's own axes
    points = np.array([(1.0, 0.9, 0.5), (-1.0, -0.9, 0.5), (1.5, -0.5, 1.9), (1.9, 0.5, 1.5), (-1.9, -0.5, 1.5)]).T
    for number, (chart, (a, b)) in enumerate(zip(charts, places, strict=True)):
        chart.rect(a - 0.1, a + 0.1, b - 0.1, b + 0.1, (1, 1, 1), kind=number)
    atlas = pack(charts, [((0.5, 0.5, 0.5), 1, 31)])
    texel = atlas.texel(np.arange(5), points)
    assert (atlas.rgb[:, texel] == 1).all() and atlas.kind[texel].tolist() == [0, 1, 2, 3, 4]
    assert atlas.mark[atlas.texel(np.array([5]), points[:, :1])] == 31


def forget() -> None:
    for cache in (skin.atlas, scenery.panorama, traffic._seen_by):
        cache.cache_clear()


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [(image, "MIRRORED", image.MIRRORED * 1.2), (weather, "NORMAL_GREY", 0.3), (skin, "EARTH", (0.5, 0.41, 0.35)),
     (vehicles, "WEIGHTS", vehicles.WEIGHTS[::-1]), (scenery, "TILE", 128)],
)  # fmt: skip
def test_a_changed_constant_changes_the_pixel_digest_of_this_style_alone(module, name, value, monkeypatch):
    preset = Preset("tiny", Share(6, 12, 12, 4), Share(2, 4, 4, 4), sizes=(32, 40), style="street")
    fresh = lambda: b"".join(draw(plan.__wrapped__(preset, 0).scene(n))[0].tobytes() for n in range(4))  # noqa: E731
    before = fresh()
    monkeypatch.setattr(module, name, value)
    forget()
    assert fresh() != before
    forget()


def test_styles_have_digests_of_their_own_and_old_names_stay():
    assert "style" not in repr(PRESETS["small"])
    assert len({rendered._code(style) for style in STYLES}) == len(STYLES)
    assert rendered._pixels("plain") != rendered._pixels("street")


def test_viewpoints_follow_heading_and_camera():
    world = rendered.world("study_smoke")
    views = bounds.viewpoints(world)
    x, y, c, s = world.plan.place[0]
    eye = world.plan.cameras[world.plan.camera[0]].position
    angle = np.degrees(np.arccos(((eye[0] - x) * c + (eye[1] - y) * s) / np.hypot(eye[0] - x, eye[1] - y)))
    wanted = ("front", "front-side", "side", "rear-side", "rear")[int(np.searchsorted([23, 67.7, 112.3, 157], angle))]
    assert views[0] == wanted and len(set(views)) >= 3


def test_observers_score_what_they_must():
    table = pd.DataFrame({
        "image": [f"{n}" for n in range(6)], "split": ["query"] + ["gallery"] * 5, "vehicle_id": list("aabbbb"),
        "camera_id": list("cddddd"),
    })  # fmt: skip
    sure = np.array([[3, 2, 2, 0, 0]], np.float32)
    assert bounds.observer(table, sure).mAP == pytest.approx(1)
    blind = np.mean([bounds.observer(table, np.zeros((1, 5), np.float32)).mAP for _ in range(1)])
    assert 0.2 <= blind < 1  # of 1/1 .. 1/5, as chance has it


def test_an_ideal_observer_knows_more_than_model_and_colour():
    tiny = Preset(
        "tiny", Share(4, 16, 8, 3), Share(12, 48, 36, 3), sizes=(48, 64), twins=4, models=9, colors=2, style="street"
    )
    share, scores = bounds.bounds(rendered.world(tiny, 1))
    assert 0.2 < share < 1
    assert scores["ideal observer"].mAP > scores["model and colour"].mAP + 0.05
    assert scores["model and colour"].mAP >= scores["colour and type"].mAP - 0.03
    none, _ = bounds.bounds(rendered.world(replace(tiny, name="bare", marks=0.0), 1))
    assert none == 0


def test_marks_are_counted_in_the_street_alone():
    with pytest.raises(ValueError, match="street"):
        bounds.seen(rendered.world("smoke"), np.array([0]))
    world = rendered.world("study_smoke")
    data = bounds.side_data(world, world.names[:4])
    assert list(data) == ["image", "viewpoint", "light", "marks"] and set(data["light"]) <= set(weather.LIGHTS)
