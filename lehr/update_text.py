"""Programs as lines of text, one a statement, as a `.nir` file holds them.

They are read back with every word checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lehr.errors import FileRefused
from lehr.tables import Table
from lehr.update import Add, Bound, Decay, Fire, ForEachEvent, Leak, Program, Put, Source, Statement

TO_TEXT: Table[Callable[..., list[str]]] = Table(
    "the .nir file", "write it with a lehr that has this statement"
)
LOOP, END = "for each event", "end"
NAME = r"[a-z][a-z0-9_]{0,30}"
VALUE = rf"{NAME}|0|-?[1-9][0-9]{{0,9}}"
_SHIFT = r"[0-9]|1[0-6]"


def lines_of(program: Program) -> tuple[str, ...]:
    """Return the lines of a program; a loop has a line before and one after its body."""
    return tuple(
        line for statement in program.statements for line in TO_TEXT[type(statement)](statement)
    )


def line_of(statement: Statement) -> str:
    """Return the first line of a statement, as messages show it."""
    return TO_TEXT[type(statement)](statement)[0]


@TO_TEXT.rule(Leak)
def _leak(s: Leak) -> list[str]:
    rounding = f" {s.decay.rounding}" if s.decay.form in ("multiply", "shift") else ""
    return [f"leak {s.x} {s.decay.form} {s.decay.numerator} {s.decay.shift}{rounding}"]


@TO_TEXT.rule(Add)
def _add(s: Add) -> list[str]:
    return [
        f"{'subtract' if s.negative else 'add'} {s.x} {s.source} "
        f"{s.shift}{f' times {s.times}' if s.times else ''}"
    ]


@TO_TEXT.rule(Put)
def _put(s: Put) -> list[str]:
    return [f"put {s.x} {s.source}{f' when {s.when}' if s.when else ''}"]


@TO_TEXT.rule(Bound)
def _bound(s: Bound) -> list[str]:
    return [f"bound {s.x} {s.low} {s.high} {s.overflow}"]


@TO_TEXT.rule(Fire)
def _fire(s: Fire) -> list[str]:
    return [f"fire {s.into} {s.x} {s.test} {s.level} {s.up_to}"]


@TO_TEXT.rule(ForEachEvent)
def _loop(s: ForEachEvent) -> list[str]:
    return [LOOP, *(line for inner in s.body for line in TO_TEXT[type(inner)](inner)), END]


def _value(word: str) -> Source:
    return int(word) if word.lstrip("-").isdigit() else word


def _read_leak(
    x: str, form: str, numerator: str, shift: str, rounding: str = "toward_zero"
) -> Leak:
    return Leak(x, Decay(form, _value(numerator), _value(shift), rounding))  # type: ignore[arg-type]


def _read_add(verb: str, x: str, source: str, shift: str, times: str | None) -> Add:
    return Add(x, _value(source), int(shift), verb == "subtract", times or "")


def _read_put(x: str, source: str, when: str | None) -> Put:
    return Put(x, _value(source), when or "")


def _read_bound(x: str, low: str, high: str, overflow: str) -> Bound:
    return Bound(x, _value(low), _value(high), overflow)  # type: ignore[arg-type]


def _read_fire(into: str, x: str, test: str, level: str, up_to: str) -> Fire:
    return Fire(x, _value(level), test, int(up_to), into)  # type: ignore[arg-type]


_FORMS: tuple[tuple[str, Callable[..., Statement]], ...] = (
    (
        rf"leak ({NAME}) (multiply|shift) ({VALUE}) ({VALUE}) (toward_zero|floor|nearest_even)",
        _read_leak,
    ),
    (rf"leak ({NAME}) (dash|linear) ({VALUE}) ({VALUE})", _read_leak),
    (rf"(add|subtract) ({NAME}) ({VALUE}) ({_SHIFT})(?: times ({NAME}))?", _read_add),
    (rf"put ({NAME}) ({VALUE})(?: when ({NAME}))?", _read_put),
    (rf"bound ({NAME}) ({VALUE}) ({VALUE}) (saturate|wrap)", _read_bound),
    (rf"fire ({NAME}) ({NAME}) (gt|ge) ({VALUE}) ([1-9][0-9]{{0,2}})", _read_fire),
)


def program_of_lines(lines: Sequence[object], membrane: str) -> Program:
    """Return the program that lines of text say.

    Raises:
        FileRefused: when a line is no statement or contradicts the rest, naming the line.
    """
    outer: list[Statement] = []
    inner: list[Statement] | None = None
    for number, line in enumerate(lines, 1):
        if line == LOOP and inner is None:
            inner = []
        elif line == END and inner is not None:
            outer.append(ForEachEvent(tuple(inner)))
            inner = None
        else:
            (outer if inner is None else inner).append(_statement(number, line))
    if inner is not None:
        raise FileRefused(f"update has no {END!r} for its {LOOP!r}; add it")
    return Program(tuple(outer), membrane)


def _statement(number: int, line: object) -> Statement:
    for form, read in _FORMS:
        if isinstance(line, str) and (match := re.fullmatch(form, line)):
            return read(*match.groups())
    raise FileRefused(
        f"update line {number} is {repr(line)[:60]}, which is no statement here; read it with the "
        "lehr that wrote it"
    )
