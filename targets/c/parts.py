"""Parts of a program: the functions that it is cut into, and the registers that have memory.

A program is a whole step, or what is before, in and after its loop over events.
"""

from __future__ import annotations

from dataclasses import dataclass

from lehr.update import (
    FIRED,
    INPUT,
    Add,
    Bound,
    Fire,
    ForEachEvent,
    Leak,
    Program,
    Put,
    Statement,
    reads,
    sources,
    written,
)

Plain = Leak | Add | Put | Bound | Fire


@dataclass(frozen=True)
class Part:
    """Statements that are done one after another for a neuron.

    Attributes:
        statements: of it.
        takes: what it reads beside registers: `input`, and parameters by name.
        loads: registers that it takes from memory; all others begin at 0.
        stores: registers that it leaves there.
        counts: whether it is an event whose spikes are only counted: it counts its own from 0, and
            memory changes where there are any.
    """

    statements: tuple[Statement, ...]
    takes: tuple[str, ...]
    loads: tuple[str, ...]
    stores: tuple[str, ...]
    counts: bool = False


def parts(program: Program) -> dict[str, Part]:
    """Return the parts of a program: `step`, or `begin`, `event` and `end`.

    Those that leave nothing in memory are left out.
    """
    memory, functions = kept(program), {}
    for kind, statements in _pieces(program).items():
        flat = plain(statements)
        loads, stores = _first_read(flat), {written(s) for s in flat}
        if kind in ("step", "begin"):  # what lives no longer than a step begins at 0
            loads &= {*program.states}
            stores |= {*memory} - {*program.states}
        taken = {source for s in flat for source in sources(s) if isinstance(source, str)} - {
            *program.registers
        }
        takes = tuple(sorted(taken, key=lambda name: (name != INPUT, name)))
        counts = kind == "event" and FIRED in stores and _counts(flat)
        own = {FIRED} if counts else set[str]()
        part = Part(statements, takes, _of(memory, loads - own), _of(memory, stores - own), counts)
        if part.stores or part.counts:
            functions[kind] = part
    return functions


def named(program: Program) -> tuple[str, ...]:
    """Return the registers that statements read or write."""
    return _of(
        program.registers,
        {name for s in plain(program.statements) for name in (*reads(s), written(s))},
    )


def kept(program: Program) -> tuple[str, ...]:
    """Return the registers that have memory.

    They are spikes, states, and what a part of a step reads of another or of another event.
    """
    across = {
        name
        for statements in list(_pieces(program).values())[1:]
        for name in _first_read(plain(statements))
    }
    return _of(named(program), {FIRED, *program.states, *across})


def _pieces(program: Program) -> dict[str, tuple[Statement, ...]]:
    if program.loop is None:
        return {"step": program.statements}
    at = program.statements.index(program.loop)
    return {
        "begin": program.statements[:at],
        "event": (program.loop,),
        "end": program.statements[at + 1 :],
    }


def plain(statements: tuple[Statement, ...]) -> list[Plain]:
    """Return all statements, a loop's in its place."""
    return [
        inner
        for s in statements
        for inner in (plain(s.body) if isinstance(s, ForEachEvent) else [s])
    ]


def _counts(statements: list[Plain]) -> bool:
    """Return whether some statements do nothing to spikes but add to them."""
    adds = [isinstance(s, Add) and s.x == FIRED for s in statements]
    return not any(
        FIRED in {*reads(s), written(s)} for s, add in zip(statements, adds, strict=True) if not add
    )


def _first_read(statements: list[Plain]) -> set[str]:
    """Return what some statements read before they have surely written it."""
    first, sure = set[str](), set[str]()
    for s in statements:
        first |= reads(s) - sure
        if not (isinstance(s, Put) and s.when):
            sure.add(written(s))
    return first


def _of(order: tuple[str, ...], names: set[str]) -> tuple[str, ...]:
    return tuple(name for name in order if name in names)
