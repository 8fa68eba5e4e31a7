"""Batched augmentation on the device, with each sample's own draws from a CPU generator.

:class:`Augment` crops, turns and brightens (MLSL section IV-B). :class:`Guided` is the multi-guided system's:
background substitution, random shrink, crops of a padded image, random erasing.
"""

from reidlib.augment.affine import Augment
from reidlib.augment.guided import PAD, Guided, median_side
from reidlib.augment.values import DEVIATION, MEAN, normalise, pixels

__all__ = ["DEVIATION", "MEAN", "PAD", "Augment", "Guided", "median_side", "normalise", "pixels"]
