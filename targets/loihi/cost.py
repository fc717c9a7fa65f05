"""Costs of a network on Loihi, by the energy of each event that its designers give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lehr.network import INPUT, Network
from lehr.targets.contract import Figure
from lehr.targets.loihi.mapping import Mapped

DENSE, CONVOLUTION = 35.5e-12, 24.0e-12
"""Joules of a synaptic event."""
NEURON, UPDATE, SPIKE, MESSAGE = 51.2e-12, 21.6e-12, 69.3e-12, 111.0e-12
"""Joules of a neuron in a step, of its update, of a spike, and of a message to another core."""
CORE, CORES = 1024, 128
"""Neurons of a core, and cores of a chip."""
SOURCE = "Davies et al. 2018, IEEE Micro 38(1), as in SANA-FE's loihi.yaml"


def figures(
    net: Network, layers: Sequence[Mapped], rates: Mapping[str, float]
) -> tuple[Figure, ...]:
    """Return events of a mean step at the given rates, and the energy of an inference.

    Hops and what the chip takes at rest are left out.
    """
    before, size, events, energy, messages = INPUT, math.prod(net.input.shape), 0.0, 0.0, 0.0
    neurons = spikes = 0.0
    for each in layers:
        layer, rate = each.layer, rates.get(each.layer.name, 0.0)
        arriving, own = rates.get(before, 0.0) * layer.synapses, rate * layer.own_synapses
        events += arriving + own
        energy += arriving * (DENSE if layer.window is None else CONVOLUTION) + own * DENSE
        cores = math.ceil(layer.size / CORE)
        messages += rates.get(before, 0.0) * size * cores + (
            rate * layer.size * cores if layer.own is not None else 0.0
        )
        neurons, spikes = neurons + layer.size, spikes + rate * layer.size
        before, size = layer.name, layer.size
    energy += neurons * (NEURON + UPDATE) + spikes * SPIKE + messages * MESSAGE
    counted = "at the given rates, layer by layer"
    what = (
        f"{SOURCE}: 35.5 pJ a synaptic event (24.0 of a convolution), 51.2 + 21.6 pJ a neuron and "
        "step, 69.3 pJ a spike, 111 pJ a message;"
        " without hops and power at rest"
    )
    return (
        Figure(
            "cores",
            sum(math.ceil(each.layer.size / CORE) for each in layers),
            f"of {CORES} cores",
            f"{CORE:,} neurons each, layers apart",
        ),
        Figure(
            "synaptic operations",
            events,
            "per step",
            f"spikes times the synapses that they reach, {counted}",
        ),
        Figure(
            "messages", messages, "per step", f"spikes times the cores that they reach, {counted}"
        ),
        Figure("energy", energy * net.steps * 1e9, "nJ per inference", what),
    )
