"""The circuit of a neuron against the program of its layer: every state, sum and stall.

The claim has two halves. A clock in which the circuit does not go on changes no register; and with
so many clocks in which it does as it has stages, from any contents of its registers, what comes out
is what the program makes of what went in at the first of them, whatever goes in meanwhile. Stalls
in between add nothing, by the first half.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lehr.errors import FileRefused
from lehr.prove.obligations import Obligation
from lehr.prove.solver import z3
from lehr.prove.subject import Subject
from lehr.prove.verilog.bits import Word, Words, follow, passes, widened, within, word
from lehr.prove.verilog.circuit import Claim, with_faults
from lehr.prove.verilog.engines import engine_of
from lehr.prove.verilog.faults import Fault, faults
from lehr.prove.verilog.questions import Questions, Undecided, lacks
from lehr.prove.verilog.yosys import WAY_OUT, Circuit, Clocks, read_verilog
from lehr.update import FIRED, INPUT, Fire

_SLICE = re.compile(
    r"wire signed \[WIDE-1:0\] (\w+) = \{\{\(WIDE-\w+\)\{(?:1'(b0)|\w+\[\w+-?1?\])\}\}, "
    r"(states|current|constants)(?:\[(\d+):(\d+)\])?\};"
)
_STAGE = re.compile(r"_R(\d+);")
WIDTHS = "states and numbers on the way are within the bounds that `widths` proves"
SUMS = "what comes is between the lowest and the highest sum of the layer"
PARAMETERS = "parameters are between the lowest and the highest of the layer"
KIND = "the number of the update stays while a neuron is in the circuit"


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each layer of an artefact for the fpga target.

    Args:
        subject: a network and its artefact.
        timeout: seconds for a question.

    Raises:
        FileRefused: when the Verilog is not as lehr writes it.
        NotMappable: when a statement has no rule.
    """
    known: dict[str, list[tuple[str, Circuit]]] = {}
    for name in subject.net.neurons:
        engine = engine_of(subject, name)
        text = read_verilog(engine.folder, engine.file("lehr_neuron"))
        neuron = Neuron(subject, name, engine.kind, layout(text))
        sentence = (
            f"update {engine.kind} of {engine.file('lehr_neuron')} is the layer's program, "
            f"{neuron.layout.stages} clocks later, whatever its registers hold and however it "
            "is stalled"
        )
        assumptions = (WIDTHS, SUMS, PARAMETERS, KIND)
        claim = Claim("arithmetic", name, sentence, assumptions, neuron.differs)
        if reason := lacks():
            yield claim.missing(reason)
            continue
        if engine.tag not in known:
            module = engine.module("lehr_neuron")
            known[engine.tag] = with_faults({f"{module}.v": text}, module, _chosen(text), timeout)
        (_, circuit), *faulty = known[engine.tag]
        yield claim.shown(circuit, faulty, timeout)


def _chosen(text: str) -> list[Fault]:
    """Return a few faults: in the last sum, the last test, and the first place."""
    all_of_them = list(faults(text))
    sums = [each for each in all_of_them if each.what.startswith("+")]
    tests = [each for each in all_of_them if each.what.startswith(">")]
    return list(dict.fromkeys((*sums[-1:], *tests[-1:], *all_of_them[:1])))


class Part(NamedTuple):
    """Bits of a port that hold a number."""

    port: str
    low: int
    bits: int
    signed: bool


@dataclass(frozen=True)
class Layout:
    """Where numbers lie on the ports of a neuron's circuit, as its text says.

    Attributes:
        states: by register, in `states` and `new_states`.
        constants: by parameter.
        current: the sum; `bits` 0 for the whole port.
        stages: clocks from what goes in to what comes out.
    """

    states: Mapping[str, Part]
    constants: Mapping[str, Part]
    current: Part
    stages: int


def layout(text: str) -> Layout:
    """Read the layout of lehr_neuron.v.

    Raises:
        FileRefused: when it is not written as lehr writes it.
    """
    parts = {}
    for name, unsigned, port, high, low in _SLICE.findall(text):
        bits = int(high) - int(low) + 1 if high else 0
        parts[name] = Part(port, int(low or 0), bits, not unsigned)
    stages = max(map(int, _STAGE.findall(text)), default=0) - 1
    if "A" not in parts or stages < 1:
        raise FileRefused(f"lehr_neuron.v is not as lehr writes it; {WAY_OUT}")
    states = {name[:-2]: part for name, part in parts.items() if part.port == "states"}
    constants = {name[2:]: part for name, part in parts.items() if part.port == "constants"}
    return Layout(states, constants, parts["A"], stages)


def cut(part: Part, port: Any) -> Word:
    """Return the number that a part of a port holds."""
    bits = z3.Extract(part.low + part.bits - 1, part.low, port) if part.bits else port
    return widened(bits, signed=part.signed)


class Neuron:
    """A layer's neurons on a circuit.

    Args:
        subject: the network.
        name: of the layer.
        kind: the number of its update.
        layout: of the circuit.
    """

    def __init__(self, subject: Subject, name: str, kind: int, layout: Layout) -> None:
        self.subject, self.name, self.kind, self.layout = subject, name, kind, layout
        self.program = subject.net.neurons[name].program

    def differs(self, circuit: Circuit, asked: Questions) -> dict[str, int] | None:
        """Return values for which the circuit does not what the program says; None without any.

        Raises:
            Undecided: when a time was not enough, or nothing meets what is assumed.
        """
        still = Clocks(circuit, 1)
        moved = [still.at(0, each) != still.at(1, each) for each in circuit.registers]
        if asked.met([*still.facts, still.at(0, "enable") == 0, z3.Or(*moved)]) is not None:
            return {"enable": 0}
        clocks = Clocks(circuit, self.layout.stages)
        given, assumed = self._given(clocks)
        words = Words(dict(given), given)
        words.values = {x: given.get(x, word(0)) for x in self.program.registers}
        follow(self.program.statements, words)
        assumed += self._certified(words)
        shown = {name: term for name, term in given.items() if name != FIRED}
        if asked.met(assumed) is None:
            raise Undecided("nothing can meet what is assumed")
        for claim in self._claims(clocks, words):
            if (found := asked.met([*assumed, z3.Not(claim)], shown)) is not None:
                return found
        return None

    def _given(self, clocks: Clocks) -> tuple[dict[str, Word], list[Any]]:
        """Return states, parameters and the sum as words, and what is assumed of them."""
        net, layout, program = self.subject.net, self.layout, self.program
        assumed = list(clocks.facts)
        for at in range(layout.stages + 1):
            assumed += [clocks.at(at, "enable") == 1, clocks.at(at, "kind") == self.kind]
        given = {x: cut(part, clocks.at(0, "states")) for x, part in layout.states.items()}
        sums = self.subject.sums[self.name]
        given[INPUT] = cut(layout.current, clocks.at(0, "current"))
        assumed.append(within(given[INPUT], int(sums.low.min()), int(sums.high.max())))
        for name in program.parameters:
            if name not in layout.constants:
                raise FileRefused(f"lehr_neuron.v has no K_{name}; {WAY_OUT}")
            values = net.neurons[self.name].values[name]
            given[name] = cut(layout.constants[name], clocks.at(0, "constants"))
            assumed.append(within(given[name], int(values.min()), int(values.max())))
        for x in program.states:
            if x not in given:
                given[x] = self._told(x, given)
        return given, assumed

    def _told(self, x: str, given: Mapping[str, Word]) -> Word:
        """Return the spikes of the step before, where another state shows them."""
        test = next((s for s in self.program.statements if isinstance(s, Fire)), None)
        if x != FIRED or test is None:
            raise FileRefused(f"lehr_neuron.v keeps no {x}; {WAY_OUT}")
        return passes(given[test.x], Words({}, given).get(test.level), test)

    def _certified(self, words: Words) -> list[Any]:
        """Return that all that is written, and what was, is within the bounds of the widths."""
        reached = self.subject.reached[self.name].written
        facts = [within(term, *reached[x]) for x, term in words.written if x != FIRED]
        kept = [x for x in self.layout.states if x in self.program.states and x in reached]
        facts += [within(words.given[x], *reached[x]) for x in kept]
        return facts

    def _claims(self, clocks: Clocks, words: Words) -> Iterator[Any]:
        """Yield what comes out: each state, the membrane, the spike and the saturations."""
        at, fired = self.layout.stages, words.values[FIRED]
        for x, part in self.layout.states.items():
            if x in self.program.states:
                yield words.values[x] == cut(part, clocks.at(at, "new_states"))
        membrane = clocks.at(at, "updated")
        yield words.values[self.program.membrane] == widened(membrane, signed=True)
        yield fired == widened(clocks.at(at, "spike"), signed=False)
        lost = sum(words.changed[1:], words.changed[0]) if words.changed else word(0)
        yield lost == widened(clocks.at(at, "saturated"), signed=False)
        if FIRED in self.program.states and FIRED not in self.layout.states:
            yield fired == self._told(FIRED, {**words.given, **words.values})
