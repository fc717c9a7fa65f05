"""Locks beside the runs of a search: which trials a living process of this machine is at.

The system releases a lock when its process ends, however that ends; the file stays, and says that
the trial was begun here and may be taken up.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lock:
    """A lock that is held until it is let go, or its process ends.

    Attributes:
        path: of its file.
    """

    def __init__(self, path: Path, handle: int) -> None:
        """Take over the open file that holds it."""
        self.path, self._handle = path, handle

    def release(self, *, done: bool) -> None:
        """Let go; the file is removed where nothing is left to take up."""
        if done:
            self.path.unlink(missing_ok=True)
        os.close(self._handle)


def make_lock(path: Path) -> Lock:
    """Make the file of a lock, and hold it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return Lock(path, handle)


def take_lock(path: Path) -> Lock | None:
    """Hold the lock of a file that is there; None where another process holds it.

    Raises:
        FileNotFoundError: when it is not there.
    """
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return Lock(path, handle)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time run the block; its file stays."""
    lock = make_lock(path)
    try:
        yield
    finally:
        lock.release(done=False)
