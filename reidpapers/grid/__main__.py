"""What the workflow asks of the library: ``python -m reidpapers.grid plan | made``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from reidlib.places import write_atomically
from reidpapers.run import console
from reidpapers.run.config import from_json
from reidpapers.run.refusals import told


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command; 2 where a setting is refused."""
    console.forgiving()
    parser = argparse.ArgumentParser("python -m reidpapers.grid", description=__doc__)
    commands = parser.add_subparsers(required=True)
    plan = commands.add_parser("plan", help="write the jobs of a grid as JSON, and stamp what is there already")
    plan.add_argument("settings", type=from_json, help="as JSON")
    plan.add_argument("file", type=Path)
    plan.set_defaults(command=_plan)
    made = commands.add_parser("made", help="stamp a page that was just written")
    made.add_argument("page", type=Path)
    made.add_argument("--stamp", type=Path, required=True)
    made.add_argument("--sources", type=Path, nargs="*", default=[])
    made.add_argument("--inputs", type=Path, nargs="+", required=True)
    made.set_defaults(command=_made)
    given = parser.parse_args(arguments)
    try:
        given.command(given)
    except (OSError, ValueError) as error:
        print(f"reidlib: {told(error) if isinstance(error, OSError) else error}", file=sys.stderr)
        return 2
    return 0


def _plan(given: argparse.Namespace) -> None:
    from reidpapers.grid.plan import make

    write_atomically(given.file, json.dumps(make(given.settings), indent=1))


def _made(given: argparse.Namespace) -> None:
    from reidpapers.grid import stamps

    write_atomically(given.stamp, stamps.made(given.page, given.sources, given.inputs))


if __name__ == "__main__":
    sys.exit(main())
