"""Golden networks for machines with one of each parameter a layer, in coarse units, as Loihi has.

All other machines are tried on them as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.machines import LOIHI
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron, Readout
from lehr.nodes import Node
from lehr.targets.conformance.building import Images
from lehr.targets.conformance.claims import Claim
from lehr.targets.contract import Target
from lehr.update import Add, Bound, Fire, Leak, Put
from lehr.update_text import lines_of, program_of_lines

UNIT = 64
STEPS = 16
RAIL = 8_388_544
"""The highest threshold of the machine, 63 below the end of the membrane's range."""


@dataclass(frozen=True)
class ByLayer:
    """A golden network with the same parameters for all neurons of a layer.

    Attributes:
        make: it, for a readout, and samples.
        kinds: of statements that it is there to exercise; none where its update is in fields.
        readout: of the network, where the target has it.
    """

    name: str
    make: Callable[[Readout], tuple[Network, Images]]
    kinds: tuple[type, ...] = ()
    readout: Readout = "count_argmax_lowest"

    def tells(self, target: Target) -> tuple[Claim, ...]:
        """Return the kinds of statements."""
        return tuple(Claim("statement", kind) for kind in self.kinds if kind in target.statements)

    def groups(self, target: Target) -> Iterator[Iterator[tuple[Network, Images]]]:
        """Yield the one network, in the target's readout."""
        yield iter(
            [self.make(self.readout if self.readout in target.readouts else target.readouts[0])]
        )


def _two_states(readout: Readout) -> tuple[Network, Images]:
    """Return two layers of Loihi's neurons, with biases."""
    rng = np.random.default_rng(5)
    nodes: dict[str, Node] = {
        "fc_hidden": Linear(rng.choice(np.array((-1, 1), np.int8), (10, 14))),
        "hidden": _loihi(10, 4 * UNIT, 2100, 3700, UNIT * rng.integers(-2, 3, 10)),
        "fc_out": Linear(rng.choice(np.array((-1, 1), np.int8), (5, 10))),
        "out": _loihi(5, 2 * UNIT, 1000, 3900, UNIT * rng.integers(-1, 2, 5)),
    }
    net = Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((14,), "spikes"), STEPS, readout
    )
    return net, (rng.random((4, STEPS, 14)) < 0.4).astype(np.uint8)


def _in_numbers(readout: Readout) -> tuple[Network, Images]:
    """Return the same neurons with their numbers in the program.

    Each of its statements can then be left out.
    """
    rng = np.random.default_rng(8)
    lines = [
        line.replace("du", "2100").replace("dv", "3700").replace("threshold", str(2 * UNIT))
        for line in lines_of(LOIHI)
    ]
    none = np.zeros(6, np.int32)
    out = Neuron(none, none, program_of_lines(lines, LOIHI.membrane))
    nodes: dict[str, Node] = {
        "fc": Linear(rng.choice(np.array((-1, 1), np.int8), (6, 14))),
        "out": out,
    }
    net = Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((14,), "spikes"), STEPS, readout
    )
    return net, (rng.random((4, STEPS, 14)) < 0.4).astype(np.uint8)


def _at_the_rails(readout: Readout) -> tuple[Network, Images]:
    """Currents that wrap, and membranes that saturate upwards and downwards."""
    weight = np.full((6, 200), 127, np.int8)
    weight[1::2] = -127
    weight[4:] = np.random.default_rng(3).integers(-127, 128, (2, 200))
    nodes: dict[str, Node] = {
        "fc": Linear(weight, "int8"),
        "out": _loihi(6, RAIL, 4095, 4090, np.zeros(6, np.int64)),
    }
    net = Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((200,), "spikes"), STEPS, readout
    )
    return net, (np.random.default_rng(4).random((3, STEPS, 200)) < 0.7).astype(np.uint8)


def _loihi(
    size: int, threshold: int, du: int, dv: int, bias: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Neuron:
    alike = {"du": np.full(size, du, np.int32), "dv": np.full(size, dv, np.int32)}
    return Neuron(
        np.full(size, threshold, np.int32), bias.astype(np.int32), LOIHI, parameters=alike
    )


def _all_bits(readout: Readout) -> tuple[Network, Images]:
    """Membranes of 24 bits that stay within them."""
    arithmetic = Arithmetic(reset="zero", reset_timing="same_step", fraction_bits=7, state_bits=24)
    weight = np.full((4, 30), 127, np.int8)
    weight[1:] = np.random.default_rng(6).integers(-127, 128, (3, 30))
    lif = Neuron(np.full(4, 4_400_000 // UNIT * UNIT, np.int32), np.zeros(4, np.int32), arithmetic)
    low = Neuron(np.full(4, UNIT, np.int32), np.zeros(4, np.int32), arithmetic)
    one = Linear(np.eye(4, dtype=np.int8), "ternary")
    nodes: dict[str, Node] = {
        "fc": Linear(weight, "int8"),
        "hidden": lif,
        "fc_out": one,
        "out": low,
    }
    net = Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((30,), "spikes"), STEPS, readout
    )
    return net, np.ones((2, STEPS, 30), np.uint8)


BY_LAYER = (
    ByLayer("machine_loihi_by_layer", _two_states),
    ByLayer(
        "machine_loihi_in_numbers",
        _in_numbers,
        (Leak, Add, Fire, Put),
        "membrane_sum_argmax_lowest",
    ),
    ByLayer("machine_loihi_at_its_rails", _at_the_rails, (Bound,)),
    ByLayer("all_of_24_bits", _all_bits),
)
