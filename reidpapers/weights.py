"""ImageNet weights of the trunks: what there is, where it was published, and how it comes onto this machine."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reidlib import models
from reidlib.augment.values import DEVIATION
from reidlib.backbones import BACKBONES, PUBLISHED, find, weight_dirs
from reidlib.models.weights import Weights, fetch, fill_trunk, read_weights, save
from reidlib.places import cache_dir

CAFFE = ".caffemodel"
# Fields of Caffe's protobuf messages. A network's layers are of an old kind or of a new one.
LAYERS = {2: (4, 6), 100: (1, 7)}  # field of the network: fields of name and numbers in the layer
DATA, SHAPE, LEGACY_SHAPE = 5, 7, (1, 2, 3, 4)  # of one array; the dimensions lie in field 1 of its shape
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how protobuf stores a field


def overview() -> str:
    """Every trunk: which ImageNet weights it can start from, where they were published, and what is on this machine."""
    lines = [f"looked for in {', '.join(map(str, weight_dirs()))}"]
    for name in BACKBONES:
        if name not in PUBLISHED:
            lines.append(f"{name}: none; it starts from random weights")
            continue
        published = PUBLISHED[name]
        digest = f"SHA-256 {published.sha256[:8]}…" if published.sha256 else "hash not known"
        lines += [
            f"{name}: {published.what}",
            f"  published: {published.address} ({digest})",
            f"  here: {find(name) or f'no; python -m reidlib weights get {name}'}",
        ]
    return "\n".join(lines)


def get(name: str, out: str | Path | None = None, base_url: str | None = None) -> Path:
    """Download a trunk's published weights, check them and write them where they are found without being named.

    Args:
        name: of the trunk.
        out: the file (default: ``weights`` in the user's cache).
        base_url: address of a folder with the published files, such as a mirror.

    Raises:
        ValueError: the trunk has no weights, their hash is not the published one, or they do not fit the trunk.
        OSError: the download failed.
    """
    _check_name(name)
    with tempfile.TemporaryDirectory() as folder:
        return convert(fetch(name, Path(folder), base_url=base_url), name, out, source=PUBLISHED[name].address)


def convert(file: str | Path, name: str, out: str | Path | None = None, *, source: str | None = None) -> Path:
    """Write weights at hand as one ``.safetensors`` file, once they are seen to fit the trunk.

    Args:
        file: the folder of TensorFlow.js for ``mobilenet_v1``, the Caffe model of ``vgg_cnn_m_1024``, a state dict.
        name: of the trunk.
        out: see :func:`get`.
        source: what the file shall say of where they are from (default: its own word, or the file's name).

    Raises:
        ValueError: the trunk has no weights, or the file is not of its kind or does not fit it.
        FileNotFoundError: there is no such file.
    """
    _check_name(name)
    file, out = Path(file), Path(out or cache_dir() / "weights" / f"{name}.safetensors")
    if out.suffix != ".safetensors":
        raise ValueError(f"out = {str(out)!r} is refused: allowed is a name that ends in .safetensors")
    weights = _vgg(file) if file.suffix == CAFFE else read_weights(file)
    fill_trunk(models.build(name), name, weights)
    return save(Weights(file, weights.tensors, {**weights.notes, "source": source or weights.source}), out)


def add_commands(parser: argparse.ArgumentParser) -> None:
    """``list``, ``get`` and ``convert`` on a parser; each sets ``command``, which takes what was parsed."""
    actions = parser.add_subparsers(required=True, metavar="list | get | convert", dest="action")
    listing = actions.add_parser("list", help="each trunk's ImageNet weights, where published, and whether here")
    listing.set_defaults(command=lambda parsed: _say(overview()))
    getting = actions.add_parser("get", help="download a trunk's published weights, checked by their hash")
    getting.add_argument("name", choices=PUBLISHED, metavar="TRUNK", help="a name that `weights list` shows")
    getting.add_argument("--base_url", metavar="URL", help="a folder with the published files, such as a mirror")
    getting.set_defaults(command=lambda parsed: _say(f"wrote {get(parsed.name, parsed.out, parsed.base_url)}"))
    converting = actions.add_parser("convert", help="write weights at hand in the form that trunks read")
    converting.add_argument("file", type=Path, help="TensorFlow.js' folder, a Caffe model, a state dict")
    converting.add_argument("--name", required=True, choices=PUBLISHED, metavar="TRUNK", help="whose they are")
    converting.set_defaults(command=lambda parsed: _say(f"wrote {convert(parsed.file, parsed.name, parsed.out)}"))
    for action in (getting, converting):
        action.add_argument("--out", type=Path, help="the file (default: in the cache, where it is found by itself)")


def _say(text: str) -> int:
    print(text)
    return 0


def _check_name(name: str) -> None:
    if name not in PUBLISHED:
        raise ValueError(f"name = {name!r} is refused: allowed are {', '.join(PUBLISHED)}")


# --- the Caffe model of VGG_CNN_M_1024 -------------------------------------------------------------------------------


def _vgg(file: Path) -> Weights:
    """VGG_CNN_M_1024's layers by our names.

    Caffe's network sees BGR in 0..255 less a mean; ours RGB less nearly that mean, divided by ImageNet's deviation.
    """
    tensors: dict[str, Tensor] = {}
    for layer, arrays in read_caffe(file).items():
        for part, values in zip(("weight", "bias"), arrays, strict=False):
            is_matrix = part == "weight" and layer.startswith("fc")
            shape = values.shape[-2:] if is_matrix else values.shape if part == "weight" else (-1,)
            tensors[f"{layer}.{part}"] = torch.from_numpy(values.reshape(shape))
    if "conv1.weight" in tensors:
        tensors["conv1.weight"] = tensors["conv1.weight"].flip(1) * torch.tensor(DEVIATION).view(1, 3, 1, 1)
    return Weights(file, tensors, {})


def read_caffe(file: Path) -> dict[str, list[np.ndarray]]:
    """Float32 arrays of each layer that has some, by its name, from a binary ``NetParameter``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such message.
    """
    layers = {}
    try:
        for field, layer in _fields(memoryview(file.read_bytes())):
            if field in LAYERS and isinstance(layer, memoryview):
                name, blobs = (list(_all(layer, wanted)) for wanted in LAYERS[field])
                layers[str(name[-1], "utf-8")] = [_array(blob) for blob in blobs]
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{file} cannot be read: allowed is a Caffe model ({error})") from error
    return {name: arrays for name, arrays in layers.items() if arrays}


def _array(blob: memoryview) -> np.ndarray:
    """The numbers of a ``BlobProto`` in their shape."""
    data = b"".join(_all(blob, DATA))
    if shapes := list(_all(blob, SHAPE)):
        dimensions = [
            size for part in _all(shapes[-1], 1) for size in ([part] if isinstance(part, int) else _varints(part))
        ]
    else:
        dimensions = [value for field in LEGACY_SHAPE for value in _all(blob, field)]
    return np.frombuffer(data, "<f4").reshape(dimensions).copy()


def _all(message: memoryview, wanted: int) -> Iterator[int | memoryview]:
    """The values of one field of a message."""
    return (value for field, value in _fields(message) if field == wanted)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a protobuf message: a whole number, or the bytes of anything else."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == BYTES:
            length, place = _varint(message, place)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"a field of kind {kind} at byte {place}")
        if place + length > len(message):
            raise ValueError(f"it ends within a field of {length} bytes")
        yield key >> 3, message[place : place + length]
        place += length


def _varints(message: memoryview) -> Iterator[int]:
    place = 0
    while place < len(message):
        value, place = _varint(message, place)
        yield value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A whole number of seven bits a byte, the lowest first, and the place after it."""
    value = shift = 0
    while True:
        byte = message[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place
