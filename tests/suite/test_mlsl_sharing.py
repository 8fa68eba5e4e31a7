"""How far apart images lie by what they share: against a loop, from a gallery, and what the paper says of it."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlib.evaluate.embed import Embeddings
from reidpapers.mlsl import grades, sharing, tables
from reidpapers.mlsl.grades import Grade
from reidpapers.mlsl.paper import PAPER, MLSLConfig
from reidpapers.mlsl.sharing import KINDS, mean_distances
from reidpapers.run import datasets


def looped(features, labels, cameras, distance):
    """The same by a loop over pairs."""
    found = {kind: [] for kind in KINDS}
    for i, (a, first) in enumerate(zip(features, labels, strict=True)):
        for j, (b, second) in enumerate(zip(features[:i], labels[:i], strict=True)):
            if cameras[i] == cameras[j] >= 0:
                continue
            if first[0] == second[0]:
                kind = "vehicle"
            elif min(*first, *second) < 0:
                continue
            else:
                shared = [name for name, x, y in zip(("color", "type"), first[1:], second[1:], strict=True) if x == y]
                kind = " and ".join(shared) or "neither"
            dot = sum(x * y for x, y in zip(a, b, strict=True))
            found[kind].append(
                math.dist(a, b) if distance == "euclidean" else 1 - dot / math.hypot(*a) / math.hypot(*b)
            )
    return {kind: (len(apart), sum(apart) / len(apart)) for kind, apart in found.items() if apart}


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), images=st.integers(2, 12))
def test_mean_distances_equal_a_loop(distance, seed, images):
    torch.manual_seed(seed)
    features = torch.randn(images, 3)
    labels = torch.stack(
        [torch.randint(8, (images,)), torch.randint(-1, 3, (images,)), torch.randint(-1, 3, (images,))], 1
    )
    cameras = torch.randint(-1, 4, (images,))
    found = mean_distances(features, labels, cameras, distance)
    wanted = looped(features.tolist(), labels.tolist(), cameras.tolist(), distance)
    assert [row["shares"] for row in found] == [kind for kind in KINDS if kind in wanted]
    for row in found:
        assert (row["pairs"], row["mean"]) == (
            wanted[row["shares"]][0],
            pytest.approx(wanted[row["shares"]][1], abs=1e-5),
        )


def test_blocks_change_nothing(monkeypatch):
    torch.manual_seed(0)
    features, labels, cameras = torch.randn(70, 4), torch.randint(4, (70, 3)), torch.randint(3, (70,))
    whole = mean_distances(features, labels, cameras)
    monkeypatch.setattr(sharing, "ROWS", 64)
    assert mean_distances(features, labels, cameras) == whole


def test_a_run_measures_its_gallery(monkeypatch):
    """Features that are the labels' codes: what two vehicles share is how near they lie."""
    config = MLSLConfig(device="cpu")
    dataset = datasets.load(config.source)

    def embed(rows):
        known = PAPER.labels(rows)
        return Embeddings(torch.cat([torch.eye(128)[column] for column in known.T], 1), rows)

    trained = SimpleNamespace(dataset=dataset, embed=embed, config=config)
    found = {row["shares"]: row for row in PAPER.exhibits(config)["sharing"](trained)}
    means = [found[kind]["mean"] for kind in KINDS]
    assert means == pytest.approx([0, math.sqrt(2), 2, 2, math.sqrt(6)])
    assert PAPER.exhibits(MLSLConfig(dataset="digits")) == {}
    seen = []
    monkeypatch.setattr(sharing, "IMAGES", 10)
    trained.embed = lambda rows: seen.append(rows) or embed(rows)
    sharing.measure(trained, PAPER.labels)
    gallery = dataset.manifest.rows("gallery")["image"]
    assert len(seen[0]) == 10 and {seen[0]["image"].iloc[0], seen[0]["image"].iloc[-1]} == {
        gallery.iloc[0],
        gallery.iloc[-1],
    }


def run(seed, **means):
    """A record with mean distances by kind."""
    names = {"both": "color and type"}
    rows = [{"shares": names.get(kind, kind), "pairs": 9, "mean": mean} for kind, mean in means.items()]
    place = {"device": {"type": "cpu"}, "data": {"digest": "d"}, "weights": {}}
    return SimpleNamespace(seed=seed, exhibits={"sharing": rows} if rows else {}, **place)


def graded(*, both, seeds=3, wobble=0.01, **means):
    return [
        run(s, vehicle=0.2, both=both + wobble * s, color=0.8, type=0.7, neither=2.0, **means) for s in range(seeds)
    ]


def test_distances_are_measured_against_those_of_pairs_that_share_neither():
    record = run(0, both=0.5, neither=2.0)
    assert grades.relative(record, "color and type") == 25 and grades.relative(record, "neither") == 100
    assert math.isnan(grades.relative(record, "color")) and math.isnan(grades.relative(run(0), "color"))
    assert math.isnan(grades.relative(run(0, both=1.0, neither=0.0), "color and type")), "all features are one"


@pytest.mark.parametrize("both, word", [(0.5, "reproduced"), (1.5, "contradicted")])
def test_a_grade_is_judged_by_pairs_of_one_seed(both, word):
    grade = Grade("Fig. 1", "sharing both is nearer", ("MLSL", "color and type"), ("FL", "color"))
    rows = {"MLSL": graded(both=both), "FL": graded(both=1.0)}
    assert grades.judge(grade, rows)[0] == word
    assert grades.judge(grade, {**rows, "FL": [run(s) for s in range(3)]}) == ("not run", "–"), "records without it"
    (text,) = grades.facts([grade], rows).values()
    assert word in text and ("(14.5 ±" in text if both == 0.5 else "(−35.5 ±" in text)


def test_what_the_paper_says_of_distances_is_about_rows_and_kinds_that_exist():
    names = {row.name for row in tables.rows("all")}
    for grade in (*tables.GRADES, *tables.GRADE_QUESTIONS):
        for row, kind in (grade.nearer, grade.farther):
            assert row in names and kind in KINDS, grade


def test_the_picture_shows_the_rows_that_have_it():
    picture = grades.distances({"FL": [run(s) for s in range(3)], "MLSL": graded(both=0.5)})
    (axis,) = picture.axes
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["MLSL"]
    assert axis.containers[0].lines[0].get_ydata().tolist() == pytest.approx([10, 25.5, 40, 35, 100])
    empty = grades.distances({"FL": [run(0)], "MLSL": []})
    assert empty.axes == [] and "not measured" in empty.texts[0].get_text()


def test_missing_labels_leave_the_vehicle_alone():
    found = mean_distances(torch.eye(3), torch.tensor([[0, -1, -1], [0, -1, -1], [1, -1, -1]]), torch.tensor([-1] * 3))
    assert found == [{"shares": "vehicle", "pairs": 1, "mean": round(math.sqrt(2), 6)}]
    assert pd.DataFrame(found).columns.tolist() == ["shares", "pairs", "mean"]
