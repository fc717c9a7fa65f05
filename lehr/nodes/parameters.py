"""Parameters of a layer of neurons: their arrays, and the range that a program asks of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import MAX_SHIFT
from lehr.errors import FileRefused
from lehr.nodes.base import Int32Array
from lehr.update import FIRED, Bound, Fire, Leak, Program, Source
from lehr.update_text import line_of
from lehr.weights import frozen_array


def parameter_array(value: npt.ArrayLike, name: str) -> Int32Array:
    """Return a read-only int32 array by channel, or by neuron where any channel holds two values.

    Raises:
        FileRefused: when it has no values, or any that int32 does not hold.
    """
    array = frozen_array(value, np.int32, name)
    if array.ndim == 0 or array.size == 0:
        raise FileRefused(
            f"{name} has shape {array.shape}; give one integer per channel, or one per neuron"
        )
    if array.ndim > 1:
        by_channel = array.reshape(len(array), -1)
        if (by_channel == by_channel[:, :1]).all():
            array = by_channel[:, 0].copy()
            array.setflags(write=False)
    return np.asarray(array, np.int32)


def check_parameters(program: Program, values: Mapping[str, Int32Array]) -> None:
    """Refuse parameters that do not fit a program.

    It lacks them, does not read them, writes them, or uses them in a way that their values do not
    allow.

    Raises:
        FileRefused: naming the parameter and the statement.
    """
    _check_names(program, values)
    if "threshold" in program.parameters and (low := int(values["threshold"].min())) < 1:
        raise FileRefused(f"Neuron threshold holds {low}; a threshold is an integer of at least 1")
    for statement in program.all:
        for what, least, most in _ranges(statement, values):
            if (least > most).any():
                raise FileRefused(
                    f"'{line_of(statement)}': {what}, but {int(least[least > most].flat[0])} is "
                    "above"
                    f" {int(np.broadcast_to(most, least.shape)[least > most].flat[0])}; change one "
                    "of them"
                )


def _check_names(program: Program, values: Mapping[str, Int32Array]) -> None:
    for name in program.parameters:
        if name not in values:
            raise FileRefused(
                f"its update reads {name}, which the layer does not hold; give an integer for each "
                "channel or neuron"
            )
    for name in values:
        if name in program.registers:
            raise FileRefused(
                f"its update writes {name}, which is a parameter of the layer; use another register"
            )
        if name not in (*program.parameters, "threshold", "bias"):
            raise FileRefused(f"it holds {name}, which its update does not read; remove it")
    channels = {len(value) for value in values.values()}
    shapes = {value.shape for value in values.values() if value.ndim > 1}
    if len(channels) > 1 or len(shapes) > 1:
        raise FileRefused(
            f"its parameters have {sorted(channels)} channels in shapes {sorted(shapes)}; give all "
            "of them the same"
        )


_Pair = tuple[str, npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _ranges(statement: object, values: Mapping[str, Int32Array]) -> Iterator[_Pair]:
    """Yield what a statement asks of its parameters.

    Each is a pair of arrays of which the first is nowhere above the second, and that in words.
    """
    axes = max(value.ndim for value in values.values())

    def array(source: Source) -> npt.NDArray[np.int64]:
        value = np.asarray(source if isinstance(source, int) else values[source], np.int64)
        return value.reshape(*value.shape, *[1] * (axes - value.ndim))

    def pair(what: str, least: npt.NDArray[np.int64], most: npt.NDArray[np.int64]) -> _Pair:
        low, high = np.broadcast_arrays(least, most)
        return what, low, high

    zero = np.zeros((), np.int64)
    match statement:
        case Leak(_, decay):
            numerator, shift = array(decay.numerator), array(decay.shift)
            yield pair("a shift is at least 0", zero, shift)
            yield pair(f"a shift is at most {MAX_SHIFT}", shift, zero + MAX_SHIFT)
            yield pair("a numerator is at least 0", zero, numerator)
            whole = zero + (1 << MAX_SHIFT)
            yield pair(
                "a numerator is at most 2^shift",
                numerator,
                whole if decay.form != "multiply" else 1 << np.clip(shift, 0, MAX_SHIFT),
            )
        case Bound(_, low, high):
            yield pair("low is at most high", array(low), array(high))
        case Fire(_, level) if isinstance(level, str) and level in values and level != FIRED:
            yield pair("a level is at least 1", zero + 1, array(level))
