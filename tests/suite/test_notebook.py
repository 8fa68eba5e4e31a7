"""The notebook through papermill: it runs, reuses what was computed, and stops on parameters that mean nothing."""

import re
from pathlib import Path

import nbformat
import papermill
import pytest

from notebooks import refused
from reidpapers.vehicles.export import export

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "mlsl_ablation.ipynb"
DRDL = ROOT / "notebooks" / "drdl_ablation.ipynb"


def execute(folder: Path, output: Path, source: Path = NOTEBOOK, **parameters):
    return papermill.execute_notebook(source, output, parameters, cwd=folder, progress_bar=False)


def texts(notebook) -> str:
    """Everything that the cells put out, as one text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(str(output.get("data", {}).get("text/html", output.get("text", ""))) for output in outputs)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The notebook at smoke scale from the repository's root, with a dropout that no other test uses."""
    output = tmp_path_factory.mktemp("notebook") / "out.ipynb"
    execute(ROOT, output, profile="smoke", dropout=0.25, committed=False, seeds="[0, 1, 2]")
    return nbformat.read(output, 4)


def test_it_trains_and_shows_every_section(smoke):
    text = texts(smoke)
    for number in range(2, 11):
        assert f"Table {number}." in text
    assert text.count("<figure") >= 10
    assert "FL continued" in text
    assert "not run" in text  # claims whose rows were not asked for


def test_every_picture_says_what_it_shows(smoke):
    text = texts(smoke)
    assert text.count("<figure") == text.count("<figcaption") == text.count("<img")
    assert 'alt=""' not in text


def test_it_runs_from_its_own_folder_and_reuses_the_records(smoke, tmp_path):
    again = execute(
        NOTEBOOK.parent, tmp_path / "again.ipynb", profile="smoke", dropout=0.25, committed=False, seeds="[0, 1, 2]"
    )
    logs = [out["text"] for cell in again.cells for out in cell.get("outputs", []) if out.get("name") == "stderr"]
    assert not any("step/s" in log for log in logs)  # no training bar: nothing was computed


@pytest.mark.parametrize(
    ("dataset", "table", "columns"),
    [("veri776", "Table 8", 3), ("vehicleid", "Table 9", 4), ("veriwild", "Table 10", 2)],
)
def test_an_official_benchmark_fills_its_table(dataset, table, columns, tmp_path):
    root = export(dataset, tmp_path / dataset, preset="smoke")
    execute(ROOT, tmp_path / "out.ipynb", profile="smoke", dataset=dataset, data_root=str(root), committed=False,
            workers=1)  # fmt: skip
    shown = texts(nbformat.read(tmp_path / "out.ipynb", 4))
    for number in ("Table 8", "Table 9", "Table 10"):
        lines = shown.split(f"<strong>{number}.</strong>")[1].split("</table>")[0]
        heads = re.findall(r'<th scope="col">(.*?)</th>', lines)
        titles = [head for head in heads if head not in ("row", "seeds", "")]
        for row in ("MLSL", "FL"):
            line = lines.split(f'<th scope="row">{row}</th>')[1].split("</tr>")[0]
            *scores, seeds = re.findall(r'<td class="number">(.*?)</td>', line)
            shown_each = zip(titles, scores, strict=True)
            ours = [score.partition("<br>")[0] for title, score in shown_each if title != "printed"]
            if number == table:
                assert seeds == "1" and len(ours) == columns and all(0 <= float(score) <= 100 for score in ours)
            else:
                assert seeds == "–" and set(ours) == {"–"}


@pytest.mark.parametrize("source", [NOTEBOOK, DRDL], ids=lambda path: path.stem)
def test_the_source_notebook_is_prose_with_short_cells(source):
    notebook = nbformat.read(source, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1 and tagged[0].source.startswith("# Parameters")
    assert len(code) <= 32
    assert all(len(cell.source.splitlines()) <= 15 for cell in code if cell is not tagged[0])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("dropout", 1.5, "dropout = 1.5 is refused: allowed is a number >= 0 and < 1"),
        ("distance", "manhatan", "allowed is one of absolute, euclidean, multiplication"),
        ("seeds", "[]", "seeds = [] is refused: allowed is a non-empty list"),
        ("dropuot", 0.5, "there is no parameter of this name; did you mean dropout?"),
    ],
)
def test_a_wrong_parameter_stops_it_before_anything_is_computed(name, value, said):
    told, began = refused(ROOT / "notebooks" / "mlsl_ablation.ipynb", profile="smoke", **{name: value})
    assert said in told and "nothing was computed" in told
    assert began <= 3  # two cells of parameters, and the configuration


def test_papermill_stops_at_a_wrong_parameter(tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match="nothing was computed"):
        execute(ROOT, tmp_path / "out.ipynb", profile="smoke", dropout=1.5)
    ran = [cell for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells if cell.get("execution_count")]
    assert len(ran) <= 4  # papermill's note, two cells of parameters, and the configuration


@pytest.mark.parametrize("dataset", ["rendered", "vehicleid", "compcars"])
def test_drdl_runs_on_embedded_and_exported_data(dataset, tmp_path):
    where = {}
    if dataset != "rendered":
        export(dataset, tmp_path / dataset, preset="smoke")
        where = {"dataset": dataset, "data_root": str(tmp_path / dataset)}
    output = tmp_path / "out.ipynb"
    execute(ROOT, output, DRDL, profile="smoke", committed=False, workers=1, **where)
    text = texts(nbformat.read(output, 4))
    for name in ("Table 3", "Table 4", "Table 6", "Fig. 10", "given, VGG + triplet", "not run"):
        assert name in text
    assert text.count("<figure") == text.count("<figcaption") == text.count("<img") >= 9
    assert ("Pairs of two models" in text) == (dataset == "compcars")
