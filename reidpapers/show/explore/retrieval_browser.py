"""The retrieval explorer: one query, what it finds, what does not count, and what re-ranking changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from reidlib.evaluate import protocols
from reidpapers.show.explore import missing_weights
from reidpapers.show.explore.controls import ControlMaker
from reidpapers.show.explore.panel import Panel, Picture, say
from reidpapers.show.explore.run import Run, described, known, percent
from reidpapers.show.explore.search import PLAIN, Answer, Attributes, Search, Settings
from reidpapers.show.plots.mosaic import Cell, Line, mosaic, retrieval_line

SHOWN = 10  # gallery images a row
ANY = "any"
ORDERS = ("worst AP first", "best AP first", "by number")
SLIDERS = {
    "type_penalty": ("other type", 0.5, "attribute constraint: what another type adds to the distance, of its mean"),
    "color_penalty": (
        "other colour",
        0.5,
        "attribute constraint: what another colour adds to the distance, of its mean",
    ),
    "group": ("group threshold", 1.0, "nearer queries share a feature, nearer images bring their track; of the mean"),
}


def retrieval(run: Run, *, attributes: Attributes | None = None, before: protocols.Distance | None = None) -> None:
    """Browse the queries of a run's principal test, and re-rank what they find.

    Args:
        run: whose features.
        attributes: colours and types as a network predicts them, ``(Trained, rows) → frame``; by default those of the
            labels, which no predictor reaches.
        before: the distance that re-ranking begins from and is compared with; by default the run's own.
    """
    if run.test is None:
        say("This run is tested on pairs, or not at all: it retrieves nothing.")
        return
    missing_weights.show(run, lambda: _Explorer(run, attributes, before).panel, lambda offer: _kept(run, offer))


class _Explorer:
    """The explorer on a run's features."""

    def __init__(self, run: Run, attributes: Attributes | None, before: protocols.Distance | None) -> None:
        tested = run.tested
        looks = attributes(run.trained, tested.table) if attributes else tested.table
        if looks.index.name == "image":
            looks = looks.loc[tested.table["image"]].reset_index(drop=True)
        self.source = "predicted" if attributes else "labelled"
        self.run, self.search = run, Search(tested, looks, before)
        self.columns = known(self.search.queries, "color", "type", "camera_id")
        self.listed = self._order(ORDERS[0])
        self.make = ControlMaker()
        controls = self._controls(len(self.listed) // 4)  # begins with a failure, and not a hopeless one
        rows = [["order", *self.columns], ["place", "number", "worst", "random"], [*SLIDERS, "reciprocal", "reset"]]
        self.panel = Panel("retrieval", self.make, controls, self.draw, rows, self._links(), self._presses())
        self._allow()

    def draw(self, place: int, type_penalty: float, color_penalty: float, group: float, reciprocal: bool,
             **others: Any) -> Picture:  # fmt: skip
        """The query at a place of the list."""
        if not len(self.listed):
            raise ValueError("no query has these attributes: choose others")
        query = int(self.listed[place - 1])
        settings = Settings(type_penalty, color_penalty, group, reciprocal)
        plain = self.search.answer(query, PLAIN, 2 * SHOWN)
        after = None if settings == PLAIN else self.search.answer(query, settings, SHOWN)
        return Picture(
            mosaic(self._lines(query, plain, after), SHOWN + 1, 4),
            self._text(query, plain, after, settings),
        )

    def _lines(self, query: int, plain: Answer, after: Answer | None) -> list[Line]:
        row = self.search.queries.iloc[query]
        asked = Cell(
            self.run.store.image(row["image"]), f"{row['vehicle_id']} {_camera(row)}\n\n{_looks(row)}", "query"
        )
        if after is None:
            second = Line(f"ranks {SHOWN + 1} to {2 * SHOWN}", [None, *self._cells(plain, SHOWN, 2 * SHOWN)])
        else:
            second = Line(f"re-ranked: ranks 1 to {SHOWN}", [None, *self._cells(after, 0, SHOWN)])
        junk = self.search.junk(query, SHOWN)
        cells = [self._cell(i, d, "junk") for i, d in zip(junk, self.search.plain(query, junk), strict=True)]
        title = "junk, not ranked: the query's vehicle at the query's camera" + ("" if len(junk) else " (none here)")
        return [
            Line(f"query; then ranks 1 to {SHOWN}", [asked, *self._cells(plain, 0, SHOWN)]), second,
            Line(title, [None, *cells]),
        ]  # fmt: skip

    def _cells(self, answer: Answer, start: int, stop: int) -> list[Cell]:
        part = slice(start, stop)
        ranks = zip(answer.order[part], answer.distance[part], answer.match[part], strict=True)
        return [self._cell(row, distance, "match" if match else "wrong") for row, distance, match in ranks]

    def _cell(self, place: int, distance: float, frame: str) -> Cell:
        row = self.search.gallery.iloc[int(place)]
        label = f"{row['vehicle_id']} {_camera(row)}\nd = {distance:.3f}\n{_looks(row)}"
        return Cell(self.run.store.image(row["image"]), label, frame)

    def _text(self, query: int, plain: Answer, after: Answer | None, settings: Settings) -> str:
        text = (
            f"Query {query} of {len(self.search.queries)} ({described(self.search.queries.iloc[query])}): "
            f"first match at rank {plain.first or '–'}, AP {percent(plain.ap)}"
        )
        whole = self.search.scores(PLAIN)
        if after is None:
            return text + ("." if whole is None else f"; mAP of all queries {percent(whole)}{self._differs(whole)}.")
        text += f". Re-ranked: rank {after.first or '–'}, AP {percent(after.ap)}"
        if whole is not None:
            text += f"; mAP of all queries {percent(whole)} before, {percent(self.search.scores(settings))} after"
        used = settings.type_penalty or settings.color_penalty
        return f"{text}. d is the plain distance." + (f" Colour and type as {self.source}." if used else "")

    def _differs(self, whole: float) -> str:
        """What to say where the features at hand are not those of the record."""
        recorded = self.run.record.scores.get("mAP")
        drawn = self.run.record.scores.get("draws", 1) > 1
        if recorded is None or drawn or abs(recorded - whole) < 0.002:
            return " (the first draw's)" if drawn else ""
        return f" (the record's {percent(recorded)}: of another machine, or of another distance)"

    def _controls(self, start: int) -> dict[str, widgets.Widget]:
        queries, make, count = self.search.queries, self.make, len(self.listed)
        names = {"color": "colour", "type": "type", "camera_id": "camera"}
        values = {column: sorted(queries[column].dropna().astype(str).unique()) for column in self.columns}
        return {
            "order": make.choice("order", ORDERS),
            **{column: make.choice(names[column], [ANY, *values[column]], width="14em") for column in self.columns},
            "place": make.steps(
                "query, in order", start + 1, count, "the queries listed, in their order", width="32em"
            ),
            "number": make.number("by number", int(self.listed[start]), len(queries) - 1, "of the query in the test"),
            "worst": make.button("worst", "the query with the lowest AP of those listed"),
            "random": make.button("at random", "any of those listed"),
            **{name: make.slider(text, 0, most, 0.01, tip) for name, (text, most, tip) in SLIDERS.items()},
            "reciprocal": make.switch("k-reciprocal", "distances by k-reciprocal encoding (Zhong et al. 2017)"),
            "reset": make.button("plain ranking", "all re-ranking off"),
        }

    def _links(self) -> dict[str, Any]:
        listing = {name: lambda value: self._list() for name in ("order", *self.columns)}
        return {**listing, "place": self._show_number, "number": self._go}

    def _presses(self) -> dict[str, Any]:
        draw = np.random.default_rng()
        return {
            "worst": lambda: self._go(int(self.listed[np.argmin(np.nan_to_num(self.search.ap[self.listed], nan=2))])),
            "random": lambda: self._go(int(draw.choice(self.listed))),
            "reset": self._reset,
        }

    def _order(self, order: str, chosen: Mapping[str, str] | None = None) -> np.ndarray:
        """Numbers of the queries that are listed, in order; those without a match come last."""
        queries, kept = self.search.queries, np.ones(len(self.search.queries), bool)
        for column, value in (chosen or {}).items():
            kept &= (value == ANY) | (queries[column] == value).fillna(False).to_numpy(bool)
        if order == ORDERS[2]:
            return np.flatnonzero(kept)
        ap = self.search.ap if order == ORDERS[0] else -self.search.ap
        place = np.argsort(ap, kind="stable")  # nan sorts last
        return place[kept[place]]

    def _list(self) -> None:
        """List the queries anew, and stay at the one that is shown if it is among them."""
        controls = self.panel.controls
        number = int(controls["number"].value)
        chosen = {column: controls[column].value for column in self.columns}
        self.listed = self._order(controls["order"].value, chosen)
        controls["place"].max = max(1, len(self.listed))
        if len(self.listed):
            at = np.flatnonzero(self.listed == number)
            controls["place"].value = int(at[0]) + 1 if len(at) else 1
            self._show_number(controls["place"].value)

    def _show_number(self, place: int) -> None:
        if len(self.listed):
            self.panel.controls["number"].value = int(self.listed[place - 1])

    def _go(self, query: int) -> None:
        """Show a query by its number; filters that leave it out are taken off."""
        controls = self.panel.controls
        if query not in self.listed:
            for column in self.columns:
                controls[column].value = ANY
            self.listed = self._order(controls["order"].value)
            controls["place"].max = len(self.listed)
        controls["place"].value = int(np.flatnonzero(self.listed == query)[0]) + 1
        controls["number"].value = query

    def _reset(self) -> None:
        for name in SLIDERS:
            self.panel.controls[name].value = 0.0
        self.panel.controls["reciprocal"].value = False

    def _allow(self) -> None:
        for name in SLIDERS:
            self.panel.controls[name].disabled = not self.search.possible(name)


def _kept(run: Run, offer: missing_weights.TrainingOffer) -> Panel:
    """The explorer on the lists that a record keeps."""
    lists = run.record.exhibits.get("retrieval", [])

    def draw(place: int) -> Picture:
        if not lists:
            raise ValueError("this record keeps no retrieval lists")
        strip = lists[place - 1]
        matches = sum(item["match"] for item in strip["top"])
        text = (
            f"Query {place} of the {len(lists)} that the record keeps, from the worst to the best (vehicle "
            f"{strip['query']['vehicle']}): AP {percent(strip['ap'])}, {matches} of its {len(strip['top'])} nearest "
            "images show the same vehicle. All queries, junk and re-ranking need the run's weights, which are not in "
            "this user's cache."
        )
        return Picture(mosaic([retrieval_line(strip, run.store.image, distances=True)], SHOWN + 1), text)

    middle, count = 1 + len(lists) // 2, max(1, len(lists))
    place = offer.make.steps("query", min(middle, count), count, "of those kept, from the worst to the best")
    rows = [["place"], list(offer.controls)]
    return Panel("retrieval", offer.make, {"place": place, **offer.controls}, draw, rows, presses=offer.presses)


def _camera(row: pd.Series) -> str:
    return "" if pd.isna(row["camera_id"]) else str(row["camera_id"])


def _looks(row: pd.Series) -> str:
    """Colour and type, a line each."""
    return "\n".join(str(row[name]) for name in ("color", "type") if pd.notna(row[name]))
