"""The workers that one asks for: a number of processes, or a cluster of Ray."""

from __future__ import annotations

from lehr.errors import UsageError
from lehr.workers.work import Workers

RAY = "ray"
_ADDRESS = "ray://"
_MOST = 1024


def workers_of(asked: str | int) -> Workers | None:
    """Return the workers that are asked for; None where this process does the work itself.

    Args:
        asked: a number of processes, "ray" for the cluster that is running here or that RAY_ADDRESS
            names, or its address, "ray://HOST:PORT".

    Raises:
        UsageError: when it is nothing of it.
        ToolMissing: when Ray is not installed, or no cluster answers.
    """
    text = str(asked)
    if text == RAY or (text.startswith(_ADDRESS) and len(text) > len(_ADDRESS)):
        from lehr.workers.cluster import Cluster

        return Cluster(None if text == RAY else text)
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _MOST):
        raise UsageError(
            f"workers {text!r} are none; give a number from 1 to {_MOST:,}, or 'ray', or "
            "'ray://HOST:PORT'"
        )
    if int(text) == 1:
        return None
    from lehr.workers.processes import Processes

    return Processes(int(text))
