"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any, ClassVar

from lehr.artifact import BuildPlan, to_json
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, Readout, SumPool2d
from lehr.targets.contract import (
    Arithmetics,
    Estimate,
    Figure,
    Options,
    Problem,
    Target,
    TrainingForm,
    Varying,
)
from lehr.targets.reckon.cells import HIGHEST
from lehr.targets.reckon.layout import INPUTS, NEURONS, OUTPUTS, Layout
from lehr.targets.reckon.mapping import layout
from lehr.targets.reckon.readme import described, readme
from lehr.targets.reckon.runner import BENCH, MAP, WORDS, ReckonRunner
from lehr.targets.reckon.words import program
from lehr.targets.wiring import operations
from lehr.update import Add, Bound, Fire, Leak, Program, Put
from lehr.weights import KINDS, WeightKind

JOULES = 5.3e-12
"""Of a synaptic operation at 0.5 V."""


class Reckon(Target):
    """A spiking recurrent network of 256 neurons, and 16 output neurons that decide."""

    name: ClassVar[str] = "reckon"
    summary: ClassVar[str] = (
        "SPI words and a map of places for ReckOn, a recurrent spiking processor in open Verilog"
    )
    arithmetics: ClassVar[Arithmetics] = Arithmetics(
        decay_form=("multiply",),
        rounding=("floor",),
        reset=("subtract", "zero"),
        reset_timing=("next_step",),
        fires=("ge", "gt", "never"),
        overflow=("saturate",),
        update=("step",),
        max_fraction_bits=13,
        max_state_bits=16,
    )
    statements: ClassVar[frozenset[type]] = frozenset({Leak, Add, Put, Bound, Fire})
    nodes: ClassVar[frozenset[type]] = frozenset(
        {Linear, Conv2d, SumPool2d, Flatten, Delay, Neuron}
    )
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters"})
    readouts: ClassVar[tuple[Readout, ...]] = ("count_argmax_lowest", "membrane_last_argmax_lowest")
    example_fields: ClassVar[Mapping[str, Any]] = {"fires": "ge"}
    training: ClassVar[TrainingForm | None] = TrainingForm(
        arithmetic={
            "rounding": "floor",
            "reset": "subtract",
            "reset_timing": "next_step",
            "fires": "ge",
            "state_bits": 16,
        },
        share="pair",
        highest=HIGHEST,
        fraction_bits=4,
    )
    holds: ClassVar[str] = (
        f"{INPUTS} inputs, {NEURONS} neurons, two of which share threshold and decay, {OUTPUTS} "
        "integrators, weights of 8 bits, "
        "membranes of 16"
    )
    own_steps: ClassVar[bool] = True
    judge: ClassVar[str] = (
        "the author's Verilog under Verilator, programmed over SPI: every spike, every membrane, "
        "and its label"
    )

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Return what the contract says; integrators have nothing to reset."""
        if neuron.integrates and not isinstance(neuron.arithmetic, Program):
            return replace(self.arithmetics, reset=("none",)).problems(name, neuron)
        return super().neuron_problems(name, neuron)

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Sizes, the order of steps, and numbers that memories and membranes have no room for."""
        if any(self.neuron_problems(name, neuron) for name, neuron in net.neurons.items()):
            return ()  # said already, and no number of such a layer is known
        result = layout(net)
        return () if isinstance(result, Layout) else result

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """SPI words, the map of places, a testbench and a README."""
        del options
        mapped = _mapped(net)
        return BuildPlan(
            {
                WORDS: "".join(f"{word:08x}\n" for word in program(mapped)).encode(),
                MAP: to_json(described(net, mapped)),
                "README.md": readme(net, mapped).encode(),
                BENCH: files(__package__).joinpath("templates", BENCH).read_bytes(),
            }
        )

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Estimate work and energy of a step.

        An event reads the weights to all places, those that are 0 as well.
        """
        del options
        mapped = _mapped(net)
        lines, places = mapped.w_in.shape
        spikes = sum(
            rates.get(name, 0.0) * own.threshold.size
            for name, own in mapped.cells.items()
            if not own.integrates
        )
        events = rates.get(INPUT, 0.0) * (lines - len(mapped.lines)) + len(mapped.lines) + spikes
        work = events * places
        source = (
            "5.3 pJ a synaptic operation at 0.5 V (README of ReckOn; Tang et al. 2023, doi "
            "10.3389/fnins.2023.1187252, Table 3, which"
            " warns that chips count operations differently), times weights read"
        )
        timing = (
            "srnn.v: a clock to look at each line, a clock a place for each event and for the "
            "update; a line and a neuron go together"
        )
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
                    work,
                    "per step",
                    "events, those of biases too, times places: the machine passes none over",
                ),
                Figure("energy", JOULES * work, "J per step", source),
                Figure("clock cycles", 2 * max(lines, places) + work + 2, "per step", timing),
                Figure(
                    "places of neurons",
                    places,
                    f"of {NEURONS}",
                    "pairs of equal threshold and decay",
                ),
                Figure("input lines", lines, f"of {INPUTS}", "those of biases with them"),
                Figure(
                    "SPI words",
                    len(program(mapped)),
                    "to program it",
                    "lines of spi.hex; 32 bits each, at most a quarter of the clock",
                ),
            )
        )

    def runner(self) -> ReckonRunner:
        """Verilator, on the Verilog that $LEHR_RECKON_RTL names."""
        return ReckonRunner()


def _mapped(net: Network) -> Layout:
    result = layout(net)
    assert isinstance(result, Layout), "limits were asked first"
    return result
