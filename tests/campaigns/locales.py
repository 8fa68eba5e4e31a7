"""Locales and paths: the suite's key commands, or all its tests, where nothing is UTF-8 and a path is no ASCII.

A copy of the checkout lies in a folder with spaces and letters beyond ASCII, and is run under each locale; those that
the system lacks are made by ``localedef``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCALES = {"C": None, "ja_JP.EUC-JP": ("ja_JP", "EUC-JP"), "de_DE.ISO-8859-1": ("de_DE", "ISO-8859-1")}
KEY = ("tests/suite/test_main.py", "tests/suite/test_records.py", "tests/suite/test_digest.py",
       "tests/suite/test_report.py", "tests/suite/test_site.py", "tests/suite/test_grid.py",
       "tests/library/test_lists.py", "tests/library/test_files.py")  # fmt: skip
COMMANDS = (["--version"], ["--help"], ["run", "mlsl", "--help"], ["data", "list"], ["weights", "list"],
            ["run", "mlsl", "--profile", "smoke", "--workers", "2"], ["site", "--out", "out/site"])  # fmt: skip


def variables(name: str, folder: Path) -> dict[str, str]:
    """The environment of a locale, whose files are made if they are not there."""
    given = {"LC_ALL": name, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LOCPATH": str(folder),
             "OMP_NUM_THREADS": "1"}  # fmt: skip
    if LOCALES[name] and not (folder / name).exists():
        language, charset = LOCALES[name]
        subprocess.run(["localedef", "-i", language, "-f", charset, str(folder / name)], capture_output=True)
    return {**{key: value for key, value in os.environ.items() if key not in ("LANG", "PYTHONIOENCODING")}, **given}


def tried(command: list[str], copy: Path, environment: dict[str, str]) -> str:
    """What is wrong with a command; empty where nothing is."""
    done = subprocess.run(command, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    return "" if done.returncode == 0 and "Traceback" not in text else f"{' '.join(command[2:])}: {text[-1500:]}"


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.campaigns.locales", description=__doc__)
    parser.add_argument("--locales", nargs="+", default=list(LOCALES), choices=list(LOCALES))
    parser.add_argument("--tests", choices=["none", "key", "all"], default="key")
    given = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory(prefix="reidlib ein Pfad – 日本 ") as scratch:
        copy = Path(scratch) / "the suite ü"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "out", "__pycache__", "*.egg-info"))
        for name in given.locales:
            found, environment = [], variables(name, Path(tempfile.mkdtemp(prefix="reidlib-locales-")))
            environment |= {"REIDLIB_CACHE": str(Path(scratch) / f"cache {name}"), "PYTHONPATH": str(copy)}
            found += [tried([sys.executable, "-m", "reidlib", *words], copy, environment) for words in COMMANDS]
            tests = {"none": [], "key": list(KEY), "all": ["tests"]}[given.tests]
            if tests:
                found.append(
                    tried([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], copy, environment)
                )
            found = [problem for problem in found if problem]
            wrong += [f"{name}: {problem}" for problem in found]
            print(f"{name}: {len(COMMANDS)} commands, tests {given.tests}: {len(found)} problems", flush=True)
    print("\n".join(wrong))
    print(f"{len(wrong)} problems")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
