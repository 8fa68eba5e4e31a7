"""Each paper at its own sizes on rendered VeRi-776: its trunk, its resolution, a handful of steps on the CPU.

``pytest -m slow tests/suite/test_paper_profile.py`` takes some minutes; only the pictures that are drawn are rendered.
"""

from dataclasses import replace
from functools import partial

import pandas as pd
import pytest
import torch

from reidlib import models, sampler
from reidlib.data.images import open_store
from reidlib.data.manifest import Manifest
from reidlib.evaluate import protocols
from reidlib.evaluate.embed import embed
from reidlib.train import train
from reidpapers.run import datasets, training
from reidpapers.run.papers import PAPERS, load

LENGTHS = {"mlsl": ("iterations1", "iterations2"), "drdl": ("iterations",), "c2f_rank": ("iterations1", "iterations2"),
           "agnet": ("iterations",), "multiguided": ("iterations",)}  # fmt: skip
CHANGES = {"mlsl": {"init": "scratch"}, "c2f_rank": {"init": "scratch"},
           "multiguided": {"learning": "extractor", "simulated": False}}  # fmt: skip
# Image size, trunk, and the width of the features that match.
EXACT = {
    "mlsl": (224, "mobilenet_v1", 1024), "drdl": (224, "vgg_cnn_m_1024", 1024), "c2f_rank": (224, "googlenet", 1024),
    "agnet": (224, "resnet50", 8192), "multiguided": (320, "resnet50_ibn", 2048),
}  # fmt: skip


def learnt(name, steps, *, tiny=True, **fields):
    """A paper's last stage trained for so many steps on rendered VeRi-776; its history, features and their table."""
    paper = load(name)
    config = paper.Config(profile="paper", device="cpu", **{"pretrained": False, **CHANGES.get(name, {}), **fields},
                          **dict.fromkeys(LENGTHS[name], steps)).canonical()  # fmt: skip
    config = paper.tiny(config) if tiny else config
    dataset = datasets.load(config.source)
    rows = paper.usable(config, dataset.manifest.rows("train"))
    labels, schedule = paper.labels(rows), paper.schedule(config, len(rows))
    draw = paper.draw(config, labels)
    seeds = ((config.seed, paper.stream(config), step) for step in range(schedule.iterations))
    used = torch.cat([draw(seed[-1], sampler.generator(*seed)).flatten() for seed in seeds]).unique()
    query = dataset.manifest.rows("query").iloc[:3]
    gallery = dataset.manifest.rows("gallery")
    gallery = gallery[gallery["vehicle_id"].isin(query["vehicle_id"])].iloc[:12]
    tested = [query, gallery] if tiny else []
    shown = Manifest("drawn", joined(rows.iloc[used.numpy()], *tested), dataset.manifest.origin)
    store = open_store(replace(dataset, manifest=shown), config.image_size)
    places = torch.zeros(len(rows), dtype=torch.long)
    places[used] = store.places(rows.iloc[used.numpy()])
    beside = {"size": torch.full((len(rows), 2), 400)} if name == "multiguided" else {}
    feed = training.batches(paper, config, store.resident("cpu"), places, labels, beside)
    network = paper.build(config, paper.data(config))
    history = train(network, partial(paper.objective, config), paper.term_weights(config), feed, schedule,
                    **paper.optimizer(config), seed=config.seed)  # fmt: skip
    return config, network, history, embed(network, store, joined(*tested), batch=8) if tiny else None


def joined(*parts):
    """Rows of a manifest below each other."""
    return pd.concat(parts, ignore_index=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_learns_at_its_own_sizes(name):
    config, network, history, embeddings = learnt(name, 2)
    size, trunk, width = EXACT[name]
    assert (config.image_size, config.backbone) == (size, trunk) and embeddings.features.shape[1] == width
    here, exact = (part.state_dict() for part in (network.trunk, models.build(trunk, image_size=size)))
    assert {key: value.shape for key, value in here.items()} == {key: value.shape for key, value in exact.items()}
    assert history.table().isfinite().all() and len(history.values) >= 2
    assert 0 <= protocols.evaluate("veri", embeddings.features, embeddings.table).mAP <= 1
