"""``python -m reidlib run PAPER``: options from the paper's configuration or from a file, and what will be done."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from reidpapers.run.config import Config, ConfigError, Plan, allowed, configure, options
from reidpapers.run.papers import load

if TYPE_CHECKING:
    from reidpapers.run.base import Paper
    from reidpapers.run.records import Record

# Fields by what a reader looks for; the rest is the paper's own method. First those that most runs name.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "how much": ("profile", "seeds", "scope"),
    "data": ("dataset", "data_root", "preset", "data_seed", "digits_train", "digits_test"),
    "network": ("backbone", "pretrained", "weights", "image_size"),
    "augmentation and test": ("crop", "rotation", "brightness", "flip", "test_distance"),
    "where and how": ("device", "precision", "workers", "processes", "committed", "log"),
}


def add_options(parser: argparse.ArgumentParser, config: type[Config]) -> None:
    """One option a field: its meaning, range and default come from the configuration itself."""
    parser.set_defaults(command=run)
    fields = options(config)
    named = {name for names in GROUPS.values() for name in names}
    first, *others = GROUPS
    method = {"the paper's method": tuple(name for name in fields if name not in named)}
    for title, names in ({first: GROUPS[first]} | method | {title: GROUPS[title] for title in others}).items():
        group = parser.add_argument_group(title)
        for name in names:
            several = {"nargs": "+"} if get_origin(fields[name].annotation) in (list, tuple) else {}
            group.add_argument(f"--{name}", metavar="VALUE", help=_help(name, fields[name], config), **several)
    group = parser.add_argument_group("a file of options")
    group.add_argument("--config", type=Path, metavar="FILE", dest="options_file",
                       help="TOML with these options by name; what stands on the command line goes before")  # fmt: skip
    group.add_argument("--print_config", action="store_true", help="print the whole configuration as such a file")


def _help(name: str, field: FieldInfo, config: type[Config]) -> str:
    default = field.default
    if get_origin(field.annotation) is Literal:
        default = next(option for option in get_args(field.annotation) if option == default)
    by_profile = [f"{scale}: {values[name]}" for scale, values in config.SCALES.items() if name in values]
    defaults = f"{default}; {', '.join(by_profile)}" if by_profile else default
    return f"{field.description} [{allowed(field)}; default {defaults}]".replace("%", "%%")


def run(given: argparse.Namespace) -> int:
    """Compute the records of one configuration and what it is measured against (base), or of every table (all)."""
    paper, kept = load(given.paper), ("command", "paper", "options_file", "print_config")
    values = {name: value for name, value in vars(given).items() if name not in kept and value is not None}
    config, plan = configure(paper.Config, {**(_read(given.options_file) if given.options_file else {}), **values})
    if given.print_config:
        print(_toml(settled(config, plan)), end="")
        return 0
    from reidlib import parallel

    show = partial(_show, config, plan, paper)
    return parallel.carry_out(show, config.device_present()) or 0 if parallel.launched() else show()


def settled(config: Config, plan: Plan) -> dict[str, Any]:
    """All options as they came out, which given again come out the same, whatever a profile says by then."""
    unsaid = {epochs if not getattr(config, epochs) else steps for steps, epochs in config.EPOCHS.items()} | {"seed"}
    if config.profile == "study" and "data_seed" not in config.model_fields_set:
        unsaid |= {"data_seed"}  # each seed has its own world
    return {**config.model_dump(exclude=unsaid), **plan.model_dump()}


def _read(path: Path) -> dict[str, Any]:
    """Options from a TOML file.

    Raises:
        ConfigError: it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {path} is refused: it is no TOML ({error})") from error


def _toml(values: Mapping[str, Any]) -> str:
    """Options as TOML, of which numbers, texts and lists are written as in JSON; what is not set is left out."""
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if value is not None]
    return "".join(f"{line}\n" for line in lines)


def _show(config: Config, plan: Plan, paper: Paper) -> int:
    """Compute what is missing and print the table; where several processes share each batch, in the main one."""
    from reidpapers.run.workers import run_all
    from reidpapers.show import circumstances, layout

    rows = circumstances.wanted(paper, plan.scope, config)
    wanted, refused = layout.able(layout.configurations(rows, config, plan.seeds), paper)
    if not wanted:
        raise ConfigError(next(iter(refused.values())))
    for name, why in refused.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    runs = [run for configs in wanted.values() for run in configs]
    run_all(runs, paper, plan, allowed=lambda: print(announced(runs, paper, plan), file=sys.stderr))
    able = [row for row in rows if row.name not in refused]
    results = layout.collect(able, config, plan.seeds, paper, committed=plan.committed)
    print(layout.to_text(results, paper.tables.COLUMNS))
    return 0


def announced(configs: Sequence[Config], paper: Paper, plan: Plan) -> str:
    """What a command will do: how many runs there are, how many are to be computed, and about how long that takes.

    The time is that of runs of the same trunk and resolution whose records are there, a step each; none are, no time is
    said. Runs that these start from may come on top.
    """
    from reidpapers.run import curves, runs

    wanted = list(dict.fromkeys(config.canonical() for config in configs))
    missing = [config for config in wanted if runs.lookup(config, paper, committed=plan.committed) is None]
    there = f"{len(wanted)} run{'s' if len(wanted) != 1 else ''}, of which {len(wanted) - len(missing)} are there"
    if not missing:
        return f"{there}, nothing is to be computed"
    steps = sum(paper.steps(config) for config in missing)
    text = f"{there}, {len(missing)} to be computed: {steps:,} steps"
    logged = f"; curves in {curves.folder(paper)}" if plan.log != "none" else ""
    seconds = _seconds_a_step(missing[0], _known(paper, plan))
    took = "" if seconds is None else f", about {_duration(steps * seconds / plan.workers)} here"
    return f"{text}{took}{logged}"


def _known(paper: Paper, plan: Plan) -> Iterable[Record]:
    """The records of a paper that are on this machine."""
    from reidpapers.run import records

    for folder in records.stores(paper.name, committed=plan.committed):
        yield from records.read_all(folder)


def _seconds_a_step(config: Config, known: Iterable[Record]) -> float | None:
    """Of runs with the same trunk and resolution, the median; None where there are none."""
    alike = (config.backbone, config.image_size)
    times = [
        record.cost["seconds"] / record.cost["iterations"]
        for record in known
        if (record.config["backbone"], record.config["image_size"]) == alike and record.cost["iterations"]
    ]
    return median(times) if times else None


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
