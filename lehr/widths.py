"""Width analysis: what every integer in a network can become, and how many bits it needs.

It proves three things, layer by layer: that no accumulator leaves int32, how many bits a membrane (and the current of a neuron with
a synapse state) needs so that it never saturates, and that the same computation in float32 is exact (every integer that occurs is held
without rounding: magnitudes up to 2**24; the product in a decay is taken in double, which holds it for any decay).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lehr.arithmetic import MAX_STATE_BITS, MIN_STATE_BITS, Arithmetic, Int64, State
from lehr.errors import NotMappable
from lehr.interval import Interval
from lehr.intervals import accumulators, arriving, intervals
from lehr.network import Network, Neuron

FLOAT32_EXACT = 2**24


@dataclass(frozen=True)
class LayerWidth:
    """What the analysis says of one neuron layer.

    Attributes:
        current: bounds of the summed input A.
        membrane: bounds of the membrane before it is brought into `state_bits`, over all steps.
        bits: the least width that holds every membrane.
        synapse: bounds of the synapse state before it is brought into its own width; None where there is none.
        synapse_bits: the least width that holds it.
        settled: the bounds hold for any number of steps, not only for the network's own.
        float32: why float32 is not exact for this layer; empty if it is.
    """

    current: tuple[int, int]
    membrane: tuple[int, int]
    bits: int
    settled: bool
    float32: str
    synapse: tuple[int, int] | None = None
    synapse_bits: int | None = None


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
    require_accumulators(net)
    nodes = intervals(net)
    layers = {name: _layer(net, neuron, arriving(net, name, nodes)) for name, neuron in net.neurons.items()}
    return Widths(nodes, layers)


def require_accumulators(net: Network) -> None:
    """Raise NotMappable where an accumulator can leave int32, naming the node."""
    for name, worst in accumulators(net).items():
        raise NotMappable(f"{name}: its sums reach {worst:,}, more than a 32-bit accumulator holds; use a smaller fan-in")


class Range:
    """What one state can be, per channel, over the steps so far: `free` before it is brought into its width, `low` to `high` after."""

    def __init__(self, how: State, channels: int) -> None:
        self.how = how
        self.low = self.high = self.free_low = self.free_high = np.zeros(channels, np.int64)

    def widen(self, low: Int64, high: Int64) -> bool:
        """Take in what the state comes to in one more step; whether that changed its range."""
        before = self.low, self.high
        self.free_low, self.free_high = np.minimum(self.free_low, low), np.maximum(self.free_high, high)
        self.low, self.high = _kept(self.how, self.free_low, self.free_high)
        return not (np.array_equal(self.low, before[0]) and np.array_equal(self.high, before[1]))

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and highest over all channels, before it is brought into its width."""
        return int(self.free_low.min()), int(self.free_high.max())

    @property
    def bits(self) -> int:
        """The least width that holds all of them."""
        return bits_for(*self.limits)

    @property
    def inside(self) -> bool:
        """Whether it never leaves its width."""
        return self.how.lowest <= self.limits[0] and self.limits[1] <= self.how.highest

    @property
    def held(self) -> int:
        """The greatest magnitude that it keeps."""
        return min(max(-self.limits[0], self.limits[1]), -self.how.lowest)


def ranges(neuron: Neuron, a: Interval, steps: int) -> tuple[Range, Range | None, bool]:
    """What the membranes of a layer, and its synapse states where it has them, can be within `steps` steps of inputs `a`.

    Returns:
        Both, and whether they hold for any number of steps.
    """
    how, synapse = neuron.fields, neuron.synapse
    if how.update == "event":
        return _event_ranges(neuron, a, steps)
    theta, bias = neuron.threshold.astype(np.int64), neuron.bias.astype(np.int64)
    early, late = (bias, np.zeros_like(bias)) if synapse is not None and synapse.bias_to == "synapse" else (np.zeros_like(bias), bias)
    drive_low, drive_high = (a.low << how.fraction_bits) + early, (a.high << how.fraction_bits) + early
    membrane = Range(how, theta.size)
    current = Range(synapse, theta.size) if synapse is not None else None
    for _ in range(steps):
        moved = False
        in_low, in_high = drive_low, drive_high
        if current is not None:
            moved = current.widen(current.how.decay(current.low) + drive_low, current.how.decay(current.high) + drive_high)
            in_low, in_high = current.low, current.high
        rest_low, rest_high = _after_reset(how, membrane.low, membrane.high, theta)
        moved |= membrane.widen(rest_low + in_low + late, rest_high + in_high + late)
        if not moved:
            return membrane, current, True
    return membrane, current, False


def _event_ranges(neuron: Neuron, a: Interval, steps: int) -> tuple[Range, Range | None, bool]:
    """`ranges` of neurons that are bounded, tested and reset after each event, in whatever order the events come.

    The membrane after some events is what it was before them and a part of the step's sum, which lies
    between the sum of all negative events and that of all positive ones. Only three things break that:
    saturation, after which it stands at a rail, which is within the bounds at the start of the step;
    wrapping, after which it stands anywhere; and a reset, which lowers it, but not below 0.
    """
    how = neuron.fields
    theta, bias = neuron.threshold.astype(np.int64), neuron.bias.astype(np.int64)
    down, up = a.low << how.fraction_bits, a.high << how.fraction_bits
    quiet = _quiet(how, theta)
    membrane = Range(how, theta.size)
    low = high = np.zeros_like(theta)  # of the membrane after a step
    for _ in range(steps):
        before = low, high
        free_low, free_high = how.decay(low) + bias, how.decay(high) + bias
        start_low, start_high = _kept(how, free_low, free_high)
        lowest, highest = start_low + down, start_high + up
        if how.overflow == "wrap" and _leaves(how, lowest, highest):
            start_low, start_high = np.full_like(theta, how.lowest), np.full_like(theta, how.highest)
            lowest, highest = start_low + down, start_high + up
        fires = (np.minimum(highest, how.highest) > quiet) & (how.reset != "none")
        lowest = np.where(fires, np.minimum(lowest, down), lowest)
        membrane.widen(np.minimum(free_low, lowest), np.maximum(free_high, highest))
        reached_low, reached_high = _kept(how, lowest, highest)
        if how.reset != "none":  # a membrane is tested only where an event reaches it
            after = reached_high - theta if how.reset == "subtract" else np.zeros_like(theta)
            tested = np.where(fires, np.maximum(quiet, after), reached_high)
            reached_high = np.maximum(start_high, tested)
        low, high = np.minimum(low, reached_low), np.maximum(high, reached_high)
        if np.array_equal(low, before[0]) and np.array_equal(high, before[1]):
            return membrane, None, True
    return membrane, None, False


def _layer(net: Network, neuron: Neuron, a: Interval) -> LayerWidth:
    membrane, current, settled = ranges(neuron, a, net.steps)
    why = _why_not_float32(neuron, a, membrane, current)
    if current is None:
        return LayerWidth(a.limits, membrane.limits, membrane.bits, settled, why)
    return LayerWidth(a.limits, membrane.limits, membrane.bits, settled, why, current.limits, current.bits)


def _after_reset(how: Arithmetic, low: Int64, high: Int64, theta: Int64) -> tuple[Int64, Int64]:
    """Bounds of the membrane after decay and reset, before new input, from bounds of the membrane that was tested.

    Decay is monotonic, so that it maps bounds to bounds.
    """
    quiet = np.minimum(high, _quiet(how, theta))
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


def _quiet(how: Arithmetic, theta: Int64) -> Int64:
    """The highest membrane that does not fire."""
    return theta if how.fires == "gt" else theta - 1


def _leaves(how: State, low: Int64, high: Int64) -> bool:
    """Whether a state between these bounds can leave its width, in any channel."""
    return bool(low.min() < how.lowest or high.max() > how.highest)


def _kept(how: State, low: Int64, high: Int64) -> tuple[Int64, Int64]:
    """Bounds of a state after it is brought into its width, from those before."""
    if how.overflow == "wrap" and _leaves(how, low, high):
        return np.full_like(low, how.lowest), np.full_like(low, how.highest)
    return np.clip(low, how.lowest, how.highest), np.clip(high, how.lowest, how.highest)


def bits_for(low: int, high: int) -> int:
    """The least `state_bits` that hold both, in two's complement."""
    return max(MIN_STATE_BITS, *((value if value >= 0 else ~value).bit_length() + 1 for value in (low, high)))


def _why_not_float32(neuron: Neuron, a: Interval, membrane: Range, current: Range | None) -> str:
    how, bias = neuron.fields, int(np.abs(neuron.bias.astype(np.int64)).max())
    if how.update == "event":
        return "update 'event' has no float32 twin"
    # Between decay and bound the terms are summed one after another: the sum of their magnitudes bounds every partial sum.
    drive, theta = int(a.magnitude.max() << how.fraction_bits), int(neuron.threshold.max())
    sums = [(membrane, membrane.held + (drive if current is None else current.held) + bias + theta)]
    if current is not None:
        sums.append((current, current.held + drive + bias))
    for state, partial in sums:
        if partial > FLOAT32_EXACT:
            return f"its sums reach {partial:,}, more than the {FLOAT32_EXACT:,} up to which float32 is exact"
        if state.how.overflow == "wrap" and partial - state.how.lowest > FLOAT32_EXACT:
            return f"wrapping {state.how.state_bits} bits passes {FLOAT32_EXACT:,}, up to which float32 is exact"
    return ""


def fit_state_bits(net: Network) -> Network:
    """The same network with every membrane and synapse state at the least width that provably never saturates.

    Raises:
        NotMappable: when one needs more than 32 bits.
    """
    nodes = dict(net.nodes)
    for name, neuron in net.neurons.items():
        nodes[name] = with_state_bits(neuron, MAX_STATE_BITS, MAX_STATE_BITS)
    for name, layer in analyse(replace(net, nodes=nodes)).layers.items():
        for state, bits in (("membrane", layer.bits), ("synapse state", layer.synapse_bits or 0)):
            if bits > MAX_STATE_BITS:
                raise NotMappable(f"{name}: its {state} needs more than {MAX_STATE_BITS} bits; use fewer fraction bits or a smaller fan-in")
        nodes[name] = with_state_bits(net.neurons[name], layer.bits, layer.synapse_bits)
    return replace(net, nodes=nodes)


def with_state_bits(neuron: Neuron, bits: int, synapse_bits: int | None) -> Neuron:
    """The neurons with membranes, and synapse states where they have them, of other widths."""
    synapse = None if synapse_bits is None or neuron.synapse is None else replace(neuron.synapse, state_bits=synapse_bits)
    return replace(neuron, arithmetic=replace(neuron.fields, state_bits=bits), synapse=synapse)
