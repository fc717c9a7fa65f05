"""The index of the zoo: `index.json`, which `lehr.zoo.pack` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from lehr.artifact import to_json
from lehr.errors import UsageError
from lehr.reading import read_json
from lehr.spelling import one_of

SCHEMA = "lehr-models/1"
INDEX = "index.json"
CARD, MODEL, SAMPLES, RECIPE = "MODEL_CARD.md", "model.nir", "samples.npz", "recipe.toml"
IN_WHEEL = 200_000
"""Bytes that the files of a model that comes with lehr may have together."""
HOME = Path(str(files("lehr.zoo")))
"""Where `index.json` and, in `models/NAME`, the files of the models that come along are."""


@dataclass(frozen=True)
class Share:
    """Count of the samples in which a network is right.

    Attributes:
        right: samples whose class won.
        samples: all of them.
        low: the lower end of the share's 95 % interval (Wilson 1927).
        high: its upper end.
    """

    right: int
    samples: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Share of samples that are right, 0 to 1."""
        return self.right / self.samples

    def __str__(self) -> str:
        """Return it in percent, with its interval and the number of samples."""
        interval = f"{100 * self.low:.2f} to {100 * self.high:.2f} %"
        return f"{100 * self.share:.2f} % of {self.samples:,} ({interval})"


@dataclass(frozen=True)
class File:
    """A file of a model: its digest in hexadecimal, and its size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Entry:
    """A model of the zoo.

    Attributes:
        name: of the model, and of the folder that it becomes.
        description: of the task and the network, in a line.
        data: name of the data set.
        network: features of its layers, as in "64-256-10".
        steps: that a sample takes.
        target: the chip it was made for; "" for none.
        accuracy: on the test set.
        kept: the same, on the samples that come along.
        spikes: of all neurons, in an inference, on the test set.
        digest: of the network, as `model.nir` states it.
        bundled: whether its files come with lehr; they are fetched otherwise.
        release: the version of lehr with whose release its files are published.
        files: by name.
    """

    name: str
    description: str
    data: str
    network: str
    steps: int
    target: str
    accuracy: Share
    kept: Share
    spikes: float
    digest: str
    bundled: bool
    release: str
    files: Mapping[str, File]

    @property
    def bytes(self) -> int:
        """Bytes of all its files together."""
        return sum(file.bytes for file in self.files.values())


def asset(model: str, file: str) -> str:
    """Return what a file is called among the assets of a release, which have no folders."""
    return f"{model}.{file}"


def from_json(name: str, facts: Mapping[str, Any]) -> Entry:
    """Return the entry that `index.json` has under a name."""
    shares = {key: Share(**facts[key]) for key in ("accuracy", "kept")}
    held = {file: File(**facts["files"][file]) for file in facts["files"]}
    return Entry(name=name, **{**facts, **shares, "files": held})


def index_bytes(models: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return `index.json` of models, by name, as `from_json` takes them."""
    return to_json({"schema": SCHEMA, "models": models})


@cache
def entries() -> Mapping[str, Entry]:
    """Return all models by name, those of no chip first."""
    models = read_json(HOME / INDEX, "install lehr again")["models"]
    read = (from_json(name, models[name]) for name in sorted(models))
    return {each.name: each for each in sorted(read, key=lambda each: bool(each.target))}


def names() -> tuple[str, ...]:
    """Name the models of the zoo."""
    return tuple(entries())


def entry(name: str) -> Entry:
    """Return a model of the zoo by its name.

    Raises:
        UsageError: when there is none of that name; it names the one that may be meant.
    """
    if name not in entries():
        raise UsageError(f"model {name!r} is not in the zoo; {one_of(name, names())}")
    return entries()[name]
