"""Update of a neuron as C99: pure functions from registers to registers, a rule for a statement.

Nothing is left to compilers: no number overflows (targets/c/updates.py chooses the type), no
negative number is shifted, what is divided by is above 0, and what wraps is unsigned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from lehr.arithmetic import Rounding
from lehr.tables import Table
from lehr.targets.c.parts import Part, named, parts, plain
from lehr.update import (
    FIRED,
    INPUT,
    MOST_SPIKES,
    Add,
    Bound,
    Fire,
    ForEachEvent,
    Leak,
    Program,
    Put,
    Source,
    written,
)
from lehr.update_text import TO_TEXT

RULES: Table[Callable[..., list[str]]] = Table("target c", "say the update in other statements")
LOWEST, HIGHEST = -(2**31), 2**31 - 1
DIVISIONS = ("divide_toward_zero", "divide_floor", "divide_nearest_even", "dash")
"""Functions that updates call, for each type; one may call those before it."""
_WORDS = """
    alignas alignof asm auto bool break case char const constexpr continue default do double
    else enum extern false far float for goto if inline int long linux near nullptr offsetof
    register restrict return short signed size_t sizeof static static_assert struct switch
    thread_local true typedef typeof typeof_unqual union unix unsigned void volatile while r
"""
RESERVED = frozenset(_WORDS.split()) | {
    f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
RESERVED |= {f"{name}_{bits}" for name in DIVISIONS for bits in (32, 64)}
"""Names that mean something else where an update is written.

They are words of C, its types, and the functions and the variable of an update.
"""


def called(name: str) -> str:
    """Return the C name of a register or parameter.

    It is its own, with another `_` where that is taken or ends in one.
    """
    return f"{name}_" if name in RESERVED or name.endswith("_") else name


@dataclass(frozen=True)
class Update:
    """A program in integers of `bits`: the layers that have both share its functions.

    Attributes:
        number: that its names end in.
    """

    number: int
    program: Program
    bits: int

    @property
    def wide(self) -> str:
        """The type in which it computes."""
        return f"int{self.bits}_t"

    @property
    def registers(self) -> list[str]:
        """The C names of its registers."""
        return [called(name) for name in named(self.program)]

    @cached_property
    def parts(self) -> dict[str, Part]:
        """Its functions, by what they are for."""
        return parts(self.program)

    def name(self, kind: str) -> str:
        """Return the function of a part."""
        return f"update_{self.number}" + ("" if kind == "step" else f"_{kind}")

    def arguments(self, part: Part) -> list[str]:
        """Return what a part's function takes beside the registers."""
        return [called(name) for name in part.takes]

    def lines(self, part: Part) -> list[str]:
        """Return a part's statements in words."""
        return [line for s in part.statements for line in TO_TEXT[type(s)](s)]

    def body(self, part: Part) -> list[str]:
        """Return the lines of a part's function."""
        return [line for s in part.statements for line in RULES[type(s)](self, s)]

    def source(self, source: Source) -> str:
        """Return a register, a parameter, the input or a number."""
        if isinstance(source, int) or source == INPUT:
            return str(source)
        return f"r.{called(source)}" if source in self.program.registers else called(source)

    def tells(self, register: str) -> bool:
        """Return whether a register only says if something fired: it is 0 or 1."""
        writes = [s for s in plain(self.program.statements) if written(s) == register]
        return all((isinstance(s, Fire) and s.up_to == 1) or s == Put(register, 0) for s in writes)

    def divided(self, value: str, shift: Source, rounding: Rounding) -> str:
        """`value / 2**shift`, rounded."""
        if shift == 0:
            return value
        if isinstance(shift, int) and rounding == "toward_zero":
            return f"{value} / {1 << shift}"
        return f"divide_{rounding}_{self.bits}({value}, {self.source(shift)})"


def helpers(updates: list[Update]) -> dict[int, list[str]]:
    """Return the names of `DIVISIONS` that some updates call, by the bits of their type.

    Those that others call are included.
    """
    text = "\n".join(
        line for update in updates for part in update.parts.values() for line in update.body(part)
    )
    called_by_bits = {}
    for bits in sorted({update.bits for update in updates}):
        direct = {name for name in DIVISIONS if f"{name}_{bits}(" in text}
        if direct & {"divide_nearest_even", "dash"}:
            direct.add("divide_floor")
        called_by_bits[bits] = [name for name in DIVISIONS if name in direct]
    return called_by_bits


# -------------------------------------------------------------------- statements
@RULES.rule(Leak)
def _leak(u: Update, s: Leak) -> list[str]:
    x, k, n, form = u.source(s.x), s.decay.numerator, s.decay.shift, s.decay.form
    if form == "linear":
        lost = u.source(k)
        return [f"{x} = {x} > {lost} ? {x} - {lost} : {x} < -{lost} ? {x} + {lost} : 0;"]
    if form == "dash":
        return [f"{x} = dash_{u.bits}({x}, {u.source(n)});"]
    if form == "shift":
        return [f"{x} -= {u.divided(x, n, s.decay.rounding)};"]
    if k == 0 and isinstance(n, int):  # a parameter that is not read is an error to compilers
        return [f"{x} = 0;"]
    return [f"{x} = {u.divided(x if k == 1 else f'{x} * {u.source(k)}', n, s.decay.rounding)};"]


@RULES.rule(Add)
def _add(u: Update, s: Add) -> list[str]:
    if isinstance(s.source, int):
        term = str(s.source << s.shift) if s.source >= 0 else f"({s.source << s.shift})"
    else:
        term = u.source(s.source) + (f" * {1 << s.shift}" if s.shift else "")
    x, sign = u.source(s.x), "-" if s.negative else "+"
    # what compilers then know of the sum saves them more than the product costs
    if s.times and u.tells(s.times):
        lines = [f"if ({u.source(s.times)} != 0)", f"    {x} {sign}= {term};"]
    else:
        lines = [f"{x} {sign}= {term}{f' * {u.source(s.times)}' if s.times else ''};"]
    if s.x == FIRED:
        lines.append(f"{x} = {x} > {MOST_SPIKES} ? {MOST_SPIKES} : {x};")
    return lines


@RULES.rule(Put)
def _put(u: Update, s: Put) -> list[str]:
    line = f"{u.source(s.x)} = {u.source(s.source)};"
    return [f"if ({u.source(s.when)} != 0)", f"    {line}"] if s.when else [line]


@RULES.rule(Bound)
def _bound(u: Update, s: Bound) -> list[str]:
    x, low, high = u.source(s.x), u.source(s.low), u.source(s.high)
    if s.overflow == "wrap":
        assert isinstance(s.low, int), s
        assert isinstance(s.high, int), s
        moved = f"(u{u.wide}){x} {'+' if s.low <= 0 else '-'} {abs(s.low)}u"
        back = f"{'-' if s.low <= 0 else '+'} {abs(s.low)}"
        return [f"{x} = ({u.wide})(({moved}) & {s.high - s.low}u) {back};"]
    # What the type itself holds needs no test, and compilers warn of one that cannot be true.
    tests = [f"{x} < {low} ? {low} : "] if u.bits > 32 or s.low != LOWEST else []
    tests += [f"{x} > {high} ? {high} : "] if u.bits > 32 or s.high != HIGHEST else []
    return [f"{x} = {''.join(tests)}{x};"] if tests else []


@RULES.rule(Fire)
def _fire(u: Update, s: Fire) -> list[str]:
    into, x, level = u.source(s.into), u.source(s.x), u.source(s.level)
    passes = f"{x} {'>' if s.test == 'gt' else '>='} {level}"
    if s.up_to == 1:
        return [f"{into} = {passes};"]
    times = f"({x} - 1) / {level}" if s.test == "gt" else f"{x} / {level}"
    return [
        f"{into} = {passes} ? {times} : 0;",
        f"{into} = {into} > {s.up_to} ? {s.up_to} : {into};",
    ]


@RULES.rule(ForEachEvent)
def _loop(u: Update, s: ForEachEvent) -> list[str]:
    """Return the loop over events, which calls a function of its own for every event."""
    return [line for inner in s.body for line in RULES[type(inner)](u, inner)]
