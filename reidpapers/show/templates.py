"""The Jinja templates of tables, verdicts and figures, which notebooks and the site share.

They lie beside the code: ``*.html.j2`` are whole pages; the others hold macros, which Python calls as functions.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

FOLDERS = [Path(__file__).parent, Path(__file__).parent / "site"]


class _Loader(FileSystemLoader):
    """Joins the lines of macros, since a line break between two tags may be seen as a space."""

    def get_source(self, environment: Environment, template: str) -> Any:
        source, *origin = super().get_source(environment, template)
        return source if template.endswith(".html.j2") else "".join(map(str.strip, source.splitlines())), *origin


@cache
def environment() -> Environment:
    """Where all templates are, with their filters; values are escaped unless they are markup already."""
    templates = Environment(
        loader=_Loader(FOLDERS), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    templates.filters |= {"prose": prose, "along": along}
    return templates


@cache
def macros(template: str) -> Any:
    """The macros of a template by name, each a function that returns markup."""
    return environment().get_template(template).module


def prose(text: str) -> Markup:
    """A docstring's or table's text: ``code``, *emphasis* and **stress** become markup, all else is escaped."""
    text = re.sub(r"``?([^`]+)``?", r"<code>\1</code>", str(escape(text)))
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return Markup(re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*(?!\w)", r"<em>\1</em>", text))


def along(value: float, low: float, high: float) -> str:
    """Where a value lies between two ends, in percent of the way; what is beyond lies at the end."""
    return f"{100 * max(0.0, min(1.0, (value - low) / (high - low))):.1f}%"
