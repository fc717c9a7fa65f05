"""Artefacts of target c: written, made, and compared with the reference."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hard_networks import flows
from strategies import Images

from lehr.network import Network
from lehr.simulate import compare, simulate
from lehr.targets.c import C
from lehr.targets.c.runner import CRunner
from lehr.targets.golden import golden_plan


def write(folder: Path, net: Network, x: Images, **options: str) -> Path:
    """Build the artefact of `net` with golden vectors for `x`."""
    assert C().check(net) == ()
    (C().plan(net, options) | golden_plan(net, x)).write(folder)
    return folder


def make(folder: Path, *goals: str) -> tuple[int, list[str]]:
    """Exit status and output lines of make."""
    done = subprocess.run(["make", "-s", *goals], cwd=folder, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def require_equal(folder: Path, net: Network, x: Images, **options: str) -> None:
    """Build, run and compare, for a network in which spikes flow."""
    result = simulate(net, x, trace=net.neurons)
    assert flows(net, result), result.rates
    compare(result.trace, CRunner().run(write(folder, net, x, **options), x)).require_equal("c")
