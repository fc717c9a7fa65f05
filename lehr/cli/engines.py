"""The one list of what can simulate a network: engines of lehr, and targets whose tool runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.network import Network
    from lehr.simulate import Result

    Run = Callable[[npt.NDArray[np.uint8], tuple[str, ...]], Result]

DEFAULT = "fast"
ENGINES = {
    "fast": "compiled and event-driven, on all networks",
    "reference": "the definition, plain and slow",
    "torch": "exact in float64, on a GPU where there is one; not for neurons that update by event",
}
HELP = "'fast', 'reference', 'torch', or a target whose tool runs the network: 'onnx', 'c'."


def engine(name: str, net: Network, threads: int = 1) -> Run:
    """What runs `net` on uint8 samples and traces the layers named.

    Raises:
        UsageError: when no engine and no target is called `name`, or the target has no tool.
    """
    if name == "fast":
        from lehr.simulate.fast.engine import Engine

        made = Engine(net, threads)
        return lambda x, trace: made.run(x, trace=trace)
    if name == "reference":
        from lehr.simulate import simulate

        return lambda x, trace: simulate(net, x, trace=trace)
    if name == "torch":
        from lehr.train.engine import simulate as in_torch

        return lambda x, trace: in_torch(net, x, trace=trace)
    from lehr.targets import registry
    from lehr.targets.engine import run

    target = registry.get(name)
    return lambda x, trace: run(target, net, x, trace)
