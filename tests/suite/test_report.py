"""Pages: self-contained, without scripts, with mathematics and code, and refused when there is nothing to show."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from reidpapers.show import page as report
from reidpapers.show.page import UnfitNotebook, render

PROSE = r"""# A title

Price in code: `cost = $5`. Inline $x_a^2$ and a block:

$$L = \sum_{m} \lambda_m d_m$$

| a | b |
|---|---|
| $\lvert x \rvert$ | `c` |

## 1. First section
"""


def notebook(*outputs, source="value = 1  # a comment", tags=()):
    cell = new_code_cell(source, outputs=list(outputs), execution_count=1, metadata={"tags": list(tags)})
    return new_notebook(cells=[new_markdown_cell(PROSE), cell])


def html(text):
    return new_output("display_data", data={"text/html": text, "text/plain": "plain"})


@pytest.fixture
def page(tmp_path):
    def made(content):
        path = tmp_path / "in.ipynb"
        nbformat.write(content, path)
        return render(path, tmp_path / "out" / "page.html").read_text()

    return made


def test_a_page_needs_no_script_and_no_network(page):
    text = page(notebook(html('<figure><img alt="a" src="data:image/png;base64,AA"></figure>')))
    assert "<script" not in text and "mathjax" not in text.lower()
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert "@import" not in text and "url(" not in text


def test_mathematics_is_mathml_and_a_dollar_in_code_stays(page):
    text = page(notebook())
    assert text.count("<math") == 3 and 'display="block"' in text
    assert "cost = $5" in text and "HTAM" not in text
    assert re.search(r"<td[^>]*>\s*<math.*?</math>\s*</td>", text, re.DOTALL)  # a bar in a formula splits no cell


def test_code_is_folded_but_there(page):
    text = page(notebook())
    assert re.search(r'<details class="code"><summary>code</summary>.*value.*</details>', text, re.DOTALL)
    given = page(notebook(tags=["injected-parameters"]))
    assert '<details class="code" open=""><summary>given parameters' in given


def test_live_outputs_are_left_out(page):
    bar = new_output("stream", name="stderr", text="runs:  50%|#####     | 1/2 [00:01<00:01]")
    widget = new_output("display_data", data={report.WIDGET: {"model_id": "x"}, "text/plain": "VBox(children=())"})
    text = page(notebook(bar, widget, html("<b>kept</b>"), new_output("stream", name="stdout", text="said")))
    assert "runs:" not in text and "VBox" not in text
    assert "<b>kept</b>" in text and "said" in text


def test_sections_are_listed_and_tables_scroll_in_a_box(page):
    text = page(notebook(html("<table><tr><td>1</td></tr></table>")))
    anchor = re.search(r'<a href="#([^"]+)">First section</a>', text)
    assert anchor and f'id="{anchor[1]}"' in text
    assert text.count('<div class="scroll"') == 2
    assert '<html lang="en">' in text and 'name="viewport"' in text and "<title>A title</title>" in text


def test_what_cannot_become_a_page_is_refused(tmp_path, page, monkeypatch):
    with pytest.raises(FileNotFoundError, match="execute one first"):
        render(tmp_path / "none.ipynb", tmp_path / "page.html")
    fresh = notebook()
    fresh.cells[1].execution_count = None
    with pytest.raises(UnfitNotebook, match="not executed"):
        page(fresh)
    with pytest.raises(UnfitNotebook, match="ValueError: bad"):
        page(notebook(new_output("error", ename="ValueError", evalue="bad", traceback=[])))
    monkeypatch.setattr(report, "LARGEST", 20_000)
    with pytest.raises(UnfitNotebook, match="cell 1"):
        page(notebook(html("x" * 20_000)))
    assert not (tmp_path / "out" / "page.html").exists()


def test_a_picture_can_be_touched_to_grow(page):
    text = page(notebook(html('<figure><img alt="a" src="data:image/png;base64,AA"></figure>')))
    assert re.search(r'<figure><img [^>]*tabindex="0"', text) and "figure img:focus" in text
