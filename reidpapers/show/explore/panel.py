"""A panel: controls and the one picture that they change.

The picture is drawn once when the panel is shown, as an output of the cell and not as a widget. So a notebook that is
executed in batch, where no widget lives, keeps a useful still picture in the same place, and the state of the widgets,
which is saved with a notebook, holds no pixels.

Widgets and their observers stay in a kernel's memory until they are closed. A panel that is shown where another one
stood (the cell was run again) closes that one first.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ipywidgets as widgets
import numpy as np
from IPython import get_ipython
from IPython.display import HTML, display
from matplotlib.figure import Figure
from PIL import Image

from reidpapers.show import plots
from reidpapers.show.explore.controls import ControlMaker
from reidpapers.show.templates import macros

DPI = 110  # of a picture that is redrawn while someone waits: that of the page it is shown on
KEYS = "Tab goes from control to control; arrow keys move a slider or a list; Enter or Space presses a button."
SHOWN: dict[tuple[str, str], Panel] = {}  # what is open now, by name and cell


@dataclass(frozen=True)
class Picture:
    """What a panel shows.

    Attributes:
        drawn: a figure, or pixels, uint8 ``[H, W, 3]``.
        text: what it says in words and numbers: caption and alternative text.
    """

    drawn: Figure | np.ndarray
    text: str

    def kept(self) -> HTML:
        """As it stays in a notebook: small."""
        return HTML(plots.markup(self.drawn, self.text, self.text, DPI))

    def quick(self) -> HTML:
        """As it is sent while someone waits: packed in a moment."""
        image, packed = Image.fromarray(plots.pixels(self.drawn, DPI)), io.BytesIO()
        image.save(packed, "PNG", compress_level=1)
        source = f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"
        return HTML(macros("figure.j2").figure(source, image.width, self.text, self.text))


class Panel:
    """Controls above one picture.

    Args:
        name: of the explorer; with the cell, which panel it replaces.
        make: what the controls were made with.
        controls: by the name that ``draw`` knows them by; buttons among them are passed on to nobody.
        draw: ``(**values of the controls) → Picture``.
        rows: the controls' names, a list a line.
        links: by a control's name, what is done with its new value before the picture is drawn; it may move others.
        presses: by a button's name, what it does before the picture is drawn.
    """

    def __init__(
        self,
        name: str,
        make: ControlMaker,
        controls: Mapping[str, widgets.Widget],
        draw: Callable[..., Picture],
        rows: Sequence[Sequence[str]],
        links: Mapping[str, Callable[[Any], None]] | None = None,
        presses: Mapping[str, Callable[[], None]] | None = None,
    ) -> None:
        self.name, self.controls, self.draw = name, dict(controls), draw
        self.links, self.presses = dict(links or {}), dict(presses or {})
        self.quiet, self.open, self.picture = False, True, None
        self.afterwards: Callable[[], None] = lambda: None  # once, when it ends
        self.closer = make.button("close", "remove these controls; the picture stays")
        lines = [make.line([self.controls[name] for name in row]) for row in rows]
        self.box = make.column([*lines, make.line([make.note(KEYS), self.closer])])
        self.outer = widgets.VBox([self.box])
        for name, control in self.controls.items():
            if _has_value(control):
                control.observe(partial(self._moved, name), names="value")
        self._clicks = {self.closer: lambda clicked: self.close()}
        self._clicks |= {self.controls[name]: partial(self._pressed, name) for name in self.presses}
        for pressed, react in self._clicks.items():
            pressed.on_click(react)

    def show(self) -> None:
        """Put controls and picture into the cell's output; what was shown there before is closed."""
        place = (self.name, _cell())
        if earlier := SHOWN.pop(place, None):
            earlier.close()
        SHOWN[place] = self
        display(self.outer)
        self.picture = display(self._drawn(Picture.kept), display_id=True)

    def become(self, other: Panel) -> None:
        """Leave the place on the page to another panel."""
        other.outer, other.picture = self.outer, self.picture
        for place in [place for place, panel in SHOWN.items() if panel is self]:
            SHOWN[place] = other
        other.outer.children = (other.box,)
        self._end(self.box)
        other.redraw()

    def close(self) -> None:
        """Take the controls away with all that watches them; the picture stays."""
        for place in [place for place, panel in SHOWN.items() if panel is self]:
            del SHOWN[place]
        self._end(self.outer)

    def redraw(self) -> None:
        """Draw the picture anew in its place."""
        if self.open and not self.quiet and self.picture is not None:
            self.picture.update(self._drawn(Picture.quick))

    def _end(self, root: widgets.Widget) -> None:
        self.open = False
        self.afterwards()
        self.afterwards = lambda: None
        for pressed, react in self._clicks.items():
            pressed.on_click(react, remove=True)
        self._clicks = {}
        for widget in _tree(root, self.box, *self.controls.values()):
            widget.close()
            widget.unobserve_all()

    def _moved(self, name: str, change: Any) -> None:
        if self.quiet or not self.open:
            return
        self._then(self.links.get(name), change["new"])

    def _pressed(self, name: str, clicked: widgets.Button) -> None:
        if self.open:
            self._then(self.presses[name])

    def _then(self, react: Callable[..., None] | None, *values: Any) -> None:
        """Let a link or a button move other controls, and draw once."""
        self.quiet = True
        try:
            if react is not None:
                react(*values)
        except Exception as error:
            self.picture.update(_alert(error))
            return
        finally:
            self.quiet = False
        self.redraw()

    def _drawn(self, how: Callable[[Picture], HTML]) -> HTML:
        """The picture as the page shows it, or what is wrong, where a reader sees it."""
        values = {name: control.value for name, control in self.controls.items() if _has_value(control)}
        try:
            return how(self.draw(**values))
        except Exception as error:
            return _alert(error)


def say(text: str) -> None:
    """A sentence in place of a panel."""
    display(HTML(macros("figure.j2").sentence(text)))


def _alert(error: Exception) -> HTML:
    """What went wrong, in the picture's place: of an error in an observer a live notebook shows nothing."""
    return HTML(macros("figure.j2").alert(f"{type(error).__name__}: {error}"))


def _has_value(control: widgets.Widget) -> bool:
    return "value" in control.traits() and not isinstance(control, widgets.HTML | widgets.IntProgress)


def _tree(*roots: widgets.Widget) -> list[widgets.Widget]:
    """Widgets with all that they hold: children, layouts and styles, each once."""
    widgets_by_id: dict[int, widgets.Widget] = {}

    def visit(widget: widgets.Widget) -> None:
        if id(widget) not in widgets_by_id:
            widgets_by_id[id(widget)] = widget
            for child in (*getattr(widget, "children", ()), widget.layout, getattr(widget, "style", None)):
                if child is not None:
                    widgets_by_id.setdefault(id(child), child) if not hasattr(child, "layout") else visit(child)

    for root in roots:
        visit(root)
    return list(widgets_by_id.values())


def _cell() -> str:
    """The notebook cell that runs now, as JupyterLab names it; empty where there is none."""
    shell = get_ipython()
    header = shell.get_parent() if shell is not None and hasattr(shell, "get_parent") else {}
    return str((header or {}).get("metadata", {}).get("cellId", ""))
