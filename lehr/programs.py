"""Programs of the fields of `Arithmetic` and `Synapse`, which users and recipes write."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from lehr.arithmetic import Arithmetic, State, Synapse
from lehr.update import (
    FIRED,
    INPUT,
    MEMBRANE,
    Add,
    Bound,
    Decay,
    Fire,
    ForEachEvent,
    Leak,
    Program,
    Put,
    Statement,
    width,
)

CURRENT = "i"
"""The register of a synapse state."""
_NOW, _AGAIN = "now", "again"
_Some = tuple[Statement, ...]


@cache
def program_of(membrane: Arithmetic, synapse: Synapse | None = None) -> Program:
    """Return the update of the fields of a neuron's arithmetic and of its synapse state, if any."""
    if membrane.update == "event":
        return _by_event(membrane)
    take: _Some = (Add(MEMBRANE, INPUT, membrane.fraction_bits), Add(MEMBRANE, "bias"))
    before: _Some = ()
    if synapse is not None:
        to_synapse = synapse.bias_to == "synapse"
        bias: _Some = (Add(CURRENT if to_synapse else MEMBRANE, "bias"),)
        before = (
            *_leak(CURRENT, synapse),
            Add(CURRENT, INPUT, membrane.fraction_bits),
            *(bias if to_synapse else ()),
        )
        before = (*before, _bound(CURRENT, synapse))
        take = (Add(MEMBRANE, CURRENT), *(() if to_synapse else bias))
    leak, bound, fire = (
        _leak(MEMBRANE, membrane),
        _bound(MEMBRANE, membrane),
        _fire(membrane, FIRED),
    )
    reset = _reset(membrane, FIRED)
    if membrane.reset_timing == "same_step":
        return Program((*before, *leak, *take, bound, *fire, *reset))
    if membrane.reset == "zero":
        return Program((*before, *leak, *reset, *take, bound, *fire))
    return Program((*before, *leak, *take, *reset, bound, *fire))


def _by_event(membrane: Arithmetic) -> Program:
    bound = _bound(MEMBRANE, membrane)
    body = (
        Add(MEMBRANE, INPUT, membrane.fraction_bits),
        bound,
        *_fire(membrane, _NOW),
        *_reset(membrane, _NOW),
        Add(FIRED, _NOW),
    )
    return Program(
        (
            *_leak(MEMBRANE, membrane),
            Add(MEMBRANE, "bias"),
            bound,
            Put(FIRED, 0),
            ForEachEvent(body),
        )
    )


def _leak(x: str, state: State) -> _Some:
    if state.decay_numerator == 1 << state.decay_shift:
        return ()
    return (
        Leak(x, Decay(state.decay_form, state.decay_numerator, state.decay_shift, state.rounding)),
    )


def _bound(x: str, state: State) -> Bound:
    return width(x, state.state_bits, state.overflow)


def _fire(membrane: Arithmetic, into: str) -> _Some:
    return (
        () if membrane.fires == "never" else (Fire(MEMBRANE, "threshold", membrane.fires, 1, into),)
    )


def _reset(membrane: Arithmetic, spikes: str) -> _Some:
    """Return the statements for what a spike does to the membrane."""
    resets: dict[str, _Some] = {
        "subtract": (Add(MEMBRANE, "threshold", 0, True, spikes),),
        "zero": (Put(MEMBRANE, 0, spikes),),
    }
    return resets.get(membrane.reset, ())


def with_decays(program: Program, decays: dict[str, Decay]) -> Program:
    """Return `program` with other decays of some registers.

    They are, for one, those of neurons that each have their own.

    A register without a Leak, which keeps what it has, gets one where the program begins.
    """
    leaking = {s.x for s in program.all if isinstance(s, Leak)}
    first = tuple(Leak(x, decay) for x, decay in decays.items() if x not in leaking)

    def changed(s: Statement) -> Statement:
        return replace(s, decay=decays[s.x]) if isinstance(s, Leak) and s.x in decays else s

    return Program((*first, *map(changed, program.statements)), program.membrane)


def giving_back(program: Program) -> Program:
    """Return a program that resets in the same step, as snnTorch's neurons do it.

    These subtract in the update for a membrane that the step before left above its threshold, too,
    and give that threshold back after the spike: it keeps a membrane above twice the threshold from
    firing twice, and is not felt where none gets there.
    """
    fire = next(s for s in program.statements if isinstance(s, Fire))
    at = program.statements.index(fire)
    bound, reset = program.statements[at - 1], program.statements[at + 1 :]
    subtract = Add(MEMBRANE, "threshold", 0, True, _AGAIN)
    statements = (
        replace(fire, into=_AGAIN),
        *program.statements[: at - 1],
        subtract,
        bound,
        fire,
        *reset,
        replace(subtract, negative=False),
        bound,
    )
    return Program(statements, program.membrane)


def firing_often(program: Program, most: int) -> Program:
    """Return a program that fires so often as a membrane passes its threshold, at most `most`.

    Spikes are then numbers; what it subtracts for a spike it subtracts for each.
    """
    return Program(
        tuple(replace(s, up_to=most) if isinstance(s, Fire) else s for s in program.statements),
        program.membrane,
    )


def with_floor(program: Program, floor: str) -> Program:
    """Return a program that ends in bringing the membrane up to a parameter where it is below."""
    return Program((*program.statements, Bound(MEMBRANE, floor, 2**31 - 1)), program.membrane)


def input_shift(program: Program) -> int:
    """Return by how many bits a program shifts the input that it adds.

    It is 0 if it takes the input as it is, or takes none.
    """
    return max(
        (s.shift for s in program.all if isinstance(s, Add) and s.source == INPUT), default=0
    )


def with_input_shift(program: Program, shift: int) -> Program:
    """Return `program` with its input shifted by so many bits where it is added.

    These are the fraction bits of the registers that take it.

    Raises:
        FileRefused: when a program holds no such shift.
    """

    def changed(s: Statement) -> Statement:
        if isinstance(s, ForEachEvent):
            return ForEachEvent(tuple(map(changed, s.body)))
        return replace(s, shift=shift) if isinstance(s, Add) and s.source == INPUT else s

    return Program(tuple(map(changed, program.statements)), program.membrane)


def with_widths(program: Program, bits: dict[str, int]) -> Program:
    """Return `program` with registers brought into another width, of so many bits.

    They are those that have a width in bits.
    """

    def changed(s: Statement) -> Statement:
        if isinstance(s, ForEachEvent):
            return ForEachEvent(tuple(map(changed, s.body)))
        return (
            width(s.x, bits[s.x], s.overflow)
            if isinstance(s, Bound) and _in_bits(s) and s.x in bits
            else s
        )

    return Program(tuple(map(changed, program.statements)), program.membrane)


def widths_of(program: Program) -> dict[str, int]:
    """Return the registers that a program brings into a width in bits, and how many.

    It is the most if a register has several Bounds.
    """
    widths: dict[str, int] = {}
    for s in program.all:
        if isinstance(s, Bound) and _in_bits(s) and isinstance(s.high, int):
            widths[s.x] = max(widths.get(s.x, 0), s.high.bit_length() + 1)
    return widths


def _in_bits(s: Bound) -> bool:
    """Return whether the ends of a Bound are those of a number of bits, in two's complement."""
    return (
        isinstance(s.low, int)
        and isinstance(s.high, int)
        and s.low == -s.high - 1
        and s.low.bit_count() == 1
    )
