"""Updates of a network's layers in C: function and types of each, or why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lehr.analysis.bounds import Bounds, hull
from lehr.analysis.spans import Place, Spans
from lehr.interval import Interval
from lehr.intervals import arriving
from lehr.network import Network
from lehr.nodes import INT32_MAX
from lehr.targets.c.memory import smallest_type
from lehr.targets.c.parts import Plain, kept, plain
from lehr.targets.c.printer import Update
from lehr.targets.c.temporaries import reached
from lehr.targets.contract import Problem
from lehr.update import FIRED, MOST_SPIKES, Add, Bound, ForEachEvent, Program, reads, written

INT64_MAX = 2**63 - 1


@dataclass(frozen=True)
class Layer:
    """A layer's update.

    Attributes:
        update: its functions, which other layers may share.
        types: of what memory keeps of its registers, by name.
        idle: the bounds that no value reaches, which the update leaves out.
    """

    update: Update
    types: Mapping[str, str]
    idle: tuple[Bound, ...]


def spans(net: Network, name: str, known: Mapping[str, Interval]) -> Spans:
    """Return the bounds of a layer's registers, from those of all nodes.

    What these can add up to, on the way too, bounds single events.
    """
    neuron, arrives = net.neurons[name], arriving(net, name, known)
    most = int(arrives.magnitude.max())
    given = (-most, most) if neuron.by_event else arrives.limits
    return Spans.of(neuron, given, saturating=True)


def layers(net: Network, known: Mapping[str, Interval]) -> dict[str, Layer]:
    """Return the update of each layer of neurons, numbered in order, from bounds of all nodes."""
    updates: dict[tuple[Program, int], Update] = {}
    by_name = {}
    for name, neuron in net.neurons.items():
        reach = spans(net, name, known)
        bits = 32 if _within(hull(*reached(neuron.program, reach).values()), INT32_MAX) else 64
        program, idle = _without_idle_bounds(neuron.program, reach)
        update = updates.setdefault((program, bits), Update(len(updates) + 1, program, bits))
        types = {
            register: smallest_type(*reach.kept[register]) for register in kept(neuron.program)
        }
        by_name[name] = Layer(update, types | {FIRED: "uint8_t"}, idle)
    return by_name


def _without_idle_bounds(program: Program, reach: Spans) -> tuple[Program, tuple[Bound, ...]]:
    """Return an update without the bounds that nothing reaches, and those.

    A loop over events keeps its own, and so does a register that nothing else writes.
    """
    acting = {place.statement for place in reach.places if _acts(place)}
    idle = tuple(
        s
        for s in program.statements
        if isinstance(s, Bound) and s not in acting and not _alone(s, program)
    )
    statements = tuple(s for s in program.statements if s not in idle)
    return replace(program, statements=statements), idle


def _alone(bound: Bound, program: Program) -> bool:
    """Return whether nothing but bounds writes the register of this one."""
    return all(isinstance(s, (Bound, ForEachEvent)) or written(s) != bound.x for s in program.all)


def _acts(place: Place) -> bool:
    """Return whether a statement is other than a bound that nothing reaches."""
    s = place.statement
    if not isinstance(s, Bound):
        return True
    low, high = place.get(s.x)
    return low < place.get(s.low)[1] or high > place.get(s.high)[0]


def problems(net: Network, name: str, known: Mapping[str, Interval]) -> list[Problem]:
    """Return why C does not compute a layer's update."""
    reach, program = spans(net, name, known), net.neurons[name].program
    values = reached(program, reach)
    wide = next((x for x, bounds in values.items() if not _within(bounds, INT64_MAX)), None)
    if wide is not None:
        return [
            Problem(
                name,
                f"nothing keeps its register {wide} within 64 bits",
                f"bound {wide} in its update",
            )
        ]
    membrane = program.membrane
    low, high = reach.kept[membrane]
    if not -INT32_MAX - 1 <= low <= high <= INT32_MAX:
        reason = (
            f"its membrane {membrane} reaches {max(-low, high):,}, more than the 32 bits in "
            "which it is read"
        )
        return [Problem(name, reason, f"bound {membrane} in its update")]
    if values[FIRED][0] < 0:
        return [
            Problem(
                name,
                f"its update may take spikes off {FIRED}, which C keeps in a byte",
                "count in another register",
            )
        ]
    if values[FIRED][1] > MOST_SPIKES and _reads_a_count(program):
        reason = (
            f"its update reads {FIRED} where it may be above {MOST_SPIKES}, and then begins to "
            "count anew"
        )
        return [Problem(name, reason, "count in another register")]
    return []


def _within(bounds: Bounds, most: int) -> bool:
    return -most <= bounds[0] and bounds[1] <= most


def _reads_a_count(program: Program) -> bool:
    """Return whether spikes that were counted are read, and forgotten afterwards.

    In C they stay at 255, where the definition goes on. Where they are not forgotten, the
    definition refuses what comes above 255 at the end of the step.
    """
    counted = read = False
    for s in _twice(program):
        adds = isinstance(s, Add) and s.x == FIRED
        read = read or (counted and not adds and FIRED in reads(s))
        if written(s) == FIRED:
            if read and not adds:
                return True
            counted, read = adds, read and adds
    return False


def _twice(program: Program) -> list[Plain]:
    """Return the statements of a step, those of a loop two times.

    That is as many as it takes that one event follows another.
    """
    return [
        inner
        for s in program.statements
        for inner in plain((s,)) * (2 if isinstance(s, ForEachEvent) else 1)
    ]
