"""That several processes train one and the same network: by the same recipe, on the same data.

Nothing of it costs anything where a process is alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from lehr import __version__
from lehr.errors import UsageError
from lehr.train import processes
from lehr.train.data import Dataset
from lehr.train.recipe import Recipe
from lehr.train.recipefile import to_toml
from lehr.train.runs.progress import Progress


def require_one_training(recipe: Recipe, data: Dataset, progress: Progress) -> None:
    """Refuse to begin where the processes differ in what they train, by what and from where.

    Raises:
        UsageError: naming what differs, and the processes that have another one than the first.
    """
    if processes.count() == 1:
        return
    versions = f"lehr {__version__}, torch {torch.__version__}"
    _require_same("another lehr or torch", versions.encode(), "install the same on all machines")
    _require_same("another recipe", to_toml(recipe), "give all of them one command")
    _require_same("other data", _of_data(data), "give all machines the same files")
    _require_same(
        "other progress of an unfinished run",
        f"{progress.phase} {progress.epoch} {progress.metrics}".encode(),
        "let all machines see one output folder",
    )


def require_one_network(model: nn.Module, when: str) -> None:
    """Refuse to go on where the processes' networks differ, in any bit.

    Args:
        model: its parameters and buffers are compared.
        when: as in "after epoch 3".

    Raises:
        UsageError: naming the processes whose network is another than the first one's.
    """
    if processes.count() > 1:
        values = (value.numpy(force=True) for value in model.state_dict().values())
        _require_same(
            f"another network {when}",
            _digest(values),
            "use machines of one kind, whose processors sum floats alike",
        )


def _of_data(data: Dataset) -> bytes:
    splits = (data.train, data.validation, data.test)
    return _digest(values for split in splits for values in (split.x, split.y))


def _digest(arrays: Iterable[np.ndarray]) -> bytes:
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(f"{array.dtype} {array.shape}".encode())
        whole.update(np.ascontiguousarray(array).data)
    return whole.digest()


def _require_same(what: str, content: bytes, way_out: str) -> None:
    others = processes.others_than_first(hashlib.sha256(content).digest())
    if others:
        numbers = ", ".join(map(str, others))
        have = "process {} has" if len(others) == 1 else "processes {} have"
        raise UsageError(f"{have.format(numbers)} {what} than process 0; {way_out}")
