"""The search in a recipe, or in a file of its own: which keys vary, and what is wanted of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Tag, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from lehr.strict import LIST, TABLE, WORD, WORD_OR_TABLE, Count, Strict

ACCURACY = "accuracy"
"""The one objective that is to be high; all others are to be low."""
OWN = (ACCURACY, "spikes", "operations")
"""Objectives that no target is asked for."""
_RANGE = ("low", "high", "step")


def _number(value: Any) -> Any:
    if type(value) not in (int, float):
        raise PydanticCustomError("float_type", "no number")
    return value


Number = Annotated[Any, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
"""An int or a float, which stays what it is: a range of whole numbers is one."""


class Values(Strict):
    """What a search may put in a place: a range, `low` to `high`, or `choices`.

    Attributes:
        low, high: ends of a range, both in it; where both are whole, all of it is.
        step: between the values of a range; whole numbers have 1 if None.
        log: whether a range is divided by factors, as suits learning rates.
        choices: any values of the key, tables and lists too.
        also: keys of the recipe that get the same value.
    """

    low: Number | None = None
    high: Number | None = None
    step: Number | None = None
    log: bool = False
    choices: Annotated[tuple[Any, ...], LIST] | None = None
    also: Annotated[tuple[str, ...], LIST] = ()

    @property
    def whole(self) -> bool:
        """Whether a range holds whole numbers alone."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @model_validator(mode="after")
    def _some(self) -> Values:
        if self.choices is not None:
            self._different(self.choices)
            return self
        if self.low is None or self.high is None:
            raise ValueError("it is no range and no list; give 'low' and 'high', or 'choices'")
        if self.low > self.high:
            raise ValueError(
                f"the range from {self.low} to {self.high} is empty; exchange 'low' and 'high'"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low}, and 'log' needs more than 0; leave 'log' out")
        if self.step is not None:
            self._divides(self.step)
        return self

    def _different(self, choices: tuple[Any, ...]) -> None:
        if useless := [name for name in _RANGE if getattr(self, name) is not None]:
            raise ValueError(f"{useless[0]} is for a range, but there are 'choices'; leave it out")
        if self.log:
            raise ValueError("log is for a range, but there are 'choices'; leave it out")
        if not choices:
            raise ValueError("choices has no value; give some")
        seen = [written(choice) for choice in choices]
        if twice := [text for number, text in enumerate(seen) if text in seen[:number]]:
            raise ValueError(f"choices has {twice[0]} twice; leave one out")

    def _divides(self, step: Any) -> None:
        if self.log:
            raise ValueError(f"step is {step}, but 'log' has factors; leave one out")
        if step <= 0 or (self.whole and not isinstance(step, int)):
            more = "whole number" if self.whole else "number"
            raise ValueError(f"step is {step}; give a {more} above 0")
        if (Decimal(str(self.high)) - Decimal(str(self.low))) % Decimal(str(step)):
            raise ValueError(
                f"step is {step}, which does not lead from {self.low} to {self.high}; give "
                "another 'high'"
            )


def written(value: Any) -> str:
    """Return a value as one line, by which choices are told apart and known in a study."""
    return json.dumps(value, sort_keys=True, default=str)


Option = Annotated[
    Annotated[str | int | float, Tag(WORD)] | Annotated[Values, Tag(TABLE)], WORD_OR_TABLE
]


class Build(Strict):
    """A target that each network is built for; where it refuses one, that is no answer.

    Attributes:
        options: of the target, as `lehr build --option` takes them; one that is a table, as a key
            has, is searched.
        measure: whether the tools of this machine measure each artefact, as with `lehr build
            --measure`.
    """

    options: dict[str, Option] = Field(default_factory=dict)
    measure: bool = False


def _flat(table: Any) -> Any:
    """Return keys as dotted ones, whether TOML nested them or not."""
    if not isinstance(table, Mapping):
        return table
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and not value.keys() & Values.model_fields.keys():
            flat |= {f"{key}.{inner}": values for inner, values in _flat(value).items()}
        else:
            flat[key] = value
    return flat


class Search(Strict):
    """A search: what it varies, and what it wants.

    Attributes:
        objectives: `accuracy` on the validation samples, which is to be high, and what is to be
            low: `spikes` and `operations` an inference, or TARGET.FIGURE, a figure of a target in
            `builds`, such as `c.flash`.
        keys: of the recipe, by their dotted names.
        builds: by the target's name.
        trials: how many networks are trained.
        sampler: who proposes values, by Optuna: `tpe`, `nsga2` or `random`.
        pruner: who ends trainings that fall behind, by the validation accuracies of phase A's
            epochs: `none`, `median`, `halving` or `hyperband`.
        seed: of what the sampler draws.
    """

    objectives: Annotated[tuple[str, ...], Field(min_length=1), LIST] = (ACCURACY,)
    keys: Annotated[dict[str, Values], BeforeValidator(_flat)] = Field(default_factory=dict)
    builds: dict[str, Build] = Field(default_factory=dict)
    trials: Count = 20
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    pruner: Literal["none", "median", "halving", "hyperband"] = "none"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @property
    def varied(self) -> dict[str, Values]:
        """All that is searched, by the name that it has in a study."""
        options = {
            f"builds.{target}.options.{name}": value
            for target, build in self.builds.items()
            for name, value in build.options.items()
            if isinstance(value, Values)
        }
        return {**self.keys, **options}

    @model_validator(mode="after")
    def _wants(self) -> Search:
        if twice := [each for n, each in enumerate(self.objectives) if each in self.objectives[:n]]:
            raise ValueError(f"objectives has {twice[0]!r} twice; leave one out")
        for each in self.objectives:
            target, dot, _ = each.partition(".")
            if each not in OWN and not (dot and target in self.builds):
                known = ", ".join([*OWN, *(f"{name}.FIGURE" for name in self.builds)])
                raise ValueError(
                    f"objectives has {each!r}; use {known}"
                    + ("" if self.builds else ", or TARGET.FIGURE with that target in 'builds'")
                )
        if self.pruner != "none" and self.objectives != (ACCURACY,):
            raise ValueError(
                f"pruner is '{self.pruner}', which goes by the accuracy of epochs, but the "
                f"objectives are {', '.join(self.objectives)}; use 'none', or '{ACCURACY}' alone"
            )
        if not self.varied:
            raise ValueError("nothing is searched; give keys of the recipe in 'keys'")
        if wrong := [
            name for name, value in self.varied.items() if value.also and name not in self.keys
        ]:
            raise ValueError(f"{wrong[0]}: 'also' is for keys of the recipe; leave it out")
        return self
