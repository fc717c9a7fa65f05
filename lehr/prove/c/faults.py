"""Faults that are put into a copy of an artefact: an operator exchanged, or a number one too high.

A proof that does not see them says nothing, and how many it sees is its kill rate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lehr.prove.c.files import MODEL, CFiles, Update

EXCHANGED = (
    (r"(?<=\w) > (?=[\w-])", " >= "),
    (r"(?<=\w) >= (?=[\w-])", " > "),
    (r"(?<=\w) < (?=[\w-])", " <= "),
    (r" == ", " != "),
    (r" != ", " == "),
    (r" \+= ", " -= "),
    (r" -= ", " += "),
    (r"(?<=[\w)]) \+ (?=[\w(])", " - "),
    (r"(?<=[\w)]) - (?=[\w(])", " + "),
    (r"(?<=[\w)]) \* (?=[\w(])", " + "),
    (r"(?<=[\w)]) / (?=[\w(])", " * "),
    (r"\bdivide_toward_zero_(?=\d)", "divide_floor_"),
    (r"\bdivide_floor_(?=\d)", "divide_toward_zero_"),
    (r"\bdivide_nearest_even_(?=\d)", "divide_floor_"),
)
"""Operators and functions, and what takes their place."""
_NUMBER = re.compile(r"(?<![\w.])\d+(?=u?\b)")


@dataclass(frozen=True)
class Fault:
    """A change of an update.

    Attributes:
        what: the line as it was, and as it is.
        body: the statements of the function, with the fault.
    """

    what: str
    body: str


def faults(files: CFiles, update: Update) -> Iterator[Fault]:
    """Yield every fault of an update, each alone: first operators, then numbers."""
    body = update.body
    for pattern, other in EXCHANGED:
        for each in re.finditer(pattern, body):
            if other.endswith("_") and not re.search(
                rf"\b{other}{body[each.end() : each.end() + 2]}\(", files.texts[MODEL]
            ):
                continue  # the file has no such function
            yield _changed(body, each.span(), other)
    for each in _NUMBER.finditer(body):
        yield _changed(body, each.span(), str(int(each[0]) + 1))


def _changed(body: str, span: tuple[int, int], other: str) -> Fault:
    start, end = span
    first, last = body.rfind("\n", 0, start) + 1, body.find("\n", end)
    line = body[first:last].strip()
    changed = f"{body[first:start]}{other}{body[end:last]}".strip()
    return Fault(f"'{changed}' in place of '{line}'", body[:start] + other + body[end:])


def with_fault(files: CFiles, update: Update, fault: Fault) -> CFiles:
    """Return the files with a fault in an update."""
    start, end = update.span
    text = files.texts[MODEL]
    return replace(files, texts={**files.texts, MODEL: text[:start] + fault.body + text[end:]})
