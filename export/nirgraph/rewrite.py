"""The float graph in the vocabulary of an integer network.

It has no scales, no averages, and one unit wherever currents are added.

A scale goes into the weights after it, into the neurons after it, or into the weights before it;
what none of these can take becomes weights of its own, one per channel. Averages are sums and a
scale. Where currents of weights meet spikes that come without any, the spikes get weights of 1.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.export.naming import node_name
from lehr.export.nirgraph.floats import Steps, whole_steps
from lehr.export.nirgraph.graph import Cells, Flat, FloatNode, Graph, Pool, Scale, Wait, Weights
from lehr.export.nirgraph.semantics import Semantics
from lehr.network import INPUT, Edge
from lehr.nodes import Shape


class Rewritten:
    """A graph on its way to integers.

    Attributes:
        nodes: by name; no Scale, no average, each Wait with a whole number of steps.
        edges: as in a network.
        gains: of the layers of neurons, what scales before them came to, of the layer's shape.
        steps: of the delays, of the layer's shape or of one number.
        notes: in sentences.
    """

    def __init__(self, graph: Graph, semantics: Semantics, full_scale: float) -> None:
        self.nodes: dict[str, FloatNode] = dict(graph.nodes)
        self.edges: list[Edge] = list(graph.edges)
        self.shapes: dict[str, Shape] = dict(graph.outline.shapes)
        self.gains: dict[str, Float] = {
            name: np.ones(cells.shape) for name, cells in graph.cells.items()
        }
        self.steps: dict[str, Steps] = {}
        self.notes: list[str] = []
        self._delays(semantics)
        self._averages()
        while scales := [name for name, node in self.nodes.items() if isinstance(node, Scale)]:
            self._scale(scales[-1])
        self._join(graph, full_scale)
        if semantics.current == "last":
            for name, cells in graph.cells.items():
                if cells.cuba:
                    self._wait_before(name)

    # ---------------------------------------------------------------- the graph
    def sources(self, name: str) -> list[str]:
        """Return the nodes with an edge into `name`."""
        return [a for a, b in self.edges if b == name]

    def targets(self, name: str) -> list[str]:
        """Return the nodes that `name` has an edge to."""
        return [b for a, b in self.edges if a == name]

    def _remove(self, name: str) -> None:
        """Take out a node that keeps its input as it is."""
        into, out = self.sources(name), self.targets(name)
        self.edges = [edge for edge in self.edges if name not in edge] + [
            (a, b) for a in into for b in out
        ]
        del self.nodes[name]

    def _insert(self, wanted: str, node: FloatNode, edges: list[Edge], shape: Shape) -> str:
        """Put a node into edges that share an end."""
        name = node_name(wanted, {*self.nodes})
        self.nodes[name], self.shapes[name] = node, shape
        self.edges = [edge for edge in self.edges if edge not in edges]
        self.edges += [(a, name) for a in dict.fromkeys(a for a, _ in edges)] + [
            (name, b) for b in dict.fromkeys(b for _, b in edges)
        ]
        return name

    # ---------------------------------------------------------------- one method a rule
    def _delays(self, semantics: Semantics) -> None:
        for name, node in list(self.nodes.items()):
            if isinstance(node, Wait):
                self.steps[name], moved = whole_steps(name, node, semantics)
                if moved:
                    low, high = int(self.steps[name].min()), int(self.steps[name].max())
                    steps = f"{low}" if low == high else f"{low} to {high}"
                    self.notes.append(
                        f"{name}: delay rounded to {steps} steps, by {moved:.2g} of a step"
                    )
                if not self.steps[name].any():
                    self._remove(name)

    def _averages(self) -> None:
        for name, node in list(self.nodes.items()):
            if isinstance(node, Pool) and node.average:
                self.nodes[name] = replace(node, average=False)
                shape = self.shapes[name]
                scale = Scale(np.full(shape, 1 / (node.kernel[0] * node.kernel[1])))
                self._insert(f"{name}.mean", scale, [(name, b) for b in self.targets(name)], shape)

    def _scale(self, name: str) -> None:
        node = self.nodes[name]
        assert isinstance(node, Scale)
        shape = self.shapes[name]
        scale = np.broadcast_to(node.scale, shape)
        targets, sources = self.targets(name), self.sources(name)
        per_channel = scale.reshape(shape[0], -1)
        even = bool((per_channel == per_channel[:, :1]).all())
        factors = per_channel[:, 0]
        if all(self._absorbs(target, name, even, scale) for target in targets):
            for target in targets:
                self._absorb(target, scale, factors)
            self._remove(name)
            return
        before = self.nodes.get(sources[0]) if len(sources) == 1 else None
        if isinstance(before, Weights) and even and self.targets(sources[0]) == [name]:
            self.nodes[sources[0]] = replace(
                before, weight=before.weight * _along(factors, before.weight, 0)
            )
            self._remove(name)
            return
        only = targets[0] if len(targets) == 1 and self.sources(targets[0]) == [name] else ""
        after = self.nodes.get(only)
        if isinstance(after, (Flat, Wait)) or (isinstance(after, Pool) and even):
            moved = scale.ravel() if isinstance(after, Flat) else scale
            if isinstance(after, Pool):
                moved = np.broadcast_to(factors.reshape(-1, 1, 1), self.shapes[only])
            self._remove(name)
            self._insert(
                name, Scale(moved), [(only, b) for b in self.targets(only)], self.shapes[only]
            )
            return
        if not even:
            raise NotMappable(
                f"{name} (Scale): it differs within a channel of a feature map, and neither "
                "neurons nor a layer of weights take it in;"
                " put it right before neurons, or after Flatten"
            )
        self.nodes[name] = _diagonal(factors, shape)

    def _absorbs(self, target: str, name: str, even: bool, scale: Float) -> bool:
        node = self.nodes.get(target)
        if self.sources(target) != [name]:
            return False
        return (isinstance(node, Cells) and bool((scale > 0).all())) or (
            isinstance(node, Weights) and even
        )

    def _absorb(self, target: str, scale: Float, factors: Float) -> None:
        node = self.nodes[target]
        if isinstance(node, Cells):
            self.gains[target] = self.gains[target] * scale
        else:
            assert isinstance(node, Weights)
            self.nodes[target] = replace(node, weight=columns(node, factors))

    def _join(self, graph: Graph, full_scale: float) -> None:
        """Give weights of 1 to spikes that are added to the currents of weights."""
        for name in [INPUT, *graph.outline.order]:
            sources = self.sources(name) if name in self.nodes else []
            if len(sources) < 2:
                continue
            bare = [
                source
                for source in sources
                if not all(isinstance(self.nodes.get(root), Weights) for root in self.roots(source))
            ]
            if len(bare) == len(sources) and (
                full_scale == 1 or all(INPUT not in self.roots(source) for source in bare)
            ):
                continue
            for source in bare:
                if {isinstance(self.nodes.get(root), Weights) for root in self.roots(source)} == {
                    True,
                    False,
                }:
                    raise NotMappable(
                        f"{source}: it adds spikes to the currents of weights without weights of "
                        "their own; give them some"
                    )
                shape = self.shapes[source]
                self._insert(
                    f"{source}.to.{name}",
                    _diagonal(np.ones(shape[0]), shape),
                    [(source, name)],
                    shape,
                )

    def _wait_before(self, name: str) -> None:
        shape = self.shapes[name]
        inserted = self._insert(
            f"{name}.last", Wait(np.zeros(shape)), [(a, name) for a in self.sources(name)], shape
        )
        self.steps[inserted] = np.ones((), np.int64)

    def roots(self, name: str) -> list[str]:
        """Return the weights, neurons or input whose values leave `name` on its edges.

        Pooling, flattening and delays bring them there.
        """
        if name == INPUT or isinstance(self.nodes[name], (Weights, Cells)):
            return [name]
        return list(
            dict.fromkeys(root for source in self.sources(name) for root in self.roots(source))
        )


def _along(factors: Float, weight: Float, axis: int) -> Float:
    return factors.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])


def columns(node: Weights, factors: Float) -> Float:
    """Take factors of the input, one per input channel, into weights."""
    if node.groups == 1:
        return node.weight * _along(factors, node.weight, 1)
    outputs, per_group = node.weight.shape[:2]
    spread = factors.reshape(node.groups, per_group).repeat(outputs // node.groups, axis=0)
    return node.weight * spread.reshape(outputs, per_group, 1, 1)


def _diagonal(factors: Float, shape: Shape) -> Weights:
    """Return weights by which each channel hears itself alone."""
    if len(shape) == 1:
        return Weights(np.diag(factors))
    assert math.prod(factors.shape) == shape[0]
    return Weights(factors.reshape(-1, 1, 1, 1), groups=shape[0])
