"""Features of a folder of pictures: ``python -m reidlib embed RECORD|WEIGHTS FOLDER --out features.npz``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from reidlib.backbones import BACKBONES
from reidlib.data.files import DatasetError
from reidlib.data.images import ImageStore
from reidlib.data.pictures import read_image
from reidlib.evaluate.embed import embed
from reidlib.evaluate.protocols import DISTANCES
from reidpapers import trained
from reidpapers.features import write_features
from reidpapers.run.config import ConfigError
from reidpapers.trained import Network

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
BATCH = 256


def pictures(folder: Path) -> list[str]:
    """Names of the pictures in a folder and the folders in it, relative to it, in order.

    Raises:
        ConfigError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder of pictures")
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    if not names:
        raise ConfigError(f"{folder} holds no picture: looked for are {', '.join(ENDINGS)}")
    return names


def features(
    network: Network, folder: Path, names: Sequence[str], *, device: str = "cpu", progress: bool = False
) -> Tensor:
    """Features of a folder's pictures, float32 ``[N, D]``; only a batch of pictures is held at a time.

    Args:
        network: what embeds them.
        folder: where they are.
        names: of the pictures, in the order of the features.
        device: where the network works.
        progress: show a bar.

    Raises:
        DatasetError: pictures that cannot be read; all are counted, the first ten named.
    """
    module, parts, broken = network.module.to(device), [], []
    bar = tqdm(total=len(names), desc="pictures", unit="picture", disable=not progress)
    for start in range(0, len(names), BATCH):
        part = names[start : start + BATCH]
        pixels, problems = squares(folder, part, network.size)
        broken += problems
        if not broken:
            store = ImageStore(pixels, {name: place for place, name in enumerate(part)})
            parts.append(embed(module, store, pd.DataFrame({"image": part}), device=device).features)
        bar.update(len(part))
    bar.close()
    if broken:
        listed = "\n  ".join(broken[:10])
        raise DatasetError(f"{len(broken)} of {len(names)} pictures cannot be read:\n  {listed}")
    return torch.cat(parts)


def squares(folder: Path, names: Sequence[str], size: int) -> tuple[np.ndarray, list[str]]:
    """Pictures as a training run sees them, uint8 ``[N, S, S, 3]``, and a line for each that cannot be read."""
    images, problems = np.zeros((len(names), size, size, 3), np.uint8), []
    for place, name in enumerate(names):
        try:
            picture = Image.fromarray(read_image(folder, name))
        except DatasetError as error:
            problems.append(str(error))
            continue
        images[place] = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
    return images, problems


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``embed``; ``command`` is set, which takes what was parsed."""
    parser.add_argument("network", metavar="RECORD|WEIGHTS", help="a record's name, whose weights are in the cache; a "
                        "folder that `export` wrote; with --backbone a file of weights, or `imagenet`")  # fmt: skip
    parser.add_argument("--backbone", choices=BACKBONES, metavar="TRUNK", help="the trunk whose weights they are")
    parser.add_argument("--image_size", type=int, metavar="PIXELS", help="of a trunk's images (default: 224)")
    parser.add_argument("folder", type=Path, help="pictures, also in folders within")
    parser.add_argument("--out", type=Path, required=True, metavar="NPZ", help="features and the pictures' names")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.set_defaults(command=_embed)


def named(given: argparse.Namespace) -> Network:
    """The network that the command line names.

    Raises:
        ConfigError: see :func:`reidpapers.trained.of_record`; a size for a record, which has its own.
        ValueError, FileNotFoundError, OSError: see :func:`reidpapers.trained.of_trunk`.
    """
    if given.backbone:
        return trained.of_trunk(given.network, given.backbone, given.image_size or 224)
    if given.image_size:
        raise ConfigError("--image_size goes with --backbone alone: a record's network has the size it was trained at")
    return trained.of_name(given.network)


def _embed(given: argparse.Namespace) -> int:
    if given.out.suffix != ".npz":
        raise ConfigError(f"--out = {str(given.out)!r} is refused: allowed is a name that ends in .npz")
    names, network = pictures(given.folder), named(given)
    values = features(network, given.folder, names, device=given.device, progress=True)
    write_features(given.out, values, names)
    how = network.distance if network.distance in DISTANCES else "euclidean"  # what was learnt is not in the file
    print(f"wrote {given.out}: {len(values):,} features of {values.shape[1]:,} numbers, by {network.title} "
          f"({network.origin}) at {network.size} pixels\nscore them, where labels are known: "
          f"python -m reidlib evaluate {given.out} --labels labels.csv --distance {how}")  # fmt: skip
    return 0
