"""Recipes: everything a training run depends on.

The recipe, the data and the seed give the run, bit for bit.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lehr.train.augment import Augment
from lehr.train.contradictions import contradictions
from lehr.train.mistakes import Mistakes
from lehr.train.network_recipe import NetworkRecipe as NetworkRecipe
from lehr.train.network_recipe import nearest_dyadic as nearest_dyadic
from lehr.train.strict import Count, Strict
from lehr.train.threshold import Positive
from lehr.train.threshold import Threshold as Threshold
from lehr.train.transforms import Transform


class DataRecipe(Strict):
    """Data set of a recipe: its name, how much of it (all if None), and how it becomes input.

    Attributes:
        path: of the file of a user's own data.
        seed: of the validation split, and of rate coding; not the run's, so that runs of several
            seeds train on the same samples.
        encoding: how pixels become spikes; `current` leaves them as they are.
        steps: T of events and of encoded pixels, which `network.steps` must equal; None where a
            sample is held for all steps.
        test_steps: T of the validation and the test samples of event data, which `network.steps`
            then equals; `steps` if None.
        step_ms: length of a step into which events are gathered, in milliseconds.
        transforms: of an event camera's recordings, in this order, before anything else;
            `lehr.train.transforms`.
        downsample: how many pixels of an event camera make one, in rows and in columns.
        channels: into how many the 700 channels of spoken words are gathered, neighbours together;
            as they are if None.
        classes: how many of the classes of spoken words there are, the first ones; samples of the
            others are left out. All if None.
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
    channels: Annotated[int, Field(ge=1, le=700)] | None = None
    classes: Annotated[int, Field(ge=2)] | None = None


class Training(Strict):
    """Phase A: float batch norm, annealed thresholds.

    Attributes:
        lr_schedule: `cosine` to 0, `constant`, or `restarts`: cosine to 0 in each of the cycles
            (phases B and C: always cosine).
        cycles: into how many equal cycles the schedules named `restarts` divide phase A, the
            learning rate's and the thresholds' alike.
        objective: what the output learns, `lehr.train.objective`: `count` or `cross-entropy` of
            spikes by class, or a `ramp`.
        clip: what the norm of all gradients together is brought down to, where it is larger; in all
            phases.
        clamp: the weights are brought within +-clamp after every update, in all phases.
        patience: phase A ends after so many epochs without a higher validation accuracy, and its
            best epoch goes on; `lehr.train.selection`. None: it takes all epochs, and the last goes
            on.
        augment: how training images are moved and mirrored, anew in every epoch
            (`lehr.train.augment`); not at all if None.
        prune: the share of every layer's weights, the smallest ones, that is 0 when phase A ends
            (`lehr.train.prune`); None: none.
        thresholds: `annealed`, or held at every layer's `start` or `final`: the arms that annealing
            is compared with.
        rates: the firing rates that the loss asks of the right and of the wrong classes' neurons.
        threads: what all phases compute with: sums come out in another order with another number of
            them, and small networks are slower with more.
        device: `cpu`, `cuda`, or `auto`: a GPU where there is one; another device gives other bits.
            `lehr.train.device`.
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


class Finetuning(Strict):
    """Phases B (integer forward pass, thresholds still learn) and C (thresholds frozen).

    In phase C thresholds are integers.
    """

    epochs: Annotated[int, Field(ge=0)]
    frozen_epochs: Annotated[int, Field(ge=0)]
    lr: Positive
    threshold_lr: Positive


class Recipe(Strict):
    """A whole run.

    Attributes:
        target: the name of the target whose `TrainingForm` the recipe has been brought into, or is
            to be; none if None.
    """

    name: str
    description: str
    target: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    data: DataRecipe
    network: NetworkRecipe
    train: Training
    finetune: Finetuning | None = None

    @model_validator(mode="after")
    def _network_holds(self) -> Recipe:
        if wrong := contradictions(self.network):
            raise Mistakes(*wrong)
        return self

    @model_validator(mode="after")
    def _prunes_what_is_exported(self) -> Recipe:
        if self.train.prune is not None and self.network.weights == "float":
            raise ValueError(
                f"train.prune is {self.train.prune}, but network.weights is 'float', which is not "
                "exported; leave one out"
            )
        if self.train.prune is not None and self.train.patience is not None:
            raise ValueError(
                "train.prune takes all epochs of phase A, which train.patience may end early; "
                "leave one out"
            )
        return self

    @model_validator(mode="after")
    def _objective_of_the_readout(self) -> Recipe:
        if self.network.integrator is not None and self.train.objective != "cross-entropy":
            raise ValueError(
                f"train.objective is '{self.train.objective}', but the last layer integrates and "
                "has no spikes for it; use 'cross-entropy'"
            )
        return self

    @model_validator(mode="after")
    def _schedules_agree(self) -> Recipe:
        thresholds = self.network.annealed
        restarts = "restarts" in (
            self.train.lr_schedule,
            *(threshold.schedule for threshold in thresholds),
        )
        if restarts != (self.train.cycles > 1):
            raise ValueError(
                f"train.cycles is {self.train.cycles}; a schedule named 'restarts' needs 2 or "
                "more, all others 1"
            )
        for number, threshold in enumerate(thresholds):
            if (
                self.train.patience
                and threshold.schedule == "rate-controlled"
                and threshold.final is None
            ):
                raise ValueError(
                    "train.patience counts epochs from when the thresholds have arrived, but "
                    f"network.layers.{number}.threshold is "
                    f"rate-controlled without a 'final'; give it one, or leave out patience"
                )
            if self.train.thresholds == "final" and not threshold.held and threshold.final is None:
                raise ValueError(
                    f"train.thresholds is 'final', but network.layers.{number}.threshold has no "
                    "'final' to be held at"
                )
        return self
