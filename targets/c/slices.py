"""Sums of binary weights behind spikes, counted 32 at a time.

One word is bit l of 32 counters, and a spike adds a row of weights to them. The sum over the spikes
that reach an output is twice the count of its weights +1 among them, less the number of spikes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lehr.network import Conv2d, Linear
from lehr.nodes import Shape

EVENT_ADD, SLICED_ADD, SLICED_READ = 8, 32, 12
"""Instructions on a Cortex-M4, from the slopes that benchmarks/c.py prints.

They are to add one weight to one sum, to add a word of weights to counters, and to read one bit of
a counter.
"""


@dataclass(frozen=True)
class Slices:
    """Counters of one node.

    Attributes:
        places: pixels times groups, each with counters and a number of spikes of its own.
        outputs: of a place.
        levels: bits of a counter.
    """

    places: int
    outputs: int
    levels: int

    @property
    def words(self) -> int:
        """Words that hold one bit of the counters of a place."""
        return -(-self.outputs // 32)

    @property
    def stride(self) -> int:
        """Words of a place: its counters, then how many spikes reached it."""
        return self.levels * self.words + 1

    @property
    def row_type(self) -> str:
        """The type of a word of weights."""
        return next(f"uint{bits}_t" for bits in (8, 16, 32) if self.outputs <= bits or bits == 32)


def slices(node: Conv2d | Linear, target: Shape, largest: int, rate: float) -> Slices | None:
    """Return the counters for a node, if they take fewer instructions than sums do.

    Sums would be one for each output.

    Args:
        node: with binary weights, which hears spikes alone.
        target: shape of its sums, of the pool's where it adds to a pool.
        largest: how many spikes can reach an output.
        rate: spikes per neuron and step.
    """
    groups = node.groups if isinstance(node, Conv2d) else 1
    counters = Slices(math.prod(target[1:]) * groups, target[0] // groups, largest.bit_length())
    spikes = rate * largest
    levels = min(math.log2(1 + spikes), counters.levels)
    sliced = SLICED_ADD * counters.words * spikes + SLICED_READ * counters.outputs * levels
    return counters if sliced < EVENT_ADD * counters.outputs * spikes else None
