"""A few fixed networks: convolutions on pixels, recurrence, delays, two states, integrators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np

from lehr.arithmetic import Arithmetic, Synapse
from lehr.network import Delay, Input, Linear, Network, Readout, SumPool2d
from lehr.simulate import simulate
from lehr.targets.conformance.building import Builder, Images, alive, flowing, random_input
from lehr.weights import WeightKind

MEMBRANE_READOUTS: tuple[Readout, ...] = tuple(
    readout for readout in get_args(Readout) if readout != "count_argmax_lowest"
)
SLOW = Synapse(decay_numerator=3, decay_shift=2, state_bits=16)


def pooled_convolutions(net: Builder, neurons: Callable[[str], None]) -> None:
    """Append two convolutions with pooling and a readout; `neurons` appends a layer of them."""
    for depth, channels in ((1, 4), (2, 6)):
        net.conv(f"conv{depth}", channels, padding=(depth - 1, depth - 1))
        net.add(f"pool{depth}", SumPool2d((2, 2), (2, 2)))
        neurons(f"lif{depth}")
    net.linear("fc", 5)
    neurons("out")


def small_network(
    arithmetic: Arithmetic | None = None,
    kinds: tuple[WeightKind, ...] = ("binary",),
    samples: int = 6,
) -> tuple[Network, Images]:
    """Return two convolutions with pooling and a readout, on pixels held for all steps."""
    arithmetic = arithmetic or Arithmetic(
        decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20
    )
    net = Builder(
        Input((1, 10, 10), "spikes" if arithmetic.update == "event" else "u8"),
        np.random.default_rng(1),
        kinds,
    )
    pooled_convolutions(net, lambda name: net.neuron(name, arithmetic))
    return _and_input(net.network(steps=8), held=True, samples=samples)


def recurrent_network(
    arithmetic: Arithmetic | None = None, kinds: tuple[WeightKind, ...] = ("binary",)
) -> tuple[Network, Images]:
    """Return two fully connected layers, and samples step by step.

    The first layer hears itself, and the second through weights of its own.
    """
    arithmetic = arithmetic or Arithmetic(
        decay_numerator=3, decay_shift=2, fraction_bits=3, state_bits=16
    )
    net = Builder(Input((12,), "spikes"), np.random.default_rng(2), kinds)
    for name, size in (("hidden", 9), ("out", 4)):
        net.linear(f"fc_{name}", size)
        net.neuron(name, arithmetic)
    net.feedback("self", "hidden", "hidden")
    net.feedback("back", "out", "hidden")
    return _and_input(net.network(steps=10), held=False)


def delayed_network(arithmetic: Arithmetic | None = None) -> tuple[Network, Images]:
    """Return a network with delayed spikes and currents, and samples step by step.

    Spikes come two steps late beside spikes that do not, currents three steps late.
    """
    arithmetic = arithmetic or Arithmetic(
        decay_form="shift", decay_numerator=7, decay_shift=3, fraction_bits=4, state_bits=18
    )
    net = Builder(Input((10,), "spikes"), np.random.default_rng(3))
    net.linear("fc1", 8)
    net.add("slow_current", Delay(3))
    net.neuron("hidden", arithmetic)
    net.linear("fc2", 4)
    net.neuron("out", arithmetic)
    net.nodes |= {"slow_spikes": Delay(2), "fc3": Linear(net.weight(4, 8))}
    net.edges += [("hidden", "slow_spikes"), ("slow_spikes", "fc3"), ("fc3", "out")]
    return _and_input(net.network(steps=10), held=False)


def _and_input(net: Network, held: bool, samples: int = 6) -> tuple[Network, Images]:
    x = random_input(net, np.random.default_rng(4), samples=samples, held=held)
    assert alive(simulate(net, x)), "a fixed network is silent or always fires"
    return net, x


def two_state_network(
    arithmetic: Arithmetic, synapse: Synapse = SLOW, readout: Readout | None = None
) -> tuple[Network, Images]:
    """Return two layers with a synapse state, and samples step by step.

    The first layer hears itself. With a `readout` of membranes the output is a layer of
    integrators, else it fires.
    """
    net = Builder(Input((12,), "spikes"), np.random.default_rng(2))
    net.linear("fc_hidden", 9)
    net.neuron("hidden", arithmetic, synapse)
    net.linear("fc_out", 4)
    net.neuron(
        "out", replace(arithmetic, fires="never", reset="none") if readout else arithmetic, synapse
    )
    net.feedback("self", "hidden", "hidden")
    result = net.network(steps=10, readout=readout or "count_argmax_lowest")
    x = random_input(result, np.random.default_rng(4), samples=6)
    assert flowing(result, simulate(result, x)), "a fixed network is silent or always fires"
    return result, x


def integrating_network(readout: Readout) -> tuple[Network, Images]:
    """Pixels, a pooled convolution, and integrators without a synapse state as the output."""
    arithmetic = Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=2, state_bits=14)
    net = Builder(Input((1, 8, 8), "u8"), np.random.default_rng(3))
    net.conv("conv", 6, (3, 3))
    net.add("pool", SumPool2d((2, 2), (2, 2)))
    net.neuron("lif", arithmetic)
    net.linear("fc", 5)
    net.neuron("li", replace(arithmetic, fires="never", reset="none"))
    result = net.network(6, readout=readout)
    return result, random_input(result, np.random.default_rng(1), samples=3, held=True)
