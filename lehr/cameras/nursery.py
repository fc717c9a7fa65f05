"""The process that decodes event files by a package, for another one (lehr/cameras/apart.py).

It loads the package once, and forks for every file: a process that decodes it, under limits, and
one that waits for that and tells how it ended.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np

from lehr.cameras import kept
from lehr.errors import FileRefused
from lehr.hdf5walk import lower_limit

_MORE_BYTES = 1 << 30  # of address space, beside what the package took when it was loaded
_SECONDS, _BYTES_A_SECOND = 30, 1 << 20  # of processor time, and for every so many bytes one more
_PATIENCE = 120  # seconds to wait for a block
_AGAIN = "get it again"


def main() -> None:
    """Decode files that come in by the socket on standard input, until it is closed.

    The arguments are the package, and events of a block.
    """
    package, block = sys.argv[1], int(sys.argv[2])
    asked = socket.socket(fileno=0)
    reader, reason = None, ""
    try:
        reader = kept.READERS[package]()
    except Exception as error:  # whatever a broken installation raises
        reason = _said(error)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while True:
        message, handles, _, _ = socket.recv_fds(asked, 1, 2)
        if not message:
            return
        file, out = handles
        if os.fork() == 0:
            asked.close()
            if reader is None:
                why = f"needs {package}, which does not import ({reason}); install it again"
                os.write(out, _line({"kind": "refused", "message": why}))
            else:
                _watched(reader, file, out, block)
            os._exit(0)
        os.close(file)
        os.close(out)


def _watched(reader: kept.Reader, file: int, out: int, block: int) -> None:
    """Decode a file in a process more, and tell if a signal ends it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever asked has seen enough
        with os.fdopen(out, "wb") as to:
            _decode(reader, file, to, block)
            to.flush()
            os._exit(0)
    os.close(file)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.write(out, _line({"kind": "died", "signal": os.WTERMSIG(status)}))


def _decode(reader: kept.Reader, file: int, to: IO[bytes], block: int) -> None:
    """Send the events of a file, or one sentence."""
    _confine(os.fstat(file).st_size)
    try:
        blocks = reader(file)
        signal.alarm(_PATIENCE)
        to.write(_line({"kind": "size", "size": next(blocks)}))
        for columns in blocks:
            signal.alarm(0)  # the time in which the other side computes is not ours
            _send(columns, to, block)
            signal.alarm(_PATIENCE)
    except FileRefused as error:
        to.write(_line({"kind": "refused", "message": str(error)}))
    except MemoryError:
        message = (
            f"takes more than {_MORE_BYTES:,} bytes to decode, {kept.WHERE}; give a smaller file"
        )
        to.write(_line({"kind": "refused", "message": message}))
    except BaseException as error:  # a package's own, whatever a damaged file makes it raise
        message = f"is damaged ({_said(error)}), {kept.WHERE}; {_AGAIN}"
        to.write(_line({"kind": "refused", "message": message}))
    else:
        to.write(_line({"kind": "end"}))


def _send(columns: kept.Columns | np.ndarray[Any, Any], to: IO[bytes], block: int) -> None:
    """Send times, columns, rows and polarities, so many events at a time; or an array's bytes."""
    if isinstance(columns, np.ndarray):
        data = np.ascontiguousarray(columns).reshape(-1).view(np.uint8)
        for first in range(0, len(data), block):
            sent = data[first : first + block]
            to.write(_line({"kind": "bytes", "count": len(sent)}))
            to.write(sent.data)
        to.flush()
        return
    for first in range(0, len(columns[0]), block):
        part = [_integers(column[first : first + block]) for column in columns]
        to.write(_line({"kind": "events", "count": len(part[0])}))
        for column in part:
            to.write(np.ascontiguousarray(column).data)
    to.flush()


def _integers(column: Any) -> Any:
    """Return a column as int64; what that does not hold is refused by who receives it."""
    if column.dtype.kind == "u" and column.dtype.itemsize == 8 and len(column):
        column = np.minimum(column, np.uint64(2**63 - 1))
    return column.astype(np.int64)


def _confine(size: int) -> None:
    """Give this process memory and processor time for a file of so many bytes, and nothing else.

    Linux holds every one of these limits; macOS does not hold the one on memory.
    """
    taken = Path("/proc/self/statm")
    pages = int(taken.read_text().split()[0]) if taken.exists() else 1 << 20
    lower_limit(resource.RLIMIT_AS, pages * resource.getpagesize() + _MORE_BYTES)
    lower_limit(resource.RLIMIT_CPU, _SECONDS + size // _BYTES_A_SECOND, more=1)
    for what in (resource.RLIMIT_NPROC, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        lower_limit(what, 0)


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"
