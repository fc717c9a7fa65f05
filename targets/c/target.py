"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, get_args

from lehr.artifact import BuildPlan
from lehr.errors import UsageError
from lehr.intervals import intervals
from lehr.network import Network, Readout
from lehr.nodes import INT32_MAX
from lehr.targets.c.compiler import call, compiler
from lehr.targets.c.cost import synaptic_operations
from lehr.targets.c.devices import GENERIC, NAMES, need, require_fit
from lehr.targets.c.figures import measure
from lehr.targets.c.layout import RATE, Layout
from lehr.targets.c.nodes import NODES
from lehr.targets.c.printer import RULES
from lehr.targets.c.render import render, tables
from lehr.targets.c.runner import CRunner
from lehr.targets.c.updates import problems
from lehr.targets.contract import Arithmetics, Estimate, Figure, Options, Problem, Target, Varying
from lehr.targets.names import identifiers
from lehr.weights import KINDS, WeightKind


class C(Target):
    """Portable C99 for microcontrollers and processors: every arithmetic, every node."""

    name: ClassVar[str] = "c"
    summary: ClassVar[str] = (
        "portable C99 without heap or floating point, weights of one bit or one byte"
    )
    arithmetics: ClassVar[Arithmetics] = Arithmetics.every()
    statements: ClassVar[frozenset[type]] = RULES.kinds
    nodes: ClassVar[frozenset[type]] = NODES.kinds
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters", "delays"})
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)
    holds: ClassVar[str] = (
        "2 GiB of state; with --option device=NAME what that device's memories hold"
    )
    judge: ClassVar[str] = "the C compiler of this machine"
    options: ClassVar[Mapping[str, str]] = {
        "device": (
            f"{NAMES}: whose memories must hold the network; {GENERIC} has no limits and is the "
            "default"
        ),
        "flash": "KiB of flash that there are, instead of the device's",
        "ram": "KiB of RAM that there are, instead of the device's",
        "rate": (
            "spikes per neuron and step, in %, at which sums are to take the fewest "
            f"instructions; {100 * RATE:g} if not given"
        ),
    }
    products: ClassVar[tuple[str, ...]] = ("lehr_main", "lehr_sanitize", "*.elf", "*.o")

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return updates whose registers no type holds, and a state larger than 2 GiB."""
        if any(RULES.missing(neuron.program.all) for neuron in net.neurons.values()):
            return ()  # said already, and nothing else can be asked of what is not known
        known = intervals(net)
        refusals = [problem for name in net.neurons for problem in problems(net, name, known)]
        if refusals:
            return tuple(refusals)
        layout = Layout(net)
        if layout.memory.bytes <= INT32_MAX:
            return ()
        widest = max(layout.memory.fields, key=lambda field: field.bytes)
        reason = (
            f"it takes {widest.bytes:,} of {layout.memory.bytes:,} bytes of state, an object in "
            f"C holds {INT32_MAX:,}"
        )
        return (Problem(widest.node, reason, "shorten its delay or make it smaller"),)

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Return the C sources, a Makefile, a README and a description for the runner.

        Raises:
            UsageError: for a value that an option does not take.
            NotMappable: when the memories do not hold the network, with the table of what is
                needed.
        """
        layout = Layout(net, _rate(options))
        require_fit(need(layout, tables(layout)), options)
        return BuildPlan(render(layout))

    def names(self, net: Network) -> Mapping[str, str]:
        """Return what functions and members of the state are called after."""
        return {name: called for name, called in identifiers(net.order).items() if called != name}

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Flash, RAM, and work per step."""
        layout = Layout(net, _rate(options or {}))
        needed = need(layout, tables(layout))
        neurons = sum(layout.size(name) for name in net.neurons)
        bits = (
            "tables of lehr_weights.h, a bit a binary weight in rows of whole bytes, a byte any "
            "other"
        )
        return Estimate(
            (
                Figure(
                    "flash",
                    sum(needed.flash.values()) - needed.flash["code"],
                    "bytes",
                    f"{bits}; without the code",
                ),
                Figure(
                    "flash of the code",
                    needed.flash["code"],
                    "bytes",
                    "bound by the number of nodes, above what compilers make of it",
                ),
                Figure(
                    "RAM",
                    layout.memory.bytes,
                    "bytes",
                    "sizeof(lehr_state), all memory beside the stack",
                ),
                Figure(
                    "synaptic operations",
                    synaptic_operations(net, rates),
                    "per step",
                    "spikes at the given rates times fan-out",
                ),
                Figure("neuron updates", neurons, "per step", "each neuron once a step"),
            )
        )

    def measure(self, folder: Path) -> tuple[Figure, ...]:
        """Measure flash on this machine, Cortex-M and RISC-V, and what a Cortex-M4 takes.

        It takes instructions and stack, in QEMU.
        """
        return measure(folder)

    def version(self) -> str:
        """Return the first line in which the compiler tells its name and version."""
        return call([*compiler(), "--version"], Path(), "does not tell its version").partition(
            "\n"
        )[0]

    def runner(self) -> CRunner:
        """Return the C compiler of this machine."""
        return CRunner()


def _rate(options: Options) -> float:
    """Return the value of option `rate`, as a share.

    Raises:
        UsageError: when it is no percentage.
    """
    percent = options.get("rate")
    if percent is None:
        return RATE
    if not (re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", percent) and float(percent) <= 100):
        raise UsageError(f"rate is {percent!r}; use a number from 0 to 100, in %")
    return float(percent) / 100
