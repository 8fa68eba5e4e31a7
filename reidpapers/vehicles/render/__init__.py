"""Procedural vehicles in numpy: 27 models, 10 colours, identity marks, fixed cameras.

``plan`` draws all labels of a benchmark without a pixel; ``draw`` turns one scene into a picture.
"""

from reidpapers.vehicles.render.image import Scene
from reidpapers.vehicles.render.plan import Plan, camera_metres, plan
from reidpapers.vehicles.render.preset import Preset, Share
from reidpapers.vehicles.render.sheet import portrait, samples, sheet
from reidpapers.vehicles.render.styles import draw
from reidpapers.vehicles.render.vehicles import Marks, Sticker, Vehicle

__all__ = [
    "Marks",
    "Plan",
    "Preset",
    "Scene",
    "Share",
    "Sticker",
    "Vehicle",
    "camera_metres",
    "draw",
    "plan",
    "portrait",
    "samples",
    "sheet",
]
