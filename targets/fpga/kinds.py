"""Updates of all layers of an engine as one sequence of steps, of which each layer takes some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lehr.tables import Table
from lehr.update import Add, Bound, Fire, Leak, Program, Put, Source, Statement

Likeness = tuple[object, ...]
Some = TypeVar("Some", bound=Statement)
LIKENESS: Table[Callable[..., Likeness]] = Table("the engine")


@dataclass(frozen=True)
class Step(Generic[Some]):
    """A statement that one circuit computes for some kinds of neurons: alike but for numbers.

    Attributes:
        by_kind: the statement of each kind that takes it, and its number in that kind's program.
        likeness: what these share.
    """

    by_kind: Mapping[int, tuple[Some, int]]
    likeness: Likeness

    @property
    def first(self) -> Some:
        """The statement of the first kind that takes it."""
        return next(iter(self.by_kind.values()))[0]

    def statement(self, kind: int) -> Some | None:
        """Return the statement of a kind; None where the kind goes on to the next step."""
        return self.by_kind[kind][0] if kind in self.by_kind else None


def _name(program: Program, source: Source) -> tuple[object, ...]:
    return (source, source in program.registers) if isinstance(source, str) else ()


@LIKENESS.rule(Leak)
def _leak(program: Program, s: Leak) -> Likeness:
    del program
    return Leak, s.x


@LIKENESS.rule(Add)
def _add(program: Program, s: Add) -> Likeness:
    return Add, s.x, _name(program, s.source), s.negative, s.times


@LIKENESS.rule(Put)
def _put(program: Program, s: Put) -> Likeness:
    return Put, s.x, _name(program, s.source), s.when


@LIKENESS.rule(Bound)
def _bound(program: Program, s: Bound) -> Likeness:
    del program
    return Bound, s.x


@LIKENESS.rule(Fire)
def _fire(program: Program, s: Fire) -> Likeness:
    return Fire, s.x, _name(program, s.level), s.into


def likeness(program: Program, statement: Statement) -> Likeness:
    """Return what statements have in common that one circuit computes."""
    return LIKENESS[type(statement)](program, statement)


def merged(programs: list[Program]) -> list[Step[Any]]:
    """Return the shortest sequence of steps of which the update of every kind is a part.

    Each kind keeps its own order; the sequence is put together kind by kind.
    """
    steps: list[Step[Any]] = []
    for kind, program in enumerate(programs):
        steps = _with(steps, kind, program)
    return steps


def _with(steps: list[Step[Any]], kind: int, program: Program) -> list[Step[Any]]:
    statements = program.statements
    old, new = [step.likeness for step in steps], [likeness(program, s) for s in statements]
    # the most that the rests of both have in common
    shared = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            shared[i][j] = (
                shared[i + 1][j + 1] + 1
                if old[i] == new[j]
                else max(shared[i + 1][j], shared[i][j + 1])
            )
    merged_steps, i, j = list[Step[Any]](), 0, 0
    while i < len(old) or j < len(new):
        if i < len(old) and j < len(new) and old[i] == new[j]:
            merged_steps.append(Step({**steps[i].by_kind, kind: (statements[j], j)}, old[i]))
            i, j = i + 1, j + 1
        elif j == len(new) or (i < len(old) and shared[i + 1][j] >= shared[i][j + 1]):
            merged_steps.append(steps[i])
            i += 1
        else:
            merged_steps.append(Step({kind: (statements[j], j)}, new[j]))
            j += 1
    return merged_steps
