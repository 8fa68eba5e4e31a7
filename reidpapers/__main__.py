"""The command line: ``python -m reidlib run | data | weights | embed | evaluate | export | tables | …``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from reidpapers.command_line import run as run_command
from reidpapers.command_line.parser import Parser
from reidpapers.run import console
from reidpapers.run.config import Config, ConfigError, Plan, configure
from reidpapers.run.papers import PAPERS, RUNS, load, load_all
from reidpapers.run.refusals import told

PHOTOGRAPHS = "photographs: a folder with labels.csv, which names image, vehicle_id and camera_id"

# Commands whose options stand beside what they do: module, function, and what they are for.
ELSEWHERE = {
    "weights": ("reidpapers.weights", "add_commands", "ImageNet weights of the trunks: list, download, convert"),
    "embed": ("reidpapers.embedding", "add_options", "features of a folder of pictures, by a trained network"),
    "evaluate": ("reidpapers.features", "add_options", "score anyone's features: CMC, mAP, mINP, mAP@100"),
    "export": ("reidpapers.export", "add_options", "write a trained network for use elsewhere: safetensors or ONNX"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 when all went well, 1 when something was stale or failed, 2 on bad input."""
    console.forgiving()
    try:
        try:
            return _carried_out(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # who reads the output has seen enough
        return console.closed()


def _carried_out(arguments: Sequence[str]) -> int:
    """The exit code of a command; what goes wrong is one message."""
    given = _parser(arguments).parse_args(arguments)
    try:
        return given.command(given)
    except BrokenPipeError:
        raise
    except OSError as error:  # a folder, a file in it
        print(f"reidlib: {told(error)}", file=sys.stderr)
        return 2
    except ValueError as error:  # bad input: a parameter, a file's content
        print(f"reidlib: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"reidlib: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """All commands; the options of some only where they are asked for, since reading them takes seconds."""
    parser = Parser("reidlib", description="Vehicle re-identification papers, reproduced.")
    parser.add_argument("--version", action="version", version=f"reidlib {metadata.version('reidpapers')}")
    commands = parser.add_subparsers(
        required=True,
        metavar="run | data | weights | embed | evaluate | export | verify | report | tables | tune | site | …",
    )
    _add_run(commands.add_parser("run", help="compute the records of a configuration, or of all tables"), arguments)
    _add_data(commands.add_parser("data", help="which data there are; look them over; export rendered ones"))
    for name, (module, add_options, text) in ELSEWHERE.items():
        command = commands.add_parser(name, help=text)
        if name == next(iter(arguments), None):
            getattr(import_module(module), add_options)(command)
    _add_verify(commands.add_parser("verify", help="replay the probes of records made by other code"))
    _add_report(commands.add_parser("report", help="render an executed notebook as one self-contained page"))
    _add_tables(commands.add_parser("tables", help="write a paper's tables, ours beside the printed, as CSV or LaTeX"))
    _add_tune(commands.add_parser("tune", help="try the settings of a paper's methods in worlds that no verdict uses"))
    _add_standing(commands.add_parser("standing", help="where features stand in worlds before anything is learnt"))
    _add_photographs(commands.add_parser("photographs", help="score a paper's study runs on a folder of photographs"))
    _add_transfer(commands.add_parser("transfer", help="what is learnt on rendered vehicles, tried on photographs"))
    _add_site(commands.add_parser("site", help="write the results as a site: overview, papers, errata, ledger"))
    return parser


def _add_run(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """The command that computes; a paper's options where it is asked for."""
    papers = parser.add_subparsers(required=True, metavar="paper", dest="paper")
    for paper in RUNS:
        options_of = papers.add_parser(
            paper, help=f"options: run {paper} --help", usage=f"reidlib run {paper} [--OPTION VALUE ...]"
        )
        if paper in arguments:
            run_command.add_options(options_of, load(paper).Config)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--own", action="store_true", help="the user's own records instead of the committed ones")
    parser.add_argument("--replay", action="store_true", help="replay also those whose code is unchanged")
    parser.add_argument("--workers", type=int, default=Plan().workers, help="processes (default: %(default)s)")
    parser.set_defaults(command=_verify)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--out", type=Path, help="the page (default: beside the notebook)")
    parser.add_argument("--site", action="store_true", help="with the navigation of the site, in whose folder --out is")
    parser.set_defaults(command=_report)


def _add_tables(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paper", choices=RUNS)
    parser.add_argument("--format", choices=("csv", "latex"), default="csv", help="(default: %(default)s)")
    parser.add_argument("--table", metavar="NUMBER", help='only this one, such as "Table 2"')
    parser.add_argument("--profile", default="quick", help="whose records (default: %(default)s)")
    parser.set_defaults(command=_tables)


def _add_tune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paper", choices=RUNS)
    parser.add_argument("--arms", nargs="+", default=[], metavar="ROW", help="only these rows' (default: all)")
    parser.add_argument("--workers", type=int, default=Plan().workers, help="processes (default: %(default)s)")
    parser.set_defaults(command=_tune)


def _add_standing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="study", help="of the street (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)), help="worlds (default: 0 to 4)")
    parser.set_defaults(command=_standing)


def _add_photographs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paper", choices=PAPERS)
    parser.add_argument("--data_root", required=True, metavar="DIR", help=PHOTOGRAPHS)
    parser.set_defaults(command=_photographs)


def _add_site(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("results"), help="its folder (default: %(default)s)")
    parser.set_defaults(command=_site)


def _add_data(parser: argparse.ArgumentParser) -> None:
    """The commands on data."""
    actions = parser.add_subparsers(required=True, metavar="list | check | export", dest="action")
    actions.add_parser("list", help="all datasets: where to ask for each, where it was looked for, whether it is there")
    check = actions.add_parser(
        "check", help="an official dataset beside its release, or a folder of one's own pictures"
    )
    check.add_argument("dataset", metavar="DATASET", help="a name that `data list` shows, or folder")
    check.add_argument("--data_root", "--root", dest="root", metavar="DIR",
                       help="its folder (default: in the folder that REIDLIB_DATA names)")  # fmt: skip
    check.add_argument("--sample", type=int, default=200, help="images of a release to decode (default: %(default)s)")
    check.add_argument("--sheet", type=Path, metavar="FILE", help="of dataset folder: write a contact sheet")
    export = actions.add_parser("export", help="write rendered vehicles in an official dataset's folder layout")
    export.add_argument("what", choices=["rendered"])
    export.add_argument("--layout", required=True, help="a name that `data list` shows")
    export.add_argument("--out", required=True, type=Path, metavar="DIR", help="an absent or empty folder")
    export.add_argument(
        "--preset", default="small", help="smoke, small, study, study_few, study_twins or veri (default: %(default)s)"
    )
    export.add_argument("--seed", type=int, default=0, help="of the rendered vehicles (default: %(default)s)")
    export.add_argument("--workers", type=int, default=Plan().workers, help="processes (default: %(default)s)")
    parser.set_defaults(command=_data)


def _data(given: argparse.Namespace) -> int:
    """List, check or export data."""
    return {"list": _data_list, "check": _data_check, "export": _data_export}[given.action](given)


def _data_list(given: argparse.Namespace) -> int:
    """Show which datasets are there."""
    from reidpapers.check import official
    from reidpapers.run import datasets

    for name in ("rendered", "digits"):
        dataset = datasets.load(Config(dataset=name).source)
        counts = "; ".join(
            f"{split} {n['images']} images of {n['vehicles']}" for split, n in dataset.manifest.counts().items()
        )
        print(f"{name}: {dataset.note}\n  {counts}")
    print(official.overview())
    return 0


def _data_check(given: argparse.Namespace) -> int:
    """Look an official dataset over, or a folder of pictures."""
    from reidpapers.check import folder, official
    from reidpapers.run import datasets

    names = ["folder", *datasets.BENCHMARKS]
    _refuse_unless(given.dataset in names, "dataset", given.dataset, names)
    _refuse_unless(given.sample > 0, "--sample", given.sample, ["a whole number > 0"])
    if given.dataset == "folder":
        report, usable = folder.check(given.root, given.sheet, load_all())
    else:
        report, usable = official.check(given.dataset, given.root, given.sample, load_all())
    print(report)
    return 0 if usable else 1


def _data_export(given: argparse.Namespace) -> int:
    """Write rendered vehicles in an official layout."""
    from reidpapers.vehicles import export, rendered

    _refuse_unless(given.layout in export.LAYOUTS, "--layout", given.layout, export.LAYOUTS)
    _refuse_unless(given.preset in rendered.PRESETS, "--preset", given.preset, rendered.PRESETS)
    _refuse_unless(given.seed >= 0, "--seed", given.seed, ["a whole number >= 0"])
    _refuse_unless(given.workers > 0, "--workers", given.workers, ["a whole number > 0"])
    folder = export.export(given.layout, given.out, preset=given.preset, seed=given.seed, workers=given.workers,
                         progress=True)  # fmt: skip
    print(f"wrote {folder}\nread it with --dataset {given.layout} --data_root {folder}")
    return 0


def _refuse_unless(fine: bool, name: str, value: Any, allowed_values: Iterable[str]) -> None:
    """Stop at a wrong argument, as a configuration does."""
    if not fine:
        raise ConfigError(f"{name} = {value!r} is refused: allowed is {', '.join(allowed_values)}")


def _add_transfer(parser: argparse.ArgumentParser) -> None:
    """The command that holds rendered worlds against photographs."""
    parser.add_argument("--data_root", required=True, metavar="DIR", help=PHOTOGRAPHS)
    parser.add_argument("--preset", nargs="+", default=["study"], help="worlds to learn on (default: study)")
    parser.add_argument("--worlds", type=int, nargs="+", default=[0, 1, 2], help="their seeds (default: 0 1 2)")
    parser.add_argument("--trunks", nargs="+", default=["mobilenet_v1", "small"],
                        help="networks (default: mobilenet_v1 small)")  # fmt: skip
    parser.add_argument("--steps", type=int, default=900, help="of training, 48 images each (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="also write the table there, as CSV")
    parser.set_defaults(command=_transfer)


def _transfer(given: argparse.Namespace) -> int:
    """Train on rendered vehicles, match photographs before and after."""
    from reidlib.backbones import BACKBONES
    from reidpapers import transfer
    from reidpapers.vehicles import rendered

    for name in given.preset:
        _refuse_unless(name in rendered.PRESETS, "--preset", name, rendered.PRESETS)
    for name in given.trunks:
        _refuse_unless(name in BACKBONES, "--trunks", name, BACKBONES)
    _refuse_unless(given.steps > 0, "--steps", given.steps, ["a whole number > 0"])
    _refuse_unless(min(given.worlds) >= 0, "--worlds", given.worlds, ["whole numbers >= 0"])
    rows = transfer.table(given.data_root, given.preset, given.worlds, given.trunks, given.steps, show=print)
    print(f"\n{transfer.means(rows).round(1).to_string(index=False)}")
    if given.out:
        rows.to_csv(given.out, index=False)
    return 0


def _photographs(given: argparse.Namespace) -> int:
    """Write a paper's scores on photographs into the results."""
    from reidpapers import photographs

    print(f"wrote {photographs.write(given.paper, given.data_root)}")
    return 0


def _verify(given: argparse.Namespace) -> int:
    from reidpapers.run.verify import verify

    return verify(load_all(), own=given.own, force=given.replay, workers=given.workers)


def _report(given: argparse.Namespace) -> int:
    page = given.out or given.notebook.with_suffix(".html")
    if page.resolve() == given.notebook.resolve():
        raise ConfigError(f"--out = {str(page)!r} is refused: it is the notebook that is read; name another file")
    from reidpapers.show.page import render

    site = {paper.name: paper.short for paper in load_all()} if given.site else None
    page = render(given.notebook, page, site)
    print(f"wrote {page}")
    return 0


def _tables(given: argparse.Namespace) -> int:
    """Print a paper's tables in a format that other programs read."""
    from reidpapers.show import files

    paper = load(given.paper)
    config, _ = configure(paper.Config, {"profile": given.profile})
    tables = {table.number: table for table in paper.tables.tables(config.profile)}
    _refuse_unless(given.table in (None, *tables), "--table", given.table, tables)
    chosen = [table for number, table in tables.items() if given.table in (None, number)]
    print(files.written(chosen, config, paper, given.format), end="")
    return 0


def _tune(given: argparse.Namespace) -> int:
    """Run the trials of a paper's arms and write them down."""
    from reidpapers.tune import tune

    paper = load(given.paper)
    arms = [arm.row for arm in getattr(paper.tables, "ARMS", ())]
    _refuse_unless(arms, "paper", given.paper, [name for name in RUNS if hasattr(load(name).tables, "ARMS")])
    for arm in given.arms:
        _refuse_unless(arm in arms, "--arms", arm, arms)
    tune(paper, Plan(workers=given.workers, committed=False), given.arms)
    return 0


def _standing(given: argparse.Namespace) -> int:
    """Write the rows of worlds into the results."""
    from reidpapers import standing
    from reidpapers.vehicles.rendered import PRESETS

    street = [name for name, preset in PRESETS.items() if preset.style == "street"]
    _refuse_unless(given.preset in street, "--preset", given.preset, street)
    _refuse_unless(min(given.seeds) >= 0, "--seeds", given.seeds, ["whole numbers >= 0"])
    standing.write(given.preset, given.seeds)
    return 0


def _site(given: argparse.Namespace) -> int:
    from reidpapers.show.site import build

    files = build(given.out, load_all())
    print(f"wrote {len(files)} files; open {given.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
