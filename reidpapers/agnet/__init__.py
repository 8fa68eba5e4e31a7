"""AGNet-ASL: Attribute-guided Feature Learning Network for Vehicle Re-identification (Wang et al., 2020).

One trunk, two branches: the attribute branch learns colour and type from a masked map, and its mask guides the category
branch, which learns identity. A verification network looks at the squared difference of two images' category embeddings
and says whether they show one vehicle; its loss weighs pairs by what they share (ALS). Matching uses both embeddings.

Read in this order: :mod:`.configuration`, :mod:`.network`, :mod:`.objective`, :mod:`.data`, :mod:`.evaluation`,
:mod:`.experiment`.
"""

from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.data import label_codes, usable
from reidpapers.agnet.loss import objective, pair_losses, term_weights, terms
from reidpapers.agnet.network import AGNet, AttributeMask, embedding
from reidpapers.agnet.paper import (
    EXPERIMENT,
    METHOD,
    SIZES,
    build,
    distance,
    protocols,
    sample_pairs,
    schedule,
    starts_from,
    steps,
    tests,
)

__all__ = [
    "EXPERIMENT", "METHOD", "SIZES", "AGNet", "AGNetConfig", "AttributeMask", "build", "distance", "embedding",
    "label_codes", "objective", "pair_losses", "protocols", "sample_pairs", "schedule", "starts_from", "steps",
    "term_weights", "terms", "tests", "usable",
]  # fmt: skip
