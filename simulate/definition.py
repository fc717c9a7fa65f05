"""The definition of an update: an interpreter of its six statements in numpy int64.

Plain and slow on purpose. What every engine, every target and the training twin compute is compared
with this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.operations import bounded, decayed, spikes
from lehr.tables import Table
from lehr.update import INPUT, Add, Bound, Fire, ForEachEvent, Leak, Program, Put, Source, Statement

RULES: Table[Callable[..., None]] = Table("the definition")


@dataclass
class Registers:
    """What an update works on.

    Attributes:
        values: every register by name, int64 of one shape; changed.
        given: parameters, and `input`, by name, int64 that broadcasts with them.
        saturations: how often a Bound changed a value.
        reached: where it is not None, the least and greatest values of each register before any
            Bound of it; changed.
        events: the weights of one event after another, for a loop over them.
        where: the neurons that the statements of the loop are about; None for all.
    """

    values: dict[str, Int64]
    given: dict[str, Int64]
    events: Iterable[Int64] = ()
    saturations: int = 0
    reached: dict[str, tuple[int, int]] | None = None
    where: npt.NDArray[np.bool_] | None = None

    def get(self, source: Source) -> Any:
        """Return the value of a register, a parameter or a number."""
        if isinstance(source, int):
            return source
        return self.values[source] if source in self.values else self.given[source]

    def put(self, x: str, value: Int64) -> None:
        """Give a register a value, where the statements are about."""
        self.values[x] = (
            value if self.where is None else np.where(self.where, value, self.values[x])
        )


def run(program: Program, registers: Registers) -> None:
    """Do one step of `program`."""
    _run(program.statements, registers)


def begin(program: Program, states: Mapping[str, Int64]) -> dict[str, Int64]:
    """Return the registers at the start of a step: the states as they were left, all others 0."""
    zero = np.zeros_like(states[program.membrane])
    return {name: states.get(name, zero) for name in program.registers}


def _run(statements: tuple[Statement, ...], r: Registers) -> None:
    for statement in statements:
        RULES[type(statement)](r, statement)


@RULES.rule(Leak)
def _leak(r: Registers, s: Leak) -> None:
    r.put(s.x, decayed(r.get(s.x), s.decay, r.get(s.decay.numerator), r.get(s.decay.shift)))


@RULES.rule(Add)
def _add(r: Registers, s: Add) -> None:
    term = r.get(s.source) << s.shift
    if s.times:
        term = term * r.get(s.times)
    r.put(s.x, r.get(s.x) - term if s.negative else r.get(s.x) + term)


@RULES.rule(Put)
def _put(r: Registers, s: Put) -> None:
    before = r.get(s.x)
    value = np.broadcast_to(r.get(s.source), before.shape)
    r.put(s.x, np.where(r.get(s.when) != 0, value, before) if s.when else value)


@RULES.rule(Bound)
def _bound(r: Registers, s: Bound) -> None:
    before = r.get(s.x)
    if r.reached is not None:
        low, high = r.reached.get(s.x, (0, 0))
        r.reached[s.x] = min(low, int(before.min())), max(high, int(before.max()))
    r.put(s.x, bounded(before, r.get(s.low), r.get(s.high), s.overflow))
    r.saturations += int((r.get(s.x) != before).sum())


@RULES.rule(Fire)
def _fire(r: Registers, s: Fire) -> None:
    r.put(s.into, spikes(r.get(s.x), r.get(s.level), s.test, s.up_to))


@RULES.rule(ForEachEvent)
def _loop(r: Registers, s: ForEachEvent) -> None:
    for weight in r.events:
        r.where = weight != 0
        r.given[INPUT] = weight
        _run(s.body, r)
    r.where = None
