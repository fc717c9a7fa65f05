"""Width analysis: what every integer in a network can become, by interval arithmetic over its edges.

It proves three things, layer by layer: that no accumulator leaves int32, how many bits a membrane needs so that it never saturates,
and that the same computation in float32 is exact (every integer that occurs is held without rounding: magnitudes up to 2**24;
the product in a decay is taken in double, which holds it for any decay).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lehr.arithmetic import MAX_STATE_BITS, MIN_STATE_BITS, Arithmetic, Int64
from lehr.errors import NotMappable
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import INT32_MAX

FLOAT32_EXACT = 2**24
BEYOND = 2**40
EVENT_COUNT_MAX = 255


@dataclass(frozen=True)
class Interval:
    """Bounds of a node's values, per channel, int64 `[channels]`.

    Attributes:
        low, high: of the value itself; 0 is always between them.
        magnitude: of any partial sum on the way to it, in whatever order it is summed.
    """

    low: Int64
    high: Int64
    magnitude: Int64

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high, self.magnitude + other.magnitude)

    def clipped(self) -> Interval:
        """The same with all bounds brought within 2**40, so that sums of sums stay far inside int64."""
        return Interval(np.maximum(self.low, -BEYOND), np.minimum(self.high, BEYOND), np.minimum(self.magnitude, BEYOND))

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and highest over all channels."""
        return int(self.low.min()), int(self.high.max())


@dataclass(frozen=True)
class LayerWidth:
    """What the analysis says of one neuron layer.

    Attributes:
        current: bounds of the summed input A.
        membrane: bounds of the membrane before it is brought into `state_bits`, over all steps.
        bits: the least width that holds every membrane.
        settled: the bounds hold for any number of steps, not only for the network's own.
        float32: why float32 is not exact for this layer; empty if it is.
    """

    current: tuple[int, int]
    membrane: tuple[int, int]
    bits: int
    settled: bool
    float32: str


@dataclass(frozen=True)
class Widths:
    """Intervals of every node, and the verdict on every neuron layer, in order of evaluation."""

    nodes: Mapping[str, Interval]
    layers: Mapping[str, LayerWidth]

    def require_float32(self) -> None:
        """Raise NotMappable where float32 could round, naming the layer."""
        for name, layer in self.layers.items():
            if layer.float32:
                raise NotMappable(f"{name}: {layer.float32}; use fewer fraction bits, a faster decay, or a smaller fan-in")


def analyse(net: Network) -> Widths:
    """Bound every value in `net`.

    Raises:
        NotMappable: when an accumulator can leave int32.
    """
    for name, worst in accumulators(net).items():
        raise NotMappable(f"{name}: its sums reach {worst:,}, more than a 32-bit accumulator holds; use a smaller fan-in")
    nodes = intervals(net)
    layers = {name: _layer(net, neuron, _arriving(net, name, nodes)) for name, neuron in net.neurons.items()}
    return Widths(nodes, layers)


def intervals(net: Network) -> dict[str, Interval]:
    """Bounds of what every node puts out, `input` included; those beyond 2**40 are given as 2**40."""
    known = {INPUT: _between(0, net.input.highest, net.input.shape[0])}
    for name, neuron in net.neurons.items():
        count = EVENT_COUNT_MAX if neuron.arithmetic.update == "event" else 1
        known[name] = _between(0, count, neuron.threshold.size)

    def visit(name: str) -> Interval:
        if name not in known:
            for source in net.sources(name):
                visit(source)
            known[name] = _through(net, name, _arriving(net, name, known)).clipped()
        return known[name]

    for name in net.order:
        visit(name)
    return known


def accumulators(net: Network) -> dict[str, int]:
    """The nodes whose sums can leave int32, and what they reach; neuron layers where several edges are added."""
    known = intervals(net)
    reached = {name: known[name] for name in net.order if name not in net.neurons}
    reached |= {name: _arriving(net, name, known) for name in net.neurons if len(net.sources(name)) > 1}
    return {name: worst for name, sums in reached.items() if (worst := int(sums.magnitude.max())) > INT32_MAX}


def _between(low: int, high: int, channels: int) -> Interval:
    return Interval(np.full(channels, low, np.int64), np.full(channels, high, np.int64), np.full(channels, high, np.int64))


def _arriving(net: Network, name: str, nodes: Mapping[str, Interval]) -> Interval:
    first, *rest = (nodes[source] for source in net.sources(name))
    for other in rest:
        first = first + other
    return first


def _through(net: Network, name: str, x: Interval) -> Interval:
    node = net.nodes[name]
    if isinstance(node, SumPool2d):
        area = node.kernel[0] * node.kernel[1]
        return Interval(x.low * area, x.high * area, x.magnitude * area)
    if isinstance(node, Flatten):
        shape = net.shapes[net.sources(name)[0]]
        each = int(np.prod(shape[1:]))
        return Interval(np.repeat(x.low, each), np.repeat(x.high, each), np.repeat(x.magnitude, each))
    if isinstance(node, Delay):
        return x
    assert isinstance(node, (Conv2d, Linear)), node
    groups = node.groups if isinstance(node, Conv2d) else 1
    weight = node.weight.astype(np.int64).reshape(*node.weight.shape[:2], -1)
    plus, minus = np.maximum(weight, 0).sum(axis=2), np.maximum(-weight, 0).sum(axis=2)
    out, fan_in = weight.shape[0] // groups, weight.shape[1]
    low, high, magnitude = [], [], []
    for group in range(groups):
        rows, columns = slice(group * out, (group + 1) * out), slice(group * fan_in, (group + 1) * fan_in)
        p, m = plus[rows], minus[rows]
        low.append(p @ x.low[columns] - m @ x.high[columns])
        high.append(p @ x.high[columns] - m @ x.low[columns])
        magnitude.append((p + m) @ x.magnitude[columns])
    return Interval(np.concatenate(low), np.concatenate(high), np.concatenate(magnitude))


def _layer(net: Network, neuron: Neuron, a: Interval) -> LayerWidth:
    how = neuron.arithmetic
    theta, bias = neuron.threshold.astype(np.int64), neuron.bias.astype(np.int64)
    drive_low, drive_high = (a.low << how.fraction_bits) + bias, (a.high << how.fraction_bits) + bias
    low = high = np.zeros_like(theta)
    free_low, free_high, settled = low, high, False
    for _ in range(net.steps):
        rest_low, rest_high = _after_reset(how, low, high, theta)
        if how.update == "event":  # a reset may come before the bias' share is used up, the most negative events after it
            rest_low = np.minimum(rest_low, -bias)
        step_low, step_high = rest_low + drive_low, rest_high + drive_high
        free_low, free_high = np.minimum(free_low, step_low), np.maximum(free_high, step_high)
        if how.overflow == "wrap" and (free_low.min() < how.lowest or free_high.max() > how.highest):
            inside_low, inside_high = np.full_like(low, how.lowest), np.full_like(low, how.highest)
        else:
            inside_low, inside_high = np.clip(free_low, how.lowest, how.highest), np.clip(free_high, how.lowest, how.highest)
        if np.array_equal(inside_low, low) and np.array_equal(inside_high, high):
            settled = True
            break
        low, high = inside_low, inside_high
    widest = (int(free_low.min()), int(free_high.max()))
    bits = max(MIN_STATE_BITS, *(_bits(v) for v in widest))
    return LayerWidth(a.limits, widest, bits, settled, _why_not_float32(how, a, theta, bias, widest))


def _after_reset(how: Arithmetic, low: Int64, high: Int64, theta: Int64) -> tuple[Int64, Int64]:
    """Bounds of the membrane after decay and reset, before new input, from bounds of the membrane that was tested.

    Decay is monotonic, so that it maps bounds to bounds.
    """
    quiet = np.minimum(high, theta if how.fires == "gt" else theta - 1)  # the highest that did not fire
    fires = high > quiet
    if how.reset == "none":
        return how.decay(low), how.decay(high)
    if how.reset == "zero":
        return np.where(fires, np.minimum(how.decay(low), 0), how.decay(low)), np.where(
            fires, np.maximum(how.decay(quiet), 0), how.decay(quiet)
        )
    if how.reset_timing == "next_step":
        fired_low, fired_high = how.decay(quiet + 1) - theta, how.decay(high) - theta
    else:
        fired_low, fired_high = how.decay(quiet + 1 - theta), how.decay(high - theta)
    calm_low, calm_high = how.decay(low), how.decay(quiet)
    return np.where(fires, np.minimum(calm_low, fired_low), calm_low), np.where(fires, np.maximum(calm_high, fired_high), calm_high)


def _bits(value: int) -> int:
    """Two's-complement bits that hold `value`."""
    return (value if value >= 0 else ~value).bit_length() + 1


def _why_not_float32(how: Arithmetic, a: Interval, theta: Int64, bias: Int64, widest: tuple[int, int]) -> str:
    if how.update == "event":
        return "update 'event' has no float32 twin"
    held = min(max(-widest[0], widest[1]), -how.lowest)
    # Between decay and bound the terms are summed one after another: the sum of their magnitudes bounds every partial sum.
    partial = held + int(a.magnitude.max() << how.fraction_bits) + int(np.abs(bias).max()) + int(theta.max())
    if partial > FLOAT32_EXACT:
        return f"its sums reach {partial:,}, more than the {FLOAT32_EXACT:,} up to which float32 is exact"
    if how.overflow == "wrap" and partial - how.lowest > FLOAT32_EXACT:
        return f"wrapping {how.state_bits} bits passes {FLOAT32_EXACT:,}, up to which float32 is exact"
    return ""


def fit_state_bits(net: Network) -> Network:
    """The same network with every membrane at the least width that provably never saturates.

    Raises:
        NotMappable: when a membrane needs more than 32 bits.
    """
    nodes = dict(net.nodes)
    for name, neuron in net.neurons.items():
        nodes[name] = _with_bits(neuron, MAX_STATE_BITS)
    wide_net = Network(nodes, net.edges, net.input, net.steps, net.readout)
    for name, layer in analyse(wide_net).layers.items():
        if layer.bits > MAX_STATE_BITS:
            raise NotMappable(f"{name}: its membrane needs more than {MAX_STATE_BITS} bits; use fewer fraction bits or a smaller fan-in")
        nodes[name] = _with_bits(net.neurons[name], layer.bits)
    return Network(nodes, net.edges, net.input, net.steps, net.readout)


def _with_bits(neuron: Neuron, bits: int) -> Neuron:
    return Neuron(neuron.threshold, neuron.bias, replace(neuron.arithmetic, state_bits=bits))
