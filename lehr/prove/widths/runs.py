"""A run of a neuron from its beginning that contradicts what is claimed of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lehr.prove.asking import Asked, Claims
from lehr.prove.smt import INTEGERS, Term, Terms, follow
from lehr.prove.solver import z3
from lehr.prove.widths.guesses import Said
from lehr.prove.widths.step import Steps
from lehr.update import INPUT, Program, Statement

MOST_STEPS, MOST_EVENTS = 6, 4
"""How long runs are; of events, in each of two steps."""


class _Part(NamedTuple):
    """Statements that are done without a break, by the name of the step or of its event."""

    name: str
    takes: bool
    statements: Sequence[Statement]


def contradicting_run(
    steps: Steps, said: Sequence[Said], asked: Asked, weights: Counter[int] | None, *, ever: bool
) -> dict[str, Any]:
    """Return what comes in a run that leaves the claim; empty if none so short does.

    Args:
        steps: the neurons.
        said: what is claimed up to 1, 2, ... steps.
        asked: who is asked.
        weights: how many events of a step can bring each weight; None where no events come.
        ever: whether the last of what is claimed is so of any number of steps.
    """
    program = steps.program
    values: dict[str, Term] = {x: INTEGERS.number(0) for x in program.registers}
    inputs: dict[str, Term] = {}
    common: list[Term] = []
    low, high = steps.alike.comes
    most = MOST_STEPS if weights is None else 2
    for number in range(1, (most if ever else min(most, len(said))) + 1):
        claim = said[min(number, len(said)) - 1]
        values = {
            x: values[x] if x in program.states else INTEGERS.number(0) for x in program.registers
        }
        events: list[Term] = []
        for part in _parts(program, number):
            there: Term = True
            if part.takes:
                comes = inputs[part.name] = z3.Int(part.name)
                common += [comes >= low, comes <= high]
                if weights is not None:
                    there = comes != 0
                    events.append(comes)
                    common += _of(weights, events)
            given = {**steps.alike.given, INPUT: inputs.get(part.name, INTEGERS.number(0))}
            terms = Terms(dict(values), given)
            follow(part.statements, terms)
            claims = [z3.Implies(there, each) for each in steps.claimed(terms, claim)]
            values = {x: z3.If(there, terms.values[x], values[x]) for x in values}
            if claims and (found := asked.refuted(common, [Claims((), claims)], inputs)):
                found.pop("step")
                return {"at": part.name, "what comes": found}
    return {}


def _of(weights: Counter[int], events: Sequence[Term]) -> Iterator[Term]:
    """Yield that the last of the events of a step is none, or a weight that is left."""
    yield z3.Or(*(events[-1] == weight for weight in (0, *weights)))
    for weight, count in weights.items():
        if count < len(events):
            yield z3.AtMost(*(each == weight for each in events), count)


def _parts(program: Program, number: int) -> Iterator[_Part]:
    loop = program.loop
    if loop is None:
        yield _Part(f"step {number}", True, program.statements)
        return
    at = program.statements.index(loop)
    yield _Part(f"step {number}", False, program.statements[:at])
    for event in range(1, MOST_EVENTS + 1):
        yield _Part(f"event {event} of step {number}", True, loop.body)
    yield _Part(f"end of step {number}", False, program.statements[at + 1 :])
