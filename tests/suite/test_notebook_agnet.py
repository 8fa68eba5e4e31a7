"""AGNet's notebook through papermill: every table on embedded vehicles, and official layouts end to end."""

import re
from pathlib import Path

import nbformat
import papermill
import pytest

from notebooks import refused
from reidpapers.vehicles.export import export

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "agnet_ablation.ipynb"


def execute(output: Path, **parameters) -> str:
    """The executed notebook's outputs as one text."""
    given = {"profile": "smoke", "committed": False, "iterations": 3, "width": 16, **parameters}
    notebook = papermill.execute_notebook(NOTEBOOK, output, given, cwd=ROOT, progress_bar=False)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(str(output.get("data", {}).get("text/html", output.get("text", ""))) for output in outputs)


def row(text: str, table: str, name: str) -> list[str]:
    """The cells of a table's row."""
    body = text.split(f"<strong>{table}.</strong>")[1]
    own = r"(?: <span.*?</span>)?"  # a row that the paper lacks is marked
    line = re.split(rf'<th scope="row">{re.escape(name)}{own}</th>', body)[1].split("</tr>")[0]
    return re.findall(r'<td class="number">(.*?)</td>', line)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return execute(tmp_path_factory.mktemp("notebook") / "out.ipynb", scope="all", seeds="[0]")


def test_it_shows_every_table_and_figure(smoke):
    for name in ("Table I", "Table II", "Table III", "Table IV", "Table III here", "Table IV here", "Masks", "θ", "ω"):
        assert f"<strong>{name}.</strong>" in smoke
    assert smoke.count("<figure") >= 18
    assert smoke.count("<figure") == smoke.count("<figcaption") == smoke.count("<img") and 'alt=""' not in smoke
    printed = row(smoke, "Table III", "AGNet-ASL-All")[0]
    assert printed.startswith("–<br>") and "66.32" in printed, "printed stands where only VeRi-776 can fill"
    for name in ("Only-ID", "AGNet-CE-Attr", "AGNet-ASL-All", "AGNet-ASL-All+STR", "Only-ID + pairs"):
        assert "–" not in row(smoke, "Table III here", name)[:3]
    assert "–" not in row(smoke, "Neighbours", "AGNet-ASL-ID") and "–" not in row(smoke, "Masks", "spatial mask")
    assert "0.8464, 1.0507, 0.6931" in smoke, "the values worked out by hand"
    assert "two vehicles that share their attributes" in smoke


@pytest.mark.parametrize(
    "dataset, tables", [("veri776", ("Table III", "Table I")), ("vehicleid", ("Table IV", "Table II"))]
)
def test_an_official_tree_fills_its_own_tables(dataset, tables, tmp_path):
    export(dataset, tmp_path / "tree", preset="smoke")
    text = execute(tmp_path / "out.ipynb", dataset=dataset, data_root=str(tmp_path / "tree"))
    for table in tables:
        cells = row(text, table, "AGNet-ASL-All")
        assert cells[-1] == "1" and all(re.match(r"\d", cell) for cell in cells[:3])
    assert set(row(text, "Table III here", "AGNet-ASL-All")) == {"–"}


@pytest.mark.parametrize("given, said", [
    ({"mask": "soft"}, "mask = 'soft' is refused: allowed is one of literal, spatial, scaled, none"),
    ({"dataset": "digits"}, "dataset = 'digits' is refused: it has no vehicles that are seen again"),
    ({"thets": 0.5}, "did you mean theta?"),
    ({"held_out": 5}, "held_out = 5 has no test to show here"),
])  # fmt: skip
def test_a_wrong_parameter_stops_it_before_anything_is_computed(given, said):
    assert said in refused(NOTEBOOK, profile="smoke", **given)[0]


def test_the_source_notebook_is_prose_with_short_cells():
    notebook = nbformat.read(NOTEBOOK, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1 and tagged[0].source.startswith("# Parameters")
    assert len(code) <= 30
    assert all(len(cell.source.splitlines()) <= 15 for cell in code if cell is not tagged[0])
