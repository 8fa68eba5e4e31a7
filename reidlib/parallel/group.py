"""A group of processes: started, led by its main process, and ended together."""

from __future__ import annotations

import io
import os
import pickle
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from reidlib.parallel.shares import is_main, processes
from reidlib.processes import end_with_parent

PATIENCE = timedelta(days=7)  # others wait while the main process tests; a process that died is noticed at once

Work = Callable[[Callable[[int], None]], Any]
"""What a main process does, given a function that takes how many further training steps are done."""


def launched() -> bool:
    """Whether torchrun, or :func:`launch`, started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def carry_out(work: Callable[[], Any], device: str) -> Any:
    """In each of the processes that were started together: the main one does the work, the others follow it.

    Args:
        work: what one process would do alone.
        device: ``cpu``, or ``cuda`` for a GPU each.

    Returns:
        What the work gave; None in the others.
    """
    from accelerate import PartialState

    options = {"cpu": True, "backend": "gloo"} if device == "cpu" else {}
    state = PartialState(**options, timeout=PATIENCE)
    try:
        if not state.is_main_process:
            return follow()
        result = work()
        summon(None)
        return result
    finally:
        state.destroy_process_group()


def summon(function: Callable[..., Any] | None, *arguments: Any) -> None:
    """Have all other processes of the group call a function, if there are others; None lets them go.

    The main process then calls it too, since they train together. In the others this does nothing.
    """
    if processes() > 1 and is_main():
        dist.broadcast_object_list([(function, arguments)])


def follow() -> None:
    """Do what the main process asks for, until it lets this one go."""
    while True:
        asked: list[Any] = [None]
        dist.broadcast_object_list(asked)
        function, arguments = asked[0]
        if function is None:
            return
        function(*arguments)


def launch(work: Work, count: int, device: str, progress: Callable[[int], None]) -> None:
    """Carry work out in a group of new processes; from a notebook, a script or a shell.

    Args:
        work: what the main process does; it can be pickled.
        count: processes.
        device: as in :func:`carry_out`.
        progress: called here with the number of training steps done there since its last call.

    Raises:
        ValueError: there are fewer GPUs.
        RuntimeError: a process failed or was killed; the others were stopped, and the message says why.
        KeyboardInterrupt: stopped by hand.
    """
    from accelerate import notebook_launcher
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    if device == "cuda" and count > torch.cuda.device_count():
        raise ValueError(f"processes = {count} is refused: allowed is at most one a GPU, {torch.cuda.device_count()}")
    counter = get_context("spawn").Value("q", 0)
    with _scratch() as folder, _own_signals(), _shown(counter, progress), redirect_stdout(io.StringIO()):
        arguments = (folder, pickle.dumps(work), device, counter)
        try:
            notebook_launcher(_keep, arguments, num_processes=count, use_port=str(_free_port()))
        except SignalException as stop:
            raise KeyboardInterrupt from stop
        except ChildFailedError as failure:
            raise RuntimeError(f"a run on {count} processes was stopped: {_reason(folder)}") from failure


def _keep(folder: Path, work: bytes, device: str, counter: Any) -> None:
    """What the launcher's fork does: start a Python of its own, and wait for it.

    Neither a GPU's context nor OpenMP's threads outlive a fork, and a notebook has used both before it trains.
    """
    process = get_context("spawn").Process(target=_enter, args=(folder, work, device, counter))
    process.start()
    try:
        process.join()
    finally:
        process.kill()
    if process.exitcode:
        if process.exitcode < 0:
            name = signal.Signals(-process.exitcode).name
            text = f"process {os.environ['RANK']} was ended by {name}: by hand, or for want of memory"
            (folder / f"killed-{os.environ['RANK']}").write_text(text, encoding="utf-8")
        raise RuntimeError(f"process {os.environ['RANK']} failed")


def _enter(folder: Path, work: bytes, device: str, counter: Any) -> None:
    """The life of one of the group's processes: silent on Ctrl-C, no longer than its parent's."""
    end_with_parent()
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # a host's name may lead anywhere
    if device == "cpu":
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)

    def count(steps: int) -> None:
        with counter.get_lock():
            counter.value += steps

    try:
        carry_out(partial(pickle.loads(work), count), device)
    except BaseException as error:
        (folder / f"failed-{os.environ['RANK']}").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
        raise


def _reason(folder: Path) -> str:
    """Why a group failed: what was killed comes first, since the others then fail for want of it."""
    for kind in ("killed", "failed"):
        if notes := sorted(folder.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime_ns):
            return notes[0].read_text(encoding="utf-8")
    return "a process ended without a word: by hand, or for want of memory"


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for a while, also for what the launcher leaves in the system's."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="reidlib-") as folder:
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before


@contextmanager
def _own_signals() -> Iterator[None]:
    """Take back the signals that the launcher takes for good; outside the main thread it takes none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    before = {name: signal.getsignal(getattr(signal, name)) for name in names if hasattr(signal, name)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@contextmanager
def _shown(counter: Any, progress: Callable[[int], None]) -> Iterator[None]:
    """Report the steps that a counter counts, twice a second."""
    done, reported = threading.Event(), 0

    def tell() -> None:
        nonlocal reported
        while not done.wait(0.5):
            if steps := counter.value - reported:
                reported += steps
                progress(steps)

    watch = threading.Thread(target=tell, daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()
        progress(counter.value - reported)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
