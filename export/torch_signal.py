"""A signal on its way through a torch model: the node it is at, and what its integers are worth.

What the model has there is `gain * integer + offset` per channel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import snntorch as snn
from torch import nn

from lehr.errors import NotMappable
from lehr.export.digits import digits
from lehr.export.fold import Float
from lehr.export.levels import kind_of, rounding_note
from lehr.export.naming import node_name
from lehr.export.offsets import changed
from lehr.export.pending import Waiting
from lehr.export.torch_readout import one_unit
from lehr.network import INPUT, Edge
from lehr.nodes import Node, Shape
from lehr.weights import WeightKind


@dataclass(frozen=True)
class Read:
    """Weights that stand in the network, and may yet have to take another step.

    Attributes:
        node: their name.
        sources: qualified names of the modules that they are of.
        real: in steps, not rounded, `[outputs, ...]`.
        moved: how far the farthest is from its level, in steps.
    """

    node: str
    sources: str
    real: Float
    moved: float


class Signal:
    """A signal on its way through a network that grows, at the node that it has come to.

    Attributes:
        nodes: what is ready, by node name.
        neurons: what waits, by node name.
        edges: all but the one to the output.
        shape: of what the last layer gives, without batch.
        last: name of the last node.
    """

    def __init__(self, shape: Shape, gain: Float, spikes: bool, rounded: WeightKind | None) -> None:
        self.nodes: dict[str, Node] = {}
        self.neurons: dict[str, Waiting] = {}
        self.edges: list[Edge] = []
        self.shape, self.last = shape, INPUT
        self._rounded = rounded
        self._begin(gain, spikes)

    def _begin(self, gain: Float | float, spikes: bool) -> None:
        self._gain = np.broadcast_to(np.asarray(gain), self.shape[:1]).copy()
        self._offset = np.zeros(self.shape[0])
        self._spikes = spikes
        self._currents = False  # of both signs, by weights since the last neurons
        self._weights: Read | None = None  # that the signal comes from, since the last neurons
        self._notes, self._passed_over = list[str](), False
        self._exact, self._digits = True, digits(self._gain)

    def pass_over(self, layer: nn.Module, shape: Shape) -> None:
        """Go on behind a refused layer that gives `shape`, to see what else is to be said."""
        weighted = self._currents or hasattr(layer, "weight")
        self.shape = shape
        self._begin(1.0, spikes=True)
        self._passed_over = True
        self._currents = weighted and not isinstance(layer, snn.SpikingNeuron)

    def _put(self, name: str, node: Node) -> None:
        self.shape = node.output_shape(self.shape)
        self.nodes[name] = node
        self._go(name)

    def _add(self, bias: Float) -> None:
        """Add a bias, one number a channel."""
        self._offset = changed(self._offset, np.ones(1), bias, self.shape)

    def _go(self, name: str) -> None:
        self.edges.append((self.last, name))
        self.last = name

    def _name(self, source: str, suffix: str = "") -> str:
        """Return a node's name: the module's own, if that can be.

        It cannot where the name is a number, as in nn.Sequential, or taken.
        """
        return node_name(source + suffix, {*self.nodes, *self.neurons})

    def _turn(self, factors: npt.NDArray[np.integer], why: str) -> None:
        """Turn the sign of what arrives in some channels (-1), or drop it (0).

        That goes by way of the weights that it comes from.

        Of what is dropped the gain stays.
        """
        if np.all(factors == 1) or self._passed_over:
            return
        before = self._weights
        node: Any = before and self.nodes[before.node]
        rows = (
            factors.reshape(len(node.weight), -1)
            if node and factors.size % len(node.weight) == 0
            else None
        )
        if before is None or rows is None or np.any(rows != rows[:, :1]):
            raise NotMappable(
                f"{why}, and there are no weights before it of as many outputs that could take "
                "that up; add a layer with weights"
            )
        factor = rows[:, 0].reshape(-1, *[1] * (node.weight.ndim - 1))
        self._set_levels(before, (node.weight * factor).astype(np.int8))
        self._weights = replace(before, real=before.real * factor)
        self._gain = self._gain / np.where(factors == 0, 1, factors)

    def _set_levels(self, read: Read, levels: npt.NDArray[np.int8]) -> None:
        node: Any = self.nodes[read.node]
        self.nodes[read.node] = replace(node, weight=levels, kind=kind_of(levels))

    def _share_unit(self) -> None:
        """Give all channels one unit, by way of the weights: their membranes are compared."""
        if np.ptp(self._gain) == 0 or self._passed_over:
            return
        before = self._weights
        if before is None:
            raise NotMappable(
                "its membranes are read out, its channels differ in what one input is worth, and "
                "there are no weights before it that could take that up; read out its spikes"
            )
        shared = one_unit(before.real, self._gain, self._rounded)
        self._set_levels(before, shared.levels)
        self._weights = replace(before, real=shared.real, moved=shared.moved)
        self._gain = np.full(len(self._gain), shared.step)

    def _tell_moved(self) -> None:
        """Say how far weights were rounded, which none will change any more."""
        if self._weights is None:
            return
        self._exact &= self._weights.moved == 0
        if self._weights.moved:
            self._notes.append(f"{self._weights.sources}: {rounding_note(self._weights.moved)}")
