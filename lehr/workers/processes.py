"""Workers on this machine: processes, each of which is replaced alone when it is killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Self
from weakref import WeakKeyDictionary

from lehr.workers.children import command
from lehr.workers.failures import unpacked
from lehr.workers.process import name_of
from lehr.workers.wire import receive, send, write
from lehr.workers.work import NOTHING, Done, Event, Lost, News, Parcel, Task

_MODULE = "lehr.workers.process"
_GRACE = 3


class Processes:
    """As many processes as one asks for; they are started when there is work for them.

    Attributes:
        size: how many.
        cores: that each may use.
        here: True, as they are on this machine.
    """

    here = True

    def __init__(self, size: int) -> None:
        self.size = size
        self.cores = max(1, len(os.sched_getaffinity(0)) // size)
        self._free: list[_Process] = []
        self._busy: dict[int, _Process] = {}
        self._shared = WeakKeyDictionary[Parcel, Path]()

    def __enter__(self) -> Self:
        # closed by the system when this process ends, even if it is killed: the others end, too
        self._alive, self._held = os.pipe()
        self._scratch = tempfile.TemporaryDirectory(prefix="lehr-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self._free, *self._busy.values()):
            process.end()
        os.close(self._alive)
        os.close(self._held)
        self._scratch.cleanup()

    def start(self, number: int, task: Task) -> None:
        """Begin a task, where fewer than `size` run."""
        process = self._free.pop() if self._free else self._new()
        self._busy[number] = process
        head = {"work": name_of(task.work), "shared": self._written(task.shared)}
        with suppress(BrokenPipeError, ConnectionResetError):  # `wait` says that it is lost
            send(process.line, head, task.own())

    def wait(self) -> Event:
        """Return what happens next."""
        lines = {process.line: number for number, process in self._busy.items()}
        line = next(iter(wait(list(lines))))
        assert isinstance(line, Connection)
        number = lines[line]
        process = self._busy[number]
        try:
            head, parcel = receive(line)
        except (EOFError, OSError):
            del self._busy[number]
            with suppress(subprocess.TimeoutExpired):  # it is about to end, and has a reason
                process.process.wait(_GRACE)
            return Lost(number, process.where, process.end())
        if not head:
            return News(number, process.where, parcel)
        self._free.append(self._busy.pop(number))
        return Done(number, process.where, unpacked(head) if "error" in head else parcel)

    def stop(self, number: int) -> None:
        """End a task that runs, and its process; nothing more is heard of it."""
        self._busy.pop(number).end()

    def _new(self) -> _Process:
        ours, theirs = socket.socketpair()
        with theirs:
            folder = tempfile.mkdtemp(dir=self._scratch.name)
            handles = theirs.fileno(), self._alive
            process = subprocess.Popen(  # in a session of its own: an interrupt is ours
                command(_MODULE, *map(str, handles)),
                stdin=subprocess.DEVNULL,
                pass_fds=handles,
                env=os.environ | {"TMPDIR": folder},
                start_new_session=True,
            )
        return _Process(process, Connection(ours.detach()))

    def _written(self, shared: Parcel) -> str | None:
        """Return the folder in which a parcel lies for all processes."""
        if shared is NOTHING:
            return None
        if shared not in self._shared:
            folder = Path(tempfile.mkdtemp(dir=self._scratch.name))
            write(shared, folder)
            weakref.finalize(shared, shutil.rmtree, folder, ignore_errors=True)
            self._shared[shared] = folder
        return str(self._shared[shared])


@dataclass(frozen=True)
class _Process:
    process: subprocess.Popen[bytes]
    line: Connection

    @property
    def where(self) -> str:
        return f"process {self.process.pid}"

    def end(self) -> str:
        """End the process and all that it has started; return what ended it."""
        with suppress(ProcessLookupError, PermissionError):  # nobody of the group is left
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self.line.close()
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"
