"""The update of a neuron in torch int64: a rule for each statement, over a batch at once.

Results are those of `lehr.simulate.definition`. Where a layer updates by event, the samples of a
batch take their own events side by side; one that has no more of them takes weights of 0, which
leave it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lehr.arithmetic import Rounding
from lehr.tables import Table
from lehr.update import INPUT, Add, Bound, Decay, Fire, ForEachEvent, Leak, Put, Source, Statement

RULES: Table[Callable[..., None]] = Table("the torch engine")


@dataclass
class Registers:
    """What an update works on.

    Attributes:
        values: every register by name, int64 of one shape; changed.
        given: parameters, and `input`, by name, int64 that broadcasts with them.
        saturations: how often a Bound changed a value, a scalar; replaced, never changed.
        events: the weights of one event after another, for a loop over them, `[N, *shape]` each.
        where: the neurons that the statements of the loop are about; None for all.
    """

    values: dict[str, Tensor]
    given: dict[str, Tensor]
    saturations: Tensor
    events: Iterable[Tensor] = ()
    where: Tensor | None = None

    def get(self, source: Source) -> Any:
        """Return the value of a register, a parameter or a number."""
        if isinstance(source, int):
            return source
        return self.values[source] if source in self.values else self.given[source]

    def put(self, x: str, value: Tensor) -> None:
        """Give a register a value, where the statements are about."""
        self.values[x] = (
            value if self.where is None else torch.where(self.where, value, self.values[x])
        )


def run(statements: tuple[Statement, ...], r: Registers) -> None:
    """Do statements one after the other."""
    for statement in statements:
        RULES[type(statement)](r, statement)


@RULES.rule(Leak)
def _leak(r: Registers, s: Leak) -> None:
    r.put(s.x, _decayed(r.get(s.x), s.decay, r.get(s.decay.numerator), r.get(s.decay.shift)))


@RULES.rule(Add)
def _add(r: Registers, s: Add) -> None:
    term = r.get(s.source) << s.shift
    if s.times:
        term = term * r.get(s.times)
    r.put(s.x, r.get(s.x) - term if s.negative else r.get(s.x) + term)


@RULES.rule(Put)
def _put(r: Registers, s: Put) -> None:
    before = r.get(s.x)
    value = torch.zeros_like(before) + r.get(s.source)
    r.put(s.x, torch.where(r.get(s.when) != 0, value, before) if s.when else value)


@RULES.rule(Bound)
def _bound(r: Registers, s: Bound) -> None:
    before, low, high = r.get(s.x), r.get(s.low), r.get(s.high)
    if s.overflow == "wrap":
        inside = ((before - low) & (high - low)) + low  # the ends are those of a number of bits
    elif type(low) is type(high):
        inside = before.clamp(low, high)
    else:  # a number and a parameter, which torch does not take at once
        inside = before.clamp(min=low).clamp(max=high)
    r.put(s.x, inside)
    r.saturations = r.saturations + (r.get(s.x) != before).sum()


@RULES.rule(Fire)
def _fire(r: Registers, s: Fire) -> None:
    x, level, gap = r.get(s.x), r.get(s.level), int(s.test == "gt")
    if s.up_to == 1:
        r.put(s.into, (x >= level + gap).to(torch.int64))
    else:
        r.put(s.into, torch.div(x - gap, level, rounding_mode="floor").clamp(0, s.up_to))


@RULES.rule(ForEachEvent)
def _loop(r: Registers, s: ForEachEvent) -> None:
    for weight in r.events:
        r.where = weight != 0
        r.given[INPUT] = weight
        run(s.body, r)
    r.where = None


def _decayed(x: Tensor, decay: Decay, numerator: Tensor | int, shift: Tensor | int) -> Tensor:
    if decay.form == "multiply":
        return _divided(x * numerator, shift, decay.rounding)
    if decay.form == "shift":
        return x - _divided(x, shift, decay.rounding)
    if decay.form == "dash":
        lost = x >> shift
        return x - torch.where(lost == 0, x.sign(), lost)
    return x.sign() * (x.abs() - numerator).clamp(min=0)


def _divided(value: Tensor, shift: Tensor | int, rounding: Rounding) -> Tensor:
    """Round `value / 2**shift` to an integer; `shift` is a number, or broadcasts with `value`."""
    floor = value >> shift
    if rounding == "floor":
        return floor
    rest = value - (floor << shift)
    if rounding == "toward_zero":
        return floor + ((value < 0) & (rest != 0))
    twice, whole = rest << 1, rest.new_ones(()) << shift
    return floor + ((twice > whole) | ((twice == whole) & (floor & 1 == 1)))
