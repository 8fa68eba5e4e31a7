"""Image files of a dataset, opened safely: pixels and sizes as a viewer shows them, and what can be told of damage."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from reidlib.data.files import DatasetError, scan

T = TypeVar("T")

MASKS = "mask"  # the folder that holds masks, which no official dataset has; exported ones do
LARGEST_IMAGE = 64_000_000  # pixels; the largest photographs of these datasets have about 5 million
EIGHT_BITS = (
    "1",
    "L",
    "P",
    "RGB",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
)  # modes that Pillow converts as they are meant
SEE_THROUGH = ("RGBA", "LA", "PA", "RGBa", "La")
ZEROS = bytes(32)  # in a row, no encoder writes them with the standard tables, of whose start this is a part:
STANDARD = bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0))  # ITU-T T.81, Table K.3: codes of each length


def read_image(root: Path, name: str) -> np.ndarray:
    """Pixels of one image file, uint8 ``[H, W, 3]``, turned upright if its EXIF data say so.

    Grey of 16 bits keeps its upper eight; what shines through is on white.

    Raises:
        DatasetError: it is truncated, no image, too large to be one of these, of a mode without a range that all agree
            on (32-bit numbers), or may not be read.
    """
    return _opened(root / name, lambda picture: np.asarray(_rgb(picture)))


def image_size(root: Path, name: str) -> tuple[int, int]:
    """Width and height of one image file as :func:`read_image` gives it, from its header.

    Raises:
        DatasetError: it is no image, too large to be one of these, or may not be read.
    """
    return _opened(root / name, lambda picture: picture.size[::-1] if _lies_on_its_side(picture) else picture.size)


def read_mask(root: Path, name: str, size: tuple[int, int]) -> np.ndarray:
    """A mask file as uint8 ``[H, W]``, 0 or 255; ``size`` is its image's (H, W).

    Raises:
        DatasetError: as for an image, or its size is not its image's.
    """
    mask = _opened(root / name, lambda picture: np.asarray(picture.convert("L")))
    if mask.shape != size:
        raise DatasetError(f"{root / name}: the mask has {mask.shape[0]}x{mask.shape[1]} pixels, its image {size}")
    return np.where(mask >= 128, 255, 0).astype(np.uint8)


def read_mask_of(root: Path, name: str) -> np.ndarray:
    """The mask of a ``.jpg`` image, by the image's name or the mask's, as :func:`read_mask` gives it.

    Raises:
        DatasetError: as for :func:`read_mask`.
    """
    image = name.removeprefix(f"{MASKS}/").removesuffix(".png").removesuffix(".jpg") + ".jpg"
    width, height = image_size(root, image)
    return read_mask(root, mask_name(image), (height, width))


def mask_name(image: str) -> str:
    """Where an image's mask lies: ``mask/dir/file.png`` for ``dir/file.jpg``."""
    return f"{MASKS}/{image.rpartition('.')[0]}.png"


def masks(root: Path, images: pd.Series) -> pd.Series:
    """Names of the images' mask files, as :func:`mask_name` gives them; missing where there is no such file."""
    if not os.path.isdir(root / MASKS):
        return pd.Series(pd.NA, index=images.index, dtype="string")
    names = f"{MASKS}/" + images.astype("string").str.replace(r"\.[^./]*$", ".png", regex=True)
    present: set[str] = set()
    for folder in pd.unique(names.str.rpartition("/")[0]):
        present.update(scan(root, folder))
    return names.where(names.isin(present))


def damage(path: Path) -> str | None:
    """What the bytes of a JPEG file say of damage that its decoder passes over: words, or None.

    Its end must be marked, and a stretch of zeros within means that a part was never written.

    Raises:
        DatasetError: it may not be read.
    """
    content = file_bytes(path)
    start = content.find(b"\xff\xda")
    if not content.startswith(b"\xff\xd8") or start < 0:
        return None
    end = content.rfind(b"\xff\xd9")
    if end < start:
        return "its end is missing"
    if STANDARD in content[:start] and ZEROS in content[start:end]:
        return "a part of it is filled with zeros"
    return None


def complaints(paths: Sequence[Path]) -> dict[Path, str]:
    """What libjpeg complains of while it decodes JPEG files, which Pillow keeps to itself; files without are left out.

    The library writes its warnings to the standard error stream, so it is run in a process of its own.
    """
    script = (
        "import sys\nfrom torchvision.io import decode_jpeg, read_file\nfor number, path in enumerate(sys.argv[1:]):\n"
        "    print(f'\\n#{number}', file=sys.stderr, flush=True)\n    try: decode_jpeg(read_file(path))\n"
        "    except RuntimeError: pass\n"
    )
    found: dict[Path, str] = {}
    for start in range(0, len(paths), 500):  # a command line is not endless
        part = paths[start : start + 500]
        run = subprocess.run([sys.executable, "-c", script, *map(str, part)], capture_output=True, check=False)
        for entry in run.stderr.decode(errors="replace").split("\n#")[1:]:
            number, _, warning = entry.partition("\n")
            if "Corrupt JPEG data" in warning and number.isdigit():
                found[part[int(number)]] = warning.strip().splitlines()[0]
    return found


def file_bytes(path: Path) -> bytes:
    """An image file's bytes.

    Raises:
        DatasetError: it may not be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be decoded: {error}") from error


def _lies_on_its_side(picture: Image.Image) -> bool:
    """Whether EXIF data turn a picture by a quarter."""
    return picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)


def _rgb(picture: Image.Image) -> Image.Image:
    """A picture upright, three channels of eight bits."""
    if picture.getexif().get(0x0112, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in SEE_THROUGH or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if picture.mode not in EIGHT_BITS:
        raise ValueError(f"pixels of mode {picture.mode} are refused: save it with 8 bits a channel")
    return picture.convert("RGB")


def _opened(path: Path, look: Callable[[Image.Image], T]) -> T:
    """What there is to see in an image file, if it is not too large; the decoder's complaints get the file's name."""
    content = file_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is the narrower limit
            with Image.open(io.BytesIO(content)) as picture:  # a fifth faster than from the file itself
                if picture.width * picture.height <= LARGEST_IMAGE:
                    return look(picture)
                size = f"{picture.width} x {picture.height}"
    # Decoders fed with garbage raise nearly anything.
    except Exception as error:
        raise DatasetError(f"{path} cannot be decoded: {error}") from error
    raise DatasetError(f"{path}: {size} pixels are refused as too large; allowed are {LARGEST_IMAGE:,} in all")
