"""Widgets for a live notebook. Each draws one picture first and then changes that very picture.

So a notebook that is executed in batch, where no widget lives, keeps a useful still picture in the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
from IPython.display import HTML, display
from matplotlib.figure import Figure

from reidlib import plots
from reidlib.images import ImageStore
from reidlib.records import Record


def retrieval(record: Record, store: ImageStore) -> None:
    """Browse the queries that a record keeps, from the worst to the best: the ten nearest gallery images of one."""
    kept = record.exhibits["retrieval"]
    names = [f"{i + 1}: vehicle {one['query']['vehicle']}, AP {100 * one['ap']:.0f}%" for i, one in enumerate(kept)]
    choice = widgets.SelectionSlider(options=list(zip(names, range(len(kept)), strict=True)), value=len(kept) // 2,
                                     description="query", layout={"width": "36em"})  # fmt: skip

    def draw(place: int) -> tuple[Figure, str]:
        found = sum(item["match"] for item in kept[place]["top"])
        text = f"Query {names[place]}: {found} of its ten nearest images show the same vehicle."
        return plots.strips([kept[place]], store.image, 1), text

    _live(draw, {"place": choice})


def ablations(tables: Mapping[str, Mapping[str, Sequence[Record]]]) -> None:
    """CMC curves of any table's rows.

    Args:
        tables: by title, the records of each row; rows without records are left out.
    """
    filled = {title: rows for title, rows in tables.items() if any(rows.values())}
    if not filled:
        display(HTML("<p>No table has runs yet.</p>"))
        return
    table = widgets.Dropdown(options=list(filled), description="table", layout={"width": "48em"})
    ranks = widgets.IntSlider(value=20, min=5, max=50, step=5, description="ranks")

    def draw(title: str, last: int) -> tuple[Figure, str]:
        return plots.cmc(filled[title], last), f"CMC of {title}: mean over seeds, band: 95% interval."

    _live(draw, {"title": table, "last": ranks})


def _live(draw: Callable[..., tuple[Figure, str]], controls: Mapping[str, Any]) -> None:
    """Show the controls and one picture, which is drawn anew whenever a control moves."""

    def markup() -> HTML:
        figure, text = draw(**{name: control.value for name, control in controls.items()})
        page = HTML(plots.markup(figure, text, text))
        figure.clear()
        return page

    display(widgets.VBox(list(controls.values())))
    picture = display(markup(), display_id=True)
    for control in controls.values():
        control.observe(lambda change: picture.update(markup()), names="value")
