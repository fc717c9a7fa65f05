"""Getting a model of the zoo: its files, each compared with its SHA-256, in a folder that appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from lehr.artifact import BuildPlan, check_replaceable, sha256
from lehr.download import Bar, fetch
from lehr.errors import FileRefused, UsageError
from lehr.reading import read_bytes, sha256_of
from lehr.zoo import index
from lehr.zoo.index import CARD, Entry, asset

MIRROR = "LEHR_MODELS"
"""Environment variable: the address, or the folder, of the files that do not come with lehr."""
RELEASES = "https://github.com/lehr-project/lehr/releases/download"


def get(
    name: str, to: str | os.PathLike[str] | None = None, bar: Callable[[str], Bar] | None = None
) -> Path:
    """Write a model's folder: `model.nir`, `samples.npz`, `MODEL_CARD.md`, and what reproduces it.

    Args:
        name: one of `names()`.
        to: the folder to write; one of the model's name, here, if None.
        bar: makes what shows how far a file's transfer is, by its name.

    Returns:
        The folder.

    Raises:
        UsageError: when no model is called so, or the folder holds anything but these files as
            `get` wrote them.
        FileRefused: when a file cannot be fetched, or is not the one that this version of lehr
            knows; the folder is as it was then.

    >>> from lehr import zoo
    >>> folder = zoo.get("digits")
    >>> (folder / "model.nir").exists()
    True
    """
    model = index.entry(name)
    folder = Path(name if to is None else to)
    check_replaceable(folder, CARD, model.files)
    _require_unchanged(model, folder)
    plan = BuildPlan({file: _contents(model, file, bar) for file in model.files})
    plan.write(folder, CARD, model.files)
    return folder


def _require_unchanged(model: Entry, folder: Path) -> None:
    """Refuse to replace a file that somebody has changed, or that is another version's."""
    way_out = "give another folder to write, or remove this one"
    for name, file in model.files.items():
        path = folder / name
        if path.exists() and sha256_of(path, way_out) != file.sha256:
            raise UsageError(f"{path} is not the file of model {model.name}; {way_out}")


def _contents(model: Entry, name: str, bar: Callable[[str], Bar] | None) -> bytes:
    """Return a file of a model, after its digest was compared."""
    file, published = model.files[name], f"{RELEASES}/v{model.release}"
    source = os.environ.get(MIRROR) or published
    if model.bundled:
        path, way_out = index.HOME / "models" / model.name / name, "install lehr again"
    else:
        path, way_out = Path(source) / asset(model.name, name), f"fetch it from {published}"
    if "://" in source and not model.bundled:
        address = f"{source.rstrip('/')}/{asset(model.name, name)}"
        way_out = f"let {MIRROR} be a folder or address that has it"
        with tempfile.TemporaryDirectory(prefix="lehr.") as scratch:
            into = Path(scratch) / asset(model.name, name)
            shown = None if bar is None else bar(into.name)
            fetch(address, f"sha256:{file.sha256}", into, "the file of the zoo", way_out, shown)
            return into.read_bytes()
    data = read_bytes(path, file.bytes, way_out)
    if sha256(data) != file.sha256:
        raise FileRefused(
            f"{path} is not the file of the zoo, whose SHA-256 is {file.sha256}; {way_out}"
        )
    return data
