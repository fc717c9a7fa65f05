"""Reach of a layer's registers, statement by statement, on which the widths of its circuit stand.

Bounds are arrays, one element for each channel, or for each neuron where a parameter differs within
channels. A Fire splits what comes behind it into two paths, on which the register that it tests is
above its level, or not: what a spike takes off is then known to be there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.intervals import arriving, intervals
from lehr.network import Network
from lehr.operations import bounded, decayed
from lehr.tables import Table
from lehr.targets.fpga.unmapped import Unmapped
from lehr.update import INPUT, Add, Bound, Fire, ForEachEvent, Leak, Put, Source, written

Range = tuple[int, int]
MOST_BITS = 32
"""Of a state."""
_FAR, _WIDEST = 1 << MOST_BITS, 1 << 46
_PRODUCT = 1 << 62
_ROUNDS, _PATHS = 1_000, 16


@dataclass(frozen=True)
class Bounds:
    """The least and greatest values of a register."""

    low: Int64
    high: Int64

    def joined(self, other: Bounds) -> Bounds:
        """Return the bounds that hold the numbers of both."""
        return Bounds(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def within(self, other: Bounds) -> bool:
        """Return whether the other bounds hold all of these."""
        return bool((self.low >= other.low).all() and (self.high <= other.high).all())

    @property
    def ends(self) -> tuple[Int64, Int64]:
        """Lower and upper bounds."""
        return self.low, self.high

    @property
    def range(self) -> Range:
        """Over all neurons."""
        return int(self.low.min()), int(self.high.max())


@dataclass(frozen=True)
class _Path:
    """Bounds on one way through an update, for the neurons that can take it."""

    values: dict[str, Bounds]
    taken: npt.NDArray[np.bool_]


class Reach:
    """The ranges of one layer's registers.

    Attributes:
        arriving: the greatest magnitude of the input.
        after: of what each statement writes, by its number.
        states: of what is kept from step to step, by register.
        widest: the greatest magnitude of any product or sum on the way.

    Raises:
        Unmapped: when a register is not bounded, or leaves what the circuit can hold.
    """

    def __init__(self, net: Network, name: str, largest: int) -> None:
        neuron, program = net.neurons[name], net.neurons[name].program
        for statement in program.statements:
            RULES[type(statement)]  # which refuses what has none, by name
        self.program, self.arriving = program, largest
        self._statements = [s for s in program.statements if not isinstance(s, ForEachEvent)]
        given = (
            {p: neuron.spread(p, net.shapes[name]).ravel() for p in neuron.values}
            if neuron.per_neuron
            else neuron.values
        )
        self._given = {
            p: Bounds(value.astype(np.int64), value.astype(np.int64)) for p, value in given.items()
        }
        self._size = len(self._given["threshold"].low)
        self._given[INPUT] = self.number(-largest, largest)
        self.after: dict[int, Range] = {}
        self.widest, self._clipped = 0, False
        self._summed: dict[
            str, int
        ] = {}  # magnitudes of the terms of sums that are not closed yet, added up
        self._adding: dict[str, int] = {}
        held = self._settled(net.steps)
        self.after, self.widest, self._clipped = {}, 0, False
        self._step(held)
        if self.widest >= _PRODUCT or self._clipped:
            raise Unmapped(
                "its update comes to numbers of more than 46 bits, or products of more than 62",
                "use smaller parameters, or a Bound before it",
            )
        self.states = {name: bounds.range for name, bounds in held.items()}

    @property
    def membrane(self) -> Range:
        """Range of what is traced and read out."""
        return self.states[self.program.membrane]

    def write(self, path: _Path, x: str, low: Int64, high: Int64) -> _Path:
        """Return the path with a register between these bounds.

        Bounds far beyond all states are cut, and are alike then.
        """
        self._clipped |= bool((np.minimum(low, -high) < -_WIDEST)[path.taken].any())
        near = Bounds(np.clip(low, -_WIDEST, _WIDEST), np.clip(high, -_WIDEST, _WIDEST))
        return replace(path, values={**path.values, x: near})

    def number(self, low: int, high: int) -> Bounds:
        """Return the same bounds for all neurons."""
        return Bounds(np.full(self._size, low, np.int64), np.full(self._size, high, np.int64))

    def _settled(self, steps: int) -> dict[str, Bounds]:
        """Return what the states can be at the beginning of a step."""
        zero = self.number(0, 0)
        held = dict.fromkeys(self.program.states, self.number(-_FAR, _FAR))
        for _ in range(3):  # what has a Bound comes to it from anywhere
            held = {name: bounds.joined(zero) for name, bounds in self._step(held).items()}
        loose = [name for name, bounds in held.items() if not _holds(bounds)]
        held |= dict.fromkeys(loose, zero)
        for _ in range(min(steps, _ROUNDS)):
            now = {name: bounds.joined(held[name]) for name, bounds in self._step(held).items()}
            if all(bounds.within(held[name]) for name, bounds in now.items()):
                break
            held = now
        else:
            if steps > _ROUNDS:
                raise Unmapped(
                    f"nothing bounds its {' and '.join(loose)}",
                    "put a Bound behind what adds to it",
                )
        for name, bounds in held.items():
            if not _holds(bounds):
                raise Unmapped(
                    f"its {name} comes to more than {MOST_BITS} bits",
                    "put a Bound behind what adds to it",
                )
        return held

    def _step(self, states: dict[str, Bounds]) -> dict[str, Bounds]:
        zero = self.number(0, 0)
        start = {name: states.get(name, zero) for name in self.program.registers}
        paths = [_Path(start, np.ones(self._size, np.bool_))]
        for number, statement in enumerate(self._statements):
            paths = [
                after for path in paths for after in RULES[type(statement)](self, path, statement)
            ]
            self._summed.pop(written(statement), None)
            self._summed |= self._adding
            self._adding = {}
            if len(paths) > _PATHS:
                paths = [self._met(paths)]
            self.after[number] = self._met(paths).values[written(statement)].range
        met = self._met(paths).values
        return {name: met[name] for name in states}

    def _met(self, paths: list[_Path]) -> _Path:
        """Return what is known where paths meet."""
        first, *others = paths
        if not others:
            return first
        values = {}
        for name in first.values:
            low = np.min(
                [np.where(path.taken, path.values[name].low, _WIDEST) for path in paths], axis=0
            )
            high = np.max(
                [np.where(path.taken, path.values[name].high, -_WIDEST) for path in paths], axis=0
            )
            values[name] = Bounds(np.asarray(low, np.int64), np.asarray(high, np.int64))
        return _Path(values, np.any([path.taken for path in paths], axis=0))

    def get(self, path: _Path, source: Source) -> Bounds:
        """Bounds of a register, a parameter, the input or a number."""
        if isinstance(source, int):
            return self.number(source, source)
        return path.values[source] if source in path.values else self._given[source]

    def meet(self, *magnitudes: float) -> None:
        """Take note of what a product or sum comes to."""
        self.widest = max(
            self.widest, *(int(min(magnitude, float(_PRODUCT))) for magnitude in magnitudes)
        )

    def summed(self, x: str, before: float, term: float) -> None:
        """Take note of one more term of a sum in `x`, whose terms may be added in any order."""
        total = self._summed.get(x, int(before)) + int(min(term, float(_PRODUCT)))
        self._adding[x] = max(self._adding.get(x, 0), total)
        self.meet(total)


def _holds(bounds: Bounds) -> bool:
    low, high = bounds.range
    return low >= -(1 << (MOST_BITS - 1)) and high < 1 << (MOST_BITS - 1)


def magnitude(bounds: Bounds) -> int:
    """Return the greatest."""
    low, high = bounds.range
    return max(-low, high)


RULES: Table[Callable[..., list[_Path]]] = Table("the circuit of a neuron")


@RULES.rule(Leak)
def _leak(reach: Reach, path: _Path, s: Leak) -> list[_Path]:
    x, k, n = (reach.get(path, source) for source in (s.x, s.decay.numerator, s.decay.shift))
    product = magnitude(k) if s.decay.form == "multiply" else 1
    reach.meet(
        float(magnitude(x)) * max(product, 1) + 2.0 ** magnitude(n), magnitude(x) + magnitude(k)
    )
    if float(magnitude(x)) * product >= _PRODUCT:
        return [reach.write(path, s.x, *reach.number(-_PRODUCT, _PRODUCT).ends)]
    low, high = (decayed(end, s.decay, k.low, n.low) for end in (x.low, x.high))
    return [reach.write(path, s.x, np.minimum(low, high), np.maximum(low, high))]


@RULES.rule(Add)
def _add(reach: Reach, path: _Path, s: Add) -> list[_Path]:
    x, source = reach.get(path, s.x), reach.get(path, s.source)
    factor = reach.get(path, s.times) if s.times else reach.number(1, 1)
    most = float(magnitude(source)) * (1 << s.shift) * max(magnitude(factor), 1)
    reach.summed(s.x, magnitude(x), most)
    if most >= _PRODUCT:
        return [reach.write(path, s.x, *reach.number(-_PRODUCT, _PRODUCT).ends)]
    ends = [
        (a << s.shift) * b for a in (source.low, source.high) for b in (factor.low, factor.high)
    ]
    low, high = np.minimum.reduce(ends), np.maximum.reduce(ends)
    return [
        reach.write(
            path,
            s.x,
            *((x.low - high, x.high - low) if s.negative else (x.low + low, x.high + high)),
        )
    ]


@RULES.rule(Put)
def _put(reach: Reach, path: _Path, s: Put) -> list[_Path]:
    source = reach.get(path, s.source)
    reach.meet(magnitude(source))
    if not s.when:
        return [reach.write(path, s.x, source.low, source.high)]
    when, x = reach.get(path, s.when), reach.get(path, s.x)
    never, always = (when.low == 0) & (when.high == 0), (when.low > 0) | (when.high < 0)
    low = np.where(never, x.low, np.where(always, source.low, np.minimum(x.low, source.low)))
    high = np.where(never, x.high, np.where(always, source.high, np.maximum(x.high, source.high)))
    return [reach.write(path, s.x, low, high)]


@RULES.rule(Bound)
def _bound(reach: Reach, path: _Path, s: Bound) -> list[_Path]:
    x, low, high = (reach.get(path, source) for source in (s.x, s.low, s.high))
    reach.meet(
        magnitude(x),
        magnitude(low),
        magnitude(high),
        magnitude(x) + magnitude(low) if s.overflow == "wrap" else 0,
    )
    if s.overflow == "saturate":
        return [
            reach.write(
                path, s.x, *(bounded(end, low.low, high.low, "saturate") for end in (x.low, x.high))
            )
        ]
    stays = (x.low >= low.low) & (x.high <= high.low)
    return [
        reach.write(path, s.x, np.where(stays, x.low, low.low), np.where(stays, x.high, high.low))
    ]


@RULES.rule(Fire)
def _fire(reach: Reach, path: _Path, s: Fire) -> list[_Path]:
    if s.up_to > 1:
        raise Unmapped(
            f"its neurons fire up to {s.up_to} times in a step, the engine keeps a bit",
            "use a target that counts spikes",
        )
    x, level, gap = reach.get(path, s.x), reach.get(path, s.level), int(s.test == "gt")
    reach.meet(magnitude(x), magnitude(level))
    above = Bounds(np.maximum(x.low, level.low + gap), x.high)
    below = Bounds(x.low, np.minimum(x.high, level.high + gap - 1))
    outcomes = []
    for bounds, spikes in ((below, 0), (above, 1)):
        taken = path.taken & (bounds.low <= bounds.high)
        if taken.any():
            bounds = Bounds(
                np.where(taken, bounds.low, x.low), np.where(taken, bounds.high, x.high)
            )
            way = _Path({**path.values, s.x: bounds}, taken)
            outcomes.append(reach.write(way, s.into, *reach.number(spikes, spikes).ends))
    return outcomes


def largest_sums(net: Network) -> dict[str, int]:
    """Return the largest sum that comes to a neuron of each layer, partial sums included."""
    known = intervals(net)
    return {name: int(arriving(net, name, known).magnitude.max()) for name in net.neurons}
