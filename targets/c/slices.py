"""Sums of binary weights behind spikes, counted 32 at a time.

One word is bit l of 32 counters, and eight rows of weights are added to them at once. The sum over
the spikes that reach an output is twice the count of its weights +1 among them, less the number of
spikes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lehr.network import Conv2d, Linear
from lehr.nodes import Shape

EVENT_ADD = 8
SLICED_ROW, SLICED_ADD, SLICED_READ, SLICED_VISIT = 16, 12, 20, 45
"""Instructions on a Cortex-M4, about as benchmarks/c.py prints them.

They are to add one weight to one sum; and to find a spike and its row, to add a word of it to
counters, to read the counter of an output, and to look for spikes in a row of a window.
"""
MOST_WORDS, MOST_BYTES = 2, 4
"""Words of a row, at most, that are counted at once, and bytes of their counters.

They are on the stack.
"""


@dataclass(frozen=True)
class Slices:
    """Counters of one node.

    Attributes:
        places: along both axes of its sums, 1 and 1 where they have none.
        groups: each with counters of its own at each place.
        inputs: of a group, at each pixel.
        outputs: of a group, at each place.
        most: how many spikes reach an output.
    """

    places: tuple[int, int]
    groups: int
    inputs: int
    outputs: int
    most: int

    @property
    def words(self) -> int:
        """Words of a row of weights."""
        return -(-self.outputs // 32)

    @property
    def packed(self) -> bool:
        """Whether rows of weights are narrower than a word, and follow one another bit by bit."""
        return self.outputs < 32 and self.outputs not in (8, 16)

    @property
    def row_bits(self) -> int:
        """Bits of a word of weights."""
        return self.outputs if self.outputs in (8, 16) else 32

    @property
    def gather(self) -> str:
        """The name of the function that counts rows of this width."""
        return f"gather_{self.outputs if self.words == 1 else 32 * self.words}"

    @property
    def geometry(self) -> tuple[tuple[int, int], int, int]:
        """What nodes have in common whose spikes can be counted together."""
        return self.places, self.groups, self.outputs


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
    inputs = node.weight.shape[1]
    places = (target[1], target[2]) if len(target) == 3 else (1, 1)
    counters = Slices(places, groups, inputs, target[0] // groups, largest)
    spikes = rate * largest
    rows = spikes * (SLICED_ROW + SLICED_ADD * counters.words)
    looked = SLICED_VISIT * _visits(node, largest)
    event = EVENT_ADD * counters.outputs * spikes
    return counters if rows + SLICED_READ * counters.outputs + looked < event else None


def _visits(node: Conv2d | Linear, largest: int) -> int:
    """Return how many rows of windows are looked through for a place."""
    if isinstance(node, Linear):
        return 1
    height, width = (int(size) for size in node.weight.shape[2:])
    windows = largest // math.prod(node.weight.shape[1:])
    return windows * height * (1 if node.dilation[1] == 1 else width)
