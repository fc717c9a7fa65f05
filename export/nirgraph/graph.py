"""A graph of NIR in floating point.

It is one level deep, its feature maps have three axes, and its names are legal in an integer
network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Arithmetic
from lehr.export.fold import Float
from lehr.network import Edge, Input, Network
from lehr.nodes import Conv2d, Delay, Flatten, Linear, Neuron, Node, Pair, Shape, SumPool2d


@dataclass(frozen=True, eq=False)
class Weights:
    """Affine, Linear, Conv1d and Conv2d.

    Attributes:
        weight: `[outputs, inputs]`, or `[outputs, inputs / groups, height, width]`; a Conv1d is of
            height 1.
        bias: `[outputs]`; None where there is none.
        stride, padding, dilation, groups: of a convolution.
        stated: the shape of a convolution's input as its field says it, which is not what decides;
            empty where it says none.
    """

    weight: Float
    bias: Float | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    stated: Shape = ()


@dataclass(frozen=True, eq=False)
class Scale:
    """Multiplication of an input with `scale`, of the input's shape."""

    scale: Float


@dataclass(frozen=True, eq=False)
class Pool:
    """SumPool2d, or AvgPool2d where `average`."""

    kernel: Pair
    stride: Pair
    padding: Pair
    average: bool


@dataclass(frozen=True, eq=False)
class Flat:
    """Flatten: all axes into one.

    Attributes:
        stated: the shape of its input as its field says it, which is not what decides; empty where
            it says none.
    """

    stated: Shape = ()


@dataclass(frozen=True, eq=False)
class Wait:
    """Delay: `seconds`, of its input's shape."""

    seconds: Float


@dataclass(frozen=True, eq=False)
class Cells:
    """Threshold, I, IF, LI, LIF, CubaLI and CubaLIF.

    `Readout` is for what stands before the output without being neurons.

    Attributes:
        kind: NIR's name.
        values: NIR's fields, each of the layer's shape: tau, r, v_leak, ... as `kind` has them.
    """

    kind: str
    values: Mapping[str, Float]
    shape: Shape

    @property
    def fires(self) -> bool:
        """Return whether they spike: all but the integrators do."""
        return "threshold" in self.values

    @property
    def cuba(self) -> bool:
        """Return whether they have a synapse state."""
        return "tau_syn" in self.values


FloatNode = Weights | Scale | Pool | Flat | Wait | Cells


@dataclass(frozen=True, eq=False)
class Graph:
    """A float graph.

    Attributes:
        nodes: by legal name.
        edges: from `input`, to `output`; several into one node are added.
        shape: of the input, without batch and time.
        names: legal name by the name in the file, dots between the levels.
        dt: the step that the graph's metadata states, in seconds.
        notes: what was read otherwise than it is written, in sentences.
        heads: the layers that lead to the output in the file, by the name of their node there. The
            first one alone does so in `edges`.
    """

    nodes: Mapping[str, FloatNode]
    edges: tuple[Edge, ...]
    shape: Shape
    names: Mapping[str, str]
    dt: float | None
    notes: tuple[str, ...]
    heads: Mapping[str, str]

    @cached_property
    def outline(self) -> Network:
        """Return an integer network of the same nodes and edges.

        Its numbers mean nothing: it is for order, feedback and shapes.
        """
        nodes = {name: stand_in(node) for name, node in self.nodes.items()}
        return Network(nodes, self.edges, Input(self.shape, "u8"), 1, "membrane_sum_argmax_lowest")

    @property
    def cells(self) -> Mapping[str, Cells]:
        """Return the layers of neurons, in order of evaluation."""
        return {
            name: node for name in self.outline.order if isinstance(node := self.nodes[name], Cells)
        }


def weights_node(node: Weights, levels: npt.NDArray[np.int8], kind: str) -> Conv2d | Linear:
    """Return the integer node of some weights."""
    if levels.ndim == 2:
        return Linear(levels, kind)  # type: ignore[arg-type]  # checked by the node
    return Conv2d(levels, node.stride, node.padding, node.dilation, node.groups, kind)  # type: ignore[arg-type]


def stand_in(node: FloatNode) -> Node:
    """Return a node of the same geometry; one that keeps shapes for a Scale."""
    match node:
        case Weights():
            return weights_node(node, np.zeros(node.weight.shape, np.int8), "ternary")
        case Pool():
            return SumPool2d(node.kernel, node.stride, node.padding)
        case Flat():
            return Flatten()
        case Cells():
            arithmetic = Arithmetic() if node.fires else Arithmetic(fires="never", reset="none")
            return Neuron(
                np.full(node.shape[0], int(node.fires), np.int32),
                np.zeros(node.shape[0], np.int32),
                arithmetic,
            )
        case _:
            return Delay(1)
