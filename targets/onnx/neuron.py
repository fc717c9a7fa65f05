"""One step of a neuron layer in ONNX operators on integers.

Division is done so that no reading of the standard can change it: the remainder is taken off first, then the quotient is exact.
`Mod` with `fmod=0` has the divisor's sign (floor), with `fmod=1` the dividend's (toward zero).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lehr.arithmetic import Arithmetic, State
from lehr.nodes import INT32_MAX, Neuron
from lehr.targets.onnx.graph import BOOL, INT32, INT64, UINT8, Graph


def accumulator(neuron: Neuron, current: int) -> int:
    """The type in which a layer is updated: INT32 where no intermediate result can leave it, else INT64.

    Args:
        neuron: the layer.
        current: the greatest magnitude of its summed input A.
    """
    how, synapse = neuron.fields, neuron.synapse
    drive, bias = current << how.fraction_bits, int(np.abs(neuron.bias.astype(np.int64)).max())
    most = _reach(how, (drive if synapse is None else -synapse.lowest) + bias + int(neuron.threshold.max()))
    most = most if synapse is None else max(most, _reach(synapse, drive + bias))
    return INT32 if most <= INT32_MAX else INT64


def _reach(state: State, added: int) -> int:
    """The greatest magnitude on the way from a state to the next one, when up to `added` is added to it."""
    held = -state.lowest
    product = held * (state.decay_numerator if state.decay_form == "multiply" else 1)
    return max(product, held + added + (held if state.overflow == "wrap" else 0))


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
        self.graph, self.name, self.neuron, self.dtype = graph, name, neuron, dtype
        per_channel = (-1, *[1] * (rank - 1))
        self.threshold = "" if neuron.integrates else graph.constant(neuron.threshold.reshape(per_channel), dtype, name)
        self.bias = graph.constant(neuron.bias.reshape(per_channel), dtype, name)

    def step(self, membrane: str, spiked: str | None, current: str, synapse: str | None) -> tuple[str, str, str | None]:
        """One step.

        Args:
            membrane: int32, after the step before.
            spiked: uint8, spikes of the step before; None where no reset depends on them.
            current: the summed input A, in the layer's type.
            synapse: int32, the synapse state after the step before; None where there is none.

        Returns:
            The new membrane, int32, the spikes, uint8, and the new synapse state, int32.
        """
        how = self.neuron.fields
        v = self._decay(self.graph.cast(membrane, self.dtype, self.name), how)
        if spiked is not None:
            v = self._reset(v, self.graph.cast(spiked, BOOL, self.name))
        drive, after, bias = self._op("Mul", current, self._number(1 << how.fraction_bits)), None, [self.bias]
        if synapse is not None:
            drive, after, bias = self._synapse(synapse, drive)
        v = self._bound(self.graph.total([v, drive, *bias], self.name), how)
        if self.neuron.integrates:
            fired = self._op("Less", v, v)  # nowhere
        else:
            fired = self._op("Greater" if how.fires == "gt" else "GreaterOrEqual", v, self.threshold)
        if how.reset_timing == "same_step":
            v = self._reset(v, fired)
        return self.graph.cast(v, INT32, self.name), self.graph.cast(fired, UINT8, self.name), after

    def _synapse(self, before: str, drive: str) -> tuple[str, str, list[str]]:
        """The current that the membrane takes, the same as int32, and the bias if that is still to be added."""
        synapse = self.neuron.synapse
        assert synapse is not None
        early, late = ([], [self.bias]) if synapse.bias_to == "membrane" else ([self.bias], [])
        held = self._decay(self.graph.cast(before, self.dtype, self.name), synapse)
        held = self._bound(self.graph.total([held, drive, *early], self.name), synapse)
        return held, self.graph.cast(held, INT32, self.name), late

    def _decay(self, v: str, state: State) -> str:
        if state.decay_form == "shift":
            return self._op("Sub", v, self._divide(v, state))
        return self._divide(self._op("Mul", v, self._number(state.decay_numerator)), state)

    def _divide(self, v: str, state: State) -> str:
        """`v / 2**decay_shift`, rounded."""
        divisor = self._number(1 << state.decay_shift)
        remainder = self._op("Mod", v, divisor, fmod=int(state.rounding == "toward_zero"))
        quotient = self._op("Div", self._op("Sub", v, remainder), divisor)
        if state.rounding != "nearest_even":
            return quotient
        # Up where 2 * remainder > divisor, and at equality where the quotient is odd: both sides are even, one more decides.
        odd = self._op("Mod", quotient, self._number(2))
        up = self._op("Greater", self._op("Add", self._op("Add", remainder, remainder), odd), divisor)
        return self._op("Add", quotient, self.graph.cast(up, self.dtype, self.name))

    def _reset(self, v: str, where: str) -> str:
        reset = self.neuron.fields.reset
        if reset == "none":
            return v
        return self._op("Where", where, self._number(0) if reset == "zero" else self._op("Sub", v, self.threshold), v)

    def _bound(self, v: str, state: State) -> str:
        lowest = self._number(state.lowest)
        if state.overflow == "saturate":
            return self._op("Clip", v, lowest, self._number(state.highest))
        raised = self._op("Mod", self._op("Sub", v, lowest), self._number(1 << state.state_bits))
        return self._op("Add", raised, lowest)

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.graph.op(kind, *inputs, at=self.name, **attributes)

    def _number(self, value: int) -> str:
        return self.graph.constant(value, self.dtype, self.name)


def needs_spikes_before(how: Arithmetic) -> bool:
    """Whether the update depends on the spikes of the step before."""
    return how.reset_timing == "next_step" and how.reset != "none"
