"""Disks that are full, and folders of others: each refusal is one line with the file, and nothing half-written stays.

Every writer writes to a small tmpfs (root mounts it), again and again with a little more room, until it succeeds. Then
runs are read and wanted by a user who may read a cache and not write in it.
"""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
OTHER = 65534  # nobody
Writer = Callable[[Path], object]


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Path]:
    """A tmpfs of so many bytes."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def writers() -> dict[str, Writer]:
    """Everything that writes, each with something to write that fits on none of the first disks."""
    import nbformat
    import torch
    from reidlib.data.side_inputs import original_sizes

    from reidlib.data.images import open_store
    from reidlib.models import weights
    from reidlib.train import save_atomically
    from reidpapers.grid.__main__ import main as grid
    from reidpapers.run import records, runs
    from reidpapers.run.papers import load_all
    from reidpapers.run.provenance import CHECKOUT
    from reidpapers.show import site
    from reidpapers.show.page import render
    from reidpapers.vehicles import export, rendered

    largest = max((CHECKOUT / "results").glob("*/records/*.json"), key=lambda path: path.stat().st_size)
    record, tensors = records.read(largest), {"a.weight": torch.zeros(300_000)}
    dataset = rendered.load("smoke", 0)
    cells = [nbformat.v4.new_markdown_cell("# Page"), nbformat.v4.new_code_cell("1", execution_count=1)]
    notebook = Path(tempfile.mkdtemp(prefix="reidlib-disks-")) / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    return {
        "record": lambda disk: records.write(record, disk / "records" / "a.json"),
        "checkpoint": lambda disk: save_atomically({"state": tensors}, disk / "checkpoints" / "a.pt"),
        "trunk": lambda disk: weights.save(weights.Weights(disk, tensors, {}), disk / "a.safetensors"),
        "ledger": lambda disk: runs.remember({f"{i:0>33}": runs.FRESH for i in range(9_000)}, disk / "verified.json"),
        "images": lambda disk: open_store(dataset, 64),
        "sizes": lambda disk: original_sizes(dataset, dataset.manifest.rows("train")),
        "export": lambda disk: export.export("vehicleid", disk / "out", preset="smoke"),
        "plan": lambda disk: _raise(grid(["plan", '{"papers": "mlsl"}', str(disk / "out" / "plan.json")])),
        "page": lambda disk: render(notebook, disk / "page.html"),
        "site": lambda disk: site.build(disk / "site", load_all()),
    }


def _raise(code: int) -> None:
    if code:
        raise OSError(errno.ENOSPC, "told by the command", "plan.json")


def left(folder: Path) -> list[str]:
    """Drafts and half-written files: what no reader looks for."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and path.name.startswith(".")]


def fill(name: str, write: Writer, folder: Path) -> tuple[int, list[str]]:
    """Write to ever larger disks until it fits; on how many it did not, and what was wrong."""
    refused, problems, size = 0, [], 16_384
    while True:
        with disk(folder, size) as room:
            os.environ["REIDLIB_CACHE"] = str(room)
            try:
                write(room)
                return refused, problems
            except Exception as error:
                refused += 1
                named = str(folder) in str(error) or "cache" in str(error) or "told by" in str(error)
                one_line = len(str(error).splitlines()) == 1
                if not (isinstance(error, OSError) and error.errno in FULL and named and one_line):
                    problems.append(f"{name} at {size:,}: {type(error).__name__}: {error}")
            problems += [f"{name} at {size:,} left {path}" for path in left(room)]
        size = size * 3 // 2


STRANGER = """
import os, sys
from reidpapers.run import records, runs
from reidpapers.run.papers import load
paper = load("mlsl")
config = paper.Config(profile="smoke", device="cpu", iterations1=2, iterations2=2)
record = runs.run(config, paper, committed=False)
print("read", record.scores["mAP"])
try:
    runs.run(config.but(seed=1), paper, committed=False)
except OSError as error:
    from reidpapers.run.refusals import told
    print("refused", told(error))
"""


def stranger(folder: Path) -> list[str]:
    """What is wrong where another user reads a cache that is not theirs to write, and wants a further run."""
    cache = folder / "cache"
    variables = {**os.environ, "REIDLIB_CACHE": str(cache), "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    mine = [sys.executable, "-c", STRANGER.partition("try:")[0]]
    subprocess.run(mine, env=variables, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["chmod", "-R", "a+rX,go-w", str(folder)], check=True)
    done = subprocess.run([sys.executable, "-c", STRANGER], env=variables, capture_output=True, encoding="utf-8",
                          user=OTHER, group=OTHER, extra_groups=[])  # fmt: skip
    lines = done.stdout.splitlines()
    problems = [] if lines and lines[0].startswith("read") else [f"a whole record is not read: {done.stderr[-800:]}"]
    if len(lines) != 2 or str(cache) not in lines[1] or "REIDLIB_CACHE names another folder" not in lines[1]:
        problems.append(f"a further run is not refused in one line: {lines[1:]} {done.stderr[-800:]}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.campaigns.disks", description=__doc__)
    parser.add_argument("--only", nargs="+", help="names of writers, or stranger")
    given = parser.parse_args()
    if os.geteuid():
        print("root mounts the disks of this campaign and becomes another user: run it as root")
        return 1
    wrong = []
    with tempfile.TemporaryDirectory(prefix="reidlib-disks-", dir="/tmp") as scratch:
        os.chmod(scratch, 0o755)
        folder = Path(scratch)
        if not given.only or "stranger" in given.only:
            wrong += stranger(folder)
            print(f"another user: {len(wrong)} problems", flush=True)
        for name, write in writers().items():
            if not given.only or name in given.only:
                refused, problems = fill(name, write, folder / "disk")
                wrong += problems
                print(f"{name}: refused {refused} times, then written; {len(problems)} problems", flush=True)
    print("\n".join(wrong))
    print(f"{len(wrong)} problems")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
