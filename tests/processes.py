"""The processes that lehr starts: those that a test has left, and reading HDF5 without one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from lehr import hdf5, hdf5child, hdf5walk
from lehr.hdf5limits import Limits
from lehr.hdf5wire import Tree, receive

Children = Callable[[], set[str]]
"""What the fixture `children` is."""


def all_children() -> set[str]:
    """Return the processes that this one has started and that are still there, even if dead."""
    ids: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        # a thread that has ended since it was listed; its children go to another
        with suppress(FileNotFoundError, ProcessLookupError):
            ids |= set((task / "children").read_text().split())
    return ids


@contextmanager
def reading_in_this_process() -> Iterator[None]:
    """Walk, send and receive HDF5 files here.

    Each of hundreds of sound files would start an interpreter.
    """

    def read(file: IO[bytes], limits: Limits) -> Tree:
        sent = io.BytesIO()
        hdf5child.answer(file.fileno(), hdf5.library(), limits, sent)
        sent.seek(0)
        return receive(sent, limits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5, "_read", read)
        patch.setattr(hdf5walk, "lower_limit", lambda resource, value: None)  # this process goes on
        yield
