"""Rails of membranes of 16 bits: the proof that a layer never leaves them, or stops as the network.

It never leaves them on the way either, or stops at the ends as the network's membranes do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lehr.network import Network
from lehr.targets.arithmetics import Problem
from lehr.targets.reckon.cells import HIGHEST, LOWEST, Cells
from lehr.targets.rooms import outside
from lehr.targets.wiring import Connection
from lehr.update import MEMBRANE, Bound


def problems(net: Network, name: str, own: Cells, heard: Sequence[Connection]) -> list[Problem]:
    """Return why a layer's membranes could be others than the network's.

    The machine adds event by event and saturates each time; biases are events among them. That is
    what the network's sum and one bound give where no partial sum leaves 16 bits, or where all that
    a neuron is given has one sign: such a sum stops at its end and stays there.
    """
    most, least = int(max(own.bias.max(), 0)), int(min(own.bias.min(), 0))
    # a bias may be the last of all events
    refusals = outside(net, name, {MEMBRANE: (LOWEST + most, HIGHEST + least)})
    if not refusals or not _same_bound(net, name):
        return refusals
    weights = np.concatenate([own.bias[None], *(each.weights for each in heard)])
    mixed = int(((weights > 0).any(0) & (weights < 0).any(0)).sum())
    if not mixed:
        return []
    reason = (
        f"{refusals[0].reason}; {mixed} of its neurons are given both signs, and may stop at an "
        "end of 16 bits on the way"
    )
    return [Problem(name, reason, refusals[0].hint)]


def _same_bound(net: Network, name: str) -> bool:
    return any(
        isinstance(s, Bound) and (s.low, s.high, s.overflow) == (LOWEST, HIGHEST, "saturate")
        for s in net.neurons[name].program.all
    )
