"""Files and folders that a writing keeps beside its destination, and that a killed one leaves there.

    .NAME.KERNEL-RANDOM.part    what is being written, or what was replaced and is being removed
    .NAME.KERNEL-RANDOM.old     the folder that was at NAME, whole, where folders cannot be
                                exchanged

KERNEL names the running system, which alone can tell whether a writer lives: a writer holds a lock
(flock) on its part, and the system releases it when the process ends, however it ends. What other
systems that share the folder have left is judged by its age.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

PART, OLD = "part", "old"
ABANDONED = 24 * 3600
"""Seconds after which a part whose lock says nothing is taken for that of a dead writer."""


def new_name(path: Path, ending: str) -> Path:
    """Return a name beside `path` that nothing has."""
    return path.with_name(f".{path.name}.{_kernel()}-{secrets.token_hex(4)}.{ending}")


@contextmanager
def locked_part(path: Path, *, folder: bool, mode: int) -> Iterator[Path]:
    """Make an empty file or folder beside `path`, locked while the block runs, and remove it then.

    Args:
        path: the destination; what dead writers have left beside it is cleaned away first.
        folder: whether to make a folder.
        mode: the rights of the part, of which the process's umask takes some.

    Raises:
        OSError: when nothing can be made there.
    """
    sweep(path)
    part, handle = _created(path, folder, mode)
    try:
        yield part
    finally:
        os.close(handle)
        _remove(part)


def recover(path: Path) -> None:
    """Put back the folder that a writing, killed between its two renames, has moved away from `path`.

    The same is done for the folders above it, and nothing where something is at `path`. A writer
    that is still between its renames finds the folder there again, and replaces it anew.
    """
    if not path.name or os.path.lexists(path):
        return
    recover(path.parent)
    olds = [entry for entry, ending, _ in _beside(path) if ending == OLD]
    for old in sorted(olds, key=_changed, reverse=True):
        with suppress(OSError):  # another process was quicker
            old.rename(path)
            return


def sweep(path: Path) -> None:
    """Recover `path`, and clean away what dead writers have left beside it, as far as that can be."""
    recover(path)
    for entry, ending, kernel in _beside(path):
        with suppress(OSError):
            if ending == PART:
                _remove_abandoned(entry, kernel)
            elif ending == OLD and os.path.lexists(path):  # another has come: nobody needs this one
                remove_folder(entry, path)


def remove_folder(folder: Path, path: Path) -> None:
    """Remove a folder beside `path`, or at it, so that no half of it is ever found under its name.

    Raises:
        OSError: when it cannot be moved; nothing is removed then.
    """
    part = new_name(path, PART)
    folder.rename(part)
    _remove(part)


def _beside(path: Path) -> list[tuple[Path, str, str]]:
    """All that writings to `path` keep beside it: each with its ending and the kernel that made it."""
    name = re.escape(path.name)
    known = re.compile(rf"\.{name}\.([0-9a-f]{{8}})-[0-9a-f]{{8}}\.({PART}|{OLD})\Z")
    try:
        matches = filter(None, map(known.match, os.listdir(path.parent)))  # noqa: PTH208
    except OSError:
        return []
    return [(path.with_name(match[0]), match[2], match[1]) for match in matches]


def _changed(entry: Path) -> int:
    """When an entry was made, renamed or changed last; 0 where it is gone."""
    try:
        return entry.lstat().st_ctime_ns
    except OSError:
        return 0


def _created(path: Path, folder: bool, mode: int) -> tuple[Path, int]:
    """Return a new part and its descriptor, which holds the lock."""
    while True:
        part = new_name(path, PART)
        if folder:
            part.mkdir(mode)
            if (handle := _opened(part)) is None:
                continue  # a sweep took it for that of a dead writer
        else:
            handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        if _locked(handle, fcntl.LOCK_SH) is not False and _is_at(handle, part):
            return part, handle
        os.close(handle)


def _opened(part: Path) -> int | None:
    try:
        return os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _remove_abandoned(part: Path, kernel: str) -> None:
    """Remove a part whose writer is dead; its lock is held until it is gone, so that no new writer takes it meanwhile."""
    kind = stat.S_IFMT(part.lstat().st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFDIR) or (handle := _opened(part)) is None:
        return
    try:
        free = _locked(handle, fcntl.LOCK_EX)
        if kernel == _kernel() and free is not None:
            dead = free and _is_at(handle, part)
        else:
            dead = free is not False and time.time() - os.fstat(handle).st_mtime > ABANDONED
        if dead:
            _remove(part)
    finally:
        os.close(handle)


def _locked(handle: int, kind: int) -> bool | None:
    """Take the lock of a part; False where another has it, None where the file system has no locks.

    A writer shares it, as HDF5 locks what it reads; who cleans up must have it alone.
    """
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _remove(part: Path) -> None:
    with suppress(OSError):
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


@cache
def _kernel() -> str:
    """Eight digits that name the running system: others for another host, and after a restart."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        name = os.uname().nodename.encode()
    return hashlib.sha256(name).hexdigest()[:8]
