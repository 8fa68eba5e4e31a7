"""Widgets change the one picture they belong to, and leave a still one where nothing is live."""

from types import SimpleNamespace

import numpy as np
import pytest

from reidlib import explore


class Screen:
    """Stands in for the notebook's display: what was shown, and the picture that can be updated."""

    def __init__(self, monkeypatch):
        self.shown, self.updates = [], []
        monkeypatch.setattr(explore, "display", self.display)

    def display(self, item, display_id=False):
        self.shown.append(item)
        return SimpleNamespace(update=self.updates.append) if display_id else None


@pytest.fixture
def screen(monkeypatch):
    return Screen(monkeypatch)


def strip(name, ap):
    top = [{"image": "g", "vehicle": name, "camera": "c1", "match": i < 3, "distance": 0.1} for i in range(10)]
    return {"query": {"image": "q", "vehicle": name, "camera": "c2"}, "ap": ap, "top": top}


def test_choosing_a_query_redraws_the_picture(screen):
    record = SimpleNamespace(exhibits={"retrieval": [strip("0001", 0.1), strip("0002", 0.5), strip("0003", 0.9)]})
    store = SimpleNamespace(image=lambda name: np.zeros((8, 8, 3), np.uint8))
    explore.retrieval(record, store)
    controls, picture = screen.shown
    assert "vehicle 0002, AP 50%: 3 of its ten nearest" in picture.data and "<img" in picture.data
    controls.children[0].value = 2
    assert "vehicle 0003, AP 90%" in screen.updates[-1].data


def test_choosing_a_table_redraws_its_curves(screen):
    def rows(*levels):
        return [
            SimpleNamespace(seed=s, scores={"mAP": v, "cmc": list(np.linspace(v, 1, 50))}) for s, v in enumerate(levels)
        ]

    explore.ablations({"one": {"a": rows(0.2, 0.3)}, "two": {"b": rows(0.4)}, "empty": {"c": []}})
    controls, picture = screen.shown
    assert "CMC of one" in picture.data
    assert list(controls.children[0].options) == ["one", "two"]  # a table without runs cannot be chosen
    controls.children[0].value = "two"
    assert "CMC of two" in screen.updates[-1].data
    controls.children[1].value = 40
    assert len(screen.updates) == 2


def test_without_any_runs_it_says_so(screen):
    explore.ablations({"empty": {"c": []}})
    assert "No table has runs yet" in screen.shown[0].data
