"""Ownership of files that are run.

Code is taken only from places that nobody can write to but those whose Python code is run as well.
"""

from __future__ import annotations

import os
import stat
from functools import cache
from pathlib import Path


@cache
def owners() -> frozenset[int]:
    """Return the users whose machine code is run: root, the user, and whoever installed lehr."""
    return frozenset((0, os.getuid(), Path(__file__).stat().st_uid))


def is_ours(entry: os.stat_result) -> bool:
    """Return whether a file or folder is one of `owners`'.

    Neither its group nor others may be able to write to it.
    """
    return entry.st_uid in owners() and not entry.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def only_ours(place: Path) -> bool:
    """Return whether nobody else can put files into a folder, or another one in its place.

    Neither it nor a folder above it may be open to others, but for sticky ones as /tmp is, in which
    only the owner renames. Above the user's home nothing is asked, as sshd does not (StrictModes):
    whoever can change that has the user's programs anyway.
    """
    top = home()
    try:
        if not is_ours(place.stat()):
            return False
        for each in place.parents:
            entry = each.stat()
            if not is_ours(entry) and not (
                entry.st_mode & stat.S_ISVTX and entry.st_uid in owners()
            ):
                return False
            if each == top:
                break
    except OSError:
        return False
    return True


def home() -> Path | None:
    """Return the user's home; None for a user without one, as in containers."""
    try:
        return Path.home().resolve()
    except (RuntimeError, OSError):
        return None


def user_folder(variable: str, default: str, name: str) -> Path | None:
    """Return a folder of lehr's among the user's; None without a home.

    It is `$variable/lehr/name`, or `~/default/lehr/name`.

    Args:
        variable: of the XDG Base Directory Specification, such as XDG_CACHE_HOME.
        default: in the home, where the variable is not set.
        name: of the folder.
    """
    if base := os.environ.get(variable):
        return Path(base).absolute() / "lehr" / name
    top = home()
    return None if top is None else top / default / "lehr" / name
