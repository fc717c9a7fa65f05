"""Schedule of the machine: how many steps late each layer runs, and how long spikes wait.

A spike of a layer is taken in by others in the machine's own step in which it fires. One that waits
does so a step in each relay, a neuron that one synapse alone makes fire.
"""

from __future__ import annotations

from collections.abc import Mapping

from lehr.network import Network
from lehr.targets import waiting
from lehr.targets.arithmetics import Problem
from lehr.targets.hiaer.forms import numbers_of
from lehr.targets.wiring import Connection


def lags(net: Network) -> Mapping[str, int] | tuple[Problem, ...]:
    """Return the least number of steps by which each layer can run late.

    Where there is none, return the layers whose spikes come back to them too soon.
    """
    return waiting.least_lags(net, _hops(net))


def wait(net: Network, late: Mapping[str, int], each: Connection) -> int:
    """Return how many steps spikes wait on a connection; negative where they come too late."""
    return waiting.wait(each, late, _hops(net))


def _hops(net: Network) -> dict[str, int]:
    return {name: numbers_of(neuron).hop for name, neuron in net.neurons.items()}
