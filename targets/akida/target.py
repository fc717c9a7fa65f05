"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np

from lehr.arithmetic import Overflow, ResetTiming, Rounding
from lehr.artifact import BuildPlan
from lehr.network import INPUT, Conv2d, Flatten, Linear, Network, Neuron, Readout, SumPool2d
from lehr.targets.akida.files import planned
from lehr.targets.akida.runner import AKIDA, SoftwareBackend, described
from lehr.targets.akida.stages import stages, too_large, too_wide, unchained
from lehr.targets.contract import (
    Arithmetics,
    Environment,
    Estimate,
    Figure,
    Options,
    Problem,
    Target,
    TrainingForm,
    Varying,
)
from lehr.targets.forms import matched
from lehr.targets.rooms import outside
from lehr.targets.wiring import operations
from lehr.update import Add, Bound, Fire, Program, Put
from lehr.weights import WeightKind

_TAKE = """\
    add v input 0
    ? add v bias 0
    ? bound v {low} {high} {overflow:name}
    ? fire fired v gt threshold 1
"""
IN_FIELDS = f"leak v multiply 0 {{shift}} {{rounding:name}}\n{_TAKE}"
AS_PROGRAM = f"put v 0\n{_TAKE}"
POTENTIAL = 1 << 31


class Akida(Target):
    """BrainChip's Akida, first generation: layers without memory, of weights of 2 or 4 bits."""

    name: ClassVar[str] = "akida"
    summary: ClassVar[str] = (
        "a model for BrainChip's Akida in its own format, an inference a time step"
    )
    arithmetics: ClassVar[Arithmetics] = Arithmetics(
        decay_form=("multiply",),
        rounding=get_args(Rounding),
        reset=("none",),
        reset_timing=get_args(ResetTiming),
        fires=("gt",),
        overflow=get_args(Overflow),
        update=("step",),
        max_fraction_bits=0,
        max_state_bits=32,
        to_the_rails=False,
    )
    example_fields: ClassVar[Mapping[str, int]] = {"decay_numerator": 0, "decay_shift": 2}
    statements: ClassVar[frozenset[type]] = frozenset({Add, Bound, Fire, Put})
    nodes: ClassVar[frozenset[type]] = frozenset({Conv2d, Flatten, Linear, Neuron, SumPool2d})
    weights: ClassVar[tuple[WeightKind, ...]] = ("binary", "ternary", "int2", "int3", "int4")
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters"})
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)
    training: ClassVar[TrainingForm] = TrainingForm(
        arithmetic={
            "decay_form": "multiply",
            "decay_numerator": 0,
            "decay_shift": 0,
            "reset": "none",
            "fires": "gt",
        },
        fraction_bits=0,
    )
    holds: ClassVar[str] = (
        "78 neural processors, 22 of them for fully connected layers, of at most 57,334 inputs"
    )
    judge: ClassVar[str] = (
        "akida's software back end, by BrainChip, layer by layer; its virtual AKD1000 says what "
        "fits"
    )
    environments: ClassVar[tuple[Environment, ...]] = (AKIDA,)

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Beside what the fields say, the update as a whole; an integrator's as well."""
        problems = (
            []
            if neuron.integrates and neuron.synapse is None
            else super().neuron_problems(name, neuron)
        )
        matching = matched(
            neuron.program, AS_PROGRAM if isinstance(neuron.arithmetic, Program) else IN_FIELDS
        )
        if problems or not isinstance(matching, str):
            return problems
        return [
            Problem(
                name,
                matching,
                "train with --target akida, without memory, or use the program 'akida' of "
                "lehr.machines",
            )
        ]

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return a chain of layers, spikes in, and sizes."""
        if any(self.neuron_problems(name, neuron) for name, neuron in net.neurons.items()):
            return ()  # said already, and nothing else can be asked of what is not the machine's
        if wide := tuple(too_wide(net)):
            return wide
        problems = list(unchained(net))
        if net.input.kind != "spikes":
            reason = f"the input is '{net.input.kind}', the first layer takes spikes of 0 and 1"
            problems.append(Problem(net.targets(INPUT)[0], reason, "code the input as spikes"))
        for name in net.neurons:
            problems += outside(net, name, {"v": (-POTENTIAL, POTENTIAL - 1)})
        return tuple(problems or too_large(net))

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Return the model, a program that runs it step by step, and a README."""
        del options
        return BuildPlan(planned(net))

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Sizes, and synaptic operations; BrainChip publishes no energy of one."""
        del options
        chain = stages(net)
        bits = sum(stage.weights.size * (stage.bits or 0) for stage in chain)
        return Estimate(
            (
                Figure(
                    "neurons",
                    sum(math.prod(net.shapes[name]) for name in net.neurons),
                    "neurons",
                    "those of the layers",
                ),
                Figure(
                    "weights",
                    math.ceil(bits / 8),
                    "bytes",
                    "their number times 2 or 4 bits; a kernel once",
                ),
                Figure("inferences", net.steps, "per sample", "one a time step"),
                Figure(
                    "synaptic operations",
                    operations(net, rates),
                    "per step",
                    "spikes at the given rates times fan-out; no energy published",
                ),
            )
        )

    def measure(self, folder: Path) -> tuple[Figure, ...]:
        """Return what of an AKD1000 the model takes, as akida maps it; nothing without akida."""
        if AKIDA.missing():
            return ()
        return (
            self.runner()
            .run(folder, np.zeros((1, 1, *described(folder)["shape"]), np.uint8))
            .figures
        )

    def runner(self) -> SoftwareBackend:
        """Akida's software back end."""
        return SoftwareBackend()
