"""The pair inspector: two images, what the network says of them, and which term of the loss pulls or pushes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from reidlib.augment import normalise
from reidpapers.show.explore import missing_weights
from reidpapers.show.explore.controls import ControlMaker
from reidpapers.show.explore.pair_terms import Judge, Pair, forces
from reidpapers.show.explore.panel import Panel, Picture
from reidpapers.show.explore.run import Run, described, known
from reidpapers.show.plots.mosaic import Cell, Line, measured, mosaic, ordinal
from reidpapers.show.plots.style import BLUE, GREEN, GREY, INK, SOFT, VERMILION, WIDTH, styled

LARGEST = 10  # components shown
PARTNERS = (
    "same vehicle, farthest",
    "other vehicle, nearest",
    "other vehicle, same colour and type",
    "any",
    "by number",
)
SIDES = ("test images", "training images")


def pairs(run: Run, judge: Judge) -> None:
    """Look at two images as a paper's loss does.

    Args:
        run: whose network.
        judge: what the paper's loss makes of a pair, such as :func:`~reidpapers.mlsl.explore.pair`.
    """
    missing_weights.show(run, lambda: _Inspector(run, judge).panel, lambda offer: _kept(run, offer))


class _Inspector:
    """The inspector on a trained network."""

    def __init__(self, run: Run, judge: Judge) -> None:
        self.run, self.judge, self.draws = run, judge, np.random.default_rng(0)
        self.sides: dict[str, tuple[pd.DataFrame, Tensor, Tensor]] = {}
        rows, *_ = self._side(SIDES[0])
        first = int(rows.index[rows["vehicle_id"].duplicated(keep=False)][0])
        make = ControlMaker()
        controls = {
            "side": make.choice("of the", SIDES),
            "first": make.number("first", first, len(rows) - 1, "number of the first image"),
            "partner": make.choice("second is", PARTNERS, PARTNERS[1], width="26em"),
            "second": make.number("second", 0, len(rows) - 1, "number of the second image"),
            "random": make.button("another first", "any image, with a partner of the same kind"),
        }
        links = {"side": self._turn, "first": lambda value: self._pair(), "partner": lambda value: self._pair(),
                 "second": self._by_hand}  # fmt: skip
        rows = [["side", "first", "random"], ["partner", "second"]]
        self.panel = Panel("pairs", make, controls, self.draw, rows, links, {"random": self._another})
        self.panel.quiet = True
        self._pair()
        self.panel.quiet = False

    def draw(self, side: str, first: int, second: int, **others: Any) -> Picture:
        """Both images, outputs, components and forces."""
        rows, labels, _ = self._side(side)
        both = [first, second]
        images = normalise(torch.stack([torch.tensor(self.run.store.image(rows["image"][i])) for i in both]))
        with torch.enable_grad():
            pair = self.judge(self.run.trained.network, self.run.config, images.to(self.run.config.device),
                              labels[both].to(self.run.config.device), side == SIDES[1])  # fmt: skip
            pulls = forces(pair)
        same = rows["vehicle_id"][first] == rows["vehicle_id"][second]
        pictures = [self.run.store.image(rows["image"][i]) for i in both]
        return Picture(_figure(pictures, bool(same), pair, pulls), self._text(rows, both, pair, pulls))

    def _text(self, rows: pd.DataFrame, both: list[int], pair: Pair, pulls: Mapping[str, float]) -> str:
        names = "; ".join(f"image {i} ({described(rows.iloc[i])})" for i in both)
        said = [
            f"{name}: says {term.says:.2f}, Y = {'unknown' if term.differs is None else int(term.differs)}"
            for name, term in pair.terms.items() if term.says is not None
        ]  # fmt: skip
        moved = [
            f"{name} {'pulls' if force > 0 else 'pushes' if force < 0 else 'rests'} ({force:+.4f})".replace("-", "−")
            for name, force in pulls.items()
        ]
        distance = float((pair.features[0] - pair.features[1]).detach().norm())
        return f"{names}. Distance {distance:.3f}. {'; '.join(said)}{'. ' if said else ''}{', '.join(moved)}."

    def _side(self, side: str) -> tuple[pd.DataFrame, Tensor, Tensor]:
        """Rows, labels and features of the test's or of the training images."""
        if side not in self.sides:
            rows, features = self.run.seen if side == SIDES[0] else self.run.learnt
            self.sides[side] = rows, self.run.paper.labels(rows), features
        return self.sides[side]

    def _turn(self, side: str) -> None:
        controls, (rows, *_) = self.panel.controls, self._side(side)
        for name in ("first", "second"):
            controls[name].value = min(controls[name].value, len(rows) - 1)
            controls[name].max = len(rows) - 1
        self._pair()

    def _another(self) -> None:
        rows, *_ = self._side(self.panel.controls["side"].value)
        self.panel.controls["first"].value = int(self.draws.integers(len(rows)))
        self._pair()

    def _by_hand(self, value: int) -> None:
        self.panel.controls["partner"].value = PARTNERS[4]

    def _pair(self) -> None:
        """Choose the second image as the list says."""
        controls = self.panel.controls
        rows, _, features = self._side(controls["side"].value)
        chosen = partner(rows, features, controls["first"].value, controls["partner"].value, self.draws)
        if chosen is not None:
            controls["second"].value = chosen


def partner(rows: pd.DataFrame, features: Tensor, first: int, kind: str, draws: np.random.Generator) -> int | None:
    """A second image of a kind in :data:`PARTNERS`; None where there is none, or where it is chosen by number."""
    distance = (features - features[first]).norm(dim=1).numpy()
    own = (rows["vehicle_id"] == rows["vehicle_id"][first]).to_numpy(bool)
    alike = np.ones(len(rows), bool)
    for column in known(rows, "color", "type"):
        alike &= (rows[column] == rows[column][first]).fillna(False).to_numpy(bool)
    among = {PARTNERS[0]: own, PARTNERS[1]: ~own, PARTNERS[2]: ~own & alike, PARTNERS[3]: np.ones(len(rows), bool)}
    if kind not in among:
        return None
    places = np.flatnonzero(among[kind] & (np.arange(len(rows)) != first))
    if not len(places):
        return None
    if kind == PARTNERS[3]:
        return int(draws.choice(places))
    return int(places[np.argmax(distance[places]) if kind == PARTNERS[0] else np.argmin(distance[places])])


@styled
def _figure(pictures: list[np.ndarray], same: bool, pair: Pair, pulls: Mapping[str, float]) -> Figure:
    """Both images, outputs against labels, largest components of the difference, and forces."""
    drawing = Figure(figsize=(WIDTH, 3.1))
    names, frame = ("a", f"b: {'the same' if same else 'another'}"), "match" if same else "wrong"
    lines = [Line(name, [Cell(image, "", frame)]) for name, image in zip(names, pictures, strict=True)]
    axis = drawing.add_axes((0.0, 0.0, 0.155, 1))
    axis.imshow(mosaic(lines, 1, 0, 145), interpolation="antialiased")
    axis.set_axis_off()
    _outputs(drawing.add_axes((0.25, 0.2, 0.19, 0.66)), pair)
    _components(drawing.add_axes((0.51, 0.2, 0.2, 0.66)), pair)
    _forces(drawing.add_axes((0.81, 0.2, 0.165, 0.66)), pulls)
    return drawing


def _outputs(axis: Axes, pair: Pair) -> None:
    terms = {name: term for name, term in pair.terms.items() if term.says is not None}
    for line, term in enumerate(terms.values()):
        axis.barh(line, term.says, color=BLUE, height=0.5)
        if term.differs is not None:
            axis.plot(term.differs, line, marker="|", ms=20, mew=3, color=INK, clip_on=False)
    axis.set_yticks(range(len(terms)), list(terms), fontsize=8)
    axis.set(xlim=(0, 1), ylim=(len(terms) - 0.5, -0.5), title="output, and Y (bar)", xlabel="0 same, 1 different")
    axis.grid(axis="y", visible=False)


def _components(axis: Axes, pair: Pair) -> None:
    apart = (pair.features[0] - pair.features[1]).detach().abs().cpu()
    values, places = apart.topk(min(LARGEST, len(apart)))
    axis.barh(range(len(values)), values.tolist(), color=SOFT, height=0.7)
    axis.set_yticks(range(len(values)), [f"#{place}" for place in places.tolist()], fontsize=7.5)
    axis.set(ylim=(len(values) - 0.4, -0.6), title="largest $|x_a - x_b|$", xlabel=f"of {len(apart)} components")
    axis.xaxis.set_major_locator(MaxNLocator(3))
    axis.grid(axis="y", visible=False)


def _forces(axis: Axes, pulls: Mapping[str, float]) -> None:
    axis.axvline(0, color=INK, lw=1)
    most = max((abs(force) for force in pulls.values()), default=0) or 1.0
    for line, force in enumerate(pulls.values()):
        color, hatch = (GREEN, "") if force > 0 else (VERMILION, "////") if force < 0 else (GREY, "")
        axis.barh(line, force, color=color, hatch=hatch, edgecolor="white", height=0.5)
    axis.set_yticks(range(len(pulls)), list(pulls), fontsize=8)
    axis.set(xlim=(-1.15 * most, 1.15 * most), ylim=(len(pulls) - 0.5, -0.5), title="← pushes | pulls →",
             xlabel="force on $x_a$, weighted")  # fmt: skip
    axis.xaxis.set_major_locator(MaxNLocator(3))
    axis.grid(axis="y", visible=False)


def _kept(run: Run, offer: missing_weights.TrainingOffer) -> Panel:
    """Pairs that a record keeps: a query and one of its nearest images."""
    lists = run.record.exhibits.get("retrieval", [])

    def draw(query: int, rank: int) -> Picture:
        if not lists:
            raise ValueError("this record keeps no pairs")
        strip = lists[query - 1]
        item = strip["top"][min(rank, len(strip["top"])) - 1]
        first, second = (run.store.image(image["image"]) for image in (strip["query"], item))
        frame = "match" if item["match"] else "wrong"
        cells = [
            Cell(first, f"a: {strip['query']['vehicle']}", "query"),
            Cell(second, f"b: {item['vehicle']}", frame),
        ]
        text = (
            f"Query {query} of the {len(lists)} that the record keeps and its gallery image of rank {rank}: "
            f"{'the same vehicle' if item['match'] else 'another vehicle'}, {measured(item, ordinal(lists))}. Outputs "
            "and forces need the run's weights, which are not in this user's cache."
        )
        return Picture(mosaic([Line("a query and what it found", cells)], 5, 1), text)

    controls = {
        "query": offer.make.steps("query", 1, max(1, len(lists)), "of those kept, from the worst to the best"),
        "rank": offer.make.steps("rank", 1, 10, "of the gallery image"),
        **offer.controls,
    }
    rows = [["query", "rank"], list(offer.controls)]
    return Panel("pairs", offer.make, controls, draw, rows, presses=offer.presses)
