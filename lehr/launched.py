"""One process of several that a launcher has started, such as torchrun, and who of them speaks.

A launcher says by variables of the environment which of how many a process is. All of them run one
command: the first one prints its result, and of a failure the first process that fails says why,
so that one reads it once, and not as often as there are processes.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType
from typing import Any, NoReturn

from lehr.errors import LehrError, UsageError

COUNT, RANK, LOCAL_RANK = "WORLD_SIZE", "RANK", "LOCAL_RANK"
ADDRESS = ("MASTER_ADDR", "MASTER_PORT")
"""Where the processes meet."""
GRACE = timedelta(seconds=5)
"""How long a failing process waits for the one that says why.

A launcher ends all processes as soon as one has failed, and polls for that some times a second.
"""
FAILED, EXPLAINED = "lehr/failed", "lehr/explained"
"""Keys of the store: how many processes have failed, and whether the first one has said why."""


class Ended(LehrError):
    """This process was ended from outside, or another one of the same training was."""

    exit_code = 130

    def __init__(self) -> None:
        """Say so, and how to go on."""
        super().__init__(
            "another process of this training was ended, or the launcher was; go on with --resume "
            "in as many processes"
        )


@dataclass
class Launched:
    """One process of `count`.

    Attributes:
        rank: its number, from 0.
        count: of the processes.
        local_rank: its number among those of this machine.
        store: torch's, which they share as soon as they have met; None before.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    store: Any = None
    _first: bool | None = field(default=None, init=False)

    @property
    def prints(self) -> bool:
        """Whether it prints the result."""
        return self.rank == 0

    @contextmanager
    def ended_in_words(self) -> Iterator[None]:
        """Raise Ended in place of SIGTERM, by which a launcher ends processes that have met.

        Once anything is raised, SIGTERM is ignored: the process ends as soon as it has said why.
        """
        before = signal.signal(signal.SIGTERM, _end)
        try:
            yield
        except BaseException:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise
        signal.signal(signal.SIGTERM, before)

    def fail(self) -> bool:
        """Record that it fails, and return whether it is the one that says why."""
        if self._first is None:
            self._first = self._is_first_to_fail()
        return self._first

    def _is_first_to_fail(self) -> bool:
        if self.store is None:
            if self.rank:
                # what is wrong with the command is wrong in all processes, and the first says it
                time.sleep(GRACE.total_seconds())
            return True
        try:
            return bool(self.store.add(FAILED, 1) == 1)
        except RuntimeError:  # it went with the process that held it, which has failed before
            return False

    def explained(self) -> None:
        """Let the other processes end, or wait for the one that says why until it has done so."""
        if self.store is None:
            return
        with suppress(RuntimeError):
            if self.fail():
                self.store.set(EXPLAINED, "")
            else:
                self.store.wait([EXPLAINED], GRACE)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Ended


def launched() -> Launched:
    """Return what the environment says of this process; where it says nothing, it is alone.

    Raises:
        UsageError: when it says half of it, or what is no number.
    """
    count = _number(COUNT, "1")
    if count <= 1:
        return Launched()
    if missing := [name for name in (RANK, *ADDRESS) if name not in os.environ]:
        raise UsageError(
            f"{COUNT} is {count} in the environment, as torchrun sets it, but there is no "
            f"{', '.join(missing)}; start with torchrun, or unset {COUNT}"
        )
    rank = _number(RANK)
    if rank >= count:
        raise UsageError(
            f"{RANK} is {rank} in the environment, but {COUNT} is {count}; start with torchrun, or "
            f"unset {COUNT}"
        )
    return Launched(rank, count, _number(LOCAL_RANK, str(rank)))


def _number(name: str, default: str = "") -> int:
    text = os.environ.get(name, default)
    if not text.isdecimal():
        raise UsageError(
            f"{name} is {text!r} in the environment, and no number; start with torchrun, or unset "
            f"{COUNT}"
        )
    return int(text)
