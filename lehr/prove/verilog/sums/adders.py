"""The lanes of an fpga artefact: what one event adds to a sum, and the greatest of several sums.

A lane adds modulo 2 to the power of its bits, which is shown of one event and so is true of any
number; that the sum of all of them has no more bits is seen from the bounds of sums.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from lehr.arithmetic import Int64
from lehr.errors import FileRefused
from lehr.network import INPUT, Network
from lehr.prove.obligations import Obligation
from lehr.prove.solver import z3
from lehr.prove.subject import Subject
from lehr.prove.verilog.bits import widened
from lehr.prove.verilog.circuit import Claim, with_faults
from lehr.prove.verilog.engines import Engine, engine_of
from lehr.prove.verilog.faults import Fault, faults
from lehr.prove.verilog.questions import Questions, Undecided, lacks
from lehr.prove.verilog.sums.reaching import Synapses, reaching, sources_of
from lehr.prove.verilog.yosys import WAY_OUT, Circuit, Clocks, read_verilog

_LANE = re.compile(r"\blehr_lane\w* #\(((?:\.\w+\(\d+\)(?:, )?)+)\) adder")
_GIVEN = re.compile(r"\.(\w+)\((\d+)\)")
WINDOW = "each window has a place on the map"
MEANT = "weights that are not meant are 0, as the first word of each of their memories is"
TRIPLE = "`triple` is three times `value`"


def prove(subject: Subject, engine: Engine, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each kind of lane of an engine.

    Raises:
        FileRefused: when the Verilog is not as lehr writes it.
        NotMappable: for a node whose effect is not known, where sums are compared.
    """
    text = read_verilog(engine.folder, engine.file("lehr_sums"))
    lane = read_verilog(engine.folder, engine.file("lehr_lane"))
    maxima = re.search(r"\bclose,", lane) is not None
    greatest = "the greatest sum of the places of a window on the map is kept, " if maxima else ""
    for found in dict.fromkeys(_LANE.findall(text)):
        given = {name: int(value) for name, value in _GIVEN.findall(found)}
        shown = ", ".join(f"{name} {value}" for name, value in given.items())
        claim = Claim(
            "sums",
            f"{engine.file('lehr_lane')} ({shown})",
            "one event adds the sum of the weights that it means, times its value, "
            f"{greatest}and the sum of all events of a step has no more bits",
            (TRIPLE, *((WINDOW,) if maxima else ()), *((MEANT,) if "COUNT" in lane else ())),
            partial(adds_wrongly, subject, engine, given),
        )
        if reason := lacks():
            yield claim.missing(reason)
            continue
        top = engine.module("lehr_lane")
        circuits = with_faults({engine.file("lehr_lane"): lane}, top, _chosen(lane), timeout, given)
        yield claim.shown(circuits[0][1], circuits[1:], timeout)


def _chosen(lane: str) -> list[Fault]:
    """Return a few faults: where sums are compared, where they are added, and the last constant."""
    every = list(faults(lane))
    compared = [each for each in every if each.what.startswith(">")]
    added = [each for each in every if each.what.startswith(("+", "1"))]
    return [*compared[:1], *added[:1], *added[-1:]]


def adds_wrongly(
    subject: Subject, engine: Engine, given: Mapping[str, int], circuit: Circuit, asked: Questions
) -> dict[str, Any] | None:
    """Return what contradicts that a lane adds what an event means; None without anything."""
    clocks = Clocks(circuit, 1)
    now, after = partial(clocks.at, 0), partial(clocks.at, 1)
    acc, weights, sums = now("acc"), now("weights"), now("sum")
    lane = read_verilog(engine.folder, engine.file("lehr_lane"))
    weight = parameter_of(lane, "WEIGHT")
    counted = weight == 1 and "count" not in circuit.wires  # those of +1 alone
    each = [
        widened(z3.Extract(low + weight - 1, low, weights), signed=weight > 1)
        for low in range(0, weights.size(), weight)
    ]
    meant = sum(each[1:], each[0])
    if "count" in circuit.wires:
        meant = 2 * meant - widened(now("count"), signed=False)
    value = widened(now("value"), signed=False)
    term = widened(sums, signed=not counted)
    if given.get("VALUES"):
        term *= value
    zero = z3.BitVecVal(0, acc.size())
    added = z3.If(now("add") == 1, acc + z3.Extract(acc.size() - 1, 0, term), acc)
    take, shift = now("take") == 1, now("shift") == 1
    claims = [widened(after("sum"), signed=not counted) == meant]
    ended = acc
    if "close" in circuit.wires:
        ended, added, more = _greatest(clocks, added)
        claims += more
    kept = z3.If(take, ended, z3.If(shift, now("next"), now("kept")))
    claims += [
        after("acc") == z3.If(now("clear") == 1, zero, added),
        after("kept") == kept,
    ]
    triple = widened(now("triple"), signed=False) == 3 * value
    assumed = [*clocks.facts, triple]
    if counted:  # as the sum of the clock before was made
        assumed.append(z3.ULE(sums, len(each)))
    if "count" in circuit.wires:
        count = widened(now("count"), signed=False)
        assumed += [z3.ULE(count, len(each)), z3.ULE(sum(each[1:], each[0]), count)]
    if asked.met(assumed) is None:
        raise Undecided("nothing can meet what is assumed")
    shown = {x: now(x) for x in ("acc", "sum", "value", "weights")}
    if (found := asked.met([*assumed, z3.Not(z3.And(*claims))], shown)) is not None:
        return found
    return _too_large(subject, engine, acc.size(), counted=counted, narrow="ACC" in given)


def _greatest(clocks: Clocks, added: Any) -> tuple[Any, Any, list[Any]]:
    """Return what is kept at an end, and where sums go on from, with the greatest of a window.

    With them comes what is claimed of the registers of the greatest, and of the terms before.
    """
    now, after = partial(clocks.at, 0), partial(clocks.at, 1)
    acc, best = now("acc"), now("best")
    close, leave, clear = (now(each) == 1 for each in ("close", "leave", "clear"))
    some, there = now("some") == 1, now("there") == 1
    greatest = z3.If(some, z3.If(z3.And(there, acc > best), acc, best), acc)
    zero = before = z3.BitVecVal(0, acc.size())
    claims = [after("best") == z3.If(close, greatest, best)]
    if "added" in clocks.circuit.wires:
        before = now("added")
        terms = z3.If(z3.And(close, leave), greatest, before)
        claims.append(after("added") == z3.If(clear, zero, terms))
    return z3.If(close, greatest, acc), z3.If(close, z3.If(leave, greatest, before), added), claims


def parameter_of(text: str, name: str) -> int:
    """Return the number of a module's parameter.

    Raises:
        FileRefused: when it has none of the name.
    """
    found = re.search(rf"parameter {name} = (\d+)", text)
    if found is None:
        raise FileRefused(f"the Verilog has no parameter {name}; {WAY_OUT}")
    return int(found[1])


def _too_large(
    subject: Subject, engine: Engine, bits: int, *, counted: bool, narrow: bool
) -> dict[str, Any] | None:
    """Return a layer whose sums need more bits than a lane has."""
    net = subject.net
    for name in net.neurons:
        if engine_of(subject, name).tag != engine.tag:
            continue
        values = net.input.kind == "u8" and INPUT in sources_of(net, name)
        if narrow and values:
            continue  # its channels are in other lanes
        low, high = bounds_of(net, name)
        holds = bits
        if narrow and counted:  # weights of +1 alone, without a sign
            low, holds = 0, bits + 1
        if low < -(1 << holds - 1) or high >= 1 << holds - 1:
            return {"layer": name, "sums from": low, "to": high, "bits": bits}
    return None


def bounds_of(net: Network, name: str) -> tuple[int, int]:
    """Return bounds of all sums on the way to a layer's, those of each place of a window too.

    Raises:
        NotMappable: for a node whose effect is not known.
    """
    size = math.prod(net.shapes[name])
    total = np.zeros((2, size), np.int64)
    terms: dict[int, list[Int64]] = {}
    for source in sources_of(net, name):
        most = net.input.highest if source == INPUT else net.neurons[source].program.most_spikes
        found = reaching(net, name, source)
        total += _ends(found.sums, size) * most
        for number, places in enumerate(found.maxima):
            ends = [_ends(late, size) * most for late, _ in places]
            so_far = terms.get(number, [np.zeros((2, size), np.int64)] * len(ends))
            terms[number] = [a + b for a, b in zip(so_far, ends, strict=True)]
    for of_term in terms.values():
        total[0] += np.min([low for low, _ in of_term], axis=0)
        total[1] += np.max([high for _, high in of_term], axis=0)
    return int(total[0].min()), int(total[1].max())


def _ends(late: Mapping[int, Synapses], size: int) -> Int64:
    """Return the sums of negative and of positive weights to each neuron, int64 `[2, neurons]`."""
    ends = np.zeros((2, size), np.int64)
    for each in late.values():
        np.add.at(ends[0], each.neurons, np.minimum(each.weights, 0))
        np.add.at(ends[1], each.neurons, np.maximum(each.weights, 0))
    return ends
