"""A network at work: nodes in order, delays, feedback.

Layers may take events one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from fixed_point_reader.graph import feedback_of, order_of, read_graph, text
from fixed_point_reader.neurons import Layer, Values
from fixed_point_reader.nodes import Shape, synapses_of, windows_of_maxima


class Machine:
    """A network at work on one sample."""

    def __init__(self, path: Path) -> None:
        self.fields, self.edges, exact = read_graph(path)
        if exact["schema"] != "fixed-point-net/2":
            raise SystemExit(
                f"{path} is of schema {exact['schema']}, of which this reader knows nothing"
            )
        self.steps = int(exact["steps"])
        self.feedback = feedback_of(self.edges)
        self.order = order_of(self.edges, self.feedback)
        self.shapes: dict[str, Shape] = {
            "input": tuple(int(n) for n in np.atleast_1d(self.fields["input"]["shape"]))
        }
        self.links: dict[str, list[list[tuple[int, int]]]] = {}
        self.maxima: dict[str, list[list[int]]] = {}
        self.layers: dict[str, Layer] = {}
        self.lines: dict[str, list[Values]] = {}
        self.delays: dict[str, Values] = {}
        for name in self.order:
            shape = self.shapes[
                next(a for a, b in self.edges if b == name and (a, b) not in self.feedback)
            ]
            kind, self.shapes[name] = text(self.fields[name]["type"]), shape
            if kind == "Delay":
                steps = [
                    round(float(seconds) / 0.001)
                    for seconds in np.broadcast_to(self.fields[name]["delay"], shape).reshape(-1)
                ]
                self.delays[name], self.lines[name] = (
                    steps,
                    [[0] * prod(shape) for _ in range(max(steps))],
                )
            elif kind == "MaxPool2d":
                self.maxima[name], self.shapes[name] = windows_of_maxima(self.fields[name], shape)
            elif name in exact["nodes"] and "weights" not in exact["nodes"][name]:
                self.layers[name] = Layer(self.fields[name], exact["nodes"][name], shape)
            else:
                self.links[name], self.shapes[name] = synapses_of(self.fields[name], shape)
        self.value = {name: [0] * prod(shape) for name, shape in self.shapes.items()}

    def sources(self, name: str) -> list[str]:
        """The nodes with an edge into `name`."""
        return [a for a, b in self.edges if b == name]

    def step(self, x: Values) -> None:
        """Evaluate all nodes once."""
        before, self.value = self.value, {"input": x}
        for name in self.order:
            late = {
                a: before[a] if (a, name) in self.feedback else self.value[a]
                for a in self.sources(name)
            }
            a = [sum(values) for values in zip(*late.values(), strict=True)]
            if name in self.layers:
                events = list(self.events(name, before)) if self.layers[name].by_event else []
                self.value[name] = self.layers[name].step(a, events)
            elif name in self.lines:
                line = self.lines[name]
                self.value[name] = [line[-steps][n] for n, steps in enumerate(self.delays[name])]
                self.lines[name] = [*line[1:], a]
            elif name in self.maxima:
                self.value[name] = [max(a[i] for i in window) for window in self.maxima[name]]
            else:
                out = [0] * prod(self.shapes[name])
                for value, reached in zip(a, self.links[name], strict=True):
                    for to, factor in reached if value else ():
                        out[to] += value * factor
                self.value[name] = out

    # ------------------------------------------------------------ events
    def events(self, name: str, before: dict[str, Values]) -> Iterator[list[tuple[int, int]]]:
        """What one event after another does to the neurons of a layer.

        Those of feedback edges first, then by order of evaluation.
        """
        rank = {"input": -1, **{n: i for i, n in enumerate(self.order)}}
        for source, late in sorted(
            set(self.arrivals(name, late=False)), key=lambda key: (not key[1], rank[key[0]])
        ):
            counts = (before if late else self.value)[source]
            for neuron, count in enumerate(counts):
                if count:
                    reached = [
                        (n, w)
                        for n, w in sorted(self.pulse(source, late, neuron, name).items())
                        if w
                    ]
                    yield from [reached] * count

    def arrivals(self, name: str, *, late: bool) -> Iterator[tuple[str, bool]]:
        """The sources of events into a node, and whether they left in the step before."""
        for source in self.sources(name):
            before = late or (source, name) in self.feedback
            if source == "input" or source in self.layers or source in self.lines:
                yield source, before
            else:
                yield from self.arrivals(source, late=before)

    def pulse(self, source: str, late: bool, neuron: int, name: str) -> dict[int, int]:
        """What one event at a neuron of `source` adds to the neurons of a layer."""
        total: dict[int, int] = {}

        def back(node: str, delayed: bool) -> dict[int, int]:
            sums: dict[int, int] = {}
            for a in self.sources(node):
                before = delayed or (a, node) in self.feedback
                ends = a == "input" or a in self.layers or a in self.lines
                values = (
                    ({neuron: 1} if (a, before) == (source, late) else {})
                    if ends
                    else through(a, before)
                )
                for n, value in values.items():
                    sums[n] = sums.get(n, 0) + value
            return sums

        def through(node: str, delayed: bool) -> dict[int, int]:
            out: dict[int, int] = {}
            for n, value in back(node, delayed).items():
                for to, factor in self.links[node][n]:
                    out[to] = out.get(to, 0) + value * factor
            return out

        total.update(back(name, False))
        return total
