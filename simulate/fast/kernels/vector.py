"""Vectors of integers as values in compiled kernels: LLVM's vector types.

They are lowered to what the processor has (AVX-512, AVX2, SSE, NEON).

A vector's type says how many lanes of how many bits it has. Arithmetic wraps. Memory is addressed
by a flat index into an array's
data, without a check: the planner makes every array as large as its kernel needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.extending import models, register_model

Value = Any
BYTE = 8


def intrinsic(operation: Callable[..., Any]) -> Any:
    """Return an operation that kernels call.

    It is given numba's context and the types of the arguments, and returns what compiles it.
    """
    return extending.intrinsic(operation)


class Vector(types.Type):
    """Numba's type of a vector; a mask is one of 1 bit."""

    def __init__(self, bits: int, lanes: int) -> None:
        self.bits, self.lanes = bits, lanes
        super().__init__(name=f"i{bits}x{lanes}")

    @property
    def llvm(self) -> Any:
        """LLVM's type."""
        return ir.VectorType(ir.IntType(self.bits), self.lanes)

    def of(self, value: int) -> Any:
        """Return the constant with `value` in every lane."""
        return ir.Constant(self.llvm, [value] * self.lanes)


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, vector.llvm)


def spread_out(builder: Any, value: Value, vector: Vector) -> Value:
    """Return a scalar in every lane."""
    element, given = ir.IntType(vector.bits), value.type.width
    if given != vector.bits:
        value = (
            builder.trunc(value, element) if given > vector.bits else builder.sext(value, element)
        )
    empty = ir.Constant(vector.llvm, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        first, empty, ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
    )


def place_of(builder: Any, pointer: Value, index: Value, wanted: Any) -> Value:
    """Return a pointer to `wanted` at element `index`."""
    return builder.bitcast(builder.gep(pointer, [index]), wanted.as_pointer())


def in_register(builder: Any, address: Value) -> Value:
    """Return the same address, computed by itself.

    LLVM would make it again from its parts in each instruction that reads memory there, which many
    processors take apart into two then. What hides it is an instruction that is none.
    """
    kind = ir.FunctionType(address.type, [address.type])
    return builder.asm(kind, "", "=r,0", [address], False)


def resize(builder: Any, value: Value, given: Vector, wanted: Vector) -> Value:
    """Return a vector with lanes of another width."""
    if given.bits == wanted.bits:
        return value
    return (
        builder.sext(value, wanted.llvm)
        if given.bits < wanted.bits
        else builder.trunc(value, wanted.llvm)
    )


def lanes_of_token(token: Any) -> int:
    """Return how many lanes a token stands for.

    They are 16 for an empty tuple, twice as many for each element.
    """
    return 16 << len(token)


# -------------------------------------------------------------------- memory
@intrinsic
def data(_: Any, array: Any) -> Any:
    """Return the address of an array's elements, which functions below call memory.

    The array must outlive it.

    Numba counts references to an array in every function that takes it, which costs more than such
    a function does; here it counts none.
    """
    return types.CPointer(array.dtype)(
        array
    ), lambda c, b, s, a: c.make_array(array)(c, b, a[0]).data


@intrinsic
def read(_: Any, kind: Any, array: Any, first: Any) -> Any:
    """Return the numbers of an array from `first` on as a NamedTuple of a kind.

    A kernel reads by name what the planner made one of.
    """
    tuple_type = types.NamedUniTuple(
        types.int64, len(kind.instance_class._fields), kind.instance_class
    )

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        memory = (
            context.make_array(array)(context, builder, args[1]).data
            if isinstance(array, types.Array)
            else args[1]
        )
        numbers = (
            builder.add(args[2], ir.Constant(ir.IntType(64), k)) for k in range(tuple_type.count)
        )
        return context.make_tuple(
            builder, tuple_type, [builder.load(builder.gep(memory, [k])) for k in numbers]
        )

    return tuple_type(kind, array, types.int64), code


@intrinsic
def beyond(_: Any, memory: Any, index: Any) -> Any:
    """Return the memory from element `index` on, which may lie before its beginning."""
    return memory(memory, types.int64), lambda c, b, s, a: b.gep(a[0], [a[1]])


@intrinsic
def load(_: Any, memory: Any, index: Any, token: Any) -> Any:
    """Load as many elements from `memory[index]` on as `token`, a tuple, stands for."""
    vector = Vector(memory.dtype.bitwidth, lanes_of_token(token))
    return vector(memory, types.int64, token), lambda c, b, s, a: _load(c, b, s, a, vector)


@intrinsic
def load_line(_: Any, memory: Any, index: Any) -> Any:
    """64 bytes from `memory[index]` on."""
    vector = Vector(memory.dtype.bitwidth, 512 // memory.dtype.bitwidth)
    return vector(memory, types.int64), lambda c, b, s, a: _load(c, b, s, a, vector)


@intrinsic
def fetch(_: Any, memory: Any, index: Any) -> Any:
    """Ask for what is at `memory[index]`, which will be read; it may lie beyond the array."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        byte, choice = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, choice, choice, choice])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        at = builder.bitcast(builder.gep(args[0], [args[1]]), byte)
        read, near, of_data = (ir.Constant(choice, value) for value in (0, 3, 1))
        builder.call(ask, [at, read, near, of_data])
        return context.get_dummy_value()

    return types.void(memory, types.int64), code


@intrinsic
def load_like(_: Any, memory: Any, index: Any, like: Any) -> Any:
    """Load as many elements from `memory[index]` on as the vector `like` has lanes."""
    vector = Vector(memory.dtype.bitwidth, like.lanes)
    return vector(memory, types.int64, like), lambda c, b, s, a: _load(c, b, s, a, vector)


def _load(context: Any, builder: Any, signature: Any, args: Any, vector: Vector) -> Value:
    loaded = builder.load(place_of(builder, args[0], args[1], vector.llvm))
    loaded.align = signature.args[0].dtype.bitwidth // BYTE
    return loaded


@intrinsic
def store(_: Any, memory: Any, index: Any, value: Any) -> Any:
    """Put a vector to `memory[index]` and the elements after it.

    Its lanes are widened or cut to theirs.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        wide = Vector(memory.dtype.bitwidth, value.lanes)
        put = resize(builder, args[2], value, wide)
        builder.store(put, place_of(builder, args[0], args[1], wide.llvm)).align = wide.bits // BYTE
        return context.get_dummy_value()

    return types.void(memory, types.int64, value), code


@intrinsic
def store_mask(_: Any, memory: Any, index: Any, mask: Any) -> Any:
    """Put a mask, a bit a lane, to the bytes of an array of 64-bit words.

    It takes as many bits as it has lanes, at the `index`-th such place.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        word = ir.IntType(mask.lanes)
        data = builder.bitcast(args[0], word.as_pointer())
        builder.store(builder.bitcast(args[2], word), builder.gep(data, [args[1]])).align = (
            mask.lanes // BYTE
        )
        return context.get_dummy_value()

    return types.void(memory, types.int64, mask), code


@intrinsic
def peek(_: Any, memory: Any, index: Any) -> Any:
    """One element as int64."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        loaded = builder.load(builder.gep(args[0], [args[1]]))
        return context.cast(builder, loaded, memory.dtype, types.int64)

    return types.int64(memory, types.int64), code


@intrinsic
def poke(_: Any, memory: Any, index: Any, value: Any) -> Any:
    """Put an int64 to one element, cut to its width."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        builder.store(
            context.cast(builder, args[2], types.int64, memory.dtype),
            builder.gep(args[0], [args[1]]),
        )
        return context.get_dummy_value()

    return types.void(memory, types.int64, types.int64), code


@intrinsic
def word_at(_: Any, memory: Any, position: Any) -> Any:
    """Return the 64 bits from bit `position` on.

    At least the 57 lowest are those of the array; the others may be 0.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        i8, i64 = ir.IntType(8), ir.IntType(64)
        data = builder.bitcast(args[0], i8.as_pointer())
        at = builder.gep(data, [builder.lshr(args[1], ir.Constant(i64, 3))])
        loaded = builder.load(builder.bitcast(at, i64.as_pointer()))
        loaded.align = 1
        return builder.lshr(loaded, builder.and_(args[1], ir.Constant(i64, 7)))

    return types.int64(memory, types.int64), code


@intrinsic
def eight(_: Any, value: Any) -> Any:
    """Return a vector of eight 32-bit integers, all `value`."""
    wide = Vector(32, 8)
    return wide(types.int64), lambda c, b, s, a: spread_out(b, a[0], wide)


@intrinsic
def eight_bytes(_: Any, memory: Any, position: Any) -> Any:
    """Return the eight bytes from bit `position` on, a multiple of 8, as 32-bit integers."""
    narrow, wide = Vector(8, 8), Vector(32, 8)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        bytes_of = builder.bitcast(args[0], ir.IntType(8).as_pointer())
        at = builder.lshr(args[1], ir.Constant(ir.IntType(64), 3))
        loaded = builder.load(place_of(builder, bytes_of, at, narrow.llvm))
        loaded.align = 1
        return builder.zext(loaded, wide.llvm)

    return wide(memory, types.int64), code


@intrinsic
def list_bits(_: Any, table: Any, byte: Any, base: Any, events: Any, index: Any) -> Any:
    """Put sums to `events[index]` and after it.

    They are of `base`, a vector, and the eight 16-bit numbers in row `byte` of a table.
    """
    narrow = Vector(16, 8)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        row = builder.mul(args[1], ir.Constant(ir.IntType(64), 8))
        loaded = builder.load(place_of(builder, args[0], row, narrow.llvm))
        loaded.align = 2
        put = builder.add(builder.zext(loaded, base.llvm), args[2])
        builder.store(put, place_of(builder, args[3], args[4], base.llvm)).align = 4
        return context.get_dummy_value()

    return types.void(table, types.int64, base, events, types.int64), code
