"""The pool: one thread a worker, one clear word when a worker dies, nothing left behind when the work is stopped."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from reidlib import processes

ROOT = Path(__file__).resolve().parents[2]
counter = None


def share(value):
    global counter
    counter = value


def count(number):
    with counter.get_lock():
        counter.value += number
    return os.getpid()


def threads(_):
    import torch

    return torch.get_num_threads()


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(path):
    Path(f"{path}.{os.getpid()}").touch()
    time.sleep(600)


def fail(_):
    raise KeyError("mine")


def alive(pid):
    return Path(f"/proc/{pid}/cmdline").exists() and bool(Path(f"/proc/{pid}/cmdline").read_bytes())


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return result


def test_workers_share_what_the_initializer_is_given():
    total = processes.SPAWN.Value("q", 0)
    with processes.pool(2, initializer=share, arguments=(total,)) as pool:
        workers = set(pool.map(count, range(1, 11)))
    assert total.value == 55 and os.getpid() not in workers


def test_a_worker_computes_on_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with processes.pool(1) as pool:
        assert list(pool.map(threads, [0])) == [1]


def test_a_worker_that_dies_gives_one_clear_error():
    with (
        pytest.raises(RuntimeError, match="ended without a word: .*out of memory; half is kept"),
        processes.pool(1, kept="half is kept") as pool,
    ):
        pool.submit(die, 0).result()


def test_what_a_job_raises_is_raised_here():
    with pytest.raises(KeyError, match="mine"), processes.pool(1) as pool:
        list(pool.map(fail, [0]))


def test_workers_of_a_failed_block_are_ended_and_no_others(tmp_path):
    other = processes.SPAWN.Process(target=sleep, args=(tmp_path / "other",))
    other.start()
    with pytest.raises(ZeroDivisionError), processes.pool(1) as pool:
        pool.submit(sleep, tmp_path / "worker")
        worker = until(lambda: next(tmp_path.glob("worker.*"), None))
        1 / 0  # noqa: B018
    assert not alive(worker.suffix[1:]) and other.is_alive()
    other.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the system's list of processes")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_parent_takes_its_workers_along(stop, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
        from reidlib import processes
        from test_processes import sleep
        if __name__ == "__main__":
            with processes.pool(2) as pool:
                list(pool.map(sleep, [{str(tmp_path / "worker")!r}] * 4))
    """),
        encoding="utf-8",
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, script], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    workers = until(lambda: found if len(found := list(tmp_path.glob("worker.*"))) == 2 else None)
    if stop == signal.SIGINT:
        os.killpg(parent.pid, stop)  # as a terminal does on Ctrl-C
    else:
        parent.kill()
    error = parent.communicate(timeout=60)[1]
    until(lambda: not any(alive(worker.suffix[1:]) for worker in workers))
    assert error.count("Traceback") == (stop == signal.SIGINT) and "SpawnProcess" not in error
