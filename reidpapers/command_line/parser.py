"""A parser of options that takes nothing for something else.

No abbreviations, since ``--drop`` may mean more than one thing tomorrow; dashes are as good as underscores; an option
that does not exist is answered with the one that was probably meant.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any


class Parser(argparse.ArgumentParser):
    """The parser of all commands; those of subcommands are of its kind."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, allow_abbrev=False, **options)

    def parse_args(self, args: Sequence[str], namespace: argparse.Namespace | None = None) -> argparse.Namespace:
        """The options as given; what is not understood ends the program with one line."""
        names = _names(self)
        known, unknown = self.parse_known_args([_underscored(word, names) for word in args], namespace)
        if unknown:
            self.exit(2, f"{self.prog}: {_not_understood(unknown, names)}\n")
        return known


def _names(parser: argparse.ArgumentParser) -> list[str]:
    """Every option of a parser and of its subcommands."""
    found: dict[str, None] = {}
    for action in parser._actions:
        found |= dict.fromkeys(name for name in action.option_strings if name.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found |= dict.fromkeys(_names(command))
    return list(found)


def _underscored(word: str, names: Sequence[str]) -> str:
    """An option with underscores for dashes, where it exists so and not as it was written."""
    name, equals, value = word.partition("=")
    other = "--" + name[2:].replace("-", "_")
    return other + equals + value if name.startswith("--") and name not in names and other in names else word


def _not_understood(words: Sequence[str], names: Sequence[str]) -> str:
    """One line on what is no option, with what may have been meant."""
    option = next((word.partition("=")[0] for word in words if word.startswith("--")), None)
    if option is None:
        return f"{' '.join(words)!r} is one word too many: values follow an option that takes several"
    longer = [name for name in names if name.startswith(option)]
    near = longer or difflib.get_close_matches(option, names, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else "--help lists all"
    return f"{option}: there is no such option; {hint}"
