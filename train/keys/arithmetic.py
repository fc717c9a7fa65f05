"""`[network.arithmetic]` of a recipe: how neurons compute, in fields or as a machine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from lehr.arithmetic import (
    MAX_STATE_BITS,
    MIN_STATE_BITS,
    DecayForm,
    Overflow,
    Reset,
    ResetTiming,
    Rounding,
)
from lehr.machines import MACHINES
from lehr.spelling import one_of
from lehr.strict import LIST, Strict

FIELDS = ("decay_form", "rounding", "reset", "reset_timing", "fires", "overflow", "state_bits")
"""The fields of `lehr.arithmetic.Arithmetic` that stand here.

The decay is `network.beta`, fraction bits are each layer's.
"""


class ArithmeticRecipe(Strict):
    """Arithmetic of neurons: fields of `lehr.arithmetic.Arithmetic`, or a machine with all of them.

    Phase A computes the same update in floats, without rounding and bounds.

    Attributes:
        decay_form, rounding, reset, reset_timing, fires, overflow: as in `Arithmetic`, whose
            defaults hold for what is not given.
        state_bits: of the membrane, for good; the least that provably never saturate if None.
        machine: a name in `lehr.machines.MACHINES`.
        parameters: what the machine's program reads beside threshold and bias, by name: an integer,
            or a list of one for each layer.
        output_spikes: the most spikes that a neuron of the last layer fires in a step; as many as
            the machine does if None.
    """

    decay_form: DecayForm | None = None
    rounding: Rounding | None = None
    reset: Reset | None = None
    reset_timing: ResetTiming | None = None
    fires: Literal["gt", "ge"] | None = None
    overflow: Overflow | None = None
    state_bits: Annotated[int, Field(ge=MIN_STATE_BITS, le=MAX_STATE_BITS)] | None = None
    machine: str | None = None
    parameters: dict[str, int | Annotated[tuple[int, ...], LIST]] = Field(default_factory=dict)
    output_spikes: Annotated[int, Field(ge=1)] | None = None

    @field_validator("machine")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in MACHINES:
            raise ValueError(one_of(value, MACHINES))
        return value

    @field_validator("parameters", mode="before")
    @classmethod
    def _integers(cls, value: Any) -> Any:
        for name, each in value.items() if isinstance(value, dict) else ():
            if any(
                type(number) is not int
                for number in (each if isinstance(each, (list, tuple)) else [each])
            ):
                raise ValueError(
                    f"{name} is {each!r}, but a parameter is a whole number, or a list of one for "
                    "each layer"
                )
        return value

    @property
    def fields(self) -> dict[str, str | int]:
        """The fields that are given, by name."""
        return {name: value for name in FIELDS if (value := getattr(self, name)) is not None}

    @property
    def keeps_widths(self) -> bool:
        """Whether registers have the widths that are stated here.

        Else they have the least that hold what training leaves.
        """
        return self.machine is not None or self.state_bits is not None
