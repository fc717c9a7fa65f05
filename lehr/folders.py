"""Folders that a command of lehr wrote, found by the file that marks them."""

from __future__ import annotations

from pathlib import Path

from lehr.errors import UsageError

DEPTH = 2
MOST = 5
"""Folders that are named at most."""


def require_marked(folder: Path, mark: str, command: str) -> None:
    """Refuse a folder that does not hold the file `mark`, and name those below it that do.

    Raises:
        UsageError: also when there is no such folder.
    """
    if (folder / mark).exists():  # what it is, its reader judges
        return
    if not folder.exists():
        raise UsageError(f"{folder}: no such folder; give one that '{command}' made")
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; give a folder that '{command}' made")
    if below := _marked_below(folder, mark):
        raise UsageError(
            f"{folder} holds no {mark}; give a folder in it that does: {', '.join(map(str, below))}"
        )
    raise UsageError(f"{folder} holds no {mark}; give a folder that '{command}' made")


def _marked_below(folder: Path, mark: str) -> list[Path]:
    pattern, marked = "*", list[Path]()
    for _ in range(DEPTH):
        marked += [path.parent for path in folder.glob(f"{pattern}/{mark}")]
        pattern += "/*"
    return sorted(marked)[:MOST]
