"""The six statements of an update as C in integers of 128 bits, which nothing here overflows.

Written from the meaning of the statements in docs/arithmetic.md, and from nothing that writes C
elsewhere in lehr: no division, and no type but one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lehr.prove.c.files import OWN
from lehr.tables import Table
from lehr.update import (
    FIRED,
    MOST_SPIKES,
    Add,
    Bound,
    Fire,
    ForEachEvent,
    Leak,
    Program,
    Put,
    Source,
    Statement,
)

RULES: Table[Callable[..., None]] = Table("the proof", "its update is not proven")
WIDE, ANY = f"{OWN}wide", f"nondet_{OWN}any"
WIDEST = 1 << 63
"""More than any count of spikes."""
CHECKS = ("signed-overflow", "conversion", "undefined-shift")
OFF = "\n".join(
    ("#pragma CPROVER check push", *(f'#pragma CPROVER check disable "{x}"' for x in CHECKS))
)
ON = "#pragma CPROVER check pop"
"""Lines between which CBMC does not ask what is undefined: it is asked of the artefact alone."""
PREAMBLE = f"""\
#include <stddef.h>
#include <stdint.h>

typedef __int128 {WIDE};
int64_t {ANY}(void);

{OFF}
/* x / 2^n rounded: >> of CBMC is that of two's complement. */
static {WIDE} {OWN}floor({WIDE} x, int n) {{ return x >> n; }}
static {WIDE} {OWN}toward_zero({WIDE} x, int n) {{ return x < 0 ? -(-x >> n) : x >> n; }}
static {WIDE} {OWN}nearest_even({WIDE} x, int n)
{{
    const {WIDE} low = x >> n, twice = 2 * (x - low * (({WIDE})1 << n)), one = ({WIDE})1 << n;
    return twice > one || (twice == one && (low & 1)) ? low + 1 : low;
}}
static {WIDE} {OWN}towards_0({WIDE} x, {WIDE} k) {{ return x > k ? x - k : x < -k ? x + k : 0; }}
static {WIDE} {OWN}dash({WIDE} x, int n)
{{
    const {WIDE} part = x >> n;
    return part != 0 ? x - part : x > 0 ? x - 1 : x < 0 ? x + 1 : 0;
}}
/* y times x, of a y from 0 to 255. */
static {WIDE} {OWN}times({WIDE} x, {WIDE} y)
{{
    {WIDE} sum = 0;
    for (int bit = 0; bit < 8; bit++)
        if (y >> bit & 1)
            sum += x * (1 << bit);
    return sum;
}}
{ON}
"""


@dataclass
class Text:
    """The lines of a definition, while it is written.

    Attributes:
        names: the variable of every register, parameter and of `input`.
        most: of registers that hold nothing but spikes, how many at most.
        lines: what was written.
    """

    names: Mapping[str, str]
    most: Mapping[str, int]
    lines: list[str] = field(default_factory=list)

    def get(self, source: Source) -> str:
        """Return a register, a parameter or a number, in brackets."""
        return f"(({WIDE}){source})" if isinstance(source, int) else self.names[source]

    def put(self, x: str, value: str) -> None:
        """Write that a register becomes a value."""
        self.lines.append(f"{self.names[x]} = {value};")


def definition(
    program: Program, statements: Iterable[Statement], names: Mapping[str, str]
) -> list[str]:
    """Return the lines of statements, none of which is a loop.

    Args:
        program: that they are of.
        statements: of it.
        names: the variable of every register, parameter and of `input`; all of type `WIDE`.

    Raises:
        NotMappable: for a statement that has no rule here.
    """
    text = Text(names, _spikes(program))
    for statement in statements:
        RULES[type(statement)](text, statement)
    return text.lines


def _spikes(program: Program) -> dict[str, int]:
    """Return the registers that nothing but spikes are written to, and how many at most."""
    most: dict[str, int] = {}
    for s in program.all:
        if isinstance(s, Fire):
            most[s.into] = max(most.get(s.into, 0), s.up_to)
        elif isinstance(s, Add) and s.x == FIRED:
            most[s.x] = MOST_SPIKES
        elif not isinstance(s, ForEachEvent) and s != Put(s.x, 0):
            most[s.x] = WIDEST
    return {x: bound for x, bound in most.items() if bound <= MOST_SPIKES}


@RULES.rule(Leak)
def _leak(text: Text, s: Leak) -> None:
    x, k, n = text.names[s.x], text.get(s.decay.numerator), text.get(s.decay.shift)
    form, rounding = s.decay.form, s.decay.rounding
    if form == "multiply":
        text.put(s.x, f"{OWN}{rounding}({x} * {k}, (int){n})")
    elif form == "shift":
        text.put(s.x, f"{x} - {OWN}{rounding}({x}, (int){n})")
    elif form == "dash":
        text.put(s.x, f"{OWN}dash({x}, (int){n})")
    else:
        text.put(s.x, f"{OWN}towards_0({x}, {k})")


@RULES.rule(Add)
def _add(text: Text, s: Add) -> None:
    term = f"{text.get(s.source)} * {1 << s.shift}"
    if s.times:
        y, most = text.names[s.times], text.most.get(s.times, WIDEST)
        if most == 1:
            term = f"({y} != 0 ? {term} : 0)"
        else:
            term = f"{OWN}times({term}, {y})" if most <= MOST_SPIKES else f"{term} * {y}"
    text.put(s.x, f"{text.names[s.x]} {'-' if s.negative else '+'} {term}")


@RULES.rule(Put)
def _put(text: Text, s: Put) -> None:
    value = text.get(s.source)
    text.put(s.x, f"{text.names[s.when]} != 0 ? {value} : {text.names[s.x]}" if s.when else value)


@RULES.rule(Bound)
def _bound(text: Text, s: Bound) -> None:
    x, low, high = text.names[s.x], text.get(s.low), text.get(s.high)
    if s.overflow == "saturate":
        text.put(s.x, f"{x} < {low} ? {low} : {x} > {high} ? {high} : {x}")
    else:  # the lowest bits of x - low: as many as high - low has
        text.put(s.x, f"(({x} - {low}) & ({high} - {low})) + {low}")


@RULES.rule(Fire)
def _fire(text: Text, s: Fire) -> None:
    x, level, test = text.names[s.x], text.get(s.level), ">" if s.test == "gt" else ">="
    if s.up_to == 1:
        text.put(s.into, f"{x} {test} {level}")
        return
    # the one n that the definition speaks of: x passes n levels, and not one more
    n = f"{OWN}passed_{len(text.lines)}"
    text.lines += [
        f"const {WIDE} {n} = (uint16_t){ANY}();",
        f"__CPROVER_assume({n} <= {s.up_to});",
        f"const {WIDE} {n}_levels = {n} * {level};",
        f"__CPROVER_assume({n} == 0 || {x} {test} {n}_levels);",
        f"__CPROVER_assume({n} == {s.up_to} || !({x} {test} {n}_levels + {level}));",
    ]
    text.put(s.into, n)
