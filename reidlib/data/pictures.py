"""Image files of a dataset, opened safely: pixels and sizes as a viewer shows them."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from reidlib.data.files import DatasetError, scan

T = TypeVar("T")

MASKS = "mask"  # the folder that holds masks, which no official dataset has; exported ones do
LARGEST_IMAGE = 64_000_000  # pixels; the largest photographs of these datasets have about 5 million
EIGHT_BITS = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")  # modes that Pillow converts as meant
SEE_THROUGH = ("RGBA", "LA", "PA", "RGBa", "La")


def read_image(root: Path, name: str, content: bytes | None = None) -> np.ndarray:
    """Pixels of one image file, uint8 ``[H, W, 3]``, turned upright if its EXIF data say so.

    Grey of 16 bits keeps its upper eight; what shines through is on white. ``content`` is what is in the file, where
    that was read already.

    Raises:
        DatasetError: it is truncated, no image, too large to be one of these, of a mode without a range that all agree
            on (32-bit numbers), or may not be read.
    """
    return _opened(root / name, lambda picture: np.asarray(_rgb(picture)), content)


def image_size(root: Path, name: str) -> tuple[int, int]:
    """Width and height of one image file as :func:`read_image` gives it, from its header.

    Raises:
        DatasetError: it is no image, too large to be one of these, or may not be read.
    """
    return _opened(root / name, lambda picture: picture.size[::-1] if _lies_on_its_side(picture) else picture.size)


def read_mask(root: Path, name: str, size: tuple[int, int], content: bytes | None = None) -> np.ndarray:
    """A mask file as uint8 ``[H, W]``, 0 or 255; ``size`` is its image's (H, W).

    Raises:
        DatasetError: as for an image, or its size is not its image's.
    """
    mask = _opened(root / name, lambda picture: np.asarray(picture.convert("L")), content)
    if mask.shape != size:
        raise DatasetError(f"{root / name}: the mask has {mask.shape[0]}x{mask.shape[1]} pixels, its image {size}")
    return np.where(mask >= 128, 255, 0).astype(np.uint8)


def read_mask_of(root: Path, name: str, content: bytes | None = None) -> np.ndarray:
    """The mask of a ``.jpg`` image, by the image's name or the mask's, as :func:`read_mask` gives it.

    Raises:
        DatasetError: as for :func:`read_mask`.
    """
    image = name.removeprefix(f"{MASKS}/").removesuffix(".png").removesuffix(".jpg") + ".jpg"
    width, height = image_size(root, image)
    return read_mask(root, mask_name(image), (height, width), content)


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


def _opened(path: Path, look: Callable[[Image.Image], T], content: bytes | None = None) -> T:
    """What there is to see in an image file, if it is not too large; the decoder's complaints get the file's name."""
    content = file_bytes(path) if content is None else content
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
