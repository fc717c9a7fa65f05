"""Gradients of the first batches of a training, in one process or in several.

    torchrun --nproc-per-node 2 tests/one_batch.py RECIPES.json OUT

trains by each recipe of a list for some batches, and keeps in OUT/NUMBER.npz what `Steps` has, by
the process that writes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from lehr.launched import launched
from lehr.train import processes
from lehr.train.data import load_dataset
from lehr.train.learning import phases
from lehr.train.learning.loop import train
from lehr.train.recipe import Recipe
from lehr.train.runs.one_training import require_one_network


class _Stop(Exception):
    """Enough batches."""


Arrays = dict[str, npt.NDArray[Any]]


def first_batches(recipe: Recipe, batches: int) -> Arrays:
    """Train, and return of each batch the gradients of this process and of all, and the rates.

    They are named `BATCH.mine.PARAMETER`, `BATCH.all.PARAMETER` and `BATCH.rates`. At the end
    `after.NAME` are the numbers of the network.
    """
    kept: Arrays = {}
    models: list[nn.Module] = []
    number = 0

    def grads(parameters: Sequence[nn.Parameter], of: str) -> None:
        for place, parameter in enumerate(parameters):
            if parameter.grad is not None:
                kept[f"{number}.{of}.{place}"] = parameter.grad.numpy().copy()

    def add_gradients(parameters: Iterable[nn.Parameter]) -> None:
        parameters = list(parameters)
        grads(parameters, "mine")
        processes.add_gradients(parameters)
        grads(parameters, "all")

    def after_batch(self: phases.PhaseA, rates: Sequence[float]) -> None:
        nonlocal number
        right_one(self, rates)
        models.append(self.model)
        kept[f"{number}.rates"] = np.array(rates)
        number += 1
        if number == batches:
            raise _Stop

    right_one = phases.PhaseA.after_batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phases, "add_gradients", add_gradients)
        patch.setattr(phases.PhaseA, "after_batch", after_batch)
        with pytest.raises(_Stop):
            train(recipe, load_dataset(recipe.data, None))
    state: dict[str, Tensor] = models[-1].state_dict()
    require_one_network(models[-1], "after the last batch")
    return kept | {f"after.{name}": value.numpy() for name, value in state.items()}


def main(recipes: Path, out: Path) -> None:
    """Train together with the other processes."""
    torch.manual_seed(0)
    with processes.joined(launched(), "cpu"):
        for number, (settings, batches) in enumerate(json.loads(recipes.read_text("utf-8"))):
            kept = first_batches(Recipe.model_validate(settings), batches)
            np.savez(out / f"{number}.{processes.rank()}.npz", allow_pickle=False, **kept)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
