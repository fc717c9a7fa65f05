"""The lanes of the fast engine's kernels as words of z3, and the kernels' own source run on them.

A kernel's arithmetic is Python that numba compiles. Here the very functions of the file are run on
one lane, with each operation of lehr/simulate/fast/kernels/lanes.py as its docstring has it, so
that what is proven is what is compiled. Products with a number are words of their own, of which
only what follows from their size is known: no query multiplies.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

from lehr.prove.solver import z3
from lehr.simulate.fast.kernels import layout

Word = Any
KERNELS = Path(layout.__file__).parent
LINE_BITS = 512
"""Of the lines in which the planner lays down what neurons have."""


def functions(file: str, names: Sequence[str] = ()) -> CodeType:
    """Return the code of functions in a file of kernels, without what compiles them.

    Where none are named, it is that of all, and of the file's own numbers.
    """
    tree = ast.parse((KERNELS / file).read_text("utf-8"))
    defined = [s for s in tree.body if isinstance(s, ast.FunctionDef)]
    if names:
        defined = [s for s in defined if s.name in names]
        assert len(defined) == len(names), (file, names)
    for each in defined:
        each.decorator_list = []
    numbers = [s for s in tree.body if isinstance(s, ast.Assign) and not names]
    return compile(ast.Module([*numbers, *defined], []), file, "exec", dont_inherit=True)


class Products:
    """Products with numbers, as words of which the size is known.

    Args:
        most: the greatest magnitude that is multiplied.

    Attributes:
        known: what is known of them.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.known: list[Word] = []
        self._made: dict[tuple[int, int, int], Word] = {}

    def of(self, value: Word, factor: int, bits: int, *, signed: bool) -> Word:
        """Return value * factor in so many bits, which hold it."""
        if factor.bit_count() == 1:  # a shift, which is no product
            wider = bits - value.size()
            wide = z3.SignExt(wider, value) if signed else z3.ZeroExt(wider, value)
            return wide << (factor.bit_length() - 1)
        key = (value.get_id(), factor, bits)
        if key not in self._made:
            product = z3.BitVec(f"product {len(self._made)}", bits)
            self._made[key] = product
            zero = z3.BitVecVal(0, bits)
            end = self.most * factor
            if not signed:
                self.known.append(z3.ULE(product, end))
            else:
                self.known.append(z3.And(product <= end, product >= -end))
                self.known.append((value < 0) == (product < zero))
            self.known.append((value == 0) == (product == zero))
        return self._made[key]


def operations(products: Products) -> dict[str, Any]:
    """Return the operations of lanes, and the numbers of layout, by name."""

    def mul(left: Word, right: Any) -> Word:
        if not isinstance(right, int):
            return left * right
        if left.size() == 16:  # the lower half of an unsigned product
            return z3.Extract(15, 0, products.of(left, right, 32, signed=False))
        return products.of(left, right, left.size(), signed=True)

    def high_product(left: Word, right: int) -> Word:
        return z3.Extract(31, 16, products.of(left, right, 32, signed=False))

    return {
        **{name: value for name, value in vars(layout).items() if name.isupper()},
        **_LANES,
        "mul": mul,
        "high_product": high_product,
    }


def _with_number(operation: Callable[[Word, Word], Word]) -> Callable[[Word, Any], Word]:
    """Return an operation on two words, or on a word and a number that is in every lane."""
    return lambda left, right: operation(
        left, z3.BitVecVal(right, left.size()) if isinstance(right, int) else right
    )


def _resized(value: Word, like: Word) -> Word:
    wider = like.size() - value.size()
    return z3.SignExt(wider, value) if wider >= 0 else z3.Extract(like.size() - 1, 0, value)


_WORDS: dict[str, Callable[[Word, Word], Word]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "xor": lambda a, b: a ^ b,
    "both": lambda a, b: z3.And(a, b) if z3.is_bool(a) else a & b,
    "either": lambda a, b: z3.Or(a, b) if z3.is_bool(a) else a | b,
    "equal": lambda a, b: a == b,
    "unequal": lambda a, b: a != b,
    "less": lambda a, b: a < b,
    "greater": lambda a, b: a > b,
    "above": z3.UGT,
    "signed_right": lambda a, b: a >> b,
    "shift_left": lambda a, b: a << b,
}
_LANES: dict[str, Callable[..., Any]] = {
    **{name: _with_number(operation) for name, operation in _WORDS.items()},
    "select": z3.If,
    "filled": lambda mask, like: z3.If(
        mask, z3.BitVecVal(-1, like.size()), z3.BitVecVal(0, like.size())
    ),
    "apart": lambda value: value,
    "resized": _resized,
    "bits_of": lambda value: value.size(),
    "signs": lambda value: value >> (value.size() - 1),
    "spread": lambda value, like: z3.BitVecVal(value, like.size()),
    "without_sign": lambda value: z3.If(value < 0, -value, value),
    "set_lanes": lambda mask: mask,
}
"""The operations of lanes but products, as their docstrings have them."""
