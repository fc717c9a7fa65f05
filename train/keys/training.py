"""The training in a recipe: phase A, and phases B and C, which fine-tune."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, Tag

from lehr.strict import LIST, TABLE, WORD, WORD_OR_TABLE, Count, Positive, Strict
from lehr.train.keys.augment import Augment


class Cosine(Strict):
    """A learning rate that comes down to 0 along half a cosine, goes up again, and so on.

    It is torch's `CosineAnnealingLR`, which the code of Eshraghian & Lu 2022 steps after every
    batch past its `T_max`.

    Attributes:
        period: batches of one way down.
    """

    name: Literal["cosine"]
    period: Count


class RatePenalty(Strict):
    """A penalty on firing, so that an inference takes fewer spikes.

    The loss gets `weight` times the square of what each hidden layer's mean rate in the batch is
    above `target`: an upper bound of the activity as in Zenke & Vogels 2021, "The remarkable
    robustness of surrogate gradient learning for instilling complex function in spiking neural
    networks".

    Attributes:
        target: spikes per neuron and step that cost nothing.
        weight: of the penalty in the loss.
    """

    target: Annotated[float, Field(ge=0)]
    weight: Positive = 1.0


class Teaching(Strict):
    """A run whose network's scores are learnt beside the labels, `lehr.train.objectives.teacher`.

    Attributes:
        run: its folder.
        share: of the loss that is the distance from the teacher's scores; the rest is the
            objective's.
        temperature: by which both networks' scores are divided before the softmax.
    """

    run: str
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    temperature: Positive = 2.0


class Beginning(Strict):
    """A run whose weights are those that a training begins with, `lehr.train.learning.other_runs`.

    Attributes:
        run: its folder.
        layers: of which layers, by their numbers from 0 in `network.layers`; of all if None.
    """

    run: str
    layers: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), LIST] | None = (
        None
    )


def _run_or_table(table: type[Strict]) -> BeforeValidator:
    """Let a run's folder alone stand for a table that has nothing else."""
    return BeforeValidator(
        lambda value: {"run": value} if isinstance(value, str) else value,
        json_schema_input_type=str | table | None,
    )


class WeightNoise(Strict):
    """Noise by which every weight is multiplied, in all phases, in training alone.

    Attributes:
        deviation: relative standard deviation.
        distribution: `lognormal` of mean 1; or `normal`, cut off at 0.
    """

    deviation: Annotated[float, Field(gt=0, le=10)]
    distribution: Literal["lognormal", "normal"] = "lognormal"


class Constrained(Strict):
    """How weights are drawn to the levels, `lehr.train.floats.constrained`.

    Attributes:
        rate: learning rate of the multipliers.
        after: the share of phase A that trains real weights before multipliers grow.
        interval: batches whose losses are compared with those of as many before.
        period: intervals after which the multipliers are updated at the latest.
        forward: what the forward pass of training takes, `real` weights or `quantized` ones.
    """

    rate: Positive = 0.01
    after: Annotated[float, Field(ge=0, lt=1)] = 0.5
    interval: Count = 10
    period: Count = 20
    forward: Literal["real", "quantized"] = "real"


class Training(Strict):
    """Phase A: float batch norm, annealed thresholds.

    Attributes:
        epochs: of phase A.
        batch_size: samples of a batch, in all phases; the last of an epoch may have fewer.
        lr: learning rate of phase A, before its schedule.
        lr_schedule: `cosine` to 0, `constant`, or `restarts`: cosine to 0 in each of the cycles; or
            a `Cosine` of a period of its own (phases B and C: always cosine to 0).
        warmup: the share of phase A in which the learning rate first rises to what its schedule
            says, on a straight line from 0.
        optimizer: of phase A (phases B and C: always Adam).
        momentum: of `sgd`.
        weight_decay: of `adamw`, which takes of the weights alone; torch's 0.01 if None.
            `lehr.train.learning.optimizers`.
        cycles: into how many equal cycles the schedules named `restarts` divide phase A, the
            learning rate's and the thresholds' alike.
        objective: what the output learns, `lehr.train.objectives.objective`: `count` or
            `cross-entropy` of spikes by class, `tet`, a cross-entropy at every step, a `ramp`, or
            a `spike`.
        clip: what the norm of all gradients together is brought down to, where it is larger; in all
            phases.
        clamp: the weights are brought within +-clamp after every update, in all phases.
        patience: phase A ends after so many epochs without a higher validation accuracy, and its
            best epoch goes on; `lehr.train.learning.selection`. None: it takes all epochs, and
            the last goes on.
        augment: how training samples are changed, anew in every epoch
            (`lehr.train.learning.augment`); not at all if None.
        prune: the share of every layer's weights, the smallest ones, that is 0 when phase A ends
            (`lehr.train.floats.prune`); None: none.
        constrained: real-valued weights are drawn to the levels
            (`lehr.train.floats.constrained`); if None they are rounded in every forward pass.
        weight_noise: on every quantized weight, anew in every batch, in all phases
            (`lehr.train.floats.weight_noise`); none if None.
        thresholds: `annealed`, or held at every layer's `start` or `final`: the arms that annealing
            is compared with.
        tet_share: the share of `tet` that draws the outputs of all steps to 1.
        label_smoothing: the share of a label that the loss spreads evenly over all classes; of
            `cross-entropy` and `tet`.
        teacher: a run whose scores are learnt beside the labels; its folder, or a table.
        rate_penalty: what firing costs; nothing if None.
        init_from: a run whose real-valued weights phase A begins with; its folder, or a table.
        rates: the firing rates that the loss asks of the right and of the wrong classes' neurons.
        threads: what all phases compute with: sums come out in another order with another number of
            them, and small networks are slower with more.
        device: `cpu`, `cuda`, or `auto`: a GPU where there is one; another device gives other bits.
            `lehr.train.runs.device`.
    """

    epochs: Count
    batch_size: Count
    lr: Positive
    lr_schedule: Annotated[
        Annotated[Literal["cosine", "constant", "restarts"], Tag(WORD)]
        | Annotated[Cosine, Tag(TABLE)],
        WORD_OR_TABLE,
    ] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    cycles: Count = 1
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    clip: Positive | None = None
    clamp: Positive | None = None
    patience: Count | None = None
    augment: Augment | None = None
    prune: Annotated[float, Field(gt=0, lt=1)] | None = None
    constrained: Constrained | None = None
    weight_noise: WeightNoise | None = None
    thresholds: Literal["annealed", "start", "final"] = "annealed"
    objective: Literal["count", "cross-entropy", "tet", "ramp", "spike"] = "count"
    tet_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    teacher: Annotated[Teaching | None, _run_or_table(Teaching)] = None
    rate_penalty: RatePenalty | None = None
    init_from: Annotated[Beginning | None, _run_or_table(Beginning)] = None
    rates: Annotated[tuple[float, float], LIST] = (0.8, 0.2)
    threads: Count = 1
    device: Literal["cpu", "cuda", "auto"] = "cpu"


class Finetuning(Strict):
    """Phases B (integer forward pass, thresholds still learn) and C (thresholds frozen).

    In phase C thresholds are integers.

    Attributes:
        epochs: of phase B.
        frozen_epochs: of phase C.
        lr: learning rate of the weights, in both.
        threshold_lr: learning rate of thresholds and biases, in phase B.
    """

    epochs: Annotated[int, Field(ge=0)]
    frozen_epochs: Annotated[int, Field(ge=0)]
    lr: Positive
    threshold_lr: Positive
