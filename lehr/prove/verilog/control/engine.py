"""The control of an fpga artefact's engine, by induction over clocks: what holds in one holds next.

Memories and the circuit of the neuron are taken out: whatever they give, the claims hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from lehr.prove.obligations import Obligation
from lehr.prove.solver import z3
from lehr.prove.subject import Subject
from lehr.prove.verilog.boxes import MEMORIES, with_boxes
from lehr.prove.verilog.circuit import Claim, with_faults
from lehr.prove.verilog.engines import Engine, engine_of
from lehr.prove.verilog.faults import Fault, faults
from lehr.prove.verilog.questions import Questions, Undecided, lacks
from lehr.prove.verilog.yosys import Circuit, Clocks, read_verilog

OPENS = "a layer is opened, and an inference begins, when no neuron is on its way"
RESET = "the clock that resets the module is before the first"


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield what is shown of each engine's list of events and of its two memories of states.

    Raises:
        FileRefused: when the Verilog is not as lehr writes it.
    """
    engines = dict.fromkeys(engine_of(subject, name).tag for name in subject.net.neurons)
    for name in subject.net.neurons:
        engine = engine_of(subject, name)
        if engine.tag in engines:
            del engines[engine.tag]
            yield from _of(engine, timeout)


def _of(engine: Engine, timeout: float) -> Iterator[Obligation]:
    events, neurons = engine.file("lehr_events"), engine.file("lehr_neurons")
    text = read_verilog(engine.folder, events)
    if "more_spikes" in text:
        claim = Claim(
            "control",
            events,
            "every bit that is set in a word of spikes leaves it once, the lowest first, and "
            "none that is not",
            (RESET,),
            leaves_once,
        )
        yield _shown(claim, {events: text}, engine.module("lehr_events"), "later", timeout)
    claim = Claim(
        "control",
        neurons,
        "each memory of states is read or written in a clock, never both, at the neuron that "
        "begins or ends",
        (OPENS, RESET),
        apart,
    )
    module = engine.module("lehr_neurons")
    files = with_boxes(engine.folder, module, MEMORIES | {"lehr_neuron"})
    yield _shown(claim, files, module, "phase", timeout)


def _shown(claim: Claim, files: dict[str, str], top: str, near: str, timeout: float) -> Obligation:
    if reason := lacks():
        return claim.missing(reason)
    (_, circuit), *faulty = with_faults(files, top, _about(files[f"{top}.v"], near), timeout)
    return claim.shown(circuit, faulty, timeout)


def _about(text: str, word: str) -> list[Fault]:
    """Return the first faults in lines that name a word."""
    lines = text.splitlines()
    return [each for each in faults(text) if word in lines[each.line - 1]][:3]


def leaves_once(circuit: Circuit, asked: Questions) -> dict[str, Any] | None:
    """Return what contradicts that every bit of a word leaves it once."""
    clocks = Clocks(circuit, 1)
    before, after = partial(clocks.at, 0), partial(clocks.at, 1)
    here, later, index = before("here"), before("later"), before("index")
    size = here.size()
    at = z3.ZeroExt(size - index.size(), index) if index.size() < size else index
    bit = z3.BitVecVal(1, size) << at
    spikes = before("values") == 0 if "values" in circuit.wires else z3.BoolVal(True)
    assumed = [*clocks.facts, before("rst") == 0, before("valid") == 1, spikes]
    more, there = before("more") == 1, here != 0
    kept = ("element", "offsets_1", "heard_1")
    claims = [
        (after("hit") == 1) == there,
        z3.Implies(there, z3.And(here & bit != 0, here & (bit - 1) == 0, later == here & ~bit)),
        more == (later != 0),
        z3.Implies(more, z3.And(after("here") == later, after("valid") == 1)),
        z3.Implies(more, z3.And(*(before(each) == after(each) for each in kept))),
        z3.Implies(z3.Not(more), after("valid") == before("scans")),
        z3.Implies(z3.Not(more), after("fresh") == 1),
    ]
    if "values" in circuit.wires:
        claims.append(z3.Implies(more, after("values") == 0))
    return _contradicted(assumed, claims, {"word": here, "scans": before("scans")}, asked)


def apart(circuit: Circuit, asked: Questions) -> dict[str, Any] | None:
    """Return what contradicts that the memories of states are read and written apart."""
    clocks = Clocks(circuit, 1)
    assumed = [*clocks.facts, *_in_order(clocks, 0)]
    idle = [clocks.at(0, "valid") == 0, clocks.at(0, "left") == 0]
    begins = [clocks.at(0, wire) == 1 for wire in ("opens", "restart")]
    assumed.append(z3.Implies(z3.Or(*begins), z3.And(*idle)))
    assumed.append(clocks.at(0, "rst") == 0)
    issue, retire = clocks.at(0, "issue") == 1, clocks.at(0, "retire") == 1
    neuron, retired = clocks.at(0, "neuron"), clocks.at(0, "retired")
    claims = list(_in_order(clocks, 1))
    for memory, odd in (("even_ram", 0), ("odd_ram", 1)):
        reads = z3.And(issue, z3.Extract(0, 0, neuron) == odd)
        writes = z3.And(retire, z3.Extract(0, 0, retired) == odd)
        enable, write = clocks.at(0, f"{memory}.enable") == 1, clocks.at(0, f"{memory}.write") == 1
        claims += [z3.Not(z3.And(reads, writes)), enable == z3.Or(reads, writes)]
        claims.append(z3.Implies(enable, write == writes))
        address = clocks.at(0, f"{memory}.address")
        if neuron.size() > 1:
            half = neuron.size() - 1
            claims += [
                z3.Implies(reads, address == z3.Extract(half, 1, neuron)),
                z3.Implies(writes, address == z3.Extract(half, 1, retired)),
            ]
    shown = {x: clocks.at(0, x) for x in ("phase", "valid", "neuron", "retired", "left")}
    return _contradicted(assumed, claims, shown, asked)


def _in_order(clocks: Clocks, at: int) -> Iterator[Any]:
    """Yield what is true of the neurons on their way: they follow one another, in their phases."""
    valid, phase = clocks.at(at, "valid"), clocks.at(at, "phase")
    neuron, older = clocks.at(at, "neuron"), clocks.at(at, "retired")
    for stage in reversed(range(valid.size())):
        there = z3.Extract(stage, stage, valid)
        turn = phase if stage % 2 else ~phase
        yield z3.Implies(there == 1, z3.Extract(0, 0, older) == turn)
        wide = neuron.size()
        older = older + (z3.ZeroExt(wide - 1, there) if wide > 1 else there)
    yield older == neuron


def _contradicted(
    assumed: list[Any], claims: list[Any], shown: dict[str, Any], asked: Questions
) -> dict[str, Any] | None:
    if asked.met(assumed) is None:
        raise Undecided("nothing can meet what is assumed")
    return asked.met([*assumed, z3.Not(z3.And(*claims))], shown)
