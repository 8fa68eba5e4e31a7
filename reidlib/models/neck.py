"""BNNeck: what stands between a trunk's feature and an identity classifier (multi-guided section 3.1)."""

from __future__ import annotations

from torch import nn


class BNNeck(nn.BatchNorm1d):
    """Batch normalisation of features ``[N, dim]`` whose bias is 0 and stays 0 (Luo et al., CVPR workshops 2019).

    f → f_bn: distances are trained on f, the classifier on f_bn. Without a bias, f_bn lies around the origin, as a
    classifier without bias, which compares directions, wants it. Its bias takes no gradient: an optimiser that gets
    it leaves it alone.

    Args:
        dim: width of the features.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.bias.requires_grad_(False)
