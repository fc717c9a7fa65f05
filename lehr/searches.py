"""What a search has found, in search.json of its folder: trials, and which of them none beats.

STUDY/search.json    the trials so far, which `lehr report` reads; written anew after each
      recipe.toml    the recipe, and [search] with the space
      trial-0007/    the run of a trial, which `lehr export` takes
      study.db       Optuna's, where no other storage is named
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lehr.artifact import to_json
from lehr.atomic import write_bytes
from lehr.errors import FileRefused
from lehr.folders import require_marked
from lehr.reading import read_json
from lehr.spelling import nearest

SCHEMA, FILE = "lehr-search/1", "search.json"
HIGH = ("accuracy",)
"""Measures that are to be high; all others are to be low."""
AGAIN = "give the command 'lehr search' again, which writes it anew"
State = Literal["finished", "refused", "pruned", "running", "failed"]


@dataclass(frozen=True)
class Trial:
    """A trial of a search.

    Attributes:
        number: from 0.
        state: `finished`; `refused`, where training or a target refused it; `pruned`, where it fell
            behind; `running`; or `failed`, which Optuna says of what another program ended.
        keys: of the recipe, with the values that they got.
        options: of each target, by its name.
        measures: what was measured of the network, by name.
        refused: why, by `training` or the target's name.
    """

    number: int
    state: State
    keys: Mapping[str, Any]
    options: Mapping[str, Mapping[str, str]]
    measures: Mapping[str, float]
    refused: Mapping[str, str]

    @property
    def folder(self) -> str:
        """Name of the run's folder in that of the search."""
        return f"trial-{self.number:04}"


@dataclass(frozen=True)
class Searched:
    """A search, as far as it has come.

    Attributes:
        name: of the study.
        recipe: its name.
        digest: of the recipe and the space, which a study keeps to.
        storage: where Optuna keeps the study, without a password.
        data: whether `lehr train` needs `--data`.
        objectives: measures that are wanted high or low, see `HIGH`.
        sampler, pruner, seed: as the space has them.
        trials: by number.
    """

    name: str
    recipe: str
    digest: str
    storage: str
    data: bool
    objectives: Sequence[str]
    sampler: str
    pruner: str
    seed: int
    trials: Sequence[Trial]

    @property
    def front(self) -> list[Trial]:
        """The finished trials that no other beats, the best in the first objective at the top."""
        done = [trial for trial in self.trials if trial.state == "finished"]
        scores = {trial.number: self._score(trial) for trial in done}
        best = [
            trial
            for trial in done
            if not any(_beats(other, scores[trial.number]) for other in scores.values())
        ]
        return sorted(best, key=lambda trial: (scores[trial.number], trial.number))

    def _score(self, trial: Trial) -> tuple[float, ...]:
        """Return the objectives' values, all to be low."""
        return tuple(
            -trial.measures[name] if name in HIGH else trial.measures[name]
            for name in self.objectives
        )

    def commands(self, trial: Trial) -> list[str]:
        """Return what makes a trial's network again, bit for bit, and what is built of it."""
        run = shlex.quote(f"{self.name}/{trial.folder}")
        recipe = shlex.quote(f"{self.name}/{trial.folder}/recipe.toml")
        lines = [
            f"lehr train {recipe}{' --data DIR' if self.data else ''} -o again",
            f"lehr export {run} -o model.nir",
        ]
        for target, options in trial.options.items():
            given = "".join(
                f" --option {shlex.quote(f'{name}={value}')}" for name, value in options.items()
            )
            lines.append(f"lehr build model.nir --target {shlex.quote(target)}{given} -o {target}")
        return lines

    def write(self, folder: Path) -> None:
        """Write search.json, whole or not at all."""
        write_bytes(folder / FILE, to_json({"schema": SCHEMA, **asdict(self)}))


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether `one` is nowhere worse, and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def read_search(folder: Path) -> Searched:
    """Read what a search has found.

    Raises:
        UsageError: when `folder` holds no search.
        FileRefused: when its search.json is not as lehr writes it.
    """
    require_marked(folder, FILE, "lehr search")
    state = read_json(folder / FILE, AGAIN)
    try:
        if state.pop("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA!r}")
        trials = tuple(map(_trial, state.pop("trials")))
        objectives = tuple(state.pop("objectives"))
        searched = Searched(**state, objectives=objectives, trials=trials)
        _check(searched)
        if [trial.number for trial in trials] != sorted({trial.number for trial in trials}):
            raise ValueError("its trials are not in order")
        _ = searched.front
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise FileRefused(
            f"{folder / FILE} is no search as lehr writes it ({type(error).__name__}: {error}); "
            f"{AGAIN}"
        ) from None
    return searched


def _check(searched: Searched) -> None:
    names = (searched.name, searched.recipe, searched.digest, searched.storage)
    texts = (*names, searched.sampler, searched.pruner, *searched.objectives)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a name is no text")
    if type(searched.seed) is not int or type(searched.data) is not bool:
        raise TypeError("its seed is no number, or it does not say whether it has data")
    if not searched.objectives:
        raise ValueError("it has no objective")


def _trial(state: dict[str, Any]) -> Trial:
    trial = Trial(**state)
    if type(trial.number) is not int or trial.number < 0 or trial.state not in get_args(State):
        raise ValueError(f"trial {trial.number!r} is {trial.state!r}")
    for value in trial.measures.values():
        if isinstance(value, bool) or not math.isfinite(value):
            raise TypeError(f"trial {trial.number} measures {value!r}")
    texts = [
        *trial.refused.values(),
        *(v for each in trial.options.values() for v in each.values()),
    ]
    if not isinstance(trial.keys, dict) or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"trial {trial.number} has an option or a reason that is no text")
    return trial


def unknown_measure(name: str, known: Sequence[str]) -> str:
    """Return a sentence for an objective that nothing measures."""
    asked = nearest(name, known) or f"use one of {', '.join(known)}"
    return f"objective {name!r} is measured by nothing; {asked}"
