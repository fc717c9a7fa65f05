"""Recipes: everything a training run depends on.

The recipe, the data and the seed give the run, bit for bit.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lehr.mistakes import Mistakes
from lehr.strict import Count, Strict
from lehr.train.contradictions import contradictions
from lehr.train.network_recipe import NetworkRecipe as NetworkRecipe
from lehr.train.network_recipe import nearest_dyadic as nearest_dyadic
from lehr.train.threshold import Positive
from lehr.train.threshold import Threshold as Threshold
from lehr.train.training_contradictions import training_contradictions
from lehr.train.training_recipe import Finetuning as Finetuning
from lehr.train.training_recipe import Training as Training
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
    def _training_holds(self) -> Recipe:
        if wrong := training_contradictions(self.train, self.network):
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
