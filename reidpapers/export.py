"""A trained network for use elsewhere: ``python -m reidlib export RECORD --format safetensors|onnx``.

What is written is a folder: the network, its record, and a README (a *model card*) that says what it is, what it was
trained on, how well it does there and how it is used. A written network is read back and must give the features that
it gave before, on two pictures that differ: exports that answer every picture alike are a known fault.
"""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from reidlib.augment.values import normalisation
from reidlib.models.weights import Weights, fill, read_weights, save
from reidlib.places import write_atomically
from reidpapers.run.config import ConfigError
from reidpapers.run.papers import load
from reidpapers.run.probe import toy_images
from reidpapers.trained import Network, of_name

NEEDED = ("onnx", "onnxscript", "onnxruntime")  # the extra `export`; nothing else here needs them
TOLERANCE = 1e-4  # of the largest number of the features
FILES = {"safetensors": "network.safetensors", "onnx": "network.onnx"}


class FromPixels(nn.Module):
    """A network with its normalisation: pixels uint8 ``[N, S, S, 3]``, RGB, → features ``[N, D]``."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        scale, shift = normalisation(torch.device("cpu"))
        self.module = module
        self.register_buffer("scale", scale.clone())
        self.register_buffer("shift", shift.clone())

    def forward(self, images: Tensor) -> Tensor:
        """Features of pictures."""
        return self.module(images.permute(0, 3, 1, 2).float() * self.scale + self.shift)


def export(network: Network, kind: str, folder: Path) -> Path:
    """Write a network's folder, once what was written gives the same features.

    Args:
        network: of a record.
        kind: ``safetensors``, the weights by their names; or ``onnx``, a graph that takes pixels.
        folder: an absent or empty folder.

    Raises:
        ConfigError: the folder holds something, ONNX's packages are not installed, or a picture's features are others
            than before, or are those of another picture.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is refused: allowed is an absent or empty folder")
    runtime = _onnxruntime() if kind == "onnx" else None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILES[kind]
    pictures = toy_images(2, network.size)
    with torch.inference_mode():
        expected = FromPixels(network.module)(pictures)
    if runtime:
        features = _through_onnx(network, pictures, path, runtime)
    else:
        features = _through_safetensors(network, pictures, path)
    try:
        check_same(expected, features, path)
    except ConfigError:
        path.unlink()  # so that no one takes it for a good one
        raise
    record = {**network.record.body(), "sha256": network.record.sha256}
    write_atomically(folder / "record.json", json.dumps(record))
    write_atomically(folder / "README.md", card(network, kind))
    return path


def check_same(expected: Tensor, features: Tensor, path: Path) -> None:
    """Refuse an export whose features of two pictures ``[2, D]`` are not the network's, or are the same.

    Raises:
        ConfigError: says which.
    """
    scale, apart = float(expected.abs().max()), float((expected[0] - expected[1]).abs().max())
    error = float((features - expected).abs().max())
    if not error <= TOLERANCE * scale:
        raise ConfigError(f"{path}: its features are up to {error:.2g} off the network's, which reach {scale:.2g}")
    if apart <= 2 * TOLERANCE * scale:
        raise ConfigError(f"{path}: two pictures that differ get the same features, by the network itself too: it has "
                          "collapsed, and no export of it can be told from a broken one")  # fmt: skip


def _through_safetensors(network: Network, pictures: Tensor, path: Path) -> Tensor:
    """Write the weights; the pictures' features by a copy of the network that has forgotten its own."""
    notes = {"source": f"{network.title}; {network.origin}", "image_size": str(network.size)}
    save(Weights(path, network.module.state_dict(), notes), path)
    fresh = copy.deepcopy(network.module)
    for values in fresh.state_dict().values():
        values.zero_()
    fill(fresh, read_weights(path).tensors, source=str(path), whose=network.title)
    with torch.inference_mode():
        return FromPixels(fresh)(pictures)


def _through_onnx(network: Network, pictures: Tensor, path: Path, runtime: ModuleType) -> Tensor:
    """Write the graph; the pictures' features by onnxruntime, one at a time, since batches of any size may come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own parts, about each other
        program = torch.onnx.export(
            FromPixels(network.module).eval(), (pictures,), dynamo=True, verbose=False, input_names=["images"],
            output_names=["features"], dynamic_shapes=({0: torch.export.Dim("batch")},),
        )  # fmt: skip
    program.save(path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    parts = [session.run(None, {"images": picture.numpy()})[0] for picture in pictures.split(1)]
    return torch.cat([torch.from_numpy(part) for part in parts])


def _onnxruntime() -> ModuleType:
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ConfigError(f"--format onnx needs {', '.join(missing)}: pip install 'reidpapers[export]'; "
                          "--format safetensors needs nothing more")  # fmt: skip
    return import_module("onnxruntime")


# --- the model card --------------------------------------------------------------------------------------------------

USE = {
    "onnx": """import onnxruntime
session = onnxruntime.InferenceSession("network.onnx")
features = session.run(None, {{"images": pixels}})[0]  # pixels: uint8 [N, {size}, {size}, 3], RGB""",
    "safetensors": """from reidlib.augment import normalise
from reidpapers.trained import of_export
features = of_export(".").module(normalise(pixels))  # pixels: uint8 [N, {size}, {size}, 3], RGB; [N, {width}]""",
}


def card(network: Network, kind: str) -> str:
    """What the network is, in Markdown."""
    parts = [
        f"# {network.title}",
        "A network that turns a picture of a vehicle into a feature, by which pictures of one vehicle are found.",
        *_of_record(network),
        f"## Weights\n\n{network.origin}.",
        f"## Use\n\nPictures are cut to the vehicle and resized to {network.size} × {network.size} pixels (bilinear, "
        f"RGB). A feature has {network.width:,} numbers; compare by {network.distance} distance.\n\n```python\n"
        f"{USE[kind].format(size=network.size, width=network.width)}\n```",
        "Checked when it was written: two different pictures give two different features, each as torch gives them, to "
        f"{TOLERANCE:g} of their size.",
    ]
    return "\n\n".join(parts) + "\n"


def _of_record(network: Network) -> list[str]:
    """Paper, configuration, data and scores of a record's network."""
    record, paper = network.record, load(network.record.paper)
    values = {name: value for name, value in record.config.items() if value != network.config.usual(name)}
    options = "\n".join(f"| {name} | {value} |" for name, value in sorted(values.items()))
    splits = record.data["counts"].items()
    counts = "; ".join(f"{split} {n['images']:,} images of {n['vehicles']:,} vehicles" for split, n in splits)
    percents = {name: record.scores[name] for name in ("mAP", "top1", "top5", "accuracy") if name in record.scores}
    scores = ", ".join(f"{name} {100 * value:.1f}" for name, value in percents.items())
    return [
        f"## Paper\n\n{paper.title}. {paper.citation}.\n\n{paper.summary}",
        f"## Configuration\n\nWhat differs from the defaults:\n\n| option | value |\n|---|---|\n{options}",
        f"## Data\n\n{record.data['note']} {counts}.",
        f"## Scores\n\nOn that data, one training, in percent: {scores or 'none'}. They are no benchmark's unless the "
        f"data are.\n\nRecord {record.key}, commit {record.commit}, {record.created}; all of it is in record.json.",
    ]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``export``; ``command`` is set, which takes what was parsed."""
    parser.add_argument("record", help="a record's name, whose weights are in the cache, or a folder written before")
    parser.add_argument("--format", choices=tuple(FILES), default="safetensors", help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="an absent or empty folder (default: exported/NAME)")
    parser.set_defaults(command=_export)


def _export(given: argparse.Namespace) -> int:
    network = of_name(given.record)
    path = export(network, given.format, given.out or Path("exported") / network.record.key)
    print(f"wrote {path}, checked on two pictures; README.md beside it says what it is")
    return 0
