"""The notebooks in a real JupyterLab in Chromium: run at smoke scale, then used by keyboard as a researcher would."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium in PATH: the notebooks are not seen in a browser")

SMOKE = {"profile": "smoke", "committed": False, "workers": 1}
SHORT = {
    "mlsl": {"iterations1": 3, "iterations2": 3},
    "drdl": {"iterations": 3},
    "c2f_rank": {"iterations1": 3, "iterations2": 3},
    "agnet": {"iterations": 3, "width": 16},
    "multiguided": {"iterations": 3, "members": ["res50", "agn"], "constraint_by": "agn"},
}
WAIT = 90_000  # milliseconds, for a machine that does other things, too
# What a notebook shows beyond what all show: a slider or a number, and what the caption then says.
OWN = {
    "mlsl": ("explore.pairs(", "second", 3, "image 3 ("),
    "drdl": ("clusters(config)", "margin", None, "at margin 0.21"),
    "c2f_rank": ("ranking(config)", "margin M_f", None, "R_f"),
    "agnet": ("explore.pairs(", "second", 3, "image 3 ("),
}
LEFT = """
from ipywidgets.widgets import widget as registry
import matplotlib.pyplot as plt
print("left over:", len(registry._instances), len(explore.panel.SHOWN), plt.get_fignums())
"""
RUN_ALL = "async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
RUN_CELL = """async (start) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  const number = notebook.widgets.findIndex(cell => cell.model.sharedModel.getSource().includes(start));
  notebook.deselectAll();
  notebook.activeCellIndex = number;
  await window.jupyterapp.commands.execute('notebook:run-cell');
  return notebook.model.sharedModel.cells[number].toJSON().outputs;
}"""
ERRORS = """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
  .flatMap(cell => (cell.toJSON().outputs || []).filter(output => output.output_type === 'error'))
  .map(error => `${error.ename}: ${error.evalue}`)"""
READY = "() => window.jupyterapp?.shell?.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab server on a folder with the notebooks at smoke scale: its address."""
    folder = tmp_path_factory.mktemp("lab")
    for paper in SHORT:
        _at_smoke(paper, folder / f"{paper}.ipynb")
    settings = folder / "settings" / "@jupyterlab"
    for name, values in {
        "notebook-extension/tracker": {"windowingMode": "none"},  # all cells are in the page
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }.items():
        path = settings / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}", "--IdentityProvider.token=",
        "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True", "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    environment = {
        **os.environ, "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        _wait_for(address, server, folder / "server.log")
        yield address
    finally:
        server.terminate()
        server.wait(30)


def _at_smoke(paper: str, path: Path) -> None:
    """A copy of a notebook with other parameters, and a last cell that counts what is left over."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{paper}_ablation.ipynb", 4)
    given = "\n".join(f"{name} = {value!r}" for name, value in {**SMOKE, **SHORT[paper]}.items())
    place = next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(f"# Parameters\n{given}"))
    notebook.cells.append(nbformat.v4.new_code_cell(LEFT.strip()))
    nbformat.write(notebook, path)


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/api", timeout=5).read()
            return
        except OSError:
            assert server.poll() is None, f"JupyterLab ended: {log.read_text(encoding='utf-8')[-2000:]}"
            time.sleep(0.2)
    raise AssertionError(f"JupyterLab does not answer: {log.read_text(encoding='utf-8')[-2000:]}")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.mark.parametrize("paper", SHORT)
def test_a_notebook_is_run_and_explored(paper, lab, browser, tmp_path):
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(WAIT)
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    try:
        page.goto(f"{lab}/lab/workspaces/{paper}/tree/{paper}.ipynb?reset")
        page.wait_for_function(READY)
        page.evaluate(RUN_ALL)
        assert page.evaluate(ERRORS) == []
        shots = Path(os.environ.get("REIDLIB_SHOTS") or tmp_path)
        _retrieval(page, shots / f"{paper}-retrieval.png")
        _embedding(page, shots / f"{paper}-embedding.png")
        if paper in OWN:
            _own(page, shots / f"{paper}-own.png", *OWN[paper])
        _ablations(page, shots / f"{paper}-ablations.png")
        _again(page)
        assert problems == []
    finally:
        page.close()


class Explorer:
    """One explorer on the page: its controls and its picture."""

    def __init__(self, page, call: str, place: int = 0):
        self.page = page
        cell = page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea", has_text=call)).last
        self.outputs = cell.locator(".jp-OutputArea-child")
        self.controls, self.figure = self.outputs.nth(2 * place), self.outputs.nth(2 * place + 1)
        self.controls.scroll_into_view_if_needed()

    def caption(self) -> str:
        return self.figure.locator("figcaption").inner_text()

    def changed(self, act) -> str:
        """The caption after an action that must change both words and picture."""
        words, picture = self.caption(), self.figure.locator("img").get_attribute("src")
        act()
        self.page.wait_for_function(
            "([figure, words]) => figure.querySelector('figcaption')?.innerText !== words",
            arg=[self.figure.element_handle(), words],
        )
        assert not self.figure.locator("[role=alert]").count(), self.figure.inner_text()
        assert self.figure.locator("img").get_attribute("src") != picture
        return self.caption()

    def slide(self, label: str, key: str = "ArrowRight") -> str:
        handle = self.controls.locator(".widget-slider", has_text=label).locator(".noUi-handle").last
        handle.focus()
        return self.changed(lambda: handle.press(key))

    def number(self, label: str, value: int) -> str:
        field = self.controls.locator(".widget-text", has_text=label).locator("input")

        def type_it():
            field.fill(str(value))
            field.press("Enter")

        return self.changed(type_it)

    def choose(self, label: str, value: str) -> str:
        field = self.controls.locator(".widget-dropdown", has_text=label).locator("select").first
        return self.changed(lambda: field.select_option(value))

    def press(self, label: str) -> str:
        button = self.controls.get_by_role("button", name=label, exact=True)
        button.focus()
        return self.changed(lambda: button.press("Enter"))

    def seen(self, path: Path) -> None:
        """A screenshot of controls and picture."""
        boxes = [part.bounding_box() for part in (self.controls, self.figure)]
        assert all(box and box["width"] > 300 and box["height"] > 60 for box in boxes)
        top = min(box["y"] for box in boxes)
        self.page.screenshot(path=path, clip={
            "x": boxes[1]["x"] - 10, "y": max(0, top), "width": boxes[1]["width"] + 20,
            "height": boxes[1]["y"] + boxes[1]["height"] - max(0, top)})  # fmt: skip


def _retrieval(page, shot):
    explorer = Explorer(page, "explore.retrieval(run")
    assert explorer.number("by number", 3).startswith("Query 3 of")
    query = explorer.slide("query, in order")
    assert query.startswith("Query ") and not query.startswith("Query 3 of")
    assert "Re-ranked: rank" in explorer.slide("other colour", "PageUp")
    assert explorer.press("plain ranking").startswith(query.split(":")[0])
    explorer.slide("group threshold", "PageUp")
    explorer.seen(shot)


def _embedding(page, shot):
    explorer = Explorer(page, "explore.embedding(run)")
    assert "★ image 4 (" in explorer.number("image", 4)
    assert "coloured by colour" in explorer.choose("coloured by", "colour")
    explorer.press("next image")
    explorer.seen(shot)


def _own(page, shot, call, label, value, words):
    explorer = Explorer(page, call, place=1)
    assert words in (explorer.slide(label) if value is None else explorer.number(label, value))
    explorer.seen(shot)


def _ablations(page, shot):
    explorer = Explorer(page, "explore.ablations(")
    before = explorer.controls.locator("select").nth(1).input_value()
    options = explorer.controls.locator("select").nth(1).locator("option").all_inner_texts()
    other = next(name for name in options if name != before)
    assert other in explorer.choose("metric", other)
    explorer.seen(shot)


def _again(page):
    """A cell that is run again leaves nothing of what it showed before."""
    left = page.evaluate(RUN_CELL, "left over")[0]["text"]
    assert left.endswith("[]\n")
    for call in ("explore.retrieval(run", "explore.embedding(run)", "explore.ablations("):
        page.evaluate(RUN_CELL, call)
    assert page.evaluate(RUN_CELL, "left over")[0]["text"] == left
    assert Explorer(page, "explore.retrieval(run").slide("query, in order").startswith("Query ")
