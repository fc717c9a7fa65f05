"""The C program that CBMC is asked about: an artefact's update beside the definition's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lehr.errors import FileRefused
from lehr.prove.c.cbmc import MET, SHOWN
from lehr.prove.c.files import AGAIN, MODEL, OWN
from lehr.prove.c.text import ANY, OFF, ON, PREAMBLE, WIDE, definition
from lehr.prove.c.uses import Case, Use, own_name
from lehr.prove.widths.guesses import Box
from lehr.update import FIRED, INPUT, MOST_SPIKES

PROGRAM = "lehr_proof.c"
DEFINED = "is what the definition says"


def program(use: Use, case: Case) -> str:
    """Return a program that claims what the artefact keeps of a neuron to be what is defined.

    Registers, parameters and what comes are any numbers within the bounds of a case. The lines in
    which a layer has a neuron updated are the artefact's own; where they read and write the state
    and tables, they read and write variables.

    Raises:
        FileRefused: when these lines read anything else.
        NotMappable: when a type of statement has no rule.
    """
    lines = [
        *_any(use, case),
        *_memory(use),
        *_called(use),
        OFF,
        *_defined(use),
        *_claims(use),
        ON,
    ]
    body = "\n".join(f"    {line}" for line in lines)
    return f'{PREAMBLE}\n#include "{MODEL}"\n\nint main(void)\n{{\n{body}\n    return 0;\n}}\n'


def _any(use: Use, case: Case) -> Iterator[str]:
    """Yield variables of any value within bounds."""
    fixed = dict(case.fixed)
    for name in case.boxes[0]:
        if name in fixed:
            yield f"const int64_t {SHOWN}{name} = {fixed[name]}LL;"
            continue
        # of no more bits than its bounds need, which leaves the solver less to find out
        bits = 1 + max(abs(end).bit_length() for box in case.boxes for end in box[name])
        yield f"signed __CPROVER_bitvector[{bits}] {OWN}any_{name};"
        yield f"const int64_t {SHOWN}{name} = {OWN}any_{name};"
    yield f"__CPROVER_assume({' || '.join(map(_within, case.boxes))});"
    if use.kind == "event":
        yield f"__CPROVER_assume({SHOWN}{INPUT} != 0);"


def _within(box: Box) -> str:
    ends = (f"{SHOWN}{x} >= {low}LL && {SHOWN}{x} <= {high}LL" for x, (low, high) in box.items())
    return f"({' && '.join(ends)})"


def _memory(use: Use) -> Iterator[str]:
    """Yield what the state keeps of a neuron, in its types."""
    for register, member in use.members.items():
        kind = f"__typeof__(((lehr_state *)0)->{member}[0])"
        if _begins(use, register):
            yield f"{kind} {OWN}of_{register} = ({kind}){SHOWN}{register};"
            claim = f"memory holds {register}"
            yield f'__CPROVER_assert({OWN}of_{register} == {SHOWN}{register}, "{claim}");'
        else:
            yield f"{kind} {OWN}of_{register} = ({kind}){ANY}();"


def _begins(use: Use, register: str) -> bool:
    """Return whether a register has a value before these statements, and not 0."""
    return use.kind in ("event", "end") or register in use.program.states


def _called(use: Use) -> Iterator[str]:
    """Yield the lines of the artefact, with variables in place of the state and of tables."""
    text = use.call.text
    given = []
    for name, expression in zip(use.update.takes, use.call.given, strict=True):
        parameter = own_name(name, (INPUT, *use.program.parameters))
        table = re.fullmatch(r"(\w+)\[[ci]\]", expression)
        if name == INPUT:
            given.append(f"{SHOWN}{INPUT}")
        elif table:
            kind = f"__typeof__({table[1]}[0])"
            yield f"const {kind} {OWN}of_{table[1]} = ({kind}){SHOWN}{parameter};"
            claim = f"the table holds {parameter}"
            yield f'__CPROVER_assert({OWN}of_{table[1]} == {SHOWN}{parameter}, "{claim}");'
            given.append(f"{OWN}of_{table[1]}")
        elif re.fullmatch(r"-?\d+", expression):
            given.append(expression)
        else:
            raise _unlike(use, expression)
    old, new = ("".join(f", {each}" for each in those) for those in (use.call.given, given))
    text = text.replace(f"(r{old});", f"(r{new});", 1)
    for register, member in use.members.items():
        text = text.replace(f"s->{member}[i]", f"{OWN}of_{register}")
    if left := re.search(r"\bs\b.*|.*[\[{#].*", text.replace("r = {", "", 1)):
        raise _unlike(use, left[0].strip())
    yield "{"
    yield from (f"    {line.strip()}" for line in text.splitlines())
    yield "}"


def _unlike(use: Use, what: str) -> FileRefused:
    return FileRefused(f"{MODEL} has {what[:60]!r} where {use.update.name} is called; {AGAIN}")


def _defined(use: Use) -> Iterator[str]:
    """Yield what the definition makes of the same."""
    names = {}
    for x in (*use.program.registers, *use.program.parameters, INPUT):
        names[x] = f"{OWN}def_{x}"
        register = x in use.program.registers
        known = _begins(use, x) if register else x != INPUT or use.kind in ("step", "event")
        value = f"{SHOWN}{x}" if known else "0"
        yield f"{'' if register else 'const '}{WIDE} {names[x]} = {value};"
    yield from definition(use.program, use.statements, names)
    yield f"__CPROVER_assume({names[FIRED]} <= {MOST_SPIKES});"


def _claims(use: Use) -> Iterator[str]:
    for x in use.members:
        artefact, defined = f"{OWN}of_{x}", f"{OWN}def_{x}"
        yield f"const int64_t {SHOWN}{x}_there = {artefact};"
        yield f"const int64_t {SHOWN}{x}_defined = (int64_t){defined};"
        yield f'__CPROVER_assert({artefact} == {defined}, "{x} {DEFINED}");'
    yield f'__CPROVER_assert(0, "{MET}");'
