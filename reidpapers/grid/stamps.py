"""Stamps: what a finished job leaves for the workflow tool to see, and how they are brought in line with the store.

A workflow tool deletes the outputs of a job that was interrupted, so an output must be nothing that was dear. A stamp
names a job's records and repeats their scores; with the records there, it can be written again at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reidlib.places import write_atomically
from reidpapers.digest import PACKAGES
from reidpapers.run.provenance import CHECKOUT
from reidpapers.run.records import Record
from reidpapers.show import layout
from reidpapers.show.claims import score

SOURCES = ("*.py", "*.css", "*.j2", "*.csv", "*.json")  # of the library, whatever a page may be made from


def text(rows: Mapping[str, Sequence[Record]], columns: Sequence[str]) -> str:
    """A stamp's content: the same for the same records, whoever writes it."""
    lines = [
        {
            "row": row,
            "seed": record.seed,
            "record": f"{record.paper}/{record.key}.json",
            "sha256": record.sha256,
            "scores": {column: round(score(record, column), 6) for column in columns if layout.has(record, column)},
        }
        for row, records in rows.items()
        for record in records
    ]
    return json.dumps(lines, indent=1) + "\n"


def settle(path: Path, wanted: str | None) -> None:
    """Make a stamp say what holds: ``wanted``, or, where that is None, nothing, since its job has to be carried out."""
    if wanted is None:
        path.unlink(missing_ok=True)
    elif not path.is_file() or path.read_text(encoding="utf-8") != wanted:
        write_atomically(path, wanted)


def made(page: Path, sources: Iterable[Path], inputs: Iterable[Path]) -> str:
    """The stamp of a page: what it was made from, by checksum, so that a page of other records or code is seen.

    Args:
        page: the file that was written.
        sources: files beside the library's own that it depends on, such as its notebook.
        inputs: the stamps of the jobs whose records it shows.
    """
    library = (path for name in PACKAGES for pattern in SOURCES for path in (CHECKOUT / name).rglob(pattern))
    digests = {
        kind: checksum(paths)
        for kind, paths in (("library", library), ("sources", sources), ("inputs", inputs))
    }  # fmt: skip
    return json.dumps({"page": str(page), **digests}, indent=1) + "\n"


def checksum(paths: Iterable[Path]) -> str:
    """SHA-256 of some files' names and contents."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
