"""Whether the registers of programs that come from a file stay within 64 bits: by intervals of Python's own integers.

One interval stands for all neurons of a layer. It is grown step by step until it holds what a step makes of it; what still grows then is
given much room once, and refused if it needs more. So what passes never overflows, in however many steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lehr.errors import FileRefused
from lehr.intervals import arriving, intervals
from lehr.network import Network, Neuron
from lehr.tables import Table
from lehr.update import FIRED, INPUT, MOST_SPIKES, Add, Bound, Fire, ForEachEvent, Leak, Program, Put, Source, Statement
from lehr.update_text import line_of

Range = tuple[int, int]
Ranges = dict[str, Range]
_MOST = 2**63 - 1
_PATIENCE, _ROOM = 32, 2**40
"""Steps in which a bounded register has settled, and what a register may reach that is bounded by its leak alone."""

RULES: Table[Callable[..., Range]] = Table("the check of registers", "use the six statements of lehr.update")


def require_bounded(net: Network) -> None:
    """Refuse a network in which a register of a program can leave 64 bits, at any step.

    Raises:
        FileRefused: naming the layer and the register.
    """
    programs = {name: neuron for name, neuron in net.neurons.items() if isinstance(neuron.arithmetic, Program)}
    known = intervals(net) if programs else {}
    for name, neuron in programs.items():
        arrived = arriving(net, name, known)
        most = int(arrived.magnitude.max())
        _check(name, neuron, (-most, most) if neuron.by_event else arrived.limits)


@dataclass
class _Step:
    """One step of a layer.

    Attributes:
        given: what parameters and the input lie between.
        ranges: what registers lie between; changed.
        layer: the name, for messages.
    """

    given: Ranges
    ranges: Ranges
    layer: str

    def get(self, source: Source) -> Range:
        if isinstance(source, int):
            return source, source
        return self.ranges[source] if source in self.ranges else self.given[source]

    def follow(self, statements: tuple[Statement, ...]) -> None:
        for s in statements:
            if isinstance(s, ForEachEvent):
                self.ranges = _settled(self.ranges, s.body, self)
                continue
            x = s.into if isinstance(s, Fire) else s.x
            self.ranges[x] = self.fitting(s, RULES[type(s)](self, s))

    def fitting(self, s: Statement, value: Range) -> Range:
        """`value`, where 64 bits hold it."""
        if max(-value[0], value[1]) > _MOST:
            raise FileRefused(f"{self.layer}: '{line_of(s)}' can leave 64 bits; bound its register before it")
        return value


def _check(name: str, neuron: Neuron, arrives: Range) -> None:
    given = {parameter: (int(value.min()), int(value.max())) for parameter, value in neuron.values.items()}
    step = _Step({**given, INPUT: arrives}, {}, name)
    _settled(dict.fromkeys(neuron.program.registers, (0, 0)), neuron.program.statements, step)


def _settled(ranges: Ranges, statements: tuple[Statement, ...], step: _Step) -> Ranges:
    """The ranges that hold before and after the statements, however often they are done, from those before the first time."""
    for repeat in range(_PATIENCE + 2):
        step.ranges = dict(ranges)
        step.follow(statements)
        after = {x: _counted(x, _hull(ranges[x], value)) for x, value in step.ranges.items()}
        if after == ranges:
            return ranges
        if repeat == _PATIENCE:
            after = {x: value if value == ranges[x] else _counted(x, _hull(value, (-_ROOM, _ROOM))) for x, value in after.items()}
        elif repeat > _PATIENCE:
            grown = next(x for x, value in after.items() if value != ranges[x])
            raise FileRefused(f"{step.layer}: its register {grown} grows from step to step; bound it")
        ranges = after
    raise AssertionError("not reached")


def _counted(x: str, value: Range) -> Range:
    """Spikes are at most as many as can be passed on: a run with more is refused, whatever they did."""
    return (max(value[0], 0), min(value[1], MOST_SPIKES)) if x == FIRED else value


def _hull(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), max(a[1], b[1])


def _product(a: Range, b: Range) -> Range:
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


@RULES.rule(Leak)
def _leak(step: _Step, s: Leak) -> Range:
    """A decay leaves x, or what is nearer to 0: at most its greatest share, rounded away from 0."""
    low, high = _hull(step.get(s.x), (0, 0))
    numerator, shift = step.get(s.decay.numerator), step.get(s.decay.shift)
    if s.decay.form == "multiply":
        step.fitting(s, _product((low, high), numerator))
        most, by, spare = numerator[1], shift[0], 0
    elif s.decay.form == "shift":
        most, by, spare = (1 << shift[1]) - 1, shift[1], 1
    else:
        return low, high
    return max(low, (low * most >> by) - spare), min(high, -(-high * most >> by) + spare)


@RULES.rule(Add)
def _add(step: _Step, s: Add) -> Range:
    x, term = step.get(s.x), _product(step.get(s.source), (1 << s.shift, 1 << s.shift))
    term = step.fitting(s, _product(term, step.get(s.times)) if s.times else term)
    return (x[0] - term[1], x[1] - term[0]) if s.negative else (x[0] + term[0], x[1] + term[1])


@RULES.rule(Put)
def _put(step: _Step, s: Put) -> Range:
    return _hull(step.get(s.x), step.get(s.source)) if s.when else step.get(s.source)


@RULES.rule(Bound)
def _bound(step: _Step, s: Bound) -> Range:
    x, low, high = step.get(s.x), step.get(s.low), step.get(s.high)
    if s.overflow == "wrap":
        return x if low[1] <= x[0] and x[1] <= high[0] else (low[0], high[1])
    return max(low[0], min(x[0], high[0])), min(high[1], max(x[1], low[1]))


@RULES.rule(Fire)
def _fire(step: _Step, s: Fire) -> Range:
    del step
    return 0, s.up_to
