"""Arithmetic on the vectors of `vector`: make, widen, add, compare, select and count."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from lehr.simulate.fast.kernels.vector import (
    Value,
    Vector,
    intrinsic,
    lanes_of_token,
    place_of,
    resize,
    spread_out,
)


# -------------------------------------------------------------------- making
@intrinsic
def spread(_: Any, value: Any, like: Any) -> Any:
    """Return an integer in every lane of a vector like `like`, cut to its width."""
    return like(types.int64, like), lambda c, b, s, a: spread_out(b, a[0], like)


@intrinsic
def greatest(_: Any, like: Any) -> Any:
    """Return the greatest integer there is in every lane of a vector like `like`."""
    return like(like), lambda c, b, s, a: like.of((1 << (like.bits - 1)) - 1)


@intrinsic
def nothing(_: Any, memory: Any, token: Any) -> Any:
    """Return a vector of zeros of an array's type, with as many lanes as `token` stands for."""
    vector = Vector(memory.dtype.bitwidth, lanes_of_token(token))
    return vector(memory, token), lambda c, b, s, a: vector.of(0)


@intrinsic
def no_words(_: Any) -> Any:
    """Four words of 0."""
    return Vector(64, 4)(), lambda c, b, s, a: Vector(64, 4).of(0)


@intrinsic
def as_bytes(_: Any, words: Any) -> Any:
    """Return the bytes of words, from the lowest on."""
    result = Vector(8, words.lanes * words.bits // 8)
    return result(words), lambda c, b, s, a: b.bitcast(a[0], result.llvm)


@intrinsic
def unsigned(_: Any, value: Any, like: Any) -> Any:
    """Lanes as wide as those of `like`, which is wider; what was in them is taken for unsigned."""
    result = Vector(like.bits, value.lanes)
    return result(value, like), lambda c, b, s, a: b.zext(a[0], result.llvm)


@intrinsic
def resized(_: Any, value: Any, like: Any) -> Any:
    """Lanes as wide as those of `like`."""
    result = Vector(like.bits, value.lanes)
    return result(value, like), lambda c, b, s, a: resize(b, a[0], value, result)


@intrinsic
def doubled(_: Any, value: Any) -> Any:
    """Lanes twice as wide."""
    result = Vector(2 * value.bits, value.lanes)
    return result(value), lambda c, b, s, a: b.sext(a[0], result.llvm)


@intrinsic
def filled(_: Any, mask: Any, like: Any) -> Any:
    """All bits of a lane where a mask is set, in lanes as wide as those of `like`."""
    result = Vector(like.bits, mask.lanes)
    return result(mask, like), lambda c, b, s, a: b.sext(a[0], result.llvm)


def _alternating(half: int) -> Any:
    """Return an operation: lanes of two vectors by turns, of the lower or upper half of each."""

    @intrinsic
    def alternating(_: Any, left: Any, right: Any) -> Any:
        lanes = left.lanes
        order = [half * lanes // 2 + i // 2 + (i & 1) * lanes for i in range(lanes)]
        turns = ir.Constant(ir.VectorType(ir.IntType(32), lanes), order)
        return left(left, right), lambda c, b, s, a: b.shuffle_vector(*a, turns)

    return alternating


lower_alternating, upper_alternating = _alternating(0), _alternating(1)


def _half(upper: int, rest: bool) -> Any:
    """Return an operation: one half of a vector, before as many zeros as it has or alone."""

    @intrinsic
    def half(_: Any, value: Any) -> Any:
        lanes, result = value.lanes, Vector(value.bits, value.lanes >> (not rest))
        first = upper * lanes // 2
        order = [*range(first, first + lanes // 2), *range(lanes, lanes + rest * lanes // 2)]
        places = ir.Constant(ir.VectorType(ir.IntType(32), result.lanes), order)
        return result(value), lambda c, b, s, a: b.shuffle_vector(a[0], value.of(0), places)

    return half


lower_half, upper_half_and_zeros = _half(0, False), _half(1, True)


# -------------------------------------------------------------------- computing
@intrinsic
def apart(_: Any, value: Any) -> Any:
    """Return the value, computed by itself.

    LLVM makes one chain of all additions of an expression, and carries a mask in place of its
    lanes.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        frozen = ir.instructions.Instruction(builder.block, value.llvm, "freeze", args)
        builder._insert(frozen)
        return frozen

    return value(value), code


def _operation(name: str) -> Any:
    """Return an operation on two vectors of one type, or on a vector and an integer."""

    @intrinsic
    def operation(_: Any, left: Any, right: Any) -> Any:
        scalar = not isinstance(right, Vector)

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
            other = spread_out(builder, args[1], left) if scalar else args[1]
            return getattr(builder, name)(args[0], other)

        return left(left, types.int64 if scalar else right), code

    return operation


def _comparison(sign: str, signed: bool = True) -> Any:
    """Return a mask: a comparison of two vectors of one type, or of a vector and an integer."""

    @intrinsic
    def comparison(_: Any, left: Any, right: Any) -> Any:
        scalar, mask = not isinstance(right, Vector), Vector(1, left.lanes)

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
            other = spread_out(builder, args[1], left) if scalar else args[1]
            compare = builder.icmp_signed if signed else builder.icmp_unsigned
            return compare(sign, args[0], other)

        return mask(left, types.int64 if scalar else right), code

    return comparison


add, sub, mul = _operation("add"), _operation("sub"), _operation("mul")
both, either, xor = _operation("and_"), _operation("or_"), _operation("xor")
shift_left, signed_right, unsigned_right = _operation("shl"), _operation("ashr"), _operation("lshr")
greater, less, unequal, equal = (
    _comparison(">"),
    _comparison("<"),
    _comparison("!="),
    _comparison("=="),
)
above = _comparison(">", signed=False)


@intrinsic
def select(_: Any, mask: Any, yes: Any, no: Any) -> Any:
    """`yes` where the mask is set, lane by lane; of two integers one, without a branch."""
    return yes(mask, yes, no), lambda c, b, s, a: b.select(*a)


@intrinsic
def signs(_: Any, value: Any) -> Any:
    """All bits of a lane where it is negative."""
    return value(value), lambda c, b, s, a: b.ashr(a[0], value.of(value.bits - 1))


@intrinsic
def without_sign(_: Any, value: Any) -> Any:
    """Return the magnitude of each lane."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        bit = ir.IntType(1)
        kind = ir.FunctionType(value.llvm, [value.llvm, bit])
        magnitude = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.abs.v{value.lanes}i{value.bits}"
        )
        return builder.call(magnitude, [args[0], ir.Constant(bit, 0)])

    return value(value), code


@intrinsic
def high_product(_: Any, left: Any, right: Any) -> Any:
    """Return the upper half of the unsigned product of each lane and an integer."""
    scale = ir.IntType(32)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        # As plain operations LLVM would hoist the widened factor out of a loop, and no longer see
        # that half a product is enough.
        kind = ir.FunctionType(left.llvm, [left.llvm, left.llvm, scale])
        multiply = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.umul.fix.v{left.lanes}i{left.bits}"
        )
        return builder.call(
            multiply, [args[0], spread_out(builder, args[1], left), ir.Constant(scale, left.bits)]
        )

    return left(left, types.int64), code


@intrinsic
def set_lanes(_: Any, mask: Any) -> Any:
    """Return how many lanes of a mask are set."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        word = ir.IntType(mask.lanes)
        count = builder.module.declare_intrinsic("llvm.ctpop", [word])
        counted = builder.call(count, [builder.bitcast(args[0], word)])
        return builder.zext(counted, ir.IntType(64)) if mask.lanes < 64 else counted

    return types.int64(mask), code


@intrinsic
def mask_word(_: Any, mask: Any) -> Any:
    """Return a mask of at most 64 lanes as an int64, a bit a lane."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        word = builder.bitcast(args[0], ir.IntType(mask.lanes))
        return builder.zext(word, ir.IntType(64)) if mask.lanes < 64 else word

    return types.int64(mask), code


@intrinsic
def bits_set(_: Any, value: Any) -> Any:
    """Return how many bits are set, in an int64 or in each lane of a vector."""
    value = value if isinstance(value, Vector) else types.int64
    kind = value.llvm if isinstance(value, Vector) else ir.IntType(64)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        name = (
            f"llvm.ctpop.v{value.lanes}i{value.bits}"
            if isinstance(value, Vector)
            else "llvm.ctpop.i64"
        )
        return builder.call(
            cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name),
            args,
        )

    return value(value), code


@intrinsic
def lowest_bit(_: Any, value: Any) -> Any:
    """Return the place of the lowest bit that is set in an int64, 64 where none is."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        i64 = ir.IntType(64)
        count = builder.module.declare_intrinsic(
            "llvm.cttz", [i64], ir.FunctionType(i64, [i64, ir.IntType(1)])
        )
        return builder.call(count, [args[0], ir.Constant(ir.IntType(1), 0)])

    return types.int64(types.int64), code


@intrinsic
def lanes_in(_: Any, token: Any) -> Any:
    """Return how many lanes a token stands for."""
    return types.int64(token), lambda c, b, s, a: ir.Constant(ir.IntType(64), lanes_of_token(token))


@intrinsic
def lanes_of(_: Any, value: Any) -> Any:
    """Return how many lanes a vector has."""
    return types.int64(value), lambda c, b, s, a: ir.Constant(ir.IntType(64), value.lanes)


@intrinsic
def bits_of(_: Any, value: Any) -> Any:
    """Return how many bits a lane of a vector has."""
    return types.int64(value), lambda c, b, s, a: ir.Constant(ir.IntType(64), value.bits)


@intrinsic
def pair_products(_: Any, values: Any, at: Any, weights: Any, place: Any, token: Any) -> Any:
    """Return the sums of two products, int32: of `values[at]` and the next one with two weights.

    Each lane has two of them, from `weights[place]` on; all are int16. Written like this, LLVM
    finds the instruction that does it.
    """
    lanes = lanes_of_token(token)
    result, both = Vector(32, lanes), Vector(16, 2 * lanes)
    wide = Vector(32, 2 * lanes)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        pair = builder.load(place_of(builder, args[0], args[1], ir.IntType(32)))
        row = builder.load(place_of(builder, args[2], args[3], both.llvm))
        pair.align = row.align = 2
        spread = builder.bitcast(spread_out(builder, pair, result), both.llvm)
        product = builder.mul(builder.sext(spread, wide.llvm), builder.sext(row, wide.llvm))
        even, odd = (
            builder.shuffle_vector(
                product,
                ir.Constant(wide.llvm, ir.Undefined),
                ir.Constant(result.llvm, list(range(first, 2 * lanes, 2))),
            )
            for first in (0, 1)
        )
        return builder.add(even, odd)

    return result(values, types.int64, weights, types.int64, token), code
