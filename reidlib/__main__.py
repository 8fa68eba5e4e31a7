"""``python -m reidlib``: the command line of the papers' suite, where that is installed beside this library."""

from __future__ import annotations

import importlib.util
import runpy
import sys


def main() -> None:
    """Hand over to the suite's command line."""
    if importlib.util.find_spec("reidpapers") is None:
        sys.exit("reidlib: this is the library alone; its commands come with reidpapers, which is not installed")
    runpy.run_module("reidpapers", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
