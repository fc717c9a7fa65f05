"""Target odin: what of a network the chip ODIN cannot hold.

Source: its Verilog and documentation, ChFrenkel/ODIN, src and doc.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from lehr.network import Conv2d, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.targets.checked import CheckedTarget
from lehr.targets.contract import Arithmetics, Problem, Varying
from lehr.targets.forms import matched
from lehr.targets.tinyodin.crossbar import HIGHEST_LEAK, NEURONS, beyond_one_layer, outside
from lehr.targets.wiring import by_neuron, connections, sizes
from lehr.update import STATEMENTS
from lehr.weights import KINDS, WeightKind

HIGHEST_WEIGHT, HIGHEST_THRESHOLD = 7, 255
PROGRAM = """
    put fired 0
    for each event
    add v input 0
    bound v 0 255 saturate
    fire now v ge threshold 1
    put v 0 when now
    add fired now 0
    end
    ?leak v linear {leak:name} 0
"""
"""Its LIF neuron, whose membrane has 8 bits and no sign: inhibition ends at 0."""


class Odin(CheckedTarget):
    """A network that it cannot hold, property by property."""

    name: ClassVar[str] = "odin"
    summary: ClassVar[str] = (
        "checks alone: one layer by event, weights of 3 bits, membranes of 8 bits without a sign"
    )
    no_artefact: ClassVar[str] = (
        "nothing is written for ODIN: membranes below 0, which it lacks, are what trained networks "
        "live by"
    )
    arithmetics: ClassVar[Arithmetics] = Arithmetics((), (), (), (), (), (), ())
    statements: ClassVar[frozenset[type]] = frozenset(STATEMENTS)
    nodes: ClassVar[frozenset[type]] = frozenset({Linear, Conv2d, SumPool2d, Flatten, Neuron})
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters"})
    holds: ClassVar[str] = (
        f"{NEURONS} neurons and rows, weights of 3 bits with one sign a row, membranes of 0..255, "
        f"leak 0..{HIGHEST_LEAK}"
    )
    judge: ClassVar[str] = "none"

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Return the update in its program, whether it was said in fields or in statements."""
        numbers = matched(neuron.program, PROGRAM)
        if not isinstance(numbers, str):
            return []
        hint = (
            "say the LIF neuron of docs/chips-not-reached.md as a program, by event and with "
            "membranes of 0..255"
        )
        return [Problem(name, numbers, hint)]

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Layers, rows, and numbers that its memories have no room for."""
        return beyond_one_layer(net) or tuple(_of_crossbar(net))


def _of_crossbar(net: Network) -> Iterator[Problem]:
    ((name, neuron),) = net.neurons.items()
    size = sizes(net)[name]
    if size > NEURONS:
        yield Problem(
            name, f"it has {size:,} neurons, the machine has {NEURONS}", "use fewer neurons"
        )
    for each in connections(net):
        rows = int((each.weights > 0).any(axis=1).sum() + (each.weights < 0).any(axis=1).sum())
        if rows > NEURONS:
            reason = (
                f"its inputs take {rows:,} rows, as a row has one sign, and one of both takes "
                f"two; the machine has {NEURONS}"
            )
            yield Problem(name, reason, "use fewer inputs")
        highest, hint = HIGHEST_WEIGHT, "use weights of at most 4 bits"
        yield from outside(
            name, "weights without their signs", np.abs(each.weights), 0, highest, hint
        )
    thresholds = by_neuron(neuron, "threshold", size)
    yield from outside(name, "thresholds", thresholds, 1, HIGHEST_THRESHOLD, "use smaller weights")
