"""Notebooks as tests run them: by papermill, or their first cells here, which takes no new kernel."""

from pathlib import Path

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
