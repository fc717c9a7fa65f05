"""The one list of what can simulate a network: engines of lehr, and targets whose tool runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.network import Network
    from lehr.simulate import Result

    Run = Callable[[npt.NDArray[np.uint8], tuple[str, ...]], Result]

DEFAULT = "fast"


@contextmanager
def _unseen(*names: str) -> Iterator[None]:
    """Modules that are not loaded yet cannot be imported in here."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: what is not there
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _fast(net: Network, threads: int) -> Run:
    # When numba first loads machine code, it imports scipy and cffi if it can, for functions that no kernel calls: a quarter of a second.
    with _unseen("scipy", "cffi"):
        from numba.core.registry import cpu_target

        from lehr.simulate.fast.engine import Engine

        target: Any = cpu_target
        target.typing_context.refresh()
        target.target_context.refresh()
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
