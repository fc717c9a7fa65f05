"""Samplers and pruners, made anew for each trial: what a trial gets depends on no process's past.

A study that was stopped, and goes on in another process, draws as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from lehr.train.keys.search import Search

POPULATION = 16
"""Networks of a generation of `nsga2`: Optuna's own 50 are more than most searches train."""

SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed),
    "nsga2": lambda seed: NSGAIISampler(seed=seed, population_size=POPULATION),
    "random": lambda seed: RandomSampler(seed=seed),
}


class ByNumber(BaseSampler):
    """A sampler that draws by the study's seed and the trial's number."""

    def __init__(self, search: Search) -> None:
        """Take over what the search says."""
        self._search = search
        self._inner = self._of(0)

    def _of(self, number: int) -> BaseSampler:
        seed = np.random.SeedSequence([self._search.seed, number]).generate_state(1)
        return SAMPLERS[self._search.sampler](int(seed[0]))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin a trial."""
        self._inner = self._of(trial.number)
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return what is drawn together."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw that."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one value."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """End a trial."""
        self._inner.after_trial(study, trial, state, values)


def pruner(search: Search, epochs: int) -> BasePruner:
    """Return who ends trainings that fall behind.

    Args:
        search: what it says.
        epochs: of phase A, as the recipe has them.
    """
    if search.pruner == "median":
        return MedianPruner()
    if search.pruner == "halving":
        return SuccessiveHalvingPruner()
    if search.pruner == "hyperband":
        return HyperbandPruner(max_resource=epochs)
    return NopPruner()
