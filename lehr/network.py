"""The integer network: nodes, edges, its input, its number of steps, its readout.

It is what a `.nir` file says and nothing else. Order of evaluation follows from the edges alone,
never from names:

* the rank of a node is its distance from the input, in edges;
* inside a cycle, an edge that does not lead to a higher rank is a *feedback edge* and carries the
  value of the step before;
* what remains has no cycle, and each step evaluates it in topological order.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from lehr.cycles import together
from lehr.errors import FileRefused
from lehr.network_shown import network_table
from lehr.nodes import (
    Conv2d,
    Delay,
    Flatten,
    InputKind,
    Linear,
    Neuron,
    Node,
    Shape,
    ShapeMismatch,
    SumPool2d,
    values_in,
)
from lehr.shown import Shown, Table

__all__ = [
    "INPUT",
    "OUTPUT",
    "Conv2d",
    "Delay",
    "Edge",
    "Flatten",
    "Input",
    "Linear",
    "Network",
    "Neuron",
    "SumPool2d",
]

INPUT, OUTPUT = "input", "output"
Edge = tuple[str, str]
Readout = Literal[
    "count_argmax_lowest",
    "membrane_last_argmax_lowest",
    "membrane_sum_argmax_lowest",
    "membrane_max_argmax_lowest",
]
MAX_STEPS = 1_000_000
HIGHEST: Mapping[InputKind, int] = MappingProxyType({"u8": 255, "spikes": 1})
"""The greatest value that an input of each kind can have; counts of events stop there."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,127}\Z")


def kind_divided(full_scale: float | None) -> InputKind:
    """Return what a float model takes that divides its inputs by a number: spikes if by none."""
    return "spikes" if full_scale is None else "u8"


@dataclass(frozen=True)
class Input:
    """The input of the network at each step.

    Attributes:
        shape: without batch and time.
        kind: `u8` for unsigned 8-bit pixels or spike counts, `spikes` for 0 and 1 only.
    """

    shape: Shape
    kind: InputKind

    def __post_init__(self) -> None:
        if self.kind not in get_args(InputKind):
            raise FileRefused(f"input kind is {self.kind!r}; use 'u8' or 'spikes'")
        if not self.shape or min(self.shape) < 1:
            raise FileRefused(
                f"input shape is {self.shape}; give at least one axis, each of at least 1"
            )

    @property
    def highest(self) -> int:
        """The greatest value an input can have."""
        return HIGHEST[self.kind]


@dataclass(frozen=True, repr=False)
class Network(Shown):
    """An integer spiking network.

    Attributes:
        nodes: by name; `input` and `output` are not among them.
        edges: pairs of names, from `input`, to `output`; several edges into one node are added.
        input: shape and kind of the input.
        steps: how many time steps one inference takes.
        readout: what is taken from the neuron layer before `output`: the count of its spikes, or
            its membrane after the last step, its sum or its maximum over all steps. The highest
            such score wins, ties go to the lowest index.

    Raises:
        FileRefused: naming the node or edge that contradicts the rest.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    input: Input
    steps: int
    readout: Readout = "count_argmax_lowest"

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", MappingProxyType(dict(sorted(self.nodes.items()))))
        object.__setattr__(self, "edges", tuple(sorted((str(a), str(b)) for a, b in self.edges)))
        if type(self.steps) is not int or not 1 <= self.steps <= MAX_STEPS:
            raise FileRefused(f"steps is {self.steps!r}; use 1 to {MAX_STEPS:,}")
        if self.readout not in get_args(Readout):
            raise FileRefused(
                f"readout is {self.readout!r}; use one of {', '.join(map(repr, get_args(Readout)))}"
            )
        self._check_names()
        self._check_edges()
        _ = self.flow
        _ = self.shapes
        self._check_events()
        self._check_integrators()

    def _table(self) -> Table:
        return network_table(self)

    # ---------------------------------------------------------------- structure
    def sources(self, name: str) -> tuple[str, ...]:
        """Return the nodes with an edge into `name`."""
        return self._links[1].get(name, ())

    def targets(self, name: str) -> tuple[str, ...]:
        """Return the nodes that `name` has an edge to."""
        return self._links[0].get(name, ())

    @cached_property
    def _links(self) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        forward: dict[str, list[str]] = {}
        backward: dict[str, list[str]] = {}
        for a, b in self.edges:
            forward.setdefault(a, []).append(b)
            backward.setdefault(b, []).append(a)
        return {a: tuple(names) for a, names in forward.items()}, {
            b: tuple(names) for b, names in backward.items()
        }

    @cached_property
    def ranks(self) -> Mapping[str, int]:
        """Distance of every reachable node from the input, in edges."""
        ranks, queue = {INPUT: 0}, deque([INPUT])
        while queue:
            here = queue.popleft()
            for there in self.targets(here):
                if there not in ranks:
                    ranks[there] = ranks[here] + 1
                    queue.append(there)
        return ranks

    @cached_property
    def cycles(self) -> Mapping[str, str]:
        """For every node one of those on cycles with it, the same for all of them.

        A node on no cycle stands alone.
        """
        return together((INPUT, *self.nodes, OUTPUT), self.targets, self.sources)

    @cached_property
    def feedback(self) -> frozenset[Edge]:
        """The edges that carry the value of the step before."""
        return frozenset(
            (a, b)
            for a, b in self.edges
            if self.ranks[b] <= self.ranks[a] and self.cycles[a] == self.cycles[b]
        )

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All nodes in the order in which a step evaluates them."""
        sorter = TopologicalSorter(
            {
                b: [a for a in self.sources(b) if a != INPUT and (a, b) not in self.feedback]
                for b in self.nodes
            }
        )
        return tuple(sorter.static_order())

    @cached_property
    def flow(self) -> tuple[str, ...]:
        """All nodes, each after every node but neurons that it has an edge from, feedback or not.

        Raises:
            FileRefused: when a cycle has no neuron.
        """
        passing = {name for name, node in self.nodes.items() if not isinstance(node, Neuron)}
        sorter = TopologicalSorter(
            {
                name: [source for source in self.sources(name) if source in passing]
                for name in self.nodes
            }
        )
        try:
            return tuple(sorter.static_order())
        except CycleError as error:
            named = ", ".join(sorted(set(error.args[1])))
            raise FileRefused(
                f"{named} form a cycle without a neuron; put a neuron layer into it"
            ) from None

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Shape of every node's output, without batch and time; `input` included."""
        shapes: dict[str, Shape] = {INPUT: self.input.shape}
        values = values_in(INPUT, self.input.shape)
        for name in self.order:
            known = [source for source in self.sources(name) if source in shapes]
            if len({shapes[s] for s in known}) != 1:
                raise FileRefused(
                    f"{name}: its inputs differ in shape "
                    f"({', '.join(f'{s} {shapes[s]}' for s in known)}); make them equal"
                )
            try:
                shapes[name] = self.nodes[name].output_shape(shapes[known[0]])
            except ShapeMismatch as error:
                raise FileRefused(
                    f"{name}: {type(self.nodes[name]).__name__} {error}; check the layer before it"
                ) from None
            values = values_in(name, shapes[name], values)
        for a, b in self.feedback:
            expected = {shapes[s] for s in self.sources(b) if (s, b) not in self.feedback}
            if expected != {shapes[a]}:
                raise FileRefused(
                    f"{b}: its feedback from {a} has shape {shapes[a]}, the rest of its input "
                    f"{expected.pop()}; make them equal"
                )
        return shapes

    @cached_property
    def neurons(self) -> Mapping[str, Neuron]:
        """The neuron layers, in order of evaluation."""
        return {name: node for name in self.order if isinstance(node := self.nodes[name], Neuron)}

    @cached_property
    def weighted(self) -> Mapping[str, Conv2d | Linear]:
        """The nodes with weights, in order of evaluation."""
        return {
            name: node
            for name in self.order
            if isinstance(node := self.nodes[name], (Conv2d, Linear))
        }

    @property
    def output(self) -> str:
        """The neuron layer that is read out."""
        return self.sources(OUTPUT)[0]

    @cached_property
    def digest(self) -> str:
        """sha256 over every number in the network: equal networks have equal digests."""
        hasher = hashlib.sha256(repr((self.edges, self.input, self.steps, self.readout)).encode())
        for name, node in self.nodes.items():
            hasher.update(f"{name}:{type(node).__name__}".encode())
            for field in fields(node):  # type: ignore[arg-type]
                value = getattr(node, field.name)
                # a neuron without a synapse state, or more parameters
                if value is None or (isinstance(value, Mapping) and not value):
                    continue
                for part in value.items() if isinstance(value, Mapping) else [value]:
                    hasher.update(_bytes_of(part))
        return hasher.hexdigest()

    # ---------------------------------------------------------------- checks
    def _check_names(self) -> None:
        for name in self.nodes:
            if not _NAME.match(name):
                raise FileRefused(
                    f"node name {name!r} is not usable; use letters, digits, '_', '-' and '.', "
                    "starting with a letter"
                )
            if name in (INPUT, OUTPUT):
                raise FileRefused(f"a node is named {name!r}, which is reserved; rename it")

    def _check_edges(self) -> None:
        known = {*self.nodes, INPUT, OUTPUT}
        if len(set(self.edges)) != len(self.edges):
            twice = next(a for a, b in pairwise(self.edges) if a == b)  # they are sorted
            raise FileRefused(f"edge {twice[0]} -> {twice[1]} is there twice; remove one")
        for a, b in self.edges:
            for name in (a, b):
                if name not in known:
                    edge = f"{a} -> {b}" if f"{a}{b}".isprintable() else f"{a!r} -> {b!r}"
                    raise FileRefused(
                        f"edge {edge} names {name!r}, which is no node; add the node or remove the "
                        "edge"
                    )
            if b == INPUT or a == OUTPUT:
                raise FileRefused(
                    f"edge {a} -> {b} leads into the input or out of the output; turn it round"
                )
        ends = self.sources(OUTPUT)
        if len(ends) != 1 or not isinstance(self.nodes.get(ends[0]), Neuron):
            raise FileRefused(
                f"output is fed by {', '.join(ends) or 'nothing'}; connect exactly one neuron "
                "layer to it"
            )
        for name in self.nodes:
            if name not in self.ranks:
                raise FileRefused(
                    f"{name} cannot be reached from the input; connect it or remove it"
                )

    def _check_events(self) -> None:
        for name, neuron in self.neurons.items():
            if not neuron.by_event:
                continue
            for passed in sorted(self._upstream(name)):
                if not self.nodes[passed].additive:
                    raise FileRefused(
                        f"{passed} ({type(self.nodes[passed]).__name__}) makes no sum of what "
                        f"events bring, but {name} updates by event, one at a time; let {name} "
                        "update by step"
                    )
            for delay in (n for n in self._upstream(name) if isinstance(self.nodes.get(n), Delay)):
                if any(
                    not (s == INPUT or isinstance(self.nodes[s], Neuron))
                    for s in self.sources(delay)
                ):
                    raise FileRefused(
                        f"{delay} delays currents into {name}, which updates by event; delay the "
                        "spikes before the weights instead"
                    )

    def _check_integrators(self) -> None:
        for name, neuron in self.neurons.items():
            if not neuron.integrates:
                continue
            others = [target for target in self.targets(name) if target != OUTPUT]
            if others:
                raise FileRefused(
                    f"{name} never fires, but leads to {others[0]}; let an integrator lead to the "
                    "output alone"
                )
            if name == self.output and self.readout == "count_argmax_lowest":
                raise FileRefused(
                    f"{name} never fires, but readout is '{self.readout}'; read out its membrane"
                )

    def _upstream(self, name: str) -> set[str]:
        """Return the weights and delays between layer `name` and the spikes that drive it."""
        passed: set[str] = set()
        pending = list(self.sources(name))
        while pending:
            here = pending.pop()
            if here != INPUT and here not in passed and not isinstance(self.nodes[here], Neuron):
                passed.add(here)
                pending.extend(self.sources(here))
        return passed


def _bytes_of(value: object) -> bytes:
    """Return the bytes of a field in a digest: of an array shape and numbers, else its text."""
    if isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value):
        return b"".join(map(_bytes_of, value))
    return (
        repr(value.shape).encode() + value.tobytes()
        if isinstance(value, np.ndarray)
        else repr(value).encode()
    )
