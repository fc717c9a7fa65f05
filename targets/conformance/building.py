"""Networks in which spikes flow, whose thresholds and biases are fitted to their currents.

The currents are those that really occur, layer after layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Arithmetic, Synapse
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, Readout
from lehr.nodes import INT32_MAX, Int32Array, Node, Shape
from lehr.simulate import Result, simulate
from lehr.weights import LARGEST, WeightKind

Images = npt.NDArray[np.uint8]
CURRENT = Arithmetic(decay_numerator=0)  # its membrane is the summed input A of the step


def alive(result: Result) -> bool:
    """Return whether every layer spikes, and none of them always.

    A silent network would match anything.
    """
    return all(0 < rate < 1 for rate in result.rates.values())


def flowing(net: Network, result: Result) -> bool:
    """Return whether every layer that fires does so, and not everywhere always.

    Scores of integrators must differ from class to class.
    """
    firing = {
        name: layer for name, layer in result.layers.items() if not net.neurons[name].integrates
    }
    flows = all(layer.rate > 0 and layer.always_on < layer.spikes.size for layer in firing.values())
    return flows and (not net.neurons[net.output].integrates or int(np.ptp(result.scores)) > 0)


@dataclass(frozen=True)
class Style:
    """Style in which the parameters of neurons are chosen.

    Attributes:
        biased: biases of both signs; else none.
        alike: the neurons of a layer have one threshold and one bias.
        rails: in the first layer, the biases of one channel in four are this share of the highest
            membrane, and of one the same downwards.
        reached: thresholds are values that membranes come to, so that equality occurs.
        unit: thresholds and biases are multiples of it.
        everywhere: all layers have one threshold, the lowest that was chosen for any.
    """

    biased: bool = True
    alike: bool = False
    rails: float = 0.0
    reached: bool = False
    unit: int = 1
    everywhere: bool = False


USUAL = Style()


# -------------------------------------------------------------------- fitting thresholds
def random_input(
    net: Network, rng: np.random.Generator, samples: int = 4, held: bool = False
) -> Images:
    """Return an input that `net` takes.

    It is dense pixels with both extremes among them, or spikes at a rate of one half.
    """
    shape = (samples, *(() if held else (net.steps,)), *net.input.shape)
    if net.input.kind == "spikes":
        return rng.integers(0, 2, shape).astype(np.uint8)
    return rng.choice(np.array([0, 0, 1, 2, 30, 127, 128, 200, 255], np.uint8), shape)


def calibrated(net: Network, seed: int = 0, style: Style = USUAL) -> Network:
    """Return `net` with biases and thresholds in a style.

    Some of the membranes reach the thresholds, layer after layer.
    """
    rng = np.random.default_rng(seed)
    x = random_input(net, rng)
    for number, (name, neuron) in enumerate(net.neurons.items()):
        arithmetic, channels = neuron.fields, neuron.threshold.size
        rails = round((0 if number else style.rails) * arithmetic.highest)
        silent = np.full(channels, INT32_MAX, np.int32)
        current = _membrane(
            _with(net, name, Neuron(silent, np.zeros_like(silent), CURRENT)), name, x
        )
        bias = _biases(
            rng, (int(np.abs(current).mean()) << arithmetic.fraction_bits) // 2, channels, style
        )
        if rails:
            bias[0::4], bias[1::4] = rails, -rails
        if neuron.integrates:
            net = _with(net, name, replace(neuron, bias=bias))
            continue
        membrane = _membrane(
            _with(net, name, replace(neuron, threshold=silent, bias=bias)), name, x
        )
        if style.alike:
            threshold = np.full(
                channels, _threshold(membrane, rng.uniform(0.3, 0.8), style), np.int32
            )
        else:
            each = [
                _threshold(membrane[:, :, c], rng.uniform(0.3, 0.8), style) for c in range(channels)
            ]
            threshold = np.array(each, np.int32)
        if rails:
            threshold[0::4] = arithmetic.highest
        net = _with(net, name, replace(neuron, threshold=threshold, bias=bias))
    return _with_one_threshold(net) if style.everywhere else net


def _with_one_threshold(net: Network) -> Network:
    firing = {name: neuron for name, neuron in net.neurons.items() if not neuron.integrates}
    least = min((int(neuron.threshold.min()) for neuron in firing.values()), default=0)
    for name, neuron in firing.items():
        net = _with(net, name, replace(neuron, threshold=np.full_like(neuron.threshold, least)))
    return net


def _biases(rng: np.random.Generator, scale: int, channels: int, style: Style) -> Int32Array:
    if not style.biased:
        return np.zeros(channels, np.int32)
    each = (
        rng.integers(-scale - 1, scale + 2)
        if style.alike
        else rng.integers(-scale - 1, scale + 2, channels, np.int32)
    )
    return np.full(channels, each - each % style.unit, np.int32)


def _with(net: Network, name: str, neuron: Neuron) -> Network:
    return replace(net, nodes={**net.nodes, name: neuron})


def _membrane(net: Network, name: str, x: Images) -> npt.NDArray[np.int32]:
    return simulate(net, x, trace=[name]).trace.membranes[name]


def _threshold(membrane: npt.NDArray[np.int32], quantile: float, style: Style) -> int:
    positive = membrane[membrane > 0]
    if not positive.size:
        return style.unit
    fit = min(
        int(np.quantile(positive, quantile, method="nearest" if style.reached else "linear")),
        int(positive.max()) - 1,
    )
    return max(style.unit, fit - fit % style.unit)


# -------------------------------------------------------------------- building
@dataclass
class Builder:
    """Network under construction.

    Attributes:
        here: the node that was added last.
        shape: what it puts out.
        kinds: those of its weights.
    """

    input: Input
    rng: np.random.Generator
    kinds: tuple[WeightKind, ...] = ("binary",)
    here: str = INPUT
    shape: Shape = field(init=False)
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shape = self.input.shape

    def weight(self, *shape: int, kind: WeightKind = "binary") -> npt.NDArray[np.int8]:
        """Random weights of a kind, its extremes among them as often as anything else."""
        if kind == "binary":
            return self.rng.choice(np.array([-1, 1], np.int8), shape)
        return self.rng.integers(-LARGEST[kind], LARGEST[kind], shape, np.int8, endpoint=True)

    def kind(self) -> WeightKind:
        """Return one of `kinds`; where there is but one, no random number is spent on it."""
        return self.kinds[int(self.rng.integers(len(self.kinds))) if len(self.kinds) > 1 else 0]

    def add(self, name: str, node: Node) -> None:
        """Append a node to the chain."""
        self.shape = node.output_shape(self.shape)
        self.nodes[name] = node
        self.edges.append((self.here, name))
        self.here = name

    def conv(self, name: str, out: int, size: tuple[int, int] = (3, 3), **moves: Any) -> None:
        """Append a convolution to `out` channels."""
        kind = self.kind()
        self.add(
            name,
            Conv2d(
                self.weight(out, self.shape[0] // moves.get("groups", 1), *size, kind=kind),
                kind=kind,
                **moves,
            ),
        )

    def linear(self, name: str, out: int) -> None:
        """Append a Linear, and before it a Flatten where there are feature maps."""
        features = math.prod(self.shape)
        if self.shape != (features,):
            self.add(f"{name}_flat", Flatten())
        kind = self.kind()
        self.add(name, Linear(self.weight(out, features, kind=kind), kind))

    def neuron(self, name: str, arithmetic: Arithmetic, synapse: Synapse | None = None) -> None:
        """Append neurons; `calibrated` gives them thresholds."""
        silent = np.full(self.shape[0], 0 if arithmetic.fires == "never" else INT32_MAX, np.int32)
        self.add(name, Neuron(silent, np.zeros_like(silent), arithmetic, synapse))

    def feedback(self, name: str, source: str, sink: str) -> None:
        """Add neurons' spikes, through random weights, to the input of neurons."""
        kind = self.kind()
        self.nodes[name] = Linear(
            self.weight(self._size(sink), self._size(source), kind=kind), kind
        )
        self.edges += [(source, name), (name, sink)]

    def _size(self, layer: str) -> int:
        node = self.nodes[layer]
        assert isinstance(node, Neuron)
        return node.threshold.size

    def network(
        self,
        steps: int,
        seed: int = 0,
        readout: Readout = "count_argmax_lowest",
        style: Style = USUAL,
    ) -> Network:
        """Return the network, from its input to the node added last, with thresholds that fit."""
        return calibrated(
            Network(self.nodes, (*self.edges, (self.here, OUTPUT)), self.input, steps, readout),
            seed,
            style,
        )
