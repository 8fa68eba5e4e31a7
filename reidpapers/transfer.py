"""What is learnt on rendered vehicles, held against photographs: ``python -m reidlib transfer --data_root DIR``.

A trunk learns to tell a world's vehicles apart (MLSL's stage 1: softmax on identities, Adam, 1e-3 with warm-up and
cosine, 48 images a step). Photographs are then matched across cameras by its features, before and after. Nothing is
ever learnt from the photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from reidlib import models
from reidlib.data.files import DatasetError, origin, sizes
from reidlib.data.images import ImageStore, open_store
from reidlib.data.manifest import COLUMNS, Dataset, Manifest
from reidlib.data.pictures import read_image
from reidlib.evaluate import protocols
from reidlib.evaluate.embed import embed
from reidlib.evaluate.metrics import Distances, Scores
from reidlib.evaluate.protocols import DISTANCES, Reranking
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.mlsl.paper import PAPER as MLSL
from reidpapers.run import runs, training

LABELS = "labels.csv"
SIZE = 64
TRUNKS = ("mobilenet_v1", "small")
FAR = 1e6  # added to distances within one camera, which are then beyond all others


@dataclass(frozen=True)
class Photographs:
    """Pictures to judge by, each a query to those of the other cameras.

    Attributes:
        table: their rows, once as queries and once as gallery.
        store: their pixels.
        digest: of rows and files, by which one folder is told from another.
    """

    table: pd.DataFrame
    store: ImageStore
    digest: str

    @classmethod
    def load(cls, root: str | Path, vehicles: Iterable[str] | None = None, *, size: int = SIZE) -> Photographs:
        """The pictures that ``labels.csv`` names (``image``, ``vehicle_id``, ``camera_id``), or some vehicles'.

        Args:
            root: their folder.
            vehicles: whose; None: all.
            size: of the images, in pixels.

        Raises:
            DatasetError: there is no such file, it lacks a column or an image, or no vehicle is seen by two cameras.
        """
        root, listed = Path(root), Path(root) / LABELS
        if not listed.is_file():
            raise DatasetError(f"{listed} is not there: it must name image, vehicle_id and camera_id of each picture")
        rows = pd.read_csv(listed, dtype="string").reindex(columns=list(COLUMNS))
        if vehicles is not None:
            rows = rows[rows["vehicle_id"].isin(set(vehicles))]
        if rows[["image", "vehicle_id", "camera_id"]].isna().any(axis=None):
            raise DatasetError(f"{listed}: image, vehicle_id and camera_id must be known of every picture")
        if not (rows.groupby("vehicle_id")["camera_id"].nunique() > 1).any():
            raise DatasetError(f"{listed}: pictures are matched across cameras: a vehicle must be seen by two")
        images = rows["image"].tolist()
        both = pd.concat([rows.assign(split="query"), rows.assign(split="gallery")])
        manifest = Manifest("photographs", both, origin("photographs", images, sizes(root, images, listed_in=LABELS)))
        dataset = Dataset(manifest, partial(read_image, root), (), "Photographs to judge by.", root=root)
        return cls(manifest.table, open_store(dataset, size), dataset.digest)

    def score(self, network: Callable[[Tensor], Tensor] | nn.Module, distance: str = "cosine") -> Scores:
        """Scores of a network's features."""
        return self.score_features(embed(network, self.store, self.table).features, distance)

    def score_features(self, features: Tensor, distance: str = "cosine") -> Scores:
        """Scores of features of the table's rows, matched across cameras only."""
        across = Reranking(partial(_across, DISTANCES[distance]))
        return protocols.evaluate("veri", features, self.table, distance=across)

    def pixels(self) -> Scores:
        """Scores of the pictures themselves at 16 × 16 pixels, less their mean."""
        images = torch.from_numpy(self.store.pixels[self.store.places(self.table).numpy()]).permute(0, 3, 1, 2).float()
        flat = nn.functional.adaptive_avg_pool2d(images, 16).flatten(1)
        return self.score_features(flat - flat.mean(1, keepdim=True))


def _across(plain_of: Any, query: Tensor, gallery: Tensor, rows: pd.DataFrame, others: pd.DataFrame) -> Distances:
    """Plain distances, those within one camera put behind all others."""
    plain = plain_of(query, gallery)
    own, other = (part["camera_id"].to_numpy(object) for part in (rows, others))
    same = torch.from_numpy(own[:, None] == other[None])
    return lambda part: plain(part) + FAR * same[part].to(query.dtype)


def configuration(trunk: str, preset: str, world: int, steps: int) -> MLSLConfig:
    """The training whose features are tried: one world's identities, from ImageNet's weights if the trunk has any."""
    return MLSLConfig(
        learning="feature", preset=preset, data_seed=world, seed=world, backbone=trunk, pretrained=trunk != "small",
        iterations1=steps, schedule1="cosine", rate1=1e-3, batch=48, image_size=SIZE, test_distance="cosine",
        device="cpu",
    )  # fmt: skip


def trained(trunk: str, preset: str, world: int, steps: int) -> nn.Module:
    """That network, trained if its weights are not in the user's cache."""
    config = configuration(trunk, preset, world, steps)
    return training.restored(MLSL, config, runs.weights(config, MLSL)).network


def untrained(trunk: str) -> nn.Module:
    """A trunk as it is before: with ImageNet's weights, or random ones."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return models.build(trunk, pretrained=trunk != "small", image_size=SIZE)


def table(
    root: str | Path,
    presets: Sequence[str],
    worlds: Sequence[int],
    trunks: Sequence[str] = TRUNKS,
    steps: int = 900,
    show: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """Scores on photographs before and after: one row a trunk, preset and world, percent.

    Args:
        root: folder of photographs, see :meth:`Photographs.load`.
        presets, worlds: rendered worlds to learn on.
        trunks: of :data:`reidlib.backbones.BACKBONES`.
        steps: of training.
        show: called with each row as it is there.
    """  # fmt: skip
    pictures, rows = Photographs.load(root), []

    def add(features: str, preset: str, world: int | None, scores: Scores) -> None:
        values = {"Top-1": scores.top(1), "Top-5": scores.top(5), "mAP": scores.mAP}
        rows.append({"features": features, "preset": preset, "world": world, **{k: 100 * v for k, v in values.items()}})
        numbers = ", ".join(f"{name} {100 * value:.1f}" for name, value in values.items())
        show(f"{features}{f', {preset}, world {world}' if preset else ''}: {numbers}")

    add("pixels, 16 × 16", "", None, pictures.pixels())
    for trunk in trunks:
        add(f"{trunk} as it is", "", None, pictures.score(untrained(trunk)))
        for preset in presets:
            for world in worlds:
                add(f"{trunk} after {steps} steps", preset, world, pictures.score(trained(trunk, preset, world, steps)))
    return pd.DataFrame(rows).astype({"world": "Int64"})


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over worlds, and how many there are."""
    grouped = rows.groupby(["features", "preset"], sort=False, dropna=False)
    return grouped[["Top-1", "Top-5", "mAP"]].mean().assign(worlds=grouped["world"].count()).reset_index()


def thirds(vehicles: Iterable[str]) -> dict[str, int]:
    """Which third each vehicle falls in, 0 to 2: two to decide by, the last for one judgement at the end."""
    names = sorted(set(vehicles))
    order = np.random.default_rng(16).permutation(len(names))
    return {names[int(place)]: number % 3 for number, place in enumerate(order)}
