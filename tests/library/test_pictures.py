"""Pictures as a viewer shows them, whatever their mode."""

import numpy as np
import pytest
from PIL import Image

from reidlib.data import pictures
from reidlib.data.files import DatasetError

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def test_grey_of_16_bits_keeps_its_upper_eight(tmp_path):
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(tmp_path / "a.png")
    assert (pictures.read_image(tmp_path, "a.png") == RAMP[..., None]).all()


def test_numbers_without_a_range_are_refused_by_name(tmp_path):
    Image.fromarray(RAMP.astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DatasetError, match="a.tif cannot be decoded: pixels of mode F are refused"):
        pictures.read_image(tmp_path, "a.tif")


def test_what_shines_through_is_on_white(tmp_path):
    layer = np.zeros((6, 8, 4), np.uint8)
    layer[:, :4, 3] = 255
    Image.fromarray(layer).save(tmp_path / "a.png")
    pixels = pictures.read_image(tmp_path, "a.png")
    assert (pixels[:, :4] == 0).all() and (pixels[:, 4:] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_pictures_and_their_sizes(tmp_path, orientation):
    upright = Image.fromarray(RAMP).convert("RGB")
    stored = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # what brings it back, inverted
    picture = upright if stored is None else upright.transpose(Image.Transpose(stored))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    assert (pictures.read_image(tmp_path, "a.png") == np.asarray(upright)).all()
    assert pictures.image_size(tmp_path, "a.png") == (8, 6)
