"""Simulators compiled from others' sources, once, and kept by the digest of all that went in."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lehr import ownership
from lehr.atomic import writing_folder
from lehr.errors import LehrError

Files = Mapping[str, bytes]
_BUILT = "built"
"""In the folder of a simulator: a file that is there once it is whole."""


def simulator(
    files: Files, build: Callable[[Path], Sequence[str]], compiler: str, scratch: Path
) -> list[str]:
    """Return the command that runs a compiled simulator, absolute in its first word.

    It is built in a folder of its own in the user's cache, or in `scratch` where there is no place
    that only the user can write to.

    Args:
        files: its sources by name, which may lie in folders.
        build: compiles what is in a folder, and returns the command that runs it there, its first
            word relative to the folder.
        compiler: the compiler's version and switches; others build anew.
        scratch: an empty folder.
    """
    parts = [
        compiler,
        *(f"{name}:{hashlib.sha256(data).hexdigest()}" for name, data in sorted(files.items())),
    ]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    place = ownership.user_folder("XDG_CACHE_HOME", ".cache", f"simulators/{digest}")
    if place is not None and (command := _kept(place)):
        return command
    if place is None or not _prepared(place):
        return _built(scratch, files, build)
    with tempfile.TemporaryDirectory(prefix="lehr-simulator-") as building:
        command = _built(Path(building), files, build)
        name = Path(command[0]).relative_to(building)
        try:
            with writing_folder(place) as part:
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(command[0], part / name)
                (part / _BUILT).write_text("\n".join([str(name), *command[1:]]), "utf-8")
        except (LehrError, OSError):
            # a full disk, or another process that was sooner: the next run looks again
            shutil.copytree(building, scratch, dirs_exist_ok=True)
            return [str(scratch / name), *command[1:]]
    return _kept(place) or _built(scratch, files, build)


def _built(folder: Path, files: Files, build: Callable[[Path], Sequence[str]]) -> list[str]:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    first, *rest = build(folder)
    return [str(folder / first), *rest]


def _prepared(place: Path) -> bool:
    """Return whether the folder above is there and nobody else can write to it."""
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        return ownership.only_ours(place.parent.resolve())
    return False


def _kept(place: Path) -> list[str] | None:
    """Return the command of a simulator that was built before."""
    if not (place / _BUILT).is_file() or not ownership.only_ours(place.resolve()):
        return None
    name, *rest = (place / _BUILT).read_text("utf-8").splitlines()
    binary = place / name
    return [str(binary), *rest] if binary.is_file() and ownership.is_ours(binary.stat()) else None
