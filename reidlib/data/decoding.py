"""How an image store is made: decoded by several processes into one file, taken up again after a kill, kept true.

Each process writes its chunks into the array itself and then marks them as done. So nothing waits in memory however
many images there are, and a build that was stopped at any moment goes on with the chunks that are missing. The finished
array appears under its name all at once.

Where images are files, the array is followed by each one's size, time of change and a hash of its bytes. A file that
was mended or exchanged shows in the first two, is read once more, and decoded anew if its bytes are others.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from reidlib import processes
from reidlib.data.files import stamps
from reidlib.data.manifest import Reader

CHUNK = 128  # images that are decoded, written and marked together
FULL = (errno.ENOSPC, errno.EDQUOT)
UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL)  # by a file system that cannot reserve space
IDENTITY = np.dtype("<i8")  # of each of three: size, time of change, hash


class CorruptImages(ValueError):
    """Some images cannot be read: all are counted, the first ten named."""


@dataclass(frozen=True)
class Work:
    """What a store is made of.

    Attributes:
        read: from an image's name to its pixels; where it is a file, from its name and the file's bytes.
        shape: of one stored image ``(S, S, 3)`` or mask ``(S, S)``.
        names: of the images, ``[N]``.
        root: the folder of the files; None where images are made.
        files: that they, or their masks, are read from, by their names from the folder, ``[N]``.
    """

    read: Reader
    shape: tuple[int, ...]
    names: Sequence[str]
    root: Path | None = None
    files: Sequence[str] = ()

    @property
    def chunks(self) -> int:
        """How many chunks they make."""
        return -(-len(self.names) // CHUNK)

    @property
    def pixels(self) -> int:
        """Bytes of all images."""
        return len(self.names) * math.prod(self.shape)

    @property
    def identities(self) -> int:
        """Bytes behind the images that tell which files they come from."""
        return 3 * IDENTITY.itemsize * len(self.files)

    def changed(self, array: Path, chunks: np.ndarray | None = None) -> list[int]:
        """The chunks of an array, or of its ``chunks [C]``, whose files hold other bytes than when they were read.

        Times of files that were only touched are put into the array's file.
        """
        if self.root is None:
            return []
        if array.stat().st_size < self.pixels + self.identities:
            return list(range(self.chunks))  # of a time when files were not looked at
        table = np.memmap(array, IDENTITY, "r+", array.stat().st_size - self.identities, (len(self.files), 3))
        now = stamps(self.root, self.files)
        differs = (table[:, :2] != now).any(1)
        if chunks is not None:
            differs &= np.repeat(chunks, CHUNK)[: len(self.files)]
        others = []
        for place in np.flatnonzero(differs):
            if now[place, 0] >= 0 and _opened(f"{self.root}/{self.files[int(place)]}")[0][2] == table[place, 2]:
                table[place, :2] = now[place]
            else:
                others.append(place)
        table.flush()
        return sorted({int(place) // CHUNK for place in others})


def _opened(path: str) -> tuple[tuple[int, int, int], bytes]:
    """A file's size, time of change and 64 bits of a hash; and its bytes."""
    with open(path, "rb", buffering=0) as file:
        status, content = os.fstat(file.fileno()), file.read()
    digest = hashlib.blake2b(content, digest_size=IDENTITY.itemsize).digest()
    return (status.st_size, status.st_mtime_ns, int.from_bytes(digest, "little", signed=True)), content


def build(path: Path, work: Work, workers: int, progress: bool) -> None:
    """Decode all images into ``path``, or those that are missing or were changed; the caller holds its lock.

    Raises:
        CorruptImages: images that cannot be read.
        OSError: the disk is full; nothing half-written is left.
        RuntimeError: a decoding process was killed; what is decoded is kept.
    """
    array, marks = path.with_suffix(".partial"), path.with_suffix(".chunks")
    try:
        if path.exists():
            if not (changed := work.changed(path)):
                return  # another process has been here
            if len(changed) < work.chunks and not marks.exists():
                shutil.copyfile(path, array)  # others may be looking at the finished one
                marks.write_bytes(bytes(int(number not in changed) for number in range(work.chunks)))
        _begin(array, marks, work)
        corrupt = _fill(work, array, marks, workers, progress)
    except OSError as error:
        if error.errno not in FULL:
            raise
        for file in (array, marks):
            file.unlink(missing_ok=True)
        needed = f"{work.pixels / 1e9:.2f} GB of decoded images in {path.parent}"
        advice = "make room, or name another folder by REIDLIB_CACHE"
        raise OSError(error.errno, f"no space for {needed}: {advice}") from error
    if corrupt:
        examples = "\n  ".join(sorted(corrupt)[:10])
        raise CorruptImages(f"{len(corrupt)} of {len(work.names)} images cannot be read:\n  {examples}")
    os.replace(array, path)
    marks.unlink()


def _begin(array: Path, marks: Path, work: Work) -> None:
    """An unfinished array and its marks: those of a build that was stopped, or empty ones."""
    # The marks are made last, so that an array without them, or with too few, is one whose making was stopped.
    if not array.exists() or not marks.exists() or marks.stat().st_size != work.chunks:
        marks.unlink(missing_ok=True)
        _allocate(array, work)
        marks.write_bytes(bytes(work.chunks))
    done = bytearray(marks.read_bytes())
    for number in work.changed(array, np.frombuffer(done, bool)):
        done[number] = 0
    marks.write_bytes(done)


def _allocate(path: Path, work: Work) -> None:
    """Reserve the array's whole space now, so that a full disk shows here and not in the middle."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(work.names), *work.shape)).flush()
    os.truncate(path, size := path.stat().st_size + work.identities)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    raise


def _fill(work: Work, array: Path, marks: Path, workers: int, progress: bool) -> list[str]:
    """Decode the chunks that are not yet marked, and show how far that is; a line for each unreadable image."""
    corrupt: list[str] = []
    job = _Job(replace(work, names=(), files=()), array, marks, work.pixels, work.identities)
    missing = [number for number, done in enumerate(marks.read_bytes()) if not done]
    parts = [slice(number * CHUNK, (number + 1) * CHUNK) for number in missing]
    jobs = [(number, work.names[part], work.files[part]) for number, part in zip(missing, parts, strict=True)]
    total, left = len(work.names), sum(len(names) for _, names, _ in jobs)
    with tqdm(
        total=total, initial=total - left, desc="images", unit="image", smoothing=0.1, disable=not progress
    ) as bar:
        for place, (count, problems) in enumerate(_carried_out(job, jobs, workers)):
            if place == 0:
                bar.unpause()  # processes take seconds to start, which say nothing of the time left
            corrupt += problems
            bar.update(count)
    return corrupt


def _carried_out(job: _Job, jobs: list[tuple], workers: int) -> Iterator[tuple[int, list[str]]]:
    """What each chunk's decoding gave, in this process or in several."""
    if workers == 1 or len(jobs) < 4:
        yield from map(job.chunk, jobs)
        return
    with processes.pool(
        min(workers, len(jobs)), kept="what is decoded is kept, and the same command goes on with the rest"
    ) as pool:
        yield from pool.map(job.chunk, jobs)


@dataclass(frozen=True)
class _Job:
    """A store in the making, as the processes that make it know it; names come with each chunk.

    Attributes:
        work: what it is made of, but for the names.
        array: the unfinished file.
        marks: one byte a chunk beside it: 1 where the chunk is in the array, 0 where it is not.
        pixels, identities: bytes in ``array`` of all images, and of what follows them.
    """

    work: Work
    array: Path
    marks: Path
    pixels: int
    identities: int

    def chunk(self, job: tuple[int, Sequence[str], Sequence[str]]) -> tuple[int, list[str]]:
        """Decode a chunk, given by number, images and files, into the array; how many, and what is wrong."""
        number, names, files = job
        images, identities, problems = self._decoded(names, files)
        if not problems:
            end = self.array.stat().st_size - self.identities
            with self.array.open("r+b") as file:
                for begin, values in ((end - self.pixels, images), (end, identities)):
                    if len(values):
                        file.seek(begin + number * CHUNK * values[0].nbytes)
                        file.write(values)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())  # before its mark, whatever the machine does next
            with self.marks.open("r+b") as file:
                file.seek(number)
                file.write(b"\1")
        return len(names), problems

    def _decoded(self, names: Sequence[str], files: Sequence[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Images read and resized, uint8 ``[N, S, S, 3]`` or masks; their files; a line for each unreadable one."""
        problems: list[str] = []
        shape, read, root = self.work.shape, self.work.read, str(self.work.root)
        images, identities = np.zeros((len(names), *shape), np.uint8), np.zeros((len(files), 3), IDENTITY)
        for place, name in enumerate(names):
            try:
                if files:
                    identities[place], content = _opened(f"{root}/{files[place]}")
                image = Image.fromarray(read(name, content) if files else read(name))
                images[place] = np.asarray(image.resize(shape[:2], Image.Resampling.BILINEAR))  # type: ignore[arg-type]
            except (OSError, ValueError, SyntaxError) as error:
                if isinstance(error, OSError) and error.errno in FULL:  # of a reader that keeps what it draws
                    raise
                problems.append(f"{name}: {error}")
        images = images if len(shape) == 3 else np.where(images >= 128, np.uint8(255), np.uint8(0))
        return images, identities, problems
