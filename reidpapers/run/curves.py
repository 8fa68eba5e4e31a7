"""What the loss of a training does meanwhile: for a bar, and as curves for whoever wants them.

A paper's objective is followed from outside, so that no training changes, and no digest of the code behind records.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reidlib import parallel
from reidlib.places import cache_dir
from reidpapers.run import runs
from reidpapers.run.config import Config

if TYPE_CHECKING:
    from reidpapers.run.base import Paper

EVERY = 10  # steps from one point of a curve to the next
Tell = Callable[[int, Mapping[str, Any]], None]
"""``(steps done, {term: value})``: each term of the loss, unweighted, and ``total``, as tensors without gradients."""


def folder(paper: Paper) -> Path:
    """Where a paper's curves are written."""
    return cache_dir() / "curves" / paper.name


@contextmanager
def followed(paper: Paper, config: Config, log: str, progress: Callable[[int], None], tell: Tell) -> Iterator[Any]:
    """The progress to hand to a run, which passes on what it is told, and after each step what the loss came to.

    Args:
        paper, config: whose run.
        log: ``none``, ``csv`` or ``tensorboard``: the curves to write.
        progress: called with the number of steps done since the last call.
        tell: told of each step.
    """
    values: dict[str, Any] = {}

    def objective(config: Any, network: Any, batch: Any) -> dict[str, Any]:
        losses = type(paper).objective(paper, config, network, batch)
        values.update({term: loss.detach() for term, loss in losses.items()})
        values["total"] = sum(weight * values[term] for term, weight in paper.term_weights(config).items())
        return losses

    with _writer(log, paper, config) as write:
        step = _stepper(values, progress, (tell, write))
        paper.objective = objective  # type: ignore[method-assign]  # on this object alone
        try:
            yield step
        finally:
            del paper.objective


def _stepper(values: dict[str, Any], progress: Callable[[int], None], tells: tuple[Tell, ...]) -> Callable[[int], None]:
    """Counts steps; a count other than one is where a training begins, or goes on from its checkpoint."""
    done = 0

    def step(count: int) -> None:
        nonlocal done
        progress(count)
        done = done + 1 if count == 1 else count
        for tell in tells if count == 1 and values else ():
            tell(done, values)

    return step


def _writer(log: str, paper: Paper, config: Config) -> Any:
    """What writes a run's curves; nothing where none are wanted, or another process writes them."""
    if log == "none" or not parallel.is_main():
        return nullcontext(lambda step, values: None)
    path = folder(paper) / runs.name(config, paper)
    path.parent.mkdir(parents=True, exist_ok=True)
    return _csv(path.with_suffix(".csv")) if log == "csv" else _tensorboard(path)


@contextmanager
def _csv(path: Path) -> Iterator[Tell]:
    """A line every few steps; a run that goes on from its checkpoint adds to what it wrote."""
    with path.open("a", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")

        def write(step: int, values: Mapping[str, Any]) -> None:
            if step <= EVERY:
                file.truncate(0)
            if step % EVERY == 0:
                if not file.tell():
                    lines.writerow(["step", *values])
                lines.writerow([step, *(f"{float(value):.6g}" for value in values.values())])
                file.flush()

        yield write


@contextmanager
def _tensorboard(path: Path) -> Iterator[Tell]:
    """The same as TensorBoard reads it."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(path)) as board:

        def write(step: int, values: Mapping[str, Any]) -> None:
            for term, value in values.items() if step % EVERY == 0 else ():
                board.add_scalar(term, float(value), step)

        yield write
