"""The arguments of a Python user: networks or files of them, arrays, lists, or files of inputs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lehr import nirfile
from lehr.errors import FileRefused, UsageError
from lehr.network import HIGHEST, Input, Network, kind_divided
from lehr.recordings import open_inputs
from lehr.samples import Samples, read_samples

Place = str | os.PathLike[str]
"""A path."""
Inputs = npt.ArrayLike | Place
"""Samples, `[N, *shape]`, held for all steps, or `[N, T, *shape]`; or files of them."""


class HoldsNetwork(Protocol):
    """The result of an export: a network, and its verification."""

    @property
    def network(self) -> Network:
        """Return the network."""
        ...


AnyNetwork = Network | HoldsNetwork | Place
"""A network, the result of an export, or a `.nir` file."""


def network(given: AnyNetwork) -> Network:
    """Return a network, read if its file is given."""
    if isinstance(given, (str, os.PathLike)):
        return nirfile.read(Path(given))
    if isinstance(given, Network):
        return given
    held = getattr(given, "network", None)
    if not isinstance(held, Network):
        raise UsageError(
            f"a {type(given).__name__} is no network; give one, or the path of a .nir file"
        )
    return held


def opened(entry: Input, given: Inputs, frames: str | None = None) -> Samples | None:
    """Return the samples of a file, to be read in pieces; None if no file is given.

    Args:
        entry: the input that they are for.
        given: samples, or their file.
        frames: how a recording is cut into steps.
    """
    return (
        open_inputs(Path(given), entry, frames) if isinstance(given, (str, os.PathLike)) else None
    )


def whole(given: Inputs, full_scale: float | None) -> npt.NDArray[np.uint8]:
    """Return all samples, of which a model takes the share of `full_scale`.

    They are read if their `.npz` file is given.
    """
    if not isinstance(given, (str, os.PathLike)):
        return pixels(given)
    return read_samples(Path(given), HIGHEST[kind_divided(full_scale)])[0]


def recipe_value(key: str, given: object) -> Any:
    """Return a value of a recipe's key as TOML has them, exactly: of numpy's numbers Python's own.

    Raises:
        UsageError: when TOML has no such value.
    """
    match given:
        case np.ndarray():
            return recipe_value(key, given.tolist())
        case np.generic() if not isinstance(plain := given.item(), np.generic):
            return recipe_value(key, plain)
        case os.PathLike():
            return recipe_value(key, os.fspath(given))
        case bool() | int() | float() | str() if not isinstance(given, np.generic):
            return given
        case list() | tuple():
            return [recipe_value(key, each) for each in given]
        case Mapping():
            return {name: recipe_value(f"{key}.{name}", each) for name, each in given.items()}
    raise UsageError(
        f"settings: {key} is {given!r}, a {type(given).__name__}; give a number, a text, a list or "
        "a dict, or leave the key out"
    )


def pixels(given: Any) -> npt.NDArray[np.uint8]:
    """Return samples as bytes: whole numbers from 0 to 255, of any type.

    Raises:
        FileRefused: naming the first value that is none, when they are not.
    """
    x = np.asarray(given)
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind not in "biuf":
        raise FileRefused(f"the input holds {x.dtype}; give whole numbers from 0 to 255")
    wrong = ~((x >= 0) & (x <= 255) & (x == np.floor(x)))
    if wrong.any():
        first = x[np.unravel_index(int(wrong.argmax()), x.shape)]
        raise FileRefused(
            f"the input holds {first}; a network takes spikes or pixels: give whole numbers from 0 "
            "to 255"
        )
    return x.astype(np.uint8)
