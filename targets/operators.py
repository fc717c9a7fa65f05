"""Operators that a target takes, found by small networks that are put to its own `check`.

Each network has one thing in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np

from lehr.arithmetic import (
    Arithmetic,
    BiasTo,
    DecayForm,
    Fires,
    Overflow,
    Reset,
    ResetTiming,
    Rounding,
    Synapse,
    Update,
)
from lehr.machines import MACHINES
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    Readout,
    SumPool2d,
)
from lehr.nodes import Node, Scale, Shape
from lehr.targets.contract import Target
from lehr.update import Program
from lehr.weights import KINDS

_BASE = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=16)
_FIELDS = {
    "decay_form": DecayForm,
    "rounding": Rounding,
    "reset": Reset,
    "reset_timing": ResetTiming,
    "fires": Fires,
    "overflow": Overflow,
    "update": Update,
}


def support(targets: Iterable[Target]) -> dict[str, dict[str, bool]]:
    """Return for every operator which targets (by name) map it.

    Operators are nodes, kinds of weights, values of a field of `Arithmetic`, synapse states and
    readouts.
    """
    targets = with_artefacts(targets)
    return {
        name: {target.name: not target.check(net) for target in targets}
        for name, net in probes().items()
    }


def with_artefacts(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Return the targets that something is written for: the others take nothing."""
    return tuple(target for target in targets if not target.no_artefact)


def markdown(targets: Iterable[Target]) -> str:
    """Return the table of `support` as the page docs/operators.md."""
    targets = with_artefacts(targets)
    names = [target.name for target in targets]
    rows = [
        [operator, *("yes" if maps[name] else "no" for name in names)]
        for operator, maps in support(targets).items()
    ]
    lines = [
        "| " + " | ".join(row) + " |"
        for row in (["operator", *names], ["---"] * (len(names) + 1), *rows)
    ]
    head = (
        "# What each target takes\n\nWritten by `make docs`, by asking each target's own check. "
        "By hand nothing is changed here.\n\n"
    )
    return head + "\n".join(lines) + "\n"


def probes() -> dict[str, Network]:
    """Return one network for each thing that a target may or may not take."""
    image: Shape = (2, 6, 6)
    by_value = np.arange(72, dtype=np.int32).reshape(image)
    networks = {
        "Linear": _chain((4,), fc=Linear(_ones(3, 4))),
        "Conv2d": _chain(image, conv=Conv2d(_ones(3, 2, 3, 3))),
        "Conv2d, stride 2, padding 1": _chain(
            image, conv=Conv2d(_ones(3, 2, 3, 3), (2, 2), (1, 1))
        ),
        "Conv2d, dilation 2": _chain(image, conv=Conv2d(_ones(3, 2, 3, 3), dilation=(2, 2))),
        "Conv2d, 2 groups": _chain(image, conv=Conv2d(_ones(4, 1, 3, 3), groups=2)),
        "SumPool2d": _chain(image, conv=Conv2d(_ones(3, 2, 3, 3)), pool=SumPool2d((2, 2), (2, 2))),
        "SumPool2d, overlapping, padding 1": _chain(
            image, conv=Conv2d(_ones(3, 2, 3, 3)), pool=SumPool2d((3, 3), (2, 2), (1, 1))
        ),
        "Flatten": _chain(image, flatten=Flatten(), fc=Linear(_ones(3, 72))),
        "Scale": _chain(image, gain=Scale(np.array((3, -2))), conv=Conv2d(_ones(3, 2, 3, 3))),
        "Scale by value, before Linear": _chain(
            image, gain=Scale(by_value), flatten=Flatten(), fc=Linear(_ones(3, 72))
        ),
        "Scale by value, before Conv2d": _chain(
            image, gain=Scale(by_value), conv=Conv2d(_ones(3, 2, 3, 3))
        ),
        "Delay": _chain((4,), delay=Delay(2), fc=Linear(_ones(3, 4))),
        "recurrence": _recurrent(),
        "pixels as input": replace(_chain((4,), fc=Linear(_ones(3, 4))), input=Input((4,), "u8")),
    }
    networks |= {f"weights {kind}": _chain((4,), fc=Linear(_ones(3, 4), kind)) for kind in KINDS}
    for field, values in _FIELDS.items():
        for value in get_args(values):
            needed = {"event": {"reset_timing": "same_step"}, "never": {"reset": "none"}}.get(
                value, {}
            )
            arithmetic = replace(_BASE, **{field: value, **needed})
            networks[f"{field} {value}"] = _chain((4,), arithmetic, fc=Linear(_ones(3, 4)))
    plain = _chain((4,), fc=Linear(_ones(3, 4)))
    for to in get_args(BiasTo):
        two_states = replace(
            plain.neurons["lif"],
            synapse=Synapse(decay_numerator=3, decay_shift=2, state_bits=16, bias_to=to),
        )
        networks[f"synapse state, bias to the {to}"] = replace(
            plain, nodes={**plain.nodes, "lif": two_states}
        )
    networks |= {
        f"readout {readout}": replace(plain, readout=readout) for readout in get_args(Readout)
    }
    return (
        networks
        | _by_neuron()
        | {f"update of {name}": _machine(program) for name, program in MACHINES.items()}
    )


def _by_neuron() -> dict[str, Network]:
    """Numbers that differ from neuron to neuron within a channel, and from value to value."""
    image: Shape = (2, 6, 6)
    net = _chain(image, conv=Conv2d(_ones(3, 2, 3, 3)))
    own = replace(net.neurons["lif"], threshold=np.arange(1, 49, dtype=np.int32).reshape(3, 4, 4))
    late = _chain((4,), delay=Delay(np.array((1, 3, 2, 2), np.int32)), fc=Linear(_ones(3, 4)))
    return {
        "thresholds by neuron": replace(net, nodes={**net.nodes, "lif": own}),
        "Delay by value": late,
    }


def _machine(program: Program) -> Network:
    """Return a network of neurons that update by a program."""
    given = {name: np.full(3, 2, np.int32) for name in ("bias", "threshold", *program.parameters)}
    zero = np.zeros(3, np.int32)
    first = {
        name: given.pop(name) if name in program.parameters else zero
        for name in ("threshold", "bias")
    }
    others = {name: value for name, value in given.items() if name in program.parameters}
    net = _chain((4,), fc=Linear(_ones(3, 4)))
    return replace(
        net,
        nodes={
            **net.nodes,
            "lif": Neuron(first["threshold"], first["bias"], program, parameters=others),
        },
    )


def _ones(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return np.ones(shape, np.int8)


def _chain(shape: Shape, arithmetic: Arithmetic = _BASE, **nodes: Node) -> Network:
    channels = shape[0]
    for node in nodes.values():
        channels = node.weight.shape[0] if isinstance(node, (Conv2d, Linear)) else channels
    never = arithmetic.fires == "never"
    neuron = Neuron(
        np.full(channels, 0 if never else 9, np.int32), np.ones(channels, np.int32), arithmetic
    )
    path = [INPUT, *nodes, "lif", OUTPUT]
    readout: Readout = "membrane_last_argmax_lowest" if never else "count_argmax_lowest"
    return Network(
        {**nodes, "lif": neuron}, tuple(pairwise(path)), Input(shape, "spikes"), 4, readout
    )


def _recurrent() -> Network:
    net = _chain((4,), fc=Linear(_ones(3, 4)))
    return replace(
        net,
        nodes={**net.nodes, "loop": Linear(_ones(3, 3))},
        edges=(*net.edges, ("lif", "loop"), ("loop", "lif")),
    )
