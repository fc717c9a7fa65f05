"""Weights of 0: channels of neurons that no weight drives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lehr.network import Conv2d, Flatten, Linear, Network
from lehr.nodes import Node

Channels = npt.NDArray[np.bool_]


def without_weights(net: Network, name: str, channels: Channels) -> Network | None:
    """Return a network with weights of 0 on every way to some channels of a layer of neurons.

    Binary weights become ternary, others stay what they are.

    Args:
        net: the network.
        name: of the layer.
        channels: of the layer, bool `[channels]`.

    Returns:
        The network; None where spikes come to them without weights, or the same weights lead
        elsewhere, too.
    """
    if not channels.any():
        return net
    nodes, pending = dict(net.nodes), [(name, channels)]
    while pending:
        at, silent = pending.pop()
        for source in net.sources(at):
            node = net.nodes.get(source)
            if net.targets(source) != (at,):
                return None
            match node:
                case Conv2d() | Linear():
                    levels = node.weight.copy()
                    levels[silent] = 0
                    kind = "ternary" if node.kind == "binary" else node.kind
                    nodes[source] = replace(node, weight=levels, kind=kind)
                case Node() if node.by_channel:
                    pending.append((source, silent))
                case Flatten():
                    rows = silent.reshape(net.shapes[net.sources(source)[0]][0], -1)
                    if (rows != rows[:, :1]).any():
                        return None
                    pending.append((source, rows[:, 0]))
                case _:
                    return None
    return replace(net, nodes=nodes)
