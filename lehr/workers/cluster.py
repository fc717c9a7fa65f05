"""Workers on a cluster of Ray: tasks of Ray's, which it gives to machines that have cores free.

Facts travel as JSON, arrays as Ray's object store keeps them. What is shared is put there once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import time
from importlib import import_module
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import numpy as np

import lehr
from lehr.errors import ToolMissing
from lehr.extras import needed_by
from lehr.text import shortened
from lehr.workers.failures import packed, unpacked
from lehr.workers.process import name_of, named
from lehr.workers.work import Arrays, Done, Event, Lost, News, Parcel, Task

with needed_by("--workers ray"):  # whose types are there only where it is
    ray: Any = import_module("ray")
RayError, RayTaskError = ray.exceptions.RayError, ray.exceptions.RayTaskError
_PORT, _PATIENCE, _TRIES = 10001, 10, 3
"""Where Ray takes clients if nothing else is said, seconds until it should answer, and how often it
is asked to begin."""
Sent = tuple[str, dict[str, Any]]
"""A parcel: its facts as JSON, and its arrays."""


class _Running(NamedTuple):
    number: int
    reference: Any
    where: str


class Cluster:
    """A cluster of Ray.

    Attributes:
        size: how many tasks it runs at the same time: one for each core that it has.
        cores: of a machine, that each may use.
        here: False, as other machines do not see the folders of this one.
    """

    here = False

    def __init__(self, address: str | None) -> None:
        """Name the cluster by its address; that which runs here, or of RAY_ADDRESS, if None."""
        self._address = address
        self.size, self.cores = 1, 1
        self._running: dict[int, _Running] = {}
        self._stored = WeakKeyDictionary[Parcel, Any]()
        self._events: list[Event] = []
        self._begun = 0

    def __enter__(self) -> Self:
        self._ours = not ray.is_initialized()
        address = self._address or os.environ.get("RAY_ADDRESS") or "auto"
        try:
            if self._ours:
                _require_answer(address)  # Ray itself waits for minutes, and writes what it thinks
                _connect(address)
            cores = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        except (OSError, RuntimeError, ValueError, RayError) as error:
            reason = (
                str(getattr(error, "strerror", None) or error)
                .strip()
                .partition("\n")[0]
                .rstrip(".")
            )
            where = "on this machine" if address == "auto" else f"at {shortened(address)}"
            raise ToolMissing(
                f"no cluster of Ray answers {where} ({reason}); start one by `ray start --head`, "
                "or give the address of another as ray://HOST:PORT"
            ) from None
        self.size, self._largest = max(1, int(sum(cores))), max(cores)
        post: Any = ray.remote(num_cpus=0)(_Post)
        self._post = post.remote()
        self._mail = self._post.take.remote()
        self._work = ray.remote(max_retries=0)(_work)
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._running.values():
            ray.cancel(running.reference, force=True)
        ray.kill(self._post)
        if self._ours:
            ray.shutdown()

    def start(self, number: int, task: Task) -> None:
        """Begin a task, where fewer than `size` run."""
        if task.shared not in self._stored:
            self._stored[task.shared] = ray.put(_sent(task.shared))
        self._begun += 1
        work = self._work.options(num_cpus=min(task.cores, self._largest), name=task.name)
        head = lehr.__version__, self._begun, name_of(task.work)
        reference = work.remote(self._post, head, self._stored[task.shared], *_sent(task.own()))
        self._running[self._begun] = _Running(number, reference, "a worker of the cluster")

    def wait(self) -> Event:
        """Return what happens next."""
        while not self._events:
            by_reference = {each.reference: key for key, each in self._running.items()}
            (ready, *_), _ = ray.wait([self._mail, *by_reference])
            if ready == self._mail:
                self._read(ray.get(self._mail))
                self._mail = self._post.take.remote()
            else:
                self._read(ray.get(self._post.rest.remote()))
                self._events.append(self._ended(self._running.pop(by_reference[ready])))
        return self._events.pop(0)

    def stop(self, number: int) -> None:
        """End a task that runs, and its process; nothing more is heard of it."""
        for key, running in list(self._running.items()):
            if running.number == number:
                ray.cancel(running.reference, force=True)
                del self._running[key]
        self._events = [event for event in self._events if event.number != number]

    def _read(self, letters: list[tuple[int, str, Sent]]) -> None:
        """Take up the news of tasks that still run."""
        for key, where, sent in letters:
            if key in self._running:
                self._running[key] = self._running[key]._replace(where=where)
                self._events.append(News(self._running[key].number, where, _parcel(*sent)))

    @staticmethod
    def _ended(ended: _Running) -> Event:
        try:
            where, failed, *sent = ray.get(ended.reference)
        except RayTaskError as error:
            reason = str(error).strip().rpartition("\n")[2]
            sentence = (
                f"workers of the cluster do not run lehr ({reason}); install lehr "
                f"{lehr.__version__} for their Python"
            )
            return Done(ended.number, ended.where, ToolMissing(sentence))
        except RayError as error:
            return Lost(ended.number, ended.where, type(error).__name__)
        return Done(ended.number, where, unpacked(failed) if failed else _parcel(*sent))


def _connect(address: str) -> None:
    """Connect to a cluster, a few times where its machine is too busy to begin with a client.

    Raises:
        OSError, RuntimeError, ValueError, RayError: as Ray says it.
    """
    for left in reversed(range(_TRIES)):
        try:
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
        except ConnectionError:
            if not left:
                raise
            time.sleep(1)
        else:
            return


def _require_answer(address: str) -> None:
    """Refuse an address where nobody answers.

    Raises:
        OSError: saying why.
        ValueError: when it is none.
    """
    if address == "auto":
        return
    place = urlsplit(address if "://" in address else f"//{address}")
    with socket.create_connection((place.hostname, place.port or _PORT), _PATIENCE):
        pass


class _Post:
    """Where tasks leave their news; it runs on the cluster."""

    def __init__(self) -> None:
        self._letters = asyncio.Queue[tuple[int, str, Sent]]()

    async def put(self, letter: tuple[int, str, Sent]) -> None:
        """Leave news."""
        await self._letters.put(letter)

    async def take(self) -> list[tuple[int, str, Sent]]:
        """Return what was left, as soon as there is something."""
        return [await self._letters.get(), *await self.rest()]

    async def rest(self) -> list[tuple[int, str, Sent]]:
        """Return what was left."""
        return [self._letters.get_nowait() for _ in range(self._letters.qsize())]


def _work(
    post: Any, head: tuple[str, int, str], shared: Sent, facts: str, arrays: dict[str, Any]
) -> tuple[Any, ...]:
    """Do a piece of work; it runs on the cluster."""
    version, key, name = head
    where = f"process {os.getpid()} on {socket.gethostname()}"
    try:
        if version != lehr.__version__:
            raise ToolMissing(
                f"{where} has lehr {lehr.__version__}, not {version}; install the same everywhere"
            )

        def send(news: Parcel) -> None:
            ray.get(post.put.remote((key, where, _sent(news))))

        result = named(name)(_parcel(facts, arrays), _parcel(*shared), send)
    except Exception as error:
        return where, packed(error)
    return where, None, *_sent(result)


def _sent(parcel: Parcel) -> Sent:
    return json.dumps(parcel.facts), {n: np.asarray(array) for n, array in parcel.arrays.items()}


def _parcel(facts: str, arrays: Arrays) -> Parcel:
    return Parcel(json.loads(facts), arrays)
