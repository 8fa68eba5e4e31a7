"""A trunk's weights from a file or a download, every name and shape accounted for; how layers begin without any."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from torch import Tensor, nn

from reidlib.backbones import PUBLISHED, check_weights, find
from reidlib.models.tfjs import manifest, read_tfjs
from reidlib.places import cache_dir, write_atomically

WRAPPERS = ("module.", "model.", "features.")  # what names begin with where a file holds the trunk as a part
HEADS = ("fc.", "classifier.", "aux1.", "aux2.", "fc7.", "fc8.")  # classifiers, which trunks do without
COUNT = "num_batches_tracked"  # batch normalisation's, for a purpose that nothing here has; old files lack it
# Until 2017 the parts of a layer of DenseNet were called norm.1, conv.2, …; so they still are in torchvision's file.
OLD = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
# What MobileNet v1 has to be like for weights that were trained with TensorFlow.
TENSORFLOW = {"padding": "same", "epsilon": "0.001"}


@dataclass(frozen=True)
class Weights:
    """The tensors of a file by name, and what a ``.safetensors`` file notes beside them: ``source``, ``padding``."""

    path: Path
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """Of names, shapes and numbers in the order of the names, and of what the trunk must be like: of no file."""
        sums = hashlib.sha256(
            "".join(f"{name} {self.notes[name]} " for name in sorted(TENSORFLOW.keys() & self.notes)).encode()
        )
        for name, values in sorted(self.tensors.items()):
            sums.update(f"{name} {tuple(values.shape)}".encode() + values.contiguous().cpu().numpy().tobytes())
        return sums.hexdigest()

    @property
    def source(self) -> str:
        """Where they are from, as far as the file says it."""
        return self.notes.get("source", self.path.name)


def starting_weights(backbone: str, *, pretrained: bool, weights: str | None) -> Weights | None:
    """What a trunk starts from: a file by name, else the one on this machine, else the published one; or nothing.

    Args:
        backbone: name of the trunk.
        pretrained: from ImageNet weights. They are looked for by :func:`reidlib.backbones.find` and, where there are
            none, downloaded into the cache.
        weights: a local file, which goes before.

    Raises:
        ValueError, FileNotFoundError: see :func:`reidlib.backbones.check_weights` and :func:`read_weights`.
        OSError: the download failed.
    """
    check_weights(backbone, pretrained=pretrained, weights=weights)
    if weights:
        return read_weights(weights)
    return read_weights(find(backbone) or fetch(backbone, cache_dir() / "weights")) if pretrained else None


def load_weights(module: nn.Module, path: str | Path, *, prefix: str = "", ignored: tuple[str, ...] = ()) -> None:
    """Copy the weights in a local file into a module.

    Args:
        module: what to fill.
        path: a file that :func:`read_weights` reads.
        prefix: only names that begin so count, without it: ``"fc7."`` fills one layer from a whole network's file.
        ignored: names that begin so belong to no part of ``module``, such as the classifier of a whole network.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no state dict, or its names or shapes are not the module's; they are named.
    """
    tensors = {
        name.removeprefix(prefix): value
        for name, value in read_weights(path).tensors.items()
        if name.startswith(prefix) and not name.startswith(ignored)
    }
    fill(module, tensors, source=f"weights = {str(path)!r}", whose=prefix or type(module).__name__)


def read_weights(path: str | Path) -> Weights:
    """The tensors in a local file, or in a folder of TensorFlow.js.

    Args:
        path: a state dict, by ``torch.save`` (also under a key ``state_dict`` or ``model``) or as ``.safetensors``.
            Nothing but tensors is unpacked, so a file from elsewhere runs no code.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no state dict.
    """
    path = Path(path)
    if path.is_dir():
        state = read_tfjs(path, sha256=PUBLISHED["mobilenet_v1"].sha256)
        return Weights(path, state, {**TENSORFLOW, "source": PUBLISHED["mobilenet_v1"].address})
    if not path.is_file():
        raise FileNotFoundError(f"weights = {str(path)!r}: no such file")
    try:
        tensors, notes = _read(path)
    except Exception as error:  # what a damaged file raises depends on where the damage is
        raise ValueError(f"weights = {str(path)!r} cannot be read: allowed is a state dict of tensors") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise ValueError(f"weights = {str(path)!r} holds something else than tensors: allowed is a state dict")
    return Weights(path, tensors, notes)


def _read(path: Path) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    from timm.models import load_state_dict

    return load_state_dict(str(path), weights_only=True), {}


def fill_trunk(trunk: nn.Module, backbone: str, weights: Weights) -> None:
    """Copy weights into a trunk: its own names, the publisher's, or those of a whole network with its classifier.

    Raises:
        ValueError: names or shapes are not the trunk's; they are named.
    """
    layers = getattr(trunk, "layers", trunk)
    tensors = {OLD.sub(r"\1\2", name): value for name, value in weights.tensors.items()}
    for wrapper in WRAPPERS:
        if not any(name.startswith(wrapper) for name in layers.state_dict()):
            tensors = {name.removeprefix(wrapper): value for name, value in tensors.items()}
    tensors = {name: value for name, value in tensors.items() if not name.startswith(HEADS)}
    fill(layers, tensors, source=f"weights = {str(weights.path)!r}", whose=backbone)


def fill(module: nn.Module, tensors: Mapping[str, Tensor], *, source: str, whose: str) -> None:
    """Copy a state dict into a module, whole or not at all.

    Args:
        module: what to fill.
        tensors: by the module's names; counts of batches may lack.
        source: begins the message of a refusal.
        whose: what the message calls the module.

    Raises:
        ValueError: names or shapes are not the module's; they are named.
    """
    own = module.state_dict()
    lacking = [name for name in own if name not in tensors and not name.endswith(COUNT)]
    unknown = [name for name in tensors if name not in own]
    misshapen = [
        f"{name} is {list(value.shape)}, allowed is {list(own[name].shape)}"
        for name, value in tensors.items()
        if name in own and value.shape != own[name].shape
    ]
    problems = [_listed("it lacks ", lacking), _listed("too many are ", unknown), _listed("", misshapen)]
    if any(problems):
        raise ValueError(f"{source} does not fit {whose}: {'; '.join(filter(None, problems))}")
    module.load_state_dict({**own, **tensors})


def _listed(what: str, names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{what}{', '.join(names[:5])}{more}" if names else ""


def save(weights: Weights, path: Path) -> Path:
    """Write weights and what is said of them as ``.safetensors``, whole or not at all."""
    from safetensors.torch import save as packed

    tensors = {name: value.contiguous() for name, value in weights.tensors.items()}
    write_atomically(path, packed(tensors, {**weights.notes, "format": "pt", "source": weights.source}))
    return path


def fetch(backbone: str, folder: Path, *, base_url: str | None = None) -> Path:
    """Download a trunk's published weights: as they are, but for TensorFlow.js' folder, which becomes one file.

    Args:
        backbone: name of the trunk.
        folder: where the file is put.
        base_url: address of a folder with the published files, instead of the publisher's own.

    Returns:
        The file, by a name that :func:`reidlib.backbones.find` knows.

    Raises:
        ValueError: its hash is not the published one.
        OSError: nothing was there, or the connection broke.
    """
    published = PUBLISHED[backbone]
    if published.address.endswith("/"):
        return _fetch_tfjs(backbone, folder, (base_url or published.address).rstrip("/"))
    parent, _, last = published.address.rpartition("/")
    address = f"{(base_url or parent).rstrip('/')}/{last}"
    content = _get(address)
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(published.sha256):
        raise ValueError(f"{address}: SHA-256 is {digest}, allowed is {published.sha256}…")
    path = folder / (f"{backbone}{Path(last).suffix}" if last.startswith("model.") else last)
    write_atomically(path, content)
    return path


def _fetch_tfjs(backbone: str, folder: Path, address: str) -> Path:
    with tempfile.TemporaryDirectory() as draft:
        (Path(draft) / "model.json").write_bytes(_get(f"{address}/model.json"))
        for _, group in manifest(Path(draft)):
            for name in group["paths"]:
                (Path(draft) / name).write_bytes(_get(f"{address}/{name}"))
        return save(read_weights(draft), folder / f"{backbone}.safetensors")


def _get(address: str) -> bytes:
    try:
        with urlopen(address, timeout=30) as answer:
            return answer.read()
    except (OSError, ValueError) as error:
        raise OSError(f"{address} cannot be downloaded: {error}") from error


def he_normal(network: nn.Module) -> None:
    """Initial weights for layers followed by a ReLU (He et al. 2015): fan-in scaled normal, biases zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
