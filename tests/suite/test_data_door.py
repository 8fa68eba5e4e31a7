"""What is refused of data before anything is computed; data that change are looked at again."""

import pytest
import trees

from reidpapers.run import datasets
from reidpapers.run.config import ConfigError
from reidpapers.run.papers import load

MLSL = load("mlsl")


@pytest.fixture
def root(tmp_path):
    trees.pictures(tmp_path, [f"v{vehicle}_c{camera}_0.jpg" for vehicle in range(6) for camera in (1, 2)])
    return tmp_path


def config(root, **values):
    return MLSL.Config(profile="smoke", dataset="folder", data_root=str(root), device="cpu", **values)


def labelled(root, camera):
    """A table in which vehicle 0 to 2 are trained on, and the others seen by one camera, or by both."""
    rows = [
        (f"v{vehicle}_c{number}_0.jpg", vehicle, camera or number, split)
        for vehicle in range(6)
        for number in (1, 2)
        for split in (["train"] if vehicle < 3 else ["query", "gallery"])
    ]
    trees.write(root / "labels.csv", ["image,vehicle_id,camera_id,split", *(",".join(map(str, row)) for row in rows)])


def test_a_test_without_matches_is_refused_and_accepted_once_it_is_mended(root):
    labelled(root, camera=1)
    with pytest.raises(ConfigError, match="folder is refused, as it cannot be scored: .* for 6 all of these are junk"):
        MLSL.data(config(root))
    labelled(root, camera=None)
    assert MLSL.data(config(root))["identities"] == 3


def test_a_folder_that_grew_is_looked_at_again(root):
    before, first = MLSL.data(config(root)), datasets.load(config(root).source)
    assert datasets.load(config(root).source) is first
    trees.pictures(root, [f"v{vehicle}_c{camera}_1.jpg" for vehicle in range(8) for camera in (1, 2)])
    after = MLSL.data(config(root))
    assert (before["identities"], after["identities"]) == (3, 4) and before["digest"] != after["digest"]


def test_the_seed_of_the_split_makes_other_runs(root):
    one, other = config(root), config(root, data_seed=1)
    assert one.fingerprint() != other.fingerprint() and MLSL.data(one)["digest"] != MLSL.data(other)["digest"]
    digits = MLSL.Config(dataset="digits", device="cpu")
    assert digits.fingerprint() == digits.but(data_seed=1).fingerprint()
