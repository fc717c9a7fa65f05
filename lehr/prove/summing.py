"""What an fpga artefact adds up: its parameters, word by word, and the lanes, event by event.

A lane adds modulo 2 to the power of its bits, which is shown of one event and so is true of any
number; that the sum of all of them has no more bits is seen from the bounds of sums.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from lehr.errors import FileRefused
from lehr.network import INPUT
from lehr.paths import synapses
from lehr.prove.bits import widened
from lehr.prove.circuit import Claim, with_faults
from lehr.prove.engines import Engine, engine_of
from lehr.prove.faults import faults
from lehr.prove.neuron import Part, layout
from lehr.prove.obligations import Obligation
from lehr.prove.questions import Questions, Undecided, lacks
from lehr.prove.solver import z3
from lehr.prove.subject import Subject
from lehr.prove.yosys import WAY_OUT, Circuit, Clocks, read_verilog
from lehr.reading import read_text

_BYTES = 1 << 26
_LANE = re.compile(r"\blehr_lane\w* #\(((?:\.\w+\(\d+\)(?:, )?)+)\) adder")
_GIVEN = re.compile(r"\.(\w+)\((\d+)\)")
TRIPLE = "`triple` is three times `value`"


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield what is shown of each layer's parameters, and of each kind of lane.

    Raises:
        FileRefused: when a file is not as lehr writes it.
    """
    seen: set[str] = set()
    for name in subject.net.neurons:
        engine = engine_of(subject, name)
        yield _parameters(subject, name, engine, timeout)
        if engine.tag not in seen:
            seen.add(engine.tag)
            yield from _lanes(subject, engine, timeout)


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


def read_words(engine: Engine, file: str) -> list[int]:
    """Read a memory image: a number in hexadecimal a line.

    Raises:
        FileRefused: when it is none.
    """
    text = read_text(engine.folder / file, _BYTES, WAY_OUT)
    if not re.fullmatch(r"(?:[0-9a-f]{1,512}\n)+", text):
        raise FileRefused(f"{engine.folder / file} is no memory image; {WAY_OUT}")
    return [int(line, 16) for line in text.split()]


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


# ---------------------------------------------------------------- lanes
def _lanes(subject: Subject, engine: Engine, timeout: float) -> Iterator[Obligation]:
    text = read_verilog(engine.folder, engine.file("lehr_sums"))
    lane = read_verilog(engine.folder, engine.file("lehr_lane"))
    if re.search(r"\bclose,", lane):
        return  # the greatest of some sums: tested only
    for found in dict.fromkeys(_LANE.findall(text)):
        given = {name: int(value) for name, value in _GIVEN.findall(found)}
        shown = ", ".join(f"{name} {value}" for name, value in given.items())
        claim = Claim(
            "sums",
            f"{engine.file('lehr_lane')} ({shown})",
            "one event adds the sum of the weights that it means, times its value, and the sum "
            "of all events of a step has no more bits",
            (TRIPLE,),
            partial(adds_wrongly, subject, engine, given),
        )
        if reason := lacks():
            yield claim.missing(reason)
            continue
        top = engine.module("lehr_lane")
        chosen = [each for each in faults(lane) if each.what.startswith(("+", "1"))]
        circuits = with_faults(
            {engine.file("lehr_lane"): lane}, top, [*chosen[:1], *chosen[-1:]], timeout, given
        )
        yield claim.shown(circuits[0][1], circuits[1:], timeout)


def adds_wrongly(
    subject: Subject, engine: Engine, given: Mapping[str, int], circuit: Circuit, asked: Questions
) -> dict[str, Any] | None:
    """Return what contradicts that a lane adds what an event means; None without anything."""
    clocks = Clocks(circuit, 1)
    acc, after = clocks.at(0, "acc"), clocks.at(1, "acc")
    weights, sums = clocks.at(0, "weights"), clocks.at(0, "sum")
    weight = _bits_of(engine, "WEIGHT")
    counted = weight == 1
    each = [
        widened(z3.Extract(low + weight - 1, low, weights), signed=not counted)
        for low in range(0, weights.size(), weight)
    ]
    value = widened(clocks.at(0, "value"), signed=False)
    term = widened(sums, signed=not counted)
    if given.get("VALUES"):
        term *= value
    cut = partial(z3.Extract, acc.size() - 1, 0)
    clear, add = clocks.at(0, "clear") == 1, clocks.at(0, "add") == 1
    goes_on = z3.If(add, acc + cut(term), acc)
    take, shift = clocks.at(0, "take") == 1, clocks.at(0, "shift") == 1
    kept = z3.If(take, acc, z3.If(shift, clocks.at(0, "next"), clocks.at(0, "kept")))
    claims = [
        widened(clocks.at(1, "sum"), signed=not counted) == sum(each[1:], each[0]),
        after == z3.If(clear, z3.BitVecVal(0, acc.size()), goes_on),
        clocks.at(1, "kept") == kept,
    ]
    triple = widened(clocks.at(0, "triple"), signed=False) == 3 * value
    assumed = [*clocks.facts, triple]
    if counted:  # as the sum of the clock before was made
        assumed.append(z3.ULE(sums, len(each)))
    if asked.met(assumed) is None:
        raise Undecided("nothing can meet what is assumed")
    shown = {x: clocks.at(0, x) for x in ("acc", "sum", "value", "weights")}
    if (found := asked.met([*assumed, z3.Not(z3.And(*claims))], shown)) is not None:
        return found
    return _too_large(subject, engine, acc.size(), counted=counted, narrow="ACC" in given)


def _bits_of(engine: Engine, parameter: str) -> int:
    text = read_verilog(engine.folder, engine.file("lehr_lane"))
    found = re.search(rf"parameter {parameter} = (\d+)", text)
    if found is None:
        raise FileRefused(f"lehr_lane.v has no {parameter}; {WAY_OUT}")
    return int(found[1])


def _too_large(
    subject: Subject, engine: Engine, bits: int, *, counted: bool, narrow: bool
) -> dict[str, Any] | None:
    """Return a layer whose sums need more bits than a lane has."""
    net = subject.net
    for name in net.neurons:
        if engine_of(subject, name).tag != engine.tag:
            continue
        values = net.input.kind == "u8" and any(s == INPUT for s, _, _ in synapses(net, name))
        if narrow and values:
            continue  # its channels are in other lanes
        low, high = int(subject.sums[name].low.min()), int(subject.sums[name].high.max())
        if narrow and counted:  # weights of +1 alone, without a sign
            low, bits = 0, bits + 1
        if low < -(1 << bits - 1) or high >= 1 << bits - 1:
            return {"layer": name, "sums from": low, "to": high, "bits": bits}
    return None
