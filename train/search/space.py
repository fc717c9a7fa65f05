"""A space as Optuna has it, and what its values make of a recipe and of builds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from lehr.errors import FileRefused, UsageError
from lehr.extras import needed_by
from lehr.mistakes import mistakes
from lehr.reading import read_text
from lehr.toml import table_of
from lehr.train.keys.search import Search, Values, written
from lehr.train.recipefile import RECIPE_BYTES, Override

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class Chosen(NamedTuple):
    """A point of a space.

    Attributes:
        keys: of the recipe, with their values, those of `also` among them.
        options: of each target, by its name, those that are not searched among them.
    """

    keys: dict[str, Any]
    options: dict[str, dict[str, str]]

    @property
    def overrides(self) -> tuple[Override, ...]:
        """What they change in the recipe."""
        return tuple(self.keys.items())


def read_space(path: Path) -> Search:
    """Read the file of a space: what a recipe has in `[search]`, without that heading.

    Raises:
        UsageError: naming each key, its value and what it may be.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file; give the TOML file of a space")
    try:
        text = read_text(path, RECIPE_BYTES, "give a space, a TOML file in UTF-8")
    except FileRefused as error:
        raise UsageError(f"space {error}") from None
    return space_of(table_of(text, f"space {path}"), f"space {path}")


def space_of(table: Mapping[str, Any], source: str) -> Search:
    """Return a space from its table, which messages name `source`.

    Raises:
        UsageError: naming each key, its value and what it may be.
    """
    try:
        return Search.model_validate(table)
    except ValidationError as error:
        raise UsageError(
            *(f"{source}: {sentence}" for sentence in mistakes(error, Search, "space"))
        ) from None


def distributions(search: Search) -> dict[str, BaseDistribution]:
    """Return what Optuna draws from, by name."""
    with needed_by("lehr search"):
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

    def one(values: Values) -> BaseDistribution:
        if values.choices is not None:
            return CategoricalDistribution([written(choice) for choice in values.choices])
        low, high, step = values.low, values.high, values.step
        assert low is not None
        assert high is not None
        if values.whole:
            return IntDistribution(low, high, values.log, step or 1)
        return FloatDistribution(low, high, values.log, step)

    return {name: one(values) for name, values in search.varied.items()}


def chosen(search: Search, params: Mapping[str, Any]) -> Chosen:
    """Return what Optuna's parameters stand for."""
    drawn = {name: _value(values, params[name]) for name, values in search.varied.items()}
    keys = {
        each: drawn[name] for name, values in search.keys.items() for each in (name, *values.also)
    }
    options = {
        target: {
            name: str(drawn.get(f"builds.{target}.options.{name}", value))
            for name, value in build.options.items()
        }
        for target, build in search.builds.items()
    }
    return Chosen(keys, options)


def _value(values: Values, param: Any) -> Any:
    if values.choices is None:
        return param
    return next(choice for choice in values.choices if written(choice) == param)
