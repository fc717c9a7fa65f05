"""The width analysis over steps: bounds of registers within some number of them, or for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from lehr.analysis import loop  # noqa: F401  (its rule)
from lehr.analysis.ground import Ground, Record
from lehr.analysis.rows import REACH, Rows, Where, codes, joined, together
from lehr.analysis.rules import Numbered, run
from lehr.analysis.seen import keeps_count
from lehr.analysis.sizes import sizes
from lehr.analysis.strides import strides
from lehr.analysis.sums import Sums
from lehr.arithmetic import Int64
from lehr.update import FIRED, INPUT, Add, Fire, ForEachEvent, Program, Put, walk, written

PATIENCE, HURRY, BACK = 32, 16, 3
"""Steps until strides begin, until they go all the way, and to take back what was too much.

Strides are for bounds that are to hold for ever.
"""
MOST_KEYS = 2


@dataclass(frozen=True)
class Steps:
    """The result of an analysis.

    Attributes:
        record: what each statement did in any of the steps.
        ends: bounds of the membrane and of the spikes at the end of a step, `[2, neurons]`.
        settled: whether that holds for any number of steps, `[neurons]`.
    """

    record: Record
    ends: Mapping[str, Int64]
    settled: Where


@cache
def _numbered(program: Program) -> tuple[Numbered, ...]:
    """Return the statements outside a loop, with the numbers that they have among all."""
    out, number = [], 1
    for s in program.statements:
        out.append((number, s))
        number += sum(1 for _ in walk((s,)))
    return tuple(out)


@cache
def _keys(program: Program) -> tuple[str, ...]:
    """Return the registers that decide: by them rows are told apart."""
    asked = [
        s.when if isinstance(s, Put) else s.times for s in program.all if isinstance(s, (Put, Add))
    ]
    names = dict.fromkeys(name for name in (FIRED, *asked) if name)
    return tuple(names)[:MOST_KEYS]


@cache
def _adds_up(program: Program) -> bool:
    """Return whether registers are to be known as sums.

    They are where one is taken from another, or holds several thresholds.
    """
    sure = {
        x
        for x in program.registers
        if all(
            _decides(s) for s in program.all if not isinstance(s, ForEachEvent) and written(s) == x
        )
    }
    for s in program.all:
        if isinstance(s, Fire) and s.up_to > 1:
            return True
        if isinstance(s, Add):
            taken = {
                name
                for name in (s.source, s.times)
                if name in program.registers and name not in sure
            }
            plain = (
                isinstance(s.source, str)
                and s.source in program.registers
                and not s.times
                and not s.negative
            )
            if taken and not plain:
                return True
    return False


def _decides(s: object) -> bool:
    return (isinstance(s, Fire) and s.up_to == 1) or (isinstance(s, Put) and s.source == 0)


class _Analysis:
    """One program over many neurons."""

    def __init__(
        self, program: Program, given: Mapping[str, Int64], drive: Int64, events: Int64
    ) -> None:
        self.program, self.neurons = program, drive.shape[1]
        careful = (
            sizes(
                program,
                {
                    x: int(np.abs(values).max(initial=0))
                    for x, values in {**given, INPUT: drive}.items()
                },
            )
            is None
        )
        self.ground = Ground(
            given, drive, events, careful, _keys(program), keeps_count=keeps_count(program)
        )
        self.statements, self.states = _numbered(program), program.states
        self.keys = tuple(x for x in _keys(program) if x in self.states)
        self.work = tuple(x for x in program.registers if x not in self.states)
        zero = np.zeros((2, self.neurons), np.int64)
        self.rest = Rows(np.arange(self.neurons), dict.fromkeys(self.states, zero))

    def step(self, rows: Rows, record: Record | None = None) -> Rows:
        """Return all registers after one more step."""
        zero = np.zeros((2, len(rows)), np.int64)
        begun = Rows(
            rows.at,
            {**rows.bounds, **dict.fromkeys(self.work, zero)},
            Sums() if _adds_up(self.program) else None,
        )
        ground = self.ground if record is None else self.ground.recording(record)
        return run(ground, begun, self.statements)

    def wider(self, known: Rows, code: Int64) -> tuple[Rows, Int64, npt.NDArray[np.intp], Where]:
        """Widen `known` by the states after one more step.

        Returns the rows, their codes, the new places of the known rows, and which rows changed.
        """
        both = together([known, self.step(known).only(self.states)])
        after, new = joined(both, codes(both, self.keys))
        at = np.searchsorted(new, code)
        changed = np.ones(len(new), np.bool_)
        changed[at] = False
        for x, bounds in known.bounds.items():
            changed[at] |= (after.bounds[x][:, at] != bounds).any(axis=0)
        return after, new, at, changed

    def within(self, steps: int, *, limited: bool) -> Steps | None:
        """Follow the neurons for so many steps, or until no more of them changes anything.

        Returns None if that takes too long.
        """
        known, done = self.rest, []
        code = codes(known, self.keys)
        settled = np.zeros(self.neurons, np.bool_)
        before = known
        for _ in range(steps):
            after, new, _, changed = self.wider(known, code)
            moved = np.zeros(self.neurons, np.bool_)
            moved[after.at[changed]] = True
            still = ~moved[known.at]
            if still.any():
                done.append(known.take(np.flatnonzero(still)))
                settled[known.at[still]] = True
                left = np.flatnonzero(moved[after.at])
                before = known.take(np.flatnonzero(~still))
                known, code = after.take(left), new[left]
            else:
                before, known, code = known, after, new
            if not len(known):
                break
            if limited and self.ground.is_spent:
                return None
        return self.recorded(together([*done, before]), settled)

    def for_ever(self) -> Steps:
        """Return bounds that hold for any number of steps, of all neurons.

        They are wider than need be if they do not settle soon.
        """
        known, code = self.rest, codes(self.rest, self.keys)
        for step in range(PATIENCE + 2 * HURRY):
            after, new, at, changed = self.wider(known, code)
            if not changed.any():
                return self.taken_back(known, BACK if step > PATIENCE else 0)
            if self.ground.is_spent:
                break
            if step >= PATIENCE:
                self.ground = replace(self.ground, careful=True)
                for x, bounds in known.bounds.items():
                    now = after.bounds[x].copy()
                    now[:, at] = strides(bounds, now[:, at], step >= PATIENCE + HURRY)
                    after.bounds[x] = now
                after, new = joined(after, codes(after, self.keys))
            known, code = after, new
        self.ground = replace(self.ground, careful=True)
        anything = np.array([[-REACH], [REACH]]).repeat(self.neurons, axis=1)
        return self.taken_back(Rows(self.rest.at, dict.fromkeys(self.states, anything)), 0)

    def taken_back(self, known: Rows, times: int) -> Steps:
        """Narrow bounds that hold for ever, if `known` does.

        What one more step makes of them, and of rest, holds as well.
        """
        for _ in range(times):
            both = together([self.rest, self.step(known).only(self.states)])
            known = joined(both, codes(both, self.keys))[0]
        return self.recorded(known, np.ones(self.neurons, np.bool_))

    def recorded(self, rows: Rows, settled: Where) -> Steps:
        """Record one step from these states: all that any of the steps before could do."""
        record = Record(self.neurons)
        after = self.step(rows, record).only((self.program.membrane, FIRED))
        return Steps(record, joined(after, after.at)[0].bounds, settled)


def within_steps(
    program: Program,
    given: Mapping[str, Int64],
    drive: Int64,
    events: Int64,
    steps: int,
    *,
    limited: bool = False,
) -> Steps | None:
    """Bound what neurons can do within some number of steps.

    Args:
        program: their update.
        given: the parameters, `[neurons]`.
        drive: lowest and highest sum of the inputs in a step, `[2, neurons]`.
        events: the most events of a step, `[neurons]`.
        steps: how many.
        limited: give up where it takes too long, and return None.
    """
    return _Analysis(program, given, drive, events).within(steps, limited=limited)


def for_ever(program: Program, given: Mapping[str, Int64], drive: Int64, events: Int64) -> Steps:
    """Bound what neurons can do in any number of steps."""
    return _Analysis(program, given, drive, events).for_ever()
