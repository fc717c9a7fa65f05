"""From a network to operations: which buffers there are, what fills them, and in which order.

Layers that do not feed each other run one after another over all steps of a block; those of a cycle run together, step by step. Nodes
without state are linear, so that what arrives along several edges is computed edge by edge and added; one that leads to a single
layer of neurons adds to that layer's sums at once. A Flatten is an order of elements, and a convolution before a pooling is one with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lehr.interval import Interval
from lehr.intervals import arriving, intervals
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.simulate.fast.plans.bounds import INT32, Lanes, lanes, numbers, thresholds
from lehr.simulate.fast.plans.buffers import WORD, Buffer, aligned, order_of
from lehr.simulate.fast.plans.by_event import FireByEvent
from lehr.simulate.fast.plans.edges import convolution, linear, wide_row, window_of
from lehr.simulate.fast.plans.flows import OVERWRITING, Copy, Edge
from lehr.simulate.fast.plans.ops import Array, Clear, Fire, Hold, Leak, Op, Stage
from lehr.simulate.fast.plans.structure import Source, Structure
from lehr.simulate.fast.plans.wiring import synapses_of


@dataclass(frozen=True)
class Plan:
    """What an engine runs.

    Attributes:
        net: the network.
        held: whether the input is held for all steps.
        buffers: all of them; `input` is among them by that name.
        before: operations on what is held, to be done once.
        stages: for each block of steps.
        states: dtype and row of the membranes of each layer.
        currents: of the synapse states.
    """

    net: Network
    held: bool
    buffers: tuple[Buffer, ...]
    input: Buffer
    spikes: dict[str, Buffer]
    before: tuple[Op, ...]
    stages: tuple[Stage, ...]
    states: dict[str, tuple[Any, int]]
    currents: dict[str, tuple[Any, int]]

    @property
    def loops(self) -> bool:
        """Whether any part goes step by step."""
        return any(stage.loops for stage in self.stages)


def plan(net: Network, held: bool, steps: int | None) -> Plan:
    """Plan a run of a network.

    Args:
        net: the network.
        held: whether its input is the same in all steps.
        steps: how many steps it takes at most; None for any number.
    """
    return _Planner(net, held, steps).plan()


@dataclass
class _Planner(Structure):
    steps: int | None
    known: dict[str, Interval] = field(init=False)
    made: dict[str, Buffer] = field(default_factory=dict)
    extra: list[Buffer] = field(default_factory=list)
    ops: dict[str, list[Op]] = field(default_factory=dict)
    cleared: set[Buffer] = field(default_factory=set)
    states: dict[str, tuple[Any, int]] = field(default_factory=dict)
    currents: dict[str, tuple[Any, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = intervals(self.net)
        kind: Any = np.uint64 if self.net.input.kind == "spikes" else np.uint8
        self.made[INPUT] = Buffer(INPUT, self.net.input.shape, kind, self.held)
        self.sums: dict[str, Buffer] = {}
        self.once: list[Op] = []
        self.lanes: dict[str, tuple[Lanes, Lanes | None]] = {}

    # ---------------------------------------------------------------- buffers
    def make_buffers(self, needed: set[str]) -> None:
        """Give every node that is needed a place for its value, and every layer of neurons one for its sums."""
        for name in self.net.order:
            node = self.net.nodes[name]
            if name not in needed:
                continue
            if isinstance(node, Neuron):
                self._make_layer(name, node)
            elif isinstance(node, Delay):
                self.made[name] = Buffer(name, self.net.shapes[name], self._delayed(name), delay=node.alike)
        for name in self.net.order:
            if name in needed and name not in self.made:
                sink, row = self.fused(name), self._wide_row(name)
                own = Buffer(name, self.net.shapes[name], self._wide(name), self.is_held(name), row=row)
                self.made[name] = self.sums[sink] if sink else own

    def _make_layer(self, name: str, node: Neuron) -> None:
        shape = self.net.shapes[name]
        if self.by_event(name):
            self.made[name] = Buffer(name, shape, np.uint8)
            return
        self.lanes[name] = lanes(node, arriving(self.net, name, self.known), self.steps)
        outer, inner = self.lanes[name]
        row = max(map(self._wide_row, self.net.sources(name)))
        self.sums[name] = Buffer(f"{name} sums", shape, (inner or outer).sums, self.sums_held(name), keeps=False, row=row)
        self.made[name] = Buffer(name, shape, np.uint64, row=row // WORD)
        self.extra.append(self.sums[name])

    def _wide_row(self, name: str) -> int:
        """How many elements a node needs in a row of sums because its columns are counted; 0 if they are not."""
        node = self.net.nodes.get(name)
        return wide_row(node) if isinstance(node, Linear) else 0

    def _delayed(self, name: str) -> Any:
        """What a Delay holds: what its one source does, or integers."""
        sources = self.sources(name)
        if len(sources) != 1 or sources[0].flat:
            return self._wide(name)
        source = self.net.nodes.get(sources[0].name)
        if sources[0].name == INPUT:
            return self.made[INPUT].dtype
        if isinstance(source, Neuron):
            return np.uint8 if source.fields.update == "event" else np.uint64
        return self._delayed(sources[0].name) if isinstance(source, Delay) and sources[0].name != name else self._wide(name)

    def _wide(self, name: str) -> Any:
        """The integers that hold every partial sum of a node."""
        reached = self.known[name] if not isinstance(self.net.nodes[name], Delay) else arriving(self.net, name, self.known)
        return np.int32 if int(reached.magnitude.max()) <= INT32 else np.int64

    # ---------------------------------------------------------------- operations
    def plan(self) -> Plan:
        """The plan."""
        needed = self.needed()
        self.make_buffers(needed)
        stages = []
        for group in self.groups():
            ops: list[Op] = []
            for name in group:
                if name in needed:
                    (self.once if self.made[name].held else ops).extend(self._compute(name))
            if ops:
                stages.append(Stage(tuple(ops), len(group) > 1 or (group[0], group[0]) in self.net.feedback))
        buffers = tuple(dict.fromkeys([*self.made.values(), *self.extra]))
        spikes = {name: self.made[name] for name in self.net.neurons}
        return Plan(self.net, self.held, buffers, self.made[INPUT], spikes, tuple(self.once), tuple(stages), self.states, self.currents)

    def _compute(self, name: str) -> list[Op]:
        node, into = self.net.nodes[name], self.made[name]
        if isinstance(node, Neuron):
            return self._fire_by_event(name, node) if self.by_event(name) else self._fire(name, node)
        if isinstance(node, Delay) and into.dtype in (np.uint64, np.uint8):
            (source,) = self.sources(name)
            return [Hold(self.made[source.name], into, int(source.late))]
        return self._adding(into, [self._edge(name, source, into) for source in self.sources(name)])

    def _adding(self, into: Buffer, edges: list[Edge]) -> list[Op]:
        """The operations, and before the first that adds to `into` one that clears it, unless it overwrites what is there."""
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
        node, given, lag = self.net.nodes[name], self.made[source.name], int(source.late)
        if isinstance(node, Linear):
            return linear(node, given, into, lag)
        conv = self.pooled(name)
        if conv is not None:
            first = self.net.nodes[conv]
            assert isinstance(first, Conv2d)
            assert isinstance(node, SumPool2d)
            return convolution(window_of(first, given.shape[0], node), given, into, lag)
        if isinstance(node, (Conv2d, SumPool2d)):
            return convolution(window_of(node, given.shape[0]), given, into, lag)
        flat = source.flat or isinstance(node, Flatten)
        return Copy(given, into, lag, order_of(given.shape) if flat and len(given.shape) > 1 else np.zeros(0, np.int32))

    def _fire(self, name: str, node: Neuron) -> list[Op]:
        sums, made, (outer, inner) = self.sums[name], self.made[name], self.lanes[name]
        row = sums.row
        direct = [s for s in self.sources(name) if self.made[s.name] is not sums]
        ops = self._adding(sums, [self._edge(name, source, sums) for source in direct])
        bias = self._per_neuron(name, node.bias)
        zero = np.zeros_like(bias)
        passed, taken = (self._per_neuron(name, value) for value in thresholds(node, outer.held))
        early = node.synapse is not None and node.synapse.bias_to == "synapse"
        layer = aligned(3 * row, outer.dtype)[: 3 * row].reshape(3, row)
        layer[0] = np.iinfo(outer.dtype).max
        layer[:, : passed.size] = passed, taken, zero if early else bias
        self.states[name] = (outer.dtype, row)
        fraction, current = node.fields.fraction_bits, sums
        if inner is not None:
            assert node.synapse is not None
            extra = aligned(row, inner.dtype)[:row]
            extra[: bias.size] = bias if early else zero
            current = Buffer(f"{name} current", sums.shape, np.int32, keeps=False, row=row)
            self.extra.append(current)
            self.currents[name] = (inner.dtype, row)
            ops.append(Leak(name, sums, current, extra, numbers(node.synapse, inner, fraction=fraction)))
            fraction = 0
        how = numbers(node.fields, outer, node, fraction)
        split = [op for op in ops if sums.held and isinstance(op, (Clear, Edge))]
        self.once.extend(split)
        return [*(op for op in ops if op not in split), Fire(name, current, made, layer, how)]

    def _per_neuron(self, name: str, value: Array) -> Array:
        shape = self.net.shapes[name]
        return np.broadcast_to(value.astype(np.int64).reshape(-1, *[1] * (len(shape) - 1)), shape).reshape(-1)[order_of(shape)]

    def _fire_by_event(self, name: str, node: Neuron) -> list[Op]:
        wiring, synapses = synapses_of(self.net, name)
        sources = []
        for source, late in wiring:
            buffer = self.made[source]
            places = np.empty(buffer.size, np.int32)
            places[order_of(buffer.shape)] = np.arange(buffer.size, dtype=np.int32)
            sources.append((buffer, int(late), places))
        how = node.fields
        at = Lanes(np.int64, np.int64, bounded=True, held=-how.lowest)
        size = self.made[name].row
        layer = np.zeros((3, size), np.int64)
        passed, taken = thresholds(node, -how.lowest)
        used = self.made[name].size
        layer[0] = np.iinfo(np.int64).max
        layer[:, :used] = [self._per_neuron(name, value) for value in (passed, taken, node.bias)]
        self.states[name] = (np.int64, size)
        return [FireByEvent(name, tuple(sources), self.made[name], synapses, layer, numbers(how, at, node, how.fraction_bits))]
