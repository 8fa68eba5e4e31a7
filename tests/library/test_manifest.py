"""The manifest: validated, sorted, its digest, and a split for tuning that holds no test identity."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reidlib.data.manifest import COLUMNS, Dataset, Manifest, Test, codes, labels


def rows(*entries, **common):
    """Rows from (image, split, vehicle) with everything else missing."""
    table = pd.DataFrame(entries, columns=["image", "split", "vehicle_id"]).assign(**common)
    return table.reindex(columns=list(COLUMNS))


def benchmark():
    """Eight training vehicles and two test ones, two cameras, two images of each."""
    entries = [(f"{v}_{c}_{i}.jpg", "train", f"v{v}", f"c{c}") for v in range(8) for c in range(2) for i in range(2)]
    entries += [
        (f"{v}_{c}_0.jpg", split, f"v{v}", f"c{c}") for v in (8, 9) for c in range(2) for split in ("query", "gallery")
    ]
    table = pd.DataFrame(entries, columns=["image", "split", "vehicle_id", "camera_id"])
    return table.reindex(columns=list(COLUMNS)).assign(color="red", time=1.5, bbox=[(0, 1, 20, 31)] * len(table))


def test_rows_are_sorted_whatever_their_order():
    table = benchmark()
    shuffled = Manifest("a", table.sample(frac=1, random_state=0), "o")
    straight = Manifest("a", table, "o")
    pd.testing.assert_frame_equal(shuffled.table, straight.table)
    assert shuffled.digest == straight.digest
    assert straight.table["split"].drop_duplicates().tolist() == ["train", "query", "gallery"]
    for split in ("train", "query", "gallery"):
        assert straight.rows(split)["image"].is_monotonic_increasing
    assert tuple(straight.table.columns) == COLUMNS


def test_the_digest_covers_rows_and_pixels():
    table = benchmark()
    boxes = [(0, 0, 20, 31)] * len(table)
    others = {"color": "blue", "time": 2.0, "type": "van", "mask": "m.png", "bbox": boxes}
    changed = [table.assign(**{column: value}) for column, value in others.items()]
    digests = {Manifest("a", one, "o").digest for one in [table, *changed]} | {Manifest("a", table, "p").digest}
    assert len(digests) == len(changed) + 2
    assert Manifest("b", table, "o").digest == Manifest("a", table, "o").digest, "a title is no data"


def test_what_is_missing_stays_missing():
    manifest = Manifest("bare", rows(("a", "train", "1"), ("b", "train", "1")), "o")
    assert manifest.table.drop(columns=["image", "split", "vehicle_id"]).isna().all().all()
    assert manifest.counts() == {"train": {"images": 2, "vehicles": 1, "cameras": 0, "models": 0}}


def test_rows_and_counts_by_split():
    manifest = Manifest("a", benchmark(), "o")
    assert len(manifest.rows("query", "gallery")) == 8 and manifest.rows("gallery").index.tolist() == [0, 1, 2, 3]
    assert manifest.counts()["query"] == {"images": 4, "vehicles": 2, "cameras": 2, "models": 0}
    with pytest.raises(ValueError, match="unknown split .*test.*train, query, gallery"):
        manifest.rows("test")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"image": pd.NA}, "image missing in 40 rows"),
        ({"vehicle_id": pd.NA}, "vehicle_id missing"),
        ({"split": "test"}, "split not one of"),
        ({"split": pd.NA}, "split missing"),
        ({"image": "same.jpg"}, "listed twice in one split"),
        ({"bbox": [(5, 5, 5, 9)] * 40}, "bbox not"),
        ({"bbox": ["0,0,1,1"] * 40}, "bbox not"),
        ({"bbox": [(0, 0, 1)] * 40}, "bbox not"),
    ],
)
def test_rows_that_make_no_sense_are_refused(change, words):
    with pytest.raises(ValueError, match=f"manifest of bad: .*{words}"):
        Manifest("bad", benchmark().assign(**change), "o")


def test_refused_rows_are_named():
    table = benchmark()
    table.at[3, "bbox"] = (9, 0, 3, 4)
    with pytest.raises(ValueError, match=rf"in 1 rows \(.*{table['image'][3]}\)"):
        Manifest("bad", table, "o")


def test_missing_and_unknown_columns_are_named():
    with pytest.raises(ValueError, match=r"\['wheels'\]"):
        Manifest("bad", benchmark().assign(wheels=4), "o")
    with pytest.raises(ValueError, match=r"\['mask'\]"):
        Manifest("bad", benchmark().drop(columns="mask"), "o")
    with pytest.raises(ValueError, match="empty"):
        Manifest("bad", benchmark().head(0), "o")


def test_the_table_given_is_not_changed():
    table = benchmark().sample(frac=1, random_state=1)
    before = table.copy()
    Manifest("a", table, "o")
    pd.testing.assert_frame_equal(table, before)


def test_holdout_splits_training_identities_and_holds_no_test_identity():
    manifest = Manifest("a", benchmark(), "o")
    held = manifest.holdout(3, seed=1)
    train, query, gallery = (held.rows(split) for split in ("train", "query", "gallery"))
    groups = [set(part["vehicle_id"]) for part in (train, gallery)]
    assert groups[0].isdisjoint(groups[1]) and [len(group) for group in groups] == [5, 3]
    assert groups[0] | groups[1] == set(manifest.rows("train")["vehicle_id"])
    assert set(query["image"]) <= set(gallery["image"]) and len(gallery) == 12
    assert not query.duplicated(["vehicle_id", "camera_id"]).any() and len(query) == 6
    assert held.digest == manifest.holdout(3, seed=1).digest != manifest.holdout(3, seed=2).digest
    for vehicles in (0, 7, 8):
        with pytest.raises(ValueError, match="allowed are 1 to 6"):
            manifest.holdout(vehicles)


def test_codes_follow_sorted_names():
    found = codes(pd.Series(["b", pd.NA, "a", "b"], dtype="string"))
    assert found.tolist() == [1, -1, 0, 1] and found.dtype == np.int64
    assert codes(pd.Series([pd.NA, pd.NA], dtype="string")).tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, "1"], "values of type int, str"),
        ([1.2, 1.7], "values of type float, the first of them 1.2"),
        ([True, False], "values of type bool"),
        (
            np.array([2**63 + 5, 1], np.uint64),
            "holds 9223372036854775813: allowed are .*of at most 64 bits",
        ),
    ],
)
def test_labels_that_could_be_mixed_up_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        labels(pd.Series(values), "camera_id")
    with pytest.raises(ValueError, match="manifest of a: column camera_id "):
        Manifest("a", rows(("a", "train", "1"), ("b", "train", "2"), camera_id=list(values)), "o")


def test_whole_numbers_and_text_are_labels():
    for values in ([7, 12], np.array([7, 12], np.uint8), ["7", "12"], pd.Categorical([7, 12])):
        assert labels(pd.Series(values), "camera_id").tolist() == ["7", "12"]
    assert labels(pd.Series([None, "7"]), "camera_id").isna().tolist() == [True, False]


def test_a_manifest_has_what_any_row_knows():
    table = benchmark()
    table.loc[table["split"] == "train", "color"] = pd.NA
    manifest = Manifest("a", table, "o")
    assert manifest.has() - manifest.has("train") == {"color"} and "mask" not in manifest.has()


def test_the_digest_of_a_dataset_covers_its_tests_and_distances():
    manifest = Manifest("a", benchmark(), "o")
    pairs = pd.DataFrame({"first": ["a"], "second": ["b"], "same": [True]})
    apart = pd.DataFrame([[0.0, 1.0], [1.0, 0.0]], index=["c0", "c1"], columns=["c0", "c1"])
    plain = Dataset(manifest, len, (Test("", "veri"),), "")
    others = [
        replace(plain, tests=(Test("", "veriwild"),)),
        replace(plain, tests=(Test("", "veri", gallery=pd.Index(["8_0_0.jpg"])),)),
        replace(plain, tests=(Test("", "veri", pairs=pairs),)),
        replace(plain, tests=(Test("", "veri", threshold_pairs=pairs),)),
        replace(plain, camera_distances=apart),
        replace(plain, camera_distances=2 * apart),
    ]
    assert len({dataset.digest for dataset in [plain, *others]}) == 7
    assert replace(plain, note="other words").digest == plain.digest
