"""The limits of a program from a file.

Within them every station can compute it in bounded time and integers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import get_args

from lehr.arithmetic import Overflow, Rounding
from lehr.errors import FileRefused
from lehr.tables import Table
from lehr.update import (
    FIRED,
    INPUT,
    MOST_SPIKES,
    STATEMENTS,
    Add,
    Bound,
    Fire,
    ForEachEvent,
    Form,
    Leak,
    Program,
    Put,
    Source,
    Statement,
    Test,
    sources,
    walk,
    written,
)
from lehr.update_text import NAME, line_of

MOST_STATEMENTS, MOST_SHIFT = 64, 16
LOWEST, HIGHEST = -(2**31), 2**31 - 1
"""The numbers that a program may name, and so the widest Bound: registers of 32 bits."""
RESERVED = frozenset({INPUT})

_RULES: Table[Callable[..., str]] = Table(
    "a program", "use one of the six statements of lehr.update"
)


def check_program(program: Program) -> None:
    """Refuse a program that breaks a limit, naming the statement.

    Raises:
        FileRefused: at the first statement that does.
    """
    loops = [s for s in program.statements if isinstance(s, ForEachEvent)]
    count = sum(1 for _ in walk(program.statements))
    if not 1 <= count <= MOST_STATEMENTS:
        raise FileRefused(f"update has {count} statements; give 1 to {MOST_STATEMENTS}")
    if len(loops) > 1 or any(isinstance(s, ForEachEvent) for loop in loops for s in loop.body):
        raise FileRefused(
            "update has more than one loop over events; give at most one, and none inside another"
        )
    for number, s in enumerate(walk(program.statements), 1):
        if type(s) not in STATEMENTS:
            raise FileRefused(
                f"update statement {number} is a {type(s).__name__}; use one of the six of "
                "lehr.update"
            )
        if problem := _problem(program, s):
            raise FileRefused(f"update statement {number}, '{line_of(s)}': {problem}")
    if loops and any(INPUT in sources(s) for s in program.statements):
        raise FileRefused("update takes the input outside its loop over events; take it inside")
    if program.membrane == FIRED:
        raise FileRefused(
            f"membrane is {FIRED!r}, which holds spikes; name another register, into which it may "
            "be put"
        )
    if program.membrane not in program.registers:
        raise FileRefused(
            f"membrane is {program.membrane!r}, which the update never writes; name one of its "
            "registers"
        )


def _problem(program: Program, s: Statement) -> str:
    """Return what is wrong with a statement; empty if nothing is."""
    if isinstance(s, ForEachEvent):
        return (
            ""
            if any(INPUT in sources(inner) for inner in s.body)
            else "its body takes no input; add the input in it"
        )
    if problem := _wrong_word(s):
        return problem
    if written(s) in RESERVED:
        return f"it writes {written(s)}, which it is given; use another register"
    if INPUT in sources(s) and not (
        isinstance(s, (Add, Put)) and s.source == INPUT and INPUT not in sources(s)[1:]
    ):
        return f"it takes {INPUT} in another place than a source; put it into a register first"
    if written(s) == FIRED and not _counts_spikes(program, s):
        return (
            f"{FIRED} holds spikes; change it by fire, by 'put {FIRED} 0' and by adding a register "
            "that a fire writes"
        )
    return _RULES[type(s)](program, s)


def _wrong_word(s: Leak | Add | Put | Bound | Fire) -> str:
    """Return the first thing in a statement that is no word, name or number; empty if none is."""
    for word, known in _words(s):
        if word not in known:
            return f"{word!r} is none of {', '.join(known)}"
    for name in (written(s), *(source for source in sources(s) if isinstance(source, str)), s.x):
        if not re.fullmatch(NAME, name):
            return (
                f"{name[:40]!r} is no name; use up to 31 small letters, digits and '_', a letter "
                "first"
            )
    for value in (source for source in sources(s) if not isinstance(source, str)):
        if type(value) is not int or not LOWEST <= value <= HIGHEST:
            return f"{value!r} is out of range; use whole numbers from {LOWEST} to {HIGHEST}"
    return ""


def _words(s: Statement) -> list[tuple[str, tuple[str, ...]]]:
    """Return the words of a statement that are one of a few, each with those."""
    match s:
        case Leak(_, decay):
            return [(decay.form, get_args(Form)), (decay.rounding, get_args(Rounding))]
        case Bound():
            return [(s.overflow, get_args(Overflow))]
        case Fire():
            return [(s.test, get_args(Test))]
    return []


def _counts_spikes(program: Program, s: Statement) -> bool:
    counted = {fire.into for fire in program.fires} - {FIRED}
    match s:
        case Fire():
            return True
        case Put(_, 0, ""):
            return True
        case Add(_, source, 0, False, ""):
            return source in counted
    return False


@_RULES.rule(Leak)
def _leak(program: Program, s: Leak) -> str:
    k, n = s.decay.numerator, s.decay.shift
    for name, value, most in (("shift", n, MOST_SHIFT), ("numerator", k, 1 << MOST_SHIFT)):
        if isinstance(value, str):
            if value in program.registers or value == INPUT:
                return f"its {name} is the register {value}; use a number or a parameter"
        elif not 0 <= value <= most:
            return f"its {name} is {value}; use 0 to {most}"
    due: dict[str, Source] = {"shift": (1 << n) - 1 if isinstance(n, int) else 0, "dash": 0}
    if k != due.get(s.decay.form, k):
        return f"its numerator is {k}; a decay by {s.decay.form} {n} has {due[s.decay.form]} there"
    if s.decay.form == "linear" and n != 0:
        return f"its shift is {n}; a linear decay has 0 there"
    if s.decay.form in ("dash", "linear") and s.decay.rounding != "toward_zero":
        return (
            f"its rounding is {s.decay.rounding}, but a decay by {s.decay.form} rounds nothing; "
            "leave it at toward_zero"
        )
    if s.decay.form == "multiply" and isinstance(k, int) and isinstance(n, int) and k > 1 << n:
        return f"it grows, by {k}/{1 << n}; use a numerator of at most {1 << n}"
    return ""


@_RULES.rule(Add)
def _add(program: Program, s: Add) -> str:
    if type(s.shift) is not int or not 0 <= s.shift <= MOST_SHIFT:
        return f"its shift is {s.shift}; use 0 to {MOST_SHIFT}"
    if s.times and s.times not in program.registers:
        return f"times is {s.times}, which is no register; name one that the update writes"
    return ""


@_RULES.rule(Put)
def _put(program: Program, s: Put) -> str:
    if s.when and s.when not in program.registers:
        return f"when is {s.when}, which is no register; name one that the update writes"
    return ""


@_RULES.rule(Bound)
def _bound(program: Program, s: Bound) -> str:
    if any(source in program.registers or source == INPUT for source in (s.low, s.high)):
        return "its ends are no constants; use numbers or parameters"
    numbers = isinstance(s.low, int) and isinstance(s.high, int)
    if isinstance(s.low, int) and isinstance(s.high, int) and s.low > s.high:
        return f"{s.low} is above {s.high}; turn them round"
    if s.overflow == "wrap" and not (numbers and (s.high - s.low + 1).bit_count() == 1):  # type: ignore[operator]
        return "it wraps, but not at a number of bits; use the ends of a two's-complement width"
    return ""


@_RULES.rule(Fire)
def _fire(program: Program, s: Fire) -> str:
    if not 1 <= s.up_to <= MOST_SPIKES:
        return f"it fires up to {s.up_to} times; use 1 to {MOST_SPIKES}"
    if isinstance(s.level, int) and s.level < 1:
        return f"its level is {s.level}; use at least 1"
    if s.x not in program.registers:
        return f"it compares {s.x}, which is no register; put it into one first"
    if s.level == INPUT or s.level == s.x:
        return f"its level is {s.level}; compare with a threshold"
    if s.up_to > 1 and s.level in program.registers:
        return f"it counts how often it passes {s.level}, a register; use a parameter or a number"
    return ""
