"""A program as rows of the table that `kernels.table` and `kernels.events` run.

There is a rule for each statement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lehr.errors import NotMappable
from lehr.simulate.fast.kernels import layout
from lehr.simulate.fast.kernels.layout import SPECIAL, Row
from lehr.simulate.fast.plans.bounds import ROUNDINGS
from lehr.simulate.fast.plans.buffers import aligned
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
    sources,
    written,
)

RULES: Table[Callable[..., None]] = Table("the fast engine", "use the engine 'reference'")


@dataclass
class Printer:
    """Where each register, parameter and number lies, and the rows so far.

    Attributes:
        program: the update.
        given: its parameters by name, int64 by neuron as rows have them.
        dtype: of the lanes.
        free: registers that no Bound changes.
    """

    program: Program
    given: dict[str, Any]
    dtype: Any
    free: frozenset[str] = frozenset()
    rows: list[Row] = field(default_factory=list)
    constants: dict[object, Any] = field(default_factory=dict)
    before: int = 0
    body: int = 0

    def __post_init__(self) -> None:
        names = dict.fromkeys((*self.program.states, *self.program.registers))
        if any(_loaded(s) for s in self.program.all):
            names[INPUT] = None
        self.registers = {name: place for place, name in enumerate(names)}
        self._print(self.program.statements)

    def _print(self, statements: tuple[Statement, ...]) -> None:
        if INPUT in self.registers and any(_loaded(s) for s in statements):
            self.rows.append(Row(layout.LOAD, self.registers[INPUT]))
        for s in statements:
            RULES[type(s)](self, s)

    @property
    def first_constant(self) -> int:
        """The place of the first constant."""
        return len(self.registers) + SPECIAL

    @property
    def places(self) -> int:
        """Registers, special ones and constants."""
        return self.first_constant + len(self.constants)

    def filled(self, size: int, row: int) -> Any:
        """Return the constants of `size` neurons as `[constants, row]` in lanes' type."""
        count = len(self.constants)
        block = aligned(count * row, self.dtype)[: count * row].reshape(count, row)
        for into, value in zip(block, self.constants.values(), strict=True):
            into[:size] = value
        return block

    def at(self, source: Source) -> int:
        """Return the place of a register, a parameter or a number."""
        if isinstance(source, str) and source in self.registers:
            return self.registers[source]
        return self.constant(source, self.value(source))

    def value(self, source: Source) -> Any:
        """Return a parameter or a number: int64 by neuron, or one integer."""
        return self.given[source] if isinstance(source, str) else source

    def constant(self, key: object, value: Any) -> int:
        """Return the place of a constant.

        What lanes do not hold is beyond everything that it is compared with, and is cut to what
        they hold.
        """
        lanes = np.iinfo(self.dtype)
        self.constants.setdefault(key, np.clip(value, lanes.min, lanes.max))
        return self.first_constant + list(self.constants).index(key)

    def put(self, op: int, x: str, **others: int) -> None:
        """Add a row; what is added to a register that has just leaked is added in the same row."""
        row = Row(op, self.registers[x], **others)
        last = self.rows[-1] if self.rows and self.program.loop is None else row
        if (
            op in (layout.TAKE, layout.ADD)
            and (last.op, last.x, last.then) == (layout.LEAK, row.x, -1)
            and row.y != row.x
        ):
            self.rows[-1] = last._replace(y=row.y, shift=row.shift, then=op)
        else:
            self.rows.append(row)

    def is_flag(self, name: str) -> bool:
        """Whether a register never holds anything but 0 and 1."""
        writing = [
            s for s in self.program.all if not isinstance(s, ForEachEvent) and written(s) == name
        ]
        return all(
            (isinstance(s, Fire) and s.up_to == 1) or (isinstance(s, Put) and s.source in (0, 1))
            for s in writing
        )


def _loaded(s: Statement) -> bool:
    """Whether a statement takes the input otherwise than TAKE does."""
    return INPUT in sources(s) and not (isinstance(s, Add) and not s.negative and not s.times)


@RULES.rule(Leak)
def _leak(p: Printer, s: Leak) -> None:
    k, n = s.decay.numerator, s.decay.shift
    if s.decay.form == "dash":
        p.put(layout.DASH, s.x, m=p.at(n))
    elif s.decay.form == "linear":
        p.put(layout.LINEAR, s.x, m=p.at(k))
    elif isinstance(n, int) and (isinstance(k, int) or s.decay.form == "shift"):
        _leak_alike(p, s, 1 if s.decay.form == "shift" else int(k), n)
    else:
        _leak_each(p, s)


def _leak_alike(p: Printer, s: Leak, factor: int, places: int) -> None:
    """Put a decay that is the same for all neurons."""
    if factor == 1 << places:
        if s.decay.form == "shift":
            p.put(layout.COPY, s.x, y=p.at(0))
        return
    shifted = factor << (16 - places) if p.dtype is np.int16 else factor
    form = layout.SHIFT if s.decay.form == "shift" else layout.MULTIPLY
    p.put(
        layout.LEAK,
        s.x,
        form=form,
        factor=shifted,
        places=places,
        rounding=ROUNDINGS[s.decay.rounding],
    )


def _leak_each(p: Printer, s: Leak) -> None:
    """Put a decay by channel or by neuron."""
    shift_form, n = s.decay.form == "shift", p.value(s.decay.shift)
    whole = np.left_shift(1, n)
    nearest = s.decay.rounding == "nearest_even"
    extra = np.maximum(whole >> 1, 1) - 1 if nearest else whole - 1
    p.put(
        layout.LEAK_EACH,
        s.x,
        y=p.at(1 if shift_form else s.decay.numerator),
        m=p.at(s.decay.shift),
        form=layout.SHIFT if shift_form else layout.MULTIPLY,
        rounding=ROUNDINGS[s.decay.rounding],
        extra=p.constant(("rest", s.decay.shift, nearest), extra),
        odd=p.constant(("odd", s.decay.shift), np.minimum(n, 1)),
    )


@RULES.rule(Add)
def _add(p: Printer, s: Add) -> None:
    if s.source == INPUT and not _loaded(s):
        p.put(layout.TAKE, s.x, shift=s.shift)
    elif s.source not in p.registers and not np.any(p.value(s.source)):
        return  # as a bias of 0
    elif not s.times:
        p.put(layout.SUB if s.negative else layout.ADD, s.x, y=p.at(s.source), shift=s.shift)
    else:
        where, times = (
            (layout.SUB_WHERE, layout.SUB_TIMES)
            if s.negative
            else (layout.ADD_WHERE, layout.ADD_TIMES)
        )
        p.put(
            where if p.is_flag(s.times) else times,
            s.x,
            y=p.at(s.source),
            m=p.at(s.times),
            shift=s.shift,
        )


@RULES.rule(Put)
def _put(p: Printer, s: Put) -> None:
    if s.when:
        p.put(layout.PUT, s.x, y=p.at(s.source), m=p.at(s.when))
    else:
        p.put(layout.COPY, s.x, y=p.at(s.source))


@RULES.rule(Bound)
def _bound(p: Printer, s: Bound) -> None:
    if s.x in p.free:
        return
    if s.overflow == "saturate":
        p.put(layout.CLIP, s.x, y=p.at(s.low), m=p.at(s.high))
    else:
        p.put(layout.MODULO, s.x, low=int(s.low), high=int(s.high))


@RULES.rule(Fire)
def _fire(p: Printer, s: Fire) -> None:
    if isinstance(s.level, str) and s.level in p.registers:
        p.put(layout.PASS if s.test == "gt" else layout.REACH, s.into, y=p.at(s.x), m=p.at(s.level))
        return
    reach = p.constant(("reach", s.level, s.test), p.value(s.level) - (s.test == "ge"))
    if s.up_to == 1:
        p.put(layout.PASS, s.into, y=p.at(s.x), m=reach)
    else:
        p.put(layout.COUNT, s.into, y=p.at(s.x), m=p.at(s.level), extra=reach, shift=s.up_to)


@RULES.rule(ForEachEvent)
def _loop(p: Printer, s: ForEachEvent) -> None:
    if FIRED not in p.program.states:  # spikes of events are those of this step alone
        p.rows.insert(0, Row(layout.COPY, p.registers[FIRED], y=p.at(0)))
    p.before = len(p.rows)
    p._print(s.body)
    p.body = len(p.rows) - p.before


def check_statements(name: str, program: Program) -> None:
    """Refuse a program with a statement for which there is no rule.

    Raises:
        NotMappable: naming the layer and the statement.
    """
    if missing := RULES.missing(program.all):
        raise NotMappable(f"{name}: {RULES.owner} computes no {missing[0]}; {RULES.way_out}")
