"""Which jobs a grid has: every table of some papers, or the product of values that a caller listed.

A job is a (paper, seed) where a run is shorter than the start of a kernel, and a (paper, configuration, seed) where it
is not; then what several runs start from (stage 1 of a seed) is a job of its own, which the others wait for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from typing import Any, get_origin

from reidpapers.run import runs
from reidpapers.run.base import Paper
from reidpapers.run.config import Config, ConfigError, Plan, configure, from_json
from reidpapers.run.papers import RUNS, load
from reidpapers.run.records import Record
from reidpapers.show import circumstances, layout
from reidpapers.show.layout import Row

PER = {"smoke": "seed", "quick": "seed", "study": "seed", "paper": "configuration"}  # what a job is, by profile
TABLES = {"scope": "all", "seeds": [0, 1, 2, 3, 4]}  # what is run where nothing else is said
# Where all is computed, on which data, at which scale: one value of these leaves the tables' rows what they are.
WHERE = ("profile", "dataset", "data_root", "preset", "data_seed", "digits_train", "digits_test", "device")
OWN = ("paper", "title", "only", "changes", "weights", "stamp")  # a job's own, no fields of a configuration


@dataclass(frozen=True)
class Job:
    """Some runs of one paper that one process carries out.

    Attributes:
        name: unique in the grid, such as ``mlsl/seed0``; also its place in folders.
        paper: whose runs.
        rows: its configurations by the name of the row that they are shown under.
        parameters: of ``workflow/job.ipynb``, without the stamp.
        after: names of the jobs whose weights its runs start from.
    """

    name: str
    paper: str
    rows: Mapping[str, Sequence[Config]]
    parameters: Mapping[str, Any]
    after: tuple[str, ...] = ()

    @property
    def configs(self) -> list[Config]:
        """All its configurations, equal ones too."""
        return [config for configs in self.rows.values() for config in configs]


@dataclass(frozen=True)
class Order:
    """What a caller wants to be run.

    Attributes:
        papers: names, of which those without a notebook only leave records.
        per: ``seed`` or ``configuration``; None: by profile.
        given: parameters of configuration and plan, the same for all papers.
        axes: parameters with the values to combine, one or more; none: the rows of the papers' tables.
    """

    papers: Sequence[str]
    per: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@cache
def record_name(paper: str, config: Config) -> str:
    """The name of a run's record; a grid asks for it several times."""
    return runs.name(config, load(paper))


def order(settings: Mapping[str, Any]) -> Order:
    """Read a caller's settings; values for a field of a method make a grid, be it one value or a list.

    A single value beside lists is the same for all points. Where ``scope`` is asked for, it is the same for all rows of
    the tables.

    Args:
        settings: ``papers`` (a list, or names with commas), ``per``, and parameters of configuration and plan.

    Raises:
        ConfigError: there is no such paper, or no such way to cut jobs.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    papers, per = given.pop("papers", RUNS), given.pop("per", None)
    papers = re.split(r"[,\s]+", papers.strip()) if isinstance(papers, str) else list(papers)
    for name, values, allowed in (("papers", papers, RUNS), ("per", [per] if per else [], ("seed", "configuration"))):
        if wrong := [value for value in values if value not in allowed]:
            raise ConfigError(f"{name} = {wrong[0]!r} is refused: allowed is {', '.join(allowed)}")
    if str(given.get("seeds")).isdigit():
        given["seeds"] = [given["seeds"]]
    axes = {name: value for name, value in given.items() if _several(name, value, papers)}
    given |= {name: value for name, (value, *more) in axes.items() if not more}  # a list of one value is that value
    axes = {name: values for name, values in axes.items() if len(values) > 1}
    if not axes and "scope" not in given:
        axes = {name: [value] for name, value in given.items() if name not in {*WHERE, *Plan.model_fields}}
    if axes and per == "seed":
        raise ConfigError("per = 'seed' is refused: each point of a grid of values is a job; allowed is configuration")
    if axes and "scope" in given:
        raise ConfigError(f"scope = {given['scope']!r} is refused: {', '.join(axes)} make a grid of their own")
    rest = {name: value for name, value in given.items() if name not in axes}
    return Order(papers, per, rest if axes else {**TABLES, **rest}, axes)


def _several(name: str, value: Any, papers: Iterable[str]) -> bool:
    """Whether a value is a list of values to try: for a field that takes a list, a list of lists."""
    if not isinstance(value, list) or name in Plan.model_fields:
        return False
    fields = [load(paper).Config.model_fields.get(name) for paper in papers]
    takes_list = any(one is not None and get_origin(one.annotation) in (list, tuple) for one in fields)
    return not takes_list or any(isinstance(one, list) for one in value)


def jobs(wanted: Order) -> dict[str, Job]:
    """All jobs by name, each after those it waits for.

    Raises:
        ConfigError: a paper refuses a parameter; nothing was computed.
    """
    found: dict[str, Job] = {}
    for name in wanted.papers:
        paper = load(name)
        base, plan = configure(paper.Config, wanted.given)
        base = base.but(device=base.device_present())  # a job may run on a machine that would choose otherwise
        if wanted.axes:
            rows = combinations(wanted.axes, paper.Config, wanted.given)
        else:
            rows = circumstances.wanted(paper, plan.scope, base)
        shown = layout.configurations(rows, base, plan.seeds)
        per = wanted.per or ("configuration" if wanted.axes else PER[base.profile])
        found |= _by_seed(name, shown, base, plan) if per == "seed" else _by_configuration(name, shown, plan)
    return found


def combinations(axes: Mapping[str, Sequence[Any]], config_type: type[Config], given: Mapping[str, Any]) -> list[Row]:
    """One row for each combination of the axes' values; every value is looked over before anything is computed."""
    rows = []
    for values in product(*axes.values()):
        changes = dict(zip(axes, values, strict=True))
        configure(config_type, {**given, **changes})
        rows.append(Row(", ".join(f"{name} {_text(value)}" for name, value in changes.items()), changes))
    return rows


def _text(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _by_seed(paper: str, shown: Mapping[str, Sequence[Config]], base: Config, plan: Plan) -> dict[str, Job]:
    """One job a seed: all rows of the scope, one after the other, so that they share what they start from."""
    fields = changed(base)
    found = {}
    for seed in plan.seeds:
        rows = {row: [config for config in configs if config.seed == seed] for row, configs in shown.items()}
        given = {"paper": paper, "profile": base.profile, "scope": plan.scope, "seeds": plan.seeds, "only": [seed]}
        name = f"{paper}/seed{seed}"
        found[name] = Job(name, paper, rows, {**given, **_carried_out(plan), **fields})
    return found


def _by_configuration(paper: str, shown: Mapping[str, Sequence[Config]], plan: Plan) -> dict[str, Job]:
    """One job a configuration and seed, and one for each that others start from."""
    found: dict[str, Job] = {}  # by the record's name: rows that mean the same run are one job

    def add(config: Config, title: str) -> str:
        key = record_name(paper, config)
        if key not in found:
            after = tuple(
                add(start, titles.get(record_name(paper, start), f"{title} start"))
                for start in load(paper).starts_from(config)
            )
            found[key] = _single(paper, config, title, after, plan)
        return key

    named = [(row, config) for row, configs in shown.items() for config in configs]
    titles = {record_name(paper, config): row for row, config in reversed(named)}
    for row, config in named:
        add(config, row)
    return _named(found)


def _single(paper: str, config: Config, title: str, after: tuple[str, ...], plan: Plan) -> Job:
    """The job of one run, named later; ``after`` holds names of records."""
    given = {"paper": paper, "profile": config.profile, "seeds": [config.seed], "changes": changed(config)}
    return Job(title, paper, {title: [config]}, {**given, **_carried_out(plan)}, after)


def _carried_out(plan: Plan) -> dict[str, Any]:
    """What a job's process needs to know of how its runs are carried out."""
    return {"committed": plan.committed, **({"processes": plan.processes} if plan.processes > 1 else {})}


def _named(found: Mapping[str, Job]) -> dict[str, Job]:
    """Jobs of one run each, by speaking names instead of records' names; those that others wait for keep weights."""
    waited = {key for job in found.values() for key in job.after}
    names: dict[str, str] = {}
    for key, job in found.items():
        slug = re.sub(r"[^\w.+]+", "-", job.name).strip("-")
        name = f"{job.paper}/{slug}-seed{job.configs[0].seed}"
        names[key] = name if name not in names.values() else f"{name}-{key[:6]}"
    return {
        names[key]: replace(
            job,
            name=names[key],
            after=tuple(dict.fromkeys(names[start] for start in job.after)),
            parameters={**job.parameters, "title": job.name, "weights": key in waited},
        )
        for key, job in found.items()
    }


def changed(config: Config) -> dict[str, Any]:
    """The fields that make a configuration from its profile, as JSON values, without seed and profile."""
    defaults = {name: field.default for name, field in type(config).model_fields.items()}
    usual = [defaults | config.scale(given) for given in ({"profile": config.profile}, config.given())]
    special = {name for name in config.model_fields_set if any(getattr(config, name) != one[name] for one in usual)}
    for steps, epochs in config.EPOCHS.items():  # which of the two says the length
        special = (
            (special | {epochs}) - {steps} if getattr(config, epochs) else special | {steps} & config.model_fields_set
        )
    return config.model_dump(mode="json", include=special - {"seed", "profile"})


def read(parameters: Mapping[str, Any]) -> tuple[Job, Paper, Plan]:
    """A job from its notebook's parameters, with its paper and the plan of its runs.

    Raises:
        ConfigError: a parameter is refused.
    """
    own = {name: parameters[name] for name in OWN if parameters.get(name) is not None}
    if own.get("paper") not in RUNS:
        raise ConfigError(f"paper = {own.get('paper')!r} is refused: allowed is {', '.join(RUNS)}")
    paper = load(own["paper"])
    base, plan = configure(paper.Config, {name: value for name, value in parameters.items() if name not in OWN})
    only, changes = _json(own.get("only", plan.seeds)), _json(own.get("changes"))
    if changes is None:
        rows = circumstances.wanted(paper, plan.scope, base)
    else:
        configure(paper.Config, {"profile": base.profile, **changes})
        rows = (Row(own.get("title") or layout.options(changes).strip() or "the profile's configuration", changes),)
    shown = {
        row: [config for config in configs if config.seed in only]
        for row, configs in layout.configurations(rows, base, plan.seeds).items()
    }
    return Job(f"{own['paper']}, seed {_text(only)}", own["paper"], shown, dict(parameters)), paper, plan


def _json(value: Any) -> Any:
    """Papermill hands lists and mappings over as text."""
    return from_json(value) if isinstance(value, str) else value


def found(job: Job, *, committed: bool) -> dict[str, list[Record | None]]:
    """A job's records by row, None where there is none that holds today; never computes or replays anything."""
    paper = load(job.paper)

    @cache
    def one(config: Config) -> Record | None:
        record = runs.lookup(config, paper, committed=committed)
        holds = record and record.freshness in (runs.FRESH, runs.BY_PROBE)
        return record if holds and record.key == record_name(job.paper, config) else None

    return {row: [one(config) for config in configs] for row, configs in job.rows.items()}
