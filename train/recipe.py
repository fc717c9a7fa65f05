"""Recipes: everything a training run depends on. The recipe, the data and the seed give the run, bit for bit."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lehr.arithmetic import MAX_FRACTION_BITS, MAX_SHIFT
from lehr.train.augment import Augment
from lehr.train.threshold import Positive
from lehr.train.threshold import Threshold as Threshold
from lehr.train.transforms import Transform
from lehr.weights import WeightKind

Count = Annotated[int, Field(ge=1)]
Weights = Literal["binarized", "ternary", "int2", "int3", "int4", "int5", "int6", "int7", "int8", "float"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Layer(_Strict):
    """What all layers have.

    Attributes:
        bias: a trained constant per channel, added to the current in every step.
        dropout: chance with which the current of a neuron is 0 in a time step of phase A's training; the others' grows to make up.
        fraction_bits: F of the integers; chosen by the rounding of thresholds if None.
    """

    bias: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    fraction_bits: Annotated[int, Field(ge=0, le=MAX_FRACTION_BITS)] | None = None


class _Spiking(_Layer):
    """What layers of neurons that fire have.

    Attributes:
        batch_norm: between pooling and neurons; it has offsets of its own.
        threshold: of the neurons.
    """

    batch_norm: bool = False
    threshold: Threshold

    @model_validator(mode="after")
    def _one_offset(self) -> _Spiking:
        if self.bias and self.batch_norm:
            raise ValueError("a layer with batch norm has an offset already; leave out 'bias' or 'batch_norm'")
        return self


class Conv(_Spiking):
    """A convolution, its average pooling, its batch norm and its neurons."""

    type: Literal["conv"]
    channels: Count
    kernel: Count
    stride: Count = 1
    padding: Annotated[int, Field(ge=0)] = 0
    pool: Count = 1


class Linear(_Spiking):
    """A fully connected layer, its batch norm and its neurons."""

    type: Literal["linear"]
    features: Count


class Integrator(_Layer):
    """The last layer where membranes are read out and no output spikes: fully connected leaky integrators, which never fire.

    It has no batch norm: a gain for each class would be lost in the integers, whose membranes count in weights.

    Attributes:
        readout: the class's score is its membrane after the `last` step, or the `sum` or the `max` over all steps.
    """

    type: Literal["integrator"]
    features: Count
    readout: Literal["last", "sum", "max"] = "sum"


class NetworkRecipe(_Strict):
    """The network: how long it runs, how it leaks, and its layers.

    Attributes:
        steps: time steps of one inference.
        beta: decay per step as a fraction k/2**n, such as "7/8": the same number in training and in integers.
        float_beta: what a baseline with float weights decays by, any number; `beta` if None.
        slope: of the fast-sigmoid surrogate gradient.
        weights: `binarized`, `ternary`, `int2` to `int8` for so many bits, or `float` for a baseline that cannot be exported.
        init: of the real-valued weights: `kaiming` as torch has it, or `glorot`, evenly within half its usual bounds as in Eshraghian &
            Lu's code: the smaller they are, the sooner an update turns a sign.
        weight_step: what a level of 2 to 8 bits is worth: `learned` (if None), or `fixed` by the layer's greatest weight.
    """

    steps: Count
    beta: str
    float_beta: Annotated[float, Field(ge=0, le=1)] | None = None
    slope: Positive
    weights: Weights = "binarized"
    init: Literal["kaiming", "glorot"] = "kaiming"
    weight_step: Literal["learned", "fixed"] | None = None
    layers: Annotated[tuple[Annotated[Conv | Linear | Integrator, Field(discriminator="type")], ...], Field(min_length=1)]

    @field_validator("beta", mode="before")
    @classmethod
    def _dyadic(cls, value: Any) -> str:
        try:
            beta = Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            raise ValueError("write it as a fraction k/2^n, such as '7/8'") from None
        if not 0 <= beta <= 1 or beta.denominator & (beta.denominator - 1) or beta.denominator > 1 << MAX_SHIFT:
            raise ValueError(
                f"no integer machine decays by it exactly; use k/2^n in 0..1 with n <= {MAX_SHIFT}, such as '{nearest_dyadic(beta)}'"
            )
        return str(value)

    @model_validator(mode="after")
    def _conv_first(self) -> NetworkRecipe:
        kinds = [layer.type for layer in self.layers]
        if "conv" in kinds[kinds.index("linear") if "linear" in kinds else len(kinds) :]:
            raise ValueError("a conv layer follows a linear one; put all conv layers first")
        return self

    @model_validator(mode="after")
    def _integrator_last(self) -> NetworkRecipe:
        if any(isinstance(layer, Integrator) for layer in self.layers[:-1]) or isinstance(self.layers[0], Integrator):
            raise ValueError("a layer of integrators fires no spike for a next one; put it last, behind layers that fire")
        return self

    @model_validator(mode="after")
    def _step_of_levels(self) -> NetworkRecipe:
        if self.weight_step is not None and not self.weights.startswith("int"):
            raise ValueError(f"weight_step is '{self.weight_step}', but '{self.weights}' weights have none; leave it out")
        return self

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The thresholds of the layers that fire."""
        return tuple(layer.threshold for layer in self.layers if not isinstance(layer, Integrator))

    @property
    def integrator(self) -> Integrator | None:
        """The last layer, if its membranes are read out; None where its spikes are counted."""
        last = self.layers[-1]
        return last if isinstance(last, Integrator) else None

    @property
    def kind(self) -> WeightKind | None:
        """What the integer network declares its weights to be, before pruning; None for float weights."""
        return None if self.weights == "float" else "binary" if self.weights == "binarized" else self.weights

    @property
    def learned_step(self) -> bool:
        """Whether what a level is worth is trained."""
        return self.weight_step != "fixed"

    @property
    def decay(self) -> Fraction:
        """beta, exactly."""
        return Fraction(self.beta)

    @property
    def trained_beta(self) -> float:
        """What phase A decays by: beta, or `float_beta` where the weights are float."""
        return float(self.decay) if self.float_beta is None or self.weights != "float" else self.float_beta


def nearest_dyadic(beta: Fraction | float, shift: int = 8) -> Fraction:
    """The fraction k/2**shift nearest to `beta`, within 0..1."""
    return Fraction(min(1 << shift, max(0, round(beta * (1 << shift)))), 1 << shift)


class DataRecipe(_Strict):
    """Which data set, how much of it (all if None), and how it becomes input.

    Attributes:
        path: of the file of a user's own data.
        seed: of the validation split, and of rate coding; not the run's, so that runs of several seeds train on the same samples.
        encoding: how pixels become spikes; `current` leaves them as they are.
        steps: T of events and of encoded pixels, which `network.steps` must equal; None where a sample is held for all steps.
        test_steps: T of the validation and the test samples of event data, which `network.steps` then equals; `steps` if None.
        step_ms: length of a step into which events are gathered, in milliseconds.
        transforms: of an event camera's recordings, in this order, before anything else; `lehr.train.transforms`.
        downsample: how many pixels of an event camera make one, in rows and in columns.
    """

    name: str
    path: str | None = None
    train_samples: Count | None = None
    test_samples: Count | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    encoding: Literal["current", "rate", "latency", "delta"] = "current"
    steps: Count | None = None
    test_steps: Count | None = None
    step_ms: Positive | None = None
    transforms: tuple[Transform, ...] = ()
    downsample: Count = 1


class Training(_Strict):
    """Phase A: float batch norm, annealed thresholds.

    Attributes:
        lr_schedule: `cosine` to 0, `constant`, or `restarts`: cosine to 0 in each of the cycles (phases B and C: always cosine).
        cycles: into how many equal cycles the schedules named `restarts` divide phase A, the learning rate's and the thresholds' alike.
        objective: what the output learns, `lehr.train.objective`: `count` or `cross-entropy` of spikes by class, or a `ramp`.
        clip: what the norm of all gradients together is brought down to, where it is larger; in all phases.
        clamp: the weights are brought within +-clamp after every update, in all phases.
        patience: phase A ends after so many epochs without a higher validation accuracy, and its best epoch goes on;
            `lehr.train.selection`. None: it takes all epochs, and the last goes on.
        augment: how training images are moved and mirrored, anew in every epoch (`lehr.train.augment`); not at all if None.
        prune: the share of every layer's weights, the smallest ones, that is 0 when phase A ends (`lehr.train.prune`); None: none.
        thresholds: `annealed`, or held at every layer's `start` or `final`: the arms that annealing is compared with.
        rates: the firing rates that the loss asks of the right and of the wrong classes' neurons.
        threads: what all phases compute with: sums come out in another order with another number of them, and small networks are
            slower with more.
        device: `cpu`, `cuda`, or `auto`: a GPU where there is one; another device gives other bits. `lehr.train.device`.
    """

    epochs: Count
    batch_size: Count
    lr: Positive
    lr_schedule: Literal["cosine", "constant", "restarts"] = "cosine"
    cycles: Count = 1
    optimizer: Literal["adam", "sgd"] = "adam"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip: Positive | None = None
    clamp: Positive | None = None
    patience: Count | None = None
    augment: Augment | None = None
    prune: Annotated[float, Field(gt=0, lt=1)] | None = None
    thresholds: Literal["annealed", "start", "final"] = "annealed"
    objective: Literal["count", "cross-entropy", "ramp"] = "count"
    rates: tuple[float, float] = (0.8, 0.2)
    threads: Count = 1
    device: Literal["cpu", "cuda", "auto"] = "cpu"


class Finetuning(_Strict):
    """Phases B (integer forward pass, thresholds still learn) and C (thresholds frozen as integers)."""

    epochs: Annotated[int, Field(ge=0)]
    frozen_epochs: Annotated[int, Field(ge=0)]
    lr: Positive
    threshold_lr: Positive


class Recipe(_Strict):
    """A whole run."""

    name: str
    description: str
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    data: DataRecipe
    network: NetworkRecipe
    train: Training
    finetune: Finetuning | None = None

    @model_validator(mode="after")
    def _prunes_what_is_exported(self) -> Recipe:
        if self.train.prune is not None and self.network.weights == "float":
            raise ValueError(f"train.prune is {self.train.prune}, but network.weights is 'float', which is not exported; leave one out")
        if self.train.prune is not None and self.train.patience is not None:
            raise ValueError("train.prune takes all epochs of phase A, which train.patience may end early; leave one out")
        return self

    @model_validator(mode="after")
    def _objective_of_the_readout(self) -> Recipe:
        if self.network.integrator is not None and self.train.objective != "cross-entropy":
            raise ValueError(
                f"train.objective is '{self.train.objective}', but the last layer integrates and has no spikes for it; use 'cross-entropy'"
            )
        return self

    @model_validator(mode="after")
    def _schedules_agree(self) -> Recipe:
        thresholds = self.network.thresholds
        restarts = "restarts" in (self.train.lr_schedule, *(threshold.schedule for threshold in thresholds))
        if restarts != (self.train.cycles > 1):
            raise ValueError(f"train.cycles is {self.train.cycles}; a schedule named 'restarts' needs 2 or more, all others 1")
        for number, threshold in enumerate(thresholds):
            if self.train.patience and threshold.schedule == "rate-controlled" and threshold.final is None:
                raise ValueError(
                    f"train.patience counts epochs from when the thresholds have arrived, but network.layers.{number}.threshold is "
                    f"rate-controlled without a 'final'; give it one, or leave out patience"
                )
            if self.train.thresholds == "final" and not threshold.held and threshold.final is None:
                raise ValueError(f"train.thresholds is 'final', but network.layers.{number}.threshold has no 'final' to be held at")
        return self
