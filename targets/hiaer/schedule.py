"""How many steps late each layer runs on the machine, and how long spikes wait on the way.

A spike of a layer is taken in by others in the machine's own step in which it fires. Where the network says that it comes later, it
waits: one step in each relay, a neuron that one synapse alone makes fire. Where the network says that it comes earlier, the layer that
takes it runs later. Inputs wait before they enter.
"""

from __future__ import annotations

from collections.abc import Mapping

from lehr.network import INPUT, Network
from lehr.targets.arithmetics import Problem
from lehr.targets.hiaer.forms import numbers_of
from lehr.targets.wiring import Connection, connections


def lags(net: Network) -> Mapping[str, int] | tuple[Problem, ...]:
    """By how many steps each layer runs late, the least that there are; or the layers whose spikes come back to them too soon.

    A connection asks for lag(target) + delay >= lag(source) + hop(source).
    """
    found = dict.fromkeys(net.neurons, 0)
    inner = [each for each in connections(net) if each.source != INPUT]
    for _ in range(len(found) + 1):
        late = [each for each in inner if wait(net, found, each) < 0]
        if not late:
            return found
        for each in late:
            found[each.target] = max(found[each.target], found[each.source] + _hop(net, each.source) - each.delay)
    reason = "its spikes run in a circle in fewer steps than the machine takes, which is one a layer"
    return tuple(Problem(name, reason, "put a Delay into the circle") for name in dict.fromkeys(each.target for each in late))


def wait(net: Network, late: Mapping[str, int], each: Connection) -> int:
    """How many steps spikes wait on a connection; negative where they come too late."""
    if each.source == INPUT:
        return late[each.target] + each.delay
    return late[each.target] + each.delay - late[each.source] - _hop(net, each.source)


def _hop(net: Network, name: str) -> int:
    return numbers_of(net.neurons[name]).hop
