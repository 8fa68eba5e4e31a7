"""The label files of VeRi-776 and AI City: one XML ``Item`` an image, its labels as attributes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from xml.parsers import expat

import pandas as pd

from reidlib.data.files import DatasetError, Form, refuse, text


def items(path: Path, forms: Mapping[str, Form], optional: Collection[str] = ()) -> pd.DataFrame:
    """The ``Item`` elements of a label file as a frame of strings, one row each, with their line numbers as its index.

    Args:
        path: the file; its header may name any encoding (Python's parser would refuse ``gb2312``): what counts is
            whether its bytes are UTF-8 or GBK.
        forms: the attributes to read, and how their values must look.
        optional: those of them that an item may lack; they are then missing.

    Returns:
        One column an attribute; items in the file's order.

    Raises:
        DatasetError: no well-formed XML (an unfinished file, too), a document type (which could define entities), an
            attribute that is missing or has another form, or no item at all.
    """
    numbers, attributes = _elements(path)
    if not attributes:
        raise DatasetError(f"{path} holds no Item; fetch the file again")
    frame = pd.DataFrame(attributes, columns=list(forms), index=pd.Index(numbers), dtype="string")
    for name, form in forms.items():
        good = frame[name].str.fullmatch(form.pattern)
        good = good.fillna(name in optional).to_numpy(bool)
        refuse(path, frame[name].fillna("")[~good], f"have no {name} of the form {form.example!r}")
    return frame


def coded(path: Path, codes: pd.Series, names: tuple[str, ...], first: int) -> pd.Series:
    """The names of numbered labels, a missing or unknown number as missing.

    Args:
        path: their file, for the message.
        codes: numbers as text, by line.
        names: the code table.
        first: the number of its first entry; where that is 1, 0 stands for unknown (``typeID="0"`` in VeRi-776).

    Raises:
        DatasetError: a number that the table does not have.
    """
    unknown = ["0"] if first else []
    allowed = {str(number): name for number, name in enumerate(names, first)}
    short = codes.str.replace(r"^0+(?=\d)", "", regex=True)
    wrong = codes[short.notna() & ~short.isin([*allowed, *unknown])]
    refuse(path, wrong, f"have a {codes.name} that is none of {first} to {first + len(names) - 1}")
    return short.map(allowed).astype("string")


def _elements(path: Path) -> tuple[list[int], list[dict[str, str]]]:
    """Line numbers and attributes of the items."""
    numbers: list[int] = []
    elements: list[dict[str, str]] = []
    content = text(path)
    # Whatever encoding the header names, the parser is given UTF-8 and told so.
    parser = expat.ParserCreate("utf-8")

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "Item":
            numbers.append(parser.CurrentLineNumber)
            elements.append(attributes)

    def doctype(*_: object) -> None:
        raise DatasetError(
            f"{path}, line {parser.CurrentLineNumber}: a document type is refused, since it can define entities; "
            "fetch the file again"
        )

    parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, doctype
    try:
        parser.Parse(content.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        problem = expat.ErrorString(error.code)
        raise DatasetError(f"{path}, line {error.lineno}: {problem}; fetch the file again") from error
    return numbers, elements
