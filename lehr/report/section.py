"""The parts of a section of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from lehr.shown import Table

Mark = Literal["good", "note", "watch", "bad"]
ROWS = 200
"""Of a table on a page, at most."""


@dataclass(frozen=True)
class Finding:
    """One sentence that says whether something is good or bad, or neither: a note."""

    mark: Mark
    text: str


@dataclass(frozen=True)
class Picture:
    """A picture: SVG, and what it shows in a sentence.

    Attributes:
        svg: an element that stands in a page, see `lehr.plot.style.svg`.
        caption: what is seen, and what would be good or bad.
        wide: whether it takes the whole width.
    """

    svg: str
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """An item of the report.

    Attributes:
        key: of letters and dashes; the section's id.
        title, caption: the caption says what is good or bad.
        findings: what is so here.
        pictures: whose numbers are in the tables.
        tables: with a title each.
        lacking: what to give to know more; empty where nothing lacks.
        layout: "side" puts tables beside the pictures, "small" more pictures in a row, where there
            is room.
    """

    key: str
    title: str
    caption: str
    findings: Sequence[Finding] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = field(default=())
    lacking: str = ""
    layout: Literal["", "side", "small"] = ""


def percent(share: float, digits: int = 2) -> str:
    """Return a share as people read it; one that is not nothing, or not all, stays so."""
    text = f"{100 * share:.{digits}f} %"
    if share > 0 and not float(text[:-2]):
        return f"< {10.0**-digits:.{digits}f} %"
    if share < 1 and float(text[:-2]) == 100:
        return f"> {100 - 10.0**-digits:.{digits}f} %"
    return text


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count and its noun: `1 sample`, `2,000 samples`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def sentence(text: str) -> str:
    """Return a clause as a sentence: with a capital, and a stop."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def without_empty(table: Table) -> Table:
    """Leave out the columns of which nothing is known."""
    kept = [n for n in range(len(table.columns)) if any(row[n] for row in table.rows)]
    return Table(
        table.title,
        [table.columns[n] for n in kept],
        [[row[n] for n in kept] for row in table.rows],
    )


def thinned(table: Table) -> Table:
    """Leave out rows of a long table, evenly; its title says so, and the facts have them all."""
    total = len(table.rows)
    if total <= ROWS:
        return table
    each = math.ceil(total / ROWS)
    kept = [row for number, row in enumerate(table.rows, start=1) if number % each == 0]
    title = f"{table.title}: one in {each} of {total:,} rows, and the last (--json has all)"
    return Table(title, table.columns, [*kept, *([] if total % each == 0 else table.rows[-1:])])
