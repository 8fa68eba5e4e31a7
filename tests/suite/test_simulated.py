"""Street and clean training images joined: names that cannot clash, tests of the street alone, each part's pixels."""

import numpy as np
import pandas as pd
import pytest

from reidlib.data import aicity2020, images
from reidpapers.multiguided.data import is_simulated
from reidpapers.run import datasets
from reidpapers.run.config import Config
from reidpapers.vehicles import rendered, simulated
from reidpapers.vehicles.export import LAYOUTS, rendered_source


@pytest.fixture(scope="module")
def joined():
    return datasets.load(Config(profile="smoke", preset="smoke_simulated").source)


def test_the_street_is_all_there_and_the_clean_part_is_for_training_only(joined):
    street, clean = rendered.load("smoke"), rendered.load(simulated.simulated_preset("smoke"), 1)
    for split in ("query", "gallery"):
        pd.testing.assert_frame_equal(joined.manifest.rows(split), street.manifest.rows(split))
    rows = joined.manifest.rows("train")
    marked = is_simulated(rows)
    pd.testing.assert_frame_equal(rows[~marked].reset_index(drop=True), street.manifest.rows("train"))
    assert marked.sum() == len(clean.manifest.rows("train")) == 144
    assert not is_simulated(street.manifest.table).any()


def test_names_do_not_clash(joined):
    table = joined.manifest.table
    marked = is_simulated(table)
    for column in simulated.PREFIXED:
        one, other = table.loc[marked, column], table.loc[~marked, column]
        assert other.notna().all() and set(one).isdisjoint(other), column
    assert set(table.loc[marked, "color"]) <= set(rendered.load("small").manifest.table["color"]), "labels stay"


def test_each_part_is_read_from_its_own_pictures(joined):
    street, clean = rendered.load("smoke"), rendered.load(simulated.simulated_preset("smoke"), 1)
    own, other = joined.manifest.rows("query").iloc[0], clean.manifest.rows("train").iloc[5]
    assert np.array_equal(joined.read(own["image"]), street.read(own["image"]))
    assert np.array_equal(joined.read("sim_" + other["image"]), clean.read(other["image"]))
    assert np.array_equal(joined.read_mask("sim_" + other["mask"]), clean.read_mask(other["mask"]))
    height, width = clean.read(other["image"]).shape[:2]
    assert joined.read_size("sim_" + other["image"]) == (width, height)


def test_sizes_are_those_of_the_pictures(joined):
    for image in joined.manifest.table["image"].iloc[::40]:
        assert joined.read_size(image) == joined.read(image).shape[1::-1]


def test_another_seed_is_other_data():
    digests = {simulated.load("smoke", seed).manifest.digest for seed in (0, 1)} | {
        rendered.load("smoke").manifest.digest
    }
    assert len(digests) == 3 and simulated.load("smoke").manifest.digest in digests


def test_the_store_holds_both_parts(joined):
    store = images.open_store(joined, 16)
    assert len(store.pixels) == joined.manifest.table["image"].nunique() == 144 + 144 + 72


def test_ai_citys_simulated_rows_are_told_apart(tmp_path):
    clean = rendered_source(simulated.simulated_preset("smoke"), 1)
    LAYOUTS["aicity2020"](rendered_source("smoke", 0, clean), tmp_path)
    table = aicity2020.load(tmp_path).manifest.table
    marked = is_simulated(table)
    assert marked.sum() == 144 and set(table.loc[marked, "split"]) == {"train"}
    assert table.loc[marked, "image"].str.startswith(aicity2020.SIMULATION).all()
    assert not table.loc[~marked, "image"].str.startswith(aicity2020.SIMULATION).any()


@pytest.mark.parametrize("wrong", [{"preset": "huge"}, {"seed": -1}])
def test_refusals(wrong):
    with pytest.raises(ValueError, match="allowed"):
        simulated.load(**wrong)
