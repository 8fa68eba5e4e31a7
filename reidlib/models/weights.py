"""Trunk weights from a file or a download, every name and shape accounted for; and how layers begin without any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn


def load_weights(module: nn.Module, path: str | Path, *, prefix: str = "", ignored: tuple[str, ...] = ()) -> None:
    """Copy the weights in a local file into a module.

    Args:
        module: what to fill.
        path: a file that :func:`read_weights` reads.
        prefix: only names that begin so count, without it: ``"fc7."`` fills one layer from a whole network's file.
        ignored: names that begin so belong to no part of ``module``, such as the classifier of a whole network.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no state dict, or its names or shapes are not the module's; each is named.
    """
    fill(module, read_weights(path), source=f"weights = {str(path)!r}", prefix=prefix, ignored=ignored)


def read_weights(path: str | Path) -> Mapping[str, Tensor]:
    """The tensors in a local file, by name.

    Args:
        path: a state dict, by ``torch.save`` (also under a key ``state_dict`` or ``model``) or as ``.safetensors``.
            Nothing but tensors is unpacked, so a file from elsewhere runs no code.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no state dict.
    """
    from timm.models import load_state_dict

    if not Path(path).is_file():
        raise FileNotFoundError(f"weights = {str(path)!r}: no such file")
    try:
        found = load_state_dict(str(path), weights_only=True)
    except Exception as error:  # what a damaged file raises depends on where the damage is
        raise ValueError(f"weights = {str(path)!r} cannot be read: allowed is a state dict of tensors") from error
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"weights = {str(path)!r} holds something else than tensors: allowed is a state dict")
    return found


def fill(
    module: nn.Module, found: Mapping[str, Tensor], *, source: str, prefix: str = "", ignored: tuple[str, ...] = ()
) -> None:
    """Copy a state dict into a module, see :func:`load_weights`; ``source`` begins the message of a refusal."""
    own = module.state_dict()
    found = {
        name.removeprefix(prefix): value
        for name, value in found.items()
        if name.startswith(prefix) and not name.startswith(ignored)
    }
    # Batch normalisation counts its batches for a purpose that nothing here has, and old files lack the count.
    missing = [name for name in own if name not in found and not name.endswith("num_batches_tracked")]
    problems = [f"{prefix}{name} is missing" for name in missing]
    problems += [f"{prefix}{name} is unknown" for name in found if name not in own]
    problems += [
        f"{prefix}{name} is {list(value.shape)}, allowed is {list(own[name].shape)}"
        for name, value in found.items()
        if name in own and value.shape != own[name].shape
    ]
    if problems:
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise ValueError(f"{source} does not fit {type(module).__name__}: {'; '.join(problems[:10])}{more}")
    module.load_state_dict({**own, **found})


def he_normal(network: nn.Module) -> None:
    """Initial weights for layers followed by a ReLU (He et al. 2015): fan-in scaled normal, biases zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
