"""A process killed before any one of the steps by which it changes the disk."""

from __future__ import annotations

import builtins
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Collection
from typing import Any

from lehr import atomic

RENAMES = ("exchange", "os.rename")
STEPS = (*RENAMES, "open", "write", "fsync", "os.remove", "os.rmdir", "os.mkdir")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed_before(step: int, change: Callable[[], object], kinds: Collection[str] = STEPS) -> bool:
    """Make a change in a forked process, which SIGKILL ends before its step of that number, from 0.

    Returns False if it has no more.

    Files are torn as well: a step of kind "write" is in the middle of what is written.

    Args:
        step: the number.
        change: what changes the disk.
        kinds: of the steps that count.
    """

    def counted() -> None:
        _count(step, kinds)
        change()

    ended = os.waitstatus_to_exitcode(os.waitpid(forked(counted), 0)[1])
    assert ended in (0, -signal.SIGKILL), ended
    return ended != 0


def forked(call: Callable[[], object]) -> int:
    """Call a function in a process of its own, and return its number.

    It exits with 0 unless the call fails.
    """
    with warnings.catch_warnings():
        # of Python 3.12: other threads hold no locks here
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 99
        try:
            call()
            code = 0
        finally:
            os._exit(code)
    return child


def _count(step: int, kinds: Collection[str]) -> None:
    """Kill this process before the step of that number."""
    left = [step]

    def count(kind: str) -> None:
        if kind in kinds:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or arguments[2] & _WRITES:
            count(event)

    def counted(kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any) -> Any:
            count(kind)
            return call(*arguments)

        return counting

    def opened(*arguments: Any, **options: Any) -> Any:
        stream = whole(*arguments, **options)
        return _Torn(stream, count) if stream.writable() else stream

    whole = io.open
    sys.addaudithook(audit)
    setattr(io, "open", opened)  # noqa: B010  # pathlib takes it from there
    setattr(builtins, "open", opened)  # noqa: B010
    setattr(os, "fsync", counted("fsync", os.fsync))  # noqa: B010
    setattr(atomic, "_exchanged", counted("exchange", atomic._exchanged))  # noqa: B010


class _Torn:
    """A file that holds half of what is written when a step comes."""

    def __init__(self, stream: Any, count: Callable[[str], None]) -> None:
        self._stream, self._count = stream, count

    def write(self, data: Any) -> int:
        half = len(data) // 2
        written = int(self._stream.write(data[:half]))
        self._stream.flush()
        self._count("write")
        return written + int(self._stream.write(data[half:]))

    def __enter__(self) -> _Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
