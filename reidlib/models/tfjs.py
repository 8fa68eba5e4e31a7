"""MobileNet v1 as Google published it for TensorFlow.js: ``model.json``, and shards of float32 numbers.

Its layout is that of Keras: kernels ``[h, w, in, out]``, those of depthwise convolutions ``[h, w, in, 1]``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# What timm calls the thirteen separable layers, each a depthwise and a pointwise convolution.
BLOCKS = ("0.0", "1.0", "1.1", "2.0", "2.1", *(f"3.{number}" for number in range(6)), "4.0", "4.1")
PARTS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def read_tfjs(folder: Path, *, sha256: str = "") -> dict[str, Tensor]:
    """The weights in a folder, classifier included, by timm's names and in its shapes.

    Args:
        folder: holds ``model.json`` and the shards that it names.
        sha256: how the SHA-256 of all names, shapes and numbers in the order of ``model.json`` has to begin.

    Raises:
        ValueError: a file lacks, is cut off or is no such thing; another layer than MobileNet v1 has; another hash.
    """
    state, sums = {}, hashlib.sha256()
    for name, values in arrays(folder):
        sums.update(f"{name} {values.shape}".encode() + values.tobytes())
        state[translated(name)] = torch.from_numpy(_shape(name, values).copy())
    if not sums.hexdigest().startswith(sha256):
        raise ValueError(f"{folder}: SHA-256 of its numbers is {sums.hexdigest()}, allowed is {sha256}")
    return state


def arrays(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and numbers of each tensor, as they are stored."""
    for path, group in manifest(folder):
        content = b"".join((folder / name).read_bytes() for name in group["paths"])
        places = np.cumsum([0, *(4 * int(np.prod(tensor["shape"])) for tensor in group["weights"])])
        if len(content) != places[-1] or any(tensor["dtype"] != "float32" for tensor in group["weights"]):
            raise ValueError(
                f"{path}: {', '.join(group['paths'])} hold {len(content)} bytes; allowed are {places[-1]} of float32"
            )
        for tensor, start, end in zip(group["weights"], places, places[1:], strict=False):
            yield tensor["name"], np.frombuffer(content[start:end], "<f4").reshape(tensor["shape"])


def manifest(folder: Path) -> Iterator[tuple[Path, dict]]:
    """The groups of tensors that ``model.json`` lists: ``paths`` of their shards, and their ``weights``.

    Raises:
        ValueError: it is no such file, or a shard that it names would lie outside the folder.
    """
    path = folder / "model.json"
    try:
        groups = json.loads(path.read_text(encoding="utf-8"))["weightsManifest"]
        names = [name for group in groups for name in group["paths"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no list of weights of TensorFlow.js: {error!r}") from error
    if wrong := [name for name in names if not re.fullmatch(r"[\w-][\w.-]*", name)]:
        raise ValueError(f"{path} names {wrong[0]!r}: allowed are files beside it")
    return ((path, group) for group in groups)


def translated(name: str) -> str:
    """timm's name of a tensor: ``conv_dw_3_bn/beta`` → ``blocks.1.1.bn1.bias``.

    Raises:
        ValueError: MobileNet v1 has no such tensor.
    """
    if name.startswith("conv_preds/"):
        return name.replace("conv_preds/", "classifier.").replace("kernel", "weight")
    layer = re.fullmatch(r"conv(?:1|_(dw|pw)_(\d+))(?:/(?:depthwise_)?kernel|_bn/(\w+))", name)
    if not layer or (layer[3] or "gamma") not in PARTS or not 1 <= int(layer[2] or 1) <= len(BLOCKS):
        raise ValueError(f"{name} is no tensor of MobileNet v1")
    kind, number, part = layer.groups()
    block = f"blocks.{BLOCKS[int(number) - 1]}." if kind else ""
    if part:
        return f"{block}bn{2 if kind == 'pw' else 1}.{PARTS[part]}"
    return f"{block}conv_{kind or 'stem'}.weight"


def _shape(name: str, values: np.ndarray) -> np.ndarray:
    """From Keras' order to torch's."""
    if values.ndim != 4:
        return values
    if "conv_preds" in name:
        return values[0, 0].T
    return values.transpose(2, 3, 0, 1) if "depthwise" in name else values.transpose(3, 2, 0, 1)
