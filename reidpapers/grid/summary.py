"""What a workflow says when it ends: scores of what was done; what failed, why, and the command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reidpapers.run.config import from_json

SHOWN = 20  # failures told in full
DEAD = "it ended without a word: stopped, out of memory, or out of time"


def words(parameters: Mapping[str, str]) -> str:
    """Parameters as options of papermill."""
    return " ".join(f"-p {name} {shlex.quote(value)}" for name, value in parameters.items())


def log(plan: Mapping[str, Any], name: str) -> Path:
    """The executed notebook of a job or, by its paper's name, of a page."""
    return Path(plan["out"]) / "jobs" / f"{name}.ipynb"


def command(plan: Mapping[str, Any], name: str, notebook: str) -> str:
    """The papermill run of a job or page, to be repeated by hand; a job's also writes its stamp."""
    job = plan["jobs"].get(name)
    entry = job or plan["pages"][name]
    stamp = f" -p stamp {shlex.quote(job['stamp'])}" if job else ""
    return f"papermill {shlex.quote(notebook)} {shlex.quote(str(log(plan, name)))} {words(entry['parameters'])}{stamp}"


def failures(plan: Mapping[str, Any], notebook: str) -> str:
    """The end of a workflow in which something failed, or that was stopped.

    Args:
        plan: of the workflow; a log that is as it was when the plan was made tells of an earlier attempt.
        notebook: of a single job.
    """
    entries = {**plan["jobs"], **plan["pages"]}
    missing = {name for name, one in entries.items() if not Path(one["stamp"]).is_file()}
    tried = [name for name in sorted(missing) if logs(plan, name) != entries[name]["logs"]]
    lines = [f"{len(tried)} failed, {len(missing) - len(tried)} were not begun, the others are done and kept."]
    for name in tried[:SHOWN]:
        source = plan["pages"][name]["notebook"] if name in plan["pages"] else notebook
        lines += [f"\n{name}: {reason(plan, name)}", f"  see     {log(plan, name)}"]
        lines += [f"  repeat  {command(plan, name, source)}"]
    lines += [f"\n… and {len(tried) - SHOWN} more"] if len(tried) > SHOWN else []
    if not missing and plan["site"]:  # all that it is made from is there, so it is what failed
        lines = [f"The site was not written: {reason(plan, 'site')}", f"  see     {_text_log(plan, 'site')}"]
        lines += [f"  repeat  python -m reidlib site --out {shlex.quote(str(Path(plan['site']).parent))}"]
    return "\n".join([*lines, "\nThe same command as before goes on with all that is missing."])


def logs(plan: Mapping[str, Any], name: str) -> list[list[int] | None]:
    """What tells a job's logs from those of another attempt: never a comparison with this machine's clock."""
    return [_state(log(plan, name)), _state(_text_log(plan, name))]


def _state(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _text_log(plan: Mapping[str, Any], name: str) -> Path:
    return log(plan, name).with_suffix(".log")


def reason(plan: Mapping[str, Any], name: str) -> str:
    """The error that a notebook ended with, or the last thing that was said before there was one."""
    try:
        cells = from_json(log(plan, name).read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError):
        cells = []
    outputs = [one for cell in cells for one in cell.get("outputs", [])]
    errors = [f"{one['ename']}: {one['evalue']}" for one in outputs if one["output_type"] == "error"]
    if errors:
        return errors[-1]
    text = _text_log(plan, name)
    said = text.read_text(encoding="utf-8", errors="replace").strip().splitlines() if text.is_file() else []
    return f"{DEAD}{f' ({said[-1]})' if said else ''}"


def results(plan: Mapping[str, Any]) -> str:
    """The end of a workflow in which all went well: the pages, or the scores of a grid without pages."""
    if plan["pages"]:
        return "\n".join(
            f"wrote {path}" for path in [*(p["page"] for p in plan["pages"].values()), plan["site"]] if path
        )
    return "\n".join(_table(plan))


def _table(plan: Mapping[str, Any]) -> Iterator[str]:
    """Scores in percent, one line a run."""
    stamps = [Path(job["stamp"]).read_text(encoding="utf-8") for job in plan["jobs"].values()]
    lines = [line for stamp in stamps for line in from_json(stamp)]
    columns = list(dict.fromkeys(column for line in lines for column in line["scores"]))
    width = max((len(line["row"]) for line in lines), default=0)
    yield f"{'':{width}}  seed  " + "  ".join(f"{column:>8}" for column in columns) + "   (percent)"
    for line in lines:
        scores = [f"{line['scores'][c]:>8.1f}" if c in line["scores"] else f"{'–':>8}" for c in columns]
        yield f"{line['row']:{width}}  {line['seed']:4d}  " + "  ".join(scores)
