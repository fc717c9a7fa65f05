"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ClassVar, get_args

from lehr.artifact import BuildPlan, read_manifest
from lehr.errors import NotMappable, UsageError
from lehr.network import Network, Neuron, Readout
from lehr.spelling import one_of
from lehr.targets.contract import (
    Arithmetics,
    Estimate,
    Figure,
    Options,
    Problem,
    Table,
    Target,
    Varying,
)
from lehr.targets.fpga import measured
from lehr.targets.fpga.cost import clocks, require_fit, storage
from lehr.targets.fpga.devices import DEVICES, ECP5, ICE40
from lehr.targets.fpga.engines import ARRANGEMENTS, MAX_LANES, Arrangement, Plan, default_lanes
from lehr.targets.fpga.projections import NODES, paths, projection
from lehr.targets.fpga.reach import Reach, largest_sums
from lehr.targets.fpga.render import FRONTS, identifiers, render
from lehr.targets.fpga.runner import FpgaRunner
from lehr.targets.fpga.statements import RULES
from lehr.targets.fpga.synthesis import synthesize
from lehr.targets.fpga.unmapped import Unmapped
from lehr.targets.verilog import version
from lehr.weights import KINDS, WeightKind

MAX_MAPS = 256
MAX_STEPS = 2**16 - 1
MAX_CLASSES = 2**16
MAX_WAYS = 256
MIN_SERIAL_CLOCK = 4


class Fpga(Target):
    """Event-driven engine in Verilog-2001 for all layers, or a chain of engines, one for each."""

    name: ClassVar[str] = "fpga"
    summary: ClassVar[str] = (
        "Verilog-2001 without vendor primitives: one event-driven engine for all layers, or one "
        "for each"
    )
    arithmetics: ClassVar[Arithmetics] = replace(Arithmetics.every(), update=("step",))
    statements: ClassVar[frozenset[type]] = RULES.kinds
    nodes: ClassVar[frozenset[type]] = NODES.kinds | {Neuron}
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters", "delays"})
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)
    holds: ClassVar[str] = (
        "65,535 steps, 65,536 classes; with --option device=NAME what that device has"
    )
    judge: ClassVar[str] = "Icarus Verilog or Verilator; area and timing by Yosys and nextpnr"
    options: ClassVar[Mapping[str, str]] = {
        "engines": (
            "one shared by all layers, the default, or one for each of the layers, which then "
            "work at once on steps that follow"
        ),
        "front": (
            "what a host speaks to: bytes with valid and ready, the default, or uart, a serial "
            "line of 1 Mbit/s"
        ),
        "lanes": f"accumulators that an event updates at once, a power of two up to {MAX_LANES}; "
        "what the layers fill if not given, and"
        " never more with engines=layers",
        "clock": "MHz that synthesis aims at, 1 to 500; the device's usual one if not given",
        "device": (
            f"{', '.join(DEVICES)}: whose memories must hold the network; generic has no limits "
            "and is the default"
        ),
    }
    products: ClassVar[tuple[str, ...]] = (
        *("lehr_sim", "verilated/*", "netlist/*", "lehr.json", "lehr_netlist.v", "*.log"),
        *("report/nextpnr.json", "report/cycles.txt", "report/phases.txt"),
        *(product for family in (ICE40, ECP5) for product in (family.placed, family.bitstream)),
    )

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return what the engine has no circuit, number or memory for, whatever the device."""
        refusals = [
            problem
            for name, largest in largest_sums(net).items()
            for problem in _into(net, name, largest)
        ]
        shape = net.shapes[net.output]
        if net.readout != "count_argmax_lowest" and math.prod(shape) > shape[0]:
            reason = (
                f"its membranes are read out at {math.prod(shape[1:])} places, the engine "
                "compares those of one"
            )
            refusals.append(
                Problem(net.output, reason, "pool or connect them to one neuron a class")
            )
        if shape[0] > MAX_CLASSES:
            reason = f"it has {shape[0]:,} classes, the engine numbers {MAX_CLASSES:,}"
            refusals.append(Problem(net.output, reason, "use fewer classes"))
        if net.steps > MAX_STEPS:
            refusals.append(
                Problem(
                    net.output,
                    f"the network runs {net.steps:,} steps, the engine counts to {MAX_STEPS:,}",
                    "use fewer steps",
                )
            )
        return tuple(dict.fromkeys(refusals))

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Verilog, memory images, a testbench, a Makefile and constraints.

        Raises:
            UsageError: for a value that an option does not take.
            NotMappable: when the memories of the device do not hold the network, with the table of
                what is needed.
        """
        device = options.get("device", "generic")
        if device not in DEVICES:
            raise UsageError(f"device is {device!r}; {one_of(str(device), DEVICES)}")
        lanes = _lanes(net, options)
        clock = _whole(options, "clock", DEVICES[device].clock, 500)
        front = options.get("front", "bytes")
        if front not in FRONTS:
            raise UsageError(f"front is {front!r}; {one_of(str(front), FRONTS)}")
        if front == "uart" and clock < MIN_SERIAL_CLOCK:
            raise UsageError(
                f"clock is '{clock}', and a bit of front=uart takes {MIN_SERIAL_CLOCK} clocks; use "
                f"{MIN_SERIAL_CLOCK} or more"
            )
        arrangements: dict[str, Arrangement] = {
            arrangement: arrangement for arrangement in ARRANGEMENTS
        }
        arrangement = arrangements.get(options.get("engines", "shared"))
        if arrangement is None:
            raise UsageError(
                f"engines is {options['engines']!r}; use one of {', '.join(ARRANGEMENTS)}"
            )
        plan = Plan(net, lanes, arrangement)
        require_fit(plan, device)
        return BuildPlan(
            render(
                plan,
                {
                    "device": device,
                    "engines": arrangement,
                    "lanes": lanes,
                    "clock": clock,
                    "front": front,
                },
            )
        )

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Estimate memory by kind, and clocks of a step at the given spike rates.

        In the end stand the same numbers of one engine for each layer.
        """
        plan = Plan(net, _lanes(net, options or {}))
        bits = {memory.name: memory.width * memory.depth for memory in storage(plan)}
        source = "width times depth of the memory in the Verilog"
        figures = [Figure(f"memory of {name}", size, "bits", source) for name, size in bits.items()]
        work = (
            "the roofline in docs/fpga.md at the given rates: events, words without one, and "
            "neurons; all inputs sent in every step"
        )
        by_layer = clocks(plan, rates)
        figures += [
            Figure(f"clocks of {name}", taken, "per step", work) for name, taken in by_layer.items()
        ]
        figures.append(Figure("clocks", sum(by_layer.values()), "per step", work))
        try:
            chained = replace(plan, arrangement="layers")
            size = sum(memory.width * memory.depth for memory in storage(chained))
        except NotMappable:
            return Estimate(tuple(figures))
        figures.append(Figure("memory with engines=layers", size, "bits", source))
        slowest = max(clocks(chained, rates).values())
        return Estimate(
            (
                *figures,
                Figure(
                    "clocks with engines=layers",
                    slowest,
                    "per step",
                    f"{work}; those of the slowest layer",
                ),
            )
        )

    def names(self, net: Network) -> Mapping[str, str]:
        """Return identifiers of Verilog, which has no dots and dashes in them."""
        return identifiers(net)

    def report(self, folder: Path) -> tuple[Table, ...]:
        """Return what nextpnr and the simulation measured."""
        return measured.report(folder, self._device(folder))

    @staticmethod
    def _device(folder: Path) -> str:
        """Return the device that an artefact was built for."""
        return str(read_manifest(folder).get("options", {}).get("device", "generic"))

    def measure(self, folder: Path) -> tuple[Figure, ...]:
        """Place it for its device, where Yosys and nextpnr are here; nothing for `generic`.

        Raises:
            NotMappable: when the device is too small for it, or too slow.
            NotBitExact: when a tool fails on it.
        """
        return synthesize(folder, self._device(folder))

    def version(self) -> str:
        """Return the version of Verilator, which runs whole networks, else of Icarus."""
        return version()

    def runner(self) -> FpgaRunner:
        """Icarus or Verilator on this machine."""
        return FpgaRunner()


def _lanes(net: Network, options: Options) -> int:
    """Return how many neurons are summed at once."""
    lanes = _whole(options, "lanes", default_lanes(net), MAX_LANES)
    if lanes & (lanes - 1):
        raise UsageError(f"lanes is '{lanes}'; use a power of two from 1 to {MAX_LANES}")
    return lanes


def _into(net: Network, name: str, largest: int) -> Iterator[Problem]:
    """Yield what the engine cannot bring to a layer, or compute there.

    The `largest` is the largest sum that comes to the layer.
    """
    ways = list(islice(paths(net, name), MAX_WAYS + 1))
    if len(ways) > MAX_WAYS:
        reason = (
            f"spikes come to it on more than {MAX_WAYS} ways, each of which the engine scans on "
            "its own"
        )
        merge = "merge nodes that stand side by side"
        smaller = "use smaller windows of maxima, or " * any(way.windows for way in ways)
        yield Problem(name, reason, smaller + merge)
        return
    slowest = max(way.lag for way in ways)
    if slowest >= MAX_MAPS:
        yield Problem(
            name,
            f"its input is {slowest} steps late, the engine keeps {MAX_MAPS - 1}",
            "use shorter delays",
        )
    checks: list[Callable[[], object]] = [partial(projection, net, way, name) for way in ways]
    if not RULES.missing(net.neurons[name].program.all):
        checks.append(partial(Reach, net, name, largest))
    for check in checks:
        try:
            check()
        except Unmapped as error:
            yield Problem(error.node or name, error.reason, error.hint)


def _whole(options: Options, name: str, default: int, highest: int) -> int:
    """Return the value of an option that is a whole number from 1 to `highest`."""
    given = options.get(name, str(default))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= highest):
        raise UsageError(f"{name} is {given!r}; use a whole number from 1 to {highest}")
    return int(given)
