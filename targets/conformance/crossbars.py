"""Golden networks of one layer by event, whose membranes come to both rails of 12 bits.

They come there without any bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.machines import TINYODIN
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node
from lehr.targets.conformance.building import Images
from lehr.targets.conformance.claims import Claim
from lehr.targets.contract import Target
from lehr.update import Program

_FIELDS = Arithmetic(
    reset="zero", reset_timing="same_step", fires="ge", state_bits=12, update="event"
)
_SHAPE = (4, 8, 8)
_STEPS = 16
_NEVER = 3000
"""A threshold that no membrane of 12 bits reaches."""


@dataclass(frozen=True)
class OneLayer:
    """Layer by event behind dense weights, or behind a convolution and sums over windows.

    Two rows of the dense weights are alike.
    """

    name: str
    update: Arithmetic | Program
    pooled: bool = False

    def tells(self, target: Target) -> tuple[Claim, ...]:
        """Nothing that other numbers would show better."""
        del target
        return ()

    def groups(self, target: Target) -> Iterator[Iterator[tuple[Network, Images]]]:
        """Yield one network."""
        if all(type(node) in target.nodes for node in self._nodes().values()):
            yield iter([self._network()])

    def _network(self) -> tuple[Network, Images]:
        nodes = self._nodes()
        net = Network(
            nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input(_SHAPE, "spikes"), _STEPS
        )
        return net, (np.random.default_rng(1).random((2, _STEPS, *_SHAPE)) < 0.75).astype(np.uint8)

    def _nodes(self) -> dict[str, Node]:
        rng = np.random.default_rng(0)
        channels = 4 if self.pooled else 6
        threshold = np.arange(3, 3 + channels, dtype=np.int32)
        others = (
            {"leak": np.arange(channels, dtype=np.int32) % 3}
            if isinstance(self.update, Program)
            else {}
        )
        binary = np.array((-1, 1), np.int8)
        before: dict[str, Node]
        if self.pooled:
            before = {
                "conv": Conv2d(rng.choice(binary, (channels, 4, 3, 3))),
                "pool": SumPool2d((2, 2), (2, 2)),
            }
        else:
            weight = rng.choice(binary, (channels, int(np.prod(_SHAPE))))
            weight[0], weight[1], threshold[0] = 1, -1, _NEVER
            before = {"flat": Flatten(), "fc": Linear(weight)}
        return {
            **before,
            "out": Neuron(threshold, np.zeros_like(threshold), self.update, parameters=others),
        }


CROSSBARS = (
    OneLayer("one_layer_by_event_to_both_rails", _FIELDS),
    OneLayer("one_layer_by_event_pooled", _FIELDS, pooled=True),
    OneLayer("one_layer_of_tinyodin_to_both_rails", TINYODIN),
)
