"""What the verdict on a main claim depends on, as a small picture: a line a circumstance, the verdict's own on top."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reidpapers.run.papers import load
from reidpapers.show import circumstances
from reidpapers.show.circumstances import PHOTOGRAPHS, REPLICATES, SCOPE
from reidpapers.show.claims import Claim, Verdict, one_reason
from reidpapers.show.site.forest import Line
from reidpapers.show.site.gather import JUDGED, Paper
from reidpapers.show.site.verdicts import scale
from reidpapers.show.templates import macros

STANDARD = "as it is judged"


def picture(paper: Paper) -> Markup:
    """The picture and, in one line, what was not run; empty where the paper has no main claim or no judged runs."""
    main = getattr(load(paper.name).tables, "MAIN", None)
    if main is None or not paper.study:
        return Markup("")
    judged = [verdict for verdict in paper.claims if verdict.claim == main]
    others = circumstances.verdicts(paper.name, main, paper.study, paper.varied)
    lines = [line for name, verdict in _named(judged, others) if (line := _line(name, verdict))]
    missing = [name for name, verdict in _named(judged, others) if not _line(name, verdict)]
    return macros("circumstances.j2").picture(
        main, lines, scale([line.verdict for line in lines]), said(main, lines), missing,
        _commands(paper.name, missing), one_reason(line.verdict for line in lines),
    )  # fmt: skip


def _named(judged: Sequence[Verdict], others: Sequence[Verdict]) -> list[tuple[str, Verdict]]:
    return [*((STANDARD, verdict) for verdict in judged), *((verdict.claim.statement, verdict) for verdict in others)]


def _line(name: str, verdict: Verdict) -> Line | None:
    """A circumstance's line, of several rivals the weakest pair; None where too little was run."""
    measured = [pair for pair in verdict.differences if pair.measured]
    if verdict.verdict == "not run" or not measured:
        return None
    weakest = min(measured, key=lambda pair: pair.mean)
    return Line(name, f"{len(weakest.seeds)} worlds", verdict, weakest)


def said(main: Claim, lines: Sequence[Line]) -> str:
    """The picture in words, for who cannot see it."""
    parts = [f"{line.statement} {line.pair.texts[0]} ({line.pair.texts[1]}), {line.verdict.verdict}" for line in lines]
    return f"{main.better} minus {' and '.join(main.rivals)} in {main.measure}, points: {'; '.join(parts)}."


def _commands(paper: str, missing: Sequence[str]) -> list[str]:
    """What runs the circumstances that are missing."""
    seeds = " ".join(map(str, range(REPLICATES)))
    found = [f"python -m reidlib run {paper} --profile {JUDGED} --scope {SCOPE} --seeds {seeds}"]
    runs = found if any(name not in (PHOTOGRAPHS, STANDARD) for name in missing) else []
    return [*runs, *([f"python -m reidlib photographs {paper} --data_root DIR"] if PHOTOGRAPHS in missing else [])]
