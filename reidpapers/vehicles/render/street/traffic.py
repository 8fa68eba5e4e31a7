"""Who drives in the street: models, how often each colour is met, twins, and who else is in a picture."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from reidpapers.vehicles.render.catalogue import COLORS
from reidpapers.vehicles.render.image import Scene
from reidpapers.vehicles.render.preset import STREAM, Preset
from reidpapers.vehicles.render.street.image import StreetScene
from reidpapers.vehicles.render.street.shapes import Shape, sample_shapes
from reidpapers.vehicles.render.street.vehicles import TRAFFIC, StreetVehicle, factory_paint, sample_vehicle
from reidpapers.vehicles.render.street.weather import StreetCamera, passing, sample_camera

if TYPE_CHECKING:
    from reidpapers.vehicles.render.plan import Plan

NEIGHBOURS = 0.4  # share of pictures in which another vehicle is near


def sample_cameras(preset: Preset, seed: int) -> tuple[StreetCamera, ...]:
    """The benchmark's cameras."""
    rng = np.random.default_rng([seed, STREAM["cameras"], 1])
    return tuple(sample_camera(rng, number, preset.sizes, preset.occlusion) for number in range(preset.cameras))


def sample_vehicles(preset: Preset, seed: int, paint_jitter: float) -> tuple[StreetVehicle, ...]:
    """Training vehicles, then test vehicles; on each side ``twins`` share a model and colour in the mean."""
    rng = np.random.default_rng([seed, STREAM["vehicles"], 1])
    shapes = sample_shapes(rng, preset.models)
    kinds = [kind for share in (preset.train, preset.test) for kind in _kinds(rng, preset, shapes, share.vehicles)]
    vehicles = []
    for number, (shape, color) in enumerate(kinds):
        maker = np.random.default_rng([seed, STREAM["vehicles"], shapes.index(shape), COLORS.index(color), 1])
        own = np.random.default_rng([seed, STREAM["vehicles"], number + 2])
        shade = factory_paint(maker, color)
        shade = tuple(min(1.0, c * (1 + paint_jitter * float(own.uniform(-1, 1)))) for c in shade)
        vehicles.append(sample_vehicle(own, shape, color, shade, preset.marks))
    return tuple(vehicles)


def _kinds(rng: np.random.Generator, preset: Preset, shapes: tuple[Shape, ...], count: int) -> list[tuple[Shape, str]]:
    """(shape, colour) of each vehicle: models come round equally often, colours as often as in traffic."""
    colors = COLORS[: preset.colors]
    share = np.array([TRAFFIC.get(c, (1 - sum(TRAFFIC.values())) / (len(COLORS) - len(TRAFFIC))) for c in colors])
    wanted = min(preset.models * len(colors), max(1, round(count / preset.twins)))
    order, pairs = rng.permutation(len(shapes)), {}
    while len(pairs) < wanted:
        for place in order:
            color = colors[int(np.searchsorted(np.cumsum(share / share.sum()), rng.random() * 0.999999))]
            pairs.setdefault((int(place), color))
            if len(pairs) == wanted:
                break
    known = list(pairs)
    picks = [*range(len(known)), *rng.integers(0, len(known), max(0, count - len(known)))]
    return [(shapes[known[i][0]], known[i][1]) for i in rng.permutation(np.array(picks[:count]))]


def staged(scene: Scene, plan: Plan, number: int) -> StreetScene:
    """A scene with its pass's light and weather, and now and then with others on the road."""
    vehicle, camera = int(plan.vehicle[number]), int(plan.camera[number])
    seen = _seen_by(plan.cameras[camera], plan.seed, vehicle, camera)
    rng = np.random.default_rng([plan.seed, STREAM["passes"], number])
    others = ()
    if rng.random() < NEIGHBOURS:
        other = plan.vehicles[int(rng.integers(len(plan.vehicles)))]
        others = ((other, _beside(rng, scene, other)),)
    return StreetScene(scene.vehicle, seen, scene.place, scene.window, scene.size, scene.chance, others)


@lru_cache(maxsize=256)
def _seen_by(camera: StreetCamera, seed: int, vehicle: int, number: int) -> StreetCamera:
    return passing(camera, np.random.default_rng([seed, STREAM["passes"], vehicle, number]))


def _beside(rng: np.random.Generator, scene: Scene, other: StreetVehicle) -> tuple[float, float, float, float]:
    """A place farther along the camera's view, or in the next lane on the far side: nobody hides the vehicle."""
    x, y, c, s = scene.place
    apart = (scene.vehicle.spec.length + other.spec.length) / 2 + float(rng.uniform(0.8, 5.0))
    along_road = not scene.camera.kind.startswith("side")
    if rng.random() < 0.5:
        return (x + (apart if along_road or rng.random() < 0.5 else -apart), y + float(rng.uniform(-0.4, 0.4)), c, s)
    far = 3.6 if scene.camera.position[1] < y else -3.6
    return (x + float(rng.uniform(0 if along_road else -6, 6)), y + far, c, s)
