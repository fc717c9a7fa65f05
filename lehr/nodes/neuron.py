"""Layers of neurons: their parameters and their update, a program (lehr/update.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from lehr.arithmetic import Arithmetic, Int64, Synapse
from lehr.errors import FileRefused, NotMappable
from lehr.nirneurons import TYPES, NirNeuron, nir_neuron
from lehr.nirnodes import Fields
from lehr.nodes.base import Int32Array, Node, Shape, ShapeMismatch
from lehr.nodes.neuron_file import arguments_of, exact_fields, laid_out
from lehr.nodes.parameters import check_parameters, parameter_array
from lehr.programs import CURRENT, program_of, with_widths
from lehr.update import MEMBRANE, Program

_FIRST = ("threshold", "bias")


@dataclass(frozen=True, eq=False)
class Neuron(Node):
    """A layer of neurons: integrate-and-fire, or integrators where the update has no Fire.

    A parameter is an integer by channel, int32 `[channels]`, or by neuron, int32 of the layer's own
    shape; one by neuron that is the same all over each channel is kept by channel.

    Attributes:
        threshold: each at least 1, in units of 2**-fraction_bits weights; all 0 where the update
            reads none, as in an integrator.
        bias: added every step, in the same units; all 0 where the update reads none.
        arithmetic: the update in fields, or as a program that no fields say.
        synapse: the fields of the second state, the current; None where the input goes straight to
            the membrane, and beside a program.
        parameters: what else a program reads, by name.

    Raises:
        FileRefused: when a parameter is missing, not read, of another shape, or out of the range
            that its use has.
    """

    nir_types = TYPES

    threshold: Int32Array
    bias: Int32Array
    arithmetic: Arithmetic | Program
    synapse: Synapse | None = None
    parameters: Mapping[str, Int32Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _FIRST:
            object.__setattr__(self, name, parameter_array(getattr(self, name), f"Neuron {name}"))
        others = {
            name: parameter_array(value, f"Neuron {name}")
            for name, value in sorted(self.parameters.items())
        }
        object.__setattr__(self, "parameters", MappingProxyType(others))
        self._check_fields()
        for name in (
            name
            for name in _FIRST
            if name not in self.program.parameters and getattr(self, name).any()
        ):
            worst = int(getattr(self, name)[getattr(self, name) != 0].flat[0])
            if name == "threshold" and self.integrates:
                raise FileRefused(
                    f"Neuron threshold holds {worst}, but fires is 'never'; make all of them 0"
                )
            raise FileRefused(
                f"Neuron {name} holds {worst}, but its update reads none; make all of them 0"
            )
        check_parameters(self.program, self.values)

    def _check_fields(self) -> None:
        if self.bias.shape[0] != self.threshold.shape[0]:
            raise FileRefused(
                f"Neuron has {len(self.threshold)} thresholds and {len(self.bias)} biases; give "
                "one of each per channel"
            )
        if isinstance(self.arithmetic, Program):
            if self.synapse is not None:
                raise FileRefused(
                    "Neuron has a program and a synapse state beside it; say the synapse state in "
                    "the program"
                )
            return
        if self.parameters:
            raise FileRefused(
                f"Neuron has {next(iter(self.parameters))}, which the fields of its arithmetic do "
                "not read; remove it"
            )
        if self.synapse is not None and self.arithmetic.update == "event":
            raise FileRefused(
                "Neuron has a synapse state, which changes once a step, but update is 'event'; set "
                "it to 'step'"
            )
        if self.synapse is not None and self.arithmetic.beta == 1:
            raise FileRefused(
                "Neuron has a synapse state, but its membrane does not leak; use a decay below 1 "
                "or no synapse state"
            )

    @cached_property
    def program(self) -> Program:
        """The update of one step."""
        return (
            self.arithmetic
            if isinstance(self.arithmetic, Program)
            else program_of(self.arithmetic, self.synapse)
        )

    @property
    def fields(self) -> Arithmetic:
        """The update in fields.

        Raises:
            NotMappable: when it is a program that no fields say.
        """
        if isinstance(self.arithmetic, Program):
            raise NotMappable(
                "its update is a program of its own, which no fields of Arithmetic say; use a "
                "station that takes programs"
            )
        return self.arithmetic

    @property
    def integrates(self) -> bool:
        """True if the neurons never fire: integrators, whose membrane is read out."""
        return not self.program.fires

    @property
    def by_event(self) -> bool:
        """True if the neurons take the events of a step one after another."""
        return self.program.loop is not None

    @property
    def channels(self) -> int:
        """The length of the layer's first axis."""
        return len(self.threshold)

    @property
    def values(self) -> Mapping[str, Int32Array]:
        """All parameters by name, those that the update does not read included."""
        return {"threshold": self.threshold, "bias": self.bias, **self.parameters}

    @property
    def per_neuron(self) -> tuple[str, ...]:
        """The parameters that differ within a channel."""
        return tuple(name for name, value in self.values.items() if value.ndim > 1)

    def spread(self, name: str, shape: Shape) -> Int64:
        """Return a parameter as a read-only view of int64 in the layer's shape."""
        value = self.values[name].astype(np.int64)
        return np.broadcast_to(value.reshape(*value.shape, *[1] * (len(shape) - value.ndim)), shape)

    def with_bits(self, bits: Mapping[str, int]) -> Neuron:
        """Return the same neurons with registers of other widths, by name.

        In an update in fields `v` is the membrane and `i` the synapse state.
        """
        if isinstance(self.arithmetic, Program):
            return replace(self, arithmetic=with_widths(self.arithmetic, dict(bits)))
        synapse = self.synapse
        if synapse is not None and CURRENT in bits:
            synapse = replace(synapse, state_bits=bits[CURRENT])
        membrane = replace(
            self.arithmetic, state_bits=bits.get(MEMBRANE, self.arithmetic.state_bits)
        )
        return replace(self, arithmetic=membrane, synapse=synapse)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape; the first axis is the channels'."""
        if shape[0] != self.channels:
            raise ShapeMismatch(f"has {self.channels} channels but gets {shape}")
        for name in self.per_neuron:
            if self.values[name].shape != shape:
                raise ShapeMismatch(
                    f"has a {name} of shape {self.values[name].shape} but gets {shape}"
                )
        return shape

    @cached_property
    def nir(self) -> NirNeuron:
        """The type of NIR that is nearest, and what it lacks."""
        return nir_neuron(self.program, self.values)

    def nir_fields(self, taken: Shape) -> dict[str, Any]:
        """Return the fields of the nearest type of NIR; the exact meaning stands in the block."""
        return {
            "type": self.nir.kind,
            **laid_out(self.nir.fields, taken),
            "metadata": exact_fields(self),
        }

    @classmethod
    def of_nir(cls, fields: Fields) -> Neuron:
        """Return the neurons that the block describes, with NIR's own thresholds."""
        return cls(**arguments_of(fields))
