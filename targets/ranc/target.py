"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, get_args

from lehr.arithmetic import Overflow, Rounding
from lehr.artifact import BuildPlan
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
from lehr.targets.ranc.files import planned, ticks
from lehr.targets.ranc.forms import HIGHEST, LOWEST, Numbers, numbers
from lehr.targets.ranc.lines import beyond, lags
from lehr.targets.ranc.placing import AXONS, CORES, NEURONS, Placed, placed
from lehr.targets.ranc.runner import RancRunner
from lehr.targets.rooms import outside
from lehr.targets.wiring import sizes
from lehr.weights import WeightKind
from lehr.widths import analyse


class Ranc(Target):
    """RANC of the University of Arizona: cores like TrueNorth's, whose neurons have no leak.

    They integrate without a leak towards 0.
    """

    name: ClassVar[str] = "ranc"
    summary: ClassVar[str] = (
        "cores of 256 axons and neurons for RANC, like TrueNorth's, in the format of its simulator"
    )
    arithmetics: ClassVar[Arithmetics] = Arithmetics(
        decay_form=("multiply",),
        rounding=get_args(Rounding),
        reset=("zero", "subtract"),
        reset_timing=("same_step",),
        fires=("ge", "gt"),
        overflow=get_args(Overflow),
        update=("step",),
        max_state_bits=32,
        to_the_rails=False,
    )
    nodes: ClassVar[frozenset[type]] = frozenset(
        {Conv2d, Delay, Flatten, Linear, Neuron, SumPool2d}
    )
    weights: ClassVar[tuple[WeightKind, ...]] = ("binary", "ternary", "int2")
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters"})
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)
    example_fields: ClassVar[Mapping[str, Any]] = {
        "decay_numerator": 1,
        "decay_shift": 0,
        "fires": "ge",
    }
    training: ClassVar[TrainingForm] = TrainingForm(
        arithmetic={
            "decay_form": "multiply",
            "decay_numerator": 1,
            "decay_shift": 0,
            "reset": "subtract",
            "reset_timing": "same_step",
            "fires": "ge",
        },
        fraction_bits=0,
    )
    holds: ClassVar[str] = (
        f"cores of {AXONS} axons and {NEURONS} neurons, four weights a neuron, one axon that it "
        "sends to; no leak"
    )
    own_steps: ClassVar[bool] = True
    judge: ClassVar[str] = (
        "RANC's own C++ simulator, every membrane and spike; not its hardware, whose widths are "
        "chosen at synthesis"
    )

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Beside what the fields say, the update as a whole; an integrator's as well."""
        problems = (
            []
            if neuron.integrates and neuron.synapse is None
            else super().neuron_problems(name, neuron)
        )
        if problems:
            return problems
        result = numbers(neuron)
        return (
            []
            if isinstance(result, Numbers)
            else [Problem(name, result, "train with --target ranc, without a leak")]
        )

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Spikes in, ints that hold the membranes, waits, weights, axons and cores."""
        if any(self.neuron_problems(name, neuron) for name, neuron in net.neurons.items()):
            return ()  # said already, and nothing else can be asked of what is not the machine's
        if problems := tuple(_too_large(net)):
            return problems
        late = lags(net)
        problems = (
            *_input(net),
            *_states(net),
            *(late if isinstance(late, tuple) else beyond(net)),
        )
        if problems:
            return problems
        layout = placed(net)
        return () if isinstance(layout, Placed) else layout

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Cores, a configuration, where everything is, and a README."""
        del options
        return BuildPlan(planned(net, _cores(net)))

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Sizes, and synaptic operations; no energy of one is published."""
        del options
        layout = _cores(net)
        operations = synapses = 0.0
        for core in layout.cores:
            own = layout.heard[core.layer]
            fan_out = own.connected[list(core.axons)][:, list(core.neurons)].sum(axis=1)
            synapses += int(fan_out.sum())
            operations += sum(
                rates.get(own.lines[line][0], 0.0) * int(n)
                for line, n in zip(core.axons, fan_out, strict=True)
            )
        rows = sum(len(core.neurons) for core in layout.cores)
        bits = max(layer.bits for layer in analyse(net).layers.values())
        return Estimate(
            (
                Figure(
                    "cores", len(layout.cores), "cores", f"of {AXONS} axons and {NEURONS} neurons"
                ),
                Figure("neurons", rows, "neurons", "those of the layers and their copies"),
                Figure(
                    "copies",
                    rows - sum(sizes(net).values()),
                    "neurons",
                    "a neuron sends to one axon, and is there for each that hears it",
                ),
                Figure(
                    "axons",
                    sum(len(core.axons) for core in layout.cores),
                    "axons",
                    "one for each spike and weight in each core",
                ),
                Figure(
                    "synapses",
                    synapses,
                    "synapses",
                    "bits of the crossbars that are set, those of copies as well",
                ),
                Figure(
                    "width of a potential",
                    bits,
                    "bits",
                    "the least that holds every membrane, of hardware that is built for this "
                    "network",
                ),
                Figure(
                    "ticks",
                    ticks(net),
                    "per inference",
                    "the network's steps, a hop for each layer, and one for the output bus",
                ),
                Figure(
                    "synaptic operations",
                    operations,
                    "per step",
                    "spikes at the given rates times synapses, copies included; no energy",
                ),
            )
        )

    def runner(self) -> RancRunner:
        """RANC's simulator, whose folder $LEHR_RANC names."""
        return RancRunner()


def _cores(net: Network) -> Placed:
    layout = placed(net)
    assert isinstance(layout, Placed), layout
    return layout


def _too_large(net: Network) -> Iterator[Problem]:
    for name, size in sizes(net).items():
        if size > NEURONS * CORES:
            yield Problem(
                name,
                f"it has {size:,} neurons, {CORES:,} cores have {NEURONS * CORES:,}",
                "use smaller layers",
            )


def _input(net: Network) -> Iterator[Problem]:
    if net.input.kind != "spikes":
        reason = f"the input is '{net.input.kind}', an axon takes one spike a tick or none"
        yield Problem(net.targets(INPUT)[0], reason, "code the input as spikes")


def _states(net: Network) -> Iterator[Problem]:
    for name, neuron in net.neurons.items():
        yield from outside(net, name, {"v": (LOWEST, HIGHEST - neuron.integrates)})
        result = numbers(neuron)
        if isinstance(result, Numbers) and result.raised and int(neuron.threshold.max()) == HIGHEST:
            yield Problem(
                name,
                f"it fires beyond a threshold of {HIGHEST:,}, the machine at the highest int",
                "use a lower threshold",
            )
