"""The network in a recipe: its layers, what its neurons compute, what their thresholds share."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lehr.mistakes import Mistakes
from lehr.strict import LIST, Count, Positive, Strict
from lehr.train.keys.arithmetic import ArithmeticRecipe
from lehr.train.keys.dynamics import Dyadic
from lehr.train.keys.dynamics import nearest_dyadic as nearest_dyadic
from lehr.train.keys.graph import Graph, graph
from lehr.train.keys.layer import (
    Add,
    Convolution,
    Init,
    Integrator,
    Layer,
    Weighted,
    Weights,
    WeightStep,
)
from lehr.train.keys.shares import Shares
from lehr.train.keys.threshold import Threshold
from lehr.weights import WeightKind


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
    init: Init = "kaiming"
    weight_step: WeightStep | None = None
    layers: Annotated[
        tuple[Annotated[Layer, Field(discriminator="type")], ...],
        Field(min_length=1),
        LIST,
    ]

    @model_validator(mode="after")
    def _leaks(self) -> NetworkRecipe:
        fields = self.arithmetic is None or self.arithmetic.machine is None
        if self.beta is None and fields and any(layer.beta is None for layer in self.weighted):
            raise Mistakes("'network.beta' is missing; add it")
        return self

    @model_validator(mode="after")
    def _linked(self) -> NetworkRecipe:
        if self.graph.problems:
            raise Mistakes(*self.graph.problems)
        return self

    @model_validator(mode="after")
    def _conv_first(self) -> NetworkRecipe:
        layers = self.weighted
        for layer, sources in zip(layers, self.graph.sources, strict=True):
            flat = [n for n in sources if n >= 0 and not isinstance(layers[n], Convolution)]
            if isinstance(layer, Convolution) and flat:
                raise ValueError(
                    f"a {layer.type} layer follows a linear one; put all {layer.type} layers first"
                )
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
        if self.weight_step is not None and not any(
            self.weights_of(layer).startswith("int") for layer in self.weighted
        ):
            raise ValueError(
                f"weight_step is '{self.weight_step}', but '{self.weights}' weights have none; "
                "leave it out"
            )
        return self

    @property
    def graph(self) -> Graph:
        """The layers with weights, and whose spikes they take."""
        return graph(self.layers)

    @property
    def weighted(self) -> tuple[Weighted, ...]:
        """The layers that have weights, and neurons; all but sums."""
        return tuple(layer for layer in self.layers if not isinstance(layer, Add))

    def key(self, number: int) -> str:
        """Return the key of layer `number`, from 0, of those with weights."""
        return f"network.layers.{self.graph.places[number]}"

    @property
    def annealed(self) -> tuple[Threshold, ...]:
        """The thresholds of the layers that fire."""
        return tuple(
            layer.threshold for layer in self.weighted if not isinstance(layer, Integrator)
        )

    @property
    def integrator(self) -> Integrator | None:
        """The last layer, if its membranes are read out; None where its spikes are counted."""
        last = self.layers[-1]
        return last if isinstance(last, Integrator) else None

    @property
    def integer(self) -> bool:
        """Whether an integer network comes of it; not of float weights."""
        return self.weights != "float"

    def weights_of(self, layer: Weighted) -> Weights:
        """Return what a layer's weights are."""
        return layer.weights if self.integer and layer.weights is not None else self.weights

    def kind_of(self, layer: Weighted) -> WeightKind | None:
        """Kind of a layer's weights in the integer network, before pruning; None for floats."""
        weights = self.weights_of(layer)
        return None if weights == "float" else "binary" if weights == "binarized" else weights

    def learns_step(self, layer: Weighted) -> bool:
        """Whether what a level of a layer is worth is trained."""
        return (layer.weight_step or self.weight_step) != "fixed"

    @property
    def decay(self) -> Fraction | None:
        """beta, exactly; None where a machine's parameters say it."""
        return None if self.beta is None else Fraction(self.beta)

    def trained_beta(self, number: int) -> float | None:
        """Return where the decay of layer `number`, from 0, stands in phase A at the start.

        It is `float_beta` where the weights are float and the layer has none of its own, and None
        where a machine's parameters say it.
        """
        own = self.weighted[number].beta
        if own is not None:
            return float(own.factor)
        if self.float_beta is not None and self.weights == "float":
            return self.float_beta
        return None if self.decay is None else float(self.decay)
