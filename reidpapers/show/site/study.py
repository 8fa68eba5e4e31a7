"""How sure a page's verdicts are: the runs behind them beside what is reached without learning, and all trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from markupsafe import Markup

from reidpapers.run import tuning
from reidpapers.run.papers import load
from reidpapers.run.records import Record
from reidpapers.show import alive, photographs, ran, standing
from reidpapers.show.claims import interval
from reidpapers.show.site import circumstances
from reidpapers.show.site.gather import Paper, studied
from reidpapers.show.site.tables import anchors
from reidpapers.show.templates import macros


def section(paper: Paper) -> Markup:
    """Rows in the worlds that are judged, each beside where features stand there, and every trial of the tuning.

    Empty where there is neither.
    """
    records, trials = [record for found in paper.study.values() for record in found], _trials(paper.name)
    if not records and not trials:
        return Markup("")
    links = anchors(paper)
    rows = [_row(name, found, links[studied(name)], paper.name) for name, found in paper.study.items()]
    shown = macros("study.j2").section(standing.means(records), rows, trials, _photographs(paper.name, rows))
    return circumstances.picture(paper) + shown


def _photographs(paper: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Scores on photographs of what learns nothing, by its name; none where no row has been tried on any."""
    if all(row["photographs"] == "–" for row in rows):
        return {}
    found = {name: photographs.of(paper, name) for name in (standing.HISTOGRAM, standing.START)}
    return {name: f"{value:.1f}" for name, value in found.items() if value is not None}


def _row(name: str, found: Sequence[Record], link: str, paper: str) -> dict[str, Any]:
    learnt = {key: value for record in found for key, value in record.fit.get("accuracy", {}).items()}
    accuracies = {key: fmean(record.fit["accuracy"][key] for record in found) for key in learnt}
    problems = [f"seed {record.seed}: {words}" for record in found for words in alive.problems(record)]
    return {
        "name": ran.named(name, found), "link": link, "count": len(found),
        "whole": _mean([record.whole for record in found]),
        "top1": _mean([100 * record.fit["whole"]["top1"] for record in found]),
        "alike": _mean([100 * record.fit["alike"]["mAP"] for record in found if "alike" in record.fit]),
        "photographs": _mean([value for one in found if (value := photographs.of(paper, one)) is not None]),
        "accuracy": ", ".join(f"{key} {100 * value:.0f}" for key, value in accuracies.items()),
        "tuned": ", ".join(f"{key} = {value:g}" for key, value in tuning.tuned(paper, name).items()),
        "problems": problems,
    }  # fmt: skip


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "–"
    mean, half = interval(values)
    return f"{mean:.1f}" if half is None else f"{mean:.1f} ± {half:.1f}"


def _trials(paper: str) -> list[dict[str, Any]]:
    """All trials: one line a setting, its score in each world, the best of each arm marked."""
    lines = []
    for arm in getattr(load(paper).tables, "ARMS", ()):
        found = [one for one in tuning.trials(paper) if one.row == arm.row and one.setting.keys() == arm.grid.keys()]
        current = [trial for trial in found if arm.has(trial)]
        best = tuning.best(current) if current else None
        settings = list({tuple(trial.setting.items()): trial.setting for trial in found}.values())
        for setting in settings:
            scores = {trial.world: trial.score for trial in found if trial.setting == setting}
            words = ", ".join(f"{key} = {value:g}" for key, value in setting.items())
            asleep = dict.fromkeys(term for trial in found if trial.setting == setting for term in trial.asleep)
            lines.append({
                "row": arm.row, "setting": words, "asleep": ", ".join(asleep), "best": setting == best,
                "scores": [f"{scores[world]:.1f}" if world in scores else "–" for world in tuning.WORLDS],
            })  # fmt: skip
    return lines
