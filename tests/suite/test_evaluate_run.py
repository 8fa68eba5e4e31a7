"""What a finished training leaves in its record: thinned queries, deviations over draws, test sets by size."""

import numpy as np
import pandas as pd
import pytest

from reidlib.data import manifest, vehicleid
from reidlib.evaluate import metrics
from reidpapers.run import datasets, evaluate_run
from reidpapers.run.config import Config


def test_many_queries_are_thinned_evenly_and_few_are_kept_whole():
    few = metrics.Scores.of(np.array([1.0, 0.5, np.nan]), np.array([1, 2, 0]))
    assert evaluate_run.query_fields(few) == {"ap": [1.0, 0.5, None], "first": [1, 2, 0]}
    count = 2 * evaluate_run.QUERIES + 1
    many = metrics.Scores.of(np.linspace(0.1, 1, count), np.arange(1, count + 1))
    kept = evaluate_run.query_fields(many)
    assert kept["every"] == 3 and len(kept["ap"]) == len(kept["first"]) <= evaluate_run.QUERIES
    assert kept["first"][:3] == [1, 4, 7]


def test_scores_of_several_draws_carry_their_deviation():
    draws = [metrics.Scores.of(np.array([ap, 1.0]), np.array([1, 1])) for ap in (0.5, 0.1)]
    fields = evaluate_run.score_fields(metrics.Scores.averaged(draws))
    # means of 0.75 and 0.55: 0.65, and |0.75 − 0.55| / √2
    assert fields["mAP"] == 0.65 and fields["draws"] == 2 and abs(fields["deviation"]["mAP"] - 0.141421) < 1e-6
    assert "deviation" not in evaluate_run.score_fields(draws[0])


def test_sizes_are_nested_thirds_of_the_gallerys_vehicles():
    dataset = datasets.load(Config(preset="smoke").source)
    tests = evaluate_run.tests_by_size(dataset, {"": "vehicleid", "retrieval": "drdl_retrieval"})
    names = ["large", "large retrieval", "medium", "medium retrieval", "small", "small retrieval"]
    assert [test.name for test in tests] == names and [test.protocol for test in tests][:2] == [
        "vehicleid", "drdl_retrieval",
    ]  # fmt: skip
    gallery = dataset.manifest.rows("gallery").set_index("image")["vehicle_id"]
    vehicles = [set(gallery[test.gallery]) for test in tests[::2]]
    assert [len(found) for found in vehicles] == [12, 8, 4] and vehicles[2] < vehicles[1] < vehicles[0]
    assert all(set(test.gallery) == set(gallery.index[gallery.isin(set(gallery[test.gallery]))]) for test in tests)


@pytest.mark.parametrize("names, sizes", [
    (("800", "1600", "2400", "3200"), {"large": "2400", "medium": "1600", "small": "800"}),
    (("2400", "800"), {"large": "2400", "small": "800"}), (("800",), {"small": "800"}),
    (("6000", "13164"), {"13164": "13164", "6000": "6000"}),
])  # fmt: skip
def test_a_datasets_own_sets_are_taken_by_their_size(names, sizes):
    table = datasets.load(Config(preset="smoke").source).manifest
    images = pd.Index(table.rows("gallery")["image"])
    galleries = {name: images[: 10 * (place + 1)] for place, name in enumerate(names)}
    own = tuple(
        manifest.Test(name, "vehicleid", gallery=gallery, size=vehicleid.SIZES[int(name)])
        for name, gallery in galleries.items()
    )
    tests = evaluate_run.tests_by_size(manifest.Dataset(table, lambda image: None, own, ""), {"": "vehicleid"})
    assert [(test.name, len(test.gallery)) for test in tests] == [
        (size, len(galleries[name])) for size, name in sizes.items()
    ]
