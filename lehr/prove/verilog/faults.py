"""Faults that are put into a copy of Verilog: a proof that holds must fail on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_LINE = re.compile(r"^(?!\s*(//|parameter|wire unused|input|output)).*(<=|= |: ).*;", re.M)
_OPERATORS = {" + ": " - ", " - ": " + ", " > ": " >= ", " >= ": " > ", " < ": " <= "}
_OPERATORS |= {" != ": " == ", " == ": " != ", " && ": " || ", " || ": " && ", " >>> ": " <<< "}
_SPOT = re.compile(r" (?:[-+<>]|>=|!=|==|&&|\|\||>>>) |(?<='sd)\d+|(?<='d)\d+")


class Fault(NamedTuple):
    """A changed text, what was changed, and in which line of it."""

    what: str
    text: str
    line: int


def faults(text: str) -> Iterator[Fault]:
    """Yield a text with one operator exchanged, or one constant off by one, in every place."""
    for line in _LINE.finditer(text):
        for spot in _SPOT.finditer(text, line.start(), line.end()):
            old = spot.group()
            new = _OPERATORS[old] if old in _OPERATORS else str(int(old) + 1)
            changed = text[: spot.start()] + new + text[spot.end() :]
            number = text.count("\n", 0, spot.start()) + 1
            what = f"{old.strip()} became {new.strip()} in line {number}"
            yield Fault(what, changed, number)
