"""The trunks by name, what each allows, and where its ImageNet weights are: without torch, so at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.request import Request, urlopen

from reidlib.places import cache_dir, data_dir

BACKBONES = (
    "small", "mobilenet_v1", "digits", "vgg_cnn_m_1024", "googlenet", "resnet50", "resnet50_ibn", "densenet161",
    "hrnet_w18", "small_ibn", "small_dense", "small_hr", "mobilenet_v2", "efficientnet_lite0", "squeezenet1_1",
)  # fmt: skip


@dataclass(frozen=True)
class Published:
    """Where ImageNet weights of a trunk were published.

    Attributes:
        what: whose weights they are.
        address: of a file, or of a folder of TensorFlow.js (it ends in ``/``).
        sha256: how the SHA-256 of the file begins, as far as its publisher says it; for a folder that of its numbers,
            see :mod:`reidlib.models.tfjs`. Empty where it is not known.
        names: further names of files or folders that hold them.
    """

    what: str
    address: str
    sha256: str = ""
    names: tuple[str, ...] = ()


TORCH = "https://download.pytorch.org/models"
PUBLISHED = {
    "mobilenet_v1": Published(
        "Google's, trained with TensorFlow (Howard et al. 2017)",
        "https://storage.googleapis.com/tfjs-models/tfjs/mobilenet_v1_1.0_224/",
        "07cfd07b29484df9bf6772b926d3626a07cf3da95a4618923ad1a0e30f19027e",
        ("mobilenet_v1_1.0_224",),
    ),
    "vgg_cnn_m_1024": Published(
        "the authors' Caffe model (Chatfield et al. 2014)",
        "http://www.robots.ox.ac.uk/~vgg/software/deep_eval/releases/bvlc/VGG_CNN_M_1024.caffemodel",
    ),
    "googlenet": Published("torchvision's, with batch normalisation", f"{TORCH}/googlenet-1378be20.pth", "1378be20"),
    "resnet50": Published("torchvision's first", f"{TORCH}/resnet50-0676ba61.pth", "0676ba61"),
    "resnet50_ibn": Published(
        "the authors' IBN-Net-a (Pan et al. 2018)",
        "https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_a-d9d0bb7b.pth",
        "d9d0bb7b",
    ),
    "densenet161": Published("torchvision's", f"{TORCH}/densenet161-8d451a50.pth", "8d451a50"),
    "hrnet_w18": Published(
        "the authors' (Wang et al. 2019), as timm has them",
        "https://huggingface.co/timm/hrnet_w18.ms_in1k/resolve/main/model.safetensors",
    ),
    "mobilenet_v2": Published(
        "torchvision's", f"{TORCH}/mobilenet_v2-b0353104.pth", "b0353104", ("mobilenet_v2_features.safetensors",)
    ),
    "efficientnet_lite0": Published(
        "Google's, as timm has them (Tan and Le 2019; Liu 2020)",
        "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-weights/"
        "tf_efficientnet_lite0-0aa007d2.pth",
        "0aa007d2",
        ("tf_efficientnet_lite0.safetensors",),
    ),
    "squeezenet1_1": Published(
        "the authors', as torchvision has them (Iandola et al. 2016)",
        f"{TORCH}/squeezenet1_1-b8a52dc0.pth", "b8a52dc0", ("squeezenet1_1_imagenet.safetensors",),
    ),
}  # fmt: skip
LOADS = tuple(PUBLISHED)  # trunks that start from ImageNet weights
# Those whose published file is read as it is; Caffe's has to be converted first.
DOWNLOADS = tuple(name for name, weights in PUBLISHED.items() if not weights.address.endswith(".caffemodel"))
# Pixels a side below which a trunk's last map would be empty, or of one pixel where it is normalised by instance.
SMALLEST = {"vgg_cnn_m_1024": 41, "resnet50_ibn": 17, "densenet161": 29, "squeezenet1_1": 17}
MULTIPLES = {"hrnet_w18": 32}  # the side must be so divisible for a trunk's branches to fit each other


def check_trunk(backbone: str, *, pretrained: bool, weights: str | None, image_size: int) -> None:
    """Refuse, with a ValueError, weights for a trunk that has none and images of a size that it cannot take."""
    for name, value in (("pretrained", pretrained), ("weights", weights)):
        if value and backbone not in LOADS:
            raise ValueError(
                f"backbone = {backbone!r} has no ImageNet weights for {name} = {value!r}; "
                f"allowed are {', '.join(LOADS)}"
            )
    if image_size < SMALLEST.get(backbone, 1):
        raise ValueError(f"image_size = {image_size} is refused: {backbone} needs a number >= {SMALLEST[backbone]}")
    if image_size % MULTIPLES.get(backbone, 1):
        raise ValueError(f"image_size = {image_size} is refused: {backbone} needs a multiple of {MULTIPLES[backbone]}")


def check_weights(backbone: str, *, pretrained: bool, weights: str | None) -> None:
    """Refuse ImageNet weights that cannot be had: to be called before anything is computed.

    A download is not tried. Its address is asked for its head alone, once a process, and has five seconds to answer.

    Raises:
        FileNotFoundError: ``weights`` is no file.
        ValueError: ``pretrained`` weights are neither on this machine nor at an address that answers.
    """
    if weights and not Path(weights).is_file():
        raise FileNotFoundError(f"weights = {weights!r}: no such file")
    if not pretrained or weights or find(backbone):
        return
    address = PUBLISHED[backbone].address
    if backbone not in DOWNLOADS or not reachable(address):
        why = "cannot be reached" if backbone in DOWNLOADS else "has to be converted first"
        folders = ", ".join(map(str, weight_dirs()))
        raise ValueError(
            f"pretrained = True: ImageNet weights of {backbone} are in none of {folders}, and {address} {why}. Either "
            f"run `python -m reidlib weights get {backbone}` where there is a network and copy what it writes into "
            "one of these folders, or name a local file: weights = FILE"
        )


def weight_dirs() -> tuple[Path, ...]:
    """Folders that weights are looked for in: ``weights`` in that of the data and in the cache, and torch's own."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return data_dir() / "weights", cache_dir() / "weights", Path(home).expanduser() / "hub" / "checkpoints"


def find(backbone: str) -> Path | None:
    """The file, or folder of TensorFlow.js, with a trunk's ImageNet weights in the first of :func:`weight_dirs`.

    It is called as the trunk (``resnet50.safetensors``, ``resnet50.pth``), or as its publisher calls it.
    """
    if backbone not in PUBLISHED:
        return None
    published = PUBLISHED[backbone]
    last = published.address.rstrip("/").rpartition("/")[2]
    names = [f"{backbone}.safetensors", f"{backbone}.pth", *published.names]
    # A Caffe model is of no use as it is, and a file called "model" could be any.
    names += [last] if backbone in DOWNLOADS and not last.startswith("model.") else []
    paths = [folder / name for folder in weight_dirs() for name in names]
    return next((path for path in paths if path.is_file() or (path / "model.json").is_file()), None)


@cache
def reachable(address: str) -> bool:
    """Whether there is something to download at an address."""
    head = Request(address + ("model.json" if address.endswith("/") else ""), method="HEAD")
    try:
        with urlopen(head, timeout=5):
            return True
    except OSError:
        return False
