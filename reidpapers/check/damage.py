"""Damage of JPEG files that a decoder passes over in silence, found where it can be."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reidlib.data.pictures import file_bytes

ZEROS = bytes(32)  # in a row, no encoder writes them with the standard tables, of whose start this is a part:
STANDARD = bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0))  # ITU-T T.81, Table K.3: codes of each length
JPEG = b"\xff\xd8"


def of_files(root: Path | None, images: Sequence[str]) -> dict[str, str]:
    """What is wrong with images that can be decoded, a line each by their names; nothing where images are no files.

    Args:
        root: the folder that names start from; None where images are made.
        images: their names.
    """
    if root is None:
        return {}
    words = {image: in_bytes(file_bytes(root / image)) for image in images}
    whole = [image for image in images if words[image] is None]
    complained = complaints([root / image for image in whole])
    words |= {image: complained.get(root / image) for image in whole}
    return {image: f"{root / image} is damaged: {why}" for image, why in words.items() if why}


def in_bytes(content: bytes) -> str | None:
    """What a JPEG file's bytes say of damage: words, or None; None for files of other kinds.

    Its end must be marked, and a stretch of zeros within means that a part was never written.
    """
    start = content.find(b"\xff\xda")
    if not content.startswith(JPEG) or start < 0:
        return None
    end = content.rfind(b"\xff\xd9")
    if end < start:
        return "its end is missing"
    if STANDARD in content[:start] and ZEROS in content[start:end]:
        return "a part of it is filled with zeros"
    return None


def complaints(paths: Sequence[Path]) -> dict[Path, str]:
    """What libjpeg complains of while it decodes JPEG files, which Pillow keeps to itself; files without are left out.

    The library writes its warnings to the process's standard error stream, which therefore goes into a file meanwhile.
    """
    found: dict[Path, str] = {}
    stream = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            for path in paths:
                start = sink.seek(0, os.SEEK_END)
                _decode(file_bytes(path))
                sink.seek(start)
                warning = sink.read().decode(errors="replace")
                if "Corrupt JPEG data" in warning:
                    found[path] = warning.strip().splitlines()[0]
        finally:
            os.dup2(stream, 2)
            os.close(stream)
    return found


def _decode(content: bytes) -> None:
    """Decode a JPEG file's bytes by torchvision, which lets libjpeg speak; what it refuses, Pillow has accepted."""
    import torch
    from torchvision.io import decode_jpeg

    if content.startswith(JPEG):
        with contextlib.suppress(RuntimeError):
            decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8))
