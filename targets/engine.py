"""Simulation engine that is a target's own tool.

The result is the reference's, computed by the artefact.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import UsageError
from lehr.network import Network
from lehr.simulate import Result
from lehr.simulate.result import Recorder, input_events
from lehr.targets.contract import Target, shown_by
from lehr.targets.golden import per_step

CHUNK = 512


def run(
    target: Target, net: Network, x: npt.NDArray[np.uint8], trace: Iterable[str] = ()
) -> Result:
    """Build `net` for `target` in a temporary folder and run it there on every sample of `x`.

    Membranes that the tool does not show are 0 in the result.

    Raises:
        UsageError: when the target has no tool that runs it, or a membrane is asked for that the
            tool does not show.
        NotMappable: when the network does not map.
        ToolMissing: when the tool is not on this machine.
        FileRefused: when `x` has more steps than the target is shown to be exact in.
    """
    target.require_mappable(net)
    runner = target.require_runner()
    trace = tuple(trace)
    if trace and "membrane" not in shown_by(runner):
        raise UsageError(
            f"target {target.name} has a tool that shows no membranes; leave the trace out"
        )
    x = per_step(net, x)
    target.require_steps(net, x.shape[1])
    recorder = Recorder(net, len(x), x.shape[1], trace)
    recorder.add_events(input_events(x, held=False, steps=x.shape[1]))
    with tempfile.TemporaryDirectory(prefix="lehr-") as scratch:
        folder = Path(scratch) / target.name
        target.plan(net, {}).with_manifest({"target": target.name}).write(folder)
        for start in range(0, len(x), CHUNK):
            ran = runner.run(folder, x[start : start + CHUNK])
            shown = {
                name: ran.membranes.get(name, np.zeros_like(spikes))
                for name, spikes in ran.spikes.items()
            }
            for t in range(x.shape[1]):
                spikes = {name: array[:, t].astype(np.int64) for name, array in ran.spikes.items()}
                recorder.add(
                    start,
                    t,
                    spikes,
                    {name: array[:, t].astype(np.int64) for name, array in shown.items()},
                )
    return recorder.result()
