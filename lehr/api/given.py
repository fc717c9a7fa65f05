"""What a Python user gives: networks or files of them, arrays, lists, or files of inputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr import nirfile
from lehr.errors import FileRefused
from lehr.network import Network
from lehr.recordings import open_inputs
from lehr.samples import Samples

Place = str | os.PathLike[str]
"""A path."""
Inputs = npt.ArrayLike | Place
"""Samples, `[N, *shape]`, held for all steps, or `[N, T, *shape]`; or an `.npz` file of them."""


def network(given: Network | Place) -> Network:
    """Return a network, read where its file is given."""
    return given if isinstance(given, Network) else nirfile.read(Path(given))


def opened(net: Network, given: Inputs, frames: str | None = None) -> Samples | None:
    """Return the samples of a file, to be read in pieces; None where none is named."""
    return (
        open_inputs(Path(given), net.input.shape, frames)
        if isinstance(given, (str, os.PathLike))
        else None
    )


def pixels(given: Any) -> npt.NDArray[np.uint8]:
    """Samples as bytes: whole numbers from 0 to 255, of any type.

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
