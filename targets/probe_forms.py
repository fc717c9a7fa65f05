"""Forms of neurons in which a target is asked what it takes (lehr.targets.operators)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Arithmetic
from lehr.machines import MACHINES
from lehr.network import OUTPUT, Linear, Network, Neuron
from lehr.nodes import Flatten, Node, Shape
from lehr.targets.contract import Target
from lehr.update import Fire, Program

_NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class ProbeForm:
    """An update, and the numbers that its neurons have.

    Attributes:
        update: fields, or a program.
        threshold: of all neurons, in integers; also the step from one to the next where they
            differ.
        bias: of all neurons, where the update has one.
        parameters: what else a program reads.
    """

    update: Arithmetic | Program
    threshold: int = 9
    bias: int = 1
    parameters: Mapping[str, int] = field(default_factory=lambda: _NONE)

    def neuron(self, channels: int) -> Neuron:
        """Return neurons of so many channels; integrators have no threshold."""
        integers = {**self.parameters, "threshold": self.threshold, "bias": self.bias}
        if isinstance(self.update, Program):
            read = self.update.parameters
        else:
            read = ("bias",) if self.update.fires == "never" else ("bias", "threshold")
        given = {
            name: np.full(channels, integers.get(name, 2) if name in read else 0, np.int32)
            for name in ("threshold", "bias", *read)
        }
        return Neuron(given.pop("threshold"), given.pop("bias"), self.update, parameters=given)

    def thresholds(self, shape: Shape) -> npt.NDArray[np.int32]:
        """Return one threshold for each neuron, all different."""
        numbers = np.arange(1, prod(shape) + 1, dtype=np.int32) * np.int32(self.threshold)
        return numbers.reshape(shape)


_FIELDS = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=16)
PLAIN = ProbeForm(_FIELDS)
"""lehr's own arithmetic."""
PARAMETERS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "dynapcnn": {"bias": 0, "parameters": {"floor": -128}},
        "dynapcnn_by_event": {"bias": 0, "parameters": {"floor": -128}},
        "loihi": {"threshold": 64, "bias": 0, "parameters": {"du": 2048, "dv": 512}},
        "xylo": {"bias": 0},
        "reckon": {"parameters": {"alpha": 30720}},
    }
)
"""Numbers that a machine of lehr.machines has, where any would not do."""


def forms_of(target: Target) -> Iterator[ProbeForm]:
    """Yield lehr's own form, and those that a target trains in, with a leak and without."""
    yield PLAIN
    training = target.training
    if training is not None and training.machine is not None:
        for name in (training.machine, training.then):
            if name is not None:
                numbers = {"parameters": training.parameters, **PARAMETERS.get(name, {})}
                yield ProbeForm(MACHINES[name], **numbers)
        return
    own = _fields_of(target)
    form = ProbeForm(
        own,
        threshold=9 if training is None else max(9, training.multiple),
        bias=int(training is not None and training.biases),
    )
    yield form
    if own.decay_form == "multiply":
        yield replace(form, update=replace(own, decay_numerator=1, decay_shift=0))


def _fields_of(target: Target) -> Arithmetic:
    """Return lehr's own arithmetic with what a target has instead."""
    has = target.arithmetics
    fields: dict[str, Any] = {
        "state_bits": min(has.max_state_bits, _FIELDS.state_bits),
        "fraction_bits": min(has.max_fraction_bits, _FIELDS.fraction_bits),
    }
    for name in has.CHOICES:
        values = getattr(has, name)
        if values and getattr(_FIELDS, name) not in values:
            fields[name] = values[0]
    fields |= target.example_fields
    if target.training is not None:
        bits = target.training.fraction_bits
        fields |= {} if bits is None else {"fraction_bits": bits}
        fields |= target.training.arithmetic
    return replace(_FIELDS, **fields)


def deeper(net: Network, form: ProbeForm) -> Network:
    """Return a probing network with one more layer behind, whose neurons fire once a step at most.

    There are chips on which inputs lead to hidden neurons alone, outputs fire once, and membranes
    are read out of neurons that never fire.

    Args:
        net: whose neurons are called lif; where they never fire, they are the layer behind.
        form: of the neurons before those.
    """
    hidden = net.neurons["lif"]
    shape = net.shapes["lif"]
    ones = np.ones(3, np.int32)
    last = replace(
        hidden,
        threshold=ones * hidden.threshold.flat[0],
        bias=ones * hidden.bias.flat[0],
        parameters={name: ones * value.flat[0] for name, value in hidden.parameters.items()},
    )
    if hidden.integrates:
        hidden = form.neuron(hidden.bias.size)
    elif isinstance(last.arithmetic, Program):
        last = replace(last, arithmetic=_firing_once(last.arithmetic))
    elif net.readout != "count_argmax_lowest" and last.arithmetic.update == "step":
        silent = replace(last.arithmetic, fires="never", reset="none")
        last = replace(last, threshold=0 * ones, arithmetic=silent)
    flat: dict[str, Node] = {"flat": Flatten()} if len(shape) > 1 else {}
    added = {**flat, "behind": Linear(np.ones((3, prod(shape)), np.int8)), "out": last}
    path = ("lif", *added, OUTPUT)
    edges = tuple(edge for edge in net.edges if edge != ("lif", OUTPUT))
    return replace(
        net, nodes={**net.nodes, "lif": hidden, **added}, edges=(*edges, *pairwise(path))
    )


def _firing_once(update: Program) -> Program:
    statements = (replace(s, up_to=1) if isinstance(s, Fire) else s for s in update.statements)
    return Program(tuple(statements), update.membrane)
