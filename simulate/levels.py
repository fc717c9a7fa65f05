"""What a membrane is compared with in each step, made again of the spikes that a trace holds."""

from __future__ import annotations

import numpy as np

from lehr.arithmetic import Int64
from lehr.nodes import Neuron, Shape
from lehr.simulate.definition import RULES, Registers, begin
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
    reads,
    written,
)

_Some = tuple[Leak | Add | Put | Bound | Fire, ...]


def levels(neuron: Neuron, shape: Shape, index: tuple[int, ...], spikes: Int64) -> Int64 | None:
    """Return the level that one neuron's membrane had to pass in each step, `[T]`.

    It is the threshold, or what the update makes of it: a neuron that adapts has another in every
    step.

    Args:
        neuron: the layer.
        shape: of the layer.
        index: of the neuron in it.
        spikes: of the neuron, `[T]`, from the first step on.

    Returns:
        None where nothing fires, where there are several such levels, and where one depends on more
        than spikes and parameters.
    """
    program = neuron.program
    if len({fire.level for fire in program.fires}) != 1:
        return None
    level = program.fires[0].level
    if level not in program.registers:
        value = level if isinstance(level, int) else neuron.spread(level, shape)[index]
        return np.full(len(spikes), value, np.int64)
    statements = _from_spikes(program, str(level))
    if statements is None:
        return None
    given = {name: neuron.spread(name, shape)[index].reshape(1) for name in program.parameters}
    states = dict.fromkeys(program.states, np.zeros(1, np.int64))
    passed = np.zeros(len(spikes), np.int64)
    for step in range(len(spikes)):
        registers = Registers(begin(program, states), given)
        for statement in statements:
            if written(statement) == FIRED:
                passed[step] = registers.get(level).item()
                registers.put(FIRED, spikes[step : step + 1])
            else:
                RULES[type(statement)](registers, statement)
        states = {name: registers.values[name] for name in program.states}
    return passed


def _from_spikes(program: Program, level: str) -> _Some | None:
    """Return the statements that make a register, and the Fire that is known from the spikes.

    Returns:
        None where the register depends on more than spikes and parameters.
    """
    statements = [s for s in program.statements if not isinstance(s, ForEachEvent)]
    firing = [s for s in statements if written(s) == FIRED]
    if program.loop is not None or len(firing) != 1 or not isinstance(firing[0], Fire):
        return None
    needed, more = set[str](), {level}
    while more:
        needed |= more
        making = [s for s in statements if s not in firing and written(s) in needed]
        more = set().union(*map(reads, making)) - {*program.parameters, FIRED} - needed
    if needed & {INPUT, program.membrane}:
        return None
    return tuple(s for s in statements if s in firing or written(s) in needed)
