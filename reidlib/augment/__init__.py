"""Batched augmentation on the device, with each sample's own draws from a CPU generator.

:class:`Augment` crops, turns, brightens and mirrors (MLSL section IV-B).
"""

from reidlib.augment.affine import Augment
from reidlib.augment.values import DEVIATION, MEAN, normalise, pixels

__all__ = ["DEVIATION", "MEAN", "Augment", "normalise", "pixels"]
