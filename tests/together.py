"""Several processes that train one network: forked from the test's own, or started by torchrun."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from killed import forked

from lehr.launched import Launched
from lehr.train.processes import joined

PATIENCE = 120
"""Seconds after which processes that wait for one another are ended."""


def together(processes: int, call: Callable[[], object], ends: Sequence[int] | None = None) -> None:
    """Call a function in as many forked processes, which have met.

    Args:
        processes: how many.
        call: the function.
        ends: how each of them is to end; all by returning if None.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(rank: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MASTER_ADDR", "127.0.0.1")
            patch.setenv("MASTER_PORT", str(port))
            patch.setenv("WORLD_SIZE", str(processes))
            patch.setenv("RANK", str(rank))
            signal.alarm(PATIENCE)
            try:
                with joined(Launched(rank, processes, rank), "cpu"):
                    call()
            except BaseException:
                traceback.print_exc()
                raise

    children = [forked(partial(run, rank)) for rank in range(processes)]
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert ended == [*(ends or [0] * processes)], ended


def torchrun(processes: int, *arguments: object) -> subprocess.Popen[str]:
    """Start `lehr ARGUMENTS` in as many processes."""
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", str(processes), "-m", "lehr")
    return subprocess.Popen(
        [sys.executable, *launcher, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
