"""One's own pictures: labels from a table, from names, from folders; split by vehicle; what cannot be is refused."""

import pandas as pd
import pytest
import trees
from PIL import Image

from reidlib.data import DataSource, folder, load
from reidlib.data.files import DatasetError
from reidlib.evaluate import protocols
from reidpapers.run.scorable import unscorable

NAMES = [f"v{vehicle}_c{camera}_{shot}.jpg" for vehicle in range(6) for camera in (1, 2) for shot in (0, 1)]


@pytest.fixture
def root(tmp_path):
    trees.pictures(tmp_path, NAMES)
    return tmp_path


def table(root, header, *lines):
    trees.write(root / "labels.csv", [header, *lines])


def test_names_give_vehicle_and_camera(root):
    dataset = load(DataSource("folder", str(root)))
    rows = dataset.manifest.table
    assert dataset.manifest.counts() == {
        "train": {"images": 12, "vehicles": 3, "cameras": 2, "models": 0},
        "query": {"images": 6, "vehicles": 3, "cameras": 2, "models": 0},
        "gallery": {"images": 12, "vehicles": 3, "cameras": 2, "models": 0},
    }
    assert (rows["image"].str[:5] == rows["vehicle_id"] + "_" + rows["camera_id"]).all()
    assert dataset.tests[0].protocol == "veri" and not unscorable(dataset)
    assert dataset.read("v0_c1_0.jpg").shape == (4, 6, 3)
    tested = set(dataset.manifest.rows("gallery")["vehicle_id"])
    others = [set(folder.load(root, seed).manifest.rows("gallery")["vehicle_id"]) for seed in range(5)]
    assert tested == others[0] and any(tested != other for other in others), "the seed decides"


def test_a_pattern_of_ones_own(root):
    for path in root.glob("*.jpg"):
        vehicle, camera, shot = path.stem.split("_")
        path.rename(root / f"{camera}-red-{vehicle}-{shot}.jpg")
    with pytest.raises(DatasetError, match="24 of 24 pictures are not named .*pattern.txt"):
        folder.load(root)
    trees.write(root / "pattern.txt", ["{camera_id}-{color}-{vehicle_id}-*.jpg"])
    rows = folder.load(root).manifest.table
    assert set(rows["vehicle_id"]) == {f"v{number}" for number in range(6)} and set(rows["color"]) == {"red"}
    trees.write(root / "pattern.txt", ["{wheels}_{vehicle_id}*.jpg"])
    with pytest.raises(DatasetError, match="must hold {vehicle_id}"):
        folder.load(root)


def test_one_folder_a_vehicle_is_scored_without_cameras(root):
    for name in NAMES:
        (root / name[:2]).mkdir(exist_ok=True)
        (root / name).rename(root / name[:2] / name[3:])
    dataset = folder.load(root)
    assert set(dataset.manifest.table["vehicle_id"]) == {f"v{number}" for number in range(6)}
    assert dataset.tests[0].protocol == "vehicleid" and not len(dataset.manifest.rows("query"))
    assert protocols.PROTOCOLS["vehicleid"].tasks(dataset.manifest.rows("gallery")) and not unscorable(dataset)


def test_a_table_says_all_that_a_manifest_holds(root):
    (root / "m.png").write_bytes(b"")
    Image.new("L", (6, 4), 255).save(root / "m.png")
    header = "image,vehicle_id,camera_id,split,color,time,bbox,mask"
    lines = [f"{name},{name[:2]},{name[3:5]},{'train' if name < 'v3' else 'gallery'},,,," for name in NAMES]
    lines[0] = "v0_c1_0.jpg,NA,1,train,rot,12.5,0 1 5 4,m.png"
    lines += [line.replace("gallery", "query") for line in lines if "_0.jpg" in line and "gallery" in line]
    table(root, header, *lines)
    dataset = folder.load(root)
    row = dataset.manifest.table.set_index("image").loc["v0_c1_0.jpg"]
    assert row[["vehicle_id", "camera_id", "color", "time", "bbox"]].tolist() == ["NA", "1", "rot", 12.5, (0, 1, 5, 4)]
    assert dataset.read_mask("v0_c1_0.jpg").shape == (4, 6) and "splits as given" in dataset.note
    assert folder.load(root, 1).digest == dataset.digest


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        ("image,car", "v0_c1_0.jpg,1", r"\['vehicle_id'\] are missing and \['car'\] unknown"),
        ("image,vehicle_id", "v0_c1_0.jpg,", "1 of its lines lack vehicle_id .*line 2"),
        ("image,vehicle_id", "../x.jpg,1", "outside the dataset's folder"),
        ("image,vehicle_id,split", "v0_c1_0.jpg,1,test", "have a split none of train, query, gallery"),
        ("image,vehicle_id,time", "v0_c1_0.jpg,1,noon", "no number of seconds"),
        ("image,vehicle_id,bbox", "v0_c1_0.jpg,1,0 1 2", "not x1 y1 x2 y2"),
        ("image,vehicle_id,bbox", "v0_c1_0.jpg,1,-3 1 5 4", "not x1 y1 x2 y2"),  # never read as 3
        ("image,vehicle_id", "v0_c1_0.jpg,1", "1 vehicles, 0 of them with two images"),
    ],
)
def test_tables_that_make_no_sense_are_refused(root, header, line, message):
    table(root, header, line)
    with pytest.raises(DatasetError, match=message):
        folder.load(root)


def test_a_vehicle_is_not_trained_on_and_tested(root):
    table(root, "image,vehicle_id,split", "v0_c1_0.jpg,1,train", "v0_c2_0.jpg,1,gallery")
    with pytest.raises(DatasetError, match="1 vehicles are for training and for testing: 1"):
        folder.load(root)


def test_a_single_camera_is_said_before_training(root):
    rows = "\n".join(f"{name},{name[:2]},1,{'train' if name < 'v3' else split}" for split in ("query", "gallery")
                     for name in NAMES if split == "gallery" or name >= "v3")  # fmt: skip
    table(root, "image,vehicle_id,camera_id,split", *rows.split("\n"))
    (problem,) = unscorable(folder.load(root))
    assert "of 12 queries 0 have no gallery image of their vehicle, and for 12 all of these are junk" in problem
    lines = pd.Series(rows.split("\n")).str.replace(r",v(\d),1,query", r",x\1,1,query", regex=True)
    table(root, "image,vehicle_id,camera_id,split", *lines)
    (problem,) = unscorable(folder.load(root))
    assert "of 12 queries 12 have no gallery image of their vehicle, and for 0 all" in problem
