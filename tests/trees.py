"""Small datasets written by hand in the official layouts, for the tests of those that come as plain lists."""

from contextlib import contextmanager

from hypothesis import strategies as st
from PIL import Image

# Image, vehicle; vehicle 0 is a vehicle, and 16 is cut to 1 if a last line is.
VEHICLEID = {"train": ["0000003 0", "0000001 0", "0000002 15"], "800": ["0000005 20", "0000004 20", "0000006 16"]}
VEHICLEID["1600"] = ["0000007 31", "0000008 31", "0000004 20"]
VEHICLE1M = {
    "train_list.txt": ["01/0001.jpg 7 120", "02/0003.jpg 8 33", "01/0002.jpg 7 120"],
    "test_1000.txt": ["03/0005.jpg 9 41", "03/0004.jpg 9 41"],
    "test_2000.txt": ["04/0006.jpg 10 250", "03/0005.jpg 9 41", "04/0007.jpg 10 250"],
}
VERIWILD = {
    "train_list": ["00001/000004", "00001/000007", "00003/000011"],
    "test_3000_query": ["00002/000001"],
    "test_3000": ["00002/000002", "00002/000003"],
}
CAMERAS = {"00001/000004": 14, "00001/000007": 3, "00003/000011": 2, "00002/000001": 14, "00002/000002": 150,
           "00002/000003": 7}  # fmt: skip
INFO = [
    "00001/000004;14;2018-03-11 10:30:58;Changan;SUV;white",
    "00001/000007; 3 ;2018-03-12 00:00:01;Changan;SUV; white",
    "00002/000001;14;2018-03-11 10:31:00;;sedan;black",
    "00002/000002;150;1970-01-01 00:00:10;Audi;sedan;black",
    "00003/000011;2;;Audi;sedan;white",
]
COMPCARS_TRAIN = ["1/11/2010/aa01.jpg", "1/11/2011/aa02.jpg", "1/12/2010/aa03.jpg"]
COMPCARS_REST = ["2/21/unknown/aa04.jpg"]
PAIRS = [
    "3/31/2010/bb01.jpg 3/31/2010/bb02.jpg 1",
    "3/31/2010/bb01.jpg 3/32/2012/bb03.jpg 0",
    "3/31/2010/bb01.jpg 3/31/2010/bb02.jpg 1",
]


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


def pictures(root, names):
    """Each image a colour of its own, 6 by 4 pixels."""
    for number, name in enumerate(sorted(names)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (number, 2 * number, 200)).save(root / name)


def vehicleid(root):
    split, attribute = root / "train_test_split", root / "attribute"
    write(split / "train_list.txt", VEHICLEID["train"])
    for size in ("800", "1600"):
        write(split / f"test_list_{size}.txt", VEHICLEID[size])
    lines = sorted(set(VEHICLEID["train"] + VEHICLEID["800"] + VEHICLEID["1600"]))
    write(attribute / "img2vid.txt", [*lines[::-1], "0000009 44"])
    write(attribute / "color_attr.txt", ["0 4", "20 0"])
    write(attribute / "model_attr.txt", ["15 1", "0 0"])
    write(attribute / "color_names.txt", ["black 0", "blue 1", "gray 2", "red 3", "sliver 4", "white 5", "yellow 6"])
    write(attribute / "model_names.txt", ["五菱荣光2008款 0", "Audi A4 L 1"])
    pictures(root, [f"image/{line[:7]}.jpg" for line in lines])


def veriwild(root, numbered=False):
    split = root / "train_test_split"
    write(split / "vehicle_info.txt", INFO)
    for name, lines in VERIWILD.items():
        if numbered:
            name = "train_list_start0" if name == "train_list" else name.replace("3000", "3000_id")
            lines = [f"{line}.jpg {number} {CAMERAS[line]}" for number, line in enumerate(lines)]
        write(split / f"{name}.txt", lines)
    pictures(root, [f"images/{line}.jpg" for lines in VERIWILD.values() for line in lines])


def vehicle1m(root, folder="image", split="train-test-split"):
    for name, lines in VEHICLE1M.items():
        write(root / split / name, lines)
    pictures(root, [f"{folder}/{line.split()[0]}" for lines in VEHICLE1M.values() for line in lines])


def compcars(root):
    data = root / "data"
    split = data / "train_test_split"
    write(split / "classification/train.txt", COMPCARS_TRAIN)
    write(split / "classification/test.txt", COMPCARS_REST)
    for level in ("easy", "medium", "hard"):
        write(split / f"verification/verification_pairs_{level}.txt", PAIRS)
    header = "model_id maximum_speed displacement door_number seat_number type"
    write(data / "misc/attributes.txt", [header, "11 235 1.8 4 5 3", "12 0 0.0 0 0 0", "31 180 2 5 5 2"])
    write(data / "label/1/11/2010/aa01.txt", ["4", "1", "2 1 5 4"])
    images = {name for pair in PAIRS for name in pair.split()[:2]} | set(COMPCARS_TRAIN + COMPCARS_REST)
    pictures(data / "image", images)


@contextmanager
def mutated(folder, name, data):
    """A file of a folder with a stretch of it replaced at random; put back afterwards, and nothing else may change."""
    path = folder / name
    whole, before = path.read_bytes(), sorted(folder.rglob("*"))
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, min(len(whole), start + 40)))
    bits = [b"", b"../", b"\n", b"\r\n", b"0", b"&x;", b"<!"]
    put_in = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from(bits)))
    try:
        path.write_bytes(whole[:start] + put_in + whole[stop:])
        yield
    finally:
        path.write_bytes(whole)
    assert sorted(folder.rglob("*")) == before
