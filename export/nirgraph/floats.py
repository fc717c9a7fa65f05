"""The float graph, run in double precision step by step as it was read.

The integer network is compared with this run.

It knows nothing of folding: biases are added where they stand, averages are divided, scales
multiplied. Only what NIR leaves open is taken from the semantics, in which the integer network is
made too. A membrane is kept as its height above v_reset, in which a reset to v_reset is one to 0;
the start is that of silence: every membrane at its reset value, no spike, and on feedback edges and
in delays what comes of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.export.nirgraph.graph import Cells, Flat, FloatNode, Graph, Pool, Scale, Wait, Weights
from lehr.export.nirgraph.semantics import Semantics
from lehr.export.nirgraph.steps import Step, step_of
from lehr.network import INPUT
from lehr.nodes import MAX_DELAY
from lehr.refusals import Refusals

Spikes = npt.NDArray[np.uint8]
Steps = npt.NDArray[np.int64]
WHOLE = 1e-6
"""A delay this near to a whole number of steps, in steps, is taken for it."""


@dataclass(frozen=True)
class Run:
    """Spikes and membranes of a graph on some samples, by layer.

    Spikes are `[N, T, *shape]`; membranes are above v_reset, of the same shape.
    """

    spikes: Mapping[str, Spikes]
    membranes: Mapping[str, Float]


def steps_of(graph: Graph, semantics: Semantics, refusals: Refusals) -> dict[str, Step]:
    """Return the steps of the layers whose numbers make neurons.

    Why the others do not, and which delays are none, goes to `refusals`.
    """
    steps = {}
    for name, cells in graph.cells.items():
        with refusals.collect(f"{name} ({cells.kind}): "):
            steps[name] = step_of(cells, semantics)
    for name, node in graph.nodes.items():
        if isinstance(node, Wait):
            with refusals.collect():
                whole_steps(name, node, semantics)
    return steps


def whole_steps(name: str, wait: Wait, semantics: Semantics) -> tuple[Steps, float]:
    """Return a delay in steps, of each value, and by how many steps it was rounded at most.

    Raises:
        NotMappable: when it is negative, too long, or none for some of its values alone.
    """
    assert semantics.dt is not None
    low, high = float(wait.seconds.min()), float(wait.seconds.max())
    if high / semantics.dt > MAX_DELAY:
        raise NotMappable(
            f"{name} (Delay): it delays by {high / semantics.dt:g} steps; use at most {MAX_DELAY:,}"
        )
    exact = np.asarray(wait.seconds / semantics.dt, np.float64)
    steps = np.rint(exact).astype(np.int64)
    if low < 0 or (steps.min() == 0 and steps.any()):
        raise NotMappable(
            f"{name} (Delay): it delays by {low:g} to {high:g} s, {low / semantics.dt:g} to "
            f"{high / semantics.dt:g} steps; let each value wait for one"
            " step or more, or none of them"
        )
    moved = float(np.abs(exact - steps).max())
    return steps, 0.0 if moved <= WHOLE else moved


def run(
    graph: Graph,
    x: npt.NDArray[np.uint8],
    semantics: Semantics,
    steps: int,
    full_scale: float = 1.0,
) -> Run:
    """Run a graph on samples.

    Args:
        graph: the graph.
        x: uint8 `[N, *shape]`, held, or `[N, T, *shape]`.
        semantics: what the graph does not say, complete.
        steps: how many steps to run.
        full_scale: what inputs are divided by.

    Raises:
        NotMappable: naming a layer whose numbers make no neuron.
    """
    machine = _Machine(graph, semantics, len(x))
    held = x.ndim == len(graph.shape) + 1
    spikes = {
        name: np.zeros((len(x), steps, *cells.shape), np.uint8)
        for name, cells in graph.cells.items()
    }
    membranes = {
        name: np.zeros((len(x), steps, *cells.shape)) for name, cells in graph.cells.items()
    }
    for t in range(steps):
        machine.step((x if held else x[:, t]).astype(np.float64) / full_scale)
        for name in spikes:
            spikes[name][:, t] = machine.value[name]
            membranes[name][:, t] = machine.membrane[name]
    return Run(spikes, membranes)


def silence(graph: Graph) -> dict[str, Float]:
    """Return what every node puts out while there is no input and no spike.

    That is biases and what comes of them, each of its node's shape.
    """
    value = {INPUT: np.zeros((1, *graph.shape))}
    value |= {name: np.zeros((1, *cells.shape)) for name, cells in graph.cells.items()}

    def visit(name: str) -> Float:
        if name not in value:
            value[name] = apply(
                graph.nodes[name],
                sum((visit(source) for source in graph.outline.sources(name)), np.zeros(1)),
            )
        return value[name]

    return {name: visit(name)[0] for name in (INPUT, *graph.outline.order)}


def apply(node: FloatNode, x: Float) -> Float:
    """Apply a node without state to a batch; a delay does nothing here."""
    match node:
        case Weights() if node.weight.ndim == 2:
            result: Float = x @ node.weight.T
        case Weights():
            result = _conv2d(x, node)
        case Scale():
            return x * node.scale
        case Pool():
            result = _windows(x, node.padding, node.kernel, node.stride).sum(axis=(4, 5))
            return result / (node.kernel[0] * node.kernel[1]) if node.average else result
        case Flat():
            return x.reshape(len(x), -1)
        case _:
            return x
    return result if node.bias is None else result + node.bias.reshape(-1, *[1] * (result.ndim - 2))


def _windows(
    x: Float, padding: tuple[int, int], span: tuple[int, int], stride: tuple[int, int]
) -> Float:
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    return np.lib.stride_tricks.sliding_window_view(x, span, axis=(2, 3))[
        :, :, :: stride[0], :: stride[1]
    ]


def _conv2d(x: Float, node: Weights) -> Float:
    outputs, per_group, height, width = node.weight.shape
    span = ((height - 1) * node.dilation[0] + 1, (width - 1) * node.dilation[1] + 1)
    windows = _windows(x, node.padding, span, node.stride)[
        ..., :: node.dilation[0], :: node.dilation[1]
    ]
    weight = node.weight.reshape(node.groups, outputs // node.groups, per_group, height, width)
    parts = [
        np.tensordot(
            windows[:, group * per_group : (group + 1) * per_group],
            weight[group],
            axes=([1, 4, 5], [1, 2, 3]),
        )
        for group in range(node.groups)
    ]
    result: Float = np.concatenate(parts, axis=-1, dtype=np.float64).transpose(0, 3, 1, 2)
    return result


class _Machine:
    """The state of one batch."""

    def __init__(self, graph: Graph, semantics: Semantics, batch: int) -> None:
        refusals = Refusals()
        self.graph, self.semantics, self.cells = (
            graph,
            semantics,
            steps_of(graph, semantics, refusals),
        )
        refusals.raise_all()
        still = {
            name: np.repeat(value[None], batch, axis=0) for name, value in silence(graph).items()
        }
        self.value = self.before = still
        self.membrane = {name: np.zeros_like(still[name]) for name in self.cells}
        self.current = {
            name: np.zeros_like(still[name])
            for name, step in self.cells.items()
            if step.alpha is not None
        }
        waits = {
            name: whole_steps(name, node, semantics)[0]
            for name, node in graph.nodes.items()
            if isinstance(node, Wait)
        }
        self.steps = {
            name: np.broadcast_to(steps, graph.outline.shapes[name])
            for name, steps in waits.items()
        }
        self.line = {name: [still[name]] * int(steps.max()) for name, steps in waits.items()}

    def step(self, x: Float) -> None:
        """Evaluate the whole graph once on inputs `[N, *shape]`."""
        outline = self.graph.outline
        self.before, self.value = self.value, {INPUT: x}
        for name in outline.order:
            arriving = sum(
                (self.before if (source, name) in outline.feedback else self.value)[source]
                for source in outline.sources(name)
            ) + np.zeros(1)
            node = self.graph.nodes[name]
            if isinstance(node, Cells):
                self.value[name] = self._integrate(name, self.cells[name], arriving)
            elif isinstance(node, Wait):
                line = [*self.line[name], arriving]
                late = np.stack(line)  # by steps
                ago = np.broadcast_to(len(line) - 1 - self.steps[name], late.shape[1:])
                self.value[name], self.line[name] = (
                    np.take_along_axis(late, ago[None], axis=0)[0],
                    line[1:],
                )
            else:
                self.value[name] = apply(node, arriving)

    def _integrate(self, name: str, step: Step, x: Float) -> Float:
        semantics, late = self.semantics, self.semantics.reset_timing == "next_step"
        u, s_prev = self.membrane[name] * step.beta, self.before[name]
        drive = step.gain * x
        if step.alpha is not None:
            last = self.current[name]
            self.current[name] = step.alpha * last + drive
            drive = self.current[name] if semantics.current == "new" else last
        if late and semantics.reset == "zero":
            u = u * (1 - s_prev)
        u = u + drive + step.drive
        if step.threshold is None:
            self.membrane[name] = u
            return np.zeros_like(u)
        keeps = self.graph.cells[name].kind == "Threshold"
        if late and semantics.reset == "subtract" and not keeps:
            u = u - step.threshold * s_prev
        s: Float = (u > step.threshold if semantics.fires == "gt" else u >= step.threshold).astype(
            np.float64
        )
        if not late and not keeps:
            u = u - step.threshold * s if semantics.reset == "subtract" else u * (1 - s)
        self.membrane[name] = u
        return s
