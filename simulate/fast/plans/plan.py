"""The way from a network to operations: its buffers, what fills them, and in which order.

Layers that do not feed each other run one after another over all steps of a block; those of a cycle
run together, step by step. Nodes without state are linear, but for those that say that they are not
additive, so that what arrives along several edges is computed edge by edge and added; one that
leads to a single layer of neurons adds to that layer's sums at once. A Flatten is an order of
elements, and a convolution before a pooling is one with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lehr.interval import Interval
from lehr.intervals import arriving, intervals
from lehr.network import INPUT, Conv2d, Delay, Linear, Network, Neuron
from lehr.nodes import INT32_MAX
from lehr.simulate.fast.plans.bounds import Lanes, lanes
from lehr.simulate.fast.plans.buffers import WORD, Buffer, order_of
from lehr.simulate.fast.plans.by_event import by_event
from lehr.simulate.fast.plans.delays import held_back
from lehr.simulate.fast.plans.edges import wide_row
from lehr.simulate.fast.plans.flows import OVERWRITING, Edge
from lehr.simulate.fast.plans.fusing import fused
from lehr.simulate.fast.plans.layers import Layer, spikes_type
from lehr.simulate.fast.plans.ops import Clear, Op, Stage
from lehr.simulate.fast.plans.passages import EDGES, Passage, as_it_is, edge
from lehr.simulate.fast.plans.rows import check_statements
from lehr.simulate.fast.plans.structure import Source, Structure
from lehr.simulate.fast.plans.wiring import synapses_of


@dataclass(frozen=True)
class Plan:
    """Plan that an engine runs.

    Attributes:
        net: the network.
        held: whether the input is held for all steps.
        buffers: all of them; `input` is among them by that name.
        before: operations on what is held, to be done once.
        stages: for each block of steps.
        states: dtype of the states of each layer, and how many elements they have, those of all
            samples together and those of each.
    """

    net: Network
    held: bool
    buffers: tuple[Buffer, ...]
    input: Buffer
    spikes: dict[str, Buffer]
    before: tuple[Op, ...]
    stages: tuple[Stage, ...]
    states: dict[str, tuple[Any, int, int]]

    def row(self, name: str) -> int:
        """Neurons in a row of a layer, with padding."""
        spikes = self.spikes[name]
        return spikes.row * WORD if spikes.bits else spikes.row


def plan(net: Network, held: bool, steps: int | None) -> Plan:
    """Plan a run of a network.

    Args:
        net: the network.
        held: whether its input is the same in all steps.
        steps: how many steps it takes at most; None for any number.

    Raises:
        NotMappable: when there is no rule for a node, or for a statement of a neuron's update.
    """
    for name, node in net.nodes.items():
        EDGES[type(node)]  # refuses by name what has no rule
        if isinstance(node, Neuron):
            check_statements(name, node.program)
    return _Planner(net, held, steps).plan()


@dataclass
class _Planner(Structure):
    steps: int | None
    known: dict[str, Interval] = field(init=False)
    placed: dict[str, Buffer] = field(default_factory=dict)
    extra: list[Buffer] = field(default_factory=list)
    ops: dict[str, list[Op]] = field(default_factory=dict)
    cleared: set[Buffer] = field(default_factory=set)
    states: dict[str, tuple[Any, int, int]] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = intervals(self.net)
        kind: Any = np.uint64 if self.net.input.kind == "spikes" else np.uint8
        self.placed[INPUT] = Buffer(INPUT, self.net.input.shape, kind, self.held)
        self.sums: dict[str, Buffer] = {}
        self.once: list[Op] = []

    # ---------------------------------------------------------------- buffers
    def make_buffers(self, needed: set[str]) -> None:
        """Give each node that is needed a place for its value, and each layer one for its sums."""
        stepped = {
            name: (node, arriving(self.net, name, self.known), self.net.shapes[name])
            for name, node in self.net.neurons.items()
            if name in needed and not node.by_event
        }
        lanes_of = lanes(stepped, self.steps)
        for name in self.net.order:
            node = self.net.nodes[name]
            if name not in needed:
                continue
            if isinstance(node, Neuron):
                self._make_layer(name, node, lanes_of.get(name))
            elif isinstance(node, Delay):
                self.placed[name] = Buffer(
                    name, self.net.shapes[name], self._delayed(name), delay=node.longest
                )
        for name in self.net.order:
            if name in needed and name not in self.placed:
                sink, row = self.fused(name), self._wide_row(name)
                kind = np.uint64 if self._copies_bits(name) else self._wide(name)
                own = Buffer(name, self.net.shapes[name], kind, self.is_held(name), row=row)
                self.placed[name] = self.sums[sink] if sink else own

    def _make_layer(self, name: str, node: Neuron, at: Lanes | None) -> None:
        """Give a layer its places; one that updates by event has no lanes."""
        shape, kind = self.net.shapes[name], spikes_type(node)
        if at is None:
            self.placed[name] = Buffer(name, shape, kind)
            return
        self.layers[name] = layer = Layer(name, node, shape, at)
        row = max(map(self._wide_row, self.net.sources(name)))
        self.sums[name] = Buffer(
            f"{name} sums", shape, layer.lanes.sums, self.sums_held(name), row=row
        )
        self.placed[name] = Buffer(name, shape, kind, row=row // WORD if kind is np.uint64 else row)
        self.extra.append(self.sums[name])

    def _wide_row(self, name: str) -> int:
        """Return how many elements a node needs in a row of sums.

        It needs them because its columns are counted; it is 0 if they are not.
        """
        node = self.net.nodes.get(name)
        return wide_row(node) if isinstance(node, Linear) else 0

    def _delayed(self, name: str) -> Any:
        """Return what a Delay holds: what its one source does, or integers."""
        sources = self.sources(name)
        if len(sources) != 1 or sources[0].flat:
            return self._wide(name)
        source = self.net.nodes.get(sources[0].name)
        if sources[0].name == INPUT:
            return self.placed[INPUT].dtype
        if isinstance(source, Neuron):
            return spikes_type(source)
        return (
            self._delayed(sources[0].name)
            if isinstance(source, Delay) and sources[0].name != name
            else self._wide(name)
        )

    def _copies_bits(self, name: str) -> bool:
        """Return whether a node without state puts out copies of the bits of one source."""
        sources = self.sources(name)
        return (
            self.net.nodes[name].copies
            and len(sources) == 1
            and sources[0].name in self.placed
            and self.placed[sources[0].name].bits
        )

    def _wide(self, name: str) -> Any:
        """Return the integers that hold every partial sum of a node."""
        if isinstance(self.net.nodes[name], Delay):
            return self._wide_in(name)
        return _integers(self.known[name])

    def _wide_in(self, name: str) -> Any:
        """Return the integers that hold every partial sum of what arrives at a node."""
        return _integers(arriving(self.net, name, self.known))

    # ---------------------------------------------------------------- operations
    def plan(self) -> Plan:
        """Return the plan."""
        needed = self.needed()
        self.make_buffers(needed)
        stages = []
        for group in self.groups():
            ops: list[Op] = []
            for name in group:
                if name in needed:
                    (self.once if self.placed[name].held else ops).extend(self._compute(name))
            if ops:
                stages.append(
                    Stage(tuple(ops), len(group) > 1 or (group[0], group[0]) in self.net.feedback)
                )
        for op in (*self.once, *(op for stage in stages for op in stage.ops)):
            for buffer in op.late:
                buffer.keeps = True
        one, saved = fused(stages, self.once)
        every = dict.fromkeys([*self.placed.values(), *self.extra])
        buffers = tuple(buffer for buffer in every if buffer not in saved)
        spikes = {name: self.placed[name] for name in self.net.neurons}
        return Plan(
            self.net,
            self.held,
            buffers,
            self.placed[INPUT],
            spikes,
            tuple(self.once),
            one,
            self.states,
        )

    def _compute(self, name: str) -> list[Op]:
        node, into = self.net.nodes[name], self.placed[name]
        if isinstance(node, Neuron):
            return self._by_event(name, node) if node.by_event else self._by_step(name)
        if isinstance(node, Delay):
            return self._delay(name, node)
        sources = self.sources(name)
        if node.additive or len(sources) == 1:
            return self._adding(into, [self._edge(name, source, into) for source in sources])
        return self._of_the_sum(name, sources)

    def _of_the_sum(self, name: str, sources: list[Source]) -> list[Op]:
        """Return the operations of a node that is not additive: it takes the sum, made before."""
        into, taken = self.placed[name], self.net.shapes[self.net.sources(name)[0]]
        held = self.is_held(name)
        sums = Buffer(f"{name} sums", taken, self._wide_in(name), held)
        self.extra.append(sums)
        copies = [
            as_it_is(Passage(self.placed[source.name], sums, int(source.late), source.flat))
            for source in sources
        ]
        whole = edge(self.net.nodes[name], Passage(sums, into, 0, flat=False))
        return [*self._adding(sums, copies), *self._adding(into, [whole])]

    def _delay(self, name: str, node: Delay) -> list[Op]:
        """Hold spikes as they are; of currents, make the sum at its place.

        Where steps differ, it is made before it is held.
        """
        into, sources = self.placed[name], self.sources(name)
        if into.dtype in (np.uint64, np.uint8):
            (source,) = sources
            return [held_back(node, self.placed[source.name], into, int(source.late))]
        if isinstance(node.steps, int):
            return self._adding(into, [self._edge(name, source, into) for source in sources])
        sums = Buffer(f"{name} sums", into.shape, into.dtype, row=into.row)
        self.extra.append(sums)
        return [
            *self._adding(sums, [self._edge(name, source, sums) for source in sources]),
            held_back(node, sums, into, 0),
        ]

    def _adding(self, into: Buffer, edges: list[Edge]) -> list[Op]:
        """Return the operations; the first that adds to `into` comes after one that clears it.

        None clears it where the first overwrites what is there.
        """
        if into in self.cleared or not edges:
            return [*edges]
        self.cleared.add(into)
        edges = sorted(edges, key=lambda edge: not isinstance(edge, OVERWRITING))
        first = edges[0]
        if isinstance(first, OVERWRITING):
            first.fresh = True
            return [*edges]
        return [Clear(into), *edges]

    def _edge(self, name: str, source: Source, into: Buffer) -> Edge:
        pooled = self.net.nodes.get(self.pooled(name) or "")
        conv = pooled if isinstance(pooled, Conv2d) else None
        return edge(
            self.net.nodes[name],
            Passage(self.placed[source.name], into, int(source.late), source.flat, conv),
        )

    def _by_step(self, name: str) -> list[Op]:
        sums, layer = self.sums[name], self.layers[name]
        direct = [s for s in self.sources(name) if self.placed[s.name] is not sums]
        ops = self._adding(sums, [self._edge(name, source, sums) for source in direct])
        if sums.held:
            self.once.extend(ops)
            ops = []
        update, together, each = layer.updating(sums, self.placed[name])
        self.states[name] = layer.lanes.dtype, together, each
        return [*ops, update]

    def _by_event(self, name: str, node: Neuron) -> list[Op]:
        wiring, synapses = synapses_of(self.net, name)
        sources = []
        for source, late in wiring:
            buffer = self.placed[source]
            places = np.empty(buffer.size, np.int32)
            places[order_of(buffer.shape)] = np.arange(buffer.size, dtype=np.int32)
            sources.append((buffer, int(late), places))
        update, kept = by_event(
            name, node, self.net.shapes[name], tuple(sources), self.placed[name], synapses
        )
        self.states[name] = np.int64, 0, kept * self.placed[name].row
        return [update]


def _integers(reached: Interval) -> Any:
    return np.int32 if int(reached.magnitude.max()) <= INT32_MAX else np.int64
