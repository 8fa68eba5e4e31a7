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
from collections.abc import Callable, Mapping
from functools import partial
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


Case = tuple[Path, Reader, bool]
"""A file, what reads it, and whether a checksum promises that a change is seen."""


def _list(folder: Path) -> Case:
    from reidlib.data.files import Form, fields

    path, form = folder / "list.txt", Form(r"(?P<image>\d{4}_c\d{3}_\d{8}_\d\.jpg)", "0001_c001_00016450_0.jpg")
    path.write_text("\n".join(f"{i:04}_c001_{i:08}_0.jpg" for i in range(50)), encoding="utf-8")
    return path, lambda path: fields(path, form).to_csv(), False


def _xml(folder: Path) -> Case:
    from reidlib.data import BENCHMARKS
    from reidpapers.vehicles import export

    root = export.export("veri776", folder / "veri", preset="smoke")
    return root / "train_label.xml", lambda path: BENCHMARKS["veri776"].load(root).manifest.digest, False


def _mat(folder: Path) -> Case:
    import numpy as np
    from scipy.io import savemat

    from reidlib.data.compcars import _type_names

    savemat(folder / "types.mat", {"types": np.array([["MPV"], ["SUV"], ["sedan"]], dtype=object)})
    return folder / "types.mat", _type_names, False


def _picture(suffix: str, folder: Path) -> Case:
    import numpy as np
    from PIL import Image

    from reidlib.data.pictures import read_image

    path = folder / f"picture.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)).save(path)
    return path, lambda path: read_image(folder, path.name).tobytes(), False


def _record(folder: Path) -> Case:
    from reidpapers.run import records
    from reidpapers.run.provenance import CHECKOUT

    path = folder / "record.json"
    smallest = min((CHECKOUT / "results").glob("*/records/*.json"), key=lambda path: path.stat().st_size)
    path.write_bytes(smallest.read_bytes())
    return path, lambda path: records.checksum(records.read(path).body()), True


def _json(folder: Path) -> Case:
    from reidpapers.run.config import from_json

    path = folder / "settings.json"
    path.write_text('{"papers": "mlsl", "dropout": [0.1, 0.5], "seeds": [0]}', encoding="utf-8")
    return path, lambda path: from_json(path.read_text(encoding="utf-8")), False


def _tensors(name: str, folder: Path) -> Case:
    import torch

    from reidlib.models import weights
    from reidlib.train import load_saved, save_atomically

    path, tensors = folder / name, {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.zeros(3)}
    if name == "kept.pt":
        save_atomically({"stamp": {"code": "c"}, "state": tensors}, path)
        return path, lambda path: _kept(load_saved(path)), False
    if name.endswith(".pth"):
        torch.save(tensors, path)
    else:
        weights.save(weights.Weights(path, tensors, {"note": "x"}), path)
    return path, lambda path: _bytes(weights.read_weights(path).tensors), False


def _features(suffix: str, folder: Path) -> Case:
    import numpy as np
    import pandas as pd

    from reidpapers.features import read_features

    path, values = folder / f"features.{suffix}", np.arange(24, dtype=np.float32).reshape(6, 4)
    if suffix == "csv":
        pd.DataFrame(values).to_csv(path, index=False)
    else:
        np.savez(path, features=values) if suffix == "npz" else np.save(path, values)
    return path, lambda path: read_features(path).values.numpy().tobytes(), False


KINDS: dict[str, Callable[[Path], Case]] = {
    "list": _list, "xml": _xml, "mat": _mat, "jpeg": partial(_picture, "jpg"), "png": partial(_picture, "png"),
    "record": _record, "json": _json, "safetensors": partial(_tensors, "trunk.safetensors"),
    "state dict": partial(_tensors, "trunk.pth"), "kept weights": partial(_tensors, "kept.pt"),
    "features.npy": partial(_features, "npy"), "features.npz": partial(_features, "npz"),
    "features.csv": partial(_features, "csv"),
}  # fmt: skip


def _bytes(tensors: Mapping[str, Any]) -> bytes:
    return b"".join(name.encode() + tensors[name].contiguous().numpy().tobytes() for name in sorted(tensors))


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
    path, read, sealed = KINDS[kind](folder)
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
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.folder:
        work(given.kind, given.first, given.cases, given.folder)
        return 0
    names = [given.kind] if given.kind else list(KINDS)
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
