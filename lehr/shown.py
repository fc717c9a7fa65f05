"""Networks, results and artefacts as text: in one line, and as a table of text or of HTML."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from lehr.nodes import Shape


@dataclass(frozen=True)
class Table:
    """A table with a line above it.

    Attributes:
        title: the line.
        columns: what they are called.
        rows: of as many texts each.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        """Return the table as text: columns as wide as their longest text, numbers to the right."""
        if not self.rows:
            return self.title
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        right = [
            bool(self.rows) and all(map(_is_number, column))
            for column in zip(*self.rows, strict=True)
        ] or [False] * len(widths)
        lines = [
            "  ".join(
                text.rjust(width) if number else text.ljust(width)
                for text, width, number in zip(row, widths, right, strict=True)
            )
            for row in (self.columns, *self.rows)
        ]
        return "\n".join((self.title, *(line.rstrip() for line in lines)))

    def html(self) -> str:
        """Return a table that a notebook shows; every text is escaped."""
        if not self.rows:
            return f"<p>{escape(self.title)}</p>"
        head = _row("th", self.columns)
        body = "".join(_row("td", row) for row in self.rows)
        table = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
        return f"<p>{escape(self.title)}</p>{table}"


class Shown(ABC):
    """Base of what shows itself by a line and a table: in Python, as text, and in a notebook."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._table().title})"

    def _repr_html_(self) -> str:
        return self._table().html()

    def summary(self) -> str:
        """Show what it holds as a table of text."""
        return str(self._table())

    @abstractmethod
    def _table(self) -> Table:
        """Return what is shown; its title says in one line what it is."""


def shape_text(shape: Shape) -> str:
    """Return a shape as people write it: 1x28x28."""
    return "x".join(map(str, shape))


def listed(parts: Iterable[str], most: int = 6) -> str:
    """Return parts with commas between them, the last of many left out."""
    parts = list(parts)
    return ", ".join(
        parts if len(parts) <= most else [*parts[: most - 1], f"and {len(parts) - most + 1} more"]
    )


def _row(cell: str, texts: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{cell}>{escape(text)}</{cell}>' for text in texts)}</tr>"


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").removeprefix("-").isdigit()
