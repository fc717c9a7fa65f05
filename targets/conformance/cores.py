"""Golden networks whose layers share one number among their neurons, and take events one by one.

Machines with few registers hold them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lehr.machines import DYNAPCNN_BY_EVENT
from lehr.network import OUTPUT, Input, Network, Neuron, Readout, SumPool2d
from lehr.nodes import Int32Array
from lehr.targets.conformance.building import Builder, Images
from lehr.targets.conformance.claims import Claim
from lehr.targets.contract import Target
from lehr.weights import LARGEST, WeightKind

STEPS = 6
SCALES = (2, 4, 1, 8)
"""By which the greatest weight is multiplied, to give a threshold, one after the other."""
FLOOR = -6


@dataclass(frozen=True)
class SharedInLayers:
    """Two convolutions, a sum over squares between them, and a dense layer.

    Thresholds and floors are by layer, biases at most 0.

    Attributes:
        kinds: of weights, one for each of the three layers.
        readout: of the network.
    """

    name: str
    kinds: tuple[WeightKind, WeightKind, WeightKind]
    readout: Readout = "count_argmax_lowest"

    def tells(self, target: Target) -> tuple[Claim, ...]:
        """Return the kinds of weights, the readout and the statements."""
        kinds = dict.fromkeys(kind for kind in self.kinds if kind in target.weights)
        readout = (self.readout,) if self.readout in target.readouts else ()
        statements = dict.fromkeys(
            type(s) for s in DYNAPCNN_BY_EVENT.all if type(s) in target.statements
        )
        claims = [
            *(Claim("weights", kind) for kind in kinds),
            *(Claim("readout", each) for each in readout),
        ]
        return (*claims, *(Claim("statement", kind) for kind in statements))

    def groups(self, target: Target) -> Iterator[Iterator[tuple[Network, Images]]]:
        """Yield one form, with thresholds of several sizes."""
        taken = [kind if kind in target.weights else target.weights[0] for kind in self.kinds]
        readout = self.readout if self.readout in target.readouts else target.readouts[0]
        if {type(s) for s in DYNAPCNN_BY_EVENT.all} <= target.statements:
            yield (
                self._network((taken[0], taken[1], taken[2]), readout, scale) for scale in SCALES
            )

    def _network(
        self, kinds: tuple[WeightKind, WeightKind, WeightKind], readout: Readout, scale: int
    ) -> tuple[Network, Images]:
        rng = np.random.default_rng(5)
        net = Builder(Input((2, 6, 6), "spikes"), rng, (kinds[0],))
        net.conv("conv1", 4, (3, 3), padding=(1, 1))
        self._neurons(net, "n1", scale * LARGEST[kinds[0]])
        net.add("pool", SumPool2d((2, 2), (2, 2)))
        net.kinds = (kinds[1],)
        net.conv("conv2", 6, (2, 2))
        self._neurons(net, "n2", scale * LARGEST[kinds[1]])
        net.kinds = (kinds[2],)
        net.linear("fc", 4)
        self._neurons(net, "out", scale * LARGEST[kinds[2]])
        result = Network(net.nodes, (*net.edges, (net.here, OUTPUT)), net.input, STEPS, readout)
        return result, (rng.random((3, STEPS, 2, 6, 6)) < 0.3).astype(np.uint8)

    def _neurons(self, net: Builder, name: str, threshold: int) -> None:
        def all_of(value: int) -> Int32Array:
            return np.full(net.shape[0], value, np.int32)

        bias = np.resize(np.array([0, -1, -2], np.int32), net.shape[0])
        net.add(
            name,
            Neuron(
                all_of(threshold),
                bias,
                DYNAPCNN_BY_EVENT,
                parameters={"floor": all_of(FLOOR * threshold // 4 - 1)},
            ),
        )


CORES = (
    SharedInLayers("cores", ("binary", "ternary", "int2")),
    SharedInLayers(
        "cores_of_int3_to_int5", ("int3", "int4", "int5"), "membrane_last_argmax_lowest"
    ),
    SharedInLayers("cores_of_int6_to_int8", ("int6", "int7", "int8")),
)
