"""What the neurons of one layer of a recipe compute: decays, reset, adaptation.

A decay is the text of a fraction k/2**n, or a table: it is learned then.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lehr.arithmetic import MAX_SHIFT, Reset
from lehr.strict import Positive, Strict


def nearest_dyadic(beta: Fraction | float, shift: int = 8) -> Fraction:
    """Return the fraction k/2**shift nearest to `beta`, within 0..1."""
    return Fraction(min(1 << shift, max(0, round(beta * (1 << shift)))), 1 << shift)


def binary_digits(factor: Fraction) -> int:
    """Return n of a fraction k/2**n in lowest terms."""
    return factor.denominator.bit_length() - 1


def dyadic(value: Any) -> str:
    """Return a decay as the text that it was given as.

    Raises:
        ValueError: when it is no fraction k/2**n in 0..1 with n up to MAX_SHIFT.
    """
    factor = _fraction(value)
    if (
        not 0 <= factor <= 1
        or factor.denominator & (factor.denominator - 1)
        or factor.denominator > 1 << MAX_SHIFT
    ):
        raise ValueError(
            "no integer machine decays by it exactly; use k/2^n in 0..1 with n <= "
            f"{MAX_SHIFT}, such as '{nearest_dyadic(factor)}'"
        )
    return str(value)


def _fraction(value: Any) -> Fraction:
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError("write it as a fraction k/2^n, such as '7/8'") from None


Dyadic = Annotated[str, BeforeValidator(dyadic, json_schema_input_type=str | float)]


class Decay(Strict):
    """Decay per step of a state of a layer's neurons: `"7/8"`, or a table where it is learned.

    Attributes:
        start: a fraction k/2**n; where it is learned, any between 0 and 1, from which phase A sets
            out.
        learn: one factor for the `layer`, or one for each `channel`; None where it stays `start`.
        bits: n of the k/2**n that a learned one is rounded to where the network is folded; it
            stays so in phases B and C.
    """

    start: str
    learn: Literal["layer", "channel"] | None = None
    bits: Annotated[int, Field(ge=1, le=MAX_SHIFT)] = 8

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        if isinstance(value, dict):
            if "start" in value and "learn" not in value:
                raise ValueError(
                    "a table is for a decay that is learned; add learn = 'layer' or 'channel', or "
                    "write the fraction alone, such as '7/8'"
                )
            return value
        return value if isinstance(value, Decay) else {"start": dyadic(value)}

    @field_validator("start", mode="before")
    @classmethod
    def _within(cls, value: Any) -> str:
        _fraction(value)
        return str(value)

    @model_validator(mode="after")
    def _moves(self) -> Decay:
        if self.learn is not None and not 0 < self.factor < 1:
            raise ValueError(
                f"start is {self.start!r}, from which no gradient leads away; use a fraction "
                "between 0 and 1"
            )
        return self

    @model_serializer(mode="wrap")
    def _shortest(self, as_table: Any) -> Any:
        return self.start if self.learn is None else as_table(self)

    @property
    def factor(self) -> Fraction:
        """Where it starts, and stays unless it is learned."""
        return Fraction(self.start)

    @property
    def nearest(self) -> Fraction:
        """The same, as integers have it."""
        return self.factor if self.learn is None else nearest_dyadic(self.factor, self.bits)


class _TextToo:
    """Says in the schema of recipes that a decay may be text, or a number, as well."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": ["string", "number"]}, handler(schema)]}


class ThresholdAdaptation(Strict):
    """A threshold that rises by `jump` in the step after a spike, and decays by `beta` to its own.

    Attributes:
        type: `threshold`.
        jump: in the membrane units of training.
        beta: decay per step of what it has risen by.
    """

    type: Literal["threshold"]
    jump: Positive
    beta: Dyadic


class CurrentAdaptation(Strict):
    """A current that is subtracted from the neuron's own: it follows membrane and spikes.

    Attributes:
        type: `current`.
        jump: what a spike adds to it, in the membrane units of training.
        membrane: the share of the membrane that every step adds to it, k/2**n.
        beta: its decay per step.
    """

    type: Literal["current"]
    jump: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    membrane: Dyadic
    beta: Dyadic


Adaptation = Annotated[ThresholdAdaptation | CurrentAdaptation, Field(discriminator="type")]


class States(Strict):
    """Keys that all layers have for the states of their neurons.

    Attributes:
        beta: decay per step of the membrane; `network.beta` if None.
        alpha: decay per step of a synapse state, which takes the current and gives it to the
            membrane, as in snnTorch's Synaptic; None where the membrane takes the current itself.
    """

    beta: Annotated[Decay, _TextToo()] | None = None
    alpha: Annotated[Decay, _TextToo()] | None = None


class Firing(States):
    """Keys of neurons that fire.

    Attributes:
        reset: what a spike does to the membrane; as `network.arithmetic` says if None.
        adaptation: a state that makes neurons fire less the more they have fired.
    """

    reset: Reset | None = None
    adaptation: Adaptation | None = None


def own_keys(layer: States) -> list[str]:
    """Return the keys of `States` and `Firing` that a layer has."""
    names = (*States.model_fields, *Firing.model_fields)
    return [name for name in dict.fromkeys(names) if getattr(layer, name, None) is not None]
