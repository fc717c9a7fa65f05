"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, get_args

import numpy as np

from lehr.artifact import BuildPlan
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, Readout, SumPool2d
from lehr.targets.contract import (
    Arithmetics,
    Environment,
    Estimate,
    Figure,
    Options,
    Problem,
    Target,
    TrainingForm,
)
from lehr.targets.hiaer.files import planned
from lehr.targets.hiaer.forms import Numbers, numbers, numbers_of
from lehr.targets.hiaer.layout import Layout
from lehr.targets.hiaer.runner import HS_API, Simulator
from lehr.targets.hiaer.schedule import lags
from lehr.targets.rooms import outside
from lehr.targets.wiring import operations
from lehr.update import Add, Bound, Fire, Leak, Put
from lehr.weights import KINDS, WeightKind
from lehr.widths import analyse

WEIGHT = 1 << 15
"""Weights are from -WEIGHT to WEIGHT - 1: `synapse_weights` of hs_api's simulator, 16 bits."""
STATE = 1 << 34
"""Membranes likewise: `membrane_potential`, 35 bits."""


class Hiaer(Target):
    """HiAER-Spike of UC San Diego: one threshold and one leak for all neurons, any connections."""

    name: ClassVar[str] = "hiaer"
    summary: ClassVar[str] = "axons, neurons and connections for HiAER-Spike, through hs_api"
    arithmetics: ClassVar[Arithmetics] = Arithmetics(
        decay_form=("shift",),
        rounding=("floor",),
        reset=("zero",),
        reset_timing=("next_step",),
        fires=("gt",),
        overflow=("saturate", "wrap"),
        update=("step",),
        max_fraction_bits=14,
        max_state_bits=32,
        to_the_rails=False,
    )
    statements: ClassVar[frozenset[type]] = frozenset({Add, Bound, Fire, Leak, Put})
    nodes: ClassVar[frozenset[type]] = frozenset(
        {Conv2d, Delay, Flatten, Linear, Neuron, SumPool2d}
    )
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)
    training: ClassVar[TrainingForm] = TrainingForm(
        arithmetic={
            "decay_form": "shift",
            "rounding": "floor",
            "reset": "zero",
            "reset_timing": "next_step",
            "fires": "gt",
        },
        share="network",
        fraction_bits=6,
    )
    holds: ClassVar[str] = (
        "one threshold and one leak; weights of 16 bits; 160 million neurons and 40 billion "
        "synapses in all"
    )
    own_steps: ClassVar[bool] = True
    judge: ClassVar[str] = (
        "the simulator of hs_api, by UC San Diego: every spike and membrane; not the machine itself"
    )
    environments: ClassVar[tuple[Environment, ...]] = (HS_API,)

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Beside what the fields say, the update as a whole; an integrator's as well."""
        problems = (
            []
            if neuron.integrates and neuron.synapse is None
            else super().neuron_problems(name, neuron)
        )
        result = numbers(neuron)
        if problems or isinstance(result, Numbers):
            return problems
        return [
            Problem(
                name,
                result,
                "train with --target hiaer, or use the program 'hiaer' of lehr.machines",
            )
        ]

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return what the machine does not hold.

        It has one threshold, one leak, spikes in, weights and biases of 16 bits, states that stay
        within their widths, and no circle that is too short.
        """
        if any(isinstance(numbers(neuron), str) for neuron in net.neurons.values()):
            return ()  # said already, and nothing else can be asked of what is not the machine's
        late = lags(net)
        problems = [
            *_shared(net),
            *_input(net),
            *_states(net),
            *(late if isinstance(late, tuple) else ()),
        ]
        return tuple(problems or _numbers(Layout(net)))

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Return the network as numbers, a program that builds and runs it, and a README."""
        del options
        return BuildPlan(planned(Layout(net)))

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Sizes, and synaptic operations; no energy of the machine is published."""
        del options
        layout = Layout(net)
        synapses = layout.arrays()
        relayed = sum(rates.get(name, 0.0) * layout.sizes[name] for name, _ in layout.relays)
        biases = sum(
            int(np.count_nonzero(synapses["axons"][:, 0] == axon))
            for axon in layout.biased.values()
        )
        last = max(layout.lags[name] + numbers_of(net.neurons[name]).hop for name in net.neurons)
        return Estimate(
            (
                Figure("neurons", layout.neurons, "neurons", "those of the layers and the relays"),
                Figure(
                    "relays", layout.relay_neurons, "neurons", "neurons in which spikes wait a step"
                ),
                Figure(
                    "axons",
                    layout.axons,
                    "axons",
                    "inputs, once for each number of steps that they wait, and one a biased layer",
                ),
                Figure(
                    "synapses", sum(map(len, synapses.values())), "synapses", "rows of synapses.npz"
                ),
                Figure(
                    "steps",
                    net.steps + last,
                    "per inference",
                    "the network's, and those by which its last spikes are late",
                ),
                Figure(
                    "synaptic operations",
                    operations(net, rates) + relayed + biases,
                    "per step",
                    "spikes at the given rates times fan-out, relays and axons of biases included; "
                    "no energy is published",
                ),
            )
        )

    def runner(self) -> Simulator:
        """hs_api's simulator."""
        return Simulator()


# -------------------------------------------------------------------- what does not fit
def _shared(net: Network) -> Iterator[Problem]:
    firing = {
        name: neuron.threshold for name, neuron in net.neurons.items() if not neuron.integrates
    }
    one = next((int(threshold.flat[0]) for threshold in firing.values()), 0)
    for name, threshold in firing.items():
        low, high = int(threshold.min()), int(threshold.max())
        if (low, high) != (one, one):
            reason = (
                f"its thresholds are {low:,}..{high:,}, the machine has one for all neurons, "
                f"{one:,} in {next(iter(firing))}"
            )
            yield Problem(
                name, reason, "train with --target hiaer, or with one threshold for the network"
            )
    leak = numbers_of(next(iter(net.neurons.values()))).leak
    for name, neuron in net.neurons.items():
        if (own := numbers_of(neuron).leak) != leak:
            reason = (
                f"it leaks 1/2^{own}, the machine has one leak for all neurons, 1/2^{leak} in "
                f"{next(iter(net.neurons))}"
            )
            yield Problem(name, reason, "train with one decay for the network")


def _input(net: Network) -> Iterator[Problem]:
    if net.input.kind != "spikes":
        reason = f"the input is '{net.input.kind}', an axon fires once a step or not"
        yield Problem(net.targets(INPUT)[0], reason, "code the input as spikes")


def _states(net: Network) -> Iterator[Problem]:
    for name in net.neurons:
        yield from outside(net, name, {"v": (-STATE, STATE - 1)})


def _numbers(layout: Layout) -> Iterator[Problem]:
    net, synapses = layout.net, layout.arrays()
    numbered = np.concatenate([synapses["axons"], synapses["neurons"]])
    for name, first in layout.first.items():
        own = numbered[(numbered[:, 1] >= first) & (numbered[:, 1] < first + layout.sizes[name]), 2]
        if own.size and (own.min() < -WEIGHT or own.max() >= WEIGHT):
            reason = (
                f"its weights and biases are {own.min():,}..{own.max():,}, the machine holds "
                f"{-WEIGHT:,}..{WEIGHT - 1:,}"
            )
            yield Problem(name, reason, "use fewer fraction bits or smaller biases")
    for name, layer in analyse(net).layers.items():
        if net.neurons[name].integrates and layer.membrane[1] > layout.threshold:
            reason = (
                f"it never fires, but its membrane can reach {layer.membrane[1]:,}, and the "
                f"machine fires above {layout.threshold:,}"
            )
            yield Problem(
                name,
                reason,
                "read out spikes, or give the other layers more fraction bits than this one",
            )
    if layout.relays and layout.threshold + 1 >= WEIGHT:
        name = next(iter(layout.relays))[0]
        reason = (
            "its spikes wait in relays, whose weight must pass the threshold "
            f"{layout.threshold:,}, and {WEIGHT - 1:,} is the highest"
        )
        yield Problem(name, reason, "use fewer fraction bits, or leave the delay out")
