"""One step of one neuron by a kernel of the fast engine, from the kernel's source."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from lehr.arithmetic import Int64
from lehr.prove.engine.every_path import Memory, Number, Run
from lehr.prove.engine.lanes import KERNELS, LINE_BITS, functions
from lehr.prove.engine.operations import of_a_line, of_elements
from lehr.prove.engine.parts import Apart, Part
from lehr.prove.smt import Term
from lehr.simulate.fast.kernels import layout
from lehr.update import FIRED, MEMBRANE, Program

LISTS: Mapping[str, tuple[str, ...]] = {
    "table": ("neurons", "operations", "table"),
    "events": ("events",),
    "event_table": ("events", "event_table"),
}
"""The files of kernels whose functions those of a file call, and that file."""
WIDE = (-(1 << 63), (1 << 63) - 1)
BYTE, INT32 = (0, 255), (-(1 << 31), (1 << 31) - 1)


class Given:
    """A kernel and what it is called with.

    Attributes:
        file, kernel: where it stands, and its name.
        named: its arguments by name.
    """

    def __init__(self, file: str, kernel: str, arguments: Sequence[Any]) -> None:
        self.file, self.kernel = file, kernel
        tree = ast.parse((KERNELS / f"{file}.py").read_text("utf-8"))
        (defined,) = (s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == kernel)
        self.named = dict(zip((each.arg for each in defined.args.args), arguments, strict=True))

    @property
    def bits(self) -> int:
        """Bits of a lane."""
        return 8 * int(
            (self.named["states"] if "states" in self.named else self.named["state"]).itemsize
        )

    @property
    def sizes(self) -> layout.TableSizes:
        """Facts of a layer in a table."""
        return layout.TableSizes(*map(int, self.named["sizes"]))

    @property
    def constants(self) -> Int64:
        """What each neuron has, `[constants, neurons]`."""
        if self.file == "events":
            return np.asarray(self.named["layer"], np.int64).reshape(3, -1)
        s = self.sizes
        if self.file == "table":
            return np.asarray(self.named["constants"], np.int64).reshape(s.constants, -1)
        first = (s.registers + layout.SPECIAL) * s.neurons
        held = self.named["registers"][first:][: s.constants * s.neurons]
        return np.asarray(held, np.int64).reshape(s.constants, -1)


@dataclass
class Ended:
    """What a kernel leaves.

    Attributes:
        after: states, spikes and the membrane that is kept, by register.
        saturations: how many values a bound changed.
        claims: that nothing left its bits.
        assumed: what is known of memory.
        head: registers before the event.
        apart: what is asked about alone, in the order in which it was computed.
    """

    after: dict[str, Term]
    saturations: Term
    claims: list[Term]
    assumed: list[Term]
    head: dict[str, Term] = field(default_factory=dict)
    apart: list[Part] = field(default_factory=list)


def of_lines(
    given: Given,
    program: Program,
    constants: Sequence[Term],
    states: Mapping[str, Term],
    comes: Term,
    between: Mapping[str, Term],
    events: int | None,
) -> Ended:
    """Run a step of a line of neurons, which are alike.

    Args:
        given: the kernel.
        program: the update.
        constants: what each neuron has.
        states: before the step.
        comes: the sum.
        between: not asked for here.
        events: likewise.
    """
    del between, events
    run, lanes = Run(given.bits), LINE_BITS // given.bits
    s = given.sizes
    held = Memory(run, "left over", run.ends)
    first = (s.registers + layout.SPECIAL + s.constants) * lanes + 4 * layout.WORD
    for place, x in enumerate(program.states):
        held[first + place * lanes] = Number(run, states[x])
    numbers = Memory(run, "constants", run.ends)
    for place, term in enumerate(constants):
        numbers[place * lanes] = Number(run, term)
    sums, bits = Memory(run, "sums", WIDE), Memory(run, "bits", (0, 1))
    sums[0] = Number(run, comes)
    counts, traced = Memory(run, "counts", BYTE), Memory(run, "membranes", INT32)
    lost = _zeros(run, 1)
    arguments = {
        "current": sums,
        "states": held,
        "constants": numbers,
        "bits": bits,
        "counts": counts,
        "totals": _zeros(run, 3 * lanes),
        "saturations": lost,
        "membranes": traced,
        "most": _zeros(run, 1),
        "table": given.named["table"],
        "sizes": np.array(
            s._replace(samples=1, steps=1, neurons=lanes, used=lanes, block=lanes, totals=0)
        ),
        "rows": np.zeros(9, np.int64),
    }
    names = _code(given, of_a_line(run, lanes))
    names["done"] = run.merged(names["done"])
    apart = Apart(run)
    names["_count"] = apart.counting(run.merged(names["_count"]))
    names["divided"] = apart.divided
    names[given.kernel](**arguments)
    after = {x: held[first + place * lanes].term for place, x in enumerate(program.states)}
    if s.spikes != layout.NO_SPIKES:
        put = bits if s.spikes == layout.BITS else counts
        after[FIRED] = put[0].term
    after["kept"] = traced[0].term
    return replace(_ended(run, after, program, lost), apart=apart.asked)


def of_events(
    given: Given,
    program: Program,
    constants: Sequence[Term],
    states: Mapping[str, Term],
    comes: Term,
    between: Mapping[str, Term],
    events: int | None,
) -> Ended:
    """Run a step of a neuron that updates by event.

    Args:
        given: the kernel.
        program: the update.
        constants: what the neuron has.
        states: before the step.
        comes: the weight of the event.
        between: registers before the event, whatever came before.
        events: how many come, 0 or 1.
    """
    run = Run(64)
    held = Memory(run, "states", WIDE)
    for place, x in enumerate(program.states if given.file != "events" else (MEMBRANE,)):
        held[place] = Number(run, states[x])
    lost, counts = _zeros(run, 1), Memory(run, "counts", BYTE)
    traced = Memory(run, "membranes", INT32)
    arguments: dict[str, Any] = {
        "queue": [0, 1],
        "lengths": [events],
        "begin": [0, 1],
        "weight": [Number(run, comes)],
        "counts": counts,
        "totals": _zeros(run, 3),
        "saturations": lost,
        "membranes": traced,
        "most": _zeros(run, 1),
        "rows": np.zeros(6, np.int64),
    }
    numbers = [Number(run, term) for term in constants]
    if given.file == "events":
        fired = Memory(run, "fired before", WIDE)
        places = {MEMBRANE: (held, 0), FIRED: (fired, 0)}
        arguments |= {"state": held, "fired": fired, "layer": numbers, "rule": given.named["rule"]}
        arguments["sizes"] = np.array(layout.EventSizes(1, 1, 1, 0, 1))
        merged = ["quotient", "_leaked", "_bounded", given.kernel]
    else:
        s = given.sizes
        registers = Memory(run, "left over", WIDE)
        for place, number in enumerate(numbers):
            registers[s.registers + layout.SPECIAL + place] = number
        names = dict.fromkeys((*program.states, *program.registers))
        places = {x: (registers, place) for place, x in enumerate(names)}
        arguments |= {"states": held, "registers": registers, "table": given.named["table"]}
        arguments["sizes"] = np.array(
            s._replace(samples=1, steps=1, neurons=1, used=1, block=1, totals=0, room=1)
        )
        merged = ["quotient", "_done"]
    head = _Head(run, places, between)
    names_ = _code(given, of_elements(run))
    for name in merged:
        names_[name] = run.merged(names_[name])
    names_[given.kernel](**arguments, target=head)
    after = {
        x: held[place].term
        for place, x in enumerate(program.states if given.file != "events" else (MEMBRANE,))
    }
    after |= {FIRED: counts[0].term, "kept": traced[0].term}
    return _ended(run, after, program, lost, head.reached)


class _Head(Memory):
    """The targets of events: where the first is read, registers are any that may be there."""

    def __init__(
        self, run: Run, places: Mapping[str, tuple[Memory, int]], between: Mapping[str, Term]
    ) -> None:
        super().__init__(run, "targets", (0, 0))
        self.places, self.between = places, between
        self.reached: dict[str, Term] = {}

    def __missing__(self, place: int) -> Any:
        """Note what is there, and put what may be there."""
        for x, (memory, at) in self.places.items():
            self.reached[x] = memory[at].term
            memory[at] = Number(self.run, self.between[x])
        return self.setdefault(place, 0)


def _ended(
    run: Run,
    after: dict[str, Term],
    program: Program,
    lost: Memory,
    head: Mapping[str, Term] | None = None,
) -> Ended:
    kept = after.pop("kept")
    run.claim(kept == after[program.membrane])
    return Ended(after, lost[0].term, [*run.claims.values()], run.assumed, dict(head or {}))


def _zeros(run: Run, size: int) -> Memory:
    memory = Memory(run, "", WIDE)
    memory.size = size
    memory[:] = 0
    return memory


def _code(given: Given, operations: Mapping[str, Any]) -> dict[str, Any]:
    """Return the functions that a kernel calls, and itself."""
    names: dict[str, Any] = {**vars(layout), "Any": Any, **operations}
    names["np"] = SimpleNamespace(int64=int)
    for file in LISTS[given.file]:
        exec(functions(f"{file}.py"), names)  # noqa: S102 - lehr's own source
    return names
