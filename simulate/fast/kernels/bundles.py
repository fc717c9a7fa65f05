"""Sums of several outputs that are made together, each a vector: rows and columns of them.

A bundle is a tuple of vectors, row by row, so that they stay in registers. How many rows and
columns there are, lengths of tuples tell, which are part of their types.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from lehr.simulate.fast.kernels.vector import (
    BYTE,
    Value,
    Vector,
    in_register,
    intrinsic,
    lanes_of_token,
    place_of,
    resize,
)


@intrinsic
def bundle(_: Any, memory: Any, lanes: Any, rows: Any, columns: Any) -> Any:
    """Return sums of 0, of the type of an array's elements."""
    vector = Vector(memory.dtype.bitwidth, lanes_of_token(lanes))
    result = types.UniTuple(vector, len(rows) * len(columns))

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        return context.make_tuple(builder, result, [vector.of(0)] * result.count)

    return result(memory, lanes, rows, columns), code


@intrinsic
def with_taps(
    _: Any, sums: Any, memory: Any, index: Any, columns: Any, before: Any, behind: Any
) -> Any:
    """Return sums with as many vectors added, which follow each other from `memory[index]` on.

    So many first columns and last ones, as `before` and `behind` are long, stay as they are.
    """
    vector, each = sums.dtype, len(columns)
    taken = range(len(before), each - len(behind))

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        start, added = in_register(builder, place_of(builder, args[1], args[2], vector.llvm)), []
        for k in range(sums.count):
            total = builder.extract_value(args[0], k)
            if k % each in taken:
                part = builder.load(builder.gep(start, [ir.Constant(ir.IntType(64), k)]))
                part.align = vector.bits // BYTE
                total = builder.add(total, part)
            added.append(total)
        return context.make_tuple(builder, sums, added)

    return sums(sums, memory, types.int64, columns, before, behind), code


@intrinsic
def add_last_column(_: Any, sums: Any, columns: Any, memory: Any, index: Any, step: Any) -> Any:
    """Add the last column to `memory[index]`, and each row after the first `step` further on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        at = args[3]
        wide = Vector(memory.dtype.bitwidth, sums.dtype.lanes)
        for k in range(len(columns) - 1, sums.count, len(columns)):
            place = place_of(builder, args[2], at, wide.llvm)
            before = builder.load(place)
            part = resize(builder, builder.extract_value(args[0], k), sums.dtype, wide)
            stored = builder.store(builder.add(before, part), place)
            before.align = stored.align = wide.bits // BYTE
            at = builder.add(at, args[4])
        return context.get_dummy_value()

    return types.void(sums, columns, memory, types.int64, types.int64), code


@intrinsic
def moved_on(_: Any, sums: Any, columns: Any) -> Any:
    """Return sums without their last column, and with a first one of 0."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        each, none = len(columns), sums.dtype.of(0)
        moved = [
            builder.extract_value(args[0], k - 1) if k % each else none for k in range(sums.count)
        ]
        return context.make_tuple(builder, sums, moved)

    return sums(sums, columns), code


@intrinsic
def count_in(_: Any, token: Any) -> Any:
    """Return the length of a tuple."""
    return types.int64(token), lambda c, b, s, a: ir.Constant(ir.IntType(64), len(token))
