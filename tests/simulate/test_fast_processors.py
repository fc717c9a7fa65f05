"""The fast engine where AVX-512 and AVX2 are missing.

Several processes also compile into one empty cache.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
KINDS = ("small", "all kinds of weights", "two states, wide", "small by event", "8 bits")
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from hard_networks import HARD, flows
from lehr.simulate import compare, simulate
from lehr.simulate.fast import engine, machine
from lehr.simulate.fast.calls import neurons
for name in sys.argv[2:]:
    net, x = HARD[name]()
    expected, got = simulate(net, x, trace=net.neurons), engine.simulate(net, x, trace=net.neurons)
    assert flows(net, expected)
    compare(expected.trace, got.trace).require_equal(name)
    assert expected.saturations == got.saturations
code = machine.target_machine().emit_assembly(machine.module(neurons.file, neurons.name, next(iter(neurons.ready)), ''))
print(len(sys.argv[2:]), "zmm" in code, "ymm" in code)
"""


def started(cache: Path, *names: str, **environment: str) -> subprocess.Popen[str]:
    """Start a process that compares the engines on hard networks, with a cache of its own."""
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(TESTS), *names],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names processors of x86-64")
@pytest.mark.parametrize(
    ("processor", "wide"), [("x86-64-v2", False), ("x86-64-v3", True)]
)  # without AVX; with AVX2 and no AVX-512
def test_processors_without_avx_compute_the_same(
    tmp_path: Path, processor: str, wide: bool
) -> None:
    """Of each kind of layer one: tests/test_core_wheel.py has all, of code that was compiled once."""
    ran = started(tmp_path, *KINDS, NUMBA_CPU_NAME=processor, NUMBA_CPU_FEATURES="")
    printed, _ = ran.communicate()
    assert ran.returncode == 0
    count, with_zmm, with_ymm = printed.split()
    assert int(count) == len(KINDS)
    assert (with_zmm, with_ymm) == ("False", str(wide))


@pytest.mark.slow
def test_processes_may_compile_at_the_same_time(tmp_path: Path) -> None:
    running = [started(tmp_path, "recurrent", "8 bits") for _ in range(2)]
    assert [process.communicate()[0].split()[0] for process in running] == ["2", "2"]
    assert [process.returncode for process in running] == [0, 0]
    assert list(tmp_path.rglob("*.o"))
    assert not list(tmp_path.rglob("*.part"))
    again = started(tmp_path, "recurrent", "8 bits")  # by the machine code that they have left
    assert again.communicate()[0].split()[0] == "2"
