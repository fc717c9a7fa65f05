"""Other runs that a training learns from: its teacher, and the one whose weights it begins with.

They are read as any run is, through `lehr.export.checkpoint`, which checks them. A digest of each
is kept in the progress of a training, and in its run, so that no training goes on with another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lehr.errors import NotMappable, UsageError
from lehr.export.checkpoint import float_tensors, load_run, run_digest
from lehr.train.data import Dataset
from lehr.train.floats.model import FloatNet
from lehr.train.recipe import Recipe
from lehr.train.recipefile import load
from lehr.train.stand_in import full_scale
from lehr.train.twin.converted_layers import latents_of
from lehr.train.twin.network import Twin

INIT = "train.init_from"
TEACHER = "train.teacher.run"
"""Keys that name runs."""


@dataclass(frozen=True)
class Other:
    """A run of before.

    Attributes:
        model: its integer network as a twin, or a float baseline's network.
        recipe: that it was trained by.
    """

    model: FloatNet | Twin
    recipe: Recipe

    @property
    def weights(self) -> dict[int, Tensor]:
        """Latent weights by the layer's place in the recipe, from 0."""
        if isinstance(self.model, FloatNet):
            return _by_place(self.recipe, self.model.weights.values())
        return _by_place(self.recipe, latents_of(self.recipe.network, self.model.weights))


def digests(recipe: Recipe) -> dict[str, str]:
    """Return the digest of each run that a recipe names, by its path as it stands there.

    Raises:
        UsageError: when one is no run.
        FileRefused: when its files are not those that it states.
    """
    training, read = recipe.train, dict[str, str]()
    for key, each in ((TEACHER, training.teacher), (INIT, training.init_from)):
        if each is not None:
            with _named(key, each.run):
                read[each.run] = run_digest(Path(each.run))
    return read


@contextmanager
def _named(key: str, folder: str) -> Iterator[None]:
    """Name the key whose folder is no run."""
    try:
        yield
    except UsageError as error:
        reason = str(error).removeprefix(f"{folder}: ")
        raise UsageError(f"{key} is '{folder}': {reason}") from None


def open_run(key: str, folder: str, data: Dataset) -> Other:
    """Read a run whose network is to take the samples of a data set.

    Args:
        key: of the recipe that names it, for messages.
        folder: of the run.
        data: of this training.

    Raises:
        UsageError: when it is no run, or its network takes other samples.
        FileRefused: when it is damaged.
    """
    path = Path(folder)
    try:
        with _named(key, folder):
            run = load_run(path)
    except NotMappable:
        return _float_run(key, path, data)
    takes = run.network.input
    if (takes.shape, takes.kind) != (data.shape, data.kind):
        raise UsageError(
            f"{key} is '{folder}', whose network takes {takes.kind} of shape {takes.shape}, but "
            f"the data are {data.kind} of shape {data.shape}; name a run on the same data"
        )
    return Other(Twin(run.network, latents=run.latents), load(str(path / "recipe.toml")))


def _float_run(key: str, path: Path, data: Dataset) -> Other:
    recipe = load(str(path / "recipe.toml"))
    held, holds = recipe.data.steps is None, data.steps is None
    if held != holds:
        ways = {True: "held for all steps", False: "another in each step"}
        raise UsageError(
            f"{key} is '{path}', whose samples are {ways[held]}, but the data's are "
            f"{ways[holds]}; name a run on the same data"
        )
    with torch.random.fork_rng(devices=[]):
        model = FloatNet(recipe.network, data.shape, full_scale(data))
    tensors = {name: torch.from_numpy(value) for name, value in float_tensors(path).items()}
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise UsageError(
            f"{key} is '{path}', whose network does not take the data's samples of shape "
            f"{data.shape} ({str(error).splitlines()[-1].strip()}); name a run on the same data"
        ) from None
    return Other(model, recipe)


def begin_with(model: FloatNet, recipe: Recipe, data: Dataset) -> None:
    """Put the latent weights of `train.init_from` into a new model, in place.

    Raises:
        UsageError: naming the layers that do not fit.
    """
    given = recipe.train.init_from
    if given is None:
        return
    weights = open_run(INIT, given.run, data).weights
    mine = _by_place(recipe, model.weights.values())
    wrong = []
    for number in mine if given.layers is None else given.layers:
        here = tuple(mine[number].shape) if number in mine else None
        there = tuple(weights[number].shape) if number in weights else None
        if here is None:
            wrong.append(
                f"{INIT}.layers has {number}, but network.layers.{number} is no layer with "
                f"weights; use some of {', '.join(map(str, mine))}"
            )
            continue
        if here != there:
            wrong.append(
                f"{INIT} is '{given.run}', whose layer {number} has "
                f"{_weights(there)}, but network.layers.{number} has {_weights(here)}; list the "
                "layers that fit in train.init_from.layers"
            )
            continue
        with torch.no_grad():
            mine[number].copy_(weights[number])
    if wrong:
        raise UsageError(*wrong)


def _by_place(recipe: Recipe, weights: Iterable[Tensor]) -> dict[int, Tensor]:
    return dict(zip(recipe.network.graph.places, weights, strict=True))


def _weights(shape: tuple[int, ...] | None) -> str:
    return "no weights" if shape is None else f"weights of shape {shape}"
