"""Golden networks whose membranes stay far from their rails.

They are for machines in floats, and for others that come to no rails of the network's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, pairwise, product
from typing import get_args

import numpy as np

from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    Readout,
    SumPool2d,
)
from lehr.nodes import Node
from lehr.targets.conformance.building import Images
from lehr.targets.conformance.claims import Claim
from lehr.targets.contract import Target
from lehr.update_text import program_of_lines
from lehr.weights import KINDS, LARGEST, WeightKind

_UPDATE = program_of_lines(
    [
        "add v input 4",
        "bound v -2147483648 2147483647 saturate",
        "fire fired v gt threshold 1",
        "subtract v threshold 0 times fired",
    ],
    "v",
)


@dataclass(frozen=True)
class WithoutRails:
    """Windows, a convolution and a dense layer of neurons that integrate and fire.

    Attributes:
        kind: of weights.
        readout: of the network, where the target has it.
        per_neuron: thresholds differ within each channel of the map.
    """

    name: str
    kind: WeightKind = "binary"
    readout: Readout = "count_argmax_lowest"
    per_neuron: bool = False

    def tells(self, target: Target) -> tuple[Claim, ...]:
        """Nothing of fields."""
        del target
        return ()

    def groups(self, target: Target) -> Iterator[Iterator[tuple[Network, Images]]]:
        """Yield the one form, with several weights, and thresholds of several sizes."""
        if {SumPool2d, Conv2d, Flatten, Linear} <= target.nodes and {
            type(s) for s in _UPDATE.all
        } <= target.statements:
            readout = self.readout if self.readout in target.readouts else target.readouts[0]
            yield (
                self._network(scale, seed, readout)
                for seed, scale in product((5, 6), (48, 24, 96, 12))
            )

    def _network(self, scale: int, seed: int, readout: Readout) -> tuple[Network, Images]:
        rng, most = np.random.default_rng(seed), LARGEST[self.kind]

        def weight(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
            if self.kind == "binary":
                return rng.choice(np.array((-1, 1), np.int8), shape)
            return rng.integers(-most, most, shape, np.int8, endpoint=True)

        def neurons(*shape: int) -> Neuron:
            threshold = rng.integers(scale * most, 2 * scale * most, shape, np.int32)
            return Neuron(threshold, np.zeros(shape, np.int32), _UPDATE)

        nodes: dict[str, Node] = {
            "pool": SumPool2d((2, 2), (2, 2)),
            "conv": Conv2d(weight(4, 2, 3, 3), kind=self.kind),
        }
        nodes |= {"lif1": neurons(4, 2, 2) if self.per_neuron else neurons(4), "flat": Flatten()}
        nodes |= {"fc": Linear(weight(5, 16), self.kind), "out": neurons(5)}
        net = Network(
            nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((2, 8, 8), "spikes"), 12, readout
        )
        return net, (rng.random((3, 12, 2, 8, 8)) < 0.4).astype(np.uint8)


WITHOUT_RAILS = (
    *(
        WithoutRails(f"without_rails_{kind}", kind, readout)
        for kind, readout in zip(KINDS, cycle(get_args(Readout)))
    ),
    WithoutRails("without_rails_by_neuron", per_neuron=True),
)
