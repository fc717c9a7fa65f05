"""Networks with a Scale wherever one can stand.

It stands before and behind weights, on a second branch, and on a feedback edge.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from lehr.network import INPUT
from lehr.nodes import Flatten, Linear, Scale
from lehr.nodes.scale import MAX_FACTOR
from lehr.targets.conformance.building import Builder
from lehr.targets.conformance.forms import AddNeurons, Form

FEW = 5


def scaled(*, by_value: bool = False) -> tuple[Form, ...]:
    """Return forms with spikes, sums, a second branch and feedback, each times factors.

    The factors are by channel, or, before dense weights, by value.
    """

    def maps(net: Builder, neurons: AddNeurons) -> None:
        net.add("gain_in", _gains(net, net.shape[0]))
        net.conv("conv1", 4)
        net.add("gain_sums", _gains(net, 4))
        neurons("lif1")
        net.add("gain_dense", _extreme(net, *(net.shape if by_value else net.shape[:1])))
        net.linear("fc", 5)
        neurons("out")
        _branches(net, _extreme(net, *(net.input.shape if by_value else net.input.shape[:1])))

    def dense(net: Builder, neurons: AddNeurons) -> None:
        net.add("gain_in", _extreme(net, *net.shape))
        net.linear("fc_hidden", 9)
        neurons("hidden")
        net.linear("fc_out", 5)
        net.add("gain_sums", _gains(net, 5))
        neurons("out")
        _branches(net, _extreme(net, *net.input.shape))

    def alone(net: Builder, neurons: AddNeurons) -> None:
        net.add("gain_in", _extreme(net, *net.shape))
        net.linear("fc", 6)
        neurons("out")

    spatial = (
        Form("scaled_maps", maps, (2, 6, 6)),
        Form("scaled_maps_of_pixels", maps, (2, 6, 6), pixels=True, held=True),
    )
    return (
        spatial
        if by_value
        else (
            *spatial,
            Form("scaled_dense", dense, (14,), steps=12),
            Form("scaled_alone", alone, (14,), steps=12),
        )
    )


def _gains(net: Builder, *shape: int) -> Scale:
    """Factors of a few units and both signs, so that a machine can multiply them into weights."""
    return Scale(
        net.rng.integers(1, FEW, shape, np.int32, endpoint=True)
        * net.rng.choice(np.array([-1, 1], np.int32), shape)
    )


def _extreme(net: Builder, *shape: int) -> Scale:
    """Return the same with the greatest, the least and 0 among them, as many as leave one other."""
    factor = _gains(net, *shape).spread(shape).astype(np.int32)
    rare = np.array([MAX_FACTOR, -MAX_FACTOR, 0])[: factor.size - 1]
    factor.flat[: rare.size] = rare
    return Scale(factor)


def _branches(net: Builder, gain: Scale) -> None:
    """Add a second branch and feedback to the neurons added last.

    What came in goes to them times `gain` and through weights of its own, and their own spikes go
    to them times factors.
    """
    features, kind = math.prod(net.input.shape), net.kinds[0]
    net.nodes |= {
        "gain_skip": gain,
        "flat_skip": Flatten(),
        "fc_skip": Linear(net.weight(net.shape[0], features, kind=kind), kind),
    }
    way = [INPUT, "gain_skip", "flat_skip", "fc_skip", net.here]
    if len(net.input.shape) == 1:
        del net.nodes["flat_skip"]
        way.remove("flat_skip")
    net.nodes["gain_self"] = _extreme(net, *net.shape)
    net.edges += [*pairwise(way), (net.here, "gain_self"), ("gain_self", net.here)]
