"""Vectors of integers as values in compiled kernels: LLVM's vector types, lowered to what the processor has (AVX-512, AVX2, SSE, NEON).

A vector's type says how many lanes of how many bits it has. Arithmetic wraps. Memory is addressed by a flat index into an array's
data, without a check: the planner makes every array as large as its kernel needs.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

Value = Any
BYTE = 8


class Vector(types.Type):  # type: ignore[misc]
    """Numba's type of a vector; a mask is one of 1 bit."""

    def __init__(self, bits: int, lanes: int) -> None:
        self.bits, self.lanes = bits, lanes
        super().__init__(name=f"i{bits}x{lanes}")

    @property
    def llvm(self) -> Any:
        """LLVM's type."""
        return ir.VectorType(ir.IntType(self.bits), self.lanes)

    def of(self, value: int) -> Any:
        """The constant with `value` in every lane."""
        return ir.Constant(self.llvm, [value] * self.lanes)


@register_model(Vector)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, vector.llvm)


def _spread(builder: Any, value: Value, vector: Vector) -> Value:
    """A scalar in every lane."""
    element, given = ir.IntType(vector.bits), value.type.width
    if given != vector.bits:
        value = builder.trunc(value, element) if given > vector.bits else builder.sext(value, element)
    empty = ir.Constant(vector.llvm, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes))


def _address(builder: Any, pointer: Value, index: Value, wanted: Any) -> Value:
    """Where element `index` lies, as a pointer to `wanted`."""
    return builder.bitcast(builder.gep(pointer, [index]), wanted.as_pointer())


def _lanes(token: Any) -> int:
    """How many lanes a token stands for: 16 for an empty tuple, twice as many for each element."""
    return 16 << len(token)


# -------------------------------------------------------------------- memory
@intrinsic  # type: ignore[untyped-decorator]
def data(_: Any, array: Any) -> Any:
    """Where the elements of an array lie: what the functions below call memory. The array must outlive it.

    Numba counts references to an array in every function that takes it, which costs more than such a function does; here it counts none.
    """
    return types.CPointer(array.dtype)(array), lambda c, b, s, a: c.make_array(array)(c, b, a[0]).data


@intrinsic  # type: ignore[untyped-decorator]
def load(_: Any, memory: Any, index: Any, token: Any) -> Any:
    """As many elements from `memory[index]` on as `token`, a tuple, stands for."""
    vector = Vector(memory.dtype.bitwidth, _lanes(token))
    return vector(memory, types.int64, token), lambda c, b, s, a: _load(c, b, s, a, vector)


@intrinsic  # type: ignore[untyped-decorator]
def load_line(_: Any, memory: Any, index: Any) -> Any:
    """64 bytes from `memory[index]` on."""
    vector = Vector(memory.dtype.bitwidth, 512 // memory.dtype.bitwidth)
    return vector(memory, types.int64), lambda c, b, s, a: _load(c, b, s, a, vector)


@intrinsic  # type: ignore[untyped-decorator]
def load_like(_: Any, memory: Any, index: Any, like: Any) -> Any:
    """As many elements from `memory[index]` on as the vector `like` has lanes."""
    vector = Vector(memory.dtype.bitwidth, like.lanes)
    return vector(memory, types.int64, like), lambda c, b, s, a: _load(c, b, s, a, vector)


def _load(context: Any, builder: Any, signature: Any, args: Any, vector: Vector) -> Value:
    made = builder.load(_address(builder, args[0], args[1], vector.llvm))
    made.align = signature.args[0].dtype.bitwidth // BYTE
    return made


@intrinsic  # type: ignore[untyped-decorator]
def store(_: Any, memory: Any, index: Any, value: Any) -> Any:
    """Put a vector to `memory[index]` and the elements after it; its lanes are made as wide as they are, or cut."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        wide = Vector(memory.dtype.bitwidth, value.lanes)
        put = _resized(builder, args[2], value, wide)
        builder.store(put, _address(builder, args[0], args[1], wide.llvm)).align = wide.bits // BYTE
        return context.get_dummy_value()

    return types.void(memory, types.int64, value), code


@intrinsic  # type: ignore[untyped-decorator]
def store_mask(_: Any, memory: Any, index: Any, mask: Any) -> Any:
    """Put a mask, a bit a lane, to the bytes of an array of 64-bit words: as many bits as it has lanes, at the `index`-th such place."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        word = ir.IntType(mask.lanes)
        data = builder.bitcast(args[0], word.as_pointer())
        builder.store(builder.bitcast(args[2], word), builder.gep(data, [args[1]])).align = mask.lanes // BYTE
        return context.get_dummy_value()

    return types.void(memory, types.int64, mask), code


@intrinsic  # type: ignore[untyped-decorator]
def load_mask(_: Any, memory: Any, index: Any, like: Any) -> Any:
    """What `store_mask` put: a mask with a lane for each of the vector `like`."""
    vector = Vector(1, like.lanes)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        word = ir.IntType(like.lanes)
        data = builder.bitcast(args[0], word.as_pointer())
        found = builder.load(builder.gep(data, [args[1]]))
        found.align = like.lanes // BYTE
        return builder.bitcast(found, vector.llvm)

    return vector(memory, types.int64, like), code


@intrinsic  # type: ignore[untyped-decorator]
def peek(_: Any, memory: Any, index: Any) -> Any:
    """One element as int64."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        found = builder.load(builder.gep(args[0], [args[1]]))
        return context.cast(builder, found, memory.dtype, types.int64)

    return types.int64(memory, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def poke(_: Any, memory: Any, index: Any, value: Any) -> Any:
    """Put an int64 to one element, cut to its width."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        builder.store(context.cast(builder, args[2], types.int64, memory.dtype), builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(memory, types.int64, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def word_at(_: Any, memory: Any, position: Any) -> Any:
    """The 64 bits from bit `position` on; of them at least the 57 lowest are those of the array, the others may be 0."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        i8, i64 = ir.IntType(8), ir.IntType(64)
        data = builder.bitcast(args[0], i8.as_pointer())
        at = builder.gep(data, [builder.lshr(args[1], ir.Constant(i64, 3))])
        found = builder.load(builder.bitcast(at, i64.as_pointer()))
        found.align = 1
        return builder.lshr(found, builder.and_(args[1], ir.Constant(i64, 7)))

    return types.int64(memory, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def list_bits(_: Any, positions: Any, byte: Any, base: Any, events: Any, index: Any) -> Any:
    """Put `base` plus each of the eight numbers in row `byte` of a table to `events[index]` and after it."""
    eight, wide = Vector(8, 8), Vector(32, 8)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        row = builder.mul(args[1], ir.Constant(ir.IntType(64), 8))
        found = builder.load(_address(builder, args[0], row, eight.llvm))
        found.align = 8
        put = builder.add(builder.zext(found, wide.llvm), _spread(builder, args[2], wide))
        builder.store(put, _address(builder, args[3], args[4], wide.llvm)).align = 4
        return context.get_dummy_value()

    return types.void(positions, types.int64, types.int64, events, types.int64), code


# -------------------------------------------------------------------- making
@intrinsic  # type: ignore[untyped-decorator]
def spread(_: Any, value: Any, like: Any) -> Any:
    """An integer in every lane of a vector like `like`, cut to its width."""
    return like(types.int64, like), lambda c, b, s, a: _spread(b, a[0], like)


@intrinsic  # type: ignore[untyped-decorator]
def greatest(_: Any, like: Any) -> Any:
    """The greatest integer there is in every lane of a vector like `like`."""
    return like(like), lambda c, b, s, a: like.of((1 << (like.bits - 1)) - 1)


@intrinsic  # type: ignore[untyped-decorator]
def nothing(_: Any, memory: Any, token: Any) -> Any:
    """A vector of zeros of an array's type, with as many lanes as `token` stands for."""
    vector = Vector(memory.dtype.bitwidth, _lanes(token))
    return vector(memory, token), lambda c, b, s, a: vector.of(0)


@intrinsic  # type: ignore[untyped-decorator]
def nothing_of_bytes(_: Any) -> Any:
    """64 bytes of 0."""
    return Vector(8, 64)(), lambda c, b, s, a: Vector(8, 64).of(0)


@intrinsic  # type: ignore[untyped-decorator]
def resized(_: Any, value: Any, like: Any) -> Any:
    """Lanes as wide as those of `like`."""
    made = Vector(like.bits, value.lanes)
    return made(value, like), lambda c, b, s, a: _resized(b, a[0], value, made)


@intrinsic  # type: ignore[untyped-decorator]
def doubled(_: Any, value: Any) -> Any:
    """Lanes twice as wide."""
    made = Vector(2 * value.bits, value.lanes)
    return made(value), lambda c, b, s, a: b.sext(a[0], made.llvm)


def _resized(builder: Any, value: Value, given: Vector, wanted: Vector) -> Value:
    if given.bits == wanted.bits:
        return value
    return builder.sext(value, wanted.llvm) if given.bits < wanted.bits else builder.trunc(value, wanted.llvm)


@intrinsic  # type: ignore[untyped-decorator]
def filled(_: Any, mask: Any, like: Any) -> Any:
    """All bits of a lane where a mask is set, in lanes as wide as those of `like`."""
    made = Vector(like.bits, mask.lanes)
    return made(mask, like), lambda c, b, s, a: b.sext(a[0], made.llvm)


# -------------------------------------------------------------------- computing
def _operation(name: str) -> Any:
    """An operation on two vectors of one type, or on a vector and an integer."""

    @intrinsic  # type: ignore[untyped-decorator]
    def operation(_: Any, left: Any, right: Any) -> Any:
        scalar = not isinstance(right, Vector)

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
            other = _spread(builder, args[1], left) if scalar else args[1]
            return getattr(builder, name)(args[0], other)

        return left(left, types.int64 if scalar else right), code

    return operation


def _comparison(sign: str, signed: bool = True) -> Any:
    """A comparison of two vectors of one type, or of a vector and an integer; gives a mask."""

    @intrinsic  # type: ignore[untyped-decorator]
    def comparison(_: Any, left: Any, right: Any) -> Any:
        scalar, mask = not isinstance(right, Vector), Vector(1, left.lanes)

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
            other = _spread(builder, args[1], left) if scalar else args[1]
            compare = builder.icmp_signed if signed else builder.icmp_unsigned
            return compare(sign, args[0], other)

        return mask(left, types.int64 if scalar else right), code

    return comparison


add, sub, mul = _operation("add"), _operation("sub"), _operation("mul")
both, either, xor = _operation("and_"), _operation("or_"), _operation("xor")
shift_left, signed_right = _operation("shl"), _operation("ashr")
greater, less, unequal, equal = _comparison(">"), _comparison("<"), _comparison("!="), _comparison("==")
above = _comparison(">", signed=False)


@intrinsic  # type: ignore[untyped-decorator]
def select(_: Any, mask: Any, yes: Any, no: Any) -> Any:
    """Lane by lane, `yes` where the mask is set."""
    return yes(mask, yes, no), lambda c, b, s, a: b.select(*a)


@intrinsic  # type: ignore[untyped-decorator]
def signs(_: Any, value: Any) -> Any:
    """All bits of a lane where it is negative."""
    return value(value), lambda c, b, s, a: b.ashr(a[0], value.of(value.bits - 1))


@intrinsic  # type: ignore[untyped-decorator]
def high_product(_: Any, left: Any, right: Any) -> Any:
    """The upper half of the unsigned product of each lane and an integer."""
    scale = ir.IntType(32)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        # As plain operations LLVM would hoist the widened factor out of a loop, and no longer see that half a product is enough.
        kind = ir.FunctionType(left.llvm, [left.llvm, left.llvm, scale])
        multiply = cgutils.get_or_insert_function(builder.module, kind, f"llvm.umul.fix.v{left.lanes}i{left.bits}")
        return builder.call(multiply, [args[0], _spread(builder, args[1], left), ir.Constant(scale, left.bits)])

    return left(left, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def set_lanes(_: Any, mask: Any) -> Any:
    """How many lanes of a mask are set."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        word = ir.IntType(mask.lanes)
        count = builder.module.declare_intrinsic("llvm.ctpop", [word])
        found = builder.call(count, [builder.bitcast(args[0], word)])
        return builder.zext(found, ir.IntType(64)) if mask.lanes < 64 else found

    return types.int64(mask), code


@intrinsic  # type: ignore[untyped-decorator]
def mask_word(_: Any, mask: Any) -> Any:
    """A mask of at most 64 lanes as an int64, a bit a lane."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        word = builder.bitcast(args[0], ir.IntType(mask.lanes))
        return builder.zext(word, ir.IntType(64)) if mask.lanes < 64 else word

    return types.int64(mask), code


@intrinsic  # type: ignore[untyped-decorator]
def bits_set(_: Any, value: Any) -> Any:
    """How many bits are set, in an int64 or in each lane of a vector."""
    value = value if isinstance(value, Vector) else types.int64
    kind = value.llvm if isinstance(value, Vector) else ir.IntType(64)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        name = f"llvm.ctpop.v{value.lanes}i{value.bits}" if isinstance(value, Vector) else "llvm.ctpop.i64"
        return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name), args)

    return value(value), code


@intrinsic  # type: ignore[untyped-decorator]
def lowest_bit(_: Any, value: Any) -> Any:
    """The place of the lowest bit that is set in an int64 other than 0."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        i64 = ir.IntType(64)
        count = builder.module.declare_intrinsic("llvm.cttz", [i64], ir.FunctionType(i64, [i64, ir.IntType(1)]))
        return builder.call(count, [args[0], ir.Constant(ir.IntType(1), 1)])

    return types.int64(types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def lanes_in(_: Any, token: Any) -> Any:
    """How many lanes a token stands for."""
    return types.int64(token), lambda c, b, s, a: ir.Constant(ir.IntType(64), _lanes(token))


@intrinsic  # type: ignore[untyped-decorator]
def lanes_of(_: Any, value: Any) -> Any:
    """How many lanes a vector has."""
    return types.int64(value), lambda c, b, s, a: ir.Constant(ir.IntType(64), value.lanes)
