"""What the notebooks show beside plots: the library's own source, small tables of facts, samples of the data.

Each function returns something to display, so that a notebook's cells stay short and nothing in them stands twice.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from reidlib.data.images import ImageStore
from reidlib.data.manifest import Manifest, Test
from reidpapers.run import provenance
from reidpapers.run.config import Config
from reidpapers.run.datasets import BENCHMARKS
from reidpapers.run.records import Record
from reidpapers.show.templates import macros

RENDERED = (
    "Official benchmarks need a licence, so the suite carries its own data: vehicles drawn by a small renderer, of "
    "several types and models, in 10 colours, seen by fixed cameras that each have their own pose, light, blur and "
    "resolution. They are *procedural* pictures, no photographs. Two vehicles of one model and colour differ *only in "
    "their marks*: stickers, stripes, roof loads, plates, things behind the windscreen. All follows from a seed. "
    "With `dataset` and `data_root` the same cells run on an official benchmark, or on a folder of your own pictures."
)
OWN = (
    "These are pictures of your own, from a folder: vehicles, cameras and other labels are those that its table, its "
    "file names or its folders give, and what they do not say is missing. No paper prints numbers for them: what is "
    "printed beside ours in the tables below was measured on other data."
)
UNLIKE = "So no printed number stands beside their results, and none of the papers' margins is held against them."


def source(*objects: Any) -> HTML:
    """The source of functions or classes of the library, highlighted: what runs is what is shown."""
    text = "\n\n".join(inspect.getsource(item).rstrip() for item in objects)
    return HTML(macros("tables.j2").source(highlight(text, PythonLexer(), HtmlFormatter(nowrap=False))))


def facts(title: str, values: Mapping[str, Any], *, fold: bool = False) -> HTML:
    """Names and values as a two-column table, folded away behind its title if asked for."""
    return HTML(macros("tables.j2").facts(title, values, fold))


def environment() -> HTML:
    """The machine, commit and versions that this notebook runs on."""
    libraries = ", ".join(f"{name} {version}" for name, version in provenance.versions().items())
    own = {"processor": provenance.processor(), "commit": provenance.commit(), "versions": libraries}
    return facts("This notebook's environment", own)


def origins(records: Iterable[Record]) -> HTML:
    """Where the records on a page come from: devices, commits, versions, freshness, each with its count."""
    records = list({record.key: record for record in records}.values())
    lines = {
        "records": [f"{len(records)} runs"],
        "freshness": [record.freshness for record in records],
        "processor": [f"{record.device['name']}, {record.device['threads']} thread a run" for record in records],
        "commit": [record.commit for record in records],
        "data": [f"{record.data['name']} {record.data['digest'][:12]}" for record in records],
        "PyTorch": [record.versions.get("torch", "?") for record in records],
    }
    return facts("Where these numbers come from", {name: _counted(values) for name, values in lines.items()})


def _counted(values: Sequence[str]) -> str:
    counts = Counter(values)
    return values[0] if len(counts) == 1 else ", ".join(f"{value} ({count})" for value, count in counts.items())


def about(config: Config, data: Mapping[str, Any], rendered: str = "") -> HTML:
    """What the data at hand are, in a paragraph: rendered, an official benchmark, one's own pictures, or digits.

    Args:
        config: of which data.
        data: what :meth:`reidpapers.run.base.Paper.data` says of them.
        rendered: what else is to be said of rendered vehicles.
    """
    text = {"rendered": f"{RENDERED} {rendered}", "folder": OWN}.get(config.dataset, data["note"])
    if config.dataset in BENCHMARKS:
        text = f"{data['name']}, read from its folder on this machine: {BENCHMARKS[config.dataset].source}."
    if differences := data.get("deviations"):
        text += f" *These are not the data as released*: {'; '.join(differences)}. {UNLIKE}"
    return HTML(macros("tables.j2").paragraph(text))


def samples(manifest: Manifest, count: int, seed: int = 0) -> pd.DataFrame:
    """Training rows of different vehicles, one a vehicle, at random."""
    train = manifest.rows("train")
    order = np.random.default_rng(seed).permutation(len(train))
    return train.iloc[order].drop_duplicates("vehicle_id").head(count).sort_values("vehicle_id")


def sightings(manifest: Manifest, vehicles: int = 3) -> pd.DataFrame:
    """A few training vehicles as each camera that saw them did: one row a vehicle and camera, most-seen first."""
    train = manifest.rows("train").drop_duplicates(["vehicle_id", "camera_id"])
    most = train["vehicle_id"].value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:vehicles]
    return train[train["vehicle_id"].isin(most)].sort_values(["vehicle_id", "camera_id"])


def split_counts(manifest: Manifest) -> pd.DataFrame:
    """Images with and without a model's name, by split, as DRDL's Table 1 counts them."""
    counts = {}
    for title, split in (("Training", "train"), ("Testing", "gallery")):
        named = manifest.rows(split)["model"].notna()
        counts[title] = [int(named.sum()), int((~named).sum()), len(named)]
    return pd.DataFrame(counts, index=["With model label", "Without model label", "All"])


def test_counts(manifest: Manifest, tests: Sequence[Test]) -> pd.DataFrame:
    """Vehicles, images, gallery and probes of each test set by VehicleID's protocol, as DRDL's Tables 2 and 5 do."""
    gallery, counts = manifest.rows("gallery"), {}
    for test in tests:
        if test.protocol == "vehicleid":
            rows = gallery[test.rows(gallery)]
            vehicles = rows["vehicle_id"].nunique()
            counts[test.name] = [vehicles, len(rows), vehicles, len(rows) - vehicles]
    order = list(reversed(counts))
    names = ["Number of vehicles", "Number of images", "Gallery size", "Probe size"]
    return pd.DataFrame({size: counts[size] for size in order}, index=names)


def pair_counts(tests: Sequence[Test]) -> pd.DataFrame:
    """Pairs of each verification test: of one model, of two, and those that the threshold comes from."""
    counts = {
        test.name: [int(test.pairs["same"].sum()), int((~test.pairs["same"]).sum()), len(test.threshold_pairs)]
        for test in tests
    }
    return pd.DataFrame(counts, index=["Pairs of one model", "Pairs of two models", "Training pairs for the threshold"])


def label(row: pd.Series) -> str:
    """Two short lines below an image: colour and type (or the identity alone), vehicle and camera."""
    looks = [row[name] for name in ("color", "type") if pd.notna(row[name])]
    where = "" if pd.isna(row["camera_id"]) else f" · {row['camera_id']}"
    return f"{' '.join(looks)}\n{row['vehicle_id']}{where}" if looks else f"{row['vehicle_id']}"


def pictures(store: ImageStore, rows: pd.DataFrame) -> tuple[list[np.ndarray], list[str]]:
    """Pixels and labels of manifest rows, as :func:`reidpapers.show.plots.contact_sheet` takes them."""
    return [store.image(image) for image in rows["image"]], [label(row) for _, row in rows.iterrows()]
