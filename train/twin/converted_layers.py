"""From phase A to phase B: the nodes and edges before a layer's neurons, and behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lehr.export.latent import Latent
from lehr.export.torchmodels.nodes import any_of
from lehr.network import INPUT, OUTPUT, Conv2d, Edge, Flatten, Linear, SumPool2d
from lehr.nodes import MaxPool2d, Node, Pair, Scale, Shape
from lehr.train.keys.graph import FROM_INPUT
from lehr.train.keys.layer import Convolution, Weighted
from lehr.train.keys.network import NetworkRecipe
from lehr.weights import WeightKind


def latents_of(net: NetworkRecipe, weights: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the latents of each layer of a recipe, as phase A has them.

    Args:
        net: the recipe's.
        weights: of the integer network that it became, by node.
    """
    layers = []
    for number, layer in enumerate(net.weighted, start=1):
        taken = weights[f"{'conv' if isinstance(layer, Convolution) else 'fc'}{number}"]
        back = weights.get(f"back{number}")
        layers.append(taken if back is None else torch.cat([taken, back], 1))
    return layers


class Layers:
    """Nodes of the integer network, layer by layer.

    Attributes:
        nodes: by name, without those whose numbers are not known yet.
        maxima: the layers of neurons that are an OR of spikes.
    """

    def __init__(self) -> None:
        """Begin with the input alone."""
        self.nodes: dict[str, Node] = {}
        self.maxima: list[str] = []
        self._edges: list[Edge] = []
        self._here: tuple[str, ...] = (INPUT,)
        self._ends = {FROM_INPUT: INPUT}

    def begin(self, sources: Iterable[int]) -> None:
        """Begin a layer that takes the spikes of others, by their numbers from 0, added up."""
        self._here = tuple(self._ends[source] for source in sources)

    def put(self, name: str, node: Node | None) -> str:
        """Append a node, whose numbers may come later (None), and return its name."""
        if node is not None:
            self.nodes[name] = node
        self._edges += [(source, name) for source in self._here]
        self._here = (name,)
        return name

    def put_weights(
        self,
        number: int,
        layer: Weighted,
        taken: Shape,
        latent: Latent,
        kind: WeightKind,
        signs: npt.NDArray[np.int8],
    ) -> str:
        """Append what leads to the neurons of a layer.

        Args:
            number: of the layer, from 0.
            layer: in the recipe.
            taken: shape of what it takes.
            latent: its weights.
            kind: that they are declared to be.
            signs: 1 or -1 by channel, which its sums are multiplied by before the neurons.

        Returns:
            The name of the node with the weights.
        """
        levels = latent.levels(kind)
        if isinstance(layer, Convolution):
            windows = layer.geometry
            name = self.put(
                f"conv{number + 1}",
                Conv2d(
                    levels,
                    windows.stride,
                    windows.padding,
                    windows.dilation,
                    layer.groups,
                    kind,
                ),
            )
            if windows.pool != (1, 1):
                pool = MaxPool2d if windows.greatest else SumPool2d
                self.put(f"pool{number + 1}", pool(windows.pool, windows.pool))
            if (signs < 0).any():
                self.put(f"sign{number + 1}", Scale(signs.astype(np.int32).reshape(-1, 1, 1)))
            return name
        if len(taken) > 1:
            again = any(isinstance(node, Flatten) for node in self.nodes.values())
            self.put(f"flatten{number + 1}" if again else "flatten", Flatten())
        return self.put(f"fc{number + 1}", Linear(levels, kind))

    def put_back(self, number: int, neurons: str, latent: Latent, kind: WeightKind) -> str:
        """Add weights through which the spikes of a layer's neurons come back to them.

        Args:
            number: of the layer, from 0.
            neurons: the name of their node.
            latent: the weights.
            kind: that they are declared to be.

        Returns:
            The name of the node with the weights.
        """
        name = f"back{number + 1}"
        self.nodes[name] = Linear(latent.levels(kind), kind)
        self._edges += [(neurons, name), (name, neurons)]
        return name

    def end(self, number: int, channels: int, max_pool: Pair) -> None:
        """Append what is behind the neurons of a layer, whose spikes others can take then."""
        if max_pool != (1, 1):
            self.put(f"sum{number + 1}", SumPool2d(max_pool, max_pool))
            self.maxima.append(self.put(f"max{number + 1}", any_of(channels)))
        (self._ends[number],) = self._here

    @property
    def edges(self) -> tuple[Edge, ...]:
        """From the input to the output, which the last layer leads to."""
        return (*self._edges, (self._here[0], OUTPUT))
