"""Expressions of Verilog for what statements do, all operands signed and of one width."""

from __future__ import annotations

from dataclasses import dataclass

from lehr.arithmetic import Overflow, Rounding
from lehr.update import Decay


def wide(value: int, width: int) -> str:
    """Return a constant."""
    return f"{'-' if value < 0 else ''}{width}'sd{abs(value)}"


@dataclass(frozen=True)
class Operand:
    """A name, and its number where it is a constant."""

    name: str
    number: int | None = None


def terms(k: int) -> list[tuple[int, int]]:
    """Return `k` as a sum of (sign, power of two) with as few terms as can be.

    They are the canonical signed digits.
    """
    digits, shift = [], 0
    while k:
        if k & 1:
            sign = 2 - (k & 3)
            digits.append((sign, shift))
            k -= sign
        k, shift = k >> 1, shift + 1
    return digits[::-1]


def product(x: str, k: Operand, width: int) -> str:
    """Return a product: by shifts and adds with a constant where three do, else by `*`."""
    if k.number is None:
        return f"{x} * {k.name}"
    digits = terms(k.number)
    if len(digits) > 3:
        return f"{x} * {wide(k.number, width)}"
    shifted = [f"{'+' if sign > 0 else '-'} {shift_left(x, shift)}" for sign, shift in digits]
    return " ".join(shifted).removeprefix("+ ") or wide(0, width)


def shift_left(x: str, shift: int) -> str:
    """`x` times a power of two."""
    return f"({x} <<< {shift})" if shift else x


def divided(x: str, n: Operand, rounding: Rounding, width: int) -> str:
    """`x`, a name, divided by 2**n."""
    if n.number == 0:
        return x
    zero, one = wide(0, width), wide(1, width)
    if rounding == "floor":
        return f"({x} >>> {_amount(n)})"
    if rounding == "toward_zero":
        rest = f"({one} <<< {n.name}) - {one}" if n.number is None else wide(2**n.number - 1, width)
        return f"(({x} + ({x}[{width - 1}] ? {rest} : {zero})) >>> {_amount(n)})"
    if n.number is None:
        half = f"(({one} <<< {n.name}) >>> 1)"
        return (
            f"({n.name} == {zero} ? {x} : ({x} + {half} - {one} + (({x} >>> {n.name}) & {one})) "
            f">>> {n.name})"
        )
    return (
        f"(({x} + {wide(2 ** (n.number - 1) - 1, width)} + ({x}[{n.number}] ? {one} : {zero})) "
        f">>> {n.number})"
    )


def _amount(n: Operand) -> str:
    return n.name if n.number is None else str(n.number)


def leak(x: str, decay: Decay, k: Operand, n: Operand, width: int) -> str:
    """Return what a decay leaves of `x`, by any form but `multiply`, which is a product first."""
    zero, one = wide(0, width), wide(1, width)
    if decay.form == "shift":
        return f"{x} - {divided(x, n, decay.rounding, width)}"
    if decay.form == "dash":
        lost = f"({x} >>> {_amount(n)})"
        return f"{x} - ({lost} == {zero} ? ({x} == {zero} ? {zero} : {one}) : {lost})"
    assert decay.form == "linear", decay
    return f"{x} > {k.name} ? {x} - {k.name} : {x} < -{k.name} ? {x} + {k.name} : {zero}"


def within(x: str, low: Operand, high: Operand, overflow: Overflow, width: int) -> str:
    """`x`, a name, brought between two ends."""
    if overflow == "saturate":
        return f"{x} < {low.name} ? {low.name} : {x} > {high.name} ? {high.name} : {x}"
    assert low.number is not None
    assert high.number is not None
    mask = wide(high.number - low.number, width)
    if low.number == -high.number - 1:
        bits = (high.number - low.number).bit_length()
        return f"{{{{{width - bits}{{{x}[{bits - 1}]}}}}, {x}[{bits - 1}:0]}}"
    return f"(({x} - {low.name}) & {mask}) + {low.name}"


def passes(x: str, level: str, *, beyond: bool, width: int) -> str:
    """1 where `x` passes a level, else 0."""
    return f"{x} {'>' if beyond else '>='} {level} ? {wide(1, width)} : {wide(0, width)}"
