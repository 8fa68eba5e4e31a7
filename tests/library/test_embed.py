"""Embeddings: aligned with their rows, one forward pass an image, refused where they are not finite."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from reidlib.augment import normalise
from reidlib.data.images import ImageStore
from reidlib.evaluate.embed import Embeddings, embed

NAMES = [f"{i:02d}" for i in range(30)]


@pytest.fixture
def store():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
    return ImageStore(pixels, {name: place for place, name in enumerate(NAMES)})


class Mean(nn.Module):
    """Mean and deviation of each channel; counts what it sees, and drops everything in training mode."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, images):
        self.seen += len(images)
        features = torch.cat([images.mean((2, 3)), images.std((2, 3))], 1)
        return features * 0 if self.training else features


@pytest.mark.parametrize("batch", [1, 7, 30, 256])
def test_each_row_gets_its_images_features(store, batch):
    table = pd.DataFrame({"image": ["07", "29", "00", "07", "13"]})
    found = embed(Mean(), store, table, batch=batch)
    for row, name in enumerate(table["image"]):
        alone = Mean().eval()(normalise(torch.from_numpy(store.pixels[[int(name)]])))
        torch.testing.assert_close(found.features[row], alone[0])
    assert found.features.dtype == torch.float32 and not found.features.requires_grad
    assert found.table is table


def test_an_image_is_embedded_once_however_often_it_stands_there(store):
    network = Mean()
    embed(network, store, pd.DataFrame({"image": NAMES * 3}), batch=8)
    assert network.seen == 30


def test_the_network_is_put_in_evaluation_mode(store):
    network = Mean().train()
    assert embed(network, store, pd.DataFrame({"image": NAMES})).features.abs().sum() > 0
    assert not network.training


def test_the_batch_size_changes_nothing_that_matters(store):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    table = pd.DataFrame({"image": NAMES})
    torch.testing.assert_close(
        embed(network, store, table, batch=7).features, embed(network, store, table, batch=30).features
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite_are_refused_and_named(value):
    features = torch.zeros(4, 3)
    features[2, 1] = features[3, 0] = value
    with pytest.raises(ValueError, match="2 embeddings are not finite, the first is c.jpg"):
        Embeddings(features, pd.DataFrame({"image": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]}))


@pytest.mark.parametrize("shape", [(3, 2), (4,), (4, 2, 1)])
def test_features_that_do_not_fit_their_rows_are_refused(shape):
    with pytest.raises(ValueError, match="features for 4 rows"):
        Embeddings(torch.zeros(shape), pd.DataFrame({"image": list("abcd")}))
