"""Many runs at once: several processes of one thread each, in an order that lets runs share what they start from.

One thread a process and several processes beat the reverse on small networks. On a GPU the runs follow each other, and
so they do where several processes share the batches of one run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from reidlib import processes
from reidpapers.run import curves, imagenet, runs
from reidpapers.run.config import Config, Plan
from reidpapers.run.records import Record
from reidpapers.run.refusals import check_device, told

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

_steps: Any = None  # in a worker: the counter of training steps that it shares with the others
_loss: Any = None  # likewise: the latest loss of any of them
NONE_YET = float("-inf")  # a loss that no training has; not NaN, which one that diverged shows
SHOWN = 0.5  # seconds at least from one loss that is shown to the next: to read it, a GPU has to wait


def run_all(
    configs: Sequence[Config],
    paper: Paper,
    plan: Plan,
    *,
    progress: bool = True,
    allowed: Callable[[], None] = lambda: None,
) -> list[Record]:
    """The records of many configurations, in their order; what is missing is computed.

    Args:
        configs: what to run; equal ones are run once.
        paper: whose runs.
        plan: how many processes, and whether committed records count.
        progress: show a bar over training steps, with an estimate of the time left and the latest loss.
        allowed: called when nothing was refused and before anything is computed.

    Raises:
        RuntimeError: some runs failed, after all others were carried out; the message names them.
        ValueError: a GPU or ImageNet weights that a run needs cannot be had; nothing was computed.
        KeyboardInterrupt: stopped by hand; finished runs are kept, others go on from their checkpoints next time.
    """
    wanted = list(dict.fromkeys(configs))
    present = {config: runs.present(config, paper, committed=plan.committed) for config in wanted}
    missing = [config for config, record in present.items() if record is None or runs.lacks(record, config, paper)]
    if missing:
        for config in missing:
            check_device(config)
        imagenet.obtain(missing)  # those that they start from begin with the same; and names say which weights
    allowed()
    if missing:
        jobs = _with_starts({runs.name(config, paper): config for config in missing}, paper)
        for config in {c.but(seed=0): c for c in jobs.values()}.values():
            paper.prepare(config, plan.workers, progress)
        total = sum(paper.steps(config) for config in jobs.values())
        with tqdm(total=total, desc=f"{len(jobs)} runs", unit="step", disable=not progress, mininterval=1.0) as bar:
            _carry_out(jobs, paper, plan, bar)
        present |= {config: runs.present(config, paper, committed=plan.committed) for config in missing}
    return [present[config] for config in configs]


def _with_starts(missing: dict[str, Config], paper: Paper) -> dict[str, Config]:
    """Missing runs preceded by those that they start from, and these by theirs, where they left no weights here."""
    jobs: dict[str, Config] = {}

    def add(key: str, config: Config) -> None:
        for start in paper.starts_from(config):
            if not runs.kept_weights(start, paper):
                add(runs.name(start, paper), start)
        jobs.setdefault(key, config)

    for key, config in missing.items():
        add(key, config)
    return jobs


def _carry_out(jobs: dict[str, Config], paper: Paper, plan: Plan, bar: tqdm) -> None:
    """Run all jobs, each after those it starts from; failures are collected, not fatal to the others."""
    from reidlib import parallel

    on_gpu = any(config.canonical().device == "cuda" for config in jobs.values())
    together = plan.processes > 1 or parallel.launched()
    if on_gpu or together or plan.workers == 1 or len(jobs) == 1:
        failed = _one_by_one(jobs, paper, plan, bar, threads=0 if on_gpu else 1)
    else:
        failed = _in_processes(jobs, paper, plan, bar)
    if failed:
        lines = [f"  {why}: {_listed(jobs[key] for key in keys)}" for why, keys in _by_reason(failed).items()]
        raise RuntimeError(f"{len(failed)} of {len(jobs)} runs failed:\n" + "\n".join(lines)) from next(
            iter(failed.values())
        )


def _by_reason(failed: dict[str, Exception]) -> dict[str, list[str]]:
    """The failed runs of each reason."""
    reasons: dict[str, list[str]] = {}
    for key, error in failed.items():
        reasons.setdefault(told(error), []).append(key)
    return reasons


def _listed(configs: Iterable[Config]) -> str:
    """The first of some runs by what is given of it, and how many more there are."""
    first, *more = (config.given() for config in configs)
    return f"{first}{f' and {len(more)} more' if more else ''}"


def _one_by_one(jobs: dict[str, Config], paper: Paper, plan: Plan, bar: tqdm, threads: int) -> dict[str, Exception]:
    failed: dict[str, Exception] = {}
    with limited_threads(threads):
        for key, config in jobs.items():
            try:
                _alone_or_together(config, paper, plan, bar)
            except Exception as error:  # noqa: BLE001 — one failed run must not take the others with it
                failed[key] = error
    return failed


def _alone_or_together(config: Config, paper: Paper, plan: Plan, bar: tqdm) -> None:
    """One job in this process, or in new ones that share its batches; torchrun has started them before."""
    from reidlib import parallel

    work = partial(_work, config, paper, plan)
    if plan.processes > 1 and not parallel.launched():
        parallel.launch(work, plan.processes, config.canonical().device, bar.update)
    else:
        work(bar.update, now_and_then(partial(_show_loss, bar)))


def _show_loss(bar: tqdm, loss: float) -> None:
    """Put the latest loss beside a bar, also one that diverged; nothing before there is one."""
    if loss != NONE_YET:
        bar.set_postfix_str(f"loss {loss:.3g}", refresh=False)


def now_and_then(show: Callable[[float], None]) -> curves.Tell:
    """What shows the total loss, but not at every step."""
    shown = float("-inf")

    def tell(step: int, values: Mapping[str, Any]) -> None:
        nonlocal shown
        if time.monotonic() - shown >= SHOWN:
            shown = time.monotonic()
            show(float(values["total"]))

    return tell


def _in_processes(jobs: dict[str, Config], paper: Paper, plan: Plan, bar: tqdm) -> dict[str, Exception]:
    """Several processes; a job waits until the jobs that it starts from are done.

    A process that dies takes the others' jobs with it. Each of them then goes on from its checkpoint, alone, so that
    the one whose process dies again is known, and counts as failed.
    """
    waiting, failed = dict(jobs), {}
    try:
        while waiting:
            suspects = _until_one_dies(waiting, failed, paper, plan, bar)
            for key, config in suspects.items():
                alone = {key: config}
                if _until_one_dies(alone, failed, paper, plan, bar):
                    failed[key] = RuntimeError("its process ended without a word: killed, or out of memory")
    except BaseException:
        print("\nstopped: finished runs are kept; the same command goes on where this one ended", file=sys.stderr)
        raise
    return failed


def _until_one_dies(
    waiting: dict[str, Config], failed: dict[str, Exception], paper: Paper, plan: Plan, bar: tqdm
) -> dict[str, Config]:
    """Carry out what waits, taking it from there; the jobs that were at work when a process died, if one did."""
    counter, loss = processes.SPAWN.Value("q", 0), processes.SPAWN.Value("d", NONE_YET)
    before, jobs, active = bar.n, dict(waiting), {}
    with processes.pool(min(plan.workers, len(jobs)), initializer=_enter_worker, arguments=(counter, loss)) as pool:
        try:
            while waiting or active:
                unfinished = waiting.keys() | set(active.values())
                for key in [key for key in waiting if not _start_names(waiting[key], paper) & unfinished]:
                    active[pool.submit(_in_worker, waiting[key], paper, plan)] = key
                    del waiting[key]
                for future in _finished(active, bar, counter, before, loss):
                    error = future.exception()
                    if isinstance(error, BrokenProcessPool):
                        raise error
                    if error:
                        failed[active[future]] = error
                    del active[future]
        except BrokenProcessPool:
            return {key: jobs[key] for key in active.values()}
    return {}


def _start_names(config: Config, paper: Paper) -> set[str]:
    return {runs.name(start, paper) for start in paper.starts_from(config)}


def _finished(active: dict[Future, str], bar: tqdm, counter: Any, before: int, loss: Any) -> Iterator[Future]:
    """Wait until some job is done, moving the bar meanwhile."""
    done: set[Future] = set()
    while not done:
        done, _ = wait(active, timeout=0.5, return_when=FIRST_COMPLETED)
        _show_loss(bar, loss.value)
        bar.update(max(0, before + counter.value - bar.n))
    yield from done


def _enter_worker(counter: Any, loss: Any) -> None:
    """What a worker keeps: the counter of training steps, and the latest loss, that it shares with the others."""
    global _steps, _loss
    _steps, _loss = counter, loss


def _in_worker(config: Config, paper: Paper, plan: Plan) -> None:
    def count(steps: int) -> None:
        with _steps.get_lock():
            _steps.value += steps

    def show(loss: float) -> None:
        _loss.value = loss

    _work(config, paper, plan, count, now_and_then(show))


def _work(
    config: Config, paper: Paper, plan: Plan, progress: Callable[[int], None],
    tell: curves.Tell = lambda step, values: None,
) -> None:  # fmt: skip
    """One job: a run whose record is whole, but whose weights are wanted by others, is computed for its weights."""
    record = runs.present(config, paper, committed=plan.committed)
    whole = record and not runs.lacks(record, config, paper)
    with curves.followed(paper, config, plan.log, progress, tell) as step:
        (runs.weights if whole else runs.run)(config, paper, committed=plan.committed, progress=step)


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Use ``count`` threads for a while (0: as many as before), so that a result does not depend on the machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
