"""Crossbar of tinyODIN in place of a network: rows of weights, columns of neurons.

Events read rows, and reach the neurons of columns. In open loop (register SPI_OPEN_LOOP) the spikes
of neurons go out and are not served: rows then belong to the input alone, columns to the neurons,
and the scheduler's queue holds nothing but events of the host: never more than one, so that none is
dropped and none overtakes another. For the controller comes back to WAIT from a handshake when the
request is low (controller.v), and then serves what is queued.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Network, Neuron
from lehr.nodes import SumPool2d
from lehr.targets.arithmetics import Problem
from lehr.targets.forms import matched
from lehr.targets.wiring import by_neuron, connections, sizes
from lehr.update import Program

NEURONS = 256
LOWEST_WEIGHT, HIGHEST_WEIGHT = -8, 7
HIGHEST_THRESHOLD = 4095
"""Highest threshold: 12 bits without a sign.

A membrane reaches 2047, so that a neuron with a threshold above never fires.
"""
HIGHEST_LEAK = 127

_EVENT = """
    add v input 0
    bound v -2048 2047 saturate
    fire now v {test:name} threshold 1
    put v 0 when now
    add fired now 0
    end
"""
PROGRAM = f"put fired 0\nfor each event\n{_EVENT.strip()}\n?leak v linear {{leak:name}} 0"
"""The machine's own update; a neuron without a leak has a leak of 0."""
FIELDS = f"add v bias 0\nbound v -2048 2047 saturate\nput fired 0\nfor each event\n{_EVENT.strip()}"
"""What the fields of an update by event stand for, without a leak. Its bias must be 0."""


@dataclass(frozen=True)
class Crossbar:
    """Contents of the memories.

    Attributes:
        weights: int64 `[inputs, neurons]`, by row.
        thresholds: at which a neuron fires, `[neurons]`.
        leaks: by how much a membrane moves towards 0 at the end of a step, `[neurons]`.
        raised: whether thresholds are one more than the network's, which fires beyond them.
    """

    weights: Int64
    thresholds: Int64
    leaks: Int64
    raised: bool


def crossbar(net: Network) -> Crossbar:
    """Return the memories of a network that maps."""
    ((name, neuron),) = net.neurons.items()
    (inputs,) = connections(net)
    size, numbers = sizes(net)[name], _numbers(neuron)
    assert not isinstance(numbers, str)
    raised = numbers["test"] == "gt"
    return Crossbar(
        inputs.weights,
        by_neuron(neuron, "threshold", size) + raised,
        _leaks(neuron, numbers, size),
        raised,
    )


def problems(net: Network) -> tuple[Problem, ...]:
    """Return why a network, whose nodes and fields the machine has, is no crossbar of its."""
    if refusals := beyond_one_layer(net):
        return refusals
    ((name, neuron),) = net.neurons.items()
    numbers = _numbers(neuron)
    if isinstance(numbers, str):
        return (
            Problem(
                name,
                numbers,
                "say it as the machine tinyodin of lehr.machines, or in fields with update 'event' "
                "and 12 bits",
            ),
        )
    refusals = _of_sizes(net, name)
    if neuron.bias.any():
        refusals += (
            Problem(name, "its neurons have a bias, the machine has none", "train without biases"),
        )
    size = sizes(net)[name]
    highest = HIGHEST_THRESHOLD - (numbers["test"] == "gt")
    refusals += outside(
        name,
        "thresholds",
        by_neuron(neuron, "threshold", size),
        1,
        highest,
        "use smaller weights, or fewer fraction bits",
    )
    refusals += outside(
        name, "leaks", _leaks(neuron, numbers, size), 0, HIGHEST_LEAK, "use a smaller leak"
    )
    ways = connections(net)
    weights = (
        np.concatenate([each.weights.reshape(-1) for each in ways])
        if ways
        else np.zeros(1, np.int64)
    )
    pooled = (
        "pool less"
        if any(isinstance(node, SumPool2d) for node in net.nodes.values())
        else "use weights of at most 4 bits"
    )
    refusals += outside(
        name, "weights, as an event brings them", weights, LOWEST_WEIGHT, HIGHEST_WEIGHT, pooled
    )
    return refusals


def beyond_one_layer(net: Network) -> tuple[Problem, ...]:
    """Return why a network is more than one layer of neurons that hears the input alone.

    The queue serves others otherwise than the network.
    """
    queue = (
        "through the machine's queue, within the step and in the order in which they are "
        "emitted, not of address"
    )
    hint = "use one layer of neurons that hears the input alone, or target c"
    ways = {(each.source, each.target): each for each in connections(net) if each.source != INPUT}
    refusals = [
        Problem(target, f"it would hear spikes of {source} {queue}", hint)
        for source, target in ways
    ]
    deaf = [
        Problem(name, "it is one more layer beside another", hint) for name in list(net.neurons)[1:]
    ]
    return tuple(refusals) or tuple(deaf)


def _of_sizes(net: Network, name: str) -> tuple[Problem, ...]:
    inputs, neurons = int(np.prod(net.input.shape)), sizes(net)[name]
    refusals = []
    if inputs > NEURONS:
        refusals.append(
            Problem(
                name,
                f"it hears {inputs:,} inputs, the machine has {NEURONS} rows of weights",
                "pool or crop the input",
            )
        )
    if neurons > NEURONS:
        refusals.append(
            Problem(
                name, f"it has {neurons:,} neurons, the machine has {NEURONS}", "use fewer neurons"
            )
        )
    return tuple(refusals)


def outside(
    name: str, what: str, values: Int64, low: int, high: int, hint: str
) -> tuple[Problem, ...]:
    """Return the problem that numbers of layer `name` leave `low` to `high`, where they do."""
    if int(values.min()) >= low and int(values.max()) <= high:
        return ()
    return (
        Problem(
            name,
            f"its {what} are {values.min():,}..{values.max():,}, the machine holds "
            f"{low:,}..{high:,}",
            hint,
        ),
    )


def _numbers(neuron: Neuron) -> dict[str, str] | str:
    """Return the numbers in an update that is the machine's, or why it is not."""
    own = matched(neuron.program, PROGRAM if isinstance(neuron.arithmetic, Program) else FIELDS)
    if isinstance(own, str):
        return own
    if own.get("leak") in neuron.program.registers:
        return (
            f"its leak is the register {own['leak']}, which changes; the machine's is a number "
            "by neuron"
        )
    return own


def _leaks(neuron: Neuron, numbers: dict[str, str], size: int) -> Int64:
    leak = numbers.get("leak", "0")
    return (
        by_neuron(neuron, leak, size)
        if leak in neuron.program.parameters
        else np.full(size, int(leak), np.int64)
    )
