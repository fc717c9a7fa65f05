"""The layers in a recipe's network, and what each of them takes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticKnownError

from lehr.arithmetic import MAX_FRACTION_BITS
from lehr.nodes import Pair
from lehr.strict import LIST, Count, Strict
from lehr.train.keys.delay import DelayRecipe
from lehr.train.keys.dynamics import Firing, States
from lehr.train.keys.threshold import Threshold

Levels = Literal["binarized", "ternary", "int2", "int3", "int4", "int5", "int6", "int7", "int8"]
Weights = Literal[Levels, "float"]
Init = Literal["kaiming", "glorot"]
WeightStep = Literal["learned", "fixed"]


def _sides(least: int) -> BeforeValidator:
    def check(value: Any) -> Any:
        each = value if isinstance(value, (list, tuple)) else [value, value]
        if len(each) != 2 or any(type(side) is not int for side in each):
            raise ValueError("give a whole number, or two, [rows, columns]")
        if min(each) < least:
            raise PydanticKnownError("greater_than_equal", {"ge": least})
        return value

    return BeforeValidator(check)


Sides = Annotated[Count | Annotated[tuple[Count, Count], LIST], _sides(1)]
"""One number for rows and columns, or one for each."""
Margins = Annotated[
    Annotated[int, Field(ge=0)]
    | Annotated[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]], LIST],
    _sides(0),
]
"""The same, from 0."""


@dataclass(frozen=True)
class Geometry:
    """The windows of a convolution and of the pooling behind it, in rows and columns.

    Attributes:
        greatest: whether neurons get the greatest current of a window of `pool`, or else the mean.
    """

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    pool: Pair
    max_pool: Pair
    greatest: bool

    def convolved(self, size: Pair) -> Pair:
        """Return the rows and columns that the convolution makes of so many, below 1 if none."""
        rows, columns = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                size, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return rows, columns

    @property
    def area(self) -> int:
        """How many places average pooling makes one of."""
        return 1 if self.greatest else self.pool[0] * self.pool[1]


class _Named(Strict):
    """Keys of every layer.

    Attributes:
        name: by which `from` of later layers takes it; its type and number among the layers with
            weights, such as "conv1" or "fc2", if None.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    name: Annotated[str, Field(min_length=1)] | None = None


def _one_layer(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        raise ValueError(
            "a layer takes the spikes of one; give its name, or of a layer of type 'add' that has "
            "this list"
        )
    return value


class _Layer(_Named, States):
    """Keys that all layers with weights have.

    Attributes:
        from_: the layer whose spikes it takes; the one before it if None.
        weights: `network.weights` if None; where that is `float`, all are.
        weight_step: `network.weight_step` if None.
        init: `network.init` if None.
        bias: a trained constant per channel, added to the current in every step.
        dropout: chance with which the current of a neuron is 0 in a time step of phase A's
            training; the others' grows to make up.
        fraction_bits: F of the integers; chosen by the rounding of thresholds if None.
        delay: by which each channel that arrives is held back; none if None.
    """

    from_: Annotated[str | None, Field(alias="from"), BeforeValidator(_one_layer)] = None
    weights: Levels | None = None
    weight_step: WeightStep | None = None
    init: Init | None = None
    bias: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    fraction_bits: Annotated[int, Field(ge=0, le=MAX_FRACTION_BITS)] | None = None
    delay: DelayRecipe | None = None


def _no_number(value: Any) -> Any:
    """Refuse 0 and 1, which equal false and true."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise PydanticKnownError("literal_error", {"expected": "true, false or 'step'"})
    return value


class _Spiking(_Layer, Firing):
    """Keys of layers of neurons that fire.

    Attributes:
        batch_norm: between pooling and neurons; it has offsets of its own. Its statistics are those
            of all time steps of a batch together or, with `step`, of each by itself
            (`lehr.train.floats.step_norm`).
        threshold: of the neurons.
    """

    batch_norm: Annotated[Literal[True, False, "step"], BeforeValidator(_no_number)] = False
    threshold: Threshold

    @model_validator(mode="after")
    def _one_offset(self) -> _Spiking:
        if self.bias and self.batch_norm:
            raise ValueError(
                "a layer with batch norm has an offset already; leave out 'bias' or 'batch_norm'"
            )
        return self


class _Convolution(_Spiking):
    """Keys of convolutions.

    Attributes:
        channels: of its output.
        groups: into how many parts the channels fall, each of which sees its own part alone.
        pooling: what each neuron gets of the currents in a window of `pool`: their mean, or the
            greatest of them.
    """

    channels: Count
    groups: Count = 1
    pooling: Literal["mean", "max"] = "mean"

    @property
    @abstractmethod
    def geometry(self) -> Geometry:
        """Its windows, in rows and columns."""

    @model_validator(mode="after")
    def _windows(self) -> _Convolution:
        if self.channels % self.groups:
            raise ValueError(
                f"its {self.channels} channels do not fall into {self.groups} groups; use a "
                "divisor of them"
            )
        pool, max_pool = self.geometry.pool, self.geometry.max_pool
        if pool != (1, 1) and max_pool != (1, 1):
            raise ValueError(
                "pooling before the neurons and max_pool behind them are two poolings; leave out "
                "'pool' or 'max_pool'"
            )
        if self.pooling == "max" and pool == (1, 1):
            raise ValueError(
                "'pooling' is 'max', but there is no 'pool' to take the greatest current of; give "
                "its windows, such as pool = 2, or leave it out"
            )
        return self


class Conv(_Convolution):
    """A convolution of maps, its pooling, its batch norm, its neurons, the OR of their spikes.

    Windows are one number, or two: rows and columns.

    Attributes:
        kernel: rows and columns of its windows.
        stride: from window to window.
        padding: rows and columns of 0 around its input.
        dilation: from place to place within a window.
        pool: windows of currents, of which each neuron gets the mean, or what `pooling` says.
        max_pool: windows of neurons, one of whose spikes goes on: an OR.
    """

    type: Literal["conv"]
    kernel: Sides
    stride: Sides = 1
    padding: Margins = 0
    dilation: Sides = 1
    pool: Sides = 1
    max_pool: Sides = 1

    @property
    def geometry(self) -> Geometry:
        """Its windows, in rows and columns."""
        sides = (self.kernel, self.stride, self.padding, self.dilation, self.pool, self.max_pool)
        kernel, stride, padding, dilation, pool, max_pool = (
            (side, side) if isinstance(side, int) else side for side in sides
        )
        greatest = self.pooling == "max"
        return Geometry(kernel, stride, padding, dilation, pool, max_pool, greatest)


class Conv1d(_Convolution):
    """A convolution over the last axis; in the integer network it is one of maps of one row.

    Attributes:
        kernel: places of its windows.
        stride: from window to window.
        padding: places of 0 at both ends.
        dilation: from place to place within a window.
        pool: windows of currents, of which each neuron gets the mean, or what `pooling` says.
        max_pool: windows of neurons, one of whose spikes goes on: an OR.
    """

    type: Literal["conv1d"]
    kernel: Count
    stride: Count = 1
    padding: Annotated[int, Field(ge=0)] = 0
    dilation: Count = 1
    pool: Count = 1
    max_pool: Count = 1

    @property
    def geometry(self) -> Geometry:
        """Its windows, in rows, of which there is one, and columns."""
        return Geometry(
            (1, self.kernel),
            (1, self.stride),
            (0, self.padding),
            (1, self.dilation),
            (1, self.pool),
            (1, self.max_pool),
            greatest=self.pooling == "max",
        )


class Linear(_Spiking):
    """A fully connected layer, its batch norm and its neurons.

    Attributes:
        features: of its output.
        recurrent: whether the spikes of the step before come back, through weights of their own.
    """

    type: Literal["linear"]
    features: Count
    recurrent: bool = False


class Integrator(_Layer):
    """The last layer where membranes are read out: fully connected integrators, which never fire.

    It has no batch norm: a gain for each class would be lost in the integers, whose membranes count
    in weights.

    Attributes:
        features: of its output, one for each class.
        readout: the class's score is its membrane after the `last` step, or the `sum` or the `max`
            over all steps; or it is asked for at `every` step, and the latest is the answer.
    """

    type: Literal["integrator"]
    features: Count
    readout: Literal["last", "sum", "max", "every"] = "sum"


class Add(_Named):
    """The sum of the spikes of some layers, for the next one; it has no neurons of its own.

    Attributes:
        from_: names of the layers.
    """

    type: Literal["add"]
    from_: Annotated[tuple[str, ...], Field(alias="from"), LIST]


Convolution = Conv | Conv1d
Weighted = Conv | Conv1d | Linear | Integrator
Layer = Weighted | Add


def summary(layer: Layer) -> str:
    """Return a layer in a few letters: 16C5-P2, a number of features, or + for a sum.

    P is a mean of currents, G the greatest of them, M an OR of spikes.
    """
    if isinstance(layer, Add):
        return "+"
    if not isinstance(layer, Convolution):
        return str(layer.features)
    pools = {"G" if layer.geometry.greatest else "P": layer.pool, "M": layer.max_pool}
    return f"{layer.channels}C{_side(layer.kernel)}" + "".join(
        f"-{letter}{_side(pool)}" for letter, pool in pools.items() if pool not in (1, (1, 1))
    )


def _side(side: int | Pair) -> str:
    return str(side) if isinstance(side, int) else f"{side[0]}x{side[1]}"
