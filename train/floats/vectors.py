"""Vectors of floats as values in compiled kernels: LLVM's vector types.

They stay in registers over a loop, where numba's own loops would put every sum back to memory.
Memory and tokens are as in `lehr.simulate.fast.kernels.vector`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from lehr.simulate.fast.kernels.vector import intrinsic, lanes_of_token

Value = Any


class FloatVector(types.Type):
    """Numba's type of a vector of floats."""

    def __init__(self, bits: int, lanes: int) -> None:
        self.element = ir.FloatType() if bits == 32 else ir.DoubleType()
        self.bits, self.lanes = bits, lanes
        super().__init__(name=f"f{bits}x{lanes}")

    @property
    def llvm(self) -> Any:
        """LLVM's type."""
        return ir.VectorType(self.element, self.lanes)

    def of(self, value: float) -> Any:
        """Return the constant with `value` in every lane."""
        return ir.Constant(self.llvm, [value] * self.lanes)


@register_model(FloatVector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: FloatVector) -> None:
        super().__init__(manager, vector, vector.llvm)


def _loaded(builder: Any, memory: Value, index: Value, vector: FloatVector) -> Value:
    address = builder.bitcast(builder.gep(memory, [index]), vector.llvm.as_pointer())
    loaded = builder.load(address)
    loaded.align = vector.bits // 8
    return loaded


@intrinsic
def zeros(_: Any, memory: Any, token: Any) -> Any:
    """Return 0 in as many lanes as `token` stands for, of an array's type."""
    vector = FloatVector(memory.dtype.bitwidth, lanes_of_token(token))
    return vector(memory, token), lambda c, b, s, a: vector.of(0.0)


@intrinsic
def plus(_: Any, total: Any, memory: Any, index: Any) -> Any:
    """Add the elements from `memory[index]` on to a vector."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        return builder.fadd(args[0], _loaded(builder, args[1], args[2], total))

    return total(total, memory, types.int64), code


@intrinsic
def put(_: Any, memory: Any, index: Any, value: Any) -> Any:
    """Put a vector to `memory[index]` and the elements after it."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        address = builder.bitcast(builder.gep(args[0], [args[1]]), value.llvm.as_pointer())
        builder.store(args[2], address).align = value.bits // 8
        return context.get_dummy_value()

    return types.void(memory, types.int64, value), code


@intrinsic
def ones_in(_: Any, memory: Any, index: Any) -> Any:
    """Return which of the 64 elements from `memory[index]` on are 1, and which are not 0.

    Both are words, with a bit for each.
    """
    vector = FloatVector(memory.dtype.bitwidth, 64)
    pair = types.UniTuple(types.int64, 2)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        loaded, word = _loaded(builder, args[0], args[1], vector), ir.IntType(64)
        one = builder.bitcast(builder.fcmp_ordered("==", loaded, vector.of(1.0)), word)
        other = builder.bitcast(builder.fcmp_unordered("!=", loaded, vector.of(0.0)), word)
        return context.make_tuple(builder, pair, [one, other])

    return pair(memory, types.int64), code


@intrinsic
def taken(_: Any, memory: Any, index: Any, token: Any) -> Any:
    """Return as many elements from `memory[index]` on as `token` stands for."""
    vector = FloatVector(memory.dtype.bitwidth, lanes_of_token(token))

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        return _loaded(builder, args[0], args[1], vector)

    return vector(memory, types.int64, token), code


@intrinsic
def plus_product(_: Any, total: Any, memory: Any, index: Any, by: Any) -> Any:
    """Add a vector times the number at `memory[index]`; it may be rounded once or twice."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        number = builder.load(builder.gep(args[1], [args[2]]))
        empty = ir.Constant(total.llvm, ir.Undefined)
        first = builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), total.lanes), [0] * total.lanes)
        spread = builder.shuffle_vector(first, empty, lanes)
        product = builder.fmul(spread, args[3], flags=("contract",))
        return builder.fadd(args[0], product, flags=("contract",))

    return total(total, memory, types.int64, by), code
