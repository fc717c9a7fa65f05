"""Layers that run late, and spikes that wait, on machines that can hold a spike back.

A spike of a layer is taken in by others some steps, a hop, after it left. Where the network says
that it comes later, it waits. Where the network says that it comes earlier, the layer that takes it
runs later. Inputs wait before they enter.
"""

from __future__ import annotations

from collections.abc import Mapping

from lehr.network import INPUT, Network
from lehr.targets.arithmetics import Problem
from lehr.targets.wiring import Connection, connections


def least_lags(net: Network, hops: Mapping[str, int]) -> Mapping[str, int] | tuple[Problem, ...]:
    """Return the least number of steps by which each layer can run late.

    Where there is none, return the layers whose spikes come back to them too soon. A connection
    asks for lag(target) + delay >= lag(source) + hop(source).

    Args:
        net: the network.
        hops: steps from a spike of each layer to the machine's own step that takes it in.
    """
    lags = dict.fromkeys(net.neurons, 0)
    late = inner = [each for each in connections(net) if each.source != INPUT]
    for _ in range(len(lags) + 1):
        late = [each for each in inner if wait(each, lags, hops) < 0]
        if not late:
            return lags
        for each in late:
            lags[each.target] = max(
                lags[each.target], lags[each.source] + hops[each.source] - each.delay
            )
    reason = (
        "its spikes run in a circle in fewer steps than the machine takes, which is one a layer"
    )
    return tuple(
        Problem(name, reason, "put a Delay into the circle")
        for name in dict.fromkeys(each.target for each in late)
    )


def wait(each: Connection, late: Mapping[str, int], hops: Mapping[str, int]) -> int:
    """Return how many steps spikes wait on a connection; negative where they come too late."""
    if each.source == INPUT:
        return late[each.target] + each.delay
    return late[each.target] + each.delay - late[each.source] - hops[each.source]
