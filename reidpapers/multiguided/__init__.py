"""Multi-guided: Attribute-Guided Feature Extraction and Augmentation Robust Learning (AI City 2020, track 2, team 44).

Five extractors learn apart, guided by attributes, by simulated images and by augmentation against size and background;
their features are joined, and an attribute constraint and group re-ranking refine what they find.

Read in this order: :mod:`.configuration`, :mod:`.networks`, :mod:`.objectives`, :mod:`.data`, :mod:`.postprocessing`,
:mod:`.evaluation`, :mod:`.experiment`.
"""

from reidpapers.multiguided.config import ATTRIBUTES, EXTRACTORS, TRUNKS, MultiGuidedConfig, starts_from
from reidpapers.multiguided.paper import EXPERIMENT, METHOD

__all__ = ["ATTRIBUTES", "EXPERIMENT", "EXTRACTORS", "METHOD", "TRUNKS", "MultiGuidedConfig", "starts_from"]
