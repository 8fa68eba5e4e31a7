"""An executed notebook becomes one page: self-contained, without scripts, readable with no network.

nbconvert does the conversion with the template in ``page/``. Mathematics is turned into MathML beforehand, code is
folded away but one click off, and what only a live notebook could show (widgets, progress bars) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from latex2mathml.converter import convert as to_mathml
from nbconvert import HTMLExporter
from nbconvert.filters.markdown import markdown2html
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from reidlib.places import write_atomically

PAGE = Path(__file__).parent
LARGEST = 3_000_000  # bytes
WIDGET = "application/vnd.jupyter.widget-view+json"
# Displayed or inline mathematics; code spans come first, so that a dollar in code stays a dollar.
MATH = re.compile(r"(?P<code>`[^`]+`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)
BAR = re.compile(r"\d+%\|.*\|\s*\d+/\d+")  # a tqdm bar


class UnfitNotebook(ValueError):
    """A notebook that cannot become a page: not executed, failed, or too large."""


class PageExporter(HTMLExporter):
    """nbconvert's HTML exporter with MathML in place of mathematics."""

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """A Markdown cell as HTML; formulas pass by Markdown untouched, as tokens."""
        formulas: list[str] = []

        def token(match: re.Match) -> str:
            if match["code"]:
                return match["code"]
            block = match["block"] is not None
            formulas.append(to_mathml(match["block"] or match["inline"], display="block" if block else "inline"))
            return f"MATH{len(formulas) - 1}HTAM"

        page = markdown2html(MATH.sub(token, source))
        return re.sub(r"MATH(\d+)HTAM", lambda match: formulas[int(match[1])], page)


def render(notebook: Path, page: Path, site: Mapping[str, str] | None = None) -> Path:
    """Write an executed notebook as a page.

    Args:
        notebook: executed, as papermill leaves it.
        page: the file to write, all at once.
        site: where the page will lie in a paper's folder of a site: each paper's short name by its folder, for the
            navigation; None: the page stands alone.

    Returns:
        ``page``.

    Raises:
        FileNotFoundError: there is no such notebook.
        UnfitNotebook: it was not executed or ended with an error, or the page would be over 3 MB.
    """
    if not notebook.is_file():
        raise FileNotFoundError(f"no notebook {notebook}: execute one first, with papermill or in JupyterLab")
    content = nbformat.read(notebook, 4)
    _check_executed(content, notebook)
    exporter = PageExporter(template_name="page", extra_template_basedirs=[str(PAGE.parent)])
    own = (PAGE / "style.css").read_text(encoding="utf-8")
    style = own + HtmlFormatter(style="default").get_style_defs(".highlight")
    about = {"style": style, "title": _title(content), "site": site, "own": page.parent.name}
    body, _ = exporter.from_notebook_node(_still(content), resources=about)
    text = _with_contents(body)
    if len(text.encode()) > LARGEST:
        raise UnfitNotebook(
            f"{page} would have {len(text):,} bytes, at most {LARGEST:,} are allowed: {_largest(content)}"
        )
    write_atomically(page, text)
    return page


def _check_executed(content: NotebookNode, notebook: Path) -> None:
    code = [cell for cell in content.cells if cell.cell_type == "code" and cell.source.strip()]
    errors = [out for cell in code for out in cell.outputs if out.output_type == "error"]
    if errors:
        raise UnfitNotebook(f"{notebook} ended with {errors[0].ename}: {errors[0].evalue}")
    if not any(cell.execution_count for cell in code):
        raise UnfitNotebook(f"{notebook} was not executed: run papermill {notebook} out.ipynb, and render out.ipynb")


def _still(content: NotebookNode) -> NotebookNode:
    """The notebook without what only a live one can show: widgets and progress bars."""
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_live(output)]
    return content


def _is_live(output: NotebookNode) -> bool:
    if output.output_type == "stream":
        return output.name == "stderr" and bool(BAR.search(output.text))
    return WIDGET in output.get("data", {})


def _title(content: NotebookNode) -> str:
    """The first heading."""
    first = next((cell.source for cell in content.cells if cell.cell_type == "markdown"), "")
    heading = re.search(r"^#\s+(.+)$", first, re.MULTILINE)
    return heading[1] if heading else "Notebook"


def _with_contents(body: str) -> str:
    """The page with a list of its sections at the top; on a phone tables scroll and pictures grow when touched."""
    page = BeautifulSoup(body, "html.parser")
    place = page.find("nav", attrs={"aria-label": "Sections"}).find("ol")
    for heading in page.find_all("h2"):
        for anchor in heading.find_all("a", class_="anchor-link"):
            anchor.decompose()
        link = page.new_tag("a", href=f"#{heading['id']}")
        link.string = re.sub(r"^\d+\.\s*", "", heading.get_text())
        item = page.new_tag("li")
        item.append(link)
        place.append(item)
    for anchor in page.find_all("a", class_="anchor-link"):
        anchor.decompose()
    for picture in page.select("figure img"):
        picture["tabindex"] = "0"  # so that a touch makes it large
    for table in page.find_all("table"):
        table.wrap(page.new_tag("div", attrs={"class": "scroll", "tabindex": "0"}))
    return str(page)


def _largest(content: NotebookNode) -> str:
    """The three largest outputs, for a message."""
    sizes = [
        (len(str(output)), f"cell {number}: {len(str(output)):,} bytes")
        for number, cell in enumerate(content.cells)
        for output in cell.get("outputs", [])
    ]
    return "; ".join(text for _, text in sorted(sizes, reverse=True)[:3])
