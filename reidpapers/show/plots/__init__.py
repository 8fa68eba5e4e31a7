"""Every picture of the suite: functions that return a figure or pixels; :func:`show` puts one on a page."""

from reidpapers.show.plots.curves import cmc, cmc_panels, forest, history, scatter, sweep
from reidpapers.show.plots.drawings import distance_schemes, model, pull_push
from reidpapers.show.plots.mosaic import strips
from reidpapers.show.plots.pictures import batch, contact_sheet
from reidpapers.show.plots.style import figure, markup, pixels, png, show, styled

__all__ = [
    "batch", "cmc", "cmc_panels", "contact_sheet", "distance_schemes", "figure", "forest", "history", "markup", "model",
    "pixels", "png", "pull_push", "scatter", "show", "strips", "styled", "sweep",
]  # fmt: skip
