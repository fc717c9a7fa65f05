"""The way of inputs into a machine: they are checked, counted and put in their places at once."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lehr.network import Network
from lehr.simulate.fast import calls
from lehr.simulate.fast.kernels.layout import EDGE, PackSizes
from lehr.simulate.fast.plans.buffers import Buffer, aligned
from lehr.simulate.fast.plans.ops import Array
from lehr.simulate.result import check_values

Images = npt.NDArray[np.uint8]


class Intake:
    """What puts inputs into a buffer, see `packing`.

    Attributes:
        events: int64 `[*shape]`, how often each element of the input was not 0.
    """

    def __init__(self, net: Network, buffer: Buffer, array: Array) -> None:
        self._net, self._buffer, self._array = net, buffer, array
        self.events = np.zeros(buffer.shape, np.int64)
        self._x = self._none = np.zeros((0, 0, *buffer.shape), np.uint8)
        self._recent = aligned(buffer.size, np.uint8)
        self._wrong = np.zeros(1, np.int64)
        slots = array.shape[1]
        self._rows = np.array((0, 0, buffer.size, buffer.present, slots, 1))
        self._calls: dict[tuple[int, int], calls.Call] = {}

    def begin(self, x: Images, start: int) -> None:
        """Take inputs of a whole run, contiguous, `[N, steps, *shape]`, from sample `start` on."""
        each = x.shape[1] * self._buffer.size
        self._rows[:2] = start * each, each
        if x is not self._x:
            self._x = x
            flat = x.reshape(-1)
            for call in self._calls.values():
                call.take_first(flat)

    def end(self) -> None:
        """Let go of the inputs."""
        self.begin(self._none, 0)

    def work(self, samples: int, steps: int) -> calls.Call:
        """Return what puts the next steps of so many samples into their slots."""
        if (samples, steps) not in self._calls:
            self._calls[samples, steps] = self._call(samples, steps)
        return self._calls[samples, steps]

    def _call(self, samples: int, steps: int) -> calls.Call:
        buffer = self._buffer
        channels, places = buffer.shape[0], math.prod(buffer.shape[1:])
        if places == 1:  # no maps: in one row
            channels, places = 1, channels
        sizes = np.array(PackSizes(samples, steps, channels, places, buffer.row))
        into, events = self._array.reshape(-1), self.events.reshape(-1)
        counted = (self._x.reshape(-1), into, self._recent, events)
        if buffer.bits:
            return calls.pack.on((*counted, EDGE, self._wrong, sizes, self._rows))
        return calls.take.on((*counted, sizes, self._rows))

    def refuse(self) -> None:
        """Refuse inputs of which some had values that the network does not take.

        Raises:
            FileRefused: naming the highest one of the whole run.
        """
        if self._wrong[0]:
            self._wrong[0] = 0
            check_values(self._net, self._x)
