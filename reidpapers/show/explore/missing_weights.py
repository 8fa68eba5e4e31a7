"""How an explorer opens: on the features of a run, or, where its weights are not here, on what its record keeps.

A notebook in batch must not wait, and a record must not be dressed up as more than it is. So features are taken at once
only where that is a matter of seconds; else the explorer shows what the record keeps, with a button that takes them, or
that trains the run first, and says how long either took before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ipywidgets as widgets

from reidpapers.show.explore.controls import ControlMaker
from reidpapers.show.explore.panel import Panel
from reidpapers.show.explore.run import Run

PATIENCE = 4.0  # seconds that a notebook waits for features unasked


@dataclass(frozen=True)
class TrainingOffer:
    """What an explorer on a record alone has beside its own controls.

    Attributes:
        make: which its own are to be made with.
        controls: a button that opens more, and how far that is.
        presses: what the button does.
    """

    make: ControlMaker
    controls: Mapping[str, widgets.Widget]
    presses: Mapping[str, Callable[[], None]]


def show(run: Run, full: Callable[[], Panel], kept: Callable[[TrainingOffer], Panel]) -> None:
    """Show an explorer.

    Args:
        run: whose.
        full: the explorer on the run's features.
        kept: the explorer on the record alone.
    """
    if run.weights is not None and run.wait <= PATIENCE:
        full().show()
        return
    make = ControlMaker()
    bar = make.bar(max(1, run.steps))
    press = make.button(_words(run), "computes what is missing; interrupt the kernel to stop, press again to go on")
    panel = kept(TrainingOffer(make, {"train": press, "done": bar}, {"train": lambda: _train(run, bar)}))

    def upgrade() -> None:
        panel.become(full())

    run.waiting.append(upgrade)
    panel.afterwards = lambda: run.waiting.remove(upgrade)
    panel.show()


def _train(run: Run, bar: widgets.IntProgress) -> None:
    def advance(steps: int) -> None:
        bar.value += steps

    run.train(max(1, os.cpu_count() or 1), advance)


def _words(run: Run) -> str:
    """What the button does, and how long that takes."""
    if run.weights is not None:
        return f"load its features (about {run.wait:.0f} s)"
    return f"train this run here (about {run.seconds + run.wait:.0f} s)"
