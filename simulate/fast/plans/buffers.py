"""Values between kernels: one array for each node, `[samples, slots, elements]`, channels last.

They are bits or integers.

A slot is a step; the first slots hold what later steps still need of earlier ones: the step before,
and all steps of a delay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.nodes import Shape

WORD = 64
SPARE = 64
"""Elements past the end of an array that a kernel may read, list, or add 0 to, and never uses."""


def padded(size: int, to: int = WORD) -> int:
    """Return the next multiple."""
    return -(-size // to) * to


def order_of(shape: Shape) -> npt.NDArray[np.int32]:
    """Return each element's flat index, channels first, in a value with its channels last."""
    flat = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    return np.ascontiguousarray(np.moveaxis(flat, 0, -1)).reshape(-1)


@dataclass(eq=False)
class Buffer:
    """The values of one node.

    Attributes:
        name: of the node.
        shape: of its value.
        dtype: of an element; uint64 for words of bits.
        held: the same value in all steps, so that there is one slot.
        delay: how many steps after it is written a value is read.
        keeps: whether the step after needs anything; a plan says so once it has all operations.
        row: elements in a slot; words for bits.
    """

    name: str
    shape: Shape
    dtype: Any
    held: bool = False
    delay: int = 0
    keeps: bool = False
    row: int = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = math.prod(self.shape)
        self.row = self.row or (padded(self.size) // WORD if self.bits else padded(self.size))

    @property
    def bits(self) -> bool:
        """Return whether a value is a bit."""
        return self.dtype is np.uint64

    @property
    def maps(self) -> tuple[int, int]:
        """Return height and width of feature maps; those of features are 1."""
        height, width = self.shape[1:] or (1, 1)
        return height, width

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return int(np.dtype(self.dtype).itemsize)

    @property
    def past(self) -> int:
        """Slots for what is past."""
        return 0 if self.held else max(int(self.keeps), self.delay and 1 + self.delay)

    @property
    def present(self) -> int:
        """The slot of a block's first step."""
        return min(self.past, 1)

    def slots(self, steps: int) -> int:
        """All slots for a block of steps."""
        return 1 if self.held else self.past + steps

    def room(self, samples: int, steps: int) -> npt.NDArray[Any]:
        """Return memory, all zeros, on a cache line; a kernel may read beyond its end."""
        shape = (samples, self.slots(steps), self.row)
        return aligned(math.prod(shape), self.dtype)[: math.prod(shape)].reshape(shape)


def aligned(size: int, dtype: Any) -> npt.NDArray[Any]:
    """Zeros from the beginning of a cache line on, with some to spare behind them."""
    width = np.dtype(dtype).itemsize
    memory = np.zeros(size + SPARE + WORD // width, dtype)
    first = -memory.ctypes.data % WORD // width
    return memory[first : first + size + SPARE]


def flat_aligned(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values flat, from the beginning of a cache line on, with some to spare behind them."""
    array = aligned(values.size, values.dtype)
    array[: values.size] = values.reshape(-1)
    return array
