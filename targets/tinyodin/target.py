"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, ClassVar

from lehr.artifact import BuildPlan, to_json
from lehr.network import INPUT, Conv2d, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.targets.contract import Arithmetics, Estimate, Figure, Options, Problem, Target, Varying
from lehr.targets.tinyodin.crossbar import NEURONS, crossbar, problems
from lehr.targets.tinyodin.readme import readme
from lehr.targets.tinyodin.runner import BENCH, IMAGES, MAP, TinyOdinRunner
from lehr.targets.tinyodin.words import clear, neuron_memory, program, synapse_memory
from lehr.targets.wiring import operations, sizes
from lehr.update import STATEMENTS
from lehr.weights import WeightKind


class TinyOdin(Target):
    """One layer of neurons that update by event, on a crossbar of 256 by 256 weights of 4 bits."""

    name: ClassVar[str] = "tinyodin"
    summary: ClassVar[str] = (
        "SPI words, memories and events for tinyODIN, a crossbar of 256 neurons in open Verilog"
    )
    arithmetics: ClassVar[Arithmetics] = Arithmetics(
        decay_form=("multiply",),
        rounding=("toward_zero", "floor", "nearest_even"),
        reset=("zero",),
        reset_timing=("same_step",),
        fires=("gt", "ge"),
        overflow=("saturate",),
        update=("event",),
        max_state_bits=12,
    )
    statements: ClassVar[frozenset[type]] = frozenset(STATEMENTS)
    nodes: ClassVar[frozenset[type]] = frozenset({Linear, Conv2d, SumPool2d, Flatten, Neuron})
    weights: ClassVar[tuple[WeightKind, ...]] = ("binary", "ternary", "int2", "int3", "int4")
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters"})
    example_fields: ClassVar[Mapping[str, Any]] = {"decay_numerator": 1, "decay_shift": 0}
    holds: ClassVar[str] = (
        f"{NEURONS} inputs, one layer of {NEURONS} neurons that hears them alone, weights of 4 "
        "bits, membranes of 12"
    )
    judge: ClassVar[str] = (
        "the author's Verilog under Verilator: every spike and every membrane; its SPI words too"
    )

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return what is not one layer, its size, and numbers that memories have no room for."""
        return problems(net)

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """SPI words, images of the memories, the map of addresses, a testbench and a README."""
        del options
        bar = crossbar(net)
        ((layer, size),) = sizes(net).items()
        described = {
            "layer": layer,
            "shape": list(net.shapes[layer]),
            "input": list(net.input.shape),
            "steps": net.steps,
            "leaks": bool(bar.leaks.any()),
            "registers": {
                "SPI_GATE_ACTIVITY": 0,
                "SPI_OPEN_LOOP": 1,
                "SPI_AER_SRC_CTRL_nNEUR": 0,
                "SPI_MAX_NEUR": size - 1,
            },
        }
        contents = {MAP: to_json(described), "README.md": readme(net, bar).encode()}
        contents[BENCH] = files("lehr.targets.tinyodin").joinpath("templates", BENCH).read_bytes()
        words = (program(bar), clear(bar), neuron_memory(bar), synapse_memory(bar))
        for name, digits, image in zip(IMAGES, (10, 10, 8, 8), words, strict=True):
            contents[name] = "".join(f"{word:0{digits}x}\n" for word in image).encode()
        return BuildPlan(contents)

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Work of a step. An event reads the weights of all neurons, those that are 0 as well."""
        del options
        bar = crossbar(net)
        rows, columns = bar.weights.shape
        events = rates.get(INPUT, 0.0) * rows
        cycles = events * (1 + 2 * columns) + (2 * columns if bar.leaks.any() else 0)
        timing = (
            "doc/README.md of the machine, 2.2.1: 1 + 2 neurons a spike event, 2 neurons a time "
            "reference; handshakes left out"
        )
        spi = sum(1 for _ in program(bar))
        return Estimate(
            (
                Figure(
                    "synaptic operations",
                    operations(net, rates),
                    "per step",
                    "events times their weights that are not 0",
                ),
                Figure(
                    "weights read",
                    events * columns,
                    "per step",
                    "events times neurons: the machine passes none over",
                ),
                Figure("clocks", cycles, "per step", timing),
                Figure(
                    "SPI words",
                    spi,
                    "to program it",
                    "lines of program.hex; 40 bits each, at most a quarter of the clock",
                ),
                Figure(
                    "synapse memory in use", 4 * rows * columns, "bits", "of 262,144: 4 a weight"
                ),
            )
        )

    def runner(self) -> TinyOdinRunner:
        """Verilator, on the Verilog that $LEHR_TINYODIN_RTL names."""
        return TinyOdinRunner()
