"""A network and images become embeddings: one feature vector for each manifest row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from reidlib.augment import normalise
from reidlib.data.images import ImageStore


@dataclass(frozen=True)
class Embeddings:
    """Features and the manifest rows they belong to, checked when made.

    Attributes:
        features: float32 ``[N, D]`` on the CPU.
        table: the N rows.

    Raises:
        ValueError: lengths differ, or a feature is not finite (the message names the first such image).
    """

    features: Tensor
    table: pd.DataFrame

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or len(self.features) != len(self.table):
            raise ValueError(f"{tuple(self.features.shape)} features for {len(self.table)} rows")
        finite = self.features.isfinite().all(1)
        if not finite.all():
            first = self.table["image"].iloc[int((~finite).nonzero()[0])]
            raise ValueError(f"{int((~finite).sum())} embeddings are not finite, the first is {first}")


@torch.inference_mode()
def embed(
    network: Callable[[Tensor], Tensor] | nn.Module,
    store: ImageStore,
    table: pd.DataFrame,
    *,
    device: torch.device | str = "cpu",
    batch: int = 256,
) -> Embeddings:
    """Embed the images of manifest rows, each image once however often it stands in the table.

    Args:
        network: maps float32 images ``[N, 3, S, S]`` to features ``[N, D]``; a module is put in evaluation mode.
        store: the dataset's images.
        table: manifest rows.
        device: where the network is.
        batch: images a forward pass.
    """
    if isinstance(network, nn.Module):
        network.eval()
    places, where = torch.unique(store.places(table), return_inverse=True)
    source = store.resident(device)
    parts = [network(normalise(source(part))).float().cpu() for part in places.split(batch)]
    return Embeddings(torch.cat(parts)[where], table)
