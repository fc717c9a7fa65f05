"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lehr.artifact import BuildPlan
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
    summary: ClassVar[str] = "portable C99 without heap or floating point, weights of one bit or one byte"
    arithmetics: ClassVar[Arithmetics] = Arithmetics()

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """A state larger than 2 GiB."""
        layout = Layout(net)
        if layout.state_bytes <= INT32_MAX:
            return ()
        widest = max(layout.fields, key=lambda field: field.bytes)
        reason = f"it takes {widest.bytes:,} of {layout.state_bytes:,} bytes of state, an object in C holds {INT32_MAX:,}"
        return (Problem(widest.node, reason, "shorten its delay or make it smaller"),)

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
                Figure("flash", flash, "bytes", "tables of lehr_weights.h, a bit a binary weight, a byte any other; without the code"),
                Figure("RAM", layout.state_bytes, "bytes", "sizeof(lehr_state), all memory beside the stack"),
                Figure("synaptic operations", synaptic_operations(net, rates), "per step", "spikes at the given rates times fan-out"),
                Figure("neuron updates", neurons, "per step", "each neuron once a step"),
            )
        )

    def runner(self) -> CRunner:
        """The C compiler of this machine."""
        return CRunner()
