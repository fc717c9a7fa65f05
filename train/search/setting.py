"""A recipe and the space around it, checked before the first training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import optuna
from optuna.samplers import RandomSampler

from lehr.errors import LehrError, NotMappable, UsageError
from lehr.network import INPUT
from lehr.searches import unknown_measure
from lehr.targets import registry
from lehr.train.for_target import for_target, target_of
from lehr.train.keys.search import OWN, Search, written
from lehr.train.recipe import Recipe
from lehr.train.recipefile import Override, parse, to_toml
from lehr.train.search.measures import Building, figures
from lehr.train.search.space import Chosen, chosen, distributions
from lehr.train.search.trial import Job, dataset
from lehr.train.stand_in import stand_in

DRAWS = 32
"""Points of a space that are looked at before the first training."""


@dataclass(frozen=True)
class Setting:
    """What is searched.

    Attributes:
        text: of the recipe's file.
        source: names the recipe in messages.
        overrides: of `--set`.
        search: the space.
        data: folder of official files.
    """

    text: str
    source: str
    overrides: tuple[Override, ...]
    search: Search
    data: Path | None = None

    @cached_property
    def base(self) -> Recipe:
        """The recipe, with nothing searched."""
        recipe = parse(self.text, self.source, self.overrides)
        return recipe.model_copy(update={"search": None})

    @cached_property
    def digest(self) -> str:
        """Digest of the recipe and of the space; the number of trials may change."""
        space = self.search.model_dump(mode="json", exclude={"trials"})
        return hashlib.sha256(to_toml(self.base) + written(space).encode()).hexdigest()

    def recipe(self, point: Chosen) -> Recipe:
        """Return the recipe of a point, in the form of its target.

        Raises:
            UsageError: when its keys contradict each other.
            NotMappable: when its target refuses every network of its shape.
        """
        recipe = parse(self.text, self.source, (*self.overrides, *point.overrides))
        recipe = recipe.model_copy(update={"search": None})
        target = target_of(recipe, None)
        if target is None:
            return recipe
        folder = None if self.data is None else str(self.data)
        return for_target(recipe, target, dataset(recipe.data.model_dump_json(), folder))

    def job(self, point: Chosen) -> Job:
        """Return what a trial of a point needs to know.

        Raises:
            UsageError, NotMappable: as `recipe`.
        """
        builds = {
            target: Building(point.options[target], build.measure)
            for target, build in self.search.builds.items()
        }
        folder = None if self.data is None else str(self.data)
        return Job(to_toml(self.recipe(point)).decode(), folder, builds)

    def require(self) -> None:
        """Refuse what no trial could come of.

        Where tools are to measure, they measure a network of the first point's shape.

        Raises:
            UsageError: when no point that is drawn makes a recipe; when a target, an option or an
                objective is none; when there are no validation samples.
            ToolMissing: when a target needs a package that is not installed.
        """
        if not self.base.network.integer:
            raise UsageError(
                f"recipe {self.source}: network.weights is '{self.base.network.weights}', which is "
                "not exported, and a search measures integer networks; leave it out"
            )
        for target in self.search.builds:
            registry.get(target).require_options(self.search.builds[target].options)
        point, recipe = self._first()
        folder = None if self.data is None else str(self.data)
        data = dataset(recipe.data.model_dump_json(), folder)
        if not len(data.validation):
            raise UsageError(
                f"recipe {self.source} leaves no validation samples, by which a search goes; give "
                "it more data"
            )
        known = list(OWN)
        try:
            net = stand_in(recipe, data)
        except NotMappable:
            return
        rates = dict.fromkeys((INPUT, *net.neurons), 0.5)
        for target, build in self.search.builds.items():
            building = Building(point.options[target], build.measure)
            try:
                known += figures(net, target, building, rates)
            except NotMappable:
                return  # of this point; another may do
        if unknown := [each for each in self.search.objectives if each not in known]:
            raise UsageError(unknown_measure(unknown[0], known))

    def _first(self) -> tuple[Chosen, Recipe]:
        """Return the first point that makes a recipe."""
        study = optuna.create_study(sampler=RandomSampler(seed=0))
        first: LehrError | None = None
        for _ in range(DRAWS):
            drawn = study.ask(distributions(self.search))
            point = chosen(self.search, drawn.params)
            try:
                return point, self.recipe(point)
            except (UsageError, NotMappable) as error:
                first = first or error
        assert first is not None
        raise first.about("the space holds no recipe: ")
