"""Scores survive an export: labels of the rendered vehicles and labels read back from a layout's lists give the same.

VeRi-776 and AI City are in test_export.py. Random features stand for a network's. The rendered side keeps its own
vehicles, cameras and models; the pictures alone go by their exported names, since protocols that draw do so by name.
"""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from reidpapers.run import verification
from reidpapers.run.datasets import PROTOCOLS
from reidpapers.vehicles import rendered
from reidpapers.vehicles.export import LAYOUTS, rendered_source


@pytest.fixture(scope="module", params=["vehicleid", "veriwild", "vehicle1m", "compcars"])
def sides(request, tmp_path_factory):
    """A layout, the dataset as its adapter reads it, and the rendered rows of the same pictures."""
    root = tmp_path_factory.mktemp(request.param)
    names = LAYOUTS[request.param](rendered_source("smoke", 0), root)
    rows = rendered.load("smoke").manifest.table.set_index(["split", "image"]).loc[names.index]
    before = rows.reset_index().assign(image=names.to_numpy())
    return request.param, importlib.import_module(f"reidlib.data.{request.param}").load(root), before


def features(names):
    """A random vector for each picture, whatever the order of the rows."""
    drawn = torch.randn(len(set(names)), 16, generator=torch.Generator().manual_seed(3))
    by_name = dict(zip(sorted(set(names)), drawn, strict=True))
    return torch.stack([by_name[name] for name in names])


def paired_anew(pairs, model):
    """The same pairs, called the same where the rendered models are."""
    return pairs.assign(same=(pairs["first"].map(model) == pairs["second"].map(model)).to_numpy())


def test_scores_are_the_same_there_and_back(sides):
    layout, dataset, before = sides
    after = dataset.manifest.table
    before = before.sample(frac=1, random_state=0).reset_index(drop=True)
    assert len(dataset.tests) == 3
    for test in dataset.tests:
        assert test.protocol == PROTOCOLS[layout]
        own = test
        if test.pairs is not None:
            model = before.set_index("image")["model"]
            pairs = {name: paired_anew(getattr(test, name), model) for name in ("pairs", "threshold_pairs")}
            own = replace(test, **pairs)
        first = verification.assess(own, features(before["image"]), before)
        second = verification.assess(test, features(after["image"]), after)
        if test.protocol == "verification":
            assert (first.accuracy, first.threshold, first.auc) == (second.accuracy, second.threshold, second.auc)
            assert np.array_equal(first.right, second.right) and 0 < first.accuracy < 1
            continue
        assert first.mAP == pytest.approx(second.mAP, abs=1e-9) and 0 < first.mAP < 1
        assert np.allclose(first.cmc, second.cmc, atol=1e-12)
        assert sorted(first.ap[~np.isnan(first.ap)]) == pytest.approx(sorted(second.ap[~np.isnan(second.ap)]))
