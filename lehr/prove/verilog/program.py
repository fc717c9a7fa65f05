"""What the program of an fpga artefact's engine says of a layer and of what it hears.

Yosys says what lehr_program.v and the wires of lehr_core.v mean; Bitwuzla is asked for the values,
and whether there are others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lehr.network import INPUT
from lehr.prove.solver import z3
from lehr.prove.subject import Subject
from lehr.prove.verilog.boxes import MEMORIES
from lehr.prove.verilog.engines import Engine, engine_of
from lehr.prove.verilog.questions import Questions, Undecided
from lehr.prove.verilog.yosys import Circuit, Clocks

BOXES = MEMORIES | {
    "lehr_control",
    "lehr_events",
    "lehr_link",
    "lehr_maps",
    "lehr_neurons",
    "lehr_readout",
    "lehr_sums",
}
"""Modules that are taken out of the circuit that is asked."""
_RING = re.compile(
    r"slots\[(\d+):(\d+)\] <= slots\[\1:\2\] == \d+'d(\d+) \? \d+'d0 : slots\[\1:\2\] \+ \d+'d1;"
)
_LAYER = {
    "first_feed": "control.first_feed",
    "last_feed": "control.last_feed",
    "last_chunk": "control.last_chunk",
    "last_y": "control.last_y",
    "last_x": "control.last_x",
    "last_c": "neurons.last_c",
    "last_count": "neurons.last_count",
    "heard": "neurons.heard",
    "pack": "sums.pack",
}
_FEED = {
    "of_values": "events.of_values",
    "lag": "control.lag",
    "first_row": "scan.row",
    "first_column": "scan.column",
    "first_chunk": "scan.chunk",
}
_WINDOW = {"closes": "control.closes", "leaves": "control.leaves"}
Refuted = dict[str, Any]


@dataclass(frozen=True)
class Ring:
    """Bits of `slots` that count the maps of a source, from 0 to the last."""

    low: int
    high: int
    last: int

    def of(self, slots: Any) -> Any:
        """Return the number of the map that is written."""
        return z3.Extract(self.high, self.low, slots)

    def next(self, number: Any) -> Any:
        """Return the number of the map that is written in the step after."""
        return z3.If(number == self.last, z3.BitVecVal(0, number.size()), number + 1)


def rings_of(control: str) -> tuple[Ring, ...]:
    """Return the rings of maps that lehr_control.v counts, from its text."""
    return tuple(Ring(int(b), int(a), int(last)) for a, b, last in _RING.findall(control))


class Program:
    """The program of an engine.

    Args:
        circuit: of the engine, without the modules of `BOXES`.
        rings: of its maps.
        asked: what counts questions.
    """

    def __init__(self, circuit: Circuit, rings: Sequence[Ring], asked: Questions) -> None:
        self.circuit, self.rings, self.asked = circuit, rings, asked
        self._clock = Clocks(circuit, 0)
        self._known: dict[Any, Any] = {}

    def bits(self, wire: str) -> int:
        """Return how many bits a wire has."""
        return int(self._clock.at(0, wire).size())

    def has(self, wire: str) -> bool:
        """Return whether there is a wire."""
        return wire in self.circuit.wires

    def layer(self, number: int) -> dict[str, int]:
        """Return what is said of a layer."""
        return self._said(_LAYER, {"layer": number})

    def feed(self, number: int) -> dict[str, int]:
        """Return what is said of a feed, at the first place and the first chunk of a layer."""
        wires = {**_FEED, **(_WINDOW if self.has("control.closes") else {})}
        at = {"feed": number, "control.y": 0, "control.x": 0, "control.chunk": 0}
        return {"closes": 0, "leaves": 0, **self._said(wires, at)}

    def _said(self, wires: Mapping[str, str], fixed: Mapping[str, int]) -> dict[str, int]:
        """Return the only values that wires have.

        Raises:
            Undecided: where they have others.
        """
        key = (*wires, *fixed.items())
        if key not in self._known:
            self._known[key] = self._asked(wires, fixed)
        return dict(self._known[key])

    def _asked(self, wires: Mapping[str, str], fixed: Mapping[str, int]) -> dict[str, int]:
        clock = self._clock
        here = [*clock.facts, *(clock.at(0, x) == value for x, value in fixed.items())]
        terms = {x: z3.ZeroExt(1, clock.at(0, wire)) for x, wire in wires.items()}
        said = self.asked.met(here, terms)
        if said is None:
            raise Undecided("nothing can meet what is assumed")
        others = z3.Or(z3.BoolVal(False), *(term != said[x] for x, term in terms.items()))
        if self.asked.met([*here, others]) is not None:
            raise Undecided(f"lehr_program.v says more than one thing of {dict(fixed)}")
        return said

    # ---------------------------------------------------------------- maps
    def keeps(self, written: Mapping[str, int]) -> bool:
        """Return whether what a source sends is written to a map of the engine."""
        if "layer" not in written:
            return True
        writes = "link.writes" if self.has("link.writes") else "maps.writes"
        said = self.layer(written["layer"])["heard"]
        return (
            bool(said)
            and self.asked.met([*self._clock.facts, self._clock.at(0, writes) == 1]) is not None
        )

    @cached_property
    def _two(self) -> Clocks:
        return Clocks(self.circuit, 1)

    def maps(self, written: Mapping[str, int]) -> set[int]:
        """Return where the maps of a source begin.

        Args:
            written: what is on wires while the source's map is opened.
        """
        numbers = [n << ring.low for ring in self.rings for n in range(ring.last + 1)]
        opened = [{**written, "slots": number} for number in numbers] or [dict(written)]
        return {self._said({"map": "map_address"}, each)["map"] for each in opened}

    def reads(self, feed: int, lag: int, written: Mapping[str, int]) -> bool:
        """Return whether a feed always reads the map that was written so many steps before."""
        key = ("reads", feed, lag, *written.items())
        if key not in self._known:
            self._known[key] = self._reads(feed, lag, written)
        return bool(self._known[key])

    def _reads(self, feed: int, lag: int, written: Mapping[str, int]) -> bool:
        clocks = self._two
        facts = [*clocks.facts, *(clocks.at(0, x) == value for x, value in written.items())]
        reading = {"opens": 0, "opens_layer": 0, "feed": feed}
        facts += [clocks.at(1, x) == value for x, value in reading.items()]
        for ring in self.rings:
            number = ring.of(clocks.at(0, "slots"))
            facts.append(z3.ULE(number, ring.last))
            for _ in range(lag % (ring.last + 1)):
                number = ring.next(number)
            facts.append(ring.of(clocks.at(1, "slots")) == number)
        if self.asked.met(facts) is None:
            return False
        differs = clocks.at(0, "map_address") != clocks.at(1, "map_address")
        return self.asked.met([*facts, differs]) is None


class Programs:
    """The program of an engine, asked once of its circuit.

    Args:
        rings: of its maps.
    """

    def __init__(self, rings: Sequence[Ring]) -> None:
        self.rings = rings
        self._program: Program | None = None

    def of(self, circuit: Circuit, asked: Questions) -> Program:
        """Return the program; further questions are counted by `asked`."""
        if self._program is None or self._program.circuit is not circuit:
            self._program = Program(circuit, self.rings, asked)
        self._program.asked = asked
        return self._program


def maps_of(subject: Subject, engine: Engine) -> dict[str, dict[str, int]]:
    """Return the sources that an engine keeps maps of, with what opens the map of each."""
    names = list(subject.net.neurons)
    before = INPUT
    if engine.tag:
        at = int(engine.tag[1:])
        before, names = names[at - 1] if at else INPUT, names[at : at + 1]
    opened = {before: {"opens": 1}}
    for name in names:
        number = engine_of(subject, name).number
        opened[name] = {"opens": 0, "opens_layer": 1, "layer": number}
    return opened
