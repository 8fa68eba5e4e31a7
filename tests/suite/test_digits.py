"""The digits adapter: MNIST's files, packed or not, and scikit-learn's digits in their place."""

import gzip
import hashlib
import pickle
import struct

import numpy as np
import pytest
from sklearn.datasets import load_digits
from torchvision.datasets import MNIST

from reidpapers import digits

TRAIN, TEST = 30, 20


def idx(array):
    """An array in the IDX format, as MNIST is published."""
    return struct.pack(f">4B{array.ndim}i", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def arrays():
    rng = np.random.default_rng(3)
    images = [rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (TRAIN, TEST)]
    labels = [rng.integers(0, 10, n, dtype=np.uint8) for n in (TRAIN, TEST)]
    return {"train": (images[0], labels[0]), "test": (images[1], labels[1])}


@pytest.fixture
def root(tmp_path, arrays, monkeypatch):
    """A folder with four small packed files, published under their own checksums."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    contents = [idx(array) for part in arrays.values() for array in part]
    published = []
    for (name, _), content in zip(MNIST.resources, contents, strict=True):
        (raw / name).write_bytes(gzip.compress(content))
        published.append((name, hashlib.md5((raw / name).read_bytes()).hexdigest()))
    monkeypatch.setattr(MNIST, "resources", published)
    return tmp_path


def unpack(root):
    for packed in (root / "MNIST" / "raw").glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()


def test_mnist_rows_are_labels_in_file_order(root, arrays):
    dataset = digits.load(root)
    table = dataset.manifest.table
    assert list(table["split"].unique()) == ["train", "query", "gallery"]
    assert dataset.manifest.rows("train")["vehicle_id"].tolist() == [str(label) for label in arrays["train"][1]]
    query, gallery = dataset.manifest.rows("query"), dataset.manifest.rows("gallery")
    assert query["image"].tolist() == gallery["image"].tolist() == [f"test/{i:05d}" for i in range(TEST)]
    assert gallery["vehicle_id"].tolist() == [str(label) for label in arrays["test"][1]]
    assert table[["camera_id", "color", "type", "model", "track_id", "time", "bbox", "mask"]].isna().all(axis=None)
    assert [test.protocol for test in dataset.tests] == ["leave_one_out"]
    assert "MNIST" in dataset.note and "stand-in" not in dataset.note


def test_pixels_are_the_files_pixels_and_reading_survives_pickling(root, arrays):
    read = pickle.loads(pickle.dumps(digits.load(root).read))
    for part, (images, _) in arrays.items():
        for i in (0, len(images) - 1):
            pixels = read(f"{part}/{i:05d}")
            assert pixels.shape == (28, 28, 3) and pixels.dtype == np.uint8
            assert (pixels == images[i][:, :, None]).all()


def test_pixels_equal_those_of_torchvision(root):
    read = digits.load(root).read
    unpack(root)
    for train, part in ((True, "train"), (False, "test")):
        theirs = MNIST(root, train=train)
        ours = np.stack([read(f"{part}/{i:05d}")[:, :, 0] for i in range(len(theirs))])
        assert (ours == theirs.data.numpy()).all()


def test_packed_and_unpacked_files_are_the_same_data(root):
    packed = digits.load(root).manifest.digest
    digits._digits.cache_clear()
    unpack(root)
    assert digits.load(root).manifest.digest == packed


def test_a_folder_is_only_read(root):
    before = sorted(path.name for path in root.rglob("*"))
    digits.load(root).read("train/00000")
    assert sorted(path.name for path in root.rglob("*")) == before


def test_the_environment_names_the_folder(root, monkeypatch):
    monkeypatch.setenv("REIDLIB_DATA", str(root))
    assert digits.load().manifest.name == "mnist"


def test_other_pixels_have_another_digest(root, arrays, monkeypatch):
    before = digits.load(root).manifest.digest
    digits._digits.cache_clear()
    unpack(root)
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert digits.load(root).manifest.digest != before


def test_limits_keep_the_first_images(root):
    whole, part = digits.load(root).manifest, digits.load(root, train=7, test=5).manifest
    assert part.counts()["train"]["images"] == 7
    assert part.counts()["query"]["images"] == part.counts()["gallery"]["images"] == 5
    assert part.rows("train")["image"].tolist() == whole.rows("train")["image"].tolist()[:7]
    assert part.digest != whole.digest


@pytest.mark.parametrize("limit", [{"train": 0}, {"test": -1}, {"train": TRAIN + 1}, {"test": 10**6}])
def test_a_limit_out_of_range_is_refused(root, limit):
    (name, value) = next(iter(limit.items()))
    with pytest.raises(ValueError, match=f"{name} {value}: allowed are 1 to {TRAIN if name == 'train' else TEST}"):
        digits.load(root, **limit)


def test_an_unknown_source_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'minst': allowed are auto, mnist, sklearn"):
        digits.load(tmp_path, "minst")


def test_a_changed_packed_file_is_refused(root):
    path = root / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte.gz is damaged: md5 \w+, published \w+"):
        digits.load(root)


def test_a_packed_file_that_does_not_unpack_is_refused(root, monkeypatch):
    name, _ = MNIST.resources[0]
    path = root / "MNIST" / "raw" / name
    path.write_bytes(path.read_bytes()[:-9])
    published = [(name, hashlib.md5(path.read_bytes()).hexdigest()), *MNIST.resources[1:]]
    monkeypatch.setattr(MNIST, "resources", published)
    with pytest.raises(ValueError, match="train-images-idx3-ubyte.gz is damaged"):
        digits.load(root)


@pytest.mark.parametrize("size", [0, 3, 10, 1000])
def test_a_truncated_unpacked_file_is_refused(root, size):
    unpack(root)
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=f"train-images-idx3-ubyte.gz is damaged: {size} bytes"):
        digits.load(root)


def test_images_and_labels_must_belong_together(root, arrays):
    unpack(root)
    path = root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(idx(arrays["train"][1][:-1]))
    with pytest.raises(ValueError, match="do not match"):
        digits.load(root)


def test_a_half_filled_folder_is_no_silent_stand_in(root):
    (root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"not complete in .*raw: t10k-labels-idx1-ubyte.gz missing"):
        digits.load(root)


def test_absent_mnist_is_an_error_only_when_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="REIDLIB_DATA"):
        digits.load(tmp_path, "mnist")
    dataset = digits.load(tmp_path)
    assert dataset.manifest.name == "sklearn" and "stand-in for MNIST" in dataset.note
    assert not list(tmp_path.iterdir())


def test_download_is_left_to_torchvision(root, tmp_path_factory, monkeypatch):
    target = tmp_path_factory.mktemp("target")

    def fetch(self, folder, download):
        assert download
        (root / "MNIST").rename(target / "MNIST")

    monkeypatch.setattr(MNIST, "__init__", fetch)
    assert digits.load(target, download=True).manifest.name == "mnist"


def test_sklearn_digits_stand_in(tmp_path):
    dataset = digits.load(tmp_path, "sklearn")
    counts = dataset.manifest.counts()
    assert counts["train"] == {"images": 1297, "vehicles": 10, "cameras": 0, "models": 0}
    assert counts["query"] == counts["gallery"] == {"images": 500, "vehicles": 10, "cameras": 0, "models": 0}
    assert digits.load(tmp_path, "sklearn").manifest.digest == dataset.manifest.digest


def test_sklearn_images_are_each_used_once_with_their_own_label(tmp_path):
    dataset = digits.load(tmp_path, "sklearn")
    rows = dataset.manifest.rows("train", "gallery")
    pixels = [dataset.read(name)[:, :, 0].tobytes() for name in rows["image"]]
    ours = sorted(zip(pixels, rows["vehicle_id"], strict=True))
    images, labels = load_digits(return_X_y=True)
    scaled = (images * 255 / 16).round().astype(np.uint8)
    assert ours == sorted((row.tobytes(), str(label)) for row, label in zip(scaled, labels, strict=True))
    assert scaled.max() == 255
