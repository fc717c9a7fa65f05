"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np

from lehr.artifact import BuildPlan
from lehr.network import Conv2d, Delay, Flatten, Linear, Network, Neuron, Readout, SumPool2d
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
from lehr.targets.samna import SAMNA
from lehr.targets.wiring import operations
from lehr.targets.xylo.chip import (
    FAN_OUT,
    HIDDEN,
    INPUTS,
    OUTPUTS,
    RECURRENT,
    Chip,
    Weights,
    placed,
)
from lehr.targets.xylo.files import README, files, memory
from lehr.targets.xylo.form import OUTPUT_SPIKES, RANGES
from lehr.targets.xylo.measured import measure
from lehr.targets.xylo.readme import readme
from lehr.targets.xylo.runner import XYLOSIM, Xylosim
from lehr.update import Add, Bound, Fire, Leak, Program, Put
from lehr.weights import KINDS, WeightKind


class Xylo(Target):
    """SynSense's Xylo Audio 2: neurons with a synapse and a membrane, which decay by shifts."""

    name: ClassVar[str] = "xylo"
    summary: ClassVar[str] = (
        "configuration and memory images of SynSense's Xylo Audio 2 (SYNS61201)"
    )
    arithmetics: ClassVar[Arithmetics] = Arithmetics((), (), (), (), (), (), ())
    statements: ClassVar[frozenset[type]] = frozenset({Add, Bound, Fire, Leak, Put})
    nodes: ClassVar[frozenset[type]] = frozenset(
        {Conv2d, Delay, Flatten, Linear, Neuron, SumPool2d}
    )
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters"})
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)
    training: ClassVar[TrainingForm] = TrainingForm(
        machine="xylo",
        parameters={"dash_syn": 2, "dash_mem": 3},
        highest=RANGES["threshold"][1],
        output_spikes=OUTPUT_SPIKES,
    )
    holds: ClassVar[str] = (
        f"{INPUTS} inputs, {HIDDEN:,} hidden neurons with up to {FAN_OUT} synapses each and "
        f"{RECURRENT:,} together, {OUTPUTS} outputs"
    )
    own_steps: ClassVar[bool] = True
    judge: ClassVar[str] = (
        "xylosim (SynSense), bit-exact, of the core alone: neither the audio front end nor the "
        "chip's timing"
    )
    environments: ClassVar[tuple[Environment, ...]] = (XYLOSIM, SAMNA)

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Return what of an update is not Xylo's.

        It is all that is in fields, and statements that it has not; `limits` looks at the rest.
        """
        if isinstance(neuron.arithmetic, Program):
            return super().neuron_problems(name, neuron)
        return [
            Problem(
                name,
                "its update is in fields, none of which are Xylo's two states and dash decays",
                "train with machine 'xylo'",
            )
        ]

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return what does not map.

        It is updates that are not Xylo's, what there is no room for, what the chip would do
        otherwise.
        """
        chip = placed(net)
        return () if isinstance(chip, Chip) else chip

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Samna's configuration, images of the memories, what is written where, and a README.

        Raises:
            NotMappable: when the network does not fit.
        """
        del options
        chip = self._chip(net)
        return BuildPlan({**files(net, chip), README: readme(net, chip).encode()})

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Estimate neurons, synapses, memory, and synaptic operations.

        No energy is published for any of them.
        """
        del options
        chip = self._chip(net)
        hidden = len(chip.recurrent.values)
        inputs, outputs = math.prod(net.input.shape), math.prod(net.shapes[net.output])
        count = {name: int(np.count_nonzero(each.values)) for name, each in _matrices(chip).items()}
        published = (
            "arXiv 2406.15112, keyword spotting on Xylo Audio 2; of that network, nothing "
            "follows for this one"
        )
        return Estimate(
            (
                Figure("inputs", inputs, f"of {INPUTS}", "values of the input in a step"),
                Figure(
                    "hidden neurons", hidden, f"of {HIDDEN:,}", "neurons of all layers but the last"
                ),
                Figure("outputs", outputs, f"of {OUTPUTS}", "neurons of the last layer"),
                Figure(
                    "recurrent synapses",
                    count["recurrent"],
                    f"of {RECURRENT:,}",
                    "weights between hidden neurons that are not 0",
                ),
                Figure(
                    "synapses",
                    sum(count.values()),
                    "in all",
                    "weights that are not 0, of input and outputs too",
                ),
                Figure(
                    "memory writes",
                    sum(1 for _ in memory(chip)),
                    "words",
                    "length of memory_writes.csv",
                ),
                Figure(
                    "synaptic operations",
                    operations(net, rates),
                    "per step",
                    "spikes at the given rates times the synapses they reach",
                ),
                Figure("power of the published benchmark", 291, "uW", published),
                Figure("energy of the published benchmark", 6.6, "uJ per inference", published),
            )
        )

    def measure(self, folder: Path) -> tuple[Figure, ...]:
        """Return what samna writes for the configuration, once validated, where it is installed."""
        return measure(folder)

    def runner(self) -> Xylosim:
        """SynSense's simulator."""
        return Xylosim()

    def _chip(self, net: Network) -> Chip:
        self.require_mappable(net)
        chip = placed(net)
        assert isinstance(chip, Chip)
        return chip


def _matrices(chip: Chip) -> dict[str, Weights]:
    return {"input": chip.into, "recurrent": chip.recurrent, "output": chip.out}
