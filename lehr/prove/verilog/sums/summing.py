"""What an fpga artefact adds up: its parameters, lanes, and weights, and the way to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from lehr.prove.obligations import Obligation
from lehr.prove.solver import z3
from lehr.prove.subject import Subject
from lehr.prove.verilog.circuit import Claim, with_faults
from lehr.prove.verilog.engines import Engine, engine_of
from lehr.prove.verilog.faults import faults
from lehr.prove.verilog.neuron import Part, layout
from lehr.prove.verilog.questions import Questions, Undecided, lacks
from lehr.prove.verilog.sums import adders, datapath, synapses
from lehr.prove.verilog.sums.images import read_words
from lehr.prove.verilog.yosys import Circuit, Clocks, read_verilog

_BYTES = 1 << 26
_LANE = re.compile(r"\blehr_lane\w* #\(((?:\.\w+\(\d+\)(?:, )?)+)\) adder")
_GIVEN = re.compile(r"\.(\w+)\((\d+)\)")
TRIPLE = "`triple` is three times `value`"


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield what is shown of each layer's parameters and weights, and of each engine's circuit.

    Raises:
        FileRefused: when a file is not as lehr writes it.
    """
    seen: set[str] = set()
    for name in subject.net.neurons:
        engine = engine_of(subject, name)
        yield _parameters(subject, name, engine, timeout)
        if engine.tag not in seen:
            seen.add(engine.tag)
            yield from datapath.prove(subject, engine, timeout)
            yield from adders.prove(subject, engine, timeout)
            yield from synapses.prove(subject, engine, timeout)


# ---------------------------------------------------------------- parameters
def _parameters(subject: Subject, name: str, engine: Engine, timeout: float) -> Obligation:
    file, program = f"{engine.prefix}constants.mem", engine.file("lehr_program")
    words = read_words(engine, file)
    parts = layout(read_verilog(engine.folder, engine.file("lehr_neuron"))).constants
    claim = Claim(
        "sums",
        name,
        f"every word of {file} from where {program} says on is the layer's parameters, and its "
        f"update is number {engine.kind}",
        (),
        partial(misplaced, subject, name, engine, words, parts),
    )
    if reason := lacks():
        return claim.missing(reason)
    text = read_verilog(engine.folder, program)
    lines = text.splitlines()
    fault = [each for each in faults(text) if "first_constant =" in lines[each.line - 1]]
    top = engine.module("lehr_program")
    fault = fault[engine.number + 1 :][:1]
    (_, circuit), *faulty = with_faults({program: text}, top, fault, timeout)
    return claim.shown(circuit, faulty, timeout)


def misplaced(
    subject: Subject,
    name: str,
    engine: Engine,
    words: list[int],
    parts: Mapping[str, Part],
    circuit: Circuit,
    asked: Questions,
) -> dict[str, Any] | None:
    """Return a parameter that is not where the program of the engine says; None without any."""
    clocks = Clocks(circuit, 0)
    here = [*clocks.facts, clocks.at(0, "layer") == engine.number]
    terms = {x: z3.ZeroExt(1, clocks.at(0, x)) for x in ("first_constant", "kind")}
    said = asked.met(here, terms)
    if said is None:
        raise Undecided("nothing can meet what is assumed")
    if asked.met([*here, z3.Or(*(term != said[x] for x, term in terms.items()))]) is not None:
        return {"program": "says more than one thing of the layer"}
    if said["kind"] != engine.kind:
        return said
    neuron, shape = subject.net.neurons[name], subject.net.shapes[name]
    for parameter in neuron.program.parameters:
        values: list[int] = neuron.values[parameter].tolist()
        if neuron.per_neuron:  # channel by channel of each place
            values = neuron.spread(parameter, shape).reshape(shape[0], -1).T.ravel().tolist()
        for at, value in enumerate(values, said["first_constant"]):
            word = _number(words[at], parts[parameter]) if at < len(words) else None
            if word != value:
                return {"word": at, parameter: value, "but it is": word}
    return None


def _number(word: int, part: Part) -> int:
    bits = word >> part.low & (1 << part.bits) - 1
    return bits - (1 << part.bits) if part.signed and bits >> part.bits - 1 else bits
