"""Programs read as linear maps in floating point.

The map says what a step makes of every register if nothing fires and nothing rounds.

That is what other tools of NIR can be told of a neuron. What a program does beyond it is kept as a
sentence, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.tables import Table
from lehr.update import (
    FIRED,
    INPUT,
    Add,
    Bound,
    Fire,
    ForEachEvent,
    Leak,
    Program,
    Put,
    Source,
    Statement,
)

Float = npt.NDArray[np.float64]
ONE = ""
"""The term of a linear form that is a constant."""
_UNIT = np.ones(())
Form = Mapping[str, Float]
"""Content of a register: a factor for each state, for the input and for 1.

A factor that is 0 in all neurons is left out.
"""

RULES: Table[Callable[..., None]] = Table(
    "the .nir file", "write the update in the six statements of lehr.update"
)


@dataclass
class Reading:
    """A program in floating point.

    Attributes:
        values: its parameters by name, integers that broadcast with one another.
        forms: what each register holds, of the states as the step found them.
        beyond: what no linear map says, in sentences without a subject.
        fires: what each Fire compares its register with.
        resets: what the registers are put to where something fired.
        held: a state that is read as itself, whatever the program writes into it; empty for none.
    """

    values: Mapping[str, npt.NDArray[Any]]
    forms: dict[str, Form]
    beyond: list[str] = field(default_factory=list)
    fires: list[tuple[Fire, Form]] = field(default_factory=list)
    resets: dict[str, Form] = field(default_factory=dict)
    held: str = ""

    def form(self, source: Source) -> Form:
        """Return the form of a source."""
        if isinstance(source, str) and source in self.forms:
            return self.forms[source]
        return {INPUT: _UNIT} if source == INPUT else _form({ONE: self.number(source)})

    def write(self, x: str, form: Form) -> None:
        """Give a register another form."""
        if x != self.held:
            self.forms[x] = form

    def number(self, source: Source) -> Float:
        """Return a parameter or a number."""
        return np.asarray(self.values[source] if isinstance(source, str) else source, np.float64)


def read_linear(
    program: Program, values: Mapping[str, npt.NDArray[Any]], held: str = ""
) -> Reading:
    """Read a program.

    Args:
        program: the update.
        values: its parameters, which broadcast with one another.
        held: a state whose own update is left out, so that forms tell what others take of it.
    """
    forms: dict[str, Form] = {name: {} for name in program.registers}
    forms |= {state: {state: _UNIT} for state in program.states if state != FIRED}
    reading = Reading(values, forms, held=held)
    _follow(reading, program.statements)
    return reading


def _follow(r: Reading, statements: tuple[Statement, ...]) -> None:
    for statement in statements:
        RULES[type(statement)](r, statement)


def _form(factors: Mapping[Any, Float]) -> Form:
    return {name: factor for name, factor in factors.items() if factor.any()}


def _scaled(form: Form, factor: float | Float) -> Form:
    return _form({name: np.asarray(own * factor) for name, own in form.items()})


def _sum(a: Form, b: Form) -> Form:
    return _form(
        {
            name: np.asarray(a.get(name, 0.0) + b.get(name, 0.0))
            for name in (*a, *(name for name in b if name not in a))
        }
    )


@RULES.rule(Leak)
def _leak(r: Reading, s: Leak) -> None:
    k, n = r.number(s.decay.numerator), r.number(s.decay.shift)
    if s.decay.form == "linear":
        if np.any(k) and r.form(s.x):
            r.beyond.append(f"{s.x} leaks by a constant, not by a share")
        return
    share = np.ldexp(1.0, -n.astype(int))
    r.write(s.x, _scaled(r.form(s.x), k * share if s.decay.form == "multiply" else 1 - share))


@RULES.rule(Add)
def _add(r: Reading, s: Add) -> None:
    term = _scaled(r.form(s.source), float((1 << s.shift) * (-1 if s.negative else 1)))
    times = r.form(s.times) if s.times else {ONE: _UNIT}
    if set(term) <= {ONE}:
        term = _scaled(times, term.get(ONE, np.zeros(())))
    elif set(times) <= {ONE}:
        term = _scaled(term, times.get(ONE, np.zeros(())))
    else:
        r.beyond.append(f"{s.source} is multiplied by {s.times}")
        return
    r.write(s.x, _sum(r.form(s.x), term))


@RULES.rule(Put)
def _put(r: Reading, s: Put) -> None:
    when = r.form(s.when) if s.when else {ONE: _UNIT}
    if not when:
        r.resets[s.x] = r.form(s.source)
    elif set(when) == {ONE} and np.all(when[ONE]):
        r.write(s.x, r.form(s.source))
    else:
        r.beyond.append(f"{s.x} is put to {s.source} where {s.when} is not 0")


@RULES.rule(Bound)
def _bound(r: Reading, s: Bound) -> None:
    """Pass over a Bound: a register of a width is a number without one."""


@RULES.rule(Fire)
def _fire(r: Reading, s: Fire) -> None:
    r.fires.append((s, r.form(s.level)))
    r.write(s.into, {})


@RULES.rule(ForEachEvent)
def _loop(r: Reading, s: ForEachEvent) -> None:
    _follow(r, s.body)
