"""Mutated inputs, in processes of their own: no crash, no hang, no silent difference, each refusal one line.

Lists, XML, JSON, Matlab files, images, records, weights and features are changed at random (bytes flipped, inserted,
removed, doubled, cut) and read. A case ends as *refused* (an error that names the file), *equal* (read as before),
*read* (something else that is as valid: a digit of a label is another label), or is wrong: a *difference* where
checksums promise that there is none, an *unnamed* error, a *crash*, a *hang*.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

HANG = 10  # seconds
WRONG = ("difference", "unnamed", "crash", "hang")
Reader = Callable[[Path], Any]


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A few random changes."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 8))):
        place = draw.randrange(len(data) + 1)
        stretch = draw.choice((1, 1, 2, 4, 64))
        kind = draw.randrange(6)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = draw.choice((0, 9, 10, 13, 32, 34, 38, 45, 46, 47, 48, 57, 60, 91, 123, 127, 128, 255))
        elif kind == 2:
            data[place:place] = bytes(draw.randrange(256) for _ in range(stretch))
        elif kind == 3:
            del data[place : place + stretch]
        elif kind == 4:
            data[place:place] = data[place : place + stretch]
        else:
            del data[place:]
    return bytes(data)


def kinds(folder: Path) -> dict[str, tuple[Path, Reader, bool]]:
    """Of each kind a file, what reads it, and whether a checksum promises that a change is seen."""
    import numpy as np
    import torch
    from PIL import Image
    from scipy.io import savemat

    from reidlib.data.compcars import _type_names
    from reidlib.data.files import Form, fields
    from reidlib.data.pictures import read_image
    from reidlib.models import weights
    from reidlib.train import load_saved, save_atomically
    from reidpapers.run import config, records
    from reidpapers.run.provenance import CHECKOUT
    from reidpapers.vehicles import export

    veri = export.export("veri776", folder / "veri", preset="smoke")
    from reidlib.data import BENCHMARKS

    form = Form(r"(?P<image>\d{4}_c\d{3}_\d+_\d+\.jpg)", "0001_c001_1_1.jpg")
    names = (veri / "name_train.txt").read_text(encoding="utf-8").split()
    (folder / "list.txt").write_text("\n".join(names), encoding="utf-8")
    savemat(folder / "types.mat", {"types": np.array([["MPV"], ["SUV"], ["sedan"]], dtype=object)})
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    for name in ("picture.jpg", "picture.png"):
        picture.save(folder / name)
    tensors = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.zeros(3)}
    weights.save(weights.Weights(tensors, "here", {"note": "x"}), folder / "trunk.safetensors")
    torch.save(tensors, folder / "trunk.pth")
    save_atomically({"stamp": {"code": "c"}, "state": tensors}, folder / "kept.pt")
    record = min((CHECKOUT / "results").glob("*/records/*.json"), key=lambda path: path.stat().st_size)
    (folder / "record.json").write_bytes(record.read_bytes())
    (folder / "settings.json").write_text('{"papers": "mlsl", "dropout": [0.1, 0.5], "seeds": [0]}', encoding="utf-8")
    found = {
        "list": (folder / "list.txt", lambda path: fields(path, form).to_csv(), False),
        "xml": (veri / "train_label.xml", lambda path: BENCHMARKS["veri776"].load(veri).manifest.digest, False),
        "mat": (folder / "types.mat", _type_names, False),
        "jpeg": (folder / "picture.jpg", lambda path: read_image(folder, path.name).tobytes(), False),
        "png": (folder / "picture.png", lambda path: read_image(folder, path.name).tobytes(), False),
        "record": (folder / "record.json", lambda path: records.checksum(records.read(path).body()), True),
        "json": (folder / "settings.json", lambda path: config.from_json(path.read_text(encoding="utf-8")), False),
        "safetensors": (folder / "trunk.safetensors", lambda path: _bytes(weights.read_weights(path).tensors), False),
        "state dict": (folder / "trunk.pth", lambda path: _bytes(weights.read_weights(path).tensors), False),
        "kept": (folder / "kept.pt", lambda path: _kept(load_saved(path)), False),
    }
    try:
        from reidpapers import features
    except ImportError:
        return found
    np.savez(folder / "features.npz", features=np.eye(6, 4, dtype=np.float32))
    if reader := getattr(features, "read", None):
        found["features"] = (folder / "features.npz", lambda path: repr(reader(path)), False)
    return found


def _bytes(tensors: dict) -> bytes:
    return b"".join(name.encode() + tensors[name].numpy().tobytes() for name in sorted(tensors))


def _kept(saved: dict | None) -> bytes:
    if saved is None:
        raise ValueError("kept.pt was named, and counts as absent")
    return _bytes(saved["state"])


def outcome(path: Path, read: Reader, sealed: bool, before: Any) -> tuple[str, str]:
    """How reading a changed file ends, and what was said."""
    signal.alarm(HANG)
    try:
        after = read(path)
    except (ValueError, OSError) as error:
        text = str(error)
        return ("refused" if len(text.strip().splitlines()) == 1 else "unnamed"), f"{type(error).__name__}: {text}"
    except Exception as error:
        return "unnamed", f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    return ("equal" if after == before else "difference" if sealed else "read"), ""


def work(kind: str, first: int, count: int, folder: Path) -> None:
    """Carry out the cases of one kind from a number on, and print how each ended."""
    warnings.simplefilter("ignore")
    path, read, sealed = kinds(folder)[kind]
    original, before = path.read_bytes(), read(path)
    for number in range(first, first + count):
        print(f"{number}", end=" ", flush=True)  # so that a crash is told by its number
        path.write_bytes(mutated(original, random.Random(f"{kind} {number}")))
        word, said = outcome(path, read, sealed, before)
        print(word, said.replace("\n", "\\n")[:300], flush=True)


def campaign(kind: str, count: int) -> tuple[Counter, list[str]]:
    """All cases of a kind, in a process that is begun again where it died."""
    counts, problems, number = Counter(), [], 0
    while number < count:
        with tempfile.TemporaryDirectory(prefix="reidlib-mutations-") as folder:
            words = [sys.executable, "-m", "tests.campaigns.mutations", "--kind", kind, "--first", str(number),
                     "--cases", str(count - number), "--folder", folder]  # fmt: skip
            done = subprocess.run(words, stdout=subprocess.PIPE, encoding="utf-8", errors="replace")
        lines = done.stdout.splitlines()
        for line in lines:
            place, _, told = line.partition(" ")
            word, _, said = told.partition(" ")
            if not word:  # it died of this one
                word = "hang" if done.returncode == -signal.SIGALRM else "crash"
            counts[word] += 1
            problems += [f"{kind} {place}: {word} {said}"] * (word in WRONG)
        if not lines:
            raise RuntimeError(f"{kind}: no case could be begun")
        number = int(lines[-1].partition(" ")[0]) + 1
    return counts, problems


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.campaigns.mutations", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="of all kinds together (default: %(default)s)")
    parser.add_argument("--kind")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.folder:
        work(given.kind, given.first, given.cases, given.folder)
        return 0
    names = [given.kind] if given.kind else ["list", "xml", "mat", "jpeg", "png", "record", "json", "safetensors",
                                             "state dict", "kept"]  # fmt: skip
    os.environ["OMP_NUM_THREADS"] = "1"
    wrong = []
    for name in names:
        counts, problems = campaign(name, -(-given.cases // len(names)))
        wrong += problems
        print(f"{name}: {dict(counts)}", *problems[:5], sep="\n  ", flush=True)
    print(f"{given.cases} cases: {len(wrong)} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
