"""Tasks spread over workers: each is done once, whoever is lost, and results come in order."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from lehr.errors import WorkerLost
from lehr.text import shortened
from lehr.workers.work import Done, Event, Lost, News, Parcel, Task, Workers

TRIES = 3
"""How often a task is begun, at most: what ends three workers would end more."""
_LOG = logging.getLogger(__name__)


class Stopped(Exception):
    """Raised where news of a task comes, to end the task without a result."""


Heard = Callable[[Task, Parcel], None]


def spread(
    workers: Workers,
    tasks: Iterable[Task],
    heard: Heard = lambda _, __: None,
    arrived: Heard = lambda _, __: None,
    *,
    ahead: int = 0,
    level: int = logging.INFO,
) -> Iterator[tuple[Task, Parcel | None]]:
    """Run tasks, and yield each with its result, in their order.

    A task is asked for when fewer than `workers.size` and `ahead` are begun or waited for by those
    before them; so it can depend on the results of those that were yielded before, and on nothing
    that depends on who was quicker. A task whose worker is lost is begun again.

    Args:
        workers: who runs them.
        tasks: in order.
        heard: gets what a task sends while it runs; where it raises Stopped, the task ends, and its
            result is None.
        arrived: gets the result of each task, as soon as it is there.
        ahead: how many tasks may be done while the one before them is waited for.
        level: of what is logged of each task; below INFO, it is logged at the end how many ran
            where. What is lost is logged in any case.

    Raises:
        WorkerLost: when a task has ended three workers.
        Exception: what the first of the tasks raised that fails, as if they ran one by one.
    """
    state = _State(workers, heard, arrived, level)
    coming = enumerate(tasks)
    while True:
        room = workers.size + ahead - len(state.begun)
        for number, task in islice(coming, room):
            state.begin(number, task)
        if not state.begun:
            break
        oldest = next(iter(state.begun))
        while oldest not in state.ended:
            state.take(workers.wait())
        result = state.ended.pop(oldest)
        if isinstance(result, Exception):
            raise result
        yield state.begun.pop(oldest), result
    if level < logging.INFO and state.places:
        shares = ", ".join(f"{count:,} by {where}" for where, count in state.places.items())
        _LOG.info("tasks: %s", shares)


class _State:
    """Tasks that were asked for and have not been yielded.

    Attributes:
        begun: all of them, by number.
        ended: results, errors, and None of those that were stopped.
        places: how many were done where.
    """

    def __init__(self, workers: Workers, heard: Heard, arrived: Heard, level: int) -> None:
        self._workers, self._heard, self._arrived, self._level = workers, heard, arrived, level
        self.begun: dict[int, Task] = {}
        self.ended: dict[int, Parcel | Exception | None] = {}
        self.places = Counter[str]()
        self._losses = Counter[int]()
        self._running: set[int] = set()

    def begin(self, number: int, task: Task) -> None:
        """Take up a task, and start it if somebody is free."""
        self.begun[number] = task
        self._fill()

    def take(self, event: Event) -> None:
        """Take up what has happened."""
        task = self.begun[event.number]
        match event:
            case News(number, _, parcel):
                try:
                    self._heard(task, parcel)
                except Stopped:
                    self._workers.stop(number)
                    self._end(number, None)
            case Lost(number):
                self._losses[number] += 1
                _tell_loss(task, event, self._losses[number])
                self._running.remove(number)
            case Done(number, where, result):
                _LOG.log(self._level, "%s: by %s", task.name, where)
                self.places[where] += 1
                if isinstance(result, Parcel):
                    self._arrived(task, result)
                self._end(number, result)
        self._fill()

    def _end(self, number: int, result: Parcel | Exception | None) -> None:
        self._running.remove(number)
        self.ended[number] = result

    def _fill(self) -> None:
        """Start tasks, the first of those that wait, as long as somebody is free."""
        for number, task in self.begun.items():
            if len(self._running) == self._workers.size:
                return
            if number not in self._running and number not in self.ended:
                self._workers.start(number, task)
                self._running.add(number)


def _tell_loss(task: Task, lost: Lost, times: int) -> None:
    """Log that a worker is lost.

    Raises:
        WorkerLost: when it is the last that the task may have.
    """
    reason = shortened(lost.reason)
    if times == TRIES:
        raise WorkerLost(
            f"{task.name} has ended {TRIES} workers, the last by {reason}, as happens when memory "
            "runs out; free memory, or use fewer workers"
        )
    _LOG.warning("%s: %s is lost (%s); begun again", task.name, lost.where, reason)
