"""States of fixed width: the proof that a machine's register never leaves its range, or leaves it as the network's own does.

A machine adds synapse by synapse and may saturate, wrap or be undefined on the way; the network's program adds the whole sum at once.
Where all that a program writes, partial sums included, stays within the machine's range, and within the program's own, neither does
anything at its ends, and the order of adding does not count: inputs are not negative, so that a part of a sum is the sum of a part of
the input, which the bounds hold for as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from lehr.network import Network
from lehr.targets.arithmetics import Problem
from lehr.update import Bound
from lehr.widths import analyse

Range = tuple[int, int]


def outside(net: Network, name: str, ranges: Mapping[str, Range], same_rails: bool = False) -> list[Problem]:
    """Why registers of a layer could do something at the ends of a range that another machine does not.

    Args:
        net: the network.
        name: of a neuron layer.
        ranges: by register of its program, the lowest and highest value that the machine holds.
        same_rails: whether the machine brings a register into its range exactly where the program does, and nowhere else: then one
            whose Bound has the machine's range may leave it.
    """
    layer, problems = analyse(net).layers[name], []
    bounds = {s.x: (s.low, s.high) for s in net.neurons[name].program.all if isinstance(s, Bound)}
    for x, (low, high) in ranges.items():
        if x not in layer.written or (same_rails and bounds.get(x) == (low, high)):
            continue
        own = [end for end in bounds.get(x, ()) if isinstance(end, int)]
        least, most = max([low, *own[:1]]), min([high, *own[1:]])
        lowest, highest = layer.written[x]
        if lowest < least or highest > most:
            reason = f"its {x} reaches {lowest:,}..{highest:,}, partial sums included, and must stay within {least:,}..{most:,}"
            problems.append(Problem(name, reason, "use fewer fraction bits, a smaller fan-in, or a decay that is shorter"))
    return problems
