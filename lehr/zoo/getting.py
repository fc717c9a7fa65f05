"""Getting a model of the zoo: its files, compared with their SHA-256, in a folder that is whole."""

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
from lehr.zoo.index import CARD, Entry, File, asset

MIRROR = "LEHR_MODELS"
"""Environment variable: the address, or the folder, of the files that do not come with lehr."""
OURS = "the file of the zoo"
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
    """Return a file of a model, from where it is, after its digest was compared."""
    file, called = model.files[name], asset(model.name, name)
    if model.bundled:
        return _read(index.HOME / "models" / model.name / name, file, "install lehr again")
    published = f"{RELEASES}/v{model.release}"
    source = os.environ.get(MIRROR) or published
    if "://" not in source:
        return _read(Path(source) / called, file, f"get it from {published}")
    with tempfile.TemporaryDirectory(prefix="lehr.") as scratch:
        fetched = fetch(
            f"{source.rstrip('/')}/{called}",
            f"sha256:{file.sha256}",
            Path(scratch) / called,
            OURS,
            f"let {MIRROR} name an address or a folder that has it",
            bar and bar(called),
        )
        return fetched.read_bytes()


def _read(path: Path, file: File, way_out: str) -> bytes:
    """Return a file of this machine, after its digest was compared."""
    data = read_bytes(path, file.bytes, way_out)
    if sha256(data) != file.sha256:
        raise FileRefused(f"{path} is not {OURS}, whose SHA-256 is {file.sha256}; {way_out}")
    return data
