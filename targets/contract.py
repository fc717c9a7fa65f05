"""The contract of a target: the one file that its author must read.

A target is a folder with a class derived from `Target`, and one line in pyproject.toml (a package of one's own does the same in
its pyproject.toml):

    [project.entry-points."lehr.targets"]
    mychip = "lehr.targets.mychip:MyChip"

The conformance suite (tests/targets/test_conformance.py) then runs over it: no test has to be written. `check`, `plan` and
`estimate` are pure functions of the network: no disk, no clock, no tool. Tools are called in the runner and in `measure` alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, get_args

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import (
    MAX_FRACTION_BITS,
    MAX_STATE_BITS,
    Arithmetic,
    BiasTo,
    DecayForm,
    Fires,
    Overflow,
    Reset,
    ResetTiming,
    Rounding,
    Synapse,
    Update,
)
from lehr.artifact import BuildPlan
from lehr.errors import NotMappable, ToolMissing, UsageError
from lehr.intervals import accumulators
from lehr.network import Network, Neuron, Readout
from lehr.simulate.result import Trace
from lehr.weights import KINDS, WeightKind

Options = Mapping[str, str]


@dataclass(frozen=True)
class Problem:
    """One reason why a network does not map: the node, what is wrong with it, and what to do."""

    node: str
    reason: str
    hint: str

    def __str__(self) -> str:
        return f"{self.node}: {self.reason}; {self.hint}"


@dataclass(frozen=True)
class Arithmetics:
    """The arithmetics a machine computes: for each field of `Arithmetic` the values it has. The default is all of them.

    The values hold for the synapse state of a neuron too, where the machine has one (`synapse`); `bias_to` is that state's alone.
    """

    decay_form: tuple[DecayForm, ...] = get_args(DecayForm)
    rounding: tuple[Rounding, ...] = get_args(Rounding)
    reset: tuple[Reset, ...] = get_args(Reset)
    reset_timing: tuple[ResetTiming, ...] = get_args(ResetTiming)
    fires: tuple[Fires, ...] = get_args(Fires)
    overflow: tuple[Overflow, ...] = get_args(Overflow)
    update: tuple[Update, ...] = get_args(Update)
    synapse: bool = True
    bias_to: tuple[BiasTo, ...] = get_args(BiasTo)
    max_fraction_bits: int = MAX_FRACTION_BITS
    max_state_bits: int = MAX_STATE_BITS

    CHOICES: ClassVar = ("decay_form", "rounding", "reset", "reset_timing", "fires", "overflow", "update")

    def problems(self, node: str, neuron: Neuron) -> list[Problem]:
        """What of the arithmetic of layer `node` this machine does not compute."""
        found = self._problems(node, neuron.fields, self.CHOICES, "")
        if neuron.synapse is not None and not self.synapse:
            return [*found, Problem(node, "its neurons have a synapse state, the machine has membranes alone", "train without it")]
        if neuron.synapse is not None:
            found += self._problems(node, neuron.synapse, ("decay_form", "rounding", "overflow", "bias_to"), "synapse ")
        return found

    def _problems(self, node: str, how: Arithmetic | Synapse, choices: tuple[str, ...], owner: str) -> list[Problem]:
        found = []
        for name in choices:
            value, allowed = getattr(how, name), getattr(self, name)
            if value not in allowed:
                listed = " or ".join(f"'{a}'" for a in allowed)
                found.append(Problem(node, f"{owner}{name} is '{value}', the machine has {listed}", f"train with {owner}{name} = {listed}"))
        for name, highest in (("fraction_bits", self.max_fraction_bits), ("state_bits", self.max_state_bits)):
            value = getattr(how, name, 0)
            if value > highest:
                found.append(Problem(node, f"{owner}{name} is {value}, the machine has {highest}", f"export with at most {highest}"))
        return found


@dataclass(frozen=True)
class Figure:
    """One number of an estimate, with its unit and the source of the constants in it."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Estimate:
    """What a network costs on a machine."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Table:
    """A table of a report: its title, the names of its columns, and a value for each of them in every row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


class Runner(Protocol):
    """Runs a built artefact in its own tool."""

    def missing(self) -> str | None:
        """Why this machine cannot run it (the tool that is not there and how to install it), or None."""

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        """Spikes and membranes of every neuron layer, `[N, T, *shape]`, for inputs as `simulate` takes them.

        `folder` is a built artefact and is not written to; what `plan` put there is all that is used. It is run, so it is one's own:
        `lehr verify` gives a folder that was planned just now, and ends this process and all that it has started when its time is up.

        Raises:
            ToolMissing: when the tool is not there.
            NotBitExact: when the artefact does not build or run.
        """


class Target(ABC):
    """A machine that lehr builds for.

    Attributes:
        name: as on the command line; lower case, letters, digits and dashes.
        summary: one line for `lehr targets list`.
        arithmetics: what it computes.
        weights: the kinds that it takes; all of them if it does not say.
        readouts: how it tells the winning class; in all ways if it does not say.
        options: names and meanings of the options that `plan` takes.
        products: what the artefact's own Makefile makes in its folder, as patterns of names; the next build into that folder drops it.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    arithmetics: ClassVar[Arithmetics]
    weights: ClassVar[tuple[WeightKind, ...]] = KINDS
    readouts: ClassVar[tuple[Readout, ...]] = get_args(Readout)
    options: ClassVar[Mapping[str, str]] = {}
    products: ClassVar[tuple[str, ...]] = ()

    def check(self, net: Network) -> tuple[Problem, ...]:
        """All reasons why `net` does not map, at once; empty means that `plan` works."""
        fields = [p for name, neuron in net.neurons.items() for p in self.arithmetics.problems(name, neuron)]
        kinds = " or ".join(f"'{kind}'" for kind in self.weights)
        weights = [
            Problem(name, f"weights are '{node.kind}', the machine has {kinds}", f"train with weights that are {kinds}")
            for name, node in net.weighted.items()
            if node.kind not in self.weights
        ]
        if net.readout not in self.readouts:
            told = " or ".join(f"'{readout}'" for readout in self.readouts)
            fields.append(Problem(net.output, f"readout is '{net.readout}', the machine has {told}", f"export with readout {told}"))
        sums = [
            Problem(name, f"its sums reach {worst:,}, more than a 32-bit accumulator holds", "use a smaller fan-in")
            for name, worst in accumulators(net).items()
        ]
        return (*fields, *weights, *sums, *(() if sums else self.limits(net)))

    def require_mappable(self, net: Network) -> None:
        """Raise NotMappable with every problem, unless `net` maps."""
        problems = self.check(net)
        if problems:
            raise NotMappable(f"the network does not map to {self.name}: {'. '.join(map(str, problems))}")

    def require_runner(self) -> Runner:
        """The runner, ready to run.

        Raises:
            UsageError: when no tool exists that runs the artefact.
            ToolMissing: when the tool is not on this machine.
        """
        runner = self.runner()
        if runner is None:
            raise UsageError(f"target {self.name} has no tool that could run it here; replay its golden vectors on the machine itself")
        missing = runner.missing()
        if missing:
            raise ToolMissing(missing)
        return runner

    @abstractmethod
    def limits(self, net: Network) -> tuple[Problem, ...]:
        """The reasons that are not about a field of `Arithmetic`: sizes, kinds of node, topology. Asked only if all sums fit int32."""

    @abstractmethod
    def plan(self, net: Network, options: Options) -> BuildPlan:
        """The artefact's files. The same network and options give the same bytes, always."""

    @abstractmethod
    def estimate(self, net: Network, rates: Mapping[str, float], options: Options | None = None) -> Estimate:
        """What the network costs, at the given spike rates per layer, built with `options`."""

    def names(self, net: Network) -> Mapping[str, str]:
        """What the artefact calls each node, where that is not the node's own name; the manifest tells."""
        del net
        return {}

    def report(self, folder: Path) -> tuple[Table, ...]:
        """Tables of what the target's own tools have written into a built artefact."""
        del folder
        return ()

    def measure(self, folder: Path) -> tuple[Figure, ...]:
        """What tools on this machine tell of a built artefact, which is not written to; nothing where none is installed.

        Raises:
            NotBitExact: when a tool fails on it.
        """
        del folder
        return ()

    @abstractmethod
    def runner(self) -> Runner | None:
        """How to run the artefact in its own tool; None where no tool exists."""
