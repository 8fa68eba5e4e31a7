"""Damage of JPEG files that their decoder passes over."""

import numpy as np
import pytest
from PIL import Image

from reidlib.data import pictures
from reidpapers.check import damage


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=90)
    return tmp_path / "a.jpg"


def test_damage_within_and_at_the_end_is_seen(photo):
    content = photo.read_bytes()
    assert damage.in_bytes(content) is None and not damage.of_files(photo.parent, ["a.jpg"])
    middle = len(content) // 2
    photo.write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])
    pictures.read_image(photo.parent, "a.jpg")  # which passes over it
    assert damage.of_files(photo.parent, ["a.jpg"]) == {
        "a.jpg": f"{photo} is damaged: a part of it is filled with zeros"
    }
    assert damage.in_bytes(content[:-2] + bytes(2)) == "its end is missing"
    assert damage.in_bytes(b"no JPEG") is None and damage.of_files(None, ["a.jpg"]) == {}


def test_what_the_decoder_complains_of_is_told(photo):
    content = bytearray(photo.read_bytes())
    other = photo.with_name("b.jpg")
    other.write_bytes(content)
    place = content.index(b"\xff\xd9", len(content) - 2)
    photo.write_bytes(content[:place] + bytes([1, 2, 3] * 10) + content[place:])
    found = damage.of_files(photo.parent, ["b.jpg", "a.jpg"])
    assert list(found) == ["a.jpg"] and "extraneous bytes" in found["a.jpg"]
