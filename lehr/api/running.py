"""Running networks, and comparing what came out."""

from __future__ import annotations

import os
from collections.abc import Iterable

from lehr.api.given import Inputs, Place, network, opened, pixels
from lehr.network import Network
from lehr.simulate.compare import Comparison
from lehr.simulate.compare import compare as compare_traces
from lehr.simulate.layers import named_layers
from lehr.simulate.parts import joined
from lehr.simulate.pieces import Traced, pieces
from lehr.simulate.result import Result, Trace
from lehr.targets.engines import engine as engine_called


def simulate(
    net: Network | Place,
    x: Inputs,
    *,
    trace: str | Iterable[str] = (),
    engine: str = "fast",
    threads: int | None = None,
    frames: str | None = None,
) -> Result:
    """Run a network on inputs, exactly.

    Args:
        net: the network, or its file.
        x: samples: whole numbers, `[N, *shape]`, held for all steps, or `[N, T, *shape]`; or an
            `.npz` file or a recording.
        trace: layers of neurons whose spikes and membranes are kept; "all" for all of them.
        engine: what runs it: "fast", "reference", "torch", or a target whose tool can.
        threads: over which samples are spread; as many as there are cores if None.
        frames: how a recording is cut into steps, as "step_us=1000".

    Raises:
        UsageError: when there is no such file, layer or engine.
        FileRefused: when the inputs are not what the network takes.
        NotMappable: when the engine does not compute the network.
        ToolMissing: when the engine is not on this machine.

    >>> import lehr
    >>> result = lehr.simulate("model.nir", "in.npz", trace="all")
    >>> result.counts.shape
    (80, 10)
    """
    net = network(net)
    layers = named_layers(net, (trace,) if isinstance(trace, str) else trace)
    run = engine_called(engine, net, threads or len(os.sched_getaffinity(0)))
    samples = opened(net, x, frames)
    if samples is None:
        return run(pixels(x), layers)
    return joined(list(pieces(run, net, samples, Traced(layers))))


def compare(expected: Result | Trace, got: Result | Trace) -> Comparison:
    """Compare what two runs kept, value by value, to the first difference.

    Args:
        expected: what is right.
        got: what is compared with it; both with the same layers in `trace`.

    Raises:
        NotBitExact: when a layer is missing in `got` or has another shape.

    >>> import lehr
    >>> fast = lehr.simulate("model.nir", "in.npz", trace="all")
    >>> lehr.compare(lehr.simulate("model.nir", "in.npz", trace="all", engine="reference"), fast).equal
    True
    """
    return compare_traces(_trace(expected), _trace(got))


def _trace(kept: Result | Trace) -> Trace:
    return kept.trace if isinstance(kept, Result) else kept
