"""Recipes: everything a training run depends on.

The recipe, the data and the seed give the run, bit for bit.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from lehr.mistakes import Mistakes, mistakes
from lehr.strict import Strict
from lehr.train.keys.contradictions import contradictions
from lehr.train.keys.data import DataRecipe as DataRecipe
from lehr.train.keys.data import data_contradictions
from lehr.train.keys.delay_contradictions import delay_contradictions
from lehr.train.keys.float_arm import float_arm, is_float, of_the_arm
from lehr.train.keys.network import NetworkRecipe as NetworkRecipe
from lehr.train.keys.network import nearest_dyadic as nearest_dyadic
from lehr.train.keys.search import Search as Search
from lehr.train.keys.threshold import Threshold as Threshold
from lehr.train.keys.training import Finetuning as Finetuning
from lehr.train.keys.training import Training as Training
from lehr.train.keys.training_contradictions import training_contradictions


class Recipe(Strict):
    """A whole run.

    Attributes:
        name: of the recipe; a run goes to runs/NAME if no other folder is given.
        description: a line that says what it is.
        target: the name of the target whose `TrainingForm` the recipe has been brought into, or is
            to be; none if None.
        seed: of everything drawn by chance in a run: weights, the order of samples, dropout.
        float: what other keys are where `network.weights` is `float`, by key;
            `lehr.train.keys.float_arm` puts them there, and None is left.
        search: what `lehr search` varies, and what it wants; a training takes no notice of it.
    """

    name: str
    description: str
    target: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    data: DataRecipe
    network: NetworkRecipe
    train: Training
    finetune: Finetuning | None = None
    float: dict[str, Any] | None = None
    search: Search | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_the_float_arm(cls, table: Any) -> Any:
        if isinstance(table, dict) and isinstance(table.get("float"), dict) and is_float(table):
            return float_arm(table)
        return table

    @model_validator(mode="before")
    @classmethod
    def _in_rows(cls, table: Any) -> Any:
        if not isinstance(table, dict) or not isinstance(table.get("data"), dict):
            return table
        network = table.get("network")
        layers = network.get("layers") if isinstance(network, dict) else None
        if not isinstance(layers, (list, tuple)) or not any(
            isinstance(layer, dict) and layer.get("type") == "conv1d" for layer in layers
        ):
            return table
        return {**table, "data": {"row": True, **table["data"]}}

    @model_validator(mode="after")
    def _data_hold(self) -> Recipe:
        if wrong := data_contradictions(self.data):
            raise Mistakes(*wrong)
        return self

    @model_validator(mode="after")
    def _network_holds(self) -> Recipe:
        if wrong := contradictions(self.network):
            raise Mistakes(*wrong)
        return self

    @model_validator(mode="after")
    def _delays_hold(self) -> Recipe:
        if wrong := [*delay_contradictions(self.network, self.data.steps)]:
            raise Mistakes(*wrong)
        return self

    @model_validator(mode="after")
    def _training_holds(self) -> Recipe:
        if wrong := training_contradictions(self.train, self.network):
            raise Mistakes(*wrong)
        return self

    @model_validator(mode="after")
    def _prunes_what_is_exported(self) -> Recipe:
        if self.train.prune is not None and not self.network.integer:
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
        if self.network.integrator is not None and self.train.objective not in (
            "cross-entropy",
            "tet",
        ):
            raise ValueError(
                f"train.objective is '{self.train.objective}', but the last layer integrates and "
                "has no spikes for it; use 'cross-entropy'"
            )
        return self

    @model_validator(mode="after")
    def _ramp_has_an_end(self) -> Recipe:
        last = len(self.network.annealed) - 1
        if self.train.objective == "ramp" and self.network.annealed[last].learned:
            raise Mistakes(
                "train.objective is 'ramp', which ends above the last threshold, but "
                f"network.layers.{last}.threshold is learned and has no end; give it another "
                "schedule"
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
                    f"{self.network.key(number)}.threshold is "
                    f"rate-controlled without a 'final'; give it one, or leave out patience"
                )
            if self.train.thresholds == "final" and not threshold.held and threshold.final is None:
                raise ValueError(
                    f"train.thresholds is 'final', but {self.network.key(number)}.threshold has no "
                    "'final' to be held at; give it one, or use 'start'"
                )
        return self

    @model_validator(mode="after")
    def _float_arm_holds(self) -> Recipe:
        # last: what is wrong in every arm is said of the recipe alone
        if self.float is None:
            return self
        table = self.model_dump(mode="json", exclude_unset=True)
        table["network"]["weights"] = "float"
        try:
            Recipe.model_validate(float_arm(table))
        except ValidationError as error:
            wrong = [of_the_arm(each, self.float) for each in mistakes(error, Recipe)]
            raise Mistakes(*wrong) from None
        return self
