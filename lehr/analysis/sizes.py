"""Sizes of a program's integers, as single numbers of Python: quick, coarse, no overflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lehr.analysis.rows import REACH
from lehr.tables import Table
from lehr.update import Add, Bound, Fire, Leak, Program, Put, Source

_RULES: Table[Callable[..., None]] = Table(
    "the width analysis", "give it a rule for this statement"
)
_ROUNDS = 4


class _Sizes:
    """The greatest magnitudes of registers, parameters and the input; and of all on the way."""

    def __init__(self, given: Mapping[str, int], registers: Mapping[str, int]) -> None:
        self.given, self.registers = given, dict(registers)
        self.most = 0

    def of(self, source: Source) -> int:
        if isinstance(source, int):
            return abs(source)
        return self.registers[source] if source in self.registers else self.given[source]

    def put(self, x: str, size: int) -> None:
        self.registers[x] = size
        self.most = max(self.most, size)


@_RULES.rule(Leak)
def _leak(sizes: _Sizes, s: Leak) -> None:
    size = sizes.of(s.x)
    sizes.most = max(
        sizes.most, size * sizes.of(s.decay.numerator) if s.decay.form == "multiply" else size
    )


@_RULES.rule(Add)
def _add(sizes: _Sizes, s: Add) -> None:
    term = (sizes.of(s.source) << s.shift) * (sizes.of(s.times) if s.times else 1)
    sizes.put(s.x, sizes.of(s.x) + term)


@_RULES.rule(Put)
def _put(sizes: _Sizes, s: Put) -> None:
    sizes.put(s.x, max(sizes.of(s.source), sizes.of(s.x) if s.when else 0))


@_RULES.rule(Bound)
def _bound(sizes: _Sizes, s: Bound) -> None:
    sizes.put(s.x, max(sizes.of(s.low), sizes.of(s.high)))


@_RULES.rule(Fire)
def _fire(sizes: _Sizes, s: Fire) -> None:
    sizes.put(s.into, s.up_to)


def sizes(program: Program, given: Mapping[str, int]) -> dict[str, int] | None:
    """Bound how large registers can be after any number of steps, by the sizes of things alone.

    Args:
        program: the update.
        given: the greatest magnitude of each parameter, and of `input`.

    Returns:
        Their greatest magnitudes; None where they go on growing, something comes to REACH on the
        way, or there is a loop over events.
    """
    if program.loop is not None:
        return None
    registers = dict.fromkeys(program.registers, 0)
    for _ in range(_ROUNDS):
        now = _Sizes(given, registers)
        for statement in program.statements:
            _RULES[type(statement)](now, statement)
            # asked of each: a few dozen squares of squares are more digits than there is memory
            if now.most >= REACH:
                return None
        after = {x: max(size, now.registers[x]) for x, size in registers.items()}
        if after == registers:
            return after
        registers = after
    return None
