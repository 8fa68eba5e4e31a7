"""Every picture of the suite: functions that return a matplotlib figure, and :func:`show`, which puts one on a page."""

from reidlib.plots.agnet import embedding_map, masks, smoothing
from reidlib.plots.c2f_rank import coarse_to_fine, convergence, mined, printed_gradients, structured
from reidlib.plots.curves import cmc, cmc_panels, forest, history, scatter, sweep
from reidlib.plots.drawings import distance_schemes, model, pull_push
from reidlib.plots.drdl import angles, cluster_forces, false_judgement, mixed_difference, vehicles_of_models
from reidlib.plots.multiguided import pulls, thresholds
from reidlib.plots.pictures import batch, contact_sheet, strips
from reidlib.plots.style import figure, markup, pixels, png, show, styled

__all__ = [
    "angles", "batch", "cluster_forces", "cmc", "cmc_panels", "coarse_to_fine", "contact_sheet", "convergence",
    "distance_schemes", "embedding_map", "false_judgement", "figure", "forest", "history", "markup", "masks", "mined",
    "mixed_difference", "model", "pixels", "png", "printed_gradients", "pull_push", "pulls", "scatter", "show",
    "smoothing", "strips", "structured", "styled", "sweep", "thresholds", "vehicles_of_models",
]  # fmt: skip
