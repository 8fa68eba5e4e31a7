"""The plain style: cameras and vehicles of the catalogue's 27 models, drawn by lot."""

from __future__ import annotations

import numpy as np

from reidpapers.vehicles.render.cameras import Camera, sample_camera
from reidpapers.vehicles.render.catalogue import BY_NAME, COLORS, MODELS
from reidpapers.vehicles.render.preset import STREAM, Preset
from reidpapers.vehicles.render.vehicles import Vehicle, sample_marks


def sample_cameras(preset: Preset, seed: int) -> tuple[Camera, ...]:
    """The benchmark's cameras."""
    rng = np.random.default_rng([seed, STREAM["cameras"], 1])
    return tuple(sample_camera(rng, number, preset.sizes, preset.occlusion) for number in range(preset.cameras))


def sample_vehicles(preset: Preset, seed: int, paint_jitter: float) -> tuple[Vehicle, ...]:
    """Training vehicles, then test vehicles; on each side several share a model and colour."""
    rng = np.random.default_rng([seed, STREAM["vehicles"], 1])
    kinds = [kind for share in (preset.train, preset.test) for kind in _kinds(rng, preset, share.vehicles)]
    vehicles = []
    for number, (model, color) in enumerate(kinds):
        own = np.random.default_rng([seed, STREAM["vehicles"], number + 2])
        shade = tuple(1 + paint_jitter * float(v) for v in own.uniform(-1, 1, 3))
        vehicles.append(Vehicle(model, color, sample_marks(own, BY_NAME[model], color, preset.marks), shade))
    return tuple(vehicles)


def _kinds(rng: np.random.Generator, preset: Preset, count: int) -> list[tuple[str, str]]:
    """(model, colour) of each vehicle: models and colours come round equally often, no pair twice before all have."""
    wanted = min(preset.models * preset.colors, max(1, round(count / preset.twins)))
    # Models are taken across the types first, so that few models still cover every type.
    order = [MODELS[3 * (i % 9) + i // 9].name for i in range(len(MODELS))][: preset.models]
    first = rng.permutation(len(order))
    colors = rng.permutation(preset.colors)
    pairs = []
    for i in range(wanted):
        lap, step = divmod(i, len(order))
        pairs.append((order[first[step]], COLORS[colors[(step + lap * 3 + lap // 10) % preset.colors]]))
    pairs = list(dict.fromkeys(pairs))
    picks = [*range(len(pairs)), *rng.integers(0, len(pairs), max(0, count - len(pairs)))]
    return [pairs[i] for i in rng.permutation(np.array(picks[:count]))]
