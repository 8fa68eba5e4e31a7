"""Notebooks as tests run them: by papermill, or their first cells here, which takes no new kernel."""

from pathlib import Path

import nbformat
import papermill
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook


def refused(notebook: Path, **given) -> tuple[str, int]:
    """What a notebook with these parameters says as it stops, and how many of its code cells began.

    The cells, with papermill's own among them, are carried out in this process.
    """
    cells = [cell for cell in parameterize_notebook(load_notebook_node(str(notebook)), given).cells
             if cell.cell_type == "code"]  # fmt: skip
    names, began = {"__name__": "__main__", "In": [""]}, 0  # In: what a kernel keeps of the cells
    with pytest.raises(ValueError) as caught:
        for began, cell in enumerate(cells, 1):
            names["In"].append(cell.source)
            exec(compile(cell.source, f"{notebook.name}, code cell {began}", "exec"), names)
    return str(caught.value), began


# Looks each figure over as it is put on the page, explorers' among them.
LOOK = """
from matplotlib.figure import Figure
from reidpapers.show.plots import legible, style

def looked_over(picture, dpi, pixels=style.pixels):
    drawn = pixels(picture, dpi)
    if isinstance(picture, Figure):
        figures_seen.append(picture)
        faults_seen.extend(legible.faults(picture, laid_out=True))
    return drawn

figures_seen, faults_seen, style.pixels = [], [], looked_over
"""
SAY = "assert figures_seen and not faults_seen, faults_seen"


def execute(notebook: Path, output: Path, cwd: Path, **given) -> nbformat.NotebookNode:
    """A notebook as papermill leaves it, all of whose figures can be read."""
    source = nbformat.read(notebook, 4)
    source.cells = [nbformat.v4.new_code_cell(LOOK), *source.cells, nbformat.v4.new_code_cell(SAY)]
    changed = output.with_name(f"looked_over_{notebook.name}")
    nbformat.write(source, changed)
    return papermill.execute_notebook(changed, output, given, cwd=cwd, progress_bar=False)
