"""A worker on this machine: what runs in a process that `lehr.workers.processes` starts."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

from lehr.workers.children import end_with_parent
from lehr.workers.failures import packed
from lehr.workers.wire import read, receive, send
from lehr.workers.work import NOTHING, Parcel, Work

_RECENT = 2
"""Shared parcels that are kept: one is used on, while the next comes."""


def main(connection: str, alive: str) -> None:
    """Work until the other end of the connection is closed.

    Args:
        connection: descriptor by which work comes, and results go.
        alive: descriptor of a pipe that is closed when whoever asks has ended.
    """
    handles = int(connection), int(alive)
    for handle in handles:
        os.set_inheritable(handle, False)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # stdout is for results of commands
    end_with_parent(handles[1])
    with Connection(handles[0]) as line:
        while True:
            try:
                head, own = receive(line)
            except EOFError:
                return
            try:
                shared = NOTHING if head["shared"] is None else _shared(head["shared"])
                result = named(head["work"])(own, shared, lambda news: send(line, {}, news))
            except Exception as error:
                send(line, packed(error), NOTHING)
            else:
                send(line, {"done": True}, result)


@lru_cache(maxsize=_RECENT)
def _shared(folder: str) -> Parcel:
    return read(Path(folder))


def name_of(work: Work) -> str:
    """Return by what name another process calls a function of a module."""
    return f"{work.__module__}:{work.__qualname__}"


def named(name: str) -> Work:
    """Return the function of that name."""
    module, _, function = name.partition(":")
    work: Work = getattr(import_module(module), function)
    return work
