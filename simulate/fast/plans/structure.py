"""The order of computing that a network's edges ask for.

It says what arrives where, what is held, and what is computed at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

from lehr.network import INPUT, Conv2d, Delay, Flatten, Network, Neuron, SumPool2d


@dataclass(frozen=True)
class Source:
    """Where something arrives from.

    Attributes:
        name: of the node whose buffer is read.
        late: whether it is the value of the step before.
        flat: whether its elements count in the order of a Flatten.
    """

    name: str
    late: bool
    flat: bool


@dataclass
class Structure:
    """Questions about a network whose input is `held` for all steps, or not."""

    net: Network
    held: bool

    def sources(self, name: str) -> list[Source]:
        """Return what arrives at a node, seen through Flatten, and through a pooled convolution."""
        conv = self.pooled(name)
        return [
            reached
            for source in self.net.sources(conv or name)
            for reached in self._through(source, conv or name)
        ]

    def _through(self, source: str, sink: str) -> Iterable[Source]:
        late = (source, sink) in self.net.feedback
        if not isinstance(self.net.nodes.get(source), Flatten):
            return [Source(source, late, False)]
        inner = [
            reached
            for before in self.net.sources(source)
            for reached in self._through(before, source)
        ]
        if late and any(reached.late for reached in inner):
            return [Source(source, late, False)]
        return [Source(reached.name, late or reached.late, True) for reached in inner]

    def pooled(self, name: str) -> str | None:
        """Return the convolution that a pooling is computed with, if there is one."""
        node, sources = self.net.nodes[name], self.net.sources(name)
        if not isinstance(node, SumPool2d) or len(sources) != 1 or node.padding != (0, 0):
            return None
        conv = self.net.nodes.get(sources[0])
        alone = (
            self.net.targets(sources[0]) == (name,) and (sources[0], name) not in self.net.feedback
        )
        return (
            sources[0] if isinstance(conv, Conv2d) and alone and conv.dilation == (1, 1) else None
        )

    def needed(self) -> set[str]:
        """Return the nodes with values of their own: neurons, delays, and what is read by any."""
        reached: set[str] = set()
        pending = [
            name for name, node in self.net.nodes.items() if isinstance(node, (Neuron, Delay))
        ]
        while pending:
            name = pending.pop()
            if name in reached or name == INPUT:
                continue
            reached.add(name)
            if self.by_event(name):
                continue  # its events come straight from neurons, delays and the input
            pending += [source.name for source in self.sources(name)]
        return reached

    def by_event(self, name: str) -> bool:
        """Whether a node is a layer that updates by event."""
        node = self.net.nodes.get(name)
        return isinstance(node, Neuron) and node.by_event

    def is_held(self, name: str) -> bool:
        """Whether a node's value is the same in all steps."""
        return self._held[name]

    @cached_property
    def _held(self) -> dict[str, bool]:
        held = {INPUT: self.held}
        for name in self.net.order:
            changes = isinstance(self.net.nodes[name], (Neuron, Delay))
            held[name] = not changes and all(
                not source.late and held[source.name] for source in self.sources(name)
            )
        return held

    def fused(self, name: str) -> str | None:
        """Return the layer of neurons to whose sums a node adds at once."""
        targets = self.net.targets(name)
        if len(targets) != 1 or isinstance(self.net.nodes[name], (Neuron, Delay, Flatten)):
            return None
        sink = targets[0]
        node = self.net.nodes.get(sink)
        if not isinstance(node, Neuron) or self.by_event(sink) or (name, sink) in self.net.feedback:
            return None
        return sink if self.is_held(name) == self.sums_held(sink) else None

    def sums_held(self, name: str) -> bool:
        """Whether what arrives at a layer of neurons is the same in all steps."""
        return all(not source.late and self.is_held(source.name) for source in self.sources(name))

    def groups(self) -> list[list[str]]:
        """Return the nodes of each cycle, or one node alone, in order of evaluation."""
        net = self.net
        first: dict[str, str] = {}  # of the nodes on cycles together, the first by name
        group = {name: first.setdefault(net.cycles[name], name) for name in net.nodes}
        edges: dict[str, set[str]] = {name: set() for name in group.values()}
        for a, b in net.edges:
            if a in group and b in group and group[a] != group[b]:
                edges[group[b]].add(group[a])
        members: dict[str, list[str]] = {name: [] for name in edges}
        for name in net.order:
            members[group[name]].append(name)
        return [members[name] for name in TopologicalSorter(edges).static_order()]
