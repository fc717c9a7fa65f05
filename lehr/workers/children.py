"""Python processes of lehr's own: how they are started, and that none outlives who started it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from lehr import errors

_START = "import sys; sys.path[:] = {path!r}; from {module} import main; main(*sys.argv[1:])"


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that calls `main` of a module of lehr with these arguments.

    As in lehr/hdf5.py, neither the folder one is in nor the environment decides what is imported.
    """
    source = Path(errors.__file__).resolve().parents[1]  # the folder from which lehr is imported
    places = [str(source), *(place for place in sys.path if os.path.isabs(place))]  # noqa: PTH117
    return [sys.executable, "-I", "-c", _START.format(path=places, module=module), *arguments]


def end_with_parent(alive: int) -> None:
    """End this process and its group as soon as the other end of a pipe is closed.

    The system closes it when the process that holds it ends, even if it is killed.
    """

    def wait() -> None:
        os.read(alive, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
