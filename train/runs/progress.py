"""An unfinished run on disk: its state after a whole epoch.

From it `--resume` goes on to the very same weights.

    RUN.unfinished/progress.safetensors    model, twin, the best of the phase so far, optimiser,
                                           torch's random generator
                   progress.json           phase, epoch, metrics, learning rates, the shuffling
                                           generator, the number of processes, the sha256 of
                                           every file
                   recipe.toml             the recipe, which must be the same to go on

Of several processes that train together the first one alone writes; as all of them draw the same
random numbers, its generators are those of all.

What comes after the kept epoch is trained again, with the same order of samples. The folder is
written whole or not at all: after every epoch, but where epochs are so short that writing would
take more than `SHARE` of the time, after some. It is removed when the run is finished; a finished
run at RUN stays until then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from lehr.artifact import BuildPlan
from lehr.atomic import remove_whole
from lehr.errors import FileRefused, UsageError
from lehr.leftovers import sweep
from lehr.reading import parse_json, read_bytes
from lehr.sums import SUMS, check_sums, with_sums
from lehr.train import processes
from lehr.train.learning.other_runs import digests
from lehr.train.recipe import Recipe
from lehr.train.recipefile import RECIPE_BYTES, to_toml

SCHEMA, WITHOUT_SUMS = "lehr-progress/3", "lehr-progress/2"
STATE, TENSORS, RECIPE = "progress.json", "progress.safetensors", "recipe.toml"
PHASES = "ABC"
SHARE = 0.1
_ANEW = "remove it and train anew"
_JSON_BYTES, _MAX_BYTES = 1 << 26, 1 << 34
"""Of the metrics of all epochs, and of the tensors.

The latter hold a billion weights, their best values and an optimiser's two averages.
"""


def progress_folder(run: Path) -> Path:
    """Return the folder that keeps the progress of the run `run`."""
    return run.with_name(f"{run.name}.unfinished")


@dataclass
class Progress:
    """The state after a whole epoch, kept in `folder`; nowhere where `folder` is None.

    Attributes:
        folder: to write to.
        recipe: of the run.
        phase: of the epoch that was found kept.
        epoch: its number, from 1; 0 before the first.
        rest: the rest of progress.json.
        others: digests of the runs that the recipe names, by their folders.
        tensors: by name: `model.`, `twin.`, `best.`, `optimizer.`, `random`.
    """

    folder: Path | None
    recipe: Recipe
    phase: str = "A"
    epoch: int = 0
    rest: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    others: dict[str, str] = field(init=False)
    _due: float = -math.inf

    def __post_init__(self) -> None:
        """Read the runs that the recipe names."""
        self.others = digests(self.recipe)

    @classmethod
    def open(cls, folder: Path, recipe: Recipe, resume: bool) -> Progress:
        """Return the progress in `folder`, or a new one where there is none.

        Raises:
            UsageError: when there is progress and `resume` is not set, or it belongs to another
                recipe or to another number of processes.
            FileRefused: when it is damaged.
        """
        progress = cls(folder, recipe)
        sweep(folder)
        if not folder.exists():
            return progress
        if not (folder / STATE).exists():
            raise UsageError(
                f"{folder} is not the progress of a run (no {STATE}); choose another output folder "
                "or remove it"
            )
        try:
            progress.rest = parse_json(read_bytes(folder / STATE, _JSON_BYTES, _ANEW))
            schema = progress.rest["schema"]
            if schema == WITHOUT_SUMS:
                raise FileRefused(
                    f"{folder} is an older lehr's ({schema}) and states no {SUMS}; go on with that "
                    "lehr, or remove it"
                )
            if schema != SCHEMA:
                raise ValueError(f"schema is not {SCHEMA}")
            check_sums(folder, STATE, progress.rest, (TENSORS, RECIPE), _ANEW)
            del progress.rest["schema"]
            progress.phase = str(progress.rest.pop("phase"))
            progress.epoch = int(progress.rest.pop("epoch"))
            lacking = {"metrics", "optimizer", "schedule", "shuffle"} - progress.rest.keys()
            if progress.phase not in [*PHASES] or lacking:
                raise ValueError(f"it lacks {min(lacking, default='a phase')}")
            last = progress.metrics[-1]
            if (last["phase"], last["epoch"]) != (progress.phase, progress.epoch) or not all(
                "candidate" in entry for entry in progress.metrics
            ):
                raise ValueError("its metrics are of other epochs")
            progress.tensors = safetensors.torch.load(
                read_bytes(folder / TENSORS, _MAX_BYTES, _ANEW)
            )
            same = read_bytes(folder / RECIPE, RECIPE_BYTES, _ANEW) == to_toml(recipe)
        except (
            OSError,
            ValueError,
            ArithmeticError,
            LookupError,
            TypeError,
            AttributeError,
            SafetensorError,
        ) as error:
            raise FileRefused(
                f"{folder} is damaged ({type(error).__name__}: {error}); {_ANEW}"
            ) from None
        if not resume:
            raise UsageError(
                f"{folder} holds epoch {progress.epoch} of phase {progress.phase} of an unfinished "
                "run; add --resume to go on, or remove it"
            )
        if not same:
            raise UsageError(
                f"{folder} was trained with another recipe; resume it with its own "
                f"({folder / RECIPE}), or remove it"
            )
        progress._require_as_many_processes()
        progress._require_others()
        return progress

    def _require_as_many_processes(self) -> None:
        """Refuse to go on in another number of processes, which sum floats in another order."""
        before, now = self.rest.get("processes", 1), processes.count()
        if before != now:
            by = "1 process" if before == 1 else f"{before} processes"
            launcher = "without torchrun" if before == 1 else f"in {before} processes of torchrun"
            raise UsageError(
                f"{self.folder} was trained by {by}, and this training has {now}; go on "
                f"{launcher}, or remove it"
            )

    def _require_others(self) -> None:
        """Refuse to go on where a run that was learnt from is another one by now."""
        for run, digest in self.others.items():
            if self.rest.get("others", {}).get(run) != digest:
                raise UsageError(
                    f"{self.folder} has learnt from {run}, which is another run by now; put that "
                    f"back, or remove {self.folder}"
                )

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The entries of all epochs so far."""
        return list(self.rest.get("metrics", []))

    def passed(self, phase: str) -> bool:
        """Whether `phase` lies behind."""
        return PHASES.index(phase) < PHASES.index(self.phase)

    def restore(self, name: str, module: nn.Module) -> None:
        """Put back the parameters and buffers that were kept under `name`, if any were."""
        state = {
            key.removeprefix(f"{name}."): value
            for key, value in self.tensors.items()
            if key.startswith(f"{name}.")
        }
        if state:
            try:
                module.load_state_dict(state)
            except RuntimeError as error:
                raise FileRefused(
                    f"{self.folder} does not fit the recipe's network "
                    f"({str(error).splitlines()[0]}); remove it"
                ) from None

    def restore_training(self, schedule: LRScheduler, shuffle: np.random.Generator) -> None:
        """Put back optimiser, learning rates and both random generators.

        Raises:
            FileRefused: when one of them is damaged.
        """
        state: dict[int, dict[str, Tensor]] = {}
        try:
            for key, value in self.tensors.items():
                if key.startswith("optimizer."):
                    _, index, name = key.split(".")
                    state.setdefault(int(index), {})[name] = value
            schedule.optimizer.load_state_dict(
                {"state": state, "param_groups": self.rest["optimizer"]}
            )
            schedule.load_state_dict(self.rest["schedule"])
            shuffle.bit_generator.state = self.rest["shuffle"]
            torch.set_rng_state(self.tensors["random"])
            if "random_cuda" in self.tensors and torch.cuda.is_available():
                torch.cuda.set_rng_state(self.tensors["random_cuda"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise FileRefused(
                f"{self.folder} is damaged ({type(error).__name__}: {error}); {_ANEW}"
            ) from None

    def keep(
        self,
        phase: str,
        epoch: int,
        modules: Mapping[str, nn.Module],
        schedule: LRScheduler,
        shuffle: np.random.Generator,
        metrics: list[dict[str, Any]],
    ) -> None:
        """Write the state after a whole epoch, unless the last writing was just now.

        Raises:
            FileRefused: when it cannot be written.
        """
        start = time.monotonic()
        if self.folder is None or start < self._due or not processes.first():
            return
        tensors = {
            f"{name}.{key}": value.detach().clone()
            for name, module in modules.items()
            for key, value in module.state_dict().items()
        }
        optimizer = schedule.optimizer.state_dict()
        for index, values in optimizer["state"].items():
            tensors |= {
                f"optimizer.{index}.{key}": torch.as_tensor(value)
                for key, value in values.items()
                if value is not None
            }
        tensors["random"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            tensors["random_cuda"] = torch.cuda.get_rng_state()
        rates = {
            key: value
            for key, value in schedule.state_dict().items()
            if isinstance(value, (bool, int, float, list))
        }
        state = {
            "schema": SCHEMA,
            "phase": phase,
            "epoch": epoch,
            "metrics": metrics,
            "optimizer": optimizer["param_groups"],
            "schedule": rates,
            "shuffle": shuffle.bit_generator.state,
            "processes": processes.count(),
            **({"others": self.others} if self.others else {}),
        }
        files = with_sums(
            STATE, state, {TENSORS: safetensors.torch.save(tensors), RECIPE: to_toml(self.recipe)}
        )
        BuildPlan(files).write(
            self.folder, STATE, own=("*",)
        )  # a stray file must not end hours of training
        end = time.monotonic()
        self._due = end + (end - start) * (1 / SHARE - 1)

    def finish(self) -> None:
        """Remove the progress: the run is written, and does not need it any more."""
        if self.folder is not None and processes.first():
            remove_whole(self.folder)
