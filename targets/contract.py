"""The contract of a target: the one file that its author must read.

A target is a folder with a class derived from `Target`, and one line in pyproject.toml (a package
of one's own does the same in its pyproject.toml):

    [project.entry-points."lehr.targets"]
    mychip = "lehr.targets.mychip:MyChip"

The conformance suite (lehr.targets.conformance) then runs over it: no test has to be written.
`check`, `plan` and `estimate` are pure functions of the network: no disk, no clock, no tool. Tools
are called in the runner and in `measure` alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from lehr.artifact import BuildPlan
from lehr.errors import FileRefused, NotMappable, ToolMissing, UsageError
from lehr.intervals import accumulators
from lehr.network import Delay, Linear, Network, Neuron, Readout
from lehr.simulate.compare import QUANTITIES, Quantity
from lehr.simulate.result import Trace
from lehr.spelling import one_of
from lehr.targets.arithmetics import Arithmetics, Problem
from lehr.targets.environments import Environment
from lehr.targets.training_form import TrainingForm
from lehr.update import Program
from lehr.weights import WeightKind
from lehr.widths import analyse

Varying = Literal["parameters", "delays"]
"""What may differ from neuron to neuron within a channel, and from value to value."""

__all__ = [
    "Arithmetics",
    "Environment",
    "Estimate",
    "Figure",
    "MachineTrace",
    "Options",
    "Problem",
    "Runner",
    "Table",
    "Target",
    "TrainingForm",
    "Varying",
]

Options = Mapping[str, str]


@dataclass(frozen=True)
class Figure:
    """One number of an estimate, with its unit and the source of the constants in it."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Estimate:
    """Costs of a network on a machine."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Table:
    """Table of a report: its title, the names of its columns, and a value for each in every row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True)
class MachineTrace(Trace):
    """A trace, and what the machine itself says beside it.

    Attributes:
        decision: the class that it decides for, `[N]`; None where it tells none. It must be the
            network's prediction.
        figures: what its tool says of time, energy and events in this run.
    """

    decision: npt.NDArray[np.int64] | None = None
    figures: tuple[Figure, ...] = ()


class Runner(Protocol):
    """Runs a built artefact in its own tool.

    A tool that shows spikes alone states `shows = ("spike",)` as an attribute, and the trace has no
    membranes then; a runner without that attribute shows both.
    """

    def missing(self) -> str | None:
        """Return why this machine cannot run it, or None.

        It lacks a tool, then; the sentence says how to install it.
        """

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Run an artefact: spikes and membranes of every neuron layer, `[N, T, *shape]`.

        Inputs are as `simulate` takes them. `folder` is a built artefact and is not written to;
        what `plan` put there is all that is used. It is run, so it is one's own: `lehr verify`
        gives a folder that was planned just now, and ends this process and all that it has started
        when its time is up. A machine that decides by itself, or whose tool shows figures, returns
        a `MachineTrace`.

        Raises:
            ToolMissing: when the tool is not there.
            NotBitExact: when the artefact does not build or run.
        """


def shown_by(runner: Runner) -> tuple[Quantity, ...]:
    """Return what a runner's tool shows of every neuron; spikes and membranes if it is silent."""
    shown: tuple[Quantity, ...] = getattr(runner, "shows", QUANTITIES)
    return shown


class Target(ABC):
    """A machine that lehr builds for.

    Attributes:
        name: as on the command line; lower case, letters, digits and dashes.
        summary: one line for `lehr targets list`.
        arithmetics: what it computes of updates in fields.
        statements: the types of statements of lehr.update that it computes, for updates that are
            programs; none if it does not say.
        nodes: the types of nodes that it computes; the least that makes a network if it does not
            say.
        weights: the kinds that it takes; binary ones alone if it does not say.
        by_neuron: what may differ from neuron to neuron within a channel, and from value to value
            in a delay; nothing if it does not say.
        readouts: how it tells the winning class; by counts of spikes alone if it does not say.
        example_fields: fields of `Arithmetic` that the networks of the conformance suite need
            beside what `arithmetics` says, to be mapped: a decay that is the machine's only one,
            say.
        training: the form that `lehr train --target` brings a recipe into; None where a network
            trained by any recipe may map.
        options: names and meanings of the options that `plan` takes.
        holds: its sizes, in words, for `lehr targets list`.
        own_steps: whether `limits` shows what it shows for the network's own number of steps, so
            that longer inputs are refused where a state could go on growing.
        judge: what its artefacts are run in, in words, likewise; whose work that is, and which part
            of the machine it does not show.
        environments: tools in Python environments of their own that its runner uses.
        products: what the artefact's own Makefile makes in its folder, as patterns of names; the
            next build into that folder drops it.
        no_artefact: why nothing is written for the machine; empty for all targets but those of
            lehr.targets.checked.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    arithmetics: ClassVar[Arithmetics]
    statements: ClassVar[frozenset[type]] = frozenset()
    nodes: ClassVar[frozenset[type]] = frozenset({Linear, Neuron})
    weights: ClassVar[tuple[WeightKind, ...]] = ("binary",)
    by_neuron: ClassVar[frozenset[Varying]] = frozenset()
    readouts: ClassVar[tuple[Readout, ...]] = ("count_argmax_lowest",)
    example_fields: ClassVar[Mapping[str, Any]] = {}
    training: ClassVar[TrainingForm | None] = None
    options: ClassVar[Mapping[str, str]] = {}
    holds: ClassVar[str] = ""
    own_steps: ClassVar[bool] = False
    judge: ClassVar[str] = ""
    environments: ClassVar[tuple[Environment, ...]] = ()
    products: ClassVar[tuple[str, ...]] = ()
    no_artefact: ClassVar[str] = ""

    def check(self, net: Network) -> tuple[Problem, ...]:
        """Return all reasons why `net` does not map, at once; none means that `plan` works."""
        if unknown := (
            *self._unknown_nodes(net),
            *self._unknown_programs(net),
            *self._differing(net),
        ):
            return unknown  # nothing else can be asked of what is not known
        fields = [
            p for name, neuron in net.neurons.items() for p in self.neuron_problems(name, neuron)
        ]
        kinds = " or ".join(f"'{kind}'" for kind in self.weights)
        weights = [
            Problem(
                name,
                f"weights are '{node.kind}', the machine has {kinds}",
                f"train with weights that are {kinds}",
            )
            for name, node in net.weighted.items()
            if node.kind not in self.weights
        ]
        if net.readout not in self.readouts:
            readouts = " or ".join(f"'{readout}'" for readout in self.readouts)
            fields.append(
                Problem(
                    net.output,
                    f"readout is '{net.readout}', the machine has {readouts}",
                    f"export with readout {readouts}",
                )
            )
        sums = [
            Problem(
                name,
                f"its sums reach {worst:,}, more than a 32-bit accumulator holds",
                "use a smaller fan-in",
            )
            for name, worst in accumulators(net).items()
        ]
        return (*fields, *weights, *sums, *(() if sums else self.limits(net)))

    def _unknown_nodes(self, net: Network) -> tuple[Problem, ...]:
        taken = ", ".join(sorted(kind.__name__ for kind in self.nodes))
        return tuple(
            Problem(
                name, f"{type(node).__name__} is not computed by the machine", f"use {taken} alone"
            )
            for name, node in net.nodes.items()
            if type(node) not in self.nodes
        )

    def _unknown_programs(self, net: Network) -> tuple[Problem, ...]:
        programs = {
            name: neuron
            for name, neuron in net.neurons.items()
            if isinstance(neuron.arithmetic, Program)
        }
        return tuple(
            problem
            for name, neuron in programs.items()
            for problem in self.neuron_problems(name, neuron)
        )

    def _differing(self, net: Network) -> Iterator[Problem]:
        """Yield what differs within a channel, or a delay, that the machine has but one of."""
        for name, node in net.nodes.items():
            if isinstance(node, Neuron) and node.per_neuron and "parameters" not in self.by_neuron:
                reason = (
                    f"its {' and '.join(node.per_neuron)} differ within a channel, the machine "
                    "has one for each"
                )
                yield Problem(name, reason, "use one for each channel")
            if (
                isinstance(node, Delay)
                and not isinstance(node.steps, int)
                and "delays" not in self.by_neuron
            ):
                yield Problem(
                    name,
                    "its steps differ from value to value, the machine has one number for all",
                    "use one delay for all",
                )

    def neuron_problems(self, name: str, neuron: Neuron) -> list[Problem]:
        """Return what of the update of layer `name` the machine does not compute."""
        if not isinstance(neuron.arithmetic, Program):
            return self.arithmetics.problems(name, neuron)
        lacking = dict.fromkeys(
            type(s).__name__ for s in neuron.program.all if type(s) not in self.statements
        )
        if not lacking:
            return []
        reason = (
            f"its update is a program with {', '.join(lacking)}, which the machine does not compute"
        )
        return [
            Problem(
                name, reason, "say it in fields of Arithmetic, or use a target that takes programs"
            )
        ]

    def require_mappable(self, net: Network) -> None:
        """Raise NotMappable with every problem, unless `net` maps."""
        problems = self.check(net)
        if problems:
            raise NotMappable(
                f"the network does not map to {self.name}: {'. '.join(map(str, problems))}"
            )

    def require_options(self, options: Iterable[str]) -> None:
        """Raise UsageError for an option that the target does not have."""
        for key in options:
            if key not in self.options:
                raise UsageError(
                    f"target {self.name} has no option {key!r}; "
                    f"{one_of(key, self.options or ['none'], 'it has')}"
                )

    def require_steps(self, net: Network, steps: int) -> None:
        """Raise FileRefused where an input has too many steps.

        Nothing is then shown of the machine's states any more.
        """
        if not self.own_steps or steps <= net.steps:
            return
        for name, layer in analyse(net).layers.items():
            if not layer.settled:
                shown = (
                    f"that the states of {name} stay within the widths of {self.name} is shown "
                    f"for {net.steps}"
                )
                raise FileRefused(
                    f"input has {steps} steps, but {shown}; give at most {net.steps}, or export "
                    "the network with more steps"
                )

    def require_runner(self) -> Runner:
        """Return the runner, ready to run.

        Raises:
            UsageError: when no tool exists that runs the artefact.
            ToolMissing: when the tool is not on this machine.
        """
        runner = self.runner()
        if runner is None:
            raise UsageError(
                f"target {self.name} has no tool that could run it here; replay its golden vectors "
                "on the machine itself"
            )
        missing = runner.missing()
        if missing:
            raise ToolMissing(missing)
        return runner

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {self.summary})"

    @abstractmethod
    def limits(self, net: Network) -> tuple[Problem, ...]:
        """Return the reasons that are not about a field of `Arithmetic`.

        They are sizes, kinds of node, topology. Asked only if all sums fit int32.
        """

    @abstractmethod
    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Return the artefact's files. The same network and options give the same bytes, always."""

    @abstractmethod
    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Estimate what the network costs, built with `options`.

        Args:
            net: the network.
            rates: spikes per neuron and step of every layer, and under `input` events per value and
                step of the input, where known.
            options: of the target.
        """

    def names(self, net: Network) -> Mapping[str, str]:
        """Return the artefact's names of nodes, where they are not the nodes' own.

        The manifest lists them.
        """
        del net
        return {}

    def report(self, folder: Path) -> tuple[Table, ...]:
        """Tables of what the target's own tools have written into a built artefact."""
        del folder
        return ()

    def measure(self, folder: Path) -> tuple[Figure, ...]:
        """Measure a built artefact with tools on this machine; nothing where none is installed.

        The artefact is not written to.

        Raises:
            NotBitExact: when a tool fails on it.
        """
        del folder
        return ()

    def version(self) -> str:
        """Return the version of the tool that runs its artefacts, as this machine has it.

        It is empty where there is no tool, or the tool does not say.
        """
        return next((version for each in self.environments if (version := each.version())), "")

    @abstractmethod
    def runner(self) -> Runner | None:
        """Return what runs the artefact in its own tool; None where no tool exists."""
