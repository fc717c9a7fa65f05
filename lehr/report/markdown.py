"""Tables and texts as Markdown, in which names of anybody's files do no harm."""

from __future__ import annotations

import re

from lehr.shown import Table
from lehr.text import printable

_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|])")


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _SIGNS.sub(r"\\\1", printable(text))


def table(of: Table) -> str:
    """Return a table, with its title in bold above it."""
    head = [escaped(column) or " " for column in of.columns]
    lines = [head, ["---"] * len(head), *([escaped(cell) for cell in row] for row in of.rows)]
    rows = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"**{escaped(of.title)}**\n\n{rows}\n"
