"""Mapping of a whole network to netx: layers, their weights and numbers; or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import Network
from lehr.targets.arithmetics import Problem
from lehr.targets.loihi.layers import Layer, Window, chain
from lehr.targets.loihi.neurons import UNIT_BITS, Numbers, may_reach_rails, numbers, stays

NEURONS = 128 * 1024
"""Cores of a chip, and neurons of a core (Davies et al. 2018)."""
LARGEST_WINDOW = 127
"""Lava holds the sizes of a convolution in 8 bits."""


@dataclass(frozen=True, eq=False)
class Mapped:
    """One layer in the chip's numbers.

    Attributes:
        layer: in the network's own.
        numbers: of its neurons.
        may_reach_rails: whether a state could come to an end of its range.
    """

    layer: Layer
    numbers: Numbers
    may_reach_rails: bool

    @property
    def weight(self) -> Int64:
        """Weights from the layer before."""
        return self.layer.weight << (self.numbers.fraction_bits - UNIT_BITS)

    @property
    def own(self) -> Int64 | None:
        """Weights from the layer to itself."""
        return (
            None
            if self.layer.own is None
            else self.layer.own << (self.numbers.fraction_bits - UNIT_BITS)
        )


def mapped(net: Network) -> tuple[Mapped, ...] | tuple[Problem, ...]:
    """Return all layers, or all problems."""
    problems = list[Problem]()
    if net.input.kind != "spikes":
        first = next(iter(net.neurons))
        hint = "encode the input as spikes, as recipes do with 'rate'"
        problems.append(Problem(first, "pixels come to it, the chip's input is spikes", hint))
    layers = chain(net)
    by_name = {name: numbers(name, neuron) for name, neuron in net.neurons.items()}
    known = {name: each for name, each in by_name.items() if isinstance(each, Numbers)}
    problems += [
        problem for each in by_name.values() if not isinstance(each, Numbers) for problem in each
    ]
    standing = [layer for layer in layers if isinstance(layer, Layer)]
    problems += [problem for problem in layers if isinstance(problem, Problem)]
    for layer in (layer for layer in standing if layer.name in known):
        problems += [*_weights(layer, known[layer.name]), *stays(net, layer, known[layer.name])]
    problems += [*_sizes(standing), *_early(standing, known)]
    if problems:
        return tuple(dict.fromkeys(problems))
    return tuple(
        Mapped(layer, known[layer.name], may_reach_rails(net, layer, known[layer.name]))
        for layer in standing
    )


def _weights(layer: Layer, numbers: Numbers) -> list[Problem]:
    """Weights that 8 bits and an exponent do not hold, or that netx would change without a word."""
    parts = [layer.weight] if layer.own is None else [layer.weight, layer.own]
    every = np.concatenate([part.reshape(-1) for part in parts]) << (
        numbers.fraction_bits - UNIT_BITS
    )
    low, high = int(every.min()), int(every.max())
    # Signed weights have 7 bits and a sign: multiples of 2 up to 254, or with exponent -1 any up to
    # 127 (Lava, `truncate_weights`).
    least, most = (0, 255) if low >= 0 else (-128, 127) if (every % 2).any() else (-256, 254)
    if low < least or high > most:
        reason = (
            f"its weights are {low}..{high} in units of the chip, whose signed weights are "
            "even, or at most 127"
        )
        return [Problem(layer.name, reason, "use fewer fraction bits or smaller weights")]
    if layer.window is None and any(part.max() <= 0 for part in parts):
        reason = (
            "none of its weights from one source is positive, which Lava's dense synapses do "
            "not hold exactly"
        )
        return [Problem(layer.name, reason, "leave it out, as it never fires, or train further")]
    return []


def _sizes(layers: list[Layer]) -> list[Problem]:
    refusals = []
    if (neurons := sum(layer.size for layer in layers)) > NEURONS:
        largest = max(layers, key=lambda layer: layer.size)
        reason = f"it has {largest.size:,} of {neurons:,} neurons, a chip has {NEURONS:,}"
        refusals.append(Problem(largest.name, reason, "use fewer channels or a larger stride"))
    for layer in layers:
        if isinstance(layer.window, Window) and (most := max(_spans(layer))) > LARGEST_WINDOW:
            reason = (
                f"its convolution, pooling behind it included, has a size of {most}, Lava holds "
                f"{LARGEST_WINDOW}"
            )
            refusals.append(
                Problem(layer.name, reason, "use smaller kernels, strides and paddings")
            )
    return refusals


def _spans(layer: Layer) -> tuple[int, ...]:
    assert layer.window is not None
    window = layer.window
    return (
        *layer.weight.shape[2:],
        *window.stride,
        *window.padding,
        *window.dilation,
        window.groups,
    )


def _early(layers: list[Layer], known: dict[str, Numbers]) -> list[Problem]:
    """Return the biases that could make a layer fire before its first step.

    Only a layer that hears itself counts: it would hear of that in its first step.
    """
    last = max((number for number, layer in enumerate(layers) if layer.own is not None), default=-1)
    hears = layers[last].name if last >= 0 else ""
    reason = (
        f"it has positive biases, which the chip adds from the start, and {hears} could hear "
        "itself fire before its first step"
    )
    return [
        Problem(layer.name, reason, "use none there, or a network without recurrence")
        for layer in layers[: last + 1]
        if layer.name in known and (bias := known[layer.name].bias) is not None and (bias > 0).any()
    ]
