"""Whatever the locale says: commands end well, files are UTF-8, and the code has one digest."""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from reidpapers.run import papers, provenance, runs

SCRIPT = """
import json, locale, sys
from pathlib import Path
from reidpapers.__main__ import main
from reidpapers.run import papers, records, runs

records.COMMITTED = Path("nothing")
codes = {}
def carried_out(*words):
    try:
        codes[" ".join(words)] = main(words)
    except SystemExit as left:
        codes[" ".join(words)] = left.code

trained = ["run", "mlsl", "--profile", "smoke", "--iterations1", "2", "--iterations2", "2", "--workers", "1",
           "--committed", "false"]
for words in (["--help"], ["run", "mlsl", "--help"], ["weights", "list"], ["site", "--out", "site"],
              ["report", "page.ipynb"], *([trained] if sys.argv[1] == "C" else [])):
    carried_out(*words)
found = {"codes": codes, "digests": {name: runs.code(name) for name in papers.RUNS}, "encoding": locale.getencoding()}
Path("found.json").write_text(json.dumps(found), encoding="utf-8")
"""
LOCALES = {"C": None, "ja_JP.EUC-JP": ("ja_JP", "EUC-JP"), "de_DE.ISO-8859-1": ("de_DE", "ISO-8859-1")}


def environment(name, folder):
    """Variables of a locale; one that the system has no files of is made in the folder."""
    given = {"LC_ALL": name, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LOCPATH": str(folder / "locales"),
             "REIDLIB_CACHE": str(folder / "cache")}  # fmt: skip
    given["PYTHONPATH"] = str(provenance.CHECKOUT)
    if LOCALES[name]:
        if not shutil.which("localedef"):
            pytest.skip("the system makes no locales")
        (folder / "locales").mkdir()
        language, charset = LOCALES[name]
        made = ["localedef", "-i", language, "-f", charset, str(folder / "locales" / name)]
        if subprocess.run(made, capture_output=True).returncode > 1:  # 1: with warnings
            pytest.skip(f"the system has no sources of {name}")
    unset = {"LANG", "LANGUAGE", "LC_CTYPE", "PYTHONIOENCODING"}
    return {**{key: value for key, value in os.environ.items() if key not in unset}, **given}


@pytest.mark.parametrize("name", LOCALES)
def test_commands_end_well_and_the_code_has_one_digest(name, tmp_path):
    variables = environment(name, tmp_path)
    cells = [
        nbformat.v4.new_markdown_cell("# Überschrift – ±, 日本"),
        nbformat.v4.new_code_cell("1", execution_count=1),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "page.ipynb")
    command = [sys.executable, "-X", "faulthandler", "-c", SCRIPT, name]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["encoding"].lower().replace("-", "") not in ("utf8", "utf_8"), "the locale is at work"
    assert set(found["codes"].values()) == {0}, done.stderr.decode(errors="replace")
    assert found["digests"] == {paper: runs.code(paper) for paper in papers.RUNS}
    assert "Überschrift – ±, 日本" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<meta charset" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
