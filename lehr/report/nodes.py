"""The facts of every node: what it holds, what its states reach, and what it computed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lehr.errors import NotMappable
from lehr.network import Network
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
        if total and name in spent:
            each = replace(each, work=spent[name] / total)
        if name in net.weighted:
            weight, kind = net.weighted[name].weight, net.weighted[name].kind
            each = replace(each, weights=weight.size, weight_kind=kind, zero=zero_share(weight))
        if name in counted:
            counts = counted[name]
            each = replace(each, dense=counts.dense / samples, events=counts.events / samples)
        if name in net.neurons:
            each = _of_neurons(each, net, widths.get(name), result)
        facts.append(each)
    words = "clocks, as the target estimates them" if by_clocks else "operations by event"
    return tuple(facts), words if total else ""


def _of_neurons(
    each: LayerFacts, net: Network, width: LayerWidth | None, result: Result | None
) -> LayerFacts:
    neuron = net.neurons[each.name]
    each = replace(each, neurons=math.prod(each.shape))
    if not neuron.integrates and "threshold" in neuron.program.parameters:
        theta = neuron.threshold
        each = replace(each, thresholds=(int(theta.min()), int(theta.max())))
    if not isinstance(neuron.arithmetic, Program):
        each = replace(each, bits=neuron.fields.state_bits)
    if width is not None:
        each = replace(each, proven=width.membrane, proven_bits=width.bits)
    if result is None:
        return each
    layer = result.layers[each.name]
    return replace(
        each,
        observed=(layer.lowest, layer.highest),
        observed_bits=bits_for(layer.lowest, layer.highest),
        rate=None if neuron.integrates else layer.rate,
        dead=None if neuron.integrates else layer.dead,
        saturations=layer.saturations,
    )
