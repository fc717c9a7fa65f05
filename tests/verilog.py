"""Artefacts of target fpga, built and replayed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from strategies import Images

from lehr.errors import NotMappable
from lehr.network import Network
from lehr.targets.fpga import Fpga
from lehr.targets.fpga.engines import chain
from lehr.targets.golden import golden_plan

SWITCHES = ("+gaps=1", "+gaps=2 +abort=300", "+abort=41", "+frames", "+frames +gaps=3")
"""Options of the testbench: pauses, an inference that a reset ends, inputs that are never held."""


def write(folder: Path, net: Network, x: Images, **options: str) -> Path:
    """Build the artefact of `net` with golden vectors for `x`."""
    assert Fpga().check(net) == ()
    (Fpga().plan(net, options) | golden_plan(net, x)).with_manifest({}).write(folder)
    return folder


def replay(folder: Path, *switches: str) -> tuple[int, list[str]]:
    """Return the exit status and output lines of the testbench in Icarus."""
    done = subprocess.run(
        ["make", "-s", "sim", f"SWITCHES={' '.join(switches)}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()


def chains(net: Network) -> bool:
    """Return whether each layer hears the one before and itself alone."""
    try:
        return len(chain(net)) > 1
    except NotMappable:
        return False
