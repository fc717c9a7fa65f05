"""The kernels as operations call them: machine code for the types of their arguments.

It is loaded when it is first asked for.

What a kernel computes stands in the file of kernels/ that it names. None of these files is imported
while their machine code is at hand: numba, which compiles them, takes longer to import than most
networks to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.simulate.fast import machine

Kinds = tuple[Any, ...]
ONE_AT_A_TIME = Lock()


class Call:
    """A kernel with what it is to run on: the arrays live as long as the call.

    Attributes:
        code: of the kernel.
        address: of what it is given.
    """

    def __init__(self, code: machine.Code, arguments: tuple[Any, ...]) -> None:
        self.code, self._arguments = code, arguments
        arrays = [each for each in arguments if isinstance(each, np.ndarray)]
        words = [word for array in arrays for word in (_address(array), array.size)]
        self._words = np.array(words, np.int64)
        self.address = _address(self._words)

    def __call__(self) -> None:
        """Run it, without Python's lock."""
        self.code.run(self.address)

    def take_first(self, array: npt.NDArray[Any]) -> None:
        """Run on another first array, of the same type, from now on."""
        self._arguments = array, *self._arguments[1:]
        self._words[:2] = _address(array), array.size


class Chain:
    """Calls that are made one after another, without a way back into Python between them.

    What the interpreter needs, kernels drive out of the caches: between two of them it takes ten
    times as long as by itself.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        words = [word for call in calls for word in (call.code.address, call.address)]
        self._words = np.array([len(calls), *words], np.int64)
        with ONE_AT_A_TIME:
            self._run = machine.one_after_another().run

    def __call__(self) -> None:
        """Make them, without Python's lock."""
        self._run(_address(self._words))


def _address(array: npt.NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def kinds_of(arguments: tuple[Any, ...]) -> Kinds:
    """Return the types of elements of arrays, and lengths of tuples."""
    return tuple([a.dtype if isinstance(a, np.ndarray) else len(a) for a in arguments])


class Kernel:
    """A kernel, compiled once for each combination of types; it runs without Python's lock.

    Attributes:
        file: of kernels/, in which it stands.
        name: in that file.
        ready: its machine code, by the kinds of its arguments.
    """

    def __init__(self, file: str, name: str) -> None:
        self.file, self.name = file, name
        self.ready: dict[Kinds, machine.Code] = {}

    def __call__(self, *arguments: Any) -> None:
        """Run on numpy arrays `[n]` without gaps, and tuples that stand for a number of lanes."""
        self.on(arguments)()

    def on(self, arguments: tuple[Any, ...]) -> Call:
        """Return the call on such arguments, which can be made again and again."""
        kinds = kinds_of(arguments)
        return Call(self.ready.get(kinds) or self._compile(kinds), arguments)

    def _compile(self, kinds: Kinds) -> machine.Code:
        with ONE_AT_A_TIME:  # compiled once, however many threads ask
            if kinds not in self.ready:
                self.ready[kinds] = machine.function(self.file, self.name, kinds)
        return self.ready[kinds]


gather = Kernel("strips", "gather")
multiply = Kernel("products", "multiply")
cells = Kernel("cells", "cells")
look_up = Kernel("fields", "look_up")
look_up_of_neurons = Kernel("fields", "look_up_of_neurons")
count_columns = Kernel("counting", "count_columns")
count_columns_of_neurons = Kernel("counting", "count_columns_of_neurons")
count_matches = Kernel("matches", "count_matches")
scatter = Kernel("scatter", "scatter")
scatter_bits = Kernel("scatter", "scatter_bits")
repeat_bits = Kernel("scatter", "repeat_bits")
copy = Kernel("scatter", "copy")
copy_bits = Kernel("scatter", "copy_bits")
maxima = Kernel("maxima", "maxima")
maxima_of_bits = Kernel("maxima", "maxima_of_bits")
neurons = Kernel("neurons", "neurons")
queue_events = Kernel("events", "queue_events")
event_neurons = Kernel("events", "event_neurons")
clear = Kernel("moving", "clear")
keep = Kernel("moving", "keep")
hold = Kernel("moving", "hold")
pack = Kernel("packing", "pack")
take = Kernel("packing", "take")
programs = Kernel("table", "programs")
event_programs = Kernel("event_table", "event_programs")
