"""Where files of the user lie, and how every one of them is written: whole, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock

FULL = (errno.ENOSPC, errno.EDQUOT)
UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL)  # by a file system that cannot do what is asked


def cache_dir() -> Path:
    """The user's folder for checkpoints, image stores and own records: ``REIDLIB_CACHE``, else the system's."""
    return Path(os.environ.get("REIDLIB_CACHE") or platformdirs.user_cache_dir("reidlib")).expanduser()


def data_dir() -> Path:
    """Where datasets are looked for: ``REIDLIB_DATA``, else ``data`` in the user's cache."""
    return Path(os.environ.get("REIDLIB_DATA") or cache_dir() / "data").expanduser()


def lock_of(path: Path) -> FileLock:
    """The lock under which a file is made: beside it, in a folder that is made, for whoever may write there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{path}.lock", mode=0o666)


@contextmanager
def draft_of(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """A file beside ``path`` to write into: it takes its place when the block ends, and is gone if the block fails.

    Args:
        path: what to write; its folder is made.
        sync: bring content and name to the disk before the old file is given up, so that a power cut leaves one of
            the two; for files that are easily made again it takes longer than it is worth.

    Raises:
        OSError: as the system has it, such as a full disk; with the name of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}{path.suffix}")
    try:
        yield draft
        if sync:
            _sync(draft)
        os.replace(draft, path)
        if sync:
            _sync(path.parent)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(draft)):
            error.filename, error.filename2 = str(path), None
        raise


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file that is either complete or not there; text as UTF-8, as it is."""
    with draft_of(path) as draft:
        draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def _sync(path: Path) -> None:
    """Have the system put a file, or a folder's names, on the disk, where it can; a full disk may show only here."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # of a folder, on some systems
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(handle)
