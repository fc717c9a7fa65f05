"""The facts of every node: what it holds, what its states can become and became, and what it computed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from lehr.errors import NotMappable
from lehr.network import INPUT, Network
from lehr.report.facts import CostFacts, LayerFacts, NetworkFacts
from lehr.simulate.result import Result
from lehr.simulate.statistics import operations
from lehr.update import Program
from lehr.weights import zero_share
from lehr.widths import LayerWidth, analyse, bits_for

_WORK = re.compile(r"clocks of (.+)\Z")


def network_facts(net: Network) -> NetworkFacts:
    """Return a network in a few numbers."""
    return NetworkFacts(
        net.digest,
        net.input.shape,
        net.input.kind,
        net.steps,
        net.readout,
        math.prod(net.shapes[net.output]),
        sum(math.prod(net.shapes[name]) for name in net.neurons),
        sum(node.weight.size for node in net.weighted.values()),
    )


def layer_facts(
    net: Network, result: Result | None, costs: Sequence[CostFacts]
) -> tuple[tuple[LayerFacts, ...], str]:
    """Return the facts of every node, and of what `work` is a share.

    Args:
        net: the network.
        result: of samples; None where there are none.
        costs: of an artefact, whose target may tell the clocks of each layer.
    """
    try:
        widths: Mapping[str, LayerWidth] = analyse(net).layers
    except NotMappable:
        widths = {}
    counted = {} if result is None else operations(net, result)
    clocks = {
        match[1]: each.value for each in costs if (match := _WORK.match(each.name)) is not None
    }
    by_clocks = bool(clocks) and set(clocks) <= set(net.neurons)
    spent = clocks if by_clocks else {name: float(o.events) for name, o in counted.items()}
    total = sum(spent.values())
    samples = 0 if result is None else len(result.counts)
    facts = []
    for name in net.order:
        node = net.nodes[name]
        each = LayerFacts(name, type(node).__name__, net.shapes[name])
        values = vars(each) | {"work": spent[name] / total if total and name in spent else None}
        if name in net.weighted:
            weight = net.weighted[name].weight
            values |= {
                "weights": weight.size,
                "weight_kind": net.weighted[name].kind,
                "zero": zero_share(weight),
            }
        if name in counted:
            values |= {
                "dense": counted[name].dense / samples,
                "events": counted[name].events / samples,
            }
        if name in net.neurons:
            values |= _of_neurons(net, name, widths.get(name), result)
        facts.append(LayerFacts(**values))
    words = "clocks, as the target estimates them" if by_clocks else "operations by event"
    return tuple(facts), words if total else ""


def _of_neurons(
    net: Network, name: str, width: LayerWidth | None, result: Result | None
) -> dict[str, object]:
    neuron, found = net.neurons[name], dict[str, object]()
    found["neurons"] = math.prod(net.shapes[name])
    if not neuron.integrates and "threshold" in neuron.program.parameters:
        found["thresholds"] = (int(neuron.threshold.min()), int(neuron.threshold.max()))
    if not isinstance(neuron.arithmetic, Program):
        found["bits"] = neuron.fields.state_bits
    if width is not None:
        found |= {"proven": width.membrane, "proven_bits": width.bits}
    if result is not None:
        layer = result.layers[name]
        found |= {
            "observed": (layer.lowest, layer.highest),
            "observed_bits": bits_for(layer.lowest, layer.highest),
            "rate": layer.rate,
            "dead": layer.dead,
            "saturations": layer.saturations,
        }
    return found


def input_rate(net: Network, result: Result, steps: int) -> float:
    """Return how many events an element of the input has in a step."""
    return int(result.events.sum()) / (math.prod(net.input.shape) * len(result.counts) * steps)


__all__ = ["INPUT", "input_rate", "layer_facts", "network_facts"]
