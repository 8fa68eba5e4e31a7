"""The embedded vehicles as a dataset: exact counts, true labels, pixels made once and mended when damaged."""

import numpy as np
import pandas as pd
import pytest

from reidpapers.vehicles import rendered


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    yield tmp_path


@pytest.mark.parametrize(
    ("preset", "train", "query", "gallery"),
    [
        ("smoke", (144, 24, 4), (30, 12, 4), (72, 12, 4)),
        ("small", (2400, 200, 8), (400, 100, 8), (1200, 100, 8)),
        ("study_smoke", (144, 24, 4), (30, 12, 4), (72, 12, 4)),
        ("veri", (37778, 576, 20), (1678, 200, 19), (11579, 200, 19)),  # VeRi-776's own counts
    ],
)
def test_presets_have_their_counts_exactly(preset, train, query, gallery):
    counts = rendered.load(preset).manifest.counts()
    assert {split: tuple(found.values())[:3] for split, found in counts.items()} == {
        "train": train, "query": query, "gallery": gallery,
    }  # fmt: skip


def test_a_query_is_one_gallery_image_of_each_vehicle_and_camera():
    manifest = rendered.load("small").manifest
    query, gallery = manifest.rows("query"), manifest.rows("gallery")
    assert set(query["image"]) <= set(gallery["image"])
    pairs = ["vehicle_id", "camera_id"]
    assert not query.duplicated(pairs).any()
    assert len(query) == len(gallery.drop_duplicates(pairs))
    assert set(manifest.rows("train")["vehicle_id"]).isdisjoint(gallery["vehicle_id"])
    assert gallery.groupby("vehicle_id")["camera_id"].nunique().min() >= 2


def test_tracks_are_one_vehicle_at_one_camera_in_order_of_time():
    rows = rendered.load("small").manifest.rows("train", "gallery")
    for _, track in rows.groupby("track_id"):
        assert track["vehicle_id"].nunique() == 1 and track["camera_id"].nunique() == 1
        assert track["time"].max() - track["time"].min() < 60
    labels = rows.groupby("vehicle_id")[["color", "type", "model"]].nunique()
    assert (labels == 1).all().all()


def test_vehicles_take_their_time_from_camera_to_camera():
    metres = rendered.world("small").camera_distances
    assert np.allclose(metres, metres.T) and (np.diag(metres) == 0).all()
    rows = rendered.load("small").manifest.rows("gallery")
    seen = rows.groupby(["vehicle_id", "camera_id"])["time"].agg(["min", "max"]).reset_index()
    for _, visits in seen.groupby("vehicle_id"):
        visits = visits.sort_values("min")
        for before, after in zip(visits.itertuples(), visits.iloc[1:].itertuples(), strict=False):
            way = metres.loc[before.camera_id, after.camera_id]
            assert after.min > before.max
            assert way / (after.min - before.min) < 40  # metres a second


def test_pixels_and_masks_fit_their_labels(cache):
    dataset = rendered.load("smoke")
    row = dataset.manifest.rows("gallery").iloc[3]
    pixels, mask = dataset.read(row["image"]), dataset.read_mask(row["mask"])
    assert pixels.dtype == np.uint8 and pixels.shape[:2] == mask.shape
    assert set(np.unique(mask)) <= {0, 255}
    x1, y1, x2, y2 = row["bbox"]
    assert 0 <= x1 < x2 <= pixels.shape[1] and 0 <= y1 < y2 <= pixels.shape[0]
    outside = mask.copy()
    outside[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = 0
    assert not outside.any()


def test_a_damaged_file_is_drawn_again(cache):
    dataset = rendered.load("smoke")
    image = dataset.manifest.table["image"][0]
    first = dataset.read(image)
    (path,) = cache.rglob(image)
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"nonsense"):
        path.write_bytes(damage)
        assert np.array_equal(dataset.read(image), first)
        assert path.read_bytes() == whole


def test_the_origin_tells_benchmarks_apart():
    digests = {
        rendered.load("smoke").manifest.digest,
        rendered.load("smoke", seed=1).manifest.digest,
        rendered.load("smoke", paint_jitter=0.1).manifest.digest,
    }
    assert len(digests) == 3
    assert rendered.load("smoke").manifest.digest in digests


def test_the_known_pixel_digest_is_used_for_the_known_source_only(monkeypatch, tmp_path, cache):
    monkeypatch.setattr(rendered, "PIXEL_DIGESTS", tmp_path / "known.json")
    own = rendered._pixels()
    rendered.publish_pixels()
    code = rendered.code_digest("reidpapers.vehicles.render")
    assert rendered._published() == {code: own, f"{code}-street": rendered._pixels("street")}
    monkeypatch.setattr(rendered, "code_digest", lambda *names: "other source")
    monkeypatch.setattr(rendered, "pixel_digest", lambda style: "f" * 64)
    assert rendered._pixels() == "f" * 64


@pytest.mark.parametrize(
    "wrong", [{"preset": "large"}, {"preset": "smoke", "seed": -1}, {"preset": "smoke", "paint_jitter": 2}]
)
def test_refusals(wrong):
    with pytest.raises(ValueError, match="allowed"):
        rendered.load(**wrong)


def test_an_unknown_image_is_refused():
    with pytest.raises(KeyError, match="no image"):
        rendered.load("smoke").read("9999_c001_00000000_99999.jpg")


def test_labels_are_complete():
    table = rendered.load("small").manifest.table
    assert not table.isna().any().any()
    assert pd.api.types.is_float_dtype(table["time"])
