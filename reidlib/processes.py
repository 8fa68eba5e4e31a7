"""Work in several processes: a pool whose workers are started afresh, stop on Ctrl-C and never outlive their parent.

The standard library's pool leaves workers alone when their parent is killed, and joblib's loky does so until their job
is done; both leave it to the user to find out what "terminated abruptly" means.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, current_process, get_context, parent_process
from typing import Any

SPAWN = get_context("spawn")  # a fork would copy OpenMP's threads and a GPU's context, neither of which outlives it
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def pool(
    workers: int,
    *,
    initializer: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
    kept: str = "the same command goes on with what is left",
) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes for a ``with`` block, which ends when all its jobs are done.

    If the block fails or is stopped, jobs that wait are given up and the processes are ended.

    Args:
        workers: how many processes, each with one thread of computation.
        initializer: called first in each process with ``arguments``, such as counters made by ``SPAWN.Value``.
        arguments: of the initializer.
        kept: what becomes of the work done so far, for the message about a process that died.

    Raises:
        RuntimeError: a process was killed; or this process is itself a worker.

    Example:
        >>> with pool(1) as executor:
        ...     list(executor.map(abs, [-1, 2]))
        [1, 2]
    """
    refuse_in_worker()
    others = active_children()
    executor = ProcessPoolExecutor(workers, SPAWN, _enter, (initializer, arguments))
    try:
        yield executor
        executor.shutdown()
    except BaseException as error:
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in [child for child in active_children() if child not in others]:
            worker.terminate()
            worker.join()
        if isinstance(error, BrokenProcessPool):
            died = "a worker process ended without a word: stopped by hand, or out of memory"
            raise RuntimeError(f"{died}; {kept}") from error
        raise


def refuse_in_worker() -> None:
    """Stop where a worker is about to start workers: a script without a guard, which each of them runs anew.

    Raises:
        RuntimeError: this process was started by another one of this library.
    """
    if current_process().name != "MainProcess":
        raise RuntimeError("several processes are to share this: put a script's work under if __name__ == '__main__':")


def end_with_parent() -> None:
    """Let this process stop silently on Ctrl-C, and as soon as its parent is gone, whatever it is doing."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if parent := parent_process():
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()  # type: ignore[func-returns-value]


def _enter(initializer: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """A worker's first steps: one thread for what is loaded already, and for what will be."""
    end_with_parent()
    os.environ.update(dict.fromkeys(THREADS, "1"))
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    if initializer:
        initializer(*arguments)
