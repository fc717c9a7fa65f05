"""Forms that machines ask of training: `lehr train RECIPE --target NAME` trains in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from lehr.machines import MACHINES
from lehr.network import Network

Share = Literal["channel", "pair", "layer", "network"]
"""Neurons that share a threshold: a channel, channels 2i and 2i + 1, a layer, all the network."""


@dataclass(frozen=True)
class TrainingForm:
    """Form in which a network must be trained so that it maps.

    What a form leaves out is as the recipe says. A recipe that says something else is refused with
    what to change, but for `parameters` and `fraction_bits`: there the recipe goes first, and the
    target's own `check` has the last word, on a network of the recipe's shape, before training
    starts.

    Attributes:
        machine: the update, a name in `lehr.machines.MACHINES`; None where fields say it.
        arithmetic: fields of `lehr.arithmetic.Arithmetic` by name, beside a machine none.
            `decay_numerator` and `decay_shift` are for a machine with one decay alone; with others
            the recipe's `network.beta` is the decay.
        parameters: a machine's parameters where neither the recipe nor, for the membrane's decay,
            its `network.beta` says them.
        share: which neurons have one threshold.
        multiple: thresholds are multiples of it, in integers.
        highest: the greatest threshold, in integers; None for any.
        biases: whether neurons have biases, and so layers batch norm.
        fraction_bits: of layers of which the recipe says none; None: chosen by training, or a
            machine's own.
        output_spikes: the most spikes that a neuron of the last layer fires in a step, where that
            is fewer than the machine's; None where it is not.
        then: the machine that the trained network is said by before it maps, of the same parameters
            (`said_by`): one that takes events one by one, say, which training cannot; accuracy is
            then measured again. None where it maps as it was trained.
    """

    machine: str | None = None
    arithmetic: Mapping[str, str | int] = field(default_factory=lambda: MappingProxyType({}))
    parameters: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    share: Share = "channel"
    multiple: int = 1
    highest: int | None = None
    biases: bool = True
    fraction_bits: int | None = None
    output_spikes: int | None = None
    then: str | None = None


def said_by(net: Network, machine: str, other: str) -> Network:
    """Return another network, whose layers of one machine compute another machine's update.

    The parameters are the same.

    Args:
        net: any network; layers that compute something else stay as they are.
        machine: whose update is replaced, a name in `MACHINES`.
        other: by whose.
    """
    changed = {
        name: replace(n, arithmetic=MACHINES[other])
        for name, n in net.neurons.items()
        if n.arithmetic == MACHINES[machine]
    }
    return replace(net, nodes={**net.nodes, **changed})
