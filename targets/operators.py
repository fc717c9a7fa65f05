"""Operators that a target takes, found by small networks that are put to its own `check`.

Each network has one thing in it. A machine that computes one update alone is asked in that update
too (lehr.targets.probe_forms), as else it would refuse every network for its neurons.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, get_args

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
    Readout,
    SumPool2d,
)
from lehr.nodes import MaxPool2d, Node, Scale, Shape, Upsample2d
from lehr.targets.contract import Target
from lehr.targets.probe_forms import PARAMETERS, PLAIN, ProbeForm, deeper, forms_of
from lehr.weights import KINDS

_HEAD = """\
# What each target takes

Written by `make docs`, by asking each target's own check. By hand nothing is changed here.

A row is a small network with that one thing in it; *yes* says that the target's own check maps it.
It is put to the target with neurons of lehr's own arithmetic and with neurons in the form that the
target trains in (`lehr train --target`), with a leak and without, alone and with a layer behind
them, as there are chips on which inputs lead to hidden neurons only; one *yes* of these is enough.
So *no* says that none of these small networks maps, and *yes* says nothing of other forms.

The rows from `decay_form` to `synapse state` change one field of an arithmetic and keep the others:
a chip whose update is a program has *no* there, and *yes* where the row says `update of` and the
program's name. Sizes are no rows: images here have 2x6x6 values, which are more than Xylo's 16
inputs, so that it has *no* where there is an image. `lehr check MODEL.nir` answers for a whole
network, and the [pages of the chips](chips.md) say what each holds.

"""
_FIELDS = {
    "decay_form": DecayForm,
    "rounding": Rounding,
    "reset": Reset,
    "reset_timing": ResetTiming,
    "fires": Fires,
    "overflow": Overflow,
    "update": Update,
}

_NEEDED: dict[str, dict[str, Any]] = {
    "shift": {"decay_numerator": 7, "decay_shift": 3},
    "next_step": {"update": "step"},
    "event": {"reset_timing": "same_step"},
    "never": {"reset": "none", "update": "step"},
}
"""Fields without which a value of another is no arithmetic."""


def support(targets: Iterable[Target]) -> dict[str, dict[str, bool]]:
    """Return for every operator which targets (by name) map it.

    Operators are nodes, kinds of weights, values of a field of `Arithmetic`, synapse states and
    readouts.
    """
    targets = with_artefacts(targets)
    taken = {target.name: _taken(target) for target in targets}
    return {
        name: {target.name: name in taken[target.name] for target in targets} for name in probes()
    }


def _taken(target: Target) -> set[str]:
    """Return the operators that a target maps in one of the forms that it is asked in."""
    taken: set[str] = set()
    for form in forms_of(target):
        for name, net in probes(form).items():
            if name not in taken and not (target.check(net) and target.check(deeper(net, form))):
                taken.add(name)
    return taken


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
    return _HEAD + "\n".join(lines) + "\n"


def probes(form: ProbeForm = PLAIN) -> dict[str, Network]:
    """Return one network for each thing that a target may or may not take.

    Args:
        form: of the neurons; what is asked of fields is left out where it is a program.
    """
    chain = partial(_chain, form)
    image: Shape = (2, 6, 6)
    by_value = np.arange(72, dtype=np.int32).reshape(image)
    networks = {
        "Linear": chain((4,), fc=Linear(_ones(3, 4))),
        "Conv2d": chain(image, conv=Conv2d(_ones(3, 2, 3, 3))),
        "Conv2d, stride 2, padding 1": chain(image, conv=Conv2d(_ones(3, 2, 3, 3), (2, 2), (1, 1))),
        "Conv2d, dilation 2": chain(image, conv=Conv2d(_ones(3, 2, 3, 3), dilation=(2, 2))),
        "Conv2d, 2 groups": chain(image, conv=Conv2d(_ones(4, 1, 3, 3), groups=2)),
        "SumPool2d": chain(image, conv=Conv2d(_ones(3, 2, 3, 3)), pool=SumPool2d((2, 2), (2, 2))),
        "SumPool2d, overlapping, padding 1": chain(
            image, conv=Conv2d(_ones(3, 2, 3, 3)), pool=SumPool2d((3, 3), (2, 2), (1, 1))
        ),
        **_maxima(form, image),
        "Upsample2d": chain(image, up=Upsample2d((2, 2)), conv=Conv2d(_ones(3, 2, 3, 3))),
        "Flatten": chain(image, flatten=Flatten(), fc=Linear(_ones(3, 72))),
        "Scale": chain(image, gain=Scale(np.array((3, -2))), conv=Conv2d(_ones(3, 2, 3, 3))),
        "Scale by value, before Linear": chain(
            image, gain=Scale(by_value), flatten=Flatten(), fc=Linear(_ones(3, 72))
        ),
        "Scale by value, before Conv2d": chain(
            image, gain=Scale(by_value), conv=Conv2d(_ones(3, 2, 3, 3))
        ),
        "Delay": chain((4,), delay=Delay(2), fc=Linear(_ones(3, 4))),
        "recurrence": _recurrent(form),
        "pixels as input": replace(chain((4,), fc=Linear(_ones(3, 4))), input=Input((4,), "u8")),
    }
    networks |= {f"weights {kind}": chain((4,), fc=Linear(_ones(3, 4), kind)) for kind in KINDS}
    plain = chain((4,), fc=Linear(_ones(3, 4)))
    if isinstance(form.update, Arithmetic):
        networks |= _fields(form, form.update)
    networks |= {
        f"readout {readout}": replace(plain, readout=readout) for readout in get_args(Readout)
    }
    return networks | _by_neuron(form) | {f"update of {name}": _machine(name) for name in MACHINES}


def _maxima(form: ProbeForm, image: Shape) -> dict[str, Network]:
    """Return networks with maxima, which no neurons that update by event may follow."""
    if form.neuron(1).by_event:
        return {}
    chain = partial(_chain, form, image)
    return {
        "MaxPool2d": chain(conv=Conv2d(_ones(3, 2, 3, 3)), pool=MaxPool2d((2, 2), (2, 2))),
        "MaxPool2d, overlapping, dilated, padding 1": chain(
            conv=Conv2d(_ones(3, 2, 3, 3)), pool=MaxPool2d((2, 2), (1, 1), (1, 1), (2, 2))
        ),
    }


def _fields(form: ProbeForm, base: Arithmetic) -> dict[str, Network]:
    """Return networks with one field of an arithmetic changed, and with synapse states."""
    networks = {}
    for field, values in _FIELDS.items():
        for value in get_args(values):
            needed = _NEEDED.get(value, {})
            arithmetic = replace(base, **{field: value, **needed})
            networks[f"{field} {value}"] = _chain(
                replace(form, update=arithmetic), (4,), fc=Linear(_ones(3, 4))
            )
    if base.decay_numerator >> base.decay_shift:
        return networks  # without a leak there is no synapse state
    plain = _chain(form, (4,), fc=Linear(_ones(3, 4)))
    for to in get_args(BiasTo):
        two_states = replace(
            plain.neurons["lif"],
            synapse=Synapse(
                decay_numerator=3, decay_shift=2, state_bits=base.state_bits, bias_to=to
            ),
        )
        networks[f"synapse state, bias to the {to}"] = replace(
            plain, nodes={**plain.nodes, "lif": two_states}
        )
    return networks


def _by_neuron(form: ProbeForm) -> dict[str, Network]:
    """Numbers that differ from neuron to neuron within a channel, and from value to value."""
    image: Shape = (2, 6, 6)
    chain = partial(_chain, form)
    net = chain(image, conv=Conv2d(_ones(3, 2, 3, 3)))
    own = replace(net.neurons["lif"], threshold=form.thresholds((3, 4, 4)))
    late = chain((4,), delay=Delay(np.array((1, 3, 2, 2), np.int32)), fc=Linear(_ones(3, 4)))
    return {
        "thresholds by neuron": replace(net, nodes={**net.nodes, "lif": own}),
        "Delay by value": late,
    }


def _machine(name: str) -> Network:
    """Return a network of neurons that update as a machine does."""
    form = ProbeForm(MACHINES[name], **PARAMETERS.get(name, {}))
    return _chain(form, (4,), fc=Linear(_ones(3, 4)))


def _ones(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return np.ones(shape, np.int8)


def _chain(form: ProbeForm, shape: Shape, **nodes: Node) -> Network:
    channels = shape[0]
    for node in nodes.values():
        channels = node.weight.shape[0] if isinstance(node, (Conv2d, Linear)) else channels
    neuron = form.neuron(channels)
    path = [INPUT, *nodes, "lif", OUTPUT]
    readout: Readout = "membrane_last_argmax_lowest" if neuron.integrates else "count_argmax_lowest"
    return Network(
        {**nodes, "lif": neuron}, tuple(pairwise(path)), Input(shape, "spikes"), 4, readout
    )


def _recurrent(form: ProbeForm) -> Network:
    net = _chain(form, (4,), fc=Linear(_ones(3, 4)))
    return replace(
        net,
        nodes={**net.nodes, "loop": Linear(_ones(3, 3))},
        edges=(*net.edges, ("lif", "loop"), ("loop", "lif")),
    )
