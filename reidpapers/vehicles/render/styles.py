"""The two styles in which a benchmark can be drawn, behind one face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reidpapers.vehicles.render import image, plain
from reidpapers.vehicles.render.image import Scene
from reidpapers.vehicles.render.street import image as street
from reidpapers.vehicles.render.street import traffic


@dataclass(frozen=True)
class Style:
    """What a style is made of.

    Attributes:
        cameras: ``(preset, seed)`` to the benchmark's cameras.
        vehicles: ``(preset, seed, paint_jitter)`` to its vehicles, training first.
        mesh_of: a vehicle's triangles.
        project: ``(points, camera, place)`` to right, down and one over the depth on the image plane.
        staged: ``(scene, plan, number)`` to the scene with all that the style adds to it.
        draw: a scene's picture and mask.
    """

    cameras: Callable[..., tuple]
    vehicles: Callable[..., tuple]
    mesh_of: Callable[[Any], Any]
    project: Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]
    staged: Callable[..., Scene]
    draw: Callable[[Any], tuple[np.ndarray, np.ndarray]]


STYLES = {
    "plain": Style(plain.sample_cameras, plain.sample_vehicles, image.mesh_of, image.project,
                   lambda scene, plan, number: scene, image.draw),
    "street": Style(traffic.sample_cameras, traffic.sample_vehicles, street.mesh_of, street.placed, traffic.staged,
                    street.draw),
}  # fmt: skip


def draw(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The picture and the vehicle's mask, in the scene's own style.

    Returns:
        uint8 ``[H, W, 3]`` and uint8 ``[H, W]``, 255 where at least half of a pixel shows the vehicle.
    """
    return STYLES["street" if isinstance(scene, street.StreetScene) else "plain"].draw(scene)
