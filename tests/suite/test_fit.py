"""What runs say of themselves: accuracies, terms of a network that tells nothing apart, scores among like vehicles."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reidlib import losses
from reidlib.evaluate.embed import Embeddings
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.mlsl.paper import PAPER as MLSL
from reidpapers.run import datasets, fit, runs, training
from reidpapers.run.papers import load


def test_codes_of_test_rows_are_those_of_training_or_unknown():
    trained, joint = torch.tensor([0, 1, -1, 2]), torch.tensor([1, 3, 0, 4])  # joint sees labels that training lacks
    assert fit._as_trained(torch.tensor([3, 0, 2, -1, 4]), trained, joint).tolist() == [1, -1, -1, -1, 2]


@pytest.mark.parametrize("name, given, expected", [
    ("mlsl", {}, {"identity"}), ("mlsl", {"learning": "similarity"}, set()), ("drdl", {}, {"model"}),
    ("c2f_rank", {}, {"model"}), ("c2f_rank", {"terms": ["fine"]}, set()), ("agnet", {}, {"identity", "color", "type"}),
    ("multiguided", {"learning": "extractor", "extractor": "agn"}, {"identity", "color", "type"}),
    ("multiguided", {"learning": "classifier_type"}, {"type"}), ("multiguided", {"learning": "segmenter"}, set()),
])  # fmt: skip
def test_every_paper_says_which_classifiers_it_has_and_where_its_terms_begin(name, given, expected):
    paper = load(name)
    config = paper.Config(profile="smoke", **given).canonical()
    assert set(paper.classifiers(config)) == expected
    rows = paper.usable(config, datasets.load(paper.learns_from(config).source).manifest.rows("train"))
    levels = paper.levels(config, paper.labels(rows))
    assert set(levels) <= set(paper.term_weights(config)) and all(value > 0 for value in levels.values())
    if expected:
        data = paper.data(paper.learns_from(config))
        network = paper.build(config, data).eval()
        logits = paper.logits(config, network, torch.rand(2, 3, config.image_size, config.image_size))
        assert {name: len(values) for name, values in logits.items()} == dict.fromkeys(expected, 2)


def test_a_unit_that_says_the_same_of_all_pairs_has_the_level_that_is_noted():
    config = MLSLConfig(profile="smoke")
    labels = MLSL.labels(datasets.load(config.source).manifest.rows("train"))
    levels, draw = MLSL.levels(config, labels), MLSL.draw(config.but(pairs=4000, batch=16), labels)
    first, second = labels[draw(0, torch.Generator().manual_seed(0))]
    differs, _ = losses.differs(first, second)
    for column, name in enumerate(("id", "color", "type")):
        outputs = torch.linspace(0, 1, 101)
        best = min(float(losses.contrastive(torch.full((4000, 1), float(d)), differs[:, [column]], 1.0).mean())
                   for d in outputs)  # fmt: skip
        assert levels[name] == pytest.approx(best, rel=0.03), name


def test_scores_among_like_vehicles_are_those_of_a_loop():
    dataset = datasets.load(MLSLConfig(profile="smoke").source)
    table = dataset.manifest.rows("query", "gallery")
    images = {image: number for number, image in enumerate(dict.fromkeys(table["image"]))}
    features = torch.randn(len(images), 6, generator=torch.Generator().manual_seed(0))
    trained = SimpleNamespace(
        dataset=dataset, config=SimpleNamespace(test_distance="euclidean"),
        embed=lambda rows: Embeddings(features[[images[image] for image in rows["image"]]], rows),
    )  # fmt: skip
    found, expected = fit.among_alike(trained), []
    gallery = table[table["split"] == "gallery"]
    for query in table[table["split"] == "query"].itertuples():
        alike = gallery[(gallery["model"] == query.model) & (gallery["color"] == query.color)]
        if alike["vehicle_id"].nunique() < 2:
            continue
        alike = alike[(alike["vehicle_id"] != query.vehicle_id) | (alike["camera_id"] != query.camera_id)]
        own = features[images[query.image]]
        far = [float((own - features[images[image]]).norm()) for image in alike["image"]]
        right = (alike["vehicle_id"] == query.vehicle_id).to_numpy()[np.argsort(far)]
        if right.any():
            expected.append(float(np.mean(np.cumsum(right)[right] / (np.flatnonzero(right) + 1))))
    assert found["alike"]["queries"] >= len(expected) > 5
    assert found["alike"]["mAP"] == pytest.approx(np.mean(expected), abs=1e-5)
    assert found["whole"]["queries"] == (table["split"] == "query").sum()


def test_a_record_holds_what_its_run_says(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    config = MLSLConfig(profile="smoke", learning="feature", iterations1=40, batch=48, rate1=3e-3)
    record = runs.run(config, MLSL, committed=False)
    assert 0 <= record.fit["accuracy"]["identity train"] <= 1 and set(record.fit["levels"]) == {"identity"}
    assert record.fit["whole"]["mAP"] == pytest.approx(record.scores["mAP"], abs=1e-6)
    trained = training.restored(MLSL, config, runs.weights(config, MLSL, committed=False))
    assert fit.describe(MLSL, trained.config, trained)["accuracy"] == record.fit["accuracy"]
