"""Integer weights and their declared kind.

The kind says which integers a weight may hold, and every station checks it.

| kind | integers |
| --- | --- |
| `binary` | -1 and +1 |
| `ternary` | -1, 0 and +1 |
| `int2` .. `int8` | -(2**(bits-1) - 1) .. 2**(bits-1) - 1 |

The last are symmetric, so that a change of sign stays inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused

WeightKind = Literal["binary", "ternary", "int2", "int3", "int4", "int5", "int6", "int7", "int8"]
Int8Array = npt.NDArray[np.int8]

KINDS: tuple[WeightKind, ...] = get_args(WeightKind)
LARGEST: Mapping[WeightKind, int] = {
    "binary": 1,
    "ternary": 1,
    **{kind: 2 ** (int(kind[3:]) - 1) - 1 for kind in KINDS[2:]},
}
"""The greatest magnitude that a weight of each kind has."""


def zero_share(weight: Int8Array) -> float:
    """Return which share of the weights is 0: how sparse a layer is."""
    return float(np.mean(weight == 0))


def exact_type(x: npt.NDArray[np.int64], weight: npt.NDArray[np.integer]) -> npt.DTypeLike:
    """Return a type in which sums of `x` with weights, by output in the first axis, are exact.

    It is float64 where every partial sum stays below 2**53, up to which that holds all integers, in
    whatever order it is summed: numpy has fast products of floats, and of integers it has none.
    """
    reached = max(int(x.max(initial=0)), -int(x.min(initial=0)))
    fan_in = np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(axis=1)
    return np.float64 if reached * int(fan_in.max(initial=0)) < 2**53 else np.int64


def frozen_array(
    value: npt.ArrayLike, dtype: type[np.integer], name: str
) -> npt.NDArray[np.integer]:
    """Copy `value` into a read-only array of `dtype`, refusing whatever would change on the way."""
    try:
        given = np.asarray(value)
    except ValueError:  # numpy's, of rows of different lengths
        raise FileRefused(
            f"{name} is no array of numbers; give one integer for each place"
        ) from None
    if given.dtype.kind not in "iub":
        raise FileRefused(
            f"{name} has dtype {given.dtype}, not integers; round it to integers first"
        )
    array = np.array(given, dtype=dtype, order="C")
    if not np.array_equal(array, given):
        worst = int(given[array != given].flat[0])
        raise FileRefused(
            f"{name} holds {worst}, which {np.dtype(dtype).name} cannot; use {np.iinfo(dtype).min} "
            f"to {np.iinfo(dtype).max}"
        )
    array.setflags(write=False)
    return array


def declared_kind(value: Any) -> WeightKind:
    """Return `value` as a kind of weights.

    Raises:
        FileRefused: when it is none.
    """
    for kind in KINDS:
        if value == kind:
            return kind
    raise FileRefused(
        f"weights are declared {str(value)[:80]!r}; lehr reads 'binary', 'ternary' and 'int2' to "
        "'int8'"
    )


def declared_weight(weight: npt.ArrayLike, kind: WeightKind, ndim: int, owner: str) -> Int8Array:
    """Return a read-only int8 array with `ndim` axes that holds what `kind` allows.

    Raises:
        FileRefused: when it holds anything else, or `kind` is none.
    """
    largest = LARGEST[declared_kind(kind)]
    array = frozen_array(weight, np.int8, f"{owner} weight")
    if array.ndim != ndim or array.size == 0:
        raise FileRefused(
            f"{owner} weight has shape {array.shape}; give {ndim} axes, none of them empty"
        )
    magnitude = np.abs(array.astype(np.int16))  # of -128, int8 has none
    wrong = array[(magnitude > largest) | ((magnitude == 0) & (kind == "binary"))]
    if wrong.size and kind == "binary":
        raise FileRefused(
            f"{owner} weight holds {int(wrong.flat[0])}, but weights are declared -1 or +1; "
            "binarize them first"
        )
    if wrong.size:
        raise FileRefused(
            f"{owner} weight holds {int(wrong.flat[0])}, but weights are declared '{kind}', "
            f"{-largest} to {largest}; quantize them first"
        )
    return array.view(np.int8)
