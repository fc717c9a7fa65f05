"""The one list of what can simulate a network: engines of lehr, and targets whose tool runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.network import Network
    from lehr.simulate import Result

    Run = Callable[[npt.NDArray[np.uint8], tuple[str, ...]], Result]

DEFAULT = "fast"


def _fast(net: Network, threads: int) -> Run:
    from lehr.simulate.fast.engine import Engine

    made = Engine(net, threads)
    return lambda x, trace: made.run(x, trace=trace)


def _reference(net: Network, _: int) -> Run:
    from lehr.simulate import simulate

    return lambda x, trace: simulate(net, x, trace=trace)


def _torch(net: Network, _: int) -> Run:
    from lehr.train.engine import simulate

    return lambda x, trace: simulate(net, x, trace=trace)


ENGINES: Mapping[str, Callable[[Network, int], Run]] = {"fast": _fast, "reference": _reference, "torch": _torch}
"""lehr's own, by name: each takes a network and a number of threads, which only the fast one uses."""
HELP = f"{', '.join(map(repr, ENGINES))}, or a target whose tool runs the network: 'onnx', 'c', 'fpga'."


def engine(name: str, net: Network, threads: int = 1) -> Run:
    """What runs `net` on uint8 samples and traces the layers named.

    Raises:
        UsageError: when no engine and no target is called `name`, or the target has no tool.
    """
    if name in ENGINES:
        return ENGINES[name](net, threads)
    from lehr.targets import registry
    from lehr.targets.engine import run

    target = registry.get(name)
    return lambda x, trace: run(target, net, x, trace)
