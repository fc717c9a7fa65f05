"""A signal on its way through a torch model: the node it is at, and what its integers are worth.

What the model has there is `gain * integer + offset` per channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from lehr.errors import NotMappable
from lehr.export.digits import digits
from lehr.export.fold import Float
from lehr.export.levels import kind_of, rounding_note
from lehr.export.naming import node_name
from lehr.export.offsets import changed, narrowed
from lehr.export.pending import Waiting
from lehr.export.torchmodels.classes import NEURONS
from lehr.export.torchmodels.readout import one_unit
from lehr.network import INPUT, Edge
from lehr.nodes import MaxPool2d, Node, Scale, Shape
from lehr.weights import WeightKind


@dataclass(frozen=True)
class Read:
    """Weights that stand in the network, and may yet have to take another step.

    Attributes:
        nodes: their names; what these give is added.
        sources: qualified names of the modules that they are of.
        real: in steps, not rounded, outputs first; of several nodes side by side, `[outputs, all]`.
        moved: how far the farthest is from its level, in steps.
    """

    nodes: tuple[str, ...]
    sources: str
    real: Float
    moved: float


Part = tuple[tuple[str, ...], int]

_PLACE = (
    "shape",
    "last",
    "parts",
    "_gain",
    "_offset",
    "_spikes",
    "_currents",
    "_weights",
    "_behind_maxima",
    "_notes",
    "_passed_over",
    "_exact",
    "_digits",
)


class Signal:
    """A signal on its way through a network that grows, at the node that it has come to.

    Attributes:
        nodes: what is ready, by node name.
        neurons: what waits, by node name.
        edges: all but the one to the output.
        shape: of what the last layer gives, without batch.
        last: names of the last nodes, whose values are added.
        parts: where signals lie beside each other, along the channels: the last nodes of each, and
            how many values it has on the first axis; `last` is then empty.
    """

    last: tuple[str, ...]
    _weights: Read | None

    def __init__(self, shape: Shape, gain: Float, spikes: bool, rounded: WeightKind | None) -> None:
        self.nodes: dict[str, Node] = {}
        self.neurons: dict[str, Waiting] = {}
        self.edges: list[Edge] = []
        self.shape, self.last = shape, (INPUT,)
        self.parts: tuple[Part, ...] = ()
        self._rounded = rounded
        self._begin(gain, spikes)

    def here(self) -> dict[str, Any]:
        """Return where the signal is, to come back to."""
        return {name: getattr(self, name) for name in _PLACE}

    def go_to(self, place: Mapping[str, Any]) -> None:
        """Go on from where a signal was."""
        for name, value in place.items():
            setattr(self, name, list(value) if isinstance(value, list) else value)

    def fix(self) -> None:
        """Keep the weights that the signal comes from as they are: they lead elsewhere, too."""
        self._tell_moved()
        self._weights = None

    def _begin(self, gain: Float | float, spikes: bool) -> None:
        self._gain = np.broadcast_to(np.asarray(gain), self.shape[:1]).copy()
        self._offset = np.zeros(self.shape[0])
        self._spikes = spikes
        self._currents = False  # of both signs, by weights since the last neurons
        self._weights = None  # that the signal comes from, since the last neurons
        self._behind_maxima = False  # since then, and since the last weights
        self._notes, self._passed_over = list[str](), False
        self._exact, self._digits = True, digits(self._gain)

    def pass_over(self, layer: nn.Module, shape: Shape) -> None:
        """Go on behind a refused layer that gives `shape`, to see what else is to be said."""
        weighted = self._currents or hasattr(layer, "weight")
        self.shape = shape
        self._begin(1.0, spikes=True)
        self._passed_over = True
        self._currents = weighted and not isinstance(layer, NEURONS)

    def _put(self, name: str, node: Node) -> None:
        if self.parts:
            self._put_each(name, node)
            return
        self.shape = node.output_shape(self.shape)
        self.nodes[name] = node
        self._go(name)

    def _put_each(self, name: str, node: Node) -> None:
        """Let each of the signals beside each other go through a node of its own."""
        parts = []
        for number, (sources, size) in enumerate(self.parts):
            taken = (size, *self.shape[1:])
            own = self._name(f"{name}.{number}")
            self.nodes[own] = node
            self.edges += [(source, own) for source in sources]
            parts.append(((own,), node.output_shape(taken)[0]))
        self.shape, self.parts = node.output_shape(self.shape), tuple(parts)

    def _add(self, bias: Float) -> None:
        """Add a bias, one number a channel."""
        self._offset = changed(self._offset, np.ones(1), bias, self.shape)

    def _go(self, name: str) -> None:
        self.edges += [(source, name) for source in self.last]
        self.last = (name,)

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
        rows = (
            factors.reshape(len(before.real), -1)
            if before and factors.size % len(before.real) == 0
            else None
        )
        if before is None or rows is None or np.any(rows != rows[:, :1]):
            raise NotMappable(
                f"{why}, and there are no weights before it of as many outputs that could take "
                "that up; add a layer with weights"
            )
        levels = self._levels(before)
        self._set_levels(before, (levels * rows[:, :1]).astype(np.int8))
        factor = rows[:, 0].reshape(-1, *[1] * (before.real.ndim - 1))
        self._weights = replace(before, real=before.real * factor)
        self._gain = self._gain / np.where(factors == 0, 1, factors)

    def _make_positive(self, source: str, why: str) -> None:
        """Turn the sign of channels whose gain is negative.

        Weights do, but behind maxima factors: the greatest turned is not the greatest of what is
        turned.
        """
        signs = np.where(self._gain < 0, -1, 1)
        if not self._behind_maxima or np.all(signs == 1) or self._passed_over:
            self._turn(signs, why)
            return
        self._put(self._name(source, ".sign"), Scale(np.sign(self._gain).astype(np.int32)))
        self._gain = np.abs(self._gain)

    def _greatest(self, source: str, pool: MaxPool2d) -> None:
        """Add maxima of integers: what is behind changes nothing in weights before them."""
        self._make_positive(source, "its input's gain is negative")
        self._offset = narrowed(self._offset)
        if self._offset.ndim > 1 and not self._passed_over:
            raise NotMappable(
                "what is added to its input differs from value to value, so that the greatest is "
                "not that of the integers; let the weights before pad with nothing, or put the "
                "batch norm before them behind them"
            )
        self.fix()
        self._put(self._name(source), pool)
        self._behind_maxima = True

    def _levels(self, read: Read) -> npt.NDArray[np.int8]:
        """Return the levels of all nodes of weights side by side, `[outputs, all]`."""
        nodes: list[Any] = [self.nodes[name] for name in read.nodes]
        return np.concatenate([node.weight.reshape(len(node.weight), -1) for node in nodes], 1)

    def _set_levels(self, read: Read, levels: npt.NDArray[np.int8]) -> None:
        rows, at = levels.reshape(len(levels), -1), 0
        for name in read.nodes:
            node: Any = self.nodes[name]
            own = rows[:, at : at + node.weight[0].size].reshape(node.weight.shape)
            at += node.weight[0].size
            self.nodes[name] = replace(node, weight=own, kind=kind_of(own))

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
