"""What ran under a row's name: a trunk in it is the one that the paper trained, and our runs may have another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reidpapers.run.records import Record

# Trunks that rows are called after, and which of ours are no other.
CALLED: Mapping[str, tuple[str, ...]] = {
    "VGG": ("vgg_cnn_m_1024",), "GoogLeNet": ("googlenet",), "MobileNet": ("mobilenet_v1",),
    "Res50": ("resnet50", "resnet50_ibn"), "Dense161": ("densenet161",), "HRnet": ("hrnet_w18",),
}  # fmt: skip
TITLES: Mapping[str, str] = {
    "mobilenet_v1": "MobileNet v1", "mobilenet_v2": "MobileNet v2", "efficientnet_lite0": "EfficientNet Lite0",
    "squeezenet1_1": "SqueezeNet 1.1", "resnet50": "ResNet-50", "resnet50_ibn": "ResNet-50-IBN",
    "densenet161": "DenseNet-161", "hrnet_w18": "HRNet-W18", "googlenet": "GoogLeNet",
    "vgg_cnn_m_1024": "VGG_CNN_M_1024",
}  # fmt: skip


def named(row: str, records: Sequence[Record]) -> str:
    """A row's name, and in brackets the trunk of its runs where it is called after another."""
    trunk = instead(row, records)
    return f"{row} ({trunk})" if trunk else row


def instead(row: str, records: Sequence[Record]) -> str:
    """The trunk of a row's runs, in words, where its name has another one; empty otherwise.

    >>> from types import SimpleNamespace as Run
    >>> instead("Res50 alone", [Run(config={"backbone": "small_ibn", "image_size": 64})])
    'small trunk'
    >>> instead("VGG + triplet", [Run(config={"backbone": "mobilenet_v1", "image_size": 64})])
    'MobileNet v1 at 64 px'
    >>> instead("MobileNet FL", [Run(config={"backbone": "mobilenet_v1", "image_size": 64})])
    ''
    """
    return _trunk(records[0].config, _called(row)) if records and _called(row) else ""


def sentence(results: Mapping[str, Sequence[Record]]) -> str:
    """What all such rows have in common, for a caption; empty where there are none."""
    trunks = {row: trunk for row, records in results.items() if (trunk := instead(row, records))}
    names = sorted({name for row in trunks for name in _called(row)})
    if not names:
        return ""
    return f"Rows are called after the paper's trunks ({', '.join(names)}); here {_listed(trunks.values())} ran."


def _called(row: str) -> list[str]:
    return [name for name in CALLED if name in row]


def _trunk(config: Mapping[str, Any], names: Sequence[str]) -> str:
    kind, backbone, pixels = config.get("trunks"), config["backbone"], f"at {config['image_size']} px"
    if kind == "exact" or any(backbone in CALLED[name] for name in names):
        return ""
    if kind == "small" or backbone.startswith("small") and kind != "light":
        return "small trunks" if len(names) > 1 else "small trunk"
    return f"{TITLES.get(backbone, 'light trunks')} {pixels}"


def _listed(trunks: Iterable[str]) -> str:
    articled = {"small trunk": "a small trunk", "small trunks": "a small trunk"}
    return " or ".join(sorted({articled.get(trunk, trunk) for trunk in trunks}))
