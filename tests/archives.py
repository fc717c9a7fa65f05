"""Engines compared in a process that has its kernels from an archive."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
SCRIPT = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/simulate"]
from pathlib import Path
from hard_networks import HARD, flows
from lehr.simulate import compare, simulate
from lehr.simulate.fast import engine, shipped
shipped.ARCHIVE = Path(sys.argv[2])
for name in HARD if sys.argv[3] == "all" else [sys.argv[3]]:
    net, x = HARD[name]()
    expected, got = simulate(net, x, trace=net.neurons), engine.simulate(net, x, trace=net.neurons)
    assert flows(net, expected)
    compare(expected.trace, got.trace).require_equal(name)
    assert expected.saturations == got.saturations
if sys.argv[4:]:
    import test_fast
    for name in sys.argv[4:]:
        getattr(test_fast, name)()
print("lehr.simulate.fast.kernels.compiled" in sys.modules)
"""
"""Compares the engines; says whether a kernel was compiled from its source."""


def ran_from(archive: Path, cache: Path, *words: str, **environment: str) -> str:
    """Return what the script prints, with an empty folder for machine code."""
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment}
    command = [sys.executable, "-c", SCRIPT, str(TESTS), str(archive), *words]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()[-1]
