"""Width analysis: what every integer in a network can become, and how many bits it needs.

It proves three things, layer by layer: that no accumulator leaves int32, how many bits a membrane
(and the current of a neuron with a synapse state) needs so that it never saturates, and that the
same computation in float32 is exact (every integer that occurs is held without rounding: magnitudes
up to 2**24; the product in a decay is taken in double, which holds it for any decay).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lehr.analysis.layers import Reach, reach
from lehr.arithmetic import MAX_STATE_BITS, MIN_STATE_BITS, Int64, State
from lehr.errors import NotMappable
from lehr.interval import Interval
from lehr.intervals import accumulators, arriving, intervals
from lehr.network import Network, Neuron
from lehr.programs import CURRENT, widths_of
from lehr.update import FIRED, MEMBRANE, Bound, Program
from lehr.update_text import line_of

FLOAT32_EXACT = 2**24


@dataclass(frozen=True)
class LayerWidth:
    """The result of the analysis for one neuron layer.

    Attributes:
        current: bounds of the summed input A.
        output: the register that is the membrane.
        registers: bounds of every register, over all steps: of what comes to its Bounds, and of
            what is read or kept of it elsewhere. A register that wraps is anywhere within its Bound
            as well.
        written: bounds of all that is written to each, partial sums on the way to a Bound included.
        settled: the bounds hold for any number of steps, not only for the network's own.
        float32: why float32 is not exact for this layer; empty if it is.
    """

    current: tuple[int, int]
    output: str
    registers: Mapping[str, tuple[int, int]]
    written: Mapping[str, tuple[int, int]]
    settled: bool
    float32: str

    @property
    def membrane(self) -> tuple[int, int]:
        """Bounds of the membrane before it is brought into its width."""
        return self.registers[self.output]

    @property
    def bits(self) -> int:
        """The least width that holds every membrane."""
        return bits_for(*self.membrane)

    @property
    def synapse(self) -> tuple[int, int] | None:
        """Bounds of the synapse state of neurons in fields; None where there is none."""
        return self.registers.get(CURRENT)

    @property
    def synapse_bits(self) -> int | None:
        """The least width that holds it."""
        return None if self.synapse is None else bits_for(*self.synapse)


@dataclass(frozen=True)
class Widths:
    """Intervals of every node, and the verdict on every neuron layer, in order of evaluation."""

    nodes: Mapping[str, Interval]
    layers: Mapping[str, LayerWidth]

    def require_float32(self) -> None:
        """Raise NotMappable where float32 could round, naming the layer."""
        for name, layer in self.layers.items():
            if layer.float32:
                raise NotMappable(
                    f"{name}: {layer.float32}; use fewer fraction bits, a faster decay, or a "
                    "smaller fan-in"
                )


def analyse(net: Network) -> Widths:
    """Bound every value in `net`.

    Raises:
        NotMappable: when an accumulator can leave int32, or a register of a program 64 bits.
    """
    require_accumulators(net)
    nodes = intervals(net)
    arrives = {name: arriving(net, name, nodes) for name in net.neurons}
    reaches = reach(
        {name: (neuron, arrives[name]) for name, neuron in net.neurons.items()}, net.steps
    )
    return Widths(
        nodes,
        {
            name: _layer(name, neuron, arrives[name], reaches[name])
            for name, neuron in net.neurons.items()
        },
    )


def _layer(name: str, neuron: Neuron, a: Interval, bounds: Reach) -> LayerWidth:
    if bounds.beyond:
        line = line_of(neuron.program.all[bounds.beyond - 1])
        raise NotMappable(
            f"{name}: update statement {bounds.beyond}, '{line}': it can leave 64 bits; bound what "
            "it changes"
        )
    registers = {x: bounds.limits(x) for x in neuron.program.registers}
    why = _why_not_float32(neuron, a, bounds)
    return LayerWidth(
        a.limits, neuron.program.membrane, registers, bounds.written, bounds.settled, why
    )


def require_accumulators(net: Network) -> None:
    """Raise NotMappable where an accumulator can leave int32, naming the node."""
    for name, worst in accumulators(net).items():
        raise NotMappable(
            f"{name}: its sums reach {worst:,}, more than a 32-bit accumulator holds; use a "
            "smaller fan-in"
        )


class Range:
    """Bounds of one state of neurons in fields, per channel, before its width cuts it."""

    def __init__(self, fields: State, bounds: Int64) -> None:
        self.fields = fields
        self.free_low, self.free_high = bounds

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and highest over all channels, before it is brought into its width."""
        return int(self.free_low.min()), int(self.free_high.max())

    @property
    def inside(self) -> bool:
        """True if it never leaves its width."""
        return self.fields.lowest <= self.limits[0] and self.limits[1] <= self.fields.highest

    @property
    def held(self) -> int:
        """The greatest magnitude that it keeps."""
        return min(max(-self.limits[0], self.limits[1]), -self.fields.lowest)


def ranges(
    layers: Mapping[str, tuple[Neuron, Interval]], steps: int
) -> dict[str, tuple[Range, Range | None, bool]]:
    """Bound the membranes and the synapse states, if any, of layers in fields.

    Args:
        layers: by name, with bounds of the sum that arrives at each.
        steps: within how many the bounds hold.

    Returns:
        By name both, and whether they hold for any number of steps.
    """
    return {
        name: (*_states(layers[name][0], bounds), bounds.settled)
        for name, bounds in reach(layers, steps).items()
    }


def _states(neuron: Neuron, bounds: Reach) -> tuple[Range, Range | None]:
    current = None if neuron.synapse is None else Range(neuron.synapse, bounds.registers[CURRENT])
    return Range(neuron.fields, bounds.registers[MEMBRANE]), current


def bits_for(low: int, high: int) -> int:
    """Return the least `state_bits` that hold both, in two's complement."""
    return max(
        MIN_STATE_BITS,
        *((value if value >= 0 else ~value).bit_length() + 1 for value in (low, high)),
    )


def _why_not_float32(neuron: Neuron, a: Interval, bounds: Reach) -> str:
    if neuron.by_event:
        return "update 'event' has no float32 twin"
    if isinstance(neuron.arithmetic, Program):
        return _why_not_in_floats(neuron, a, bounds)
    # Between decay and bound the terms are summed one after another: the sum of their magnitudes
    # bounds every partial sum.
    fields, (membrane, current) = neuron.fields, _states(neuron, bounds)
    bias = int(np.abs(neuron.bias.astype(np.int64)).max())
    drive, theta = int(a.magnitude.max() << fields.fraction_bits), int(neuron.threshold.max())
    sums = [(membrane, membrane.held + (drive if current is None else current.held) + bias + theta)]
    if current is not None:
        sums.append((current, current.held + drive + bias))
    for state, partial in sums:
        if partial > FLOAT32_EXACT:
            return (
                f"its sums reach {partial:,}, more than the {FLOAT32_EXACT:,} up to which float32 "
                "is exact"
            )
        if state.fields.overflow == "wrap" and partial - state.fields.lowest > FLOAT32_EXACT:
            return (
                f"wrapping {state.fields.state_bits} bits passes {FLOAT32_EXACT:,}, up to which "
                "float32 is exact"
            )
    return ""


def _why_not_in_floats(neuron: Neuron, a: Interval, bounds: Reach) -> str:
    """Return why float32 is not exact for a program; all that its statements write is known."""
    sizes = {x: max(-low, high) for x, (low, high) in bounds.written.items()}
    largest = max([int(a.magnitude.max()), bounds.added, *sizes.values()])
    if largest > FLOAT32_EXACT:
        return (
            f"its sums reach {largest:,}, more than the {FLOAT32_EXACT:,} up to which float32 is "
            "exact"
        )
    for s in neuron.program.all:
        if (
            isinstance(s, Bound)
            and s.overflow == "wrap"
            and isinstance(s.low, int)
            and sizes[s.x] - s.low > FLOAT32_EXACT
        ):
            return f"wrapping {s.x} passes {FLOAT32_EXACT:,}, up to which float32 is exact"
    return ""


def fit_state_bits(net: Network) -> Network:
    """Return the same network with registers of the least width that never saturates.

    These are all registers that have a width in bits; that none saturates is proven.

    Raises:
        NotMappable: when one needs more than 32 bits.
    """
    nodes = dict(net.nodes)
    for name, neuron in net.neurons.items():
        nodes[name] = neuron.with_bits(dict.fromkeys(widths_of(neuron.program), MAX_STATE_BITS))
    for name, layer in analyse(replace(net, nodes=nodes)).layers.items():
        own = net.neurons[name]
        bits = {x: bits_for(*layer.registers[x]) for x in widths_of(own.program)}
        for state, x in states_of(own).items():
            if bits.get(x, 0) > MAX_STATE_BITS:
                called = "synapse state" if state == "synapse" else state
                raise NotMappable(
                    f"{name}: its {called} needs more than {MAX_STATE_BITS} bits; use fewer "
                    "fraction bits or a smaller fan-in"
                )
        nodes[name] = own.with_bits(bits)
    return replace(net, nodes=nodes)


def states_of(neuron: Neuron) -> dict[str, str]:
    """Return the registers of neurons, other than their spikes, by what people call them.

    The states of neurons in fields have names of their own.
    """
    if isinstance(neuron.arithmetic, Program):
        return {x: x for x in neuron.program.registers if x != FIRED}
    return {"membrane": MEMBRANE, **({} if neuron.synapse is None else {"synapse": CURRENT})}


def facts_of(neuron: Neuron, width: LayerWidth) -> dict[str, object]:
    """Return what the analysis says of a layer, as reports have it.

    Of a program, it has bounds of every register by name besides.
    """
    own = isinstance(neuron.arithmetic, Program)
    facts: dict[str, object] = {
        "current": width.current,
        "membrane": width.membrane,
        "bits": width.bits,
    }
    facts |= {"settled": width.settled, "float32": width.float32}
    facts |= {
        "synapse": None if own else width.synapse,
        "synapse_bits": None if own else width.synapse_bits,
    }
    return facts | ({"registers": dict(width.registers)} if own else {})
