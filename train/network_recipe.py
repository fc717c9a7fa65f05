"""The network in a recipe: its layers, what its neurons compute, what their thresholds share."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lehr.arithmetic import MAX_FRACTION_BITS
from lehr.mistakes import Mistakes
from lehr.strict import Count, Strict
from lehr.train.arithmetic_recipe import ArithmeticRecipe
from lehr.train.dynamics_recipe import Dyadic, Firing, States
from lehr.train.dynamics_recipe import nearest_dyadic as nearest_dyadic
from lehr.train.shares import Shares
from lehr.train.threshold import Positive, Threshold
from lehr.weights import WeightKind

Weights = Literal[
    "binarized", "ternary", "int2", "int3", "int4", "int5", "int6", "int7", "int8", "float"
]


class _Layer(States):
    """Keys that all layers have.

    Attributes:
        bias: a trained constant per channel, added to the current in every step.
        dropout: chance with which the current of a neuron is 0 in a time step of phase A's
            training; the others' grows to make up.
        fraction_bits: F of the integers; chosen by the rounding of thresholds if None.
    """

    bias: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    fraction_bits: Annotated[int, Field(ge=0, le=MAX_FRACTION_BITS)] | None = None


class _Spiking(_Layer, Firing):
    """Keys of layers of neurons that fire.

    Attributes:
        batch_norm: between pooling and neurons; it has offsets of its own.
        threshold: of the neurons.
    """

    batch_norm: bool = False
    threshold: Threshold

    @model_validator(mode="after")
    def _one_offset(self) -> _Spiking:
        if self.bias and self.batch_norm:
            raise ValueError(
                "a layer with batch norm has an offset already; leave out 'bias' or 'batch_norm'"
            )
        return self


class Conv(_Spiking):
    """A convolution, its average pooling, its batch norm and its neurons.

    Attributes:
        channels: of its output.
        kernel: its rows and columns.
        stride: of the kernel, in rows and columns.
        padding: rows and columns of 0 around its input.
        pool: rows and columns of which one average is made; none if 1.
    """

    type: Literal["conv"]
    channels: Count
    kernel: Count
    stride: Count = 1
    padding: Annotated[int, Field(ge=0)] = 0
    pool: Count = 1


class Linear(_Spiking):
    """A fully connected layer, its batch norm and its neurons.

    Attributes:
        features: of its output.
    """

    type: Literal["linear"]
    features: Count


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


Layer = Conv | Linear | Integrator


class NetworkRecipe(Strict):
    """The network: how long it runs, how it leaks, and its layers.

    Attributes:
        steps: time steps of one inference.
        arithmetic: how neurons compute; `lehr.arithmetic.Arithmetic`'s defaults if None.
        thresholds: what the integer thresholds share, and the grid that they lie on.
        biases: whether neurons may have biases; where not, no phase learns one, and no layer has
            `bias` or batch norm.
        beta: decay per step as a fraction k/2**n, such as "7/8": the same number in training and in
            integers, of the layers that have none of their own. Beside a machine it may be left
            out, whose own membranes decay as its `parameters` say.
        float_beta: what such layers of a baseline with float weights decay by, any number; `beta`
            if None.
        slope: of the fast-sigmoid surrogate gradient, 1 / (1 + slope * |distance from the
            threshold|)^2.
        slope_in: what that distance is counted in: weights, or thresholds, as they stand in the
            batch.
        weights: `binarized`, `ternary`, `int2` to `int8` for so many bits, or `float` for a
            baseline that cannot be exported.
        init: of the real-valued weights: `kaiming` as torch has it, or `glorot`, evenly within half
            its usual bounds as in Eshraghian & Lu's code: the smaller they are, the sooner an
            update turns a sign.
        weight_step: what a level of 2 to 8 bits is worth: `learned` (if None), or `fixed` by the
            layer's greatest weight.
        layers: from the input to the output.
    """

    steps: Count
    arithmetic: ArithmeticRecipe | None = None
    thresholds: Shares = Shares()
    biases: bool = True
    beta: Dyadic | None = None
    float_beta: Annotated[float, Field(ge=0, le=1)] | None = None
    slope: Positive
    slope_in: Literal["weights", "thresholds"] = "weights"
    weights: Weights = "binarized"
    init: Literal["kaiming", "glorot"] = "kaiming"
    weight_step: Literal["learned", "fixed"] | None = None
    layers: Annotated[
        tuple[Annotated[Layer, Field(discriminator="type")], ...],
        Field(min_length=1),
    ]

    @model_validator(mode="after")
    def _leaks(self) -> NetworkRecipe:
        fields = self.arithmetic is None or self.arithmetic.machine is None
        if self.beta is None and fields and any(layer.beta is None for layer in self.layers):
            raise Mistakes("'network.beta' is missing; add it")
        return self

    @model_validator(mode="after")
    def _conv_first(self) -> NetworkRecipe:
        kinds = [layer.type for layer in self.layers]
        if "conv" in kinds[kinds.index("linear") if "linear" in kinds else len(kinds) :]:
            raise ValueError("a conv layer follows a linear one; put all conv layers first")
        return self

    @model_validator(mode="after")
    def _integrator_last(self) -> NetworkRecipe:
        if any(isinstance(layer, Integrator) for layer in self.layers[:-1]) or isinstance(
            self.layers[0], Integrator
        ):
            raise ValueError(
                "a layer of integrators fires no spike for a next one; put it last, behind layers "
                "that fire"
            )
        return self

    @model_validator(mode="after")
    def _step_of_levels(self) -> NetworkRecipe:
        if self.weight_step is not None and not self.weights.startswith("int"):
            raise ValueError(
                f"weight_step is '{self.weight_step}', but '{self.weights}' weights have none; "
                "leave it out"
            )
        return self

    @property
    def annealed(self) -> tuple[Threshold, ...]:
        """The thresholds of the layers that fire."""
        return tuple(layer.threshold for layer in self.layers if not isinstance(layer, Integrator))

    @property
    def integrator(self) -> Integrator | None:
        """The last layer, if its membranes are read out; None where its spikes are counted."""
        last = self.layers[-1]
        return last if isinstance(last, Integrator) else None

    @property
    def kind(self) -> WeightKind | None:
        """Kind of weights that the integer network declares, before pruning; None for floats."""
        return (
            None
            if self.weights == "float"
            else "binary"
            if self.weights == "binarized"
            else self.weights
        )

    @property
    def learned_step(self) -> bool:
        """Whether what a level is worth is trained."""
        return self.weight_step != "fixed"

    @property
    def decay(self) -> Fraction | None:
        """beta, exactly; None where a machine's parameters say it."""
        return None if self.beta is None else Fraction(self.beta)

    def trained_beta(self, number: int) -> float | None:
        """Return where the decay of layer `number`, from 0, stands in phase A at the start.

        It is `float_beta` where the weights are float and the layer has none of its own, and None
        where a machine's parameters say it.
        """
        own = self.layers[number].beta
        if own is not None:
            return float(own.factor)
        if self.float_beta is not None and self.weights == "float":
            return self.float_beta
        return None if self.decay is None else float(self.decay)
