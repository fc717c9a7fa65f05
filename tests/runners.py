"""Networks built for a target and run by the target's own tool."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from lehr.network import Network
from lehr.simulate import Trace
from lehr.targets import registry
from lehr.targets.conformance.building import Images


def run(name: str, net: Network, x: Images) -> Trace:
    """Return what a target's own tool makes of a network."""
    target = registry.get(name)
    runner = target.runner()
    assert runner is not None
    if missing := runner.missing():
        pytest.skip(missing)
    with tempfile.TemporaryDirectory() as folder:
        target.plan(net, {}).with_manifest({}).write(Path(folder) / "built")
        return runner.run(Path(folder) / "built", x)
