"""The shapes that golden networks come in: convolutional, dense, one layer; pixels or spikes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lehr.arithmetic import Arithmetic, Synapse
from lehr.network import Input, Network, Neuron, Readout
from lehr.nodes import Delay, Linear, Pair, Shape, SumPool2d
from lehr.targets.conformance.building import USUAL, Builder, Images, Style, random_input
from lehr.targets.conformance.networks import pooled_convolutions
from lehr.weights import LARGEST, WeightKind

AddNeurons = Callable[[str], None]
"""Appends a layer of neurons, by name."""


@dataclass(frozen=True)
class Parts:
    """Parts of a network, whatever its shape.

    Attributes:
        arithmetic: of all neurons.
        synapse: their second state, None without one.
        kinds: of weights.
        readout: of the network.
        integrators: the last layer never fires.
    """

    arithmetic: Arithmetic
    synapse: Synapse | None = None
    kinds: tuple[WeightKind, ...] = ("binary",)
    readout: Readout = "count_argmax_lowest"
    integrators: bool = False

    @property
    def last(self) -> Arithmetic:
        """Arithmetic of the last layer."""
        return (
            replace(self.arithmetic, fires="never", reset="none")
            if self.integrators
            else self.arithmetic
        )


@dataclass(frozen=True)
class Form:
    """The shape of a network, and of what goes in.

    Attributes:
        fill: appends all nodes to a network; layers of neurons by the function that it is given.
            The last one is called `out`.
        shape: of the input.
        pixels: whether the input is pixels, else spikes.
        held: whether samples are held for all steps.
        steps: of the network.
    """

    name: str
    fill: Callable[[Builder, AddNeurons], None]
    shape: Shape
    pixels: bool = False
    held: bool = False
    steps: int = 8

    def has_only(self, nodes: frozenset[type]) -> bool:
        """Return whether it has nodes of these types alone."""
        net = Builder(Input(self.shape, "spikes"), np.random.default_rng(0))
        self.fill(net, lambda name: net.neuron(name, Arithmetic()))
        return {type(node) for node in net.nodes.values()} <= nodes

    def make(
        self, parts: Parts, seed: int = 0, style: Style = USUAL, samples: int = 3
    ) -> tuple[Network, Images]:
        """Return a network of this form with random weights, and samples for it."""
        arithmetic = parts.arithmetic
        net = Builder(
            Input(self.shape, "u8" if self.pixels else "spikes"),
            np.random.default_rng(seed + 1),
            parts.kinds,
        )
        self.fill(
            net,
            lambda name: net.neuron(
                name, parts.last if name == "out" else arithmetic, parts.synapse
            ),
        )
        result = net.network(self.steps, seed, parts.readout, style)
        return result, random_input(result, np.random.default_rng(seed + 4), samples, self.held)


def _convolutions(net: Builder, neurons: AddNeurons) -> None:
    net.conv("conv1", 4)
    neurons("lif1")
    net.linear("fc", 5)
    neurons("out")


def _convolution(net: Builder, neurons: AddNeurons) -> None:
    net.conv("conv", 5)
    neurons("out")


def _dense(net: Builder, neurons: AddNeurons) -> None:
    net.linear("fc_hidden", 9)
    neurons("hidden")
    net.linear("fc_out", 5)
    neurons("out")


def _one_layer(net: Builder, neurons: AddNeurons) -> None:
    net.linear("fc", 6)
    neurons("out")


CONVOLUTIONAL = Form("convolutional", pooled_convolutions, (1, 10, 10), pixels=True, held=True)
POOLED_SPIKES = Form("convolutional_on_spikes", pooled_convolutions, (2, 10, 10))
EVENTS = Form("convolution_on_events", _convolutions, (2, 6, 6))
CONVOLUTION = Form("one_convolution", _convolution, (2, 5, 5))
DENSE_PIXELS = Form("dense_on_pixels", _dense, (14,), pixels=True, held=True, steps=10)
DENSE = Form("dense", _dense, (14,), steps=12)
ONE_LAYER_PIXELS = Form("one_layer_on_pixels", _one_layer, (14,), pixels=True, held=True, steps=10)
ONE_LAYER = Form("one_layer", _one_layer, (14,), steps=12)


def _wide(net: Builder, neurons: AddNeurons) -> None:
    kind = net.kinds[0]
    weight = net.weight(6, net.shape[0], kind=kind)
    weight[0], weight[1] = LARGEST[kind], -LARGEST[kind]
    net.add("fc", Linear(weight, kind))
    neurons("out")


WIDE = (
    Form("wide_on_pixels", _wide, (256,), pixels=True, held=True, steps=16),
    Form("wide", _wide, (256,), steps=16),
)
"""Sums as large as they come, in both directions.

They are for machines whose rails biases alone do not reach.
"""
FORMS = (
    CONVOLUTIONAL,
    POOLED_SPIKES,
    EVENTS,
    DENSE,
    DENSE_PIXELS,
    CONVOLUTION,
    ONE_LAYER,
    ONE_LAYER_PIXELS,
)
"""All forms that need no more than a target can state, the richest first."""
SMALLEST = (DENSE, DENSE_PIXELS, ONE_LAYER, ONE_LAYER_PIXELS, EVENTS, CONVOLUTION)
"""The same with the smallest first, for what says nothing about maps."""


# -------------------------------------------------------------------- more of nodes and edges
def _hears_itself(net: Builder, neurons: AddNeurons) -> None:
    _dense(net, neurons)
    net.feedback("self", "hidden", "hidden")


def _recurrent(net: Builder, neurons: AddNeurons) -> None:
    _hears_itself(net, neurons)
    net.feedback("back", "out", "hidden")


def _recurrent_alone(net: Builder, neurons: AddNeurons) -> None:
    _one_layer(net, neurons)
    net.feedback("self", "out", "out")


HEARS_ITSELF = Form("hears_itself", _hears_itself, (12,), steps=10)
RECURRENT = (
    Form("recurrent", _recurrent, (12,), steps=10),
    Form("recurrent_alone", _recurrent_alone, (12,), steps=10),
)


def delayed(currents: Delay, spikes: Delay) -> tuple[Form, ...]:
    """Return forms with currents held back by steps, and spikes beside some that are not.

    In the last of them only spikes of the input are held back.
    """

    def both(net: Builder, neurons: AddNeurons) -> None:
        net.linear("fc1", 8)
        net.add("slow_current", currents)
        neurons("hidden")
        net.linear("fc2", 4)
        neurons("out")
        net.nodes |= {
            "slow_spikes": spikes,
            "fc3": Linear(net.weight(4, 8, kind=net.kinds[0]), net.kinds[0]),
        }
        net.edges += [("hidden", "slow_spikes"), ("slow_spikes", "fc3"), ("fc3", "out")]

    def inputs(net: Builder, neurons: AddNeurons) -> None:
        net.add("slow_input", spikes)
        _one_layer(net, neurons)

    return Form("delayed", both, (10,), steps=10), Form("delayed_input", inputs, (8,), steps=10)


def convolved(
    stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> tuple[Form, ...]:
    """Return forms with a convolution that has more than a kernel to it.

    It stands before a dense layer or alone.
    """

    def alone(net: Builder, neurons: AddNeurons) -> None:
        net.conv(
            "conv", 4, (3, 2), stride=stride, padding=padding, dilation=dilation, groups=groups
        )
        neurons("out")

    def before(net: Builder, neurons: AddNeurons) -> None:
        net.conv(
            "conv", 4, (3, 2), stride=stride, padding=padding, dilation=dilation, groups=groups
        )
        neurons("lif1")
        net.linear("fc", 5)
        neurons("out")

    return Form("convolved", before, (2, 8, 7)), Form("convolved_alone", alone, (2, 8, 7))


def pooled(kernel: Pair, stride: Pair, padding: Pair) -> tuple[Form, ...]:
    """Return forms with sums over windows between a convolution and its neurons."""

    def fill(net: Builder, neurons: AddNeurons) -> None:
        net.conv("conv", 4, (3, 3))
        net.add("pool", SumPool2d(kernel, stride, padding))
        neurons("lif1")
        net.linear("fc", 5)
        neurons("out")

    return (Form("pooled", fill, (1, 9, 8)),)


def by_neuron(net: Network) -> Network:
    """Return `net` with thresholds that differ within each channel of its maps.

    They differ by one unit from neuron to neuron.
    """
    nodes = dict(net.nodes)
    for name, neuron in net.neurons.items():
        if len(shape := net.shapes[name]) > 1:
            ramp = np.arange(int(np.prod(shape[1:])), dtype=np.int32).reshape(shape[1:]) % 5
            channels = neuron.threshold.reshape(-1, *[1] * (len(shape) - 1))
            nodes[name] = replace(neuron, threshold=channels + ramp)
    assert any(isinstance(node, Neuron) and node.per_neuron for node in nodes.values())
    return replace(net, nodes=nodes)
