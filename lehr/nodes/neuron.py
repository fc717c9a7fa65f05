"""Layers of neurons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import FileRefused
from lehr.nodes.base import Int32Array, Node, Shape, ShapeMismatch
from lehr.weights import frozen_array


@dataclass(frozen=True, eq=False)
class Neuron(Node):
    """A layer of neurons: integrate-and-fire, or a leaky integrator where `arithmetic.fires` is `never`.

    Attributes:
        threshold: int32 `[channels]`, each at least 1, in units of 2**-fraction_bits weights; all 0 in an integrator, which has none.
        bias: int32 `[channels]`, added every step, in the same units.
        arithmetic: how the layer computes.
        synapse: how its second state computes, the current; None where the input goes straight to the membrane.
    """

    threshold: Int32Array
    bias: Int32Array
    arithmetic: Arithmetic
    synapse: Synapse | None = None

    def __post_init__(self) -> None:
        for name in ("threshold", "bias"):
            made = frozen_array(getattr(self, name), np.int32, f"Neuron {name}")
            if made.ndim != 1 or made.size == 0:
                raise FileRefused(f"Neuron {name} has shape {made.shape}; give one integer per channel")
            object.__setattr__(self, name, made)
        if self.bias.shape != self.threshold.shape:
            raise FileRefused(f"Neuron has {self.threshold.size} thresholds and {self.bias.size} biases; give one of each per channel")
        low = int(self.threshold.min())
        if self.integrates and self.threshold.any():
            raise FileRefused(f"Neuron threshold holds {int(self.threshold.max()) or low}, but fires is 'never'; make all of them 0")
        if not self.integrates and low < 1:
            raise FileRefused(f"Neuron threshold holds {low}; a threshold is an integer of at least 1")
        if self.synapse is not None and self.arithmetic.update == "event":
            raise FileRefused("Neuron has a synapse state, which changes once a step, but update is 'event'; set it to 'step'")
        if self.synapse is not None and self.arithmetic.beta == 1:
            raise FileRefused("Neuron has a synapse state, but its membrane does not leak; use a decay below 1 or no synapse state")

    @property
    def integrates(self) -> bool:
        """Whether the neurons never fire: leaky integrators, whose membrane is read out."""
        return self.arithmetic.fires == "never"

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged; the first axis is the channels'."""
        if shape[0] != self.threshold.size:
            raise ShapeMismatch(f"has {self.threshold.size} channels but gets {shape}")
        return shape
