"""Labels and codes that the evaluator takes, and those that a cast would change, which it refuses."""

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib.evaluate.metrics import Relevance
from reidlib.evaluate.protocols import evaluate

FEATURES = torch.arange(4.0)[:, None]
TAKEN = {
    "text": ["a", "b", "a", "b"],
    "numbers up to the largest": [2**63 - 1, -(2**63), 2**63 - 1, -(2**63)],
    "small unsigned ones": np.array([1, 2, 1, 2], dtype=np.uint64),
    "categories": pd.Categorical(["a", "b", "a", "b"]),
    "pandas' text": pd.array(["a", "b", "a", "b"], dtype="string"),
    "pandas' integers": pd.array([1, 2, 1, 2], dtype="Int64"),
}
HASHES = np.array([2**63 + 5, 7, 2**63 + 5, 7], dtype=np.uint64)
REFUSED = {
    "floats": ([1.2, 1.7, 1.2, 1.7], "of type float, the first of them 1.2"),
    "numbers and text": ([1, "1", 1, "1"], "of type int, str, the first of them 1"),
    "integers and floats": (np.array([1, 1.5, 1, 1.5], dtype=object), "of type float, int"),
    "unsigned hashes": (HASHES, "9223372036854775813: allowed are whole numbers of at most 64 bits"),
    "Python's hashes": ([2**70, 1, 2**70, 1], "1180591620717411303424: allowed are whole numbers"),
    "truth values": ([True, False, True, False], "of type bool, the first of them True"),
    "categories that are floats": (pd.Categorical([0.5, 1.5, 0.5, 1.5]), "of type float, the first of them 0.5"),
}


def table(vehicles, cameras):
    """Four rows, two of them queries; labels of whatever type they are given in."""
    images = [f"{n}.jpg" for n in range(4)]
    split = ["query", "query", "gallery", "gallery"]
    return pd.DataFrame({"image": images, "split": split, "vehicle_id": vehicles, "camera_id": cameras})


@pytest.mark.parametrize("labels", TAKEN.values(), ids=TAKEN)
def test_labels_that_can_be_told_apart_are_taken(labels):
    scores = evaluate("veri", FEATURES, table(labels, ["1", "1", "2", "2"]))
    assert scores.unmatched == 0 and scores.first.tolist() == [1, 2]
    assert evaluate("veri", FEATURES, table(["a", "b", "a", "b"], [*labels[:2], *labels[1::-1]])).unmatched == 0


@pytest.mark.parametrize("column", ["vehicle_id", "camera_id"])
@pytest.mark.parametrize(("labels", "message"), REFUSED.values(), ids=REFUSED)
def test_labels_that_a_cast_would_change_are_refused_by_name(labels, message, column):
    rows = table(["a", "b", "a", "b"], ["1", "1", "2", "2"]).assign(**{column: labels})
    with pytest.raises(ValueError, match=f"protocol 'veri': column {column} holds .*{message}"):
        evaluate("veri", FEATURES, rows)


def test_models_are_labels_too():
    rows = table(["a", "b", "a", "b"], ["1"] * 4).assign(split="gallery", model=[1.2, 1.7, 1.2, 1.7])
    with pytest.raises(ValueError, match="'drdl_retrieval_literal': column model holds values of type float"):
        evaluate("drdl_retrieval_literal", FEATURES, rows)


def test_missing_labels_are_missing_and_no_other_kind():
    with pytest.raises(ValueError, match="lack camera_id of 1"):
        evaluate("veri", FEATURES, table(["a", "b", "a", "b"], ["1", None, "2", "2"]))


@pytest.mark.parametrize("codes", [[1.0, 2.0], HASHES[:2], ["1", "2"], [True, False], np.array([2**70, 1])])
def test_codes_that_are_no_integers_are_refused(codes):
    for arguments in ((codes, [1, 2]), ([1, 2], codes), ([1, 2], [1, 2], codes, [1, 2])):
        with pytest.raises(ValueError, match="codes are .*, such as .*: needed are integers of 64 bits with a sign"):
            Relevance(*arguments)


def test_small_unsigned_codes_are_taken():
    assert Relevance(np.array([3, 4], np.uint64), [3, 4]).query.dtype == np.int64
