"""Refusal of a program whose integers nothing bounds.

What reads a network from a file asks this before anything computes it.
"""

from __future__ import annotations

import numpy as np

from lehr.analysis.layers import Reach, reach
from lehr.analysis.sizes import sizes
from lehr.arithmetic import Int64
from lehr.errors import FileRefused
from lehr.interval import Interval
from lehr.intervals import arriving, intervals
from lehr.network import Network, Neuron
from lehr.update import FIRED, INPUT, Add, ForEachEvent, Program, walk, written
from lehr.update_text import line_of

_INT32 = 2**31


def require_bounded(net: Network) -> None:
    """Refuse a network in which a program's integers may leave the types that hold them.

    It must be proven that they stay there, in any number of steps.

    Registers, and all that is computed on the way to them, must stay within 64 bits, the membrane
    at the end of a step within 32, and spikes at 0 or above; that they are not more than 255 is
    asked when a network runs. Updates in fields are bounded by what they are.

    Raises:
        FileRefused: naming the layer, the statement and the register.
    """
    own = {
        name: neuron
        for name, neuron in net.neurons.items()
        if isinstance(neuron.arithmetic, Program)
    }
    if not own:
        return
    nodes = intervals(net)
    arrives = {name: arriving(net, name, nodes) for name in own}
    doubtful = {
        name: (neuron, arrives[name])
        for name, neuron in own.items()
        if not _is_small(neuron, arrives[name])
    }
    for name, bounds in reach(doubtful, None).items():
        if problem := _problem(bounds):
            raise FileRefused(f"{name}: {problem}")


def _is_small(neuron: Neuron, a: Interval) -> bool:
    """Return whether the sizes of a layer's numbers already show that it is bounded."""
    program = neuron.program
    given = {name: _size(neuron.values[name].astype(np.int64)) for name in program.parameters}
    largest = sizes(program, {**given, INPUT: max(_size(a.low), _size(a.high))})
    counts = any(isinstance(s, Add) and s.x == FIRED for s in program.all)
    return largest is not None and largest[program.membrane] < _INT32 and not counts


def _size(values: Int64) -> int:
    return int(np.abs(values).max(initial=0))


def _problem(bounds: Reach) -> str:
    """Return what is not bounded in a layer; empty if all is."""
    program = bounds.program
    if bounds.beyond:
        number, x = bounds.beyond, written(program.all[bounds.beyond - 1])  # type: ignore[arg-type]
        return f"{_at(program, number)}: nothing keeps {x} within 64 bits; bound it"
    low, high = bounds.ends[program.membrane]
    if not -_INT32 <= low <= high < _INT32:
        number = _last(program, program.membrane)
        return (
            f"{_at(program, number)}: the membrane {program.membrane} can come to "
            f"{low:,}..{high:,}, beyond 32 bits; bound it"
        )
    if bounds.ends[FIRED][0] < 0:
        return (
            f"{_at(program, _last(program, FIRED))}: it can count {bounds.ends[FIRED][0]:,} "
            "spikes; count what a fire writes"
        )
    return ""


def _at(program: Program, number: int) -> str:
    return f"update statement {number}, '{line_of(program.all[number - 1])}'"


def _last(program: Program, x: str) -> int:
    """Return the number of the last statement that writes a register."""
    return max(
        n
        for n, s in enumerate(walk(program.statements), 1)
        if not isinstance(s, ForEachEvent) and written(s) == x
    )
