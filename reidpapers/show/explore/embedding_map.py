"""The embedding map: test images as points, coloured by what is known of them, and one of them with its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from torch import Tensor

from reidpapers.run.evaluate_run import one_point
from reidpapers.show.explore import missing_weights
from reidpapers.show.explore.controls import ControlMaker
from reidpapers.show.explore.panel import Panel, Picture, say
from reidpapers.show.explore.run import Run, described, known
from reidpapers.show.plots.mosaic import Cell, Line, mosaic, ordinal
from reidpapers.show.plots.style import COLORS, FAINT, INK, MARKERS, PAINTS, SOFT, WIDTH, plain, styled

COUNTS = (400, 800, 1600)  # points; the first in about a second
NEAREST, HEIGHT = 8, 4.6
COLUMNS = {"identity": "vehicle_id", "colour": "color", "type": "type", "camera": "camera_id"}
PERPLEXITY, SEED = 20.0, 0


def embedding(run: Run) -> None:
    """Look at a run's test images as points of the plane.

    Where features have two dimensions they are the points; else t-SNE makes them, whose distances mean little: the
    neighbours beside the map are those of the features themselves.
    """
    if not run.tests:
        say("This run matches nothing: it has no features to look at.")
        return
    if run.weights is None and not kept_map(run) and not run.record.exhibits.get("retrieval"):
        say("No map: neither the run's weights nor a map or retrieval lists in its record are here.")
        return
    missing_weights.show(run, lambda: _Map(run).panel, lambda offer: _kept(run, offer))


def flat(features: Tensor) -> np.ndarray:
    """Points of the plane, ``[N, 2]``: the features themselves where they have two dimensions, else by t-SNE.

    Features that are all one point stay one.
    """
    if features.shape[1] == 2:
        return features.double().cpu().numpy()
    if one_point(features):
        return np.zeros((len(features), 2))
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=SEED, max_iter=500)
    return tsne.fit_transform(features.float().cpu().numpy()).astype(float)


def spread(rows: pd.DataFrame, count: int) -> np.ndarray:
    """Which rows become points, at most ``count``: whole vehicles, so that a point's vehicle is there with it."""
    order = np.random.default_rng(SEED).permutation(np.sort(rows["vehicle_id"].unique()))
    size = rows["vehicle_id"].value_counts()
    fits = np.cumsum(size.loc[order].to_numpy()) <= count
    fits[0] = True
    return np.flatnonzero(rows["vehicle_id"].isin(order[fits]).to_numpy(bool))[: max(count, 1)]


def kept_map(run: Run) -> Mapping[str, Any] | None:
    """The map that a record keeps: its two features, or its own t-SNE; None where that is of one point."""
    kept = run.record.exhibits.get("map") or run.record.exhibits.get("tsne")
    return kept if kept and kept["x"] else None


class _Map:
    """The map on a run's features."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows, self.features = run.seen
        self.names = [name for name, column in COLUMNS.items() if known(self.rows, column)]
        self.points = lru_cache(maxsize=4)(self._points)
        self.draws = np.random.default_rng(SEED)
        counts = [count for count in COUNTS if count < len(self.rows)] or [min(COUNTS[0], len(self.rows))]
        start = int(spread(self.rows, counts[0])[0])
        make = ControlMaker()
        controls = {
            "color": make.choice("coloured by", self.names, "type" if "type" in self.names else None),
            "count": make.choice("points", counts),
            "image": make.number("image", start, len(self.rows) - 1, "number of the image"),
            "next": make.button("next image", "the next point"),
            "random": make.button("at random", "any point"),
        }
        presses = {"next": lambda: self._step(1), "random": lambda: self._step(0)}
        rows = [["color", "count"], ["image", "next", "random"]]
        self.panel = Panel("embedding", make, controls, self.draw, rows, None, presses)

    def draw(self, color: str, count: int, image: int) -> Picture:
        """The map, and one image with its neighbours."""
        places, points = self.points(count)
        labels = self.rows[COLUMNS[color]].iloc[places].astype("string").fillna("unknown")
        distance = (self.features - self.features[image]).norm(dim=1)
        near = [i for i in distance.argsort(stable=True).tolist() if i != image][:NEAREST]
        values = self.rows[COLUMNS[color]]
        shared = np.mean([bool(values.iloc[i] == values.iloc[image]) for i in near if pd.notna(values.iloc[i])] or [0])
        at = np.flatnonzero(places == image)
        others = [int(i) for i in np.flatnonzero(np.isin(places, near))]
        drawing = scatter(
            points, labels.tolist(), int(at[0]) if len(at) else None, others, self._sheet(image, near, distance)
        )
        made_by = "The two features" if self.features.shape[1] == 2 else "t-SNE"
        if one_point(self.features):
            made_by = "No map, as all features are one point,"
        text = (
            f"{made_by} of {len(places)} test images, coloured by {color}. ★ image {image} "
            f"({described(self.rows.iloc[image])}){'' if len(at) else ', which is not among the points'}; "
            f"circles: its neighbours. Of its {len(near)} nearest images by the features themselves "
            f"{100 * shared:.0f}% share its {color}."
        )
        return Picture(drawing, text)

    def _sheet(self, image: int, near: list[int], distance: Tensor) -> np.ndarray:
        """The chosen image and its nearest, three a row."""
        own = self.rows["vehicle_id"].iloc[image]
        cells = [self._cell(image, "chosen", "")]
        for place in near:
            frame = "match" if self.rows["vehicle_id"].iloc[place] == own else "wrong"
            cells.append(self._cell(place, frame, f"d = {float(distance[place]):.3f}"))
        titles = (f"image {image} and its {len(near)} nearest", "", "")
        lines = [Line(titles[i // 3], cells[i : i + 3]) for i in range(0, len(cells), 3)]
        return mosaic(lines, 3, 2, 330)

    def _cell(self, place: int, frame: str, text: str) -> Cell:
        row = self.rows.iloc[place]
        camera = "" if pd.isna(row["camera_id"]) else f" {row['camera_id']}"
        return Cell(self.run.store.image(row["image"]), f"{row['vehicle_id']}{camera}\n{text}", frame)

    def _points(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        places = spread(self.rows, count)
        return places, flat(self.features[torch.as_tensor(places)])

    def _step(self, by: int) -> None:
        places, _ = self.points(self.panel.controls["count"].value)
        control = self.panel.controls["image"]
        at = int(np.searchsorted(places, control.value)) + by
        control.value = int(places[at % len(places)] if by else self.draws.choice(places))


@styled
def scatter(
    points: np.ndarray, labels: list[str], chosen: int | None, near: list[int], sheet: np.ndarray | None = None
) -> Figure:
    """Points by label, each label a colour and a form; one with a star, some with a circle; a picture at the right.

    Args:
        points: ``[N, 2]``.
        labels: of each.
        chosen, near: which are marked.
        sheet: pixels shown beside the map, or none.
    """
    drawing = Figure(figsize=(WIDTH, HEIGHT))
    axis = drawing.add_axes((0.005, 0.01, 0.6, 0.98))
    names = sorted(set(labels))
    label = np.array(labels)
    named = len(names) <= 12
    for place, name in enumerate(names):
        own = label == name
        color = PAINTS.get(name, COLORS[place % len(COLORS)])
        look = {"color": color, "marker": MARKERS[(place + place // 8) % len(MARKERS)], "ls": ""}
        axis.plot(*points[own].T, ms=4.2, alpha=0.75, mew=0, label=plain(name) if named else None, **look)
    for place in near:
        axis.plot(*points[place], marker="o", ms=11, mfc="none", mec=INK, mew=1.1, ls="")
    if chosen is not None:
        axis.plot(*points[chosen], marker="*", ms=19, mfc="white", mec=INK, mew=1.4, ls="")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(visible=True, color=FAINT)
    axis.margins(0.03)
    if named:
        look = {"columnspacing": 0.8, "handletextpad": 0.1, "labelspacing": 0.3, "borderpad": 0, "labelcolor": SOFT}
        drawing.legend(loc="lower left", bbox_to_anchor=(0.62, 0.01), ncols=4, fontsize=7, **look)
    if sheet is not None:
        share = sheet.shape[0] / sheet.shape[1] * 0.385 * WIDTH / HEIGHT
        beside = drawing.add_axes((0.615, 0.995 - share, 0.385, share))
        beside.imshow(sheet, interpolation="antialiased")
        beside.set_axis_off()
    return drawing


def _kept(run: Run, offer: missing_weights.TrainingOffer) -> Panel:
    """What a record alone can show: the map that it keeps, or how far its queries' nearest images are."""
    exhibits, known_map = run.record.exhibits, kept_map(run)
    options = sorted(set(known_map) - {"x", "y", "image"}) if known_map else ["vehicle", "camera"]
    controls = {"color": offer.make.choice("coloured by", options), **offer.controls}
    draw = (lambda color: _kept_map(known_map, color)) if known_map else (lambda color: _ladder(exhibits, color))
    rows = [["color"], list(offer.controls)]
    return Panel("embedding", offer.make, controls, draw, rows, presses=offer.presses)


def _kept_map(kept: Mapping[str, Any], color: str) -> Picture:
    points = np.stack([np.asarray(kept[axis], float) for axis in "xy"], 1)
    text = f"The map that the record keeps: {len(points)} test images, coloured by {color}."
    return Picture(scatter(points, [str(value) for value in kept[color]], None, []), text)


@styled
def _ladder(exhibits: Mapping[str, Any], color: str) -> Picture:
    """The kept queries as lines of their nearest images by distance; the query's own vehicle (or camera) is filled."""
    lists = exhibits["retrieval"]
    drawing = Figure(figsize=(WIDTH, 0.9 + 0.24 * len(lists)), layout="constrained")
    axis = drawing.subplots()
    for line, strip in enumerate(lists):
        for item in strip["top"]:
            same = item[color] == strip["query"][color]
            look = {"color": COLORS[2], "marker": "o"} if same else {"color": COLORS[1], "marker": "X", "mfc": "white"}
            axis.plot(item["distance"], line, ls="", ms=7, **look)
    axis.set_yticks(range(len(lists)), [plain(f"vehicle {strip['query']['vehicle']}") for strip in lists])
    by = "place in the re-ranked list" if ordinal(lists) else "distance"
    axis.set(xlabel=f"{by} of the query's ten nearest images", ylim=(len(lists) - 0.5, -0.5), xlim=(0, None))
    text = (
        f"The {len(lists)} queries that the record keeps, from the worst to the best, and the {by} of each of "
        f"their ten nearest images: ● of the query's own {color}, ✕ of another. A map of all images needs the run's "
        "weights, which are not in this user's cache."
    )
    return Picture(drawing, text)
