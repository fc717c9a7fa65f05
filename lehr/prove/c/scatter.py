"""One value into the sums of the generated C: it adds its weights at its places, and nothing else.

What a function adds is counted, not summed: of one value, one weight and one place, which may be
any, how often the weight goes to the place. No question has a sum in it, and tables may hold
anything. Sums are those of the weights then, as none that can come leaves its type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from lehr.errors import FileRefused
from lehr.nodes import SumPool2d
from lehr.prove.c.cbmc import MET, MISSING, SHOWN, Asked, available, version
from lehr.prove.c.faults import Fault, faults, with_fault
from lehr.prove.c.files import (
    AGAIN,
    HEADER,
    MODEL,
    OWN,
    WEIGHTS,
    CFiles,
    Update,
    read_c,
    tables,
    without_values,
)
from lehr.prove.c.harness import PROGRAM
from lehr.prove.c.places import WIDTH, placed
from lehr.prove.obligations import Obligation, State
from lehr.prove.subject import Subject
from lehr.prove.sums_reached import arriving_reached, magnitude, pulses_reached
from lehr.targets.names import identifiers

CLAIM = (
    "a value adds each of its weights as often as the network says, at the network's places; "
    "nothing is undefined, and no sum leaves its type"
)
ASSUMED = (
    "each value that is not 0 comes to the function once in a step, and sums begin at 0",
    "an int of C has 32 bits",
)
TRIED = 6
"""Faults that are put in, until one is seen."""
_INDEX = "out + "
"""What stands in lines that say where a value goes: faults in them are put in first."""
ADD, PLACE, WEIGHT, TIMES = f"{OWN}add", f"{SHOWN}output", f"{SHOWN}weight", f"{SHOWN}times_there"
_FUNCTION = re.compile(
    r"^static void scatter_(?P<id>\w+)\(size_t i, int32_t x, (?P<type>int\d+_t) \*out\)\n"
    r"\{\n(?P<body>.*?)^\}\n",
    re.MULTILINE | re.DOTALL,
)
_ADDS = re.compile(
    r"(?P<at>\*\w+|\w+\[[^\]]*\]) = \((?P<type>int\d+_t)\)\((?P=at) \+ (?P<term>.*)\);"
)
_BIT = re.compile(r"\(\(\*bits & (\d+)\) != 0 \? x : -x\)")
_POINTER = re.compile(r"\bu?int\d+_t \*(const )?\w+ = ")
_LEFT = re.compile(r"\bx\b|(\*\w+|\w+\]) ([-+*/|&^]|<<|>>)?= |(\*\w+|\w+\])(\+\+|--)")
"""What is in no statement but of sums: the value, and whatever writes to memory."""
_ENTRY = re.compile(r"(\w+\[[^\]]*\]) \* x")


@dataclass(frozen=True)
class Scatter:
    """A function that adds what one value makes of some sums.

    Attributes:
        id: its node's name in C.
        c_type: of a sum.
        body: its statements.
        span: where they stand in the file.
        node: the name of the node.
        pool: of the pool whose sums it adds to; empty where they are the node's own.
        events: whether single events pass it.
    """

    id: str
    c_type: str
    body: str
    span: tuple[int, int]
    node: str
    pool: str
    events: bool

    @property
    def update(self) -> Update:
        """Return it as faults are put into it."""
        return Update(f"scatter_{self.id}", (), self.body, self.span)


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each node whose sums lehr_model.c adds up value by value.

    Args:
        subject: the artefact.
        timeout: seconds of the processor for a question.

    Raises:
        FileRefused: when a file of the artefact cannot be read, or is not as lehr writes it.
    """
    assert subject.folder is not None
    files = read_c(subject.folder)
    for scatter in scatters(subject, files):
        if available():
            yield _proven(subject, files, scatter, Asked(timeout))
        else:
            name = scatter.update.name
            yield Obligation("sums", name, CLAIM, ASSUMED, "missing", version(), reason=MISSING)


def scatters(subject: Subject, files: CFiles) -> Iterator[Scatter]:
    """Yield the functions that add up what single values make.

    Raises:
        FileRefused: when one is of no node, or is called in a way that lehr does not write.
    """
    nodes = {called: name for name, called in identifiers(subject.net.order).items()}
    text = files.texts[MODEL]
    for each in _FUNCTION.finditer(text):
        name = nodes.get(each["id"])
        calls = set(re.findall(rf"\bscatter_{each['id']}\([^;]*, ([^;, ]+)\);", text))
        if name is None or not calls:
            raise _unlike(f"scatter_{each['id']}")
        pools = {nodes.get(into.removeprefix("s->").removeprefix("values_"), "") for into in calls}
        pools = {into for into in pools if into != name and _pools(subject, into, name)}
        if pools and len(calls) > 1:
            raise _unlike(f"scatter_{each['id']}")
        events = any(re.match(r"s->(arriving|pulse)_", into) for into in calls)
        span = each.span("body")
        pool = next(iter(pools), "")
        yield Scatter(each["id"], each["type"], each["body"], span, name, pool, events)


def _pools(subject: Subject, pool: str, name: str) -> bool:
    node = subject.net.nodes.get(pool)
    return isinstance(node, SumPool2d) and subject.net.sources(pool) == (name,)


def _unlike(what: str) -> FileRefused:
    return FileRefused(f"{what} of {MODEL} is not as lehr writes it; {AGAIN}")


def _proven(subject: Subject, files: CFiles, scatter: Scatter, asked: Asked) -> Obligation:
    failed: dict[str, Any] = beyond(subject, scatter)
    reason, seen = "", ""
    if not failed:
        answer = asked.about(question(subject, files, scatter), *unwound(subject, scatter))
        if answer.failed:
            claim, values = next(iter(answer.failed.items()))
            failed = {"node": scatter.node, "claim": claim, **values}
        reason = answer.why or ("" if answer.met else "nothing can meet what is assumed")
        if not failed and not reason:
            seen = _fault_seen(subject, files, scatter, asked)
            reason = "" if seen else "no fault that was put in was seen"
    state: State = "refuted" if failed else "undecided" if reason else "proven"
    return Obligation(
        "sums",
        scatter.update.name,
        CLAIM,
        ASSUMED,
        state,
        version(),
        asked.seconds,
        asked.queries,
        seen,
        failed,
        "" if failed else reason,
    )


def _fault_seen(subject: Subject, files: CFiles, scatter: Scatter, asked: Asked) -> str:
    """Return a fault in a copy of the function that CBMC refutes; empty if none is seen."""
    every = sorted(faults(files, scatter.update), key=lambda fault: _INDEX not in fault.what)
    next_one = Fault(
        "'out[i + 1]' in place of 'out[i]'", scatter.body.replace("out[i]", "out[i + 1]")
    )
    for fault in islice(every or [next_one], TRIED):
        changed = with_fault(files, scatter.update, fault)
        span = (scatter.span[0], scatter.span[0] + len(fault.body))
        other = replace(scatter, body=fault.body, span=span)
        try:
            text = question(subject, changed, other)
        except FileRefused:  # it is no sum any more
            continue
        if asked.about(text, *unwound(subject, scatter)).failed:
            return fault.what
    return ""


def unwound(subject: Subject, scatter: Scatter) -> tuple[str, ...]:
    """Return the option that bounds loops; one that goes on is a claim that fails."""
    net, numbers = subject.net, [WIDTH]
    for name in filter(None, (scatter.node, scatter.pool)):
        node, shape = net.nodes[name], net.shapes[name]
        numbers += [shape[0], *getattr(node, "kernel", ()), *getattr(node, "scale", ())]
        numbers += np.shape(getattr(node, "weight", ()))[2:]
    most = max(numbers)
    return ("--unwind", str(most + 2))


def beyond(subject: Subject, scatter: Scatter) -> dict[str, Any]:
    """Return a sum that its type does not hold, of the values that can come; empty if none."""
    net = subject.net
    bits = int(scatter.c_type.strip("_tin"))
    low, high = arriving_reached(net)[scatter.node]
    most = magnitude(net.nodes[scatter.node], np.maximum(np.abs(low), np.abs(high)))
    if scatter.pool:
        most = magnitude(net.nodes[scatter.pool], most)
    for each in [most, *(pulses_reached(net, scatter.node) if scatter.events else ())]:
        if (largest := int(each.max())) >= 1 << bits - 1:
            return {"node": scatter.node, "sum": largest, "bits": bits}
    return {}


def question(subject: Subject, files: CFiles, scatter: Scatter) -> dict[str, str]:
    """Return the program that counts, and the files that it includes."""
    net = subject.net
    source = net.shapes[net.sources(scatter.node)[0]]
    into = scatter.pool or scatter.node
    inputs, outputs = int(np.prod(source)), int(np.prod(net.shapes[into]))
    table = next(
        (t for t in (f"weight_{scatter.id}", f"factor_{scatter.id}") if t in scatter.body), ""
    )
    known = tables(files)
    if table and table not in known:
        raise _unlike(table)
    entries = len(known[table].values) * (8 if _BIT.search(scatter.body) else 1) if table else 1
    start, end = scatter.span
    text = files.texts[MODEL]
    counted = _counted(scatter, table)
    asked = placed(net, scatter.node, scatter.pool)
    lines = "\n    ".join(
        (
            *(line for x, most in {"i": inputs, **asked.below}.items() for line in _any(x, most)),
            f"const size_t {SHOWN}input = i;",
            f"{PLACE} = {asked.output};",
            f"{WEIGHT} = {asked.weight};",
            f"scatter_{scatter.id}(i, 1, {OWN}sums);",
            "uint8_t times = 0;",
            *asked.lines,
            f"const uint8_t {SHOWN}times_defined = times;",
            f'__CPROVER_assert({TIMES} == times, "a weight is added as often as it is defined");',
            f'__CPROVER_assert(0, "{MET}");',
        )
    )
    program = f"""\
#include <stddef.h>
#include <stdint.h>

static uint32_t {PLACE}, {WEIGHT};
static uint8_t {TIMES};
static {scatter.c_type} {OWN}sums[{outputs}];
static void {ADD}(ptrdiff_t output, ptrdiff_t weight)
{{
    __CPROVER_assert(output >= 0 && output < {outputs}, "the place is one of the sums");
    __CPROVER_assert(weight >= 0 && weight < {entries}, "the weight is one of the table");
    if ((uint32_t)output == {PLACE} && (uint32_t)weight == {WEIGHT})
        {TIMES} = {TIMES} == 0 ? 1 : 2; /* or more: no weight is defined to be added twice */
}}
#include "{MODEL}"

int main(void)
{{
    {lines}
    return 0;
}}
"""
    return {
        PROGRAM: program,
        MODEL: text[:start] + counted + text[end:],
        HEADER: files.texts[HEADER],
        WEIGHTS: without_values(files.texts[WEIGHTS]),
    }


def _any(name: str, below: int) -> tuple[str, ...]:
    """Return the declaration of any number below another, of no more bits than it needs."""
    bits = max(1, (below - 1).bit_length())
    return (
        f"unsigned __CPROVER_bitvector[{bits}] {OWN}any_{name};",
        f"const size_t {name} = {OWN}any_{name};",
        f"__CPROVER_assume({name} < {below});",
    )


def _counted(scatter: Scatter, table: str) -> str:
    """Return the statements of a function, with a call in place of each sum.

    Raises:
        FileRefused: when there is a statement of another form.
    """

    def call(found: re.Match[str]) -> str:
        bit, entry = _BIT.fullmatch(found["term"]), _ENTRY.fullmatch(found["term"])
        if found["type"] != scatter.c_type:
            raise _unlike(scatter.update.name)
        if bit and (mask := int(bit[1])).bit_count() == 1:
            weight = f"8 * (bits - {table}) + {mask.bit_length() - 1}"
        elif entry and table:
            weight = f"&{entry[1]} - {table}"
        elif found["term"] == "x" and not table:
            weight = "0"
        else:
            raise _unlike(scatter.update.name)
        return f"{ADD}(&{found['at']} - out, {weight});"

    body = _ADDS.sub(call, scatter.body)
    if _LEFT.search(_POINTER.sub("", body)):
        raise _unlike(scatter.update.name)
    return body
