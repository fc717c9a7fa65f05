"""What an engine's program says of its layers, as hints of where to look."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lehr.prove.solver import z3
from lehr.prove.verilog.control.order import Order
from lehr.prove.verilog.induction import WIDE, At, Term, widened
from lehr.prove.verilog.questions import Questions
from lehr.prove.verilog.yosys import Circuit, Clocks, circuits

INPUT = -1
_RING = re.compile(r"slots\[(\d+):(\d+)\] == \d+'d(\d+) \?.*; // (.*)$", re.M)
_LAYER = re.compile(r"\d+'d(\d+): begin // (.*)$", re.M)
_SAYS = ("first_neuron", "last_c", "last_y", "last_x", "static_sums", "heard")


@dataclass(frozen=True)
class Layer:
    """A layer, or the input, of an engine.

    Attributes:
        number: in the engine; `INPUT` of the input.
        begins: the first word of each of its maps, one for each step that is kept; none where
            nobody hears it.
        words: in a map.
        neurons: the number of the first, and how many there are.
        static: whether its sums can be kept.
        high, low: bits of `slots` that say which map is written; -1 of a single one.
    """

    number: int
    begins: Sequence[int]
    words: int
    neurons: tuple[int, int] = (0, 0)
    static: bool = False
    high: int = -1
    low: int = -1

    def slot(self, at: At) -> Term:
        """Return which map is written in this step."""
        if self.high < 0:
            return z3.BitVecVal(0, WIDE)
        return widened(z3.Extract(self.high, self.low, at("control.slots")))

    def begin(self, at: At) -> Term:
        """Return the first word of the map that is written in this step."""
        term = z3.BitVecVal(self.begins[0], WIDE)
        for slot, begin in enumerate(self.begins):
            term = z3.If(self.slot(at) == slot, z3.BitVecVal(begin, WIDE), term)
        return term


def plan(order: Order, swept: int, timeout: float) -> list[Layer]:
    """Return the layers of an engine, and its input before them where that is spikes.

    Args:
        order: of the engine.
        swept: the last word of a map of the input.
        timeout: seconds for a question.
    """
    engine = order.engine
    file, top = engine.file("lehr_program"), engine.module("lehr_program")
    text = order.files[file]
    (circuit,) = circuits([{file: text}], top, timeout)
    control = order.files[engine.file("lehr_control")]
    rings = {
        name: (int(high), int(low), int(last)) for high, low, last, name in _RING.findall(control)
    }
    maps = order.files[engine.file("lehr_maps")]
    word = re.search(r"parameter WORD = (\d+)", maps)
    bits = int(word[1]) if word else 1
    layers: list[Layer] = []
    if "merging" in maps:
        high, low, last = rings.get("input", (-1, -1, 0))
        begins = [_said(circuit, {"map": slot}, timeout)["map_address"] for slot in range(last + 1)]
        layers.append(Layer(INPUT, begins, swept + 1, high=high, low=low))
    for number, name in _LAYER.findall(text.partition("case (feed)")[0]):
        high, low, last = rings.get(name, (-1, -1, 0))
        said = _said(circuit, {"layer": int(number)}, timeout)
        places = (said["last_y"] + 1) * (said["last_x"] + 1)
        begins = (
            [
                _said(circuit, {"layer": int(number), "slots": slot << max(low, 0)}, timeout)[
                    "begin"
                ]
                for slot in range(last + 1)
            ]
            if said["heard"]
            else []
        )
        layers.append(
            Layer(
                int(number),
                begins,
                places * (said["last_c"] // bits + 1),
                (said["first_neuron"], places * (said["last_c"] + 1)),
                bool(said["static_sums"]),
                high,
                low,
            )
        )
    return layers


def _said(circuit: Circuit, given: dict[str, int], timeout: float) -> dict[str, int]:
    """Return what the program says where some of its inputs are given."""
    clocks, asked = Clocks(circuit, 0), Questions(timeout)
    here = list(clocks.facts)
    here += [clocks.at(0, name) == value for name, value in given.items() if name in circuit.wires]
    if "map" not in given:
        here.append(clocks.at(0, "map") == clocks.at(0, "write_map"))
    terms = {name: z3.ZeroExt(1, clocks.at(0, name)) for name in (*_SAYS, "map_address")}
    found = asked.met(here, terms) or dict.fromkeys(terms, 0)
    return {**found, "begin": found["map_address"]}
