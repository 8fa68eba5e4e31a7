"""Colours of what is not paint, and what is seen through glass."""

from __future__ import annotations

import numpy as np

from reidpapers.vehicles.render.street.chart import Chart

BLACK = (0.06, 0.06, 0.065)
PLASTIC = (0.17, 0.17, 0.175)
RUBBER = (0.09, 0.09, 0.092)
LENS = (0.80, 0.83, 0.86)
TAIL = (0.52, 0.05, 0.06)
AMBER = (0.75, 0.38, 0.08)
STEEL = (0.62, 0.63, 0.65)


def glass(c: Chart, tint: float, seed: int) -> np.ndarray:
    """What a pane shows besides what it mirrors: seats and the far windows, dimly, ``[V, U, 3]``."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((5, 14)).astype(np.float32)
    v = (np.arange(c.shape[0]) * 5 // c.shape[0])[:, None]
    u = (np.arange(c.shape[1]) * 14 // c.shape[1])[None]
    level = np.float32(tint) * (np.float32(0.6) + np.float32(1.1) * coarse[v, u])
    return level[..., None] * np.array((0.95, 1.0, 1.06), np.float32)
