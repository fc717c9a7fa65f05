"""Text and tables as wide as what they are printed on; words are never cut.

A table whose longest words do not fit side by side, or that would stand narrower than it reads,
becomes a block of lines for each row.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.table import Table

PIPED = 160
"""Columns of a table that goes into a file or a pipe, unless COLUMNS says how many there are."""
_EDGES, _BETWEEN = 2, 3
"""What a table takes at its two edges together, and between two columns."""
_INDENT = "  "
_NUMBER = re.compile(r"[<>]? ?-?[\d.,]+( %)?")
_GOES_ON = " \\"


def columns(stream: TextIO | None = None) -> int | None:
    """Return how wide a terminal is; None for a pipe or file, where a sentence is one line.

    Args:
        stream: where the text goes, stdout if None.
    """
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else None


def columns_of_tables() -> int:
    """Return how wide a table on stdout may be."""
    told = os.environ.get("COLUMNS", "")
    return columns() or (int(told) if told.isdecimal() and int(told) else PIPED)


def wrapped(text: str, width: int | None) -> list[str]:
    """Break a line at spaces, so that none is wider than `width` but a longer word, under its own indentation."""
    if width is None or len(text) <= width:
        return [text]
    indent = text[: len(text) - len(text.lstrip())]
    return _wrap(text, width, indent + _INDENT) or [text]


def command(text: str, width: int | None) -> list[str]:
    """Break a command at spaces, so that a shell takes its lines together as the one that it was."""
    if width is None or len(text) <= width:
        return [text]
    *lines, last = _wrap(text, width - len(_GOES_ON), _INDENT)
    return [*(line + _GOES_ON for line in lines), last]


def _wrap(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def lines_of_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], width: int
) -> Iterator[str] | Table:
    """Return a table that rich prints in `width` columns; where it reads badly there, lines instead.

    Args:
        names: of the columns; one without any text in it is left out.
        rows: as many texts each.
        width: of what it is printed on.
    """
    filled = [at for at in range(len(names)) if any(row[at] for row in rows)]
    names, rows = [names[at] for at in filled], [[row[at] for at in filled] for row in rows]
    room = width - _EDGES - _BETWEEN * (len(names) - 1)
    widths = _widths(list(zip(names, *rows, strict=True)), room)
    if widths is None or _height(rows, widths) > sum(map(len, rows)):
        return _blocks(names, rows, width)
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, column, each in zip(names, zip(*rows, strict=True), widths, strict=True):
        numeric = all(map(_NUMBER.fullmatch, column))
        made.add_column(name, justify="right" if numeric else "left", width=each, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def _widths(texts: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Widths of columns that have `room` together, the widest made narrower first; None where words do not fit."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in texts]
    least = [
        max((cell_len(word) for text in column for word in text.split()), default=0)
        for column in texts
    ]
    if sum(least) > room:
        return None
    while sum(widths) > room:
        shrinks = [at for at, width in enumerate(widths) if width > least[at]]
        widths[max(shrinks, key=widths.__getitem__)] -= 1
    return widths


def _height(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> int:
    """How many lines the rows take in columns of these widths."""
    return sum(
        max(len(_wrap(text, max(width, 1), "")) for text, width in zip(row, widths, strict=True))
        for row in rows
    )


def _blocks(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield for each row its values that are not empty, one below the other, each after its column's name."""
    for row in rows:
        yield ""
        indent = ""
        for name, text in zip(names, row, strict=True):
            if text:
                yield from _wrap(f"{indent}{name}: {text}", width, 2 * _INDENT)
                indent = _INDENT
    yield ""
