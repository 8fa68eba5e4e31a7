"""The plan of a grid as JSON, so that the workflow reads it without loading the library for each of its jobs.

What the store holds already is stamped as done here: committed and earlier records are never computed again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reidpapers.grid import jobs, stamps, summary
from reidpapers.grid.jobs import Job
from reidpapers.run import runs
from reidpapers.run.config import ConfigError
from reidpapers.run.papers import load
from reidpapers.run.provenance import CHECKOUT

NOTEBOOKS = CHECKOUT / "notebooks"
OWN = ("out", "pages", "columns")  # settings that are of the plan, not of a run


def make(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The jobs of a grid, the pages to write after them, and where everything lies.

    Args:
        settings: ``out`` (folder), ``pages`` (folder, by default ``report`` in it), and those of :func:`jobs.order`.

    Raises:
        ConfigError: a setting is refused; nothing was computed.
    """
    out = Path(settings.get("out") or "out")
    pages = Path(settings.get("pages") or out / "report")
    wanted = jobs.order({name: value for name, value in settings.items() if name not in OWN})
    found = jobs.jobs(wanted)
    if not found:
        raise ConfigError("nothing to do: no table has rows for these settings")
    plan = {
        "out": str(out),
        "jobs": {job.name: _as_json(job, out) for job in found.values()},
        "pages": {} if wanted.axes else _pages(wanted, found, out, pages),
        "site": None if wanted.axes else str(pages / "index.html"),
    }
    for name, entry in (plan["jobs"] | plan["pages"]).items():
        entry["logs"] = summary.logs(plan, name)
    committed = next(iter(found.values())).parameters["committed"]
    _settle(plan, found, committed)
    return plan


def _as_json(job: Job, out: Path) -> dict[str, Any]:
    return {
        "parameters": {name: _text(value) for name, value in job.parameters.items()},
        "after": list(job.after),
        "stamp": str(_stamp(out, "runs", job.name)),
        "profile": job.parameters["profile"],
        "processes": job.parameters.get("processes", 1),  # a GPU or a core each
        "gpu": any(config.device == "cuda" for config in job.configs) * job.parameters.get("processes", 1),
    }


def _text(value: Any) -> str:
    """A value as papermill's ``-p`` takes it: lists and mappings as JSON text."""
    return json.dumps(value) if isinstance(value, list | tuple | dict) else str(value)


def _stamp(out: Path, kind: str, name: str) -> Path:
    return out / "stamps" / kind / f"{name}.json"


def _pages(wanted: jobs.Order, found: Mapping[str, Job], out: Path, pages: Path) -> dict[str, Any]:
    """The full notebook of every paper that has one, with the parameters of all its jobs."""
    plan = {}
    for paper in wanted.papers:
        notebook = NOTEBOOKS / f"{paper}_ablation.ipynb"
        if notebook.is_file():
            own = [job for job in found.values() if job.paper == paper]
            given = {**wanted.given, "device": own[0].configs[0].device, "workers": 1}
            plan[paper] = {
                "notebook": str(notebook),
                "parameters": {name: _text(value) for name, value in given.items()},
                "after": [job.name for job in own],
                "profile": own[0].parameters["profile"],
                "gpu": int(given["device"] == "cuda"),
                "page": str(pages / paper / f"{paper}_ablation.html"),
                "stamp": str(_stamp(out, "pages", paper)),
            }
    return plan


def _settle(plan: Mapping[str, Any], found: Mapping[str, Job], committed: bool) -> None:
    """Bring all stamps in line with the store: what is there counts as done, what is not there has to be done."""
    texts = {name: _done(job, committed) for name, job in found.items()}
    for name in reversed(list(found)):  # a job stands after those it waits for
        if texts[name] is None:
            for start in found[name].after:
                if texts[start] is not None and not _has_weights(found[start]):
                    texts[start] = None
    for name, text in texts.items():
        stamps.settle(Path(plan["jobs"][name]["stamp"]), text)
    for entry in plan["pages"].values():
        inputs = [Path(plan["jobs"][name]["stamp"]) for name in entry["after"]]
        sources, page = [Path(entry["notebook"])], Path(entry["page"])
        ready = page.is_file() and all(path.is_file() for path in inputs)
        _keep_if(Path(entry["stamp"]), stamps.made(page, sources, inputs) if ready else None)
    if plan["site"]:
        inputs, page = site_inputs(plan), Path(plan["site"])
        ready = page.is_file() and all(path.is_file() for path in inputs)
        _keep_if(_stamp(Path(plan["out"]), "pages", "site"), stamps.made(page, [], inputs) if ready else None)


def site_inputs(plan: Mapping[str, Any]) -> list[Path]:
    """The stamps that the site waits for: all pages and all runs."""
    return [Path(entry["stamp"]) for kind in ("pages", "jobs") for entry in plan[kind].values()]


def _keep_if(path: Path, wanted: str | None) -> None:
    """Remove the stamp of a page that was made from something else; a page is never taken as made unseen."""
    if path.is_file() and path.read_text(encoding="utf-8") != wanted:
        path.unlink()


def _done(job: Job, committed: bool) -> str | None:
    """A job's stamp if all its records are there, else None."""
    rows = jobs.found(job, committed=committed)
    if not all(record for records in rows.values() for record in records):
        return None
    return stamps.text(rows, load(job.paper).tables.COLUMNS)


def _has_weights(job: Job) -> bool:
    return all(runs.kept_weights(config, load(job.paper)) for config in job.configs)
