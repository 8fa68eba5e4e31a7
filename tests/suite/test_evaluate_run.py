"""What a finished training leaves in its record: thinned queries, deviations over draws, test sets by size."""

import numpy as np
import pandas as pd

from reidlib.data import manifest
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


def test_a_datasets_own_sets_are_taken_where_it_has_several():
    table = datasets.load(Config(preset="smoke").source).manifest
    images = pd.Index(table.rows("gallery")["image"])
    own = tuple(manifest.Test(str(n), "vehicleid", gallery=images[:n]) for n in (10, 20, 30, 40))
    dataset = manifest.Dataset(table, lambda image: None, own, "")
    found = {test.name: len(test.gallery) for test in evaluate_run.tests_by_size(dataset, {"": "vehicleid"})}
    assert found == {"large": 30, "medium": 20, "small": 10}
