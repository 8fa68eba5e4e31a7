"""The image store: decoded once, taken up again after a kill, complete or not there; bad images named all at once."""

import errno
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from reidlib.data.images import CorruptImages, Resident, open_store
from reidlib.data.manifest import COLUMNS, Dataset, Manifest
from reidpapers.run import provenance

COUNT = 400  # four chunks, the last one short


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


def picture(name):
    """A picture that its name settles, 20 by 12 pixels."""
    return np.random.default_rng(int(name)).integers(0, 256, (20, 12, 3), dtype=np.uint8)


def read(name, *, log=None, bad=(), damaged=()):
    if log:
        with Path(log).open("a") as file:
            file.write(f"{name}\n")
    if name in bad:
        raise OSError("image file is truncated")
    if name in damaged:
        raise ValueError("not a JPEG")
    return picture(name)


def killed(name, *, at):
    """The reader of a process that is killed at an image."""
    if name == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return picture(name)


def dataset(reader, count=COUNT, origin="one"):
    names = [f"{i:04d}" for i in range(count)]
    table = pd.DataFrame({"image": names, "split": "gallery", "vehicle_id": "v"}).reindex(columns=list(COLUMNS))
    queries = table.head(50).assign(split="query")  # the same images: stored once
    return Dataset(Manifest("toy", pd.concat([table, queries]), origin), reader, (), "")


def expected(name, size=16):
    return np.asarray(Image.fromarray(picture(name)).resize((size, size), Image.Resampling.BILINEAR))


def read_names(log):
    return Path(log).read_text().split() if Path(log).exists() else []


def test_every_image_is_stored_under_its_name():
    store = open_store(dataset(read), 16)
    assert store.pixels.shape == (COUNT, 16, 16, 3) and store.pixels.dtype == np.uint8
    for name in ("0000", "0127", "0128", "0399"):
        assert (store.image(name) == expected(name)).all()
    rows = pd.DataFrame({"image": ["0005", "0001", "0005"]})
    assert store.places(rows).tolist() == [store.names[name] for name in rows["image"]]


def test_images_are_decoded_once(tmp_path, cache):
    log = tmp_path / "read.txt"
    data = dataset(partial(read, log=log))
    open_store(data, 16)
    assert sorted(read_names(log)) == sorted(set(data.manifest.table["image"]))
    open_store(data, 16)
    assert len(read_names(log)) == COUNT
    open_store(data, 24)
    assert len(read_names(log)) == 2 * COUNT, "another size is another store"
    open_store(dataset(partial(read, log=log), origin="two"), 16)
    assert len(read_names(log)) == 3 * COUNT, "so are other pixels"
    assert not [path for path in cache.iterdir() if path.suffix in (".partial", ".chunks")]


def test_several_processes_give_the_same_store():
    one = open_store(dataset(read, 520), 16)
    several = open_store(dataset(read, 520, origin="again"), 16, workers=2)
    assert (one.pixels == several.pixels).all()


def test_a_build_that_failed_goes_on_where_it_stopped(tmp_path, cache):
    log = tmp_path / "read.txt"

    def stopping(name):
        if name == "0300":
            raise KeyboardInterrupt
        return picture(name)

    with pytest.raises(KeyboardInterrupt):
        open_store(dataset(stopping), 16)
    assert not list(cache.glob("*.npy")), "nothing stands under the final name"
    store = open_store(dataset(partial(read, log=log)), 16)
    assert min(read_names(log)) == "0256", "the first two chunks were there"
    assert all((store.image(f"{i:04d}") == expected(f"{i:04d}")).all() for i in range(COUNT))


def test_a_killed_build_goes_on_where_it_stopped(tmp_path, cache):
    script = f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
        from functools import partial
        from test_images import dataset, killed, open_store
        open_store(dataset(partial(killed, at="0290")), 16)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=provenance.CHECKOUT)
    assert done.returncode == -signal.SIGKILL
    assert not list(cache.glob("*.npy")) and list(cache.glob("*.partial"))
    log = tmp_path / "read.txt"
    store = open_store(dataset(partial(read, log=log)), 16)
    assert min(read_names(log)) == "0256"
    assert all((store.image(f"{i:04d}") == expected(f"{i:04d}")).all() for i in range(COUNT))


def waiting(name, *, until):
    """The reader of a process that gets no further than its first 600 images until a file is there."""
    while name >= "0600" and not Path(until).exists():
        time.sleep(0.05)
    return picture(name)


def test_several_killed_processes_lose_only_the_chunks_in_work(tmp_path, cache):
    script = tmp_path / "build.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
        from functools import partial
        from test_images import dataset, open_store, waiting
        if __name__ == "__main__":
            open_store(dataset(partial(waiting, until={str(tmp_path / "never")!r}), 1000), 16, workers=2)
    """)
    )
    build = subprocess.Popen([sys.executable, script], cwd=provenance.CHECKOUT, env=os.environ | {
        "PYTHONPATH": str(provenance.CHECKOUT)})  # fmt: skip
    marks = until(lambda: next((path for path in cache.glob("*.chunks") if sum(path.read_bytes()) == 4), None))
    workers = [int(pid) for pid in children(build.pid)]
    build.kill()
    build.wait()
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers))
    assert marks.read_bytes() == bytes([1] * 4 + [0] * 4) and not list(cache.glob("*.npy"))
    log = tmp_path / "read.txt"
    store = open_store(dataset(partial(read, log=log), 1000), 16)
    assert read_names(log) == [f"{i:04d}" for i in range(512, 1000)]
    assert all((store.image(f"{i:04d}") == expected(f"{i:04d}")).all() for i in range(1000))


def until(found, seconds=120):
    """What ``found`` returns once it is something; processes take long to start on a busy machine."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return result


def children(process):
    """Started processes of a process, where the system lists them."""
    listed = Path(f"/proc/{process}/task/{process}/children")
    return listed.read_text().split() if listed.exists() else []


@pytest.mark.parametrize("torn", ["an empty array", "no marks", "too few marks", "marks of old"])
def test_a_build_that_was_killed_while_it_made_its_files_starts_anew(torn, tmp_path, cache):
    with pytest.raises(CorruptImages):
        open_store(dataset(partial(read, bad=["0003"])), 16)
    array, marks = next(cache.glob("*.partial")), next(cache.glob("*.chunks"))
    assert marks.read_bytes() == b"\0\1\1\1"
    if torn == "marks of old":
        marks.write_bytes(b"\1" * 4)
        array.unlink()
    elif torn == "too few marks":
        marks.write_bytes(b"\1")
    else:
        marks.unlink()
    if torn == "an empty array":
        array.write_bytes(b"")
    log = tmp_path / "read.txt"
    store = open_store(dataset(partial(read, log=log)), 16)
    assert len(read_names(log)) == COUNT and (store.image("0003") == expected("0003")).all()


def dying(name):
    """The reader of a process that the system kills."""
    if name == "0700":
        os.kill(os.getpid(), signal.SIGKILL)
    return picture(name)


def test_a_process_that_was_killed_is_said_and_what_is_decoded_is_kept(tmp_path, cache):
    with pytest.raises(RuntimeError, match="ended without a word.*the same command goes on"):
        open_store(dataset(dying, 1000), 16, workers=2)
    assert sum(next(cache.glob("*.chunks")).read_bytes()) >= 4
    log = tmp_path / "read.txt"
    open_store(dataset(partial(read, log=log), 1000), 16)
    assert len(read_names(log)) <= 488


def test_the_bar_begins_where_the_last_build_ended(capsys):
    with pytest.raises(CorruptImages):
        open_store(dataset(partial(read, bad=["0003"])), 16, progress=True)
    open_store(dataset(read), 16, progress=True)
    shown = capsys.readouterr().err.replace("\r", "\n").splitlines()
    assert any("272/400" in line for line in shown) and "400/400" in shown[-1] and "image/s" in shown[-1]


def test_all_corrupt_images_are_named_at_once(cache):
    bad, damaged = ["0003", "0200"], ["0399"]
    with pytest.raises(CorruptImages, match=f"3 of {COUNT} images cannot be read") as caught:
        open_store(dataset(partial(read, bad=bad, damaged=damaged)), 16)
    message = str(caught.value)
    assert all(f"{name}: " in message for name in bad + damaged)
    assert "truncated" in message and "not a JPEG" in message
    assert not list(cache.glob("*.npy"))


def test_mended_images_are_read_anew(tmp_path):
    with pytest.raises(CorruptImages):
        open_store(dataset(partial(read, bad=["0003"])), 16)
    with pytest.raises(CorruptImages):
        open_store(dataset(partial(read, bad=["0003"])), 16)
    log = tmp_path / "read.txt"
    store = open_store(dataset(partial(read, log=log)), 16)
    assert (store.image("0003") == expected("0003")).all()
    assert max(read_names(log)) == "0127", "only the chunk of the bad image"


@pytest.fixture
def filed(tmp_path):
    """A dataset whose images are files."""
    root = tmp_path / "files"
    root.mkdir()
    names = [f"{number:04d}.png" for number in range(300)]
    for number, name in enumerate(names):
        Image.fromarray(picture(f"{number:04d}")).save(root / name)
    table = pd.DataFrame({"image": names, "split": "train", "vehicle_id": "v"}).reindex(columns=list(COLUMNS))
    log = tmp_path / "read.txt"
    return Dataset(Manifest("toy", table, "files"), partial(logged, root, log), (), "", root=root), log


def logged(root, log, name, content):
    with log.open("a") as file:
        file.write(f"{name}\n")
    assert content == (root / name).read_bytes()
    return np.asarray(Image.open(io.BytesIO(content)))


def exchange(path):
    """Other pixels in a file of the same size."""
    content = bytearray(path.read_bytes())
    Image.fromarray(picture("9999")).save(path)
    assert path.stat().st_size == len(content)


def test_a_file_exchanged_at_its_size_is_decoded_anew_and_its_chunk_alone(filed):
    data, log = filed
    before = np.array(open_store(data, 16).pixels)
    running = open_store(data, 16)  # of a process that trains meanwhile
    log.unlink()
    exchange(data.root / "0200.png")
    after = open_store(data, 16)
    assert (after.image("0200.png") == expected("9999")).all()
    assert (np.delete(after.pixels, 200, 0) == np.delete(before, 200, 0)).all() and (running.pixels == before).all()
    assert read_names(log) == [f"{number:04d}.png" for number in range(128, 256)]
    open_store(data, 16)
    assert len(read_names(log)) == 128


def test_a_file_that_was_only_touched_is_not_decoded(filed):
    data, log = filed
    open_store(data, 16)
    log.unlink()
    os.utime(data.root / "0007.png", (1, 1))
    open_store(data, 16)
    assert not log.exists()


def test_a_stopped_build_does_not_keep_what_changed_meanwhile(filed, cache):
    data, log = filed
    (data.root / "0299.png").rename(data.root / "away")
    with pytest.raises(CorruptImages):
        open_store(data, 16)
    (data.root / "away").rename(data.root / "0299.png")
    exchange(data.root / "0000.png")
    store = open_store(data, 16)
    assert (store.image("0000.png") == expected("9999")).all() and (store.image("0299.png") == expected("0299")).all()


def test_one_picture_under_two_names_is_seen(filed):
    data, _ = filed
    (data.root / "0005.png").write_bytes((data.root / "0001.png").read_bytes())
    rows = pd.DataFrame({"image": ["0001.png", "0002.png", "0005.png"]})
    assert open_store(data, 16).same_pictures(rows).tolist() == [0, 1, 0]


def full(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_said_before_anything_is_decoded(tmp_path, cache, monkeypatch):
    log = tmp_path / "read.txt"
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full, raising=False)
        with pytest.raises(OSError, match="no space for .* GB of decoded images in .*REIDLIB_CACHE"):
            open_store(dataset(partial(read, log=log)), 16)
    assert not read_names(log) and not [path for path in cache.iterdir() if path.suffix != ".lock"]
    open_store(dataset(read), 16)  # and with space again it works


@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_is_full_in_the_middle_is_said_and_nothing_stays(cache, workers):
    with pytest.raises(OSError, match="no space for .* GB of decoded images"):
        open_store(dataset(drawing, 1000), 16, workers=workers)
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]


def drawing(name):
    """The reader of a dataset that keeps what it draws, on a disk that is full after some pictures."""
    return full() if name >= "0500" else picture(name)


def test_a_file_system_that_reserves_no_space_will_do(monkeypatch):
    def unsupported(*arguments):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported, raising=False)
    assert (open_store(dataset(read), 16).image("0399") == expected("0399")).all()


def test_batches_are_gathered_from_the_store():
    store = open_store(dataset(read, 40), 16)
    source = store.resident("cpu")
    places = torch.tensor([7, 0, 7, 39])
    batch = source(places)
    assert batch.shape == (4, 16, 16, 3) and batch.dtype == torch.uint8
    assert (batch.numpy() == store.pixels[places.numpy()]).all()
    assert source(torch.tensor([1])).shape == (1, 16, 16, 3)
    assert (source(torch.tensor([3, 2, 1, 0])).numpy() == store.pixels[[3, 2, 1, 0]]).all()


def test_writing_to_a_batch_leaves_the_file_alone():
    store = open_store(dataset(read, 40), 16)
    store.pixels[0] = 0
    Resident(store.pixels, torch.device("cpu")).source[1] = 0
    again = open_store(dataset(read, 40), 16)
    assert (again.image("0000") == expected("0000")).all() and (again.image("0001") == expected("0001")).all()


UNGUARDED = """
from reidpapers.vehicles import rendered
from reidlib.data.images import open_store
from reidpapers.vehicles.render import Preset, Share

preset = Preset("unguarded", Share(50, 600, 100, 2, even=True), Share(2, 8, 4, 2, even=True), sizes=(16, 16))
open_store(rendered.load(preset), 16, workers=2)
"""


def test_a_script_without_a_guard_ends_with_a_word_instead_of_waiting_for_itself(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "put a script's work under if __name__" in done.stderr
