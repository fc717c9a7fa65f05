"""Faults of a generated update that a proof does not refute: what CBMC says of each.

A fault that gives the same for all numbers, of more bits than those between their bounds too, is
none. One that differs beyond the bounds alone is beyond the claim, and an example of that is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lehr.errors import FileRefused
from lehr.prove.c.arithmetic import given
from lehr.prove.c.cbmc import MET, SHOWN, Asked
from lehr.prove.c.faults import Fault, with_fault
from lehr.prove.c.files import AGAIN, MODEL, OWN, CFiles
from lehr.prove.c.harness import program
from lehr.prove.c.text import OFF, PREAMBLE
from lehr.prove.c.uses import Use, own_name

BEYOND = 2
"""Bits by which numbers may be longer than those between their bounds."""
SAME = "both functions give the same"


def said_of(files: CFiles, use: Use, fault: Fault, asked: Asked) -> str:
    """Return why a fault is not seen; empty where it is."""
    for case in use.cases:
        answer = asked.about(given(with_fault(files, use.update, fault), program(use, case)))
        if answer.failed:
            return ""
        if answer.why or not answer.met:
            return f"undecided: {answer.why or 'nothing can meet what is assumed'}"
    answer = asked.about(given(files, "\n".join(_both(files, use, fault))))
    values = next((each for claim, each in answer.failed.items() if claim.startswith(SAME)), None)
    if values is not None:
        example = ", ".join(f"{x} = {value}" for x, value in values.items())
        return f"the same within bounds, another beyond them: {example}"
    if answer.why or not answer.met:
        return f"the same within bounds, beyond them undecided: {answer.why}"
    return f"the same within bounds and {BEYOND} bits beyond"


def _both(files: CFiles, use: Use, fault: Fault) -> Iterator[str]:
    """Yield a program that claims the function and its copy with the fault to give the same."""
    text, name = files.texts[MODEL], use.update.name
    before = text[: use.update.span[0]]
    head = re.search(rf"static inline (\w+) {name}\((\w+ r[^)]*)\)\s*\{{\s*$", before)
    held = head and re.search(rf"typedef struct \{{([^}}]*)\}} {head[1]};", before)
    if head is None or held is None:
        raise FileRefused(f"{MODEL} has no {name} as lehr writes it; {AGAIN}")
    members = [
        (kind, x)
        for kind, names in re.findall(r"(\w+) ([^;]+);", held[1])
        for x in names.split(", ")
    ]
    taken = re.findall(r", (\w+) (\w+)", head[2])
    given_too = "".join(f", {SHOWN}{x}" for _, x in taken)
    yield PREAMBLE
    yield OFF
    yield f'#include "{MODEL}"'
    yield f"static {head[1]} {OWN}other({head[2]})\n{{{fault.body}}}"
    yield f"int main(void)\n{{\n    {head[1]} r;"
    boxes = [box for case in use.cases for box in case.boxes]
    for kind, x in (*members, *taken):
        known = own_name(x, tuple(boxes[0]))
        ends = [abs(end).bit_length() for box in boxes for end in box.get(known, (0, 0))]
        yield f"    signed __CPROVER_bitvector[{1 + max(ends) + BEYOND}] {OWN}any_{x};"
        yield f"    const {kind} {SHOWN}{x} = ({kind}){OWN}any_{x};"
    for _, x in members:
        yield f"    r.{x} = {SHOWN}{x};"
    yield f"    const {head[1]} one = {name}(r{given_too}), other = {OWN}other(r{given_too});"
    for _, x in members:
        yield f'    __CPROVER_assert(one.{x} == other.{x}, "{SAME} {x}");'
    yield f'    __CPROVER_assert(0, "{MET}");\n    return 0;\n}}'
