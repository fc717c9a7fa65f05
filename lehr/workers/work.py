"""What is spread over workers, and what workers are.

A piece of work is a function of a module, called with a parcel: plain facts, as JSON has them, and
arrays of numbers. It may send parcels while it works, and returns one. So nothing that crosses from
process to process, or from machine to machine, can hold code.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Facts = Mapping[str, Any]
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Parcel:
    """What is sent; each is another one, whatever it holds.

    Attributes:
        facts: numbers, text, and lists and mappings of them, by names.
        arrays: of numbers, by names.
    """

    facts: Facts = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)


NOTHING = Parcel()
Send = Callable[[Parcel], None]
Work = Callable[[Parcel, Parcel, Send], Parcel]
"""Gets its own parcel, the one that it shares with other work, and what sends news."""


@dataclass(frozen=True)
class Task:
    """A piece of work.

    Attributes:
        name: for people.
        work: a function of a module; it may be called again from the start, elsewhere.
        own: makes its parcel, each time that the work is begun.
        shared: a parcel that other tasks have as well; it is sent to each machine once.
        cores: that it computes with.
    """

    name: str
    work: Work
    own: Callable[[], Parcel]
    shared: Parcel = NOTHING
    cores: int = 1


@dataclass(frozen=True)
class News:
    """A parcel that a task sends while it works.

    Attributes:
        number: of the task.
        where: the worker.
        parcel: that it sent.
    """

    number: int
    where: str
    parcel: Parcel


@dataclass(frozen=True)
class Done:
    """The end of a task.

    Attributes:
        number: of the task.
        where: the worker.
        result: what the work returned, or raised.
    """

    number: int
    where: str
    result: Parcel | Exception


@dataclass(frozen=True)
class Lost:
    """The end of a worker, which was killed with what it was at, or cannot be reached any more.

    Attributes:
        number: of the task that it was at.
        where: the worker.
        reason: in words.
    """

    number: int
    where: str
    reason: str


Event = News | Done | Lost


class Workers(Protocol):
    """Who works; used in a `with`, at whose end nobody works any more.

    Attributes:
        size: how many tasks run at the same time.
        cores: of a machine, that each of them may use.
        here: whether they see the folders of this machine.
    """

    size: int
    cores: int
    here: bool

    def __enter__(self) -> Workers: ...

    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def start(self, number: int, task: Task) -> None:
        """Begin a task, where fewer than `size` run."""

    @abstractmethod
    def wait(self) -> Event:
        """Return what happens next."""

    @abstractmethod
    def stop(self, number: int) -> None:
        """End a task that runs; nothing more is heard of it."""


def as_bytes(data: bytes) -> npt.NDArray[np.uint8]:
    """Return the bytes of a file as an array that can be sent."""
    return np.frombuffer(data, np.uint8)
