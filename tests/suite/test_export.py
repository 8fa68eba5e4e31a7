"""Rendered benchmarks in official layouts: read back they are the same, and nothing is left half-written."""

import errno
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import reidpapers.vehicles.export as exports
from reidlib.data import aicity2020, veri776
from reidlib.evaluate import protocols
from reidpapers.vehicles import rendered
from reidpapers.vehicles.export import LAYOUTS, Source, export, rendered_source, simulated_preset
from reidpapers.vehicles.render import Preset, Share

SIZE = (4, 6)


def plain_source(simulated=True):
    """The labels of the smoke preset with one small grey picture for all images, so that a tree is written at once."""
    picture = rendered.encode(np.full((*SIZE, 3), 127, np.uint8), "JPEG")
    mask = rendered.encode(np.full(SIZE, 255, np.uint8), "PNG")
    dataset = rendered.load("smoke")
    source = Source(dataset.manifest.table, lambda _: picture, lambda _: mask, dataset.camera_distances)
    if not simulated:
        return source
    clean = rendered.load(simulated_preset("smoke"), 1)
    return replace(source, simulated=replace(source, table=clean.manifest.table))


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Rendered pictures in each layout, with the names that they got."""
    folder, names = tmp_path_factory.mktemp("exports"), {}
    simulated = rendered_source(simulated_preset("smoke"), 1)
    for layout in ("veri776", "aicity2020"):
        (folder / layout).mkdir()
        names[layout] = LAYOUTS[layout](rendered_source("smoke", 0, simulated), folder / layout)
    return folder, names


def read_back(names, split, original, found):
    """Rendered rows of a split and the rows that were read back for them, in one order."""
    found = found.set_index("image").loc[names[split].loc[original["image"]]]
    return original.reset_index(drop=True), found.reset_index()


def same_groups(first, second):
    """Whether two columns of labels group the rows alike, whatever they call the groups."""
    return np.array_equal(pd.factorize(first)[0], pd.factorize(second)[0])


def without_models(counts):
    """Counts of a layout that has no place for models."""
    return {split: {**found, "models": 0} for split, found in counts.items()}


def test_veri776_reads_back_the_same(trees):
    folder, names = trees[0] / "veri776", trees[1]["veri776"]
    original, dataset = rendered.load("smoke"), veri776.load(folder)
    assert without_models(dataset.manifest.counts()) == without_models(original.manifest.counts())
    for split in ("train", "query", "gallery"):
        left, right = read_back(names, split, original.manifest.rows(split), dataset.manifest.rows(split))
        for column in ("vehicle_id", "camera_id", "color", "type"):
            assert left[column].tolist() == right[column].tolist(), column
        assert same_groups(left["track_id"], right["track_id"])
        assert (left["time"] - right["time"]).abs().max() <= 0.5 / veri776.FPS + 1e-9
        assert right[["model", "bbox"]].isna().all(axis=None)  # for which the layout has no place
        for image, mask, name, masked in zip(left["image"], left["mask"], right["image"], right["mask"], strict=True):
            assert np.array_equal(original.read(image), dataset.read(name))
            assert np.array_equal(original.read_mask(mask), dataset.read_mask(masked))
            assert (folder / name).read_bytes() == rendered.world("smoke").jpeg(image)
    assert np.array_equal(dataset.camera_distances, original.camera_distances)
    assert dataset.camera_distances.index.tolist() == original.camera_distances.index.tolist()


def scored(protocol, features, rows):
    """Scores of rows whose features stand under their images' names."""
    return protocols.evaluate(protocol, torch.stack([features[image] for image in rows["image"]]), rows)


def test_veri776_scores_the_same(trees):
    names, rows = trees[1]["veri776"], rendered.load("smoke").manifest.rows("query", "gallery")
    generator = torch.Generator().manual_seed(5)
    # By place, since a query and its double in the gallery have one name there and two here.
    features = torch.randn(len(rows), 16, generator=generator)
    after = veri776.load(trees[0] / "veri776").manifest.rows("query", "gallery")
    exported = names.loc[pd.MultiIndex.from_frame(rows[["split", "image"]])]
    moved = scored("veri", dict(zip(exported, features, strict=True)), after)
    first = protocols.evaluate("veri", features, rows)
    assert first.mAP == pytest.approx(moved.mAP, abs=1e-12)
    assert np.array_equal(first.cmc, moved.cmc)


@pytest.mark.skipif("aicity2020" not in protocols.PROTOCOLS, reason="the protocol is not there")
def test_aicity2020_scores_the_same(trees):
    names = trees[1]["aicity2020"].loc["train"]
    original = dict(zip(names, names.index, strict=True))
    after = aicity2020.load(trees[0] / "aicity2020").manifest.rows("query", "gallery")
    labels = rendered.load("smoke").manifest.rows("train").set_index("image")
    before = labels.loc[after["image"].map(original)].reset_index().assign(split=after["split"].to_numpy())
    generator = torch.Generator().manual_seed(5)
    features = {image: torch.randn(16, generator=generator) for image in sorted(set(before["image"]))}
    order = np.random.default_rng(0).permutation(len(before))
    first = scored("aicity2020", features, before.iloc[order].reset_index(drop=True))
    second = scored(
        "aicity2020", {name: features[image] for name, image in original.items() if image in features}, after
    )
    assert first.mAP == pytest.approx(second.mAP, abs=1e-12)
    assert np.array_equal(first.cmc, second.cmc)


def test_aicity2020_reads_back_the_same(trees):
    folder, names = trees[0] / "aicity2020", trees[1]["aicity2020"]
    original, dataset = rendered.load("smoke"), aicity2020.load(folder)
    table = dataset.manifest.rows("train", "gallery")
    real = table[~table["vehicle_id"].str.startswith("sim_")]
    left, right = read_back(names, "train", original.manifest.rows("train"), real)
    assert len(left) == len(right) == len(real)
    for column in ("vehicle_id", "camera_id", "color", "type"):
        assert left[column].tolist() == right[column].tolist(), column
    assert same_groups(left["track_id"], right["track_id"])
    assert right[["model", "time", "bbox"]].isna().all(axis=None)
    for image, mask, name, masked in zip(left["image"], left["mask"], right["image"], right["mask"], strict=True):
        assert np.array_equal(original.read(image), dataset.read(name))
        assert np.array_equal(original.read_mask(mask), dataset.read_mask(masked))


def test_aicity2020_holds_the_simulated_part(trees):
    folder, names = trees[0] / "aicity2020", trees[1]["aicity2020"]
    clean, dataset = rendered.load(simulated_preset("smoke"), 1), aicity2020.load(folder)
    train = dataset.manifest.rows("train")
    left, right = read_back(names, "simulated", clean.manifest.rows("train"), train)
    assert ("sim_" + left["vehicle_id"].str.zfill(5)).tolist() == right["vehicle_id"].tolist()
    assert ("sim_" + left["camera_id"]).tolist() == right["camera_id"].tolist()
    for column in ("color", "type"):
        assert left[column].tolist() == right[column].tolist()
    for image, name in zip(left["image"][:20], right["image"][:20], strict=True):
        assert np.array_equal(clean.read(image), dataset.read(name))


@pytest.mark.parametrize("layout", ["veri776", "aicity2020"])
def test_export_writes_what_its_layout_writes(trees, tmp_path, layout):
    folder = export(layout, tmp_path / "out", preset="smoke")
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    assert set(files) == {p.relative_to(trees[0] / layout) for p in (trees[0] / layout).rglob("*") if p.is_file()}
    assert all(path.read_bytes() == (trees[0] / layout / name).read_bytes() for name, path in files.items())
    assert os.listdir(tmp_path) == ["out"]


def test_the_official_details_of_veri776(trees):
    folder = trees[0] / "veri776"
    label = (folder / "test_label.xml").read_bytes()
    assert label.startswith(
        b'<?xml version="1.0" encoding="gb2312" ?>\r\n<TrainingImages Version="1.0">\r\n<Items number'
    )
    for path in folder.glob("*.txt"):
        content = path.read_bytes()
        assert content.count(b"\r\n") == content.count(b"\n") > 0
    query = (folder / "name_query.txt").read_text().split()
    test = (folder / "name_test.txt").read_text().split()
    assert set(query) <= set(test)
    for index, same in (("gt_index.txt", False), ("jk_index.txt", True)):
        for name, line in zip(query, (folder / index).read_text().splitlines(), strict=True):
            wanted = {t for t in test if t[:4] == name[:4] and (t[5:9] == name[5:9]) == same}
            assert {test[int(place) - 1] for place in line.split()} == wanted


def test_the_official_details_of_aicity2020(trees):
    folder = trees[0] / "aicity2020" / "AIC20_ReID"
    assert b"\r" not in (folder / "train_label.xml").read_bytes()
    names = [line.split('"')[1] for line in (folder / "train_label.xml").read_text().splitlines() if "<Item " in line]
    assert sorted(names) != names and sorted(names) == (folder / "name_train.txt").read_text().split()
    assert (folder / "image_test" / "000001.jpg").exists() and (folder / "image_query" / "000001.jpg").exists()
    for line in (folder / "train_track_id.txt").read_text().splitlines():
        assert line.endswith(" ") and all(str(int(number)) == number for number in line.split())
    assert not list(folder.glob("test_label*"))


def full_disk(source, folder):
    (folder / "half.txt").write_text("half")
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(source, folder):
    (folder / "half.txt").write_text("half")
    raise KeyboardInterrupt


@pytest.mark.parametrize(("write", "error"), [(full_disk, OSError), (interrupted, KeyboardInterrupt)])
@pytest.mark.parametrize("there", [False, True])
def test_a_stopped_export_leaves_nothing(tmp_path, monkeypatch, write, error, there):
    monkeypatch.setattr(exports, "_draw", lambda *_: None)
    monkeypatch.setitem(LAYOUTS, "veri776", write)
    if there:
        (tmp_path / "out").mkdir()
    with pytest.raises(error, match="no space" if write is full_disk else None):
        export("veri776", tmp_path / "out", preset="smoke")
    assert os.listdir(tmp_path) == (["out"] if there else [])
    assert not there or not os.listdir(tmp_path / "out")


def test_an_export_takes_an_empty_folder_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "_draw", lambda *_: None)
    monkeypatch.setitem(LAYOUTS, "veri776", lambda source, folder: (folder / "list.txt").write_text("whole"))
    (tmp_path / "empty").mkdir()
    export("veri776", tmp_path / "empty", preset="smoke")
    assert (tmp_path / "empty" / "list.txt").read_text() == "whole"
    with pytest.raises(FileExistsError, match="not empty"):
        export("veri776", tmp_path / "empty", preset="smoke")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="no plain folder"):
        export("veri776", tmp_path / "file", preset="smoke")
    assert sorted(os.listdir(tmp_path)) == ["empty", "file"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layout": "veri"}, "unknown layout 'veri': allowed are veri776"),
        ({"preset": "huge"}, "unknown preset 'huge'"),
        ({"seed": -1}, "allowed"),
        ({"workers": 0}, "workers 0"),
    ],
)
def test_refusals(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        export(**{"layout": "veri776", "folder": tmp_path / "out", "preset": "smoke"} | wrong)
    assert not os.listdir(tmp_path)


def test_aicity2020_needs_a_simulated_part(tmp_path):
    with pytest.raises(ValueError, match="simulated"):
        LAYOUTS["aicity2020"](plain_source(simulated=False), tmp_path)


def test_processes_draw_the_same_pictures(tmp_path, monkeypatch):
    tiny = Preset("tiny", Share(2, 12, 4, 2), Share(2, 12, 4, 2), sizes=(16, 20))
    alone = [rendered.world(tiny).jpeg(image) for image in rendered.load(tiny).manifest.rows("train")["image"]]
    monkeypatch.setattr(exports, "CHUNK", 6)
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    exports._draw(tiny, 0, 2, False)
    drawn = {path.name: path.read_bytes() for path in tmp_path.rglob("*.jpg")}
    images = rendered.load(tiny).manifest.rows("train")["image"]
    assert len(drawn) == 24 and [drawn[image] for image in images] == alone


def test_the_simulated_companion_is_clean_and_as_large():
    table = rendered.load(simulated_preset("smoke"), 1).manifest.rows("train")
    assert len(table) == rendered.PRESETS["smoke"].train.images
    for name, preset in rendered.PRESETS.items():
        clean = simulated_preset(name)
        assert clean.occlusion == 0 and clean.name != name and clean.train == preset.train
