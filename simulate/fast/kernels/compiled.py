"""Compilation of kernels by numba, each with an entry that takes the addresses of its arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.np.arrayobj import populate_array

from lehr.simulate.fast.kernels.vector import intrinsic

F = TypeVar("F", bound=Callable[..., Any])

WITHIN: dict[str, Any] = {"error_model": "numpy", "_nrt": False}
"""No kernel raises, or asks for memory: it takes nothing of numba's to run."""
INLINED: dict[str, Any] = {
    **WITHIN,
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
"""Called neither from C nor from Python: to leave out such ways in saves a fifth of compiling."""
WORD = ir.IntType(64)


def inlined(kernel: F) -> F:
    """Compile a function that kernels call; its machine code becomes part of theirs."""
    return cast(F, numba.njit(**INLINED)(kernel))


compiled = inlined
"""Compile a kernel that `lehr.simulate.fast.calls` names.

Its machine code becomes part of its entry.
"""


def module(kernel: Any, name: str, kinds: tuple[Any, ...]) -> llvm.ModuleRef:
    """Return a kernel and its entry, called `name`, for arguments of some kinds.

    See `lehr.simulate.fast.machine` for the kinds, and for what the entry takes.
    """
    built = numba.cfunc(types.void(types.voidptr), **WITHIN)(
        _way_in(kernel, types.Tuple([_type(kind) for kind in kinds]))
    )
    parsed = llvm.parse_assembly(built.inspect_llvm())
    missing = [
        f.name for f in parsed.functions if f.is_declaration and not f.name.startswith("llvm.")
    ]
    assert not missing, f"{name} calls {missing}, which is not there where numba is not"
    parsed.get_function(built.native_name).name = name
    return parsed


def _type(kind: Any) -> Any:
    return (
        types.Array(numba.from_dtype(kind), 1, "C")
        if isinstance(kind, np.dtype)
        else types.Tuple([types.int64] * kind)
    )


def _way_in(kernel: Any, wanted: Any) -> Callable[[Any], None]:
    @intrinsic
    def arguments(_: Any, given: Any) -> Any:
        return wanted(given), lambda c, b, s, a: _taken_apart(c, b, a[0], wanted)

    def way_in(given: Any) -> None:
        kernel(*arguments(given))

    return way_in


def _taken_apart(context: Any, builder: Any, given: Any, wanted: Any) -> Any:
    """Code that makes the kernel's arguments of the words at an address.

    An array has two of them, the address of its elements and their number; a tuple, whose length
    is part of its type, has none.
    """
    words = builder.bitcast(given, WORD.as_pointer())
    places = iter(range(2 * len(wanted)))

    def word() -> Any:
        return builder.load(builder.gep(words, [ir.Constant(WORD, next(places))]))

    def argument(kind: Any) -> Any:
        if not isinstance(kind, types.Array):
            return context.get_constant_undef(kind)
        built = context.make_array(kind)(context, builder)
        width = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
        populate_array(
            built,
            builder.inttoptr(word(), built.data.type),
            shape=[word()],
            strides=[width],
            itemsize=width,
            meminfo=None,
        )
        return built._getvalue()

    return context.make_tuple(builder, wanted, [argument(kind) for kind in wanted])
