"""The multi-guided notebook through papermill: the embedded vehicles, and AI City's layout end to end."""

import html
import re
import shutil
from pathlib import Path

import nbformat
import papermill
import pytest

from notebooks import refused
from reidpapers.vehicles.export import export

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "multiguided_ablation.ipynb"
SHORT = {"profile": "smoke", "committed": False, "iterations": 3, "workers": 1}


def execute(output: Path, **parameters) -> str:
    """The executed notebook's outputs as one text."""
    notebook = papermill.execute_notebook(NOTEBOOK, output, {**SHORT, **parameters}, cwd=ROOT, progress_bar=False)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(str(output.get("data", {}).get("text/html", output.get("text", ""))) for output in outputs)


def row(text: str, table: str, name: str) -> list[str]:
    """The cells of a table's row."""
    body = text.split(f"<strong>{table}.</strong>")[1]
    line = body.split(f'<th scope="row">{name}')[1].split("</tr>")[0]
    return re.findall(r'<td class="number">(.*?)</td>', line)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return execute(tmp_path_factory.mktemp("notebook") / "out.ipynb")


def test_it_shows_every_table_and_figure(smoke):
    for name in ("Table 1", "Table 2", "Gains", "Overview", "Extractors", "Ingredients", "Post-processing"):
        assert f"<strong>{name}.</strong>" in smoke
    assert smoke.count("<figure") == smoke.count("<figcaption") == smoke.count("<img") and 'alt=""' not in smoke
    assert smoke.count("<figure") >= 11
    whole = row(smoke, "Table 2", "Res50+AGN+Dense161BS+Dense161+HRnet")
    assert [cell.partition("printed")[2][2:7].strip("</s") for cell in whole[:3]] == ["66.8", "76.05", ""]
    assert "–" not in [cell.partition("<br>")[0] for cell in whole[:3]] and whole[-1] == "1"
    assert row(smoke, "Table 2", "Res50</th>")[0].startswith("–"), "a row that this scope leaves open"


def test_it_shows_masks_and_rankings_before_and_after(smoke):
    assert re.search(r"Mean IoU on held-out training vehicles: 0\.\d{3} \(1 seed\); it does not reach", smoke)
    assert "Figure 3 from our runs" in smoke and "the mask that the PSPNet predicts" in smoke
    assert "other background" in smoke and "not run" in smoke


def test_ai_city_runs_without_masks_and_names_what_they_would_be_for(tmp_path):
    root = export("aicity2020", tmp_path / "tree", preset="smoke")
    shutil.rmtree(root / "mask")
    given = {"dataset": "aicity2020", "data_root": str(root), "members": '["res50", "agn"]'}
    text = execute(tmp_path / "out.ipynb", **given)
    overview = row(text, "Overview", "given configuration")
    assert overview[-1] == "1" and all(0 <= float(cell) <= 100 for cell in overview[:3])
    assert "simulated training images" in text
    refused = html.unescape(text.partition("Rows that these data cannot fill")[2])
    assert "dense161bs needs a 'mask' of images of more than 2 real training vehicles" in refused
    assert "Res50+AGN+Dense161BS" in refused


@pytest.mark.parametrize("name, value, said", [
    ("members", '["res50", "resnet"]', "each one of res50, agn, dense161bs, dense161, hrnet"),
    ("preset", "smoke", "simulated = True needs simulated training images"),
])  # fmt: skip
def test_a_wrong_parameter_stops_it_before_anything_is_computed(name, value, said):
    told, began = refused(NOTEBOOK, profile="smoke", **{name: value})
    assert said in told and began <= 5


def test_the_source_notebook_is_prose_with_short_cells():
    notebook = nbformat.read(NOTEBOOK, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1 and tagged[0].source.startswith("# Parameters")
    assert len(code) <= 30
    assert all(len(cell.source.splitlines()) <= 15 for cell in code if cell is not tagged[0])
