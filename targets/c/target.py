"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lehr.artifact import BuildPlan
from lehr.errors import NotMappable
from lehr.network import Network
from lehr.nodes import INT32_MAX
from lehr.targets.c.cost import synaptic_operations
from lehr.targets.c.layout import Layout
from lehr.targets.c.render import render, tables
from lehr.targets.c.runner import CRunner
from lehr.targets.contract import Arithmetics, Estimate, Figure, Options, Problem, Target


class C(Target):
    """Portable C99 for microcontrollers and processors: every arithmetic, every node."""

    name: ClassVar[str] = "c"
    summary: ClassVar[str] = "portable C99 without heap or floating point, weights one bit each"
    arithmetics: ClassVar[Arithmetics] = Arithmetics()

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Sums that int32 may not hold, and a state larger than 2 GiB."""
        try:
            layout = Layout(net)
        except NotMappable as error:  # the width analysis names a node, what it reaches, and the way out: the parts of a Problem
            node, _, sentence = str(error).partition(": ")
            reason, _, hint = sentence.partition("; ")
            return (Problem(node, reason, hint),)
        found = [
            Problem(name, f"its inputs reach {reach:,} together, int32 holds {INT32_MAX:,}", "give it fewer inputs or a smaller fan-in")
            for name in net.order
            if (reach := layout.reach(name)) > INT32_MAX
        ]
        if layout.state_bytes > INT32_MAX:
            widest = max(layout.fields, key=lambda field: field.bytes)
            reason = f"it takes {widest.bytes:,} of {layout.state_bytes:,} bytes of state, an object in C holds {INT32_MAX:,}"
            found.append(Problem(widest.node, reason, "shorten its delay or make it smaller"))
        return tuple(found)

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """The C sources, a Makefile, a README and a description for the runner; there are no options."""
        del options
        return BuildPlan(render(net))

    def estimate(self, net: Network, rates: Mapping[str, float]) -> Estimate:
        """Flash, RAM, and work per step."""
        layout = Layout(net)
        flash = sum(table.bytes for table in tables(layout))
        neurons = sum(layout.size(name) for name in net.neurons)
        return Estimate(
            (
                Figure("flash", flash, "bytes", "tables of lehr_weights.h, a bit a weight; without the code"),
                Figure("RAM", layout.state_bytes, "bytes", "sizeof(lehr_state), all memory beside the stack"),
                Figure("synaptic operations", synaptic_operations(net, rates), "per step", "spikes at the given rates times fan-out"),
                Figure("neuron updates", neurons, "per step", "each neuron once a step"),
            )
        )

    def runner(self) -> CRunner:
        """The C compiler of this machine."""
        return CRunner()
