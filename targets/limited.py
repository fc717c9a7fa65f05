"""Calls of a function of lehr in a process of its own, which ends when its time is up.

Whatever it has started ends with it. Compilers, simulators and what they compile run for as long as
they like, and some of them within Python's own process. So the function runs in another one, in a
session of its own: every process that it starts is in its group, and the group is killed whatever
happens. Arguments and result travel as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from lehr.workers.children import command, end_with_parent
from lehr.workers.failures import packed, unpacked

_GRACE = 3
"""Seconds that the process has to end what it started, before it is killed."""


class TimeIsUp(Exception):
    """Error of a function that took longer than it may."""


class NoAnswer(Exception):
    """Error of a process that ended without an answer; the message says in what way."""


def call_within(seconds: float, function: str, arguments: Mapping[str, Any]) -> Any:
    """Call a function in a process of its own, which ends at the latest after some time.

    All its descendants end with it. What the function prints goes to stderr. Its temporary files
    are removed, however it ends.

    Args:
        seconds: how long it may take.
        function: as `lehr.module:name`.
        arguments: by name; numbers, text, and lists and mappings of them, as the result.

    Raises:
        TimeIsUp: when it takes longer.
        NoAnswer: when its process is killed, by the system or by itself.
        LehrError: as the function does; other errors come back as a RuntimeError, but ImportError,
            OSError and MemoryError as they are.
    """
    # closed by the system when this process ends, even if it is killed: the other ends then, too
    alive, held = os.pipe()
    asked = command(__name__, str(alive), function, json.dumps(arguments))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lehr-", ignore_cleanup_errors=True) as scratch,
            subprocess.Popen(
                asked,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                pass_fds=(alive,),
                env=os.environ | {"TMPDIR": scratch},
                start_new_session=True,
            ) as process,
        ):
            answer = _answer(process, seconds)
    finally:
        os.close(alive)
        os.close(held)
    return _result(answer, process.returncode)


def _answer(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """Return what the process writes; it and its group have ended on return, and on an error."""
    try:
        return process.communicate(timeout=seconds)[0]
    except BaseException as error:  # an interrupt is ours to pass on
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_GRACE)
        if isinstance(error, subprocess.TimeoutExpired):
            raise TimeIsUp from None
        raise
    finally:
        with suppress(ProcessLookupError, PermissionError):  # nobody of the group is left
            os.killpg(process.pid, signal.SIGKILL)


def _result(answer: bytes, code: int) -> Any:
    try:
        reply = json.loads(answer)
    except ValueError:
        end = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        raise NoAnswer(end) from None
    if "result" in reply:
        return reply["result"]
    raise unpacked(reply)


def main(alive: str, function: str, arguments: str) -> None:
    """Answer on stdout; what runs in the process that `call_within` starts."""
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    end_with_parent(int(alive))
    # so that everything on the way out is undone
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    module, _, name = function.partition(":")
    try:
        reply = {"result": getattr(import_module(module), name)(**json.loads(arguments))}
    except KeyboardInterrupt:
        return
    except Exception as error:
        reply = packed(error)
    with os.fdopen(answer, "w") as stream:
        json.dump(reply, stream)
