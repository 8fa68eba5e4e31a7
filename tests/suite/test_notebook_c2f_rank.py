"""C2F-Rank's notebook through papermill: every table on embedded vehicles, and official layouts end to end."""

import re
from pathlib import Path

import nbformat
import papermill
import pytest

from notebooks import refused
from reidpapers.vehicles.export import export

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "c2f_rank_ablation.ipynb"


def execute(output: Path, **parameters) -> str:
    """The executed notebook's outputs as one text."""
    given = {"profile": "smoke", "committed": False, "iterations1": 3, "iterations2": 3, **parameters}
    notebook = papermill.execute_notebook(NOTEBOOK, output, given, cwd=ROOT, progress_bar=False)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(str(output.get("data", {}).get("text/html", output.get("text", ""))) for output in outputs)


def row(text: str, table: str, name: str) -> list[str]:
    """The cells of a table's row."""
    body = text.split(f"<strong>{table}.</strong>")[1]
    line = body.split(f'<th scope="row">{name}')[1].split("</tr>")[0]
    return re.findall(r'<td class="number">(.*?)</td>', line)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return execute(tmp_path_factory.mktemp("notebook") / "out.ipynb", scope="all", seeds="[0]")


def test_it_shows_every_table_and_figure(smoke):
    for name in ("Table 1", "Table 2", "Table 3", "Table 4", "Table 5", "Table 2 here", "Table 3 here", "Gains"):
        assert f"<strong>{name}.</strong>" in smoke
    assert smoke.count("<figure") >= 13
    assert smoke.count("<figure") == smoke.count("<figcaption") == smoke.count("<img") and 'alt=""' not in smoke
    printed = row(smoke, "Table 2", "C2F-Rank")[0]
    assert printed.startswith("–<br>") and "61.1" in printed, "printed stands where only VehicleID can fill"
    for name in ("Initial model", "FGR", "C+FGR", "C+FGR+P", "C2F-Rank", "Classification"):
        assert "–" not in row(smoke, "Table 2 here", name)[:6]
    assert "C / R_f, about 1000" in smoke


@pytest.mark.parametrize("dataset, tables", [("vehicleid", ("Table 2", "Table 3")), ("vehicle1m", ("Table 4",))])
def test_an_official_tree_fills_its_own_tables(dataset, tables, tmp_path):
    export(dataset, tmp_path / "tree", preset="smoke")
    text = execute(tmp_path / "out.ipynb", dataset=dataset, data_root=str(tmp_path / "tree"))
    for table in tables:
        cells = row(text, table, "Initial model")
        assert cells[-1] == "1" and "–" not in cells
    assert set(row(text, "Table 2 here", "Initial model")) == {"–"}


@pytest.mark.parametrize("name, value, said", [
    ("k1", 13, "k1 = 13 is refused: a batch of 3 models × 3 vehicles × 2 images holds 12 of other models"),
    ("terms", '["fine", "finer"]', "one of classification, coarse, fine, pair"),
    ("dataset", "compcars", "the loss needs vehicles and their models"),
])  # fmt: skip
def test_a_wrong_parameter_stops_it_before_anything_is_computed(name, value, said):
    told, began = refused(NOTEBOOK, profile="smoke", **{name: value})
    assert said in told and "nothing was computed" in told and began <= 3


def test_the_source_notebook_is_prose_with_short_cells():
    notebook = nbformat.read(NOTEBOOK, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1 and tagged[0].source.startswith("# Parameters")
    assert len(code) <= 30
    assert all(len(cell.source.splitlines()) <= 15 for cell in code if cell is not tagged[0])
