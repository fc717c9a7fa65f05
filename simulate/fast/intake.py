"""The way of inputs into a machine: they are checked, counted and put in their places at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lehr.network import Network
from lehr.simulate.fast import calls
from lehr.simulate.fast.kernels.layout import EDGE, PackSizes
from lehr.simulate.fast.plans.buffers import Buffer, aligned
from lehr.simulate.fast.plans.ops import Array
from lehr.simulate.result import check_values


class Intake:
    """What puts inputs into a buffer, see `packing`.

    Attributes:
        events: int64 `[*shape]`, how often each element of the input was not 0.
    """

    def __init__(self, net: Network, buffer: Buffer, array: Array) -> None:
        self._net, self._buffer, self._array = net, buffer, array
        self.events = np.zeros(buffer.shape, np.int64)
        self._recent = aligned(buffer.size, np.uint8)
        self._wrong = np.zeros(1, np.int64)

    def of(
        self, x: npt.NDArray[np.uint8], start: int, samples: int
    ) -> Callable[[int, int, int], None]:
        """Return what puts steps of some samples into slots, in order of both.

        It takes the first step, how many, and the first slot.

        Args:
            x: the inputs of a whole run, contiguous, `[N, steps, *shape]`.
            start: the first sample.
            samples: how many, from the first one of the buffer on.

        Raises:
            FileRefused: by what is returned, when there are values that the network does not take.
        """
        buffer, steps, each = self._buffer, x.shape[1], self._buffer.size
        channels, places = buffer.shape[0], math.prod(buffer.shape[1:])
        if places == 1:  # no maps: in one row
            channels, places = 1, channels
        sizes = np.array(PackSizes(samples, 0, channels, places, buffer.row))
        rows = np.array((0, steps * each, each, 0, self._array.shape[1], 1))
        kernel, checks = (calls.pack, (EDGE, self._wrong)) if buffer.bits else (calls.take, ())
        call = kernel.on(
            (
                x.reshape(-1),
                self._array.reshape(-1),
                self._recent,
                self.events.reshape(-1),
                *checks,
                sizes,
                rows,
            )
        )

        def put(first: int, count: int, slot: int) -> None:
            sizes[1], rows[0], rows[3] = count, (start * steps + first) * each, slot
            call()
            if self._wrong[0]:
                self._wrong[0] = 0
                check_values(self._net, x)

        return put
