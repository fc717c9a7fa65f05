"""One step of a neuron layer in ONNX operators on integers.

Division is done so that no reading of the standard can change it: the remainder is taken off first, then the quotient is exact.
`Mod` with `fmod=0` has the divisor's sign (floor), with `fmod=1` the dividend's (toward zero).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.nodes import INT32_MAX, Neuron
from lehr.targets.onnx.graph import BOOL, INT32, INT64, UINT8, Graph


def accumulator(neuron: Neuron, current: int) -> int:
    """The type in which a layer is updated: INT32 where no intermediate result can leave it, else INT64.

    Args:
        neuron: the layer.
        current: the greatest magnitude of its summed input A.
    """
    how = neuron.arithmetic
    held = -how.lowest
    product = held * (how.decay_numerator if how.decay_form == "multiply" else 1)
    drive = (current << how.fraction_bits) + int(np.abs(neuron.bias.astype(np.int64)).max())
    total = held + drive + int(neuron.threshold.max()) + (held if how.overflow == "wrap" else 0)
    return INT32 if max(product, total) <= INT32_MAX else INT64


class Layer:
    """The operators of one neuron layer.

    Args:
        graph: to which they are added.
        name: of the layer.
        neuron: the layer.
        rank: number of axes of its shape, without batch.
        dtype: of the update, from `accumulator`.
    """

    def __init__(self, graph: Graph, name: str, neuron: Neuron, rank: int, dtype: int) -> None:
        self.graph, self.name, self.how, self.dtype = graph, name, neuron.arithmetic, dtype
        per_channel = (-1, *[1] * (rank - 1))
        self.threshold = graph.constant(neuron.threshold.reshape(per_channel), dtype, name)
        self.bias = graph.constant(neuron.bias.reshape(per_channel), dtype, name)

    def step(self, membrane: str, spiked: str | None, current: str) -> tuple[str, str]:
        """One step.

        Args:
            membrane: int32, after the step before.
            spiked: uint8, spikes of the step before; None where no reset depends on them.
            current: the summed input A, in the layer's type.

        Returns:
            The new membrane, int32, and spikes, uint8.
        """
        how = self.how
        v = self._decay(self.graph.cast(membrane, self.dtype, self.name))
        if spiked is not None:
            v = self._reset(v, self.graph.cast(spiked, BOOL, self.name))
        v = self._op("Add", self._op("Add", v, self._op("Mul", current, self._number(1 << how.fraction_bits))), self.bias)
        v = self._bound(v)
        fired = self._op("Greater" if how.fires == "gt" else "GreaterOrEqual", v, self.threshold)
        if how.reset_timing == "same_step":
            v = self._reset(v, fired)
        return self.graph.cast(v, INT32, self.name), self.graph.cast(fired, UINT8, self.name)

    def _decay(self, v: str) -> str:
        if self.how.decay_form == "shift":
            return self._op("Sub", v, self._divide(v))
        return self._divide(self._op("Mul", v, self._number(self.how.decay_numerator)))

    def _divide(self, v: str) -> str:
        """`v / 2**decay_shift`, rounded."""
        divisor = self._number(1 << self.how.decay_shift)
        remainder = self._op("Mod", v, divisor, fmod=int(self.how.rounding == "toward_zero"))
        quotient = self._op("Div", self._op("Sub", v, remainder), divisor)
        if self.how.rounding != "nearest_even":
            return quotient
        # Up where 2 * remainder > divisor, and at equality where the quotient is odd: both sides are even, one more decides.
        odd = self._op("Mod", quotient, self._number(2))
        up = self._op("Greater", self._op("Add", self._op("Add", remainder, remainder), odd), divisor)
        return self._op("Add", quotient, self.graph.cast(up, self.dtype, self.name))

    def _reset(self, v: str, where: str) -> str:
        if self.how.reset == "none":
            return v
        return self._op("Where", where, self._number(0) if self.how.reset == "zero" else self._op("Sub", v, self.threshold), v)

    def _bound(self, v: str) -> str:
        lowest, how = self._number(self.how.lowest), self.how
        if how.overflow == "saturate":
            return self._op("Clip", v, lowest, self._number(how.highest))
        raised = self._op("Mod", self._op("Sub", v, lowest), self._number(1 << how.state_bits))
        return self._op("Add", raised, lowest)

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.graph.op(kind, *inputs, at=self.name, **attributes)

    def _number(self, value: int) -> str:
        return self.graph.constant(value, self.dtype, self.name)


def needs_spikes_before(how: Arithmetic) -> bool:
    """Whether the update depends on the spikes of the step before."""
    return how.reset_timing == "next_step" and how.reset != "none"
