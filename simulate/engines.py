"""The engines of lehr's own, by name. Each is imported when it is asked for.

    run = ENGINES["fast"](net, 2)
    result = run(x, ("lif1",))

`lehr.targets.engines.engine` knows by name the targets whose tool simulates a network as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from lehr.extras import needed_by
from lehr.network import Network
from lehr.simulate.result import Result

Run = Callable[[npt.NDArray[np.uint8], tuple[str, ...]], Result]
"""Runs samples, uint8 `[N, T, *shape]`, or `[N, *shape]`, held, and traces layers by name."""
Feed = Callable[[npt.NDArray[np.uint8]], Result]
"""Runs the next steps of one sample, uint8 `[1, steps, *shape]`, and keeps the state."""
Stream = Callable[[Network, tuple[str, ...]], Feed]
"""From a network and names of neuron layers to trace to a run that goes on, chunk by chunk."""


def _fast(net: Network, threads: int) -> Run:
    from lehr.simulate.fast.engine import Engine

    runner = Engine(net, threads)
    return lambda x, trace: runner.run(x, trace=trace)


def _reference(net: Network, _: int) -> Run:
    from lehr.simulate.reference import simulate

    return lambda x, trace: simulate(net, x, trace=trace)


def _torch(net: Network, _: int) -> Run:
    with needed_by("engine torch"):
        from lehr.simulate.torch_engine import simulate

    return lambda x, trace: simulate(net, x, trace=trace)


ENGINES: Mapping[str, Callable[[Network, int], Run]] = {
    "fast": _fast,
    "reference": _reference,
    "torch": _torch,
}
"""By name: each takes a network and a number of threads, which only the fast one uses."""


def _fast_stream(net: Network, trace: tuple[str, ...]) -> Feed:
    from lehr.simulate.fast.stream import Stream

    return Stream(net, 1, trace).feed


def _reference_stream(net: Network, trace: tuple[str, ...]) -> Feed:
    from lehr.simulate.reference import stream

    return stream(net, 1, trace)


def _torch_stream(net: Network, trace: tuple[str, ...]) -> Feed:
    with needed_by("engine torch"):
        from lehr.simulate.torch_engine import stream

    return stream(net, 1, trace)


STREAMS: Mapping[str, Stream] = {
    "fast": _fast_stream,
    "reference": _reference_stream,
    "torch": _torch_stream,
}
"""By name: a run of one sample some steps at a time, for samples that do not fit memory."""
