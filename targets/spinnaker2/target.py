"""The target: what it takes, what it writes, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, get_args

from lehr.artifact import BuildPlan
from lehr.network import Conv2d, Flatten, Linear, Network, Neuron, Readout, SumPool2d
from lehr.targets.contract import (
    Arithmetics,
    Estimate,
    Figure,
    Options,
    Problem,
    Runner,
    Target,
    TrainingForm,
    Varying,
)
from lehr.targets.spinnaker2.graph import GRAPH, SETTINGS, graph_bytes, settings_bytes, updates
from lehr.targets.spinnaker2.memory import ELEMENTS, ROOM, parts
from lehr.targets.spinnaker2.neurons import Update, problems, update_of
from lehr.targets.spinnaker2.runner import Model
from lehr.targets.spinnaker2.script import README, SCRIPT
from lehr.targets.spinnaker2.ways import all_ways, ways
from lehr.targets.wiring import lags, operations, sizes
from lehr.update import Add, Bound, Fire, Leak, Put
from lehr.weights import KINDS, WeightKind

PICOJOULES = 10.0
_SOURCE = (
    "Tang et al. 2023, doi 10.3389/fnins.2023.1187252, Table 3: 10 pJ, for comparison only, as "
    "operations of machines differ"
)


class Spinnaker2(Target):
    """NIR graph and settings that py-spinnaker2 converts to a SpiNNaker2 chip without rounding."""

    name: ClassVar[str] = "spinnaker2"
    summary: ClassVar[str] = "a NIR graph and settings that py-spinnaker2 converts without rounding"
    arithmetics: ClassVar[Arithmetics] = Arithmetics((), (), (), (), (), (), (), to_the_rails=False)
    statements: ClassVar[frozenset[type]] = frozenset({Add, Bound, Fire, Leak, Put})
    nodes: ClassVar[frozenset[type]] = frozenset({Linear, Conv2d, SumPool2d, Flatten, Neuron})
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    by_neuron: ClassVar[frozenset[Varying]] = frozenset({"parameters"})
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)
    holds: ClassVar[str] = (
        "148 processing elements of 128 KiB, 250 neurons each; weights to 127; float32, which must "
        "never round"
    )
    own_steps: ClassVar[bool] = True
    judge: ClassVar[str] = (
        "lehr's own model of py-spinnaker2's published conversion and neuron: nothing of the "
        "machine can be had"
    )
    training: ClassVar[TrainingForm | None] = TrainingForm(
        arithmetic=MappingProxyType(
            {"decay_form": "multiply", "reset_timing": "same_step", "fires": "gt", "state_bits": 32}
        ),
        biases=False,
        fraction_bits=0,
    )

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Return where an update, in fields or statements, is not the machine's."""
        update = update_of(neuron)
        if isinstance(update, Update):
            return []
        hint = (
            "use a decay, the input, and a threshold that is passed ('gt') and subtracted or "
            "set to zero in the same step"
        )
        return [Problem(name, update, hint)]

    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return what does not map.

        It is inputs, ways, late spikes, numbers that float32 would round, and memory.
        """
        refusals = []
        if net.input.kind != "spikes":
            reason = "its input is pixels, the machine's is spikes"
            refusals.append(
                Problem(
                    next(iter(net.neurons)),
                    reason,
                    "train with a code that turns pixels into spikes",
                )
            )
        refusals += [problem for name in net.neurons for problem in ways(net, name)[1]]
        late = lags(net, 1)
        if not isinstance(late, dict):
            refusals += [
                Problem(
                    p.node, p.reason, "leave that edge out: py-spinnaker2 has one delay for all"
                )
                for p in late
            ]
        by_name = updates(net)
        resets = {name: update.reset for name, update in by_name.items() if update.reset != "none"}
        if len(set(resets.values())) > 1:
            other = next(
                name for name, reset in resets.items() if reset != next(iter(resets.values()))
            )
            reason = (
                "its neurons reset otherwise than those before, py-spinnaker2 has one reset for all"
            )
            refusals.append(Problem(other, reason, "train with one reset"))
        for name in by_name:
            refusals += problems(net, name)
        return tuple(refusals) or _sizes(net)

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Return the graph, the settings, a program that runs them, and a README."""
        del options
        files = {
            GRAPH: graph_bytes(net),
            SETTINGS: settings_bytes(net),
            "run_spinnaker2.py": SCRIPT.encode(),
        }
        return BuildPlan({**files, "README.md": _readme(net).encode()})

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Estimate processing elements, memory, and synaptic operations with what they would cost.

        The cost is by a published constant.
        """
        del options
        by_name, events = parts(net), operations(net, rates) * net.steps
        layout = (
            "the published layout of its memory: rows of synapses, kernels, parameters, states, "
            "records"
        )
        return Estimate(
            (
                Figure(
                    "processing elements",
                    sum(p.elements for p in by_name.values()),
                    f"of {ELEMENTS}",
                    "at most 250 neurons, by memory",
                ),
                Figure(
                    "fullest element",
                    max(p.bytes for p in by_name.values()),
                    f"bytes of {ROOM}",
                    layout,
                ),
                Figure(
                    "synaptic operations",
                    events,
                    "per inference",
                    "spikes times the synapses that they reach",
                ),
                Figure(
                    "energy of synapses", events * PICOJOULES * 1e-6, "uJ per inference", _SOURCE
                ),
            )
        )

    def runner(self) -> Runner:
        """Our own model."""
        return Model()


def _sizes(net: Network) -> tuple[Problem, ...]:
    """Return why the layers do not fit on a chip.

    It is asked of networks that its neurons and ways hold.
    """
    by_name, refusals = parts(net), []
    for name, part in by_name.items():
        if part.bytes > ROOM:
            reason = (
                f"one of its neurons takes {part.bytes:,} bytes, a processing element has {ROOM:,}"
            )
            refusals.append(Problem(name, reason, "use fewer inputs of the layer or fewer steps"))
    elements = sum(part.elements for part in by_name.values())
    if not refusals and elements > ELEMENTS:
        worst = max(by_name, key=lambda name: by_name[name].elements)
        reason = (
            f"the network takes {elements} processing elements, {by_name[worst].elements} of them "
            f"this layer, a chip has {ELEMENTS}"
        )
        refusals.append(Problem(worst, reason, "use smaller layers"))
    return tuple(refusals)


def _readme(net: Network) -> str:
    by_name, count = parts(net), sizes(net)
    resets = {update.reset for update in updates(net).values()}
    rows = [
        f"| {name} | {count[name]} | {part.elements} | {part.bytes:,} |"
        for name, part in by_name.items()
    ]
    changes = []
    for way in all_ways(net):
        where = f"from {way.source} to {way.target}"
        if way.flat and way.pool == 1:
            changes.append(
                f"- {where}: a Flatten behind windows of one pixel, which py-spinnaker2 asks for"
            )
        if way.convolves and way.weight is not None:
            size = "x".join(map(str, way.weight.shape[2:]))
            changes.append(
                f"- {where}: one kernel of {size}; dilation, groups and later pooling are in it"
            )
    return README.format(
        reset="sets the membrane to zero" if "zero" in resets else "subtracts the threshold",
        transformations="\n".join(changes) or "- nothing",
        layers="\n".join(rows),
    )
