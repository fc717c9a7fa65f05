"""The serial line of an fpga artefact: the bytes that wait for the engine, and those that leave."""

from __future__ import annotations

from collections.abc import Iterator

from lehr.prove.solver import z3
from lehr.prove.verilog.induction import At, Term, all_of

GHOSTS = {"more": 8, "place": 8, "byte": 8}
"""Bytes that came since rts_n went high; any place in the order of bytes, and what came there"""
HOST = "once `rts_n` is high, the host sends as many bytes as half of those that may wait, no more"


def _waiting(at: At) -> Term:
    return at("put") - at("taken")


def _half(at: At) -> int:
    room: int = at("put").size() - 1
    return 1 << room - 1


def _place(at: At) -> Term:
    return z3.Extract(at("put").size() - 1, 0, at("place"))


def assumed(at: At) -> Iterator[Term]:
    """Yield that the host heeds `rts_n`."""
    comes = z3.ZeroExt(7, at("got"))
    yield z3.Implies(at.on("rts_n"), z3.ULE(at("more") + comes, _half(at)))


def moves(now: At, then: At) -> Iterator[Term]:
    """Yield how what is remembered of the bytes changes."""
    comes, none = z3.ZeroExt(7, now("got")), z3.BitVecVal(0, 8)
    late = z3.And(now.on("rts_n"), z3.Not(now.on("rst")))
    yield then("more") == z3.If(late, now("more") + comes, none)
    yield then("place") == now("place")
    here = z3.And(now.on("got"), now("put") == _place(now))
    yield then("byte") == z3.If(here, now("byte_in"), now("byte"))


def holds(at: At) -> Iterator[Term]:
    """Yield what holds of the bytes that wait."""
    waiting, half = _waiting(at), _half(at)
    yield z3.ULE(waiting, 2 * half)
    yield at.on("rts_n") == z3.UGE(waiting, half)
    late = z3.ULE(z3.ZeroExt(8 - waiting.size(), waiting), at("more") + half)
    yield z3.Implies(at.on("rts_n"), late)
    yield z3.ULE(at("more"), half)
    place = _place(at)
    waits = z3.ULT(place - at("taken"), waiting)
    for k in range(2 * half):
        slot = z3.Extract(place.size() - 2, 0, place) == k
        yield z3.Implies(z3.And(waits, slot), at(f"held[{k}]") == at("byte"))


def bytes_in(now: At, then: At) -> Iterator[Term]:
    """Yield that bytes come to the engine in their order, each once."""
    put, taken, gone = now("put"), now("taken"), z3.And(now.on("in_valid"), now.on("in_ready"))
    yield z3.Implies(now.on("got"), z3.ULT(_waiting(now), 2 * _half(now)))
    yield then("put") == z3.If(now.on("got"), put + 1, put)
    yield then("taken") == z3.If(gone, taken + 1, taken)
    yield now.on("in_valid") == (_waiting(now) != 0)
    own = all_of([now.on("in_valid"), taken == _place(now)])
    yield z3.Implies(own, now("top.in_data") == now("byte"))


def bytes_out(now: At, then: At) -> Iterator[Term]:
    """Yield that a byte leaves bit by bit, and none is taken before the last one has left."""
    bits, wait, sent = now("bits_out"), now("wait_out"), now("shift_out")
    takes = z3.And(now.on("out_valid"), now.on("out_ready"))
    yield now.on("out_ready") == (bits == 0)
    yield now("tx") == z3.Extract(0, 0, sent)
    byte = z3.Concat(now("out_data"), z3.BitVecVal(0, 1))
    yield z3.Implies(takes, z3.And(then("shift_out") == byte, then("bits_out") == 10))
    goes, still = z3.And(bits != 0, wait == 0), z3.And(bits != 0, wait != 0)
    next_bits = z3.Concat(z3.BitVecVal(1, 1), z3.Extract(8, 1, sent))
    yield z3.Implies(goes, z3.And(then("shift_out") == next_bits, then("bits_out") == bits - 1))
    same = all_of([then("shift_out") == sent, then("bits_out") == bits])
    yield z3.Implies(still, z3.And(same, then("wait_out") == wait - 1))
    yield z3.Implies(z3.And(bits == 0, z3.Not(takes)), same)
