"""Layers that do the same in every step of a run, so that it shows nothing of them, and why.

constant_layers(net, simulate(net, x))["lif3"]
# 'never fires: its membranes reach 61 at most, its thresholds are 78..80'
"""

from __future__ import annotations

from collections.abc import Iterator

from lehr.network import INPUT, Network
from lehr.simulate.result import Layer, Result


def constant_layers(net: Network, ran: Result) -> dict[str, str]:
    """Say of layers of neurons that they never or always fired, and of silent ones why.

    Integrators are left out, which never fire; so are layers that fire with every event, of which
    there may be several in a step.

    Args:
        net: the network.
        ran: what a run of it gave.
    """
    constant = {}
    for name, neuron in net.neurons.items():
        layer = ran.layers[name]
        if neuron.integrates:
            continue
        if not layer.rate:
            constant[name] = f"never fires: {_reason(net, ran, name, layer)}"
        elif layer.rate >= 1 and not neuron.by_event:
            constant[name] = "always fires"
    return constant


def _reason(net: Network, ran: Result, name: str, layer: Layer) -> str:
    """Say why a layer is silent: nothing comes to it, or membranes stay below its thresholds."""
    heard = set(_heard(net, name))
    counts = {
        source: int((ran.events if source == INPUT else ran.layers[source].spikes).sum())
        for source in heard
    }
    reach = f"its membranes reach {layer.highest:,} at most"
    if not any(counts.values()):
        silent = " and ".join("the input" if s == INPUT else s for s in sorted(heard))
        verb = "is" if len(heard) == 1 else "are"
        return f"nothing comes to it, as {silent} {verb} silent, and {reach}"
    neuron = net.neurons[name]
    if "threshold" not in neuron.program.parameters:
        return reach
    low, high = int(neuron.threshold.min()), int(neuron.threshold.max())
    least = f"its threshold is {low:,}" if low == high else f"its thresholds are {low:,}..{high:,}"
    return f"{reach}, {least}"


def _heard(net: Network, name: str) -> Iterator[str]:
    """Yield the layers of neurons, and the input, from which something comes to a node."""
    for source in net.sources(name):
        if source == INPUT or source in net.neurons:
            yield source
        else:
            yield from _heard(net, source)
