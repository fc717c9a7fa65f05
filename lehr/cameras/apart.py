"""Event files that packages decode, in a process that is kept apart.

The packages are in C, Rust or Python and were not written for hostile files. So each file is read
by a process of its own (lehr/cameras/nursery.py) with limits on memory, time and files, forked from
one that has the package already loaded. This module starts that one, does not believe what comes
back, and turns each end of such a process into one sentence.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np

from lehr.cameras import events
from lehr.cameras.events import LATEST, Events, Size
from lehr.cameras.kept import INPUTS, WHERE
from lehr.errors import FileRefused
from lehr.npz import exactly
from lehr.reading import open_regular
from lehr.samples import LARGEST

_AGAIN = "get it again"
_MAX_HEAD = 1 << 16
Answer: TypeAlias = "Events | Size | InputsHead | bytes | None"
_START = "import sys; sys.path[:] = {path!r}; from lehr.cameras.nursery import main; main()"
# one thread each: the processes may start no other, and need none
_THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def decoded(package: str, path: Path) -> Iterator[Events]:
    """Yield the events of a file that a package decodes, block by block.

    Args:
        package: one of `lehr.cameras.kept.READERS`.
        path: of the file.

    Raises:
        FileRefused: when it is not what it should be, or makes its reader fail.
    """
    for answer in _answers(package, path):
        if isinstance(answer, Events):
            yield answer


def camera_size(package: str, path: Path) -> Size | None:
    """Return the rows and columns of the camera, where the file says them.

    Raises:
        FileRefused: as `decoded`.
    """
    answers = _answers(package, path)
    with contextlib.closing(answers):
        first = next(answers, None)
    return first if isinstance(first, tuple) else None


def inputs(path: Path) -> Generator[InputsHead | bytes, None, None]:
    """Yield what an HDF5 file says of its inputs, then the bytes of labels (int64) and of inputs.

    Raises:
        FileRefused: when it is not what it should be, or makes its reader fail.
    """
    for answer in _answers(INPUTS, path):
        if isinstance(answer, (InputsHead, bytes)):
            yield answer


def _answers(reader: str, path: Path) -> Generator[Answer, None, None]:
    """Yield the camera's size, then blocks of events; or a head of inputs, then bytes."""
    with open_regular(path, _AGAIN) as file:
        try:
            stream = _nursery(reader).ask(file)
        except OSError:  # it has ended, by whatever ends processes: the next one may live
            _nursery.cache_clear()
            stream = _nursery(reader).ask(file)
    count, what = 0, "bytes" if reader == INPUTS else "events"
    with stream:
        while True:
            try:
                answer = _answer(stream)
            except FileRefused as error:
                raise FileRefused(f"{path} {error}") from None
            except Exception:  # whatever a broken answer makes json or numpy say
                raise FileRefused(
                    f"{path} made its reader answer with what are no {what}; {_AGAIN}"
                ) from None
            if isinstance(answer, str):
                said = answer.replace(WHERE, f"after {count:,} {what}")
                raise FileRefused(f"{path} {''.join(c if c.isprintable() else '?' for c in said)}")
            if isinstance(answer, _End):
                return
            match answer:
                case Events():
                    count += len(answer.time)
                case bytes():
                    count += len(answer)
            yield answer


@dataclass(frozen=True)
class InputsHead:
    """The shape of inputs, samples first, and whether there are labels."""

    shape: tuple[int, ...]
    labels: bool


class _End:
    """The end of the events of a file."""


def _answer(stream: IO[bytes]) -> Answer | str | _End:
    """Return what comes next: a size, events, bytes, what is wrong, or the end."""
    line = stream.readline(_MAX_HEAD)
    if not line.endswith(b"\n"):
        raise ValueError("a head cut short")
    match json.loads(line):
        case {"kind": "size", "size": [int(rows), int(columns)]}:
            return rows, columns
        case {"kind": "size", "size": None}:
            return None
        case {"kind": "size", "size": {"input": [*shape], "labels": bool(labels)}} if all(
            type(length) is int and 0 <= length <= LARGEST for length in shape
        ):
            return InputsHead(tuple(shape), labels)
        case {"kind": "bytes", "count": int(count)} if 0 < count <= events.BLOCK:
            return exactly(stream, count)
        case {"kind": "events", "count": int(count)} if 0 <= count <= events.BLOCK:
            return _events(stream, count)
        case {"kind": "refused", "message": str(message)}:
            return message
        case {"kind": "died", "signal": int(number)}:
            return _death(signal.Signals(number))
        case {"kind": "end"}:
            return _End()
        case _:
            raise ValueError("an answer of another kind")


def _events(stream: IO[bytes], count: int) -> Events:
    columns = np.empty((4, count), np.int64)
    for column in columns:
        if stream.readinto(column.view(np.uint8).data) != column.nbytes:  # type: ignore[attr-defined]
            raise ValueError("events cut short")
    time, x, y, polarity = columns
    if count and (np.abs(columns[:3]).max() > LATEST or (polarity & ~1).any()):
        raise ValueError("events that are none")
    return Events(time, x, y, polarity)


def _death(number: signal.Signals) -> str:
    """Return why a reader was ended by a signal."""
    if number in (signal.SIGXCPU, signal.SIGALRM):
        return f"takes too long to read, {WHERE}; {_AGAIN}"
    if number == signal.SIGKILL:
        return "has a reader that was killed, as happens when memory runs out; free memory"
    return f"made its reader fail ({number.name}), {WHERE}; {_AGAIN}"


class _Nursery:
    """A process that has a package loaded, and forks one for each file."""

    def __init__(self, package: str) -> None:
        here = str(Path(__file__).resolve().parents[2])
        start = _START.format(path=[here, *filter(os.path.isabs, sys.path)])
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # in a session of its own: an interrupt is ours
                [sys.executable, "-I", "-S", "-c", start, package, str(events.BLOCK)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_THREADS},
                start_new_session=True,
            )
        _ALIVE.append(self)

    def ask(self, file: IO[bytes]) -> IO[bytes]:
        """Return what the reader of an open file will say."""
        ours, theirs = os.pipe()
        try:
            socket.send_fds(self._socket, [b"."], [file.fileno(), theirs])
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return os.fdopen(ours, "rb")

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


_ALIVE: list[_Nursery] = []


@cache
def _nursery(package: str) -> _Nursery:
    return _Nursery(package)


@atexit.register
def end() -> None:
    """End every process that has a package loaded; the next file starts one again."""
    _nursery.cache_clear()
    while _ALIVE:
        _ALIVE.pop().close()
