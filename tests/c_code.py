"""Artefacts of target c: written, made, and compared with the reference."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hard_networks import flows
from machine_networks import program_network
from strategies import Images

from lehr.network import Network
from lehr.simulate import compare, simulate
from lehr.targets.c import C
from lehr.targets.c.runner import CRunner
from lehr.targets.golden import golden_plan
from lehr.update_text import program_of_lines


def write(folder: Path, net: Network, x: Images, **options: str) -> Path:
    """Build the artefact of `net` with golden vectors for `x`."""
    assert C().check(net) == ()
    (C().plan(net, options) | golden_plan(net, x)).write(folder)
    return folder


def make(folder: Path, *goals: str) -> tuple[int, list[str]]:
    """Return the exit status and output lines of make."""
    done = subprocess.run(["make", "-s", *goals], cwd=folder, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def require_equal(folder: Path, net: Network, x: Images, **options: str) -> None:
    """Build, run and compare, for a network in which spikes flow."""
    result = simulate(net, x, trace=net.neurons)
    assert flows(net, result), result.rates
    compare(result.trace, CRunner().run(write(folder, net, x, **options), x)).require_equal("c")


def sanitized(folder: Path, net: Network, x: Images) -> None:
    """Replay golden vectors under the sanitizers of gcc, with warnings as errors."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not on this machine")
    assert flows(net, simulate(net, x, trace=net.neurons))
    status, lines = make(write(folder, net, x), "CC=gcc", "sanitize")
    assert (status, lines[-1]) == (0, "PASS"), lines


def of_lines(lines: str, threshold: int = 20) -> tuple[Network, Images]:
    """Return two layers with the update that lines separated by ';' say, and inputs."""
    return program_network(
        program_of_lines([line.strip() for line in lines.split(";")], "v"), threshold
    )
