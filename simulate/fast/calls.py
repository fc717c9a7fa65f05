"""The kernels as operations call them: machine code for the types of their arguments.

It is loaded when it is first asked for.

What a kernel computes stands in the file of kernels/ that it names. None of these files is imported
while their machine code is at hand: numba, which compiles them, takes longer to import than most
networks to run.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

from lehr.simulate.fast import machine

Kinds = tuple[Any, ...]
Run = Callable[[tuple[Any, ...]], None]
ONE_AT_A_TIME = Lock()


class Kernel:
    """A kernel, compiled once for each combination of types; it runs without Python's lock.

    Attributes:
        file: of kernels/, in which it stands.
        name: in that file.
        ready: what runs it, by the kinds of its arguments.
    """

    def __init__(self, file: str, name: str) -> None:
        self.file, self.name = file, name
        self.ready: dict[Kinds, Run] = {}

    def __call__(self, *arguments: Any) -> None:
        """Run on numpy arrays `[n]` without gaps, and tuples that stand for a number of lanes."""
        self.ready_for(arguments)(arguments)

    def ready_for(self, arguments: tuple[Any, ...]) -> Run:
        """Return the machine code that runs on such arguments."""
        kinds = tuple([a.dtype if isinstance(a, np.ndarray) else len(a) for a in arguments])
        return self.ready.get(kinds) or self._compile(kinds)

    def _compile(self, kinds: Kinds) -> Run:
        with ONE_AT_A_TIME:  # compiled once, however many threads ask
            if kinds not in self.ready:
                self.ready[kinds] = machine.function(self.file, self.name, kinds)
        return self.ready[kinds]


gather = Kernel("strips", "gather")
look_up = Kernel("lookup", "look_up")
count_columns = Kernel("counting", "count_columns")
count_matches = Kernel("counting", "count_matches")
scatter = Kernel("scatter", "scatter")
scatter_bits = Kernel("scatter", "scatter_bits")
copy = Kernel("scatter", "copy")
copy_bits = Kernel("scatter", "copy_bits")
maxima = Kernel("maxima", "maxima")
maxima_of_bits = Kernel("maxima", "maxima_of_bits")
neurons = Kernel("neurons", "neurons")
queue_events = Kernel("events", "queue_events")
event_neurons = Kernel("events", "event_neurons")
pack = Kernel("packing", "pack")
programs = Kernel("table", "programs")
event_programs = Kernel("event_table", "event_programs")
