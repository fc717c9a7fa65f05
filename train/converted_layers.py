"""From phase A to phase B: the nodes and edges before a layer's neurons."""

from __future__ import annotations

from lehr.export.latent import Latent
from lehr.network import INPUT, OUTPUT, Conv2d, Edge, Flatten, Linear, SumPool2d
from lehr.nodes import Node, Shape
from lehr.train.network_recipe import Conv, Layer
from lehr.weights import WeightKind


class Chain:
    """Nodes of the integer network, one after the other.

    Attributes:
        nodes: by name, without those whose numbers are not known yet.
        edges: from the input to the last node.
        shape: of the input.
    """

    def __init__(self, shape: Shape) -> None:
        """Begin with an input of `shape`."""
        self.nodes: dict[str, Node] = {}
        self.shape = shape
        self._path = [INPUT]
        self._flat = len(shape) == 1

    def put(self, name: str, node: Node | None) -> str:
        """Append a node, whose numbers may come later (None), and return its name."""
        if node is not None:
            self.nodes[name] = node
        self._path.append(name)
        return name

    def put_weights(self, number: int, layer: Layer, latent: Latent, kind: WeightKind) -> str:
        """Append what leads to the neurons of layer `number`, from 1.

        Returns:
            The name of the node with the weights.
        """
        levels = latent.levels(kind)
        if isinstance(layer, Conv):
            stride, padding = (layer.stride, layer.stride), (layer.padding, layer.padding)
            name = self.put(f"conv{number}", Conv2d(levels, stride, padding, kind=kind))
            if layer.pool > 1:
                window = (layer.pool, layer.pool)
                self.put(f"pool{number}", SumPool2d(window, window))
            self._flat = False
            return name
        if not self._flat:
            self.put("flatten", Flatten())
            self._flat = True
        return self.put(f"fc{number}", Linear(levels, kind))

    @property
    def edges(self) -> tuple[Edge, ...]:
        """From the input to the output."""
        return tuple(zip(self._path, [*self._path[1:], OUTPUT], strict=True))
