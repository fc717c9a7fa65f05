"""The fixed-point arithmetic of a spiking neuron, as fields.

They make two integer machines the same or different.

A membrane `V` is an integer that holds `2**fraction_bits` times the membrane in units of one
weight, and so is the current `I` of a neuron with a synapse state. `lehr.programs` says in
statements what the fields stand for, `lehr.operations` has the elementary operations. See
docs/arithmetic.md for the whole definition.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused

Int64 = npt.NDArray[np.int64]

DecayForm = Literal["multiply", "shift"]
Rounding = Literal["toward_zero", "floor", "nearest_even"]
Reset = Literal["subtract", "zero", "none"]
ResetTiming = Literal["next_step", "same_step"]
Fires = Literal["gt", "ge", "never"]
Overflow = Literal["saturate", "wrap"]
Update = Literal["step", "event"]
BiasTo = Literal["membrane", "synapse"]

MAX_SHIFT = 16
MAX_FRACTION_BITS = 16
MIN_STATE_BITS, MAX_STATE_BITS = 8, 32


def divide_by_power_of_two(value: Int64, shift: int, rounding: Rounding) -> Int64:
    """Return `value / 2**shift`, rounded to an integer as `rounding` says, exactly."""
    floor: Int64 = value >> shift
    if rounding == "floor" or shift == 0:
        return floor
    remainder = value - (floor << shift)
    if rounding == "toward_zero":
        up = (value < 0) & (remainder != 0)
    else:
        half = 1 << (shift - 1)
        up = (remainder > half) | ((remainder == half) & ((floor & 1) == 1))
    nearest: Int64 = floor + up
    return nearest


class State:
    """The leak and the width of an integer of a neuron that lives from step to step.

    The fields are those of a dataclass.

    Raises:
        FileRefused: when a field is out of its range or two fields contradict each other.
    """

    decay_form: DecayForm
    decay_numerator: int
    decay_shift: int
    rounding: Rounding
    state_bits: int
    overflow: Overflow

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):  # type: ignore[arg-type]
            value, allowed = getattr(self, field.name), get_args(hints[field.name])
            if allowed and value not in allowed:
                raise FileRefused(
                    f"{field.name} is {value!r}; use one of {', '.join(map(repr, allowed))}"
                )
            if not allowed and type(value) is not int:
                raise FileRefused(f"{field.name} is {value!r}, not an integer; give a whole number")
        self._in_range("decay_shift", 0, MAX_SHIFT)
        self._in_range("decay_numerator", 0, 1 << self.decay_shift)
        self._in_range("state_bits", MIN_STATE_BITS, MAX_STATE_BITS)
        if self.decay_form == "shift" and self.decay_numerator != (1 << self.decay_shift) - 1:
            raise FileRefused(
                f"decay_numerator is {self.decay_numerator}, but decay_form 'shift' with "
                f"decay_shift {self.decay_shift}"
                f" decays by {(1 << self.decay_shift) - 1}/{1 << self.decay_shift}; set it to "
                f"{(1 << self.decay_shift) - 1}"
            )

    def _in_range(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise FileRefused(f"{name} is {value}; use {low} to {high}")

    @property
    def beta(self) -> float:
        """The decay factor of one step, k / 2**n: an exact binary fraction."""
        return self.decay_numerator / (1 << self.decay_shift)

    @property
    def lowest(self) -> int:
        """The least value that `state_bits` holds."""
        return -(1 << (self.state_bits - 1))

    @property
    def highest(self) -> int:
        """The greatest value that `state_bits` holds."""
        return (1 << (self.state_bits - 1)) - 1


@dataclass(frozen=True)
class Arithmetic(State):
    """The computation of one layer of neurons.

    The defaults are what lehr trains: snnTorch's Leaky, in integers.

    Attributes:
        decay_form: `multiply` is `round(k * V / 2**n)`; `shift` is `V - round(V / 2**n)`. They
            differ in most values.
        decay_numerator: k, in 0..2**n. For `shift` it is 2**n - 1, so that beta = k / 2**n in both
            forms.
        decay_shift: n, in 0..16; k = 1 and n = 0 is a neuron without leak.
        rounding: of the division in the decay.
        reset: what a spike does to the membrane: subtract the threshold, set to zero, or nothing.
        reset_timing: `next_step` applies the reset in the following step's update, `same_step`
            right after the spike.
        fires: `gt` spikes where V > threshold, `ge` where V >= threshold; `never` is a leaky
            integrator, whose membrane is read out.
        fraction_bits: F, in 0..16: synaptic input is shifted left by F.
        state_bits: width of the two's-complement membrane, 8..32.
        overflow: `saturate` clips the membrane once after the update, `wrap` keeps its lowest bits.
        update: `step` tests the threshold once a step, `event` after each input event
            (docs/arithmetic.md).

    Raises:
        FileRefused: when a field is out of its range or two fields contradict each other.
    """

    decay_form: DecayForm = "multiply"
    decay_numerator: int = 1
    decay_shift: int = 0
    rounding: Rounding = "toward_zero"
    reset: Reset = "subtract"
    reset_timing: ResetTiming = "next_step"
    fires: Fires = "gt"
    fraction_bits: int = 0
    state_bits: int = 32
    overflow: Overflow = "saturate"
    update: Update = "step"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._in_range("fraction_bits", 0, MAX_FRACTION_BITS)
        if self.update == "event" and self.reset_timing != "same_step":
            raise FileRefused(
                "update 'event' resets at the event that fires, but reset_timing is 'next_step'; "
                "set it to 'same_step'"
            )
        if self.fires == "never" and self.reset != "none":
            raise FileRefused(
                f"fires is 'never', but reset is {self.reset!r} where nothing fires; set it to "
                "'none'"
            )
        if self.fires == "never" and self.update == "event":
            raise FileRefused(
                "update 'event' tests a threshold after each event, but fires is 'never'; set it "
                "to 'step'"
            )


@dataclass(frozen=True)
class Synapse(State):
    """The computation of the synapse state `I`, the current that inputs leave behind.

    In each step `I` leaks, takes the input and is brought into its width; the membrane then takes
    the new `I` in place of the input. That is the order of snnTorch's `Synaptic` (alpha is k / 2**n
    here) and of Loihi's current-based neurons.

    Attributes:
        decay_form, decay_numerator, decay_shift, rounding, state_bits, overflow: of `I`, as in
            `Arithmetic`; k is below 2**n, since a synapse that never forgets has no time constant.
        bias_to: which of the two states takes the neuron's bias in every step. A constant that
            comes with the input, as the bias of a layer of weights does, belongs to the synapse.

    Raises:
        FileRefused: when a field is out of its range or two fields contradict each other.
    """

    decay_form: DecayForm = "multiply"
    decay_numerator: int = 0
    decay_shift: int = 0
    rounding: Rounding = "toward_zero"
    state_bits: int = 32
    overflow: Overflow = "saturate"
    bias_to: BiasTo = "membrane"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decay_numerator == 1 << self.decay_shift:
            raise FileRefused(
                f"decay_numerator is {self.decay_numerator} of {1 << self.decay_shift}, but a "
                "synapse must leak; use at most"
                f" {(1 << self.decay_shift) - 1}"
            )
