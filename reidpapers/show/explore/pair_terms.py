"""What a paper's loss makes of a pair of images.

A paper says by a :data:`Judge` what its loss makes of a pair; the rest is the same for all of them. With x_a, x_b the
features and v a term's value times its weight, the force that a step of descent puts on x_a along the line to x_b is

    f = ∂v/∂x_a · (x_a − x_b) / ‖x_a − x_b‖,

above 0 where it pulls the two together, below 0 where it pushes them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Term:
    """What one term of a loss makes of a pair.

    Attributes:
        value: a scalar with its graph, unweighted.
        weight: its factor in the total.
        says: the network's output on how much the pair differs, 0 to 1; None for a term without one.
        differs: the label Y, 0 where the pair shares the attribute and 1 where not; None where there is none.
    """

    value: Tensor
    weight: float = 1.0
    says: float | None = None
    differs: float | None = None


@dataclass(frozen=True)
class Pair:
    """What a network makes of a pair.

    Attributes:
        features: ``[2, D]``, part of the graph of every term.
        terms: by name, in the order in which they are shown.
    """

    features: Tensor
    terms: Mapping[str, Term]


Judge = Callable[[nn.Module, Any, Tensor, Tensor, bool], Pair]
"""``(network, config, images [2, 3, S, S], labels [2, L], training) → Pair``; ``training``: both are training images,
so that the first label is a class of the identity classifier. The network is in evaluation mode."""


def forces(pair: Pair) -> dict[str, float]:
    """By term, how strongly it pulls (above 0) or pushes (below 0) the first image's features; 0 for equal features."""
    apart = (pair.features[0] - pair.features[1]).detach()
    along = apart / apart.norm().clamp_min(1e-12)
    pulls = {}
    for name, term in pair.terms.items():
        slope = torch.autograd.grad(term.weight * term.value, pair.features, retain_graph=True, allow_unused=True)[0]
        pulls[name] = 0.0 if slope is None else float(slope[0] @ along)
    return pulls
