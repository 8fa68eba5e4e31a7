"""Scores of anyone's features, from files on the command line."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from reidpapers import features
from reidpapers.__main__ import main

LABELS = pd.DataFrame({
    "image": ["q0", "q1", "g0", "g1", "g2"], "split": ["query"] * 2 + ["gallery"] * 3,
    "vehicle_id": ["a", "b", "b", "a", "b"], "camera_id": ["01", "01", "02", "02", "01"],
})  # fmt: skip
# Of q0 (a at 01): g0 is b, then g1 its match, then g2. Of q1 (b at 01): g2 is junk, then g1 is a, then g0 its match.
VALUES = np.array([[0.0, 0.0], [10.0, 0.0], [3.0, 0.0], [5.0, 0.0], [10.0, 0.0]], np.float32)
SHUFFLED = [3, 0, 4, 1, 2]


def table(rows=slice(None)):
    return pd.DataFrame(VALUES[rows], columns=["x", "y"])


def parquet(path):
    pytest.importorskip("pyarrow")
    table().to_parquet(path)


WAYS = {
    "npy": lambda path: np.save(path, VALUES),
    "npz": lambda path: np.savez(path, features=VALUES, other=np.zeros(3)),
    "safetensors": lambda path: save_file({"x": torch.from_numpy(VALUES).bfloat16()}, path),
    "parquet": parquet,
    "csv": lambda path: table().to_csv(path, index=False),
}


@pytest.fixture
def labels(tmp_path):
    LABELS.to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path / "labels.csv"


def scored(path, labels, *options):
    return main(["evaluate", str(path), "--labels", str(labels), *options])


@pytest.mark.parametrize("kind", WAYS)
def test_each_kind_of_file_gives_the_scores_known_by_hand(kind, tmp_path, labels, capsys):
    path, out = tmp_path / f"features.{kind}", tmp_path / "queries.csv"
    WAYS[kind](path)
    assert scored(path, labels, "--queries", str(out)) == 0
    printed = capsys.readouterr().out
    assert "mAP 50.00  mINP 50.00  mAP@100 50.00  top1 0.00  top5 100.00" in printed
    assert "2 queries, 0 without a match; protocol veri\n" in printed
    queries = pd.read_csv(out, dtype={"camera_id": "string"})
    assert queries["first_match"].tolist() == [2, 2] and queries["ap"].tolist() == [0.5, 0.5]
    assert queries["camera_id"].tolist() == ["01", "01"] and queries["image"].tolist() == ["q0", "q1"]


def test_features_with_names_are_matched_by_them(tmp_path, labels, capsys):
    names = LABELS["image"].to_numpy(str)[SHUFFLED]
    features.write_features(tmp_path / "a.npz", torch.from_numpy(VALUES[SHUFFLED]), names)
    table(SHUFFLED).assign(image=names).to_csv(tmp_path / "a.csv", index=False)
    for name in ("a.npz", "a.csv"):
        assert scored(tmp_path / name, labels) == 0
        assert "mAP 50.00" in capsys.readouterr().out
    features.write_features(tmp_path / "few.npz", torch.from_numpy(VALUES[:4]), LABELS["image"][:4])
    assert scored(tmp_path / "few.npz", labels) == 2
    assert "1 labelled images have no feature: g2" in capsys.readouterr().err
    features.write_features(tmp_path / "twice.npz", torch.from_numpy(VALUES), ["q0", "q0", "g0", "g1", "g2"])
    assert scored(tmp_path / "twice.npz", labels) == 2
    assert "the features name q0 twice" in capsys.readouterr().err


def test_a_csv_without_a_line_of_names_loses_no_row(tmp_path, labels, capsys):
    table().to_csv(tmp_path / "bare.csv", index=False, header=False)
    assert scored(tmp_path / "bare.csv", labels) == 0
    assert "mAP 50.00" in capsys.readouterr().out


def test_without_splits_each_image_looks_for_its_vehicle_at_other_cameras(tmp_path, capsys):
    np.save(tmp_path / "x.npy", VALUES)
    LABELS.drop(columns="split").to_csv(tmp_path / "all.csv", index=False)
    assert scored(tmp_path / "x.npy", tmp_path / "all.csv") == 0
    # q0 finds g1 behind g0, q1 finds g0 behind g1; g0 finds both b behind g1 and q0; g1 finds a; g2 as q1.
    printed = capsys.readouterr().out
    assert "5 queries, 0 without a match" in printed
    ap = [1 / 2, 1 / 2, (1 / 3 + 2 / 4) / 2, 1 / 4, 1 / 2]
    assert f"mAP {100 * np.mean(ap):.2f}" in printed


def test_draws_are_averaged_and_the_first_ones_queries_written(tmp_path, labels, capsys):
    np.save(tmp_path / "x.npy", VALUES)
    LABELS.assign(split="gallery").to_csv(labels, index=False)
    assert scored(tmp_path / "x.npy", labels, "--protocol", "vehicleid", "--queries", str(tmp_path / "q.csv")) == 0
    assert "3 queries, 0 without a match; protocol vehicleid, mean of 10 draws" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "q.csv")) == 3


def test_reranked_features_are_those_of_the_library(tmp_path, labels, capsys):
    draw = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", values := draw.normal(size=(5, 4)).astype(np.float32))
    assert scored(tmp_path / "x.npy", labels, "--rerank", "--k1", "2", "--k2", "1") == 0
    own = capsys.readouterr().out
    from reidlib.evaluate import protocols, rerank

    def distance(query, gallery):
        return rerank.k_reciprocal(query, gallery, k1=2, k2=1)

    scores = protocols.evaluate("veri", torch.from_numpy(values), LABELS.astype("string"), distance=distance)
    assert f"mAP {100 * scores.mAP:.2f}" in own
    assert scored(tmp_path / "x.npy", labels, "--rerank", "--k1", "2", "--k2", "1", "--distance", "cosine") == 0
    assert scored(tmp_path / "x.npy", labels, "--rerank", "--k1", "0") == 2
    assert "k1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="vehicle_id"), "lacks column vehicle_id: needed are image, vehicle_id"),
        (lambda rows: rows.drop(columns="camera_id"), "needs vehicle_id and camera_id"),
        (lambda rows: rows.assign(split="test"), "split 'test' is refused: allowed are train, query, gallery"),
        (lambda rows: rows[:4], "5 features for 4 labelled images: one each is needed"),
        (lambda rows: rows.assign(image="q0"), "images stand twice in one split: q0"),
        (lambda rows: rows.assign(vehicle_id=list("abcde")), "none of 2 queries has a match"),
    ],
)
def test_labels_that_cannot_be_scored_are_refused_in_one_line(change, message, tmp_path, labels, capsys):
    np.save(tmp_path / "x.npy", VALUES)
    change(LABELS).to_csv(labels, index=False)
    assert scored(tmp_path / "x.npy", labels) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


BAD = {
    "two.npz": (lambda path: np.savez(path, a=VALUES, b=VALUES), "it holds a, b; needed is one array"),
    "line.npy": (lambda path: np.save(path, VALUES[:, 0]), "holds float32 (5,): needed are numbers [N, D]"),
    "empty.npy": (lambda path: np.save(path, VALUES[:, :0]), "holds float32 (5, 0): needed are numbers [N, D]"),
    "objects.npy": (lambda path: np.save(path, VALUES.astype(object)), "cannot be read as .npy"),
    "nan.npy": (lambda path: np.save(path, np.where(VALUES == 3, np.nan, VALUES)), "1 of 5 rows hold NaN or infinity"),
    "words.csv": (lambda path: table().assign(z="a").to_csv(path, index=False), "column 'z' holds no numbers"),
    "cut.npy": (lambda path: path.write_bytes(b"\x93NUMPY"), "cannot be read as .npy"),
    "x.pkl": (lambda path: path.write_bytes(b""), "files of type '.pkl' are refused: allowed are .npy"),
    "absent.npy": (lambda path: None, "no such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_hold_no_features_are_refused_in_one_line(name, tmp_path, labels, capsys):
    write, message = BAD[name]
    write(tmp_path / name)
    assert scored(tmp_path / name, labels) == 2
    error = capsys.readouterr().err
    assert message in error and name in error and error.count("\n") == 1
