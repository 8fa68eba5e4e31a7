"""Original sizes and masks of training images: from any dataset, read once, in the rows' order."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from reidlib.data import aicity2020
from reidlib.data.images import open_masks
from reidlib.data.manifest import COLUMNS, Dataset, Manifest, MissingLabels
from reidpapers.multiguided import side_inputs
from reidpapers.vehicles import rendered
from reidpapers.vehicles.export import LAYOUTS, rendered_source, simulated_preset


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))


def picture(name):
    number = int(name)
    return np.full((10 + number, 20 - number, 3), number, np.uint8)


def mask(name):
    found = np.zeros(picture(name).shape[:2], np.uint8)
    found[: len(found) // 2] = 255
    return found


def dataset(count=6, masked=True, reader=picture):
    names = [str(number) for number in range(count)]
    table = pd.DataFrame({"image": names, "split": "train", "vehicle_id": "v"}).reindex(columns=list(COLUMNS))
    table["mask"] = pd.Series(names if masked else pd.NA, dtype="string")
    return Dataset(Manifest("toy", table, "one"), reader, (), "", mask if masked else None)


def test_sizes_are_width_and_height_in_the_rows_order(cache):
    data = dataset()
    rows = data.manifest.rows("train").iloc[[4, 0, 4]]
    assert side_inputs.original_sizes(data, rows).tolist() == [[16, 14], [20, 10], [16, 14]]


def test_sizes_are_read_once_and_from_headers_where_there_are_any(cache):
    seen = []
    data = replace(dataset(), read=None, read_size=lambda image: (seen.append(image), (7, 9))[1])
    rows = data.manifest.rows("train")
    assert side_inputs.original_sizes(data, rows).tolist() == [[7, 9]] * 6
    assert (
        torch.equal(side_inputs.original_sizes(data, rows), side_inputs.original_sizes(data, rows)) and len(seen) == 6
    )
    assert len(side_inputs.original_sizes(data, rows.head(2))) == 2, "other rows are another question"


def test_masks_are_resized_to_0_or_255_in_the_rows_order(cache):
    data = dataset()
    rows = data.manifest.rows("train").iloc[[3, 1]]
    found = side_inputs.masks(data, rows, 16)
    assert found.shape == (2, 16, 16) and found.dtype == torch.uint8 and set(found.unique().tolist()) == {0, 255}
    for each, name in zip(found, rows["image"], strict=True):
        resized = np.asarray(Image.fromarray(mask(name)).resize((16, 16), Image.Resampling.BILINEAR))
        assert np.array_equal(each.numpy(), np.where(resized >= 128, 255, 0))


def test_masks_are_decoded_once_and_lie_apart_from_images(cache, tmp_path):
    data = dataset()
    rows = data.manifest.rows("train")
    first = side_inputs.masks(data, rows, 16)
    assert torch.equal(side_inputs.masks(replace(data, read_mask=lambda image: 1 / 0), rows, 16), first)
    assert [path.name.endswith("-16-masks.npy") for path in (tmp_path / "cache" / "images").glob("*.npy")] == [True]
    store = open_masks(data, rows, 16)
    assert store.image("2").shape == (16, 16)


@pytest.mark.parametrize(("data", "count"), [(dataset(masked=False), 6), (replace(dataset(), read_mask=None), 6)])
def test_a_dataset_without_masks_is_refused_by_column(data, count):
    with pytest.raises(MissingLabels, match=f"toy lacks column mask: {count} of 6 images"):
        side_inputs.masks(data, data.manifest.rows("train"), 16)


def test_images_that_lack_a_mask_are_counted():
    data = dataset()
    rows = data.manifest.rows("train")
    with pytest.raises(MissingLabels, match="toy lacks column mask: 2 of 6 images"):
        side_inputs.masks(data, rows.assign(mask=rows["mask"].where(rows.index > 1)), 16)


def test_rendered_vehicles_and_ai_city_agree(tmp_path):
    clean = rendered_source(simulated_preset("smoke"), 1)
    names = LAYOUTS["aicity2020"](rendered_source("smoke", 0, clean), tmp_path)
    street, city = rendered.load("smoke"), aicity2020.load(tmp_path)
    image, exported = next(iter(names["train"].items()))
    own = street.manifest.rows("train").query("image == @image")
    other = city.manifest.table.query("image == @exported").head(1)
    assert torch.equal(side_inputs.original_sizes(street, own), side_inputs.original_sizes(city, other))
    assert torch.equal(side_inputs.masks(street, own, 32), side_inputs.masks(city, other, 32))
    assert len(side_inputs.masks(city, city.manifest.rows("train"), 16)) == len(city.manifest.rows("train"))
