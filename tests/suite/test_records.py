"""Records: complete or not there; a broken file is named and never read."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reidlib import places
from reidpapers.mlsl.config import MLSLConfig
from reidpapers.run import records
from reidpapers.run.config import Config
from reidpapers.run.records import BrokenRecord, Record


def record(**changes):
    fields = {
        "schema": 1, "paper": "mlsl", "key": "0123456789abcdef-01234567", "config": {"seed": 0, "labels": ["id"]},
        "seed": 0, "data": {"name": "toy", "digest": "ab"}, "scores": {"mAP": 0.25, "top1": 0.5},
        "queries": {"ap": [0.25, None], "first": [2, 0]}, "history": {"iteration": [0, 1], "total": [1.5, 1.0]},
        "cost": {"seconds": 1.0},
        "device": {"type": "cpu", "threads": 1}, "versions": {"python": "3.11"}, "commit": "abc", "code": "ff",
        "created": "2026-01-01T00:00:00+00:00", "probe": {"loss": [1.0, 1 / 3]}, "exhibits": {},
    }  # fmt: skip
    return Record(**{**fields, **changes})


def test_a_record_survives_the_file(tmp_path):
    written = records.write(record(), tmp_path / "deep" / "one.json")
    found = records.read(tmp_path / "deep" / "one.json")
    assert found == written and found.body() == record().body()
    assert found.freshness == "unverified" and len(found.sha256) == 64
    assert found.probe["loss"][1] == 1 / 3, "numbers keep all their digits"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["one.json"], "no draft is left"


def test_a_field_that_the_run_does_not_use_may_differ_from_the_records():
    for learning, same in (("feature", True), ("joint", False)):
        config = MLSLConfig(learning=learning, device="cpu").canonical()
        fields = {name: value for name, value in config.portable().items() if name != "flip"}  # as before flip was
        assert records.is_of(record(config=fields), config)
        assert records.is_of(record(config={**fields, "dropout": 0.7}), config) is same
    assert not records.is_of(record(config={**fields, "dropout": 7}), config), "it is refused today"


def test_tuples_become_lists_before_the_checksum(tmp_path):
    written = records.write(record(config={"labels": ("id", "type"), "seed": 0}), tmp_path / "one.json")
    assert written.config["labels"] == ["id", "type"] and records.read(tmp_path / "one.json") == written


FIELDS = st.sampled_from(["image", "match", "distance", "top", "columns"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3)
    | st.integers(1, 4).flatmap(lambda n: st.lists(st.fixed_dictionaries({"a": inner, "b": inner}), min_size=n)),
)  # fmt: skip


@given(VALUES)
def test_rows_stand_as_columns_and_come_back(value):
    try:
        found = records.packed(value)
    except ValueError as error:
        assert "'columns' by itself is refused" in str(error)
        return
    assert records.unpacked(json.loads(json.dumps(found))) == value


def test_rows_of_a_file_name_their_fields_once(tmp_path):
    rows = [{"image": f"{place}.jpg", "distance": place / 2} for place in range(3)]
    lists = [{"query": {"image": "q"}, "top": rows}, {"query": {"image": "p"}, "top": rows[:2]}]
    written = records.write(record(exhibits={"retrieval": lists}), tmp_path / "one.json")
    kept = json.loads((tmp_path / "one.json").read_text())["exhibits"]["retrieval"]["columns"]
    assert kept["query"] == {"columns": {"image": ["q", "p"]}}
    assert kept["top"][1] == {"columns": {"image": ["0.jpg", "1.jpg"], "distance": [0.0, 0.5]}}
    assert written.exhibits["retrieval"] == lists == records.read(tmp_path / "one.json").exhibits["retrieval"]


@pytest.mark.parametrize("kept", [0, 1, 0.3, 0.9, -1])
def test_a_truncated_record_is_broken(tmp_path, kept):
    path = tmp_path / "one.json"
    records.write(record(), path)
    text = path.read_text()
    path.write_text(text[: kept if isinstance(kept, int) else int(kept * len(text))])
    with pytest.raises(BrokenRecord, match=r"one\.json is truncated or no record"):
        records.read(path)


@pytest.mark.parametrize(
    "old, new", [('"mAP":0.25', '"mAP":0.35'), ('"seed":0', '"seed":1'), ('"code":"ff"', '"code":"fe"')]
)
def test_an_altered_record_is_broken(tmp_path, old, new):
    path = tmp_path / "one.json"
    records.write(record(), path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BrokenRecord, match=r"one\.json was altered"):
        records.read(path)


@pytest.mark.parametrize(
    "field",
    [field.name for field in dataclasses.fields(Record) if field.name not in ("freshness", "tests", "weights", "fit")],
)
def test_a_missing_field_breaks_a_record(tmp_path, field):
    path = tmp_path / "one.json"
    records.write(record(), path)
    body = json.loads(path.read_text())
    del body[field]
    path.write_text(json.dumps(body))
    with pytest.raises(BrokenRecord, match=r"one\.json"):
        records.read(path)


COLUMNS = ('{"columns": [1]}', '{"columns": {"a": 1}}', '{"columns": {"a": [1], "b": []}}')


@pytest.mark.parametrize("text", ["[]", "null", "3", '"text"', '{"extra": 1}', "\x00\x01", "{}", *COLUMNS])
def test_other_content_is_no_record(tmp_path, text):
    (tmp_path / "one.json").write_text(text)
    with pytest.raises(BrokenRecord, match=r"one\.json"):
        records.read(tmp_path / "one.json")


def test_bytes_that_are_no_text_are_no_record(tmp_path):
    (tmp_path / "one.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(BrokenRecord, match=r"one\.json"):
        records.read(tmp_path / "one.json")


def test_an_added_field_breaks_a_record(tmp_path):
    path = tmp_path / "one.json"
    records.write(record(), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "rank": 1}))
    with pytest.raises(BrokenRecord, match=r"one\.json"):
        records.read(path)


def test_a_stated_freshness_is_not_believed(tmp_path):
    path = tmp_path / "one.json"
    records.write(record(), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "freshness": "fresh"}))
    with pytest.raises(BrokenRecord, match=r"one\.json"):
        records.read(path)


def test_the_layout_of_the_file_does_not_matter(tmp_path):
    path = tmp_path / "one.json"
    written = records.write(record(), path)
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items())), indent=2))
    assert records.read(path) == written


def test_a_broken_record_is_warned_of_and_passed_over(tmp_path):
    records.write(record(), tmp_path / "a.json")
    records.write(record(seed=1), tmp_path / "b.json")
    (tmp_path / "a.json").write_text('{"schema": 1')
    with pytest.warns(UserWarning, match=r"a\.json .*computed again"):
        assert records.read_or_warn(tmp_path / "a.json") is None
    assert records.read_or_warn(tmp_path / "none.json") is None
    with pytest.warns(UserWarning, match=r"a\.json"):
        assert [found.seed for found in records.read_all(tmp_path)] == [1]


def test_a_record_too_large_or_not_finite_is_refused_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "one.json"
    written = records.write(record(), path)
    with pytest.raises(ValueError, match="at most 200000"):
        records.write(record(history={"total": [0.123456] * 30_000}), path)
    with pytest.raises(ValueError, match="JSON"):
        records.write(record(scores={"mAP": float("nan")}), path)
    assert records.read(path) == written and len(list(tmp_path.iterdir())) == 1


def test_a_failed_write_leaves_the_old_record(tmp_path, monkeypatch):
    path = tmp_path / "one.json"
    written = records.write(record(), path)
    monkeypatch.setattr(places.os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("power is gone")))
    with pytest.raises(OSError, match="power"):
        records.write(record(seed=2), path)
    assert records.read(path) == written


def test_names_follow_paper_configuration_and_data():
    names = {
        records.name(paper, Config(device="cpu", seed=seed), digest)
        for paper in ("mlsl", "drdl") for seed in (0, 1) for digest in ("0" * 64, "1" * 64)
    }  # fmt: skip
    assert len(names) == 8
    same_run = {name.partition("-")[0] for name in names}
    assert len(same_run) == 4, "the data's part stands apart, so that a record on older data can be found"


def test_stores_come_in_order(monkeypatch, tmp_path):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    own, committed = records.stores("mlsl")
    assert own == tmp_path / "records" / "mlsl" and committed.parts[-3:] == ("results", "mlsl", "records")
    assert records.stores("mlsl", committed=False) == [own]
