"""Where files of the user lie, and how every one of them is written: whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """The user's folder for checkpoints, image stores and own records: ``REIDLIB_CACHE``, else the system's."""
    return Path(os.environ.get("REIDLIB_CACHE") or platformdirs.user_cache_dir("reidlib")).expanduser()


def data_dir() -> Path:
    """Where datasets are looked for: ``REIDLIB_DATA``, else ``data`` in the user's cache."""
    return Path(os.environ.get("REIDLIB_DATA") or cache_dir() / "data").expanduser()


@contextmanager
def draft_of(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """A file beside ``path`` to write into: it takes its place when the block ends, and is gone if the block fails.

    Args:
        path: what to write; its folder is made.
        sync: bring content and name to the disk before the old file is given up, so that a power cut leaves one of
            the two; for files that are easily made again it takes longer than it is worth.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder, "new", "file.txt")
    ...     with draft_of(target) as draft:
    ...         _ = draft.write_text("whole", encoding="utf-8")
    ...     target.read_text(encoding="utf-8"), len(list(target.parent.iterdir()))
    ('whole', 1)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    draft = Path(name)
    try:
        draft.chmod(0o666 & ~_umask())  # mkstemp keeps a file to its owner
        yield draft
        if sync:
            _sync(draft)
        os.replace(draft, path)
        if sync:
            _sync(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file that is either complete or not there; text as UTF-8, as it is."""
    with draft_of(path) as draft:
        draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def _umask() -> int:
    """The permissions that new files do without; reading them is setting them."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    """Have the system put a file, or a folder's names, on the disk; not every system can open a folder."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
