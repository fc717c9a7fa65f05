"""Golden networks in the form of Xylo's core.

It has at most 16 inputs and 8 outputs, which fire once a step; all other neurons fire up to 31
times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from lehr.machines import XYLO
from lehr.network import INPUT, OUTPUT, Input, Network, Readout
from lehr.nodes import Conv2d, Delay, Flatten, Linear, Neuron, Node, Shape, SumPool2d
from lehr.targets.conformance.building import Images
from lehr.targets.conformance.claims import Claim
from lehr.targets.contract import Target
from lehr.update import INPUT as SUM
from lehr.update import Add, Bound, Decay, Fire, Leak, Program
from lehr.weights import LARGEST, WeightKind

STEPS = 16
ONCE = Program(tuple(replace(s, up_to=1) if isinstance(s, Fire) else s for s in XYLO.statements))
"""The update of an output."""
INTEGRATOR = Program(
    tuple(
        replace(s, decay=Decay("dash", 0, 2)) if isinstance(s, Leak) else s
        for s in XYLO.statements[:-2]
    )
)
"""The update of an output that never fires, with numbers in place of parameters."""
KINDS: Mapping[Readout, tuple[WeightKind, WeightKind, WeightKind]] = {
    "membrane_last_argmax_lowest": ("int5", "binary", "int2"),
    "membrane_sum_argmax_lowest": ("int6", "int2", "int3"),
    "membrane_max_argmax_lowest": ("int7", "int3", "binary"),
}
"""Weights of the input, within the hidden layer, and of the outputs, by readout."""
WIDE = 7
"""Places by which sums are shifted on the way to the rails."""


@dataclass(frozen=True)
class OnXylo:
    """A golden network of Xylo's neurons."""

    name: str
    make: Callable[[], Network]
    claims: tuple[Claim, ...] = ()

    def tells(self, target: Target) -> tuple[Claim, ...]:
        """Statements, kinds of weights, a readout."""
        stated: Mapping[str, object] = {
            "statement": target.statements,
            "readout": target.readouts,
            "weights": target.weights,
        }
        return tuple(claim for claim in self.claims if claim.value in stated[claim.name])  # type: ignore[operator]

    def groups(self, target: Target) -> Iterator[Iterator[tuple[Network, Images]]]:
        """Yield the network, where the target has its statements."""
        net = self.make()
        if {
            type(s) for neuron in net.neurons.values() for s in neuron.program.all
        } <= target.statements:
            x = np.random.default_rng(5).random((4, STEPS, *net.input.shape)) < 0.4
            yield iter([(net, x.astype(np.uint8))])


def maps() -> Network:
    """Return a convolution, pooling, dense layers and a delay of one step.

    They have weights of every kind and parameters by neuron.
    """
    rng = np.random.default_rng(1)
    nodes: dict[str, Node] = {
        "conv": Conv2d(_weights(rng, "int8", 3, 1, 3, 3), padding=(1, 1), kind="int8"),
        "maps": _neurons(rng, XYLO, (3, 4, 4), 400),
        "slow_maps": Delay(1),
        "pool": SumPool2d((2, 2), (2, 2)),
        "flat": Flatten(),
        "fc_hidden": Linear(_weights(rng, "ternary", 12, 12), "ternary"),
        "hidden": _neurons(rng, XYLO, (12,), 5),
        "slow_hidden": Delay(1),
        "fc_more": Linear(_weights(rng, "int4", 9, 12), "int4"),
        "more": _neurons(rng, XYLO, (9,), 24),
        "slow_more": Delay(1),
        "fc_out": Linear(_weights(rng, "binary", 6, 9)),
        "out": _neurons(rng, ONCE, (6,), 4),
    }
    return Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((1, 4, 4), "spikes"), STEPS
    )


def rails() -> Network:
    """Return synapses and membranes that come to both ends of 16 bits.

    All weights of a neuron have one sign there.
    """
    rng = np.random.default_rng(2)
    weight = (
        rng.integers(60, 127, (10, 14), np.int8)
        * np.where(np.arange(10) % 3 == 0, -1, 1).astype(np.int8)[:, None]
    )
    wide = Program(
        tuple(
            replace(s, shift=WIDE) if isinstance(s, Add) and s.source == SUM else s
            for s in XYLO.statements
        )
    )
    nodes: dict[str, Node] = {
        "fc_hidden": Linear(weight, "int8"),
        "hidden": _neurons(rng, wide, (10,), 21_000),
        "fc_out": Linear(
            np.where(np.arange(5) % 2 == 0, 1, -1).astype(np.int8)[:, None]
            * np.ones((5, 10), np.int8)
        ),
        "out": _neurons(rng, ONCE, (5,), 60, biased=False),
    }
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((14,), "spikes"), STEPS)


def integrators(readout: Readout) -> Network:
    """Return a layer that hears itself, and outputs whose membranes are read."""
    rng, (into, own, out) = np.random.default_rng(3), KINDS[readout]
    silent = np.zeros(4, np.int32)
    nodes: dict[str, Node] = {
        "fc_hidden": Linear(_weights(rng, into, 12, 10), into),
        "hidden": _neurons(rng, XYLO, (12,), 4 * LARGEST[into]),
        "fc_out": Linear(_weights(rng, out, 4, 12), out),
        "out": Neuron(silent, silent, INTEGRATOR),
    }
    edges = (*pairwise((INPUT, *nodes, OUTPUT)), ("hidden", "self"), ("self", "hidden"))
    return Network(
        {**nodes, "self": Linear(_weights(rng, own, 12, 12), own)},
        edges,
        Input((10,), "spikes"),
        STEPS,
        readout,
    )


def _neurons(
    rng: np.random.Generator, program: Program, shape: Shape, threshold: int, biased: bool = True
) -> Neuron:
    bias = rng.integers(-3, 4, shape, np.int32) if biased else np.zeros(shape, np.int32)
    others = {
        name: rng.integers(low, high + 1, shape, np.int32)
        for name, low, high in (("dash_mem", 1, 4), ("dash_syn", 1, 3))
    }
    return Neuron(
        rng.integers(threshold // 2, threshold * 3 // 2 + 1, shape, np.int32),
        bias,
        program,
        parameters=others,
    )


def _weights(
    rng: np.random.Generator, kind: WeightKind, *shape: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    if kind == "binary":
        return rng.choice(np.array((-1, 1), np.int8), shape)
    return rng.integers(-LARGEST[kind], LARGEST[kind], shape, np.int8, endpoint=True)


ON_XYLO = (
    OnXylo(
        "xylo_maps", maps, tuple(Claim("weights", kind) for kind in ("ternary", "int4", "int8"))
    ),
    OnXylo("xylo_at_its_rails", rails, (Claim("statement", Bound),)),
    *(
        OnXylo(f"xylo_{readout}", partial(integrators, readout), (Claim("readout", readout),))
        for readout in KINDS
    ),
)
