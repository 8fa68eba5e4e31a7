"""The controls of a panel.

Widgets of one look share one layout and one style. Each of these is a model of its own that is saved with a notebook,
so that a panel whose widgets have a look each weighs twice as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
from ipywidgets.widgets.widget_bool import CheckboxStyle
from ipywidgets.widgets.widget_description import DescriptionStyle
from ipywidgets.widgets.widget_int import ProgressStyle
from ipywidgets.widgets.widget_string import HTMLStyle


class ControlMaker:
    """Makes a panel's controls; one make a panel, since its looks are closed with it."""

    def __init__(self) -> None:
        self._looks: dict[tuple[Any, ...], widgets.Widget] = {}

    def slider(self, text: str, value: float, largest: float, step: float, tip: str, least: float = 0.0) -> Any:
        """A slider of real numbers."""
        limits = {"min": least, "max": largest, "step": step, "readout_format": ".2f"}
        style = self._look(widgets.SliderStyle, description_width="9em")
        return widgets.FloatSlider(
            value=value, description=text, tooltip=tip, layout=self.layout(width="24em"), style=style, **limits
        )

    def steps(self, text: str, value: int, largest: int, tip: str, least: int = 1, width: str = "24em") -> Any:
        """A slider of whole numbers."""
        style = self._look(widgets.SliderStyle, description_width="9em")
        return widgets.IntSlider(
            value=value, min=least, max=largest, description=text, tooltip=tip, layout=self.layout(width=width),
            style=style,
        )  # fmt: skip

    def choice(self, text: str, options: Sequence[Any], value: Any = None, width: str = "16em") -> widgets.Dropdown:
        """A list to choose one of; the first by default."""
        chosen = options[0] if value is None else value
        return widgets.Dropdown(options=list(options), value=chosen, **self._described(text, width))

    def several(self, text: str, tip: str) -> widgets.SelectMultiple:
        """A list to choose some of."""
        return widgets.SelectMultiple(rows=5, tooltip=tip, **self._described(text, "12em"))

    def number(self, text: str, value: int, largest: int, tip: str) -> widgets.BoundedIntText:
        """A whole number to type."""
        return widgets.BoundedIntText(value=value, min=0, max=largest, tooltip=tip, **self._described(text, "12em"))

    def switch(self, text: str, tip: str) -> widgets.Checkbox:
        """A box to tick."""
        style = self._look(CheckboxStyle)
        layout = self.layout(width="9em")
        return widgets.Checkbox(description=text, tooltip=tip, indent=False, layout=layout, style=style)

    def button(self, text: str, tip: str) -> widgets.Button:
        """A button with a hint."""
        style = self._look(widgets.ButtonStyle)
        return widgets.Button(description=text, tooltip=tip, layout=self.layout(width="auto"), style=style)

    def bar(self, largest: int) -> widgets.IntProgress:
        """How far something is."""
        style = self._look(ProgressStyle)
        return widgets.IntProgress(0, 0, largest, layout=self.layout(width="16em"), style=style)

    def note(self, text: str) -> widgets.HTML:
        """Small print."""
        style = self._look(HTMLStyle)
        return widgets.HTML(f"<small>{text}</small>", layout=self.layout(), style=style)

    def line(self, children: Sequence[widgets.Widget]) -> widgets.HBox:
        """Controls side by side, on several lines where there is no room."""
        return widgets.HBox(list(children), layout=self.layout(flex_flow="row wrap"))

    def column(self, children: Sequence[widgets.Widget]) -> widgets.VBox:
        """Controls one below the other."""
        return widgets.VBox(list(children), layout=self.layout())

    def layout(self, **look: str) -> widgets.Layout:
        """A layout, the same one for the same values."""
        return self._look(widgets.Layout, **look)

    def _described(self, text: str, width: str) -> dict[str, Any]:
        style = self._look(DescriptionStyle)
        return {"description": text, "layout": self.layout(width=width), "style": style}

    def _look(self, kind: type[widgets.Widget], **values: str) -> Any:
        key = (kind, *sorted(values.items()))
        if key not in self._looks:
            self._looks[key] = kind(**values)
        return self._looks[key]
