"""What is refused at the door, and errors of the system as one line with the way out."""

from __future__ import annotations

from pathlib import Path

from reidlib.places import FULL, cache_dir, data_dir
from reidpapers.run.config import Config, ConfigError, present_device


def check_device(config: Config) -> None:
    """Refuse a GPU where there is none: to be called where a run is carried out, which may not be where it is planned.

    Raises:
        ConfigError: what is allowed instead.
    """
    if config.device == "cuda" and present_device() != "cuda":
        raise ConfigError(
            "device = 'cuda' is refused: PyTorch finds no GPU here (a driver, or a build of PyTorch with CUDA, may be "
            "missing); allowed are cpu, and auto, which takes a GPU where there is one"
        )


def told(error: BaseException) -> str:
    """An error as one line: its kind, unless it is a refusal; the system's with the file and the way out."""
    if isinstance(error, OSError) and error.strerror:
        return f"{_named(error)}{_way_out(error)}"
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"


def _named(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else f"{error.strerror}"


def _way_out(error: OSError) -> str:
    """Which variable moves the folder of a file that the system refuses."""
    if error.filename is None:
        return ""
    path = Path(str(error.filename)).absolute()
    places = {"REIDLIB_DATA": data_dir(), "REIDLIB_CACHE": cache_dir()}
    variable = next((name for name, folder in places.items() if path.is_relative_to(folder.absolute())), None)
    room = ["make room"] if error.errno in FULL else []
    moved = [f"{variable} names another folder"] if variable else []
    return f"; {', or '.join(room + moved)}" if room or moved else ""
