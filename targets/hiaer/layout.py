"""A network as the machine holds it: numbered axons and neurons, and a weight for each synapse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Network
from lehr.targets.hiaer.forms import numbers_of
from lehr.targets.hiaer.schedule import lags, wait
from lehr.targets.wiring import Connection, by_neuron, connections, sizes
from lehr.widths import analyse

Group = tuple[str, int]
"""A layer, or the input, and by how many steps these neurons or axons are later than it."""


@dataclass(frozen=True)
class Layout:
    """A network that maps.

    Neurons are numbered layer by layer in order of evaluation, relays behind them; axons: inputs by
    lateness, then one for each layer with biases.
    """

    net: Network

    @cached_property
    def lags(self) -> Mapping[str, int]:
        """Steps by which each layer runs late."""
        result = lags(self.net)
        assert not isinstance(result, tuple), result
        return result

    @cached_property
    def threshold(self) -> int:
        """Threshold of all neurons; the highest membrane where none fires."""
        firing = [
            int(neuron.threshold.flat[0])
            for neuron in self.net.neurons.values()
            if not neuron.integrates
        ]
        return (
            firing[0]
            if firing
            else max(1, *(layer.membrane[1] for layer in analyse(self.net).layers.values()))
        )

    @cached_property
    def ways(self) -> tuple[tuple[Connection, int], ...]:
        """Every connection, and how many steps its spikes wait."""
        return tuple((each, wait(self.net, self.lags, each)) for each in connections(self.net))

    @cached_property
    def relays(self) -> dict[Group, int]:
        """The first number of each group of relays."""
        longest: dict[str, int] = {}
        for each, steps in self.ways:
            if each.source != INPUT:
                longest[each.source] = max(longest.get(each.source, 0), steps)
        groups = [(name, step) for name, most in longest.items() for step in range(1, most + 1)]
        starts = np.cumsum([sum(self.sizes.values()), *(self.sizes[name] for name, _ in groups)])
        return dict(zip(groups, map(int, starts[:-1]), strict=True))

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Neurons of each layer."""
        return sizes(self.net)

    @cached_property
    def first(self) -> dict[str, int]:
        """The number of each layer's first neuron."""
        starts = np.cumsum([0, *self.sizes.values()])
        return dict(zip(self.sizes, map(int, starts[:-1]), strict=True))

    @cached_property
    def neurons(self) -> int:
        """Number of neurons, relays included."""
        return sum(self.sizes.values()) + self.relay_neurons

    @cached_property
    def relay_neurons(self) -> int:
        """Number of relays among them."""
        return sum(self.sizes[name] for name, _ in self.relays)

    @cached_property
    def inputs(self) -> dict[int, int]:
        """The number of the first axon of the inputs, by how many steps late they enter."""
        width = int(np.prod(self.net.input.shape))
        late = sorted({steps for each, steps in self.ways if each.source == INPUT})
        return {steps: number * width for number, steps in enumerate(late)}

    @cached_property
    def biased(self) -> dict[str, int]:
        """The axon of each layer with biases."""
        width = int(np.prod(self.net.input.shape))
        names = [name for name, neuron in self.net.neurons.items() if neuron.bias.any()]
        return {name: len(self.inputs) * width + number for number, name in enumerate(names)}

    @cached_property
    def axons(self) -> int:
        """Number of axons."""
        return len(self.inputs) * int(np.prod(self.net.input.shape)) + len(self.biased)

    def weights(self, each: Connection) -> Int64:
        """Return what the machine adds for a spike of a connection.

        It is `[source size, target size]`.
        """
        return each.weights << numbers_of(self.net.neurons[each.target]).shift

    def arrays(self) -> dict[str, Int64]:
        """Return the synapses of axons and of neurons: source, target, weight, `[n, 3]` each.

        They stand in order of their numbers.
        """
        return {"axons": _sorted(self._of_axons()), "neurons": _sorted(self._of_neurons())}

    def _of_axons(self) -> Iterator[Int64]:
        for each, steps in self.ways:
            if each.source == INPUT:
                yield _synapses(self.weights(each), self.inputs[steps], self.first[each.target])
        for name, axon in self.biased.items():
            bias = by_neuron(self.net.neurons[name], "bias", self.sizes[name])
            yield _synapses(bias[None], axon, self.first[name])

    def _of_neurons(self) -> Iterator[Int64]:
        for each, steps in self.ways:
            if each.source != INPUT:
                source = self.relays[each.source, steps] if steps else self.first[each.source]
                yield _synapses(self.weights(each), source, self.first[each.target])
        for (name, step), start in self.relays.items():
            before = self.relays[name, step - 1] if step > 1 else self.first[name]
            yield _synapses(
                np.eye(self.sizes[name], dtype=np.int64) * (self.threshold + 1), before, start
            )

    def description(self) -> dict[str, Any]:
        """Return what `run.py` reads beside the synapses."""
        net, hops = (
            self.net,
            {name: numbers_of(neuron).hop for name, neuron in self.net.neurons.items()},
        )
        leak = next(numbers_of(neuron).leak for neuron in net.neurons.values())
        return {
            "axons": self.axons,
            "neurons": self.neurons,
            "threshold": self.threshold,
            "leak": leak,
            "shape": list(net.input.shape),
            "steps": net.steps,
            "inputs": [{"first": first, "late": late} for late, first in self.inputs.items()],
            "biases": [
                {"axon": axon, "late": self.lags[name]} for name, axon in self.biased.items()
            ],
            "layers": [
                {
                    "name": name,
                    "shape": list(net.shapes[name]),
                    "first": self.first[name],
                    "late": self.lags[name],
                    "spikes": hops[name],
                }
                for name in net.neurons
            ],
            "output": net.output,
            "readout": net.readout,
        }


def _synapses(weights: Int64, source: int, target: int) -> Int64:
    pre, post = np.nonzero(weights)
    return np.stack([pre + source, post + target, weights[pre, post]], axis=1)


def _sorted(parts: Iterator[Int64]) -> Int64:
    """Synapses in order; two between the same neurons are one, with the sum of their weights."""
    every = np.concatenate([np.zeros((0, 3), np.int64), *parts])
    pairs, which = np.unique(every[:, :2], axis=0, return_inverse=True)
    summed = np.zeros(len(pairs), np.int64)
    np.add.at(summed, which.reshape(-1), every[:, 2])
    rows: Int64 = np.column_stack([pairs, summed])[summed != 0]
    return rows
