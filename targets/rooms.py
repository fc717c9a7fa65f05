"""Rooms for states of fixed width: the proof that a machine's register never leaves its range.

Or it leaves it as the network's own does. A machine adds synapse by synapse and may saturate, wrap
or be undefined on the way; the network's program adds the whole sum at once. Where all that a
program writes, partial sums included, stays within the machine's range, and within the program's
own, neither does anything at its ends, and the order of adding does not count: inputs are not
negative, so that a part of a sum is the sum of a part of the input, which the bounds hold for as
well.
"""

from __future__ import annotations

from collections.abc import Mapping

from lehr.network import Network, Neuron
from lehr.targets.arithmetics import Problem
from lehr.update import Bound, Source
from lehr.widths import analyse

Range = tuple[int, int]


def outside(
    net: Network, name: str, ranges: Mapping[str, Range], same_rails: bool = False
) -> list[Problem]:
    """Return why registers of a layer could do something else at the ends of a machine's range.

    Args:
        net: the network.
        name: of a neuron layer.
        ranges: by register of its program, the lowest and highest value that the machine holds.
        same_rails: whether the machine brings a register into its range exactly where the program
            does, and nowhere else: then one whose Bounds have the machine's range, for all neurons
            of the layer, may leave it.
    """
    neuron, layer, problems = net.neurons[name], analyse(net).layers[name], []
    for x, (low, high) in ranges.items():
        bounds = [s for s in neuron.program.all if isinstance(s, Bound) and s.x == x]
        lows, highs = (
            _values(neuron, [s.low for s in bounds]),
            _values(neuron, [s.high for s in bounds]),
        )
        if x not in layer.written or (same_rails and (lows, highs) == ({low}, {high})):
            continue
        least, most = max({low} | lows), min({high} | highs)
        lowest, highest = layer.written[x]
        if lowest < least or highest > most:
            reason = (
                f"its {x} reaches {lowest:,}..{highest:,}, partial sums included, and must stay "
                f"within {least:,}..{most:,}"
            )
            problems.append(
                Problem(
                    name,
                    reason,
                    "use fewer fraction bits, a smaller fan-in, or a decay that is shorter",
                )
            )
    return problems


def _values(neuron: Neuron, ends: list[Source]) -> set[int]:
    """Return all that numbers and parameters are, for any neuron of a layer."""
    return {
        value
        for end in ends
        for value in ([end] if isinstance(end, int) else neuron.values[end].ravel().tolist())
    }
